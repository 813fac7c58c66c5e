// SPDX-License-Identifier: Apache-2.0
//
// What takes part in the benchmark: a broker of some kind and programs that
// talk through it. Every program is a process of its own, started by the
// runner as `bench role ...`; the roles of one measurement:
//
//   throughput   broker, m publishers, n subscribers
//   round trip   broker, pinger A, echo B:  A -> broker -> B -> broker -> A;
//                under load also 1 load publisher, n load subscribers
//   idle         broker, 1 process that holds many connections
//   crowd        broker, a crowd (crowd.h), 1 prober, and a tool's commands
//
// A crowd can be beside the first two as well; it is a program of its own.
//
// To add a contestant: one file that implements Contestant, or Peer (peer.h),
// one line in contestants.cc, one in CMakeLists.txt.
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
  std::string folder;   // this measurement's own, for files
  uint64_t payload_bytes = 64;
  // Of each publisher; round trips, where they are what is measured; each
  // second, of a load publisher.
  uint64_t messages = 1;
  uint32_t publishers = 1;
  uint32_t subscribers = 1;
  uint32_t index = 0;  // of this process among those of its role
  bool best_effort = false;
  bool typed = false;               // payloads are Records (record.h)
  bool memfd = false;               // payloads travel in a memfd
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

  // Why it cannot be measured on this machine; empty: it can.
  virtual std::string Missing() const { return ""; }

  // Whether the scenario means anything for this contestant. Best effort and
  // memfds are choices, and idle memory and crowds figures, of the bus alone.
  virtual bool Concerns(const Scenario& scenario) const {
    return !scenario.best_effort && !scenario.memfd && scenario.crowd.empty() &&
           scenario.kind != Kind::kIdle;
  }

  // Why it cannot do a scenario that concerns it; empty: it can.
  virtual std::string Refuses(const Scenario&) const { return ""; }

  // In the runner: starts the broker with its files in `work.folder`, for
  // payloads of at most `work.payload_bytes`, and returns when it accepts
  // connections.
  virtual absl::StatusOr<Broker> StartBroker(const Work& work) const = 0;

  // In the runner: starts `population` as clients of the broker at `address`.
  // It reports as bench_crowd does (crowd_main.cc).
  virtual absl::StatusOr<Process> StartCrowd(const std::string&,
                                             const Population&) const {
    return absl::UnimplementedError("crowds are not measured");
  }
  // In the runner: starts the operator's tool with `command`.
  virtual absl::StatusOr<Process> StartTool(const std::string&,
                                            const std::string&) const {
    return absl::UnimplementedError("there is no tool");
  }

  // Each of these is one process.

  // The broker itself, where it lives in this program. Reports Ready when it
  // accepts connections; returns never, or with an error.
  virtual absl::Status RunBroker(const Work&, Control&) const {
    return absl::UnimplementedError("the broker is a program of its own");
  }
  // Connects, waits until `subscribers` are confirmed, reports Ready, awaits
  // Go, publishes `messages` payloads that begin with their MakeSequence or are
  // Records with it, and reports Done(start_ns).
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
  // Connects, reports Ready and publishes with PublishLoad (load.h).
  virtual absl::Status RunLoadPublisher(const Work&, Control&) const = 0;
  // Subscribes to the load, reports Ready and takes it until it is stopped.
  virtual absl::Status RunLoadSubscriber(const Work&, Control&) const = 0;
  // Opens kIdleWarmUp connections, reports Ready, awaits Go, opens
  // `connections` more with `subscriptions_each`, reports Done() and keeps
  // them until the runner stops it.
  virtual absl::Status RunIdle(const Work&, Control&) const {
    return absl::UnimplementedError("idle connections are not measured");
  }
  // Pings the broker for a second, reports Ready, awaits Go, pings it until the
  // next go, and reports Done(longest_ns before, and after the first go).
  virtual absl::Status RunProber(const Work&, Control&) const {
    return absl::UnimplementedError("the broker answers no pings");
  }
};

// What a broker allocates once for all is not counted to the connections.
inline constexpr uint32_t kIdleWarmUp = 100;

std::unique_ptr<Contestant> MakeBus();
std::unique_ptr<Contestant> MakeRelay();
std::unique_ptr<Contestant> MakeNats();
std::unique_ptr<Contestant> MakeMosquitto();
std::unique_ptr<Contestant> MakeRedis();
std::unique_ptr<Contestant> MakeZeroMq();
std::unique_ptr<Contestant> MakeDbus();

// All of them. The relay is the last: the others are compared with it.
std::vector<std::unique_ptr<Contestant>> MakeContestants();

// The one that is measured, and the one whose figures are the limit. All others
// are peers.
inline constexpr char kSubject[] = "bus";
inline constexpr char kReference[] = "relay";

}  // namespace ipc::bench

#endif  // IPC_TESTS_BENCH_CONTESTANT_H_
