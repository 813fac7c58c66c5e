// SPDX-License-Identifier: Apache-2.0
//
// Tells those who watch which clients come and go. A client is a session that
// has said HELLO to this broker.
//
//              OnReturned
//            ┌───────────┐
//   OnCame   v           │
//  ──────> there ─────> awaited ──> gone
//            │  OnLost         OnWent ^
//            └────────────────────────┘

#ifndef IPC_BROKER_CORE_PRESENCE_H_
#define IPC_BROKER_CORE_PRESENCE_H_

#include <cstdint>

#include "absl/status/status.h"
#include "broker/core/state.h"

namespace ipc::broker {

class Presence {
 public:
  explicit Presence(State* state) : state_(*state) {}

  // Begins or ends the watch of a connection. Returns OK or the refusal,
  // which is the answer, behind the initial frames.
  absl::Status OnWatchClients(Connection* connection,
                              const wire::WatchClients& watch);
  // The connection has no session any more.
  void Forget(Connection* connection);

  // `session` has changed; does nothing for one that has said no HELLO.
  void OnCame(const Session& session);
  void OnReturned(const Session& session);
  void OnLost(const Session& session);
  void OnWent(const Session& session);

 private:
  void Tell(const Session& session, wire::PresenceChange change);

  State& state_;
};

}  // namespace ipc::broker

#endif  // IPC_BROKER_CORE_PRESENCE_H_
