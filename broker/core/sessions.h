// SPDX-License-Identifier: Apache-2.0
//
// The life of sessions: they begin with a HELLO or because a publisher tells
// of a reader, survive the loss of their connection for a grace, and end with a
// GOODBYE, with their process, or with the grace.

#ifndef IPC_BROKER_CORE_SESSIONS_H_
#define IPC_BROKER_CORE_SESSIONS_H_

#include <string>

#include "absl/status/status.h"
#include "broker/core/group.h"
#include "broker/core/links.h"
#include "broker/core/presence.h"
#include "broker/core/routing.h"
#include "broker/core/state.h"
#include "broker/core/status.h"

namespace ipc::broker {

class Sessions {
 public:
  // What it works with and on.
  struct Parts {
    State* state;
    Links* links;
    Groups* groups;
    Routing* routing;
    Status* status;
    Presence* presence;
  };

  explicit Sessions(const Parts& parts)
      : state_(*parts.state),
        links_(*parts.links),
        groups_(*parts.groups),
        routing_(*parts.routing),
        status_(*parts.status),
        presence_(*parts.presence) {}

  void OnHello(Connection* connection, const wire::Hello& hello);
  // The client has reopened what it had; what it left out is given up.
  void OnResumed(Session* session);
  // Tells the peer why, and leaves the connection to the shell to close.
  void Close(Connection* connection, wire::CloseReason reason,
             std::string text);
  // The connection is gone. With `session_ends` its session goes with it; else
  // the session is awaited.
  void Detach(Connection* connection, bool session_ends);
  void End(Session* session);

  // The session of a reader that a publisher tells of, found or awaited. Null
  // when there is no room for it.
  Session* Await(const SessionKey& key);
  // Found or made; who makes one for a publisher awaits its client.
  Subscription* MakeSubscription(Session* session, SubscriptionId id);
  Subscription* AwaitSubscription(Session* session, SubscriptionId id);

  void RemoveSubscription(Subscription* subscription);
  void RemoveChannel(Channel* channel);

  void OnGraceTimer(Session* session);
  void OnAwaitedTimer(Session* session, SubscriptionId id);

 private:
  Session* Make(const SessionKey& key);
  void StartGrace(Session* session);
  void GiveUpPositions(Subscription* subscription);
  void TellGone(Subscription* reader, SessionNumber publisher);

  State& state_;
  Links& links_;
  Groups& groups_;
  Routing& routing_;
  Status& status_;
  Presence& presence_;
};

}  // namespace ipc::broker

#endif  // IPC_BROKER_CORE_SESSIONS_H_
