// SPDX-License-Identifier: Apache-2.0
//
// Reads IPC_SEED, or asks the kernel for a seed. A value that is no number
// ends the test program: replaying another run than the one asked for would
// only waste somebody's day.

#include "tests/support/seed.h"

#include <cstdio>
#include <cstdlib>
#include <random>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"

namespace ipc::test {
namespace {

uint64_t ChooseSeed() {
  uint64_t seed = std::random_device()();
  const char* text = std::getenv("IPC_SEED");
  if (text != nullptr && !absl::SimpleAtoi(text, &seed)) {
    std::fprintf(stderr, "IPC_SEED=%s is not a number\n", text);
    std::exit(2);
  }
  std::fprintf(stderr, "IPC_SEED=%llu\n",
               static_cast<unsigned long long>(seed));
  return seed;
}

}  // namespace

uint64_t Seed() {
  static const uint64_t kSeed = ChooseSeed();
  return kSeed;
}

std::string SeedNote() { return absl::StrCat("replay with IPC_SEED=", Seed()); }

}  // namespace ipc::test
