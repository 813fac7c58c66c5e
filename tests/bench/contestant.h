// SPDX-License-Identifier: Apache-2.0
//
// What takes part in the benchmark: a broker of some kind and programs that
// talk through it. Every program is a process of its own, started by the
// runner as `bench role ...`; the roles of one measurement:
//
//   throughput   broker, 1 publisher, n subscribers
//   round trip   broker, pinger A, echo B:  A -> broker -> B -> broker -> A
//   idle         broker, 1 process that holds many connections
//
// To add a contestant: one file that implements Contestant, one line in
// contestants.cc, one in CMakeLists.txt.
//
// What every role tells the runner, and when, is written at each Run function;
// a role that returns an error makes the measurement FAILED.

#ifndef IPC_TESTS_BENCH_CONTESTANT_H_
#define IPC_TESTS_BENCH_CONTESTANT_H_

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "tests/bench/control.h"
#include "tests/bench/process.h"
#include "tests/bench/scenario.h"

namespace ipc::bench {

// One role's part of one measurement.
struct Work {
  std::string address;  // of the broker; Broker::address
  uint64_t payload_bytes = 64;
  uint64_t messages = 1;  // round trips, where they are what is measured
  uint32_t subscribers = 1;
  bool best_effort = false;
  uint32_t connections = 0;         // idle only
  uint32_t subscriptions_each = 0;  // idle only
};

struct Broker {
  Process process;
  std::string address;
};

class Contestant {
 public:
  virtual ~Contestant() = default;

  virtual std::string name() const = 0;

  // Whether this contestant can do the scenario at all.
  virtual bool Supports(const Scenario& scenario) const {
    return !scenario.best_effort && scenario.kind != Kind::kIdle;
  }

  // In the runner: starts the broker with its files in `folder` and returns
  // when it accepts connections.
  virtual absl::StatusOr<Broker> StartBroker(
      const std::string& folder) const = 0;

  // Each of these is one process.

  // The broker itself, where it lives in this program. Reports Ready when it
  // accepts connections; returns never, or with an error.
  virtual absl::Status RunBroker(const Work&, Control&) const {
    return absl::UnimplementedError("the broker is a program of its own");
  }
  // Connects, waits until `subscribers` are confirmed, reports Ready, awaits
  // Go, publishes `messages` payloads that begin with their number (0, 1, ...;
  // PutSequence), and reports Done(start_ns).
  virtual absl::Status RunPublisher(const Work&, Control&) const = 0;
  // Subscribes, reports Ready when that is confirmed, checks that every number
  // comes once and in order, and reports Done(end_ns, received, missing).
  // `missing` is what a best-effort subscription was told to have lost.
  virtual absl::Status RunSubscriber(const Work&, Control&) const = 0;
  // Subscribes to B's topic, reports Ready, awaits Go, makes `messages` round
  // trips one by one and reports with LatencyRecorder::Report.
  virtual absl::Status RunPinger(const Work&, Control&) const = 0;
  // Subscribes to A's topic, reports Ready, sends every payload back.
  virtual absl::Status RunEcho(const Work&, Control&) const = 0;
  // Opens kIdleWarmUp connections, reports Ready, awaits Go, opens
  // `connections` more with `subscriptions_each`, reports Done() and keeps
  // them until the runner stops it.
  virtual absl::Status RunIdle(const Work&, Control&) const {
    return absl::UnimplementedError("idle connections are not measured");
  }
};

// What a broker allocates once for all is not counted to the connections.
inline constexpr uint32_t kIdleWarmUp = 100;

std::unique_ptr<Contestant> MakeBus();
std::unique_ptr<Contestant> MakeRelay();

// All of them. The relay is the last: the others are compared with it.
std::vector<std::unique_ptr<Contestant>> MakeContestants();

// The one whose figures are the limit.
inline constexpr char kReference[] = "relay";

}  // namespace ipc::bench

#endif  // IPC_TESTS_BENCH_CONTESTANT_H_
