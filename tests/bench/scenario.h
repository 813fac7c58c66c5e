// SPDX-License-Identifier: Apache-2.0
//
// What is measured. A scenario is the same work for every contestant; its name
// is what --only selects by, for example "throughput/64B/1:8" (1 publisher, 8
// subscribers).

#ifndef IPC_TESTS_BENCH_SCENARIO_H_
#define IPC_TESTS_BENCH_SCENARIO_H_

#include <cstdint>
#include <string>
#include <vector>

#include "tests/bench/population.h"

namespace ipc::bench {

// kIdle: what is idle costs memory. kCrowd: a crowd comes, and an operator
// looks at it.
enum class Kind { kThroughput, kRoundTrip, kIdle, kCrowd };

// Bulk beside a round trip.
struct Load {
  uint64_t payload_bytes = 0;  // 0: there is none
  uint32_t messages_per_second = 0;
  uint32_t subscribers = 0;
};

struct Scenario {
  Kind kind = Kind::kThroughput;
  std::string name;
  std::string title;  // in a table, without the kind
  uint64_t payload_bytes = 0;
  uint32_t publishers = 1;
  uint32_t subscribers = 1;
  bool best_effort = false;  // of the subscriptions
  bool typed = false;        // payloads are Records (record.h)
  bool memfd = false;        // payloads travel in a memfd; with a load, its own
  Load load = {};            // of a round trip
  bool quick = false;        // also part of --quick
  uint32_t subscriptions_each = 0;  // of an idle connection
  // kIdle: what is counted, instead of connections. Else it is idle beside the
  // work, which is done without it, too.
  Population crowd = {};

  // Whether the work is done alone and in a crowd.
  bool crowded() const {
    return !crowd.empty() &&
           (kind == Kind::kThroughput || kind == Kind::kRoundTrip);
  }
};

std::vector<Scenario> AllScenarios();

// The same work without the crowd.
Scenario Alone(Scenario scenario);

// Metrics of work in a crowd: of the same without it, and the crowd's by that.
inline constexpr char kAloneSuffix[] = "/alone";
inline constexpr char kRatioSuffix[] = "/ratio";

}  // namespace ipc::bench

#endif  // IPC_TESTS_BENCH_SCENARIO_H_
