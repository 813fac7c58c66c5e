// SPDX-License-Identifier: Apache-2.0
//
// Clock and randomness.

#include "libipc/net/system.h"

#include <sys/random.h>
#include <time.h>

#include <cstddef>

#include "libipc/base/check.h"

namespace ipc::net {
namespace {

void FillRandom(void* bytes, size_t size) {
  // Up to 256 bytes come whole and without a signal's interruption.
  IPC_CHECK(getrandom(bytes, size, 0) == static_cast<ssize_t>(size));
}

}  // namespace

MonotonicTime Now() {
  timespec time;
  clock_gettime(CLOCK_MONOTONIC, &time);
  return MonotonicTime::FromNanoseconds(int64_t{time.tv_sec} * 1'000'000'000 +
                                        time.tv_nsec);
}

Token RandomToken() {
  Token token;
  FillRandom(token.bytes.data(), token.bytes.size());
  return token;
}

uint64_t RandomNumber() {
  uint64_t number;
  FillRandom(&number, sizeof(number));
  return number;
}

}  // namespace ipc::net
