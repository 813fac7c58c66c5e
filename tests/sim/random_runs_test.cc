// SPDX-License-Identifier: Apache-2.0
//
// Many random runs under every check of History.
//
//   IPC_SIM_SEEDS=20000 sim_tests       more runs than the usual 300
//   IPC_SIM_FIRST_SEED=1 sim_tests      the same ones each time
//   IPC_SEED=17 sim_tests               this one run, every event printed

#include <cstdio>
#include <cstdlib>
#include <string>

#include "absl/strings/numbers.h"
#include "absl/strings/str_join.h"
#include "gtest/gtest.h"
#include "tests/sim/chaos.h"
#include "tests/support/seed.h"

namespace ipc::sim {
namespace {

constexpr uint64_t kSeeds = 300;
constexpr uint64_t kSeedsOfDeterminism = 20;

uint64_t NumberOr(const char* variable, uint64_t number) {
  const char* text = std::getenv(variable);
  if (text != nullptr && !absl::SimpleAtoi(text, &number)) {
    std::fprintf(stderr, "%s=%s is not a number\n", variable, text);
    std::exit(2);
  }
  return number;
}

uint64_t SeedCount() {
  if (std::getenv("IPC_SEED") != nullptr) return 1;
  return NumberOr("IPC_SIM_SEEDS", kSeeds);
}

uint64_t FirstSeed() { return NumberOr("IPC_SIM_FIRST_SEED", test::Seed()); }

void Report(uint64_t seed) {
  ChaosResult again = RunChaos({.seed = seed, .keep_trace = true, .fault = {}});
  ADD_FAILURE() << "IPC_SEED=" << seed << ": " << again.failure
                << "\nthe last events:\n"
                << absl::StrJoin(again.trace, "\n");
}

TEST(RandomRunsTest, KeepTheDeliveryContract) {
  const bool replay = std::getenv("IPC_SEED") != nullptr;
  const uint64_t count = SeedCount();
  ChaosResult sum;
  int failures = 0;
  for (uint64_t i = 0; i < count; ++i) {
    const uint64_t seed = FirstSeed() + i;
    ChaosResult result = RunChaos({.seed = seed,
                                   .keep_trace = replay,
                                   .print_trace = replay,
                                   .fault = {}});
    sum.accepted += result.accepted;
    sum.handled += result.handled;
    sum.gaps += result.gaps;
    sum.expired += result.expired;
    sum.untold += result.untold;
    sum.broker_deaths += result.broker_deaths;
    if (result.failure.empty()) continue;
    Report(seed);
    if (++failures == 3) break;
  }
  std::fprintf(stderr,
               "%llu accepted, %llu handled, %llu gaps told, %llu expired, "
               "%llu that nobody can tell, %llu broker deaths\n",
               static_cast<unsigned long long>(sum.accepted),
               static_cast<unsigned long long>(sum.handled),
               static_cast<unsigned long long>(sum.gaps),
               static_cast<unsigned long long>(sum.expired),
               static_cast<unsigned long long>(sum.untold),
               static_cast<unsigned long long>(sum.broker_deaths));
}

TEST(RandomRunsTest, TheSameSeedGivesTheSameRun) {
  for (uint64_t i = 0; i < kSeedsOfDeterminism; ++i) {
    const uint64_t seed = test::Seed() + i;
    ChaosResult first = RunChaos({.seed = seed, .fault = {}});
    ChaosResult second =
        RunChaos({.seed = seed, .keep_trace = true, .fault = {}});
    EXPECT_EQ(first.hash, second.hash) << "IPC_SEED=" << seed;
  }
}

}  // namespace
}  // namespace ipc::sim
