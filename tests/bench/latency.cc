// SPDX-License-Identifier: Apache-2.0
//
// Percentiles by sorting: exact, and after the measurement. The p-th is the
// smallest sample that at least the share p of all samples does not exceed.

#include "tests/bench/latency.h"

#include <algorithm>
#include <cmath>

#include "tests/bench/clock.h"

namespace ipc::bench {
namespace {

constexpr uint64_t kSkipMax = 1000;

}  // namespace

LatencyRecorder::LatencyRecorder(uint64_t round_trips)
    : skip_(std::min(round_trips / 10, kSkipMax)), start_ns_(MonotonicNs()) {
  samples_.reserve(round_trips);
}

void LatencyRecorder::Add(int64_t round_trip_ns) {
  if (added_ == 0) start_ns_ = MonotonicNs() - round_trip_ns;
  if (++added_ > skip_) samples_.push_back(round_trip_ns);
}

void LatencyRecorder::Report(Control& control) {
  const int64_t elapsed_ns = MonotonicNs() - start_ns_;
  std::sort(samples_.begin(), samples_.end());
  control.Done(
      {elapsed_ns, Percentile(0.5), Percentile(0.99), Percentile(0.999)});
}

int64_t LatencyRecorder::Percentile(double share) const {
  if (samples_.empty()) return 0;
  const double rank = std::ceil(share * static_cast<double>(samples_.size()));
  return samples_[static_cast<size_t>(std::max(rank, 1.0)) - 1];
}

}  // namespace ipc::bench
