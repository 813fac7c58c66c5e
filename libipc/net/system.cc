// SPDX-License-Identifier: Apache-2.0
//
// Clock and randomness.

#include "libipc/net/system.h"

#include <sys/random.h>
#include <time.h>
#if defined(__x86_64__)
#include <cpuid.h>
#include <x86intrin.h>
#endif

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

#if defined(__x86_64__)

namespace {

constexpr uint64_t kBurstTicks = 2000;

// Whether the counter ticks at one rate in all states of the processor.
bool CounterIsInvariant() {
  unsigned a = 0;
  unsigned b = 0;
  unsigned c = 0;
  unsigned d = 0;
  return __get_cpuid(0x8000'0007, &a, &b, &c, &d) != 0 && (d & 1U << 8) != 0;
}

}  // namespace

BurstClock::BurstClock() : counts_(CounterIsInvariant()) {}

MonotonicTime BurstClock::Now() {
  if (!counts_) return net::Now();
  const uint64_t ticks = __rdtsc();
  // A counter that has gone back has gone far.
  if (ticks - ticks_ >= kBurstTicks) {
    ticks_ = ticks;
    last_ = net::Now();
  }
  return last_;
}

#else

BurstClock::BurstClock() : counts_(false) {}

MonotonicTime BurstClock::Now() { return net::Now(); }

#endif

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
