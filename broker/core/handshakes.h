// SPDX-License-Identifier: Apache-2.0
//
// Connections that have not said HELLO, and until when they may. All may take
// equally long, so they are in line, and one timer at a time serves them all:
// thousands that connect at once, and say HELLO at once, leave nothing behind.

#ifndef IPC_BROKER_CORE_HANDSHAKES_H_
#define IPC_BROKER_CORE_HANDSHAKES_H_

#include <deque>

#include "broker/core/sessions.h"
#include "broker/core/state.h"

namespace ipc::broker {

class Handshakes {
 public:
  Handshakes(State* state, Sessions* sessions)
      : state_(*state), sessions_(*sessions) {}

  void OnConnect(const Connection& connection);
  // TimerKind::kHandshake.
  void OnTimer();

 private:
  struct Awaited {
    ConnectionId connection{};
    MonotonicTime until;
  };

  // Null: it has said HELLO, or is gone.
  Connection* Find(const Awaited& awaited) const;
  // Of those at the front.
  void ForgetWhoIsDone();
  void SetTimer();

  State& state_;
  Sessions& sessions_;
  // The oldest first. Those that are done are among them until they are the
  // first.
  std::deque<Awaited> awaited_;
  bool timer_is_set_ = false;
};

}  // namespace ipc::broker

#endif  // IPC_BROKER_CORE_HANDSHAKES_H_
