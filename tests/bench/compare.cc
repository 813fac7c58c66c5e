// SPDX-License-Identifier: Apache-2.0
//
// Searching the outcomes; there are a few hundred.

#include "tests/bench/compare.h"

#include "tests/bench/contestant.h"

namespace ipc::bench {

bool SameWork(const Scenario& a, const Scenario& b) {
  return a.kind == b.kind && a.payload_bytes == b.payload_bytes &&
         a.publishers == b.publishers && a.subscribers == b.subscribers &&
         a.typed == b.typed && a.load.payload_bytes == b.load.payload_bytes;
}

const Outcome* FindReference(const std::vector<Outcome>& outcomes,
                             const Scenario& scenario) {
  for (const Outcome& other : outcomes) {
    if (other.contestant == kReference && other.complete() &&
        SameWork(other.scenario, scenario)) {
      return &other;
    }
  }
  return nullptr;
}

const Outcome* FindBestPeer(const std::vector<Outcome>& outcomes,
                            const Scenario& scenario, size_t metric) {
  const bool more_is_better = scenario.kind == Kind::kThroughput;
  const Outcome* best = nullptr;
  for (const Outcome& other : outcomes) {
    if (other.contestant == kReference || other.contestant == kSubject ||
        !other.complete() || !SameWork(other.scenario, scenario)) {
      continue;
    }
    const double value = other.series[metric].Median();
    if (best == nullptr ||
        (value > best->series[metric].Median()) == more_is_better) {
      best = &other;
    }
  }
  return best;
}

void AddComparison(const std::vector<Metric>& alone,
                   std::vector<Metric>* metrics) {
  const std::vector<Metric> in_crowd = *metrics;
  for (size_t i = 0; i < in_crowd.size(); ++i) {
    const auto& [name, unit, value] = in_crowd[i];
    metrics->push_back({name + kAloneSuffix, unit, alone[i].value});
    metrics->push_back({name + kRatioSuffix, "1", value / alone[i].value});
  }
}

const Series* FindSeries(const Outcome& outcome, const std::string& name) {
  for (const Series& series : outcome.series) {
    if (series.name == name) return &series;
  }
  return nullptr;
}

}  // namespace ipc::bench
