// SPDX-License-Identifier: Apache-2.0
//
// The broker without a socket: bytes, events and the time in; bytes, ended
// connections and the next deadline out. Same calls, same results.
//
// A turn is one On... call. After it, the shell takes the dirty connections,
// sends what their outboxes gather, and settles them; what the outboxes have
// borrowed lies in the bytes of that call.
//
//   broker.OnBytes(id, bytes, now);
//   for (Connection* connection : broker.TakeDirty()) {
//     ... connection->outbox: Gather, Sent, until it is empty or full; Settle
//     broker.OnSent(connection);
//   }
//   for (const Ended& ended : broker.TakeEnded()) { close; broker.OnLost }

#ifndef IPC_BROKER_CORE_BROKER_H_
#define IPC_BROKER_CORE_BROKER_H_

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "broker/core/acknowledgement.h"
#include "broker/core/group.h"
#include "broker/core/handshakes.h"
#include "broker/core/links.h"
#include "broker/core/presence.h"
#include "broker/core/requests.h"
#include "broker/core/routing.h"
#include "broker/core/sessions.h"
#include "broker/core/stalls.h"
#include "broker/core/state.h"
#include "broker/core/status.h"

namespace ipc::broker {

struct BrokerOptions {
  Token instance;       // random
  std::string version;  // for people
  int32_t pid = 0;      // for people
  uint64_t message_bytes_max = kMessageBytesMaxDefault;
  // A broker died here before: its clients are on their way back.
  bool restarted = false;
  // What may wait for one reliable subscription before it is caught up from
  // the publishers' logs instead. At least one frame is.
  uint64_t reliable_queue_bytes_max = kReliableQueueBytesMax;
  // How long a reliable subscription may consume nothing while messages wait
  // for it; it may ask for less. Within kStallTimeoutMin and kStallTimeoutMax.
  absl::Duration stall_timeout = kStallTimeoutDefault;
};

class Broker {
 public:
  Broker(const BrokerOptions& options, MonotonicTime now);

  // A client connected. False: too many; close it.
  bool OnConnect(ConnectionId id, const Peer& peer, MonotonicTime now);
  // A client was turned away before it had a connection.
  void OnRefused(const Peer& peer, wire::CloseReason reason,
                 const std::string& text, MonotonicTime now);
  // The size of what the connection has kept of an incomplete frame. The bytes
  // of the next OnBytes start with room for it.
  size_t TailSize(ConnectionId id) const;
  // Descriptors came with the bytes of the next OnBytes; not null.
  void OnDescriptors(ConnectionId id, Descriptors descriptors);
  // Bytes came. They are changed in place and borrowed until the connections
  // are settled.
  void OnBytes(ConnectionId id, std::span<std::byte> bytes, MonotonicTime now);
  // The socket is gone. `process_alive`: its session may come back.
  void OnLost(ConnectionId id, bool process_alive, MonotonicTime now);
  // A process whose session is awaited is known to be gone.
  void OnProcessExited(const SessionKey& session, MonotonicTime now);
  // The shell saw that a connection must end.
  void Close(ConnectionId id, wire::CloseReason reason, std::string text);
  // The broker is about to end. From now on publications are dropped: their
  // publishers keep them for the next broker. What was routed goes on, and so
  // do acknowledgements.
  void Drain(MonotonicTime now);
  // Whether everything that was routed has reached its subscribers, is
  // consumed, and acknowledged; of those that are connected.
  bool IsDrained() const;
  // Says goodbye to everybody.
  void Shutdown(MonotonicTime now);

  void OnTime(MonotonicTime now);
  MonotonicTime NextDeadline() const { return state_.timers.Next(); }

  // Connections with something to send.
  std::vector<Connection*> TakeDirty();
  // After sending to a connection as much as it takes.
  void OnSent(Connection* connection);
  // Connections to be closed once their last bytes are sent.
  std::vector<Ended> TakeEnded();
  // Sessions that publishers have told of in the last turns, and that this
  // broker has never seen: their processes may be gone (OnProcessExited).
  std::vector<SessionKey> TakeAwaited();
  // Reliable subscriptions that consume nothing: at half of their timeout, and
  // when it has passed.
  std::vector<Slow> TakeSlow();
  // Null if there is no such connection.
  Connection* Find(ConnectionId id) const;

  const State& state() const { return state_; }

 private:
  void OnFrame(Connection* connection, wire::Frame* frame);
  // Gives the frame the descriptors that it says to have; false if they were
  // not passed.
  bool Attach(Connection* connection, wire::Frame* frame);
  void CheckPassed(Connection* connection);
  absl::Status OnFrameOfSession(Session* session, const wire::Frame& frame);
  absl::Status OnRequest(Session* session, const wire::Frame& frame);
  void OnAck(const Connection& connection, const wire::Frame& frame);
  void OnSelect(Connection* connection, SubscriptionId id);
  absl::Status OnMark(Session* session, const wire::Frame& frame);
  void OnGoodbye(Connection* connection, const wire::Frame& frame);
  void OnTimer(const Timer& timer);
  void ReleaseHeld();
  void CloseIfNotReading(Connection* connection);
  void FinishTurn();

  State state_;
  Acknowledgement acknowledgement_;
  Links links_;
  Groups groups_;
  Stalls stalls_;
  Routing routing_;
  Status status_;
  Presence presence_;
  Sessions sessions_;
  Handshakes handshakes_;
  Requests requests_;
};

}  // namespace ipc::broker

#endif  // IPC_BROKER_CORE_BROKER_H_
