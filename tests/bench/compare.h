// SPDX-License-Identifier: Apache-2.0
//
// Which outcome another is measured by: the limit's, or that of the best peer,
// at the same work; and what a crowd changes.

#ifndef IPC_TESTS_BENCH_COMPARE_H_
#define IPC_TESTS_BENCH_COMPARE_H_

#include <cstddef>
#include <string>
#include <vector>

#include "tests/bench/measure.h"
#include "tests/bench/runner.h"

namespace ipc::bench {

// The same work whatever the policy of the subscriptions, which only the bus
// has.
bool SameWork(const Scenario& a, const Scenario& b);

// The relay's complete outcome; null if there is none.
const Outcome* FindReference(const std::vector<Outcome>& outcomes,
                             const Scenario& scenario);

// The complete outcome of the peer (neither bus nor relay) that is best in this
// metric: the most messages, or the shortest round trip. Null if there is none.
const Outcome* FindBestPeer(const std::vector<Outcome>& outcomes,
                            const Scenario& scenario, size_t metric);

// Adds to the metrics of work in a crowd, for each, the same `alone`, and its
// share of that.
void AddComparison(const std::vector<Metric>& alone,
                   std::vector<Metric>* metrics);

// Null if the outcome has no such metric.
const Series* FindSeries(const Outcome& outcome, const std::string& name);

}  // namespace ipc::bench

#endif  // IPC_TESTS_BENCH_COMPARE_H_
