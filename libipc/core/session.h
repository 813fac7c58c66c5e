// SPDX-License-Identifier: Apache-2.0
//
// A client's session without a socket: the handshake, reopening after a
// reconnect, and the broker's control frames. The parts have different
// guards, which the shell provides:
//
//   publishing()  the client's mutex
//   receiving()   the client's loop
//   roster()      the client's loop
//
// OnControl touches all: it is called in the loop with the mutex held.

#ifndef IPC_LIBIPC_CORE_SESSION_H_
#define IPC_LIBIPC_CORE_SESSION_H_

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "libipc/base/monotonic_time.h"
#include "libipc/core/publishing.h"
#include "libipc/core/receiving.h"
#include "libipc/core/roster.h"
#include "libipc/wire/control.h"

namespace ipc::core {

// Something that the shell tells the application or a waiting caller.
struct SessionEvent {
  enum class Kind {
    kReady,       // WELCOME has come
    kGoodbye,     // `status`, `reason`: the broker ends the connection
    kRefused,     // `name`: a topic or publication; `status`
    kSubscribed,  // `subscription`, `status`: the answer to SUBSCRIBE
    kReply,       // `request`, `frame_kind`, `payload`: any other answer
  };
  Kind kind{};
  absl::Status status;
  wire::CloseReason reason{};
  std::string name;
  SubscriptionId subscription{};
  uint64_t request = 0;
  wire::FrameKind frame_kind{};
  std::string payload;
};

class Session {
 public:
  Session(const Token& token, std::string name, size_t window_bytes);

  Publishing& publishing() { return publishing_; }
  const Publishing& publishing() const { return publishing_; }
  Receiving& receiving() { return receiving_; }
  Roster& roster() { return roster_; }

  // A socket is connected: says HELLO.
  void OnConnected();
  void OnDisconnected();
  bool ready() const { return ready_; }
  // From the last handshake; meaningless before it.
  const wire::Welcome& welcome() const { return welcome_; }

  // Kinds that have their place in the stream of messages and go to
  // receiving(); all others are for OnControl.
  static bool IsInStream(wire::FrameKind kind);
  // A control frame. Errors: the broker is at fault; the connection must end.
  absl::Status OnControl(const wire::Frame& frame, MonotonicTime now);
  std::vector<SessionEvent> TakeEvents() { return std::exchange(events_, {}); }

 private:
  absl::Status OnWelcome(const wire::Frame& frame);
  absl::Status OnGoodbye(const wire::Frame& frame);
  absl::Status OnResult(const wire::Frame& frame);
  absl::Status OnRefused(const wire::Frame& frame);
  absl::Status OnRecovery(const wire::Frame& frame);

  Token token_;
  std::string name_;
  size_t window_bytes_;
  bool ready_ = false;
  wire::Welcome welcome_;
  Publishing publishing_;
  Receiving receiving_;
  Roster roster_;
  std::vector<SessionEvent> events_;
};

// Requests of the application have numbers with this bit; SUBSCRIBE has that
// of its subscription and OPEN kOpenRequestBit.
inline constexpr uint64_t kCallRequestBit = uint64_t{1} << 63;

}  // namespace ipc::core

#endif  // IPC_LIBIPC_CORE_SESSION_H_
