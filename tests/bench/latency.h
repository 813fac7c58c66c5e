// SPDX-License-Identifier: Apache-2.0
//
// The round trips of one pinger. The first ones (caches, lazily allocated
// buffers, the CPU's clock) are made but not counted.

#ifndef IPC_TESTS_BENCH_LATENCY_H_
#define IPC_TESTS_BENCH_LATENCY_H_

#include <cstdint>
#include <vector>

#include "tests/bench/control.h"

namespace ipc::bench {

class LatencyRecorder {
 public:
  // Allocates for `round_trips`, so that Add never does.
  explicit LatencyRecorder(uint64_t round_trips);

  void Add(int64_t round_trip_ns);
  // All of them, the uncounted ones included.
  uint64_t added() const { return added_; }

  // Done(elapsed_ns, p50_ns, p99_ns, p999_ns). Sorts what was added.
  void Report(Control& control);

 private:
  int64_t Percentile(double share) const;

  uint64_t skip_;
  uint64_t added_ = 0;
  int64_t start_ns_;
  std::vector<int64_t> samples_;
};

}  // namespace ipc::bench

#endif  // IPC_TESTS_BENCH_LATENCY_H_
