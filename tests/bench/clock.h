// SPDX-License-Identifier: Apache-2.0
//
// The benchmark's clock. CLOCK_MONOTONIC has one zero for all processes of the
// host, so a publisher's start and a subscriber's end can be subtracted.

#ifndef IPC_TESTS_BENCH_CLOCK_H_
#define IPC_TESTS_BENCH_CLOCK_H_

#include <time.h>

#include <cstdint>

namespace ipc::bench {

inline constexpr int64_t kNsPerSecond = 1'000'000'000;

// No single step of a measurement may take longer.
inline constexpr int64_t kStepNsMax = 60 * kNsPerSecond;

inline int64_t MonotonicNs() {
  timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return int64_t{now.tv_sec} * kNsPerSecond + now.tv_nsec;
}

// Time that a CPU has spent on the calling thread, the kernel's share included.
inline int64_t ThreadCpuNs() {
  timespec used;
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &used);
  return int64_t{used.tv_sec} * kNsPerSecond + used.tv_nsec;
}

}  // namespace ipc::bench

#endif  // IPC_TESTS_BENCH_CLOCK_H_
