// SPDX-License-Identifier: Apache-2.0
//
// One measurement: a fresh broker, the processes of one scenario, one number
// of messages, and the figures that come out.

#ifndef IPC_TESTS_BENCH_MEASURE_H_
#define IPC_TESTS_BENCH_MEASURE_H_

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "tests/bench/contestant.h"
#include "tests/bench/scenario.h"

namespace ipc::bench {

struct Metric {
  std::string name;
  std::string unit;
  double value = 0;
};

struct Sample {
  int64_t elapsed_ns = 0;  // 0 for idle
  std::vector<Metric> metrics;
};

// How much one measurement does.
struct Effort {
  uint64_t messages = 1;  // of each publisher
  uint32_t idle_connections = 0;
};

// The metrics by kind, in this order (the first is the one that is compared):
//   throughput  messages_per_second, delivered_share, publish_cpu (ns of the
//               thread that publishes, for each message)
//   round trip  p50, p99, p99.9 (us); under load also load_share
//   idle        rss, pss, private_dirty (bytes for each connection, or for what
//               the scenario's crowd grows by)
//   crowd       settled (s), connections_per_second, subscriptions_per_second,
//               topics_per_second, rss (bytes), of the tool status, clients and
//               topics (ms), longest_ping_before, longest_ping (ms)
// Work in a crowd is done alone first, on a broker of its own, and has for each
// of its metrics <name> also <name>/alone and <name>/ratio.
// `folder` is an empty one for the broker's files; its socket is removed.
// Errors: kResourceExhausted if the contestant cannot do so much (a load); else
// what failed; nothing that was started is left.
absl::StatusOr<Sample> Measure(const Contestant& contestant,
                               const Scenario& scenario, const Effort& effort,
                               const std::string& folder);

}  // namespace ipc::bench

#endif  // IPC_TESTS_BENCH_MEASURE_H_
