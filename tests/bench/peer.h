// SPDX-License-Identifier: Apache-2.0
//
// A contestant that others have made: a broker that is a program of its own
// and a client library. The roles are written once, here, over the few calls
// that every such library has; a peer's file says how they are made with it.
//
// What is the same for all: no authentication, no persistence, nothing logged,
// every message received by every subscriber. A peer that would drop what a
// subscriber is too slow for is kept from it by a window (window.h).

#ifndef IPC_TESTS_BENCH_PEER_H_
#define IPC_TESTS_BENCH_PEER_H_

#include <signal.h>

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "tests/bench/contestant.h"

namespace ipc::bench {

// The topics; a peer that separates their parts otherwise translates them.
inline constexpr char kTopicA[] = "bench.a";
inline constexpr char kTopicB[] = "bench.b";
inline constexpr char kTopicLoad[] = "bench.l";

// One process's connection. The handler runs in Receive or on the library's
// own thread; Publish may be called from it.
class PeerClient {
 public:
  using Handler = std::function<void(std::span<const std::byte>)>;

  virtual ~PeerClient() = default;

  // Once at most. Returns when it is certain that what anyone publishes from
  // now on arrives.
  virtual absl::Status Subscribe(const std::string& topic, Handler handler) = 0;
  // May keep the message until Flush, or until there is enough to send.
  virtual absl::Status Publish(const std::string& topic,
                               std::span<const std::byte> payload) = 0;
  // Sends, or has a thread of the library send, what Publish has kept.
  virtual absl::Status Flush() { return absl::OkStatus(); }
  // Receives until `done`, which the handler sets.
  virtual absl::Status Receive(const std::atomic<bool>& done) = 0;
};

// What a connection is made for.
enum class Use {
  kBulk,       // collect small messages, for throughput
  kRoundTrip,  // send each at once
};

class Peer : public Contestant {
 public:
  virtual absl::StatusOr<std::unique_ptr<PeerClient>> Connect(
      const Work& work, Use use) const = 0;
  // How many bytes of all publishers may be on their way; 0: the peer itself
  // holds up a publisher that is too fast.
  virtual uint64_t window_bytes() const { return 0; }

  absl::Status RunPublisher(const Work& work, Control& control) const override;
  absl::Status RunSubscriber(const Work& work, Control& control) const override;
  absl::Status RunPinger(const Work& work, Control& control) const override;
  absl::Status RunEcho(const Work& work, Control& control) const override;
  absl::Status RunLoadPublisher(const Work& work,
                                Control& control) const override;
  absl::Status RunLoadSubscriber(const Work& work,
                                 Control& control) const override;

  // Where a server's program is: in PATH or a folder of system programs, which
  // not everyone's PATH has. Empty: nowhere.
  static std::string FindProgram(const std::string& name);
  // "<name> is not installed" (Debian's package of the same name), or nothing.
  static std::string MissingProgram(const std::string& name);
};

struct ServerOptions {
  std::vector<std::string> argv;  // argv[0] is a program's name
  int stop_signal = SIGTERM;      // that makes it end with status 0
};

// Starts a broker and returns it as soon as `probe`, which is called every few
// milliseconds, says true of it. Its output goes to a file in the work's
// folder. Errors: kAborted if it ends, with the last that it wrote;
// kDeadlineExceeded after kStepNsMax.
absl::StatusOr<Broker> StartServer(const Work& work,
                                   const ServerOptions& server,
                                   const std::function<bool(Broker&)>& probe);

// As above, with its address `path`, a Unix socket on which it listens.
absl::StatusOr<Broker> StartUnixServer(const Work& work,
                                       const ServerOptions& server,
                                       const std::string& path);

// A contestant that only says why it is missing.
std::unique_ptr<Contestant> MakeMissing(const std::string& name,
                                        const std::string& reason);

}  // namespace ipc::bench

#endif  // IPC_TESTS_BENCH_PEER_H_
