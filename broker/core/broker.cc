// SPDX-License-Identifier: Apache-2.0
//
// Dispatch: which frame may come in which state, and who handles it.

#include "broker/core/broker.h"

#include <algorithm>
#include <memory>
#include <utility>

#include "absl/strings/str_cat.h"

namespace ipc::broker {
namespace {

using wire::CloseReason;
using wire::Frame;
using wire::FrameKind;

absl::Status BadPayload(FrameKind kind) {
  return absl::DataLossError(
      absl::StrCat("the payload of ", wire::KindName(kind), " is invalid"));
}

// Of what was routed to it.
bool HasConsumedAll(const Subscription& subscription) {
  if (!subscription.reliable) return true;
  if (subscription.IsMember()) {
    return subscription.membership->held == 0;
  }
  for (const auto& [number, link] : subscription.links) {
    if (link->state != Link::State::kLive) continue;
    for (const auto& [topic, reading] : link->readings) {
      if (reading->consumed + 1 < reading->channel->next_sequence) return false;
    }
  }
  return true;
}

}  // namespace

Broker::Broker(const BrokerOptions& options, MonotonicTime now)
    : acknowledgement_(&state_),
      links_(&state_, &acknowledgement_),
      groups_(&state_, &links_, &acknowledgement_),
      stalls_(&state_, &links_, &groups_),
      routing_(&state_, &links_, &acknowledgement_, &stalls_),
      status_(&state_),
      presence_(&state_),
      sessions_({.state = &state_,
                 .links = &links_,
                 .groups = &groups_,
                 .routing = &routing_,
                 .status = &status_,
                 .presence = &presence_}),
      handshakes_(&state_, &sessions_),
      requests_(&state_, &links_, &groups_, &acknowledgement_, &sessions_) {
  state_.instance = options.instance;
  state_.version = options.version;
  state_.pid = options.pid;
  state_.message_bytes_max = options.message_bytes_max;
  state_.reliable_queue_bytes_max =
      std::max<uint64_t>(options.reliable_queue_bytes_max, kDataFrameBytesMax);
  state_.stall_timeout =
      std::clamp(options.stall_timeout, kStallTimeoutMin, kStallTimeoutMax);
  state_.now = now;
  state_.started = now;
  state_.succeeds = options.restarted;
  state_.hold = now + (options.restarted ? kRecoveryGrace : kStartHold);
  state_.timers.Add({.due = state_.hold, .kind = TimerKind::kHold});
}

bool Broker::OnConnect(ConnectionId id, const Peer& peer, MonotonicTime now) {
  state_.now = now;
  if (state_.connections.size() >= kConnectionsMax ||
      state_.handshakes >= kHandshakesMax) {
    return false;
  }
  auto connection = std::make_unique<Connection>(id, peer, &state_.outboxes);
  handshakes_.OnConnect(*connection);
  state_.connections.emplace(id, std::move(connection));
  ++state_.handshakes;
  ++state_.counters.accepted;
  return true;
}

void Broker::OnRefused(const Peer& peer, CloseReason reason,
                       const std::string& text, MonotonicTime now) {
  state_.now = now;
  ++state_.counters.refused;
  status_.Record("", peer, MakeEnd(reason, text));
}

Connection* Broker::Find(ConnectionId id) const {
  auto found = state_.connections.find(id);
  return found == state_.connections.end() ? nullptr : found->second.get();
}

size_t Broker::TailSize(ConnectionId id) const {
  const Connection* connection = Find(id);
  return connection == nullptr ? 0 : connection->reader.tail_size();
}

void Broker::OnDescriptors(ConnectionId id, Descriptors descriptors) {
  Connection* connection = Find(id);
  if (connection == nullptr || connection->closing) return;
  connection->passed.Edit().Add(std::move(descriptors));
}

bool Broker::Attach(Connection* connection, Frame* frame) {
  frame->descriptors =
      connection->passed.Edit().Take(frame->header.descriptors);
  if (frame->descriptors != nullptr) return true;
  sessions_.Close(
      connection, CloseReason::kMalformed,
      absl::StrCat("a frame says to have ", int{frame->header.descriptors},
                   " descriptors; they were not passed with it"));
  return false;
}

// Nobody keeps descriptors open here that belong to no frame.
void Broker::CheckPassed(Connection* connection) {
  if (!connection->passed->MayBelongTo(connection->reader.tail())) {
    sessions_.Close(connection, CloseReason::kMalformed,
                    "descriptors were passed that no frame says to have");
  }
  if (connection->closing || connection->passed->empty()) {
    connection->passed.Reset();
  }
}

void Broker::OnBytes(ConnectionId id, std::span<std::byte> bytes,
                     MonotonicTime now) {
  state_.now = now;
  Connection* connection = Find(id);
  if (connection == nullptr || connection->closing) return;
  connection->reader.Begin(bytes);
  Frame frame;
  while (!connection->closing && connection->reader.Next(&frame)) {
    if (frame.header.descriptors != 0 && !Attach(connection, &frame))
        [[unlikely]] {
      break;
    }
    OnFrame(connection, &frame);
    if (frame.descriptors != nullptr) [[unlikely]]
      frame.descriptors = nullptr;
    if (frame.header.kind == FrameKind::kPublish) {
      connection->reader.Skip(routing_.OnMore(connection->reader.rest()));
    }
  }
  routing_.Finish();
  connection->reader.End();
  wire::FrameFault fault = connection->reader.fault();
  if (fault != wire::FrameFault::kNone) {
    sessions_.Close(connection, CloseReason::kMalformed,
                    std::string(wire::FaultText(fault)));
  }
  if (connection->passed.made()) [[unlikely]]
    CheckPassed(connection);
  FinishTurn();
}

void Broker::OnFrame(Connection* connection, Frame* frame) {
  Session* session = connection->session;
  FrameKind kind = frame->header.kind;
  if (session != nullptr && kind == FrameKind::kPublish) {
    if (state_.draining) return;
    absl::Status status = routing_.OnPublish(session, frame);
    if (!status.ok()) {
      sessions_.Close(connection, CloseReason::kViolation,
                      std::string(status.message()));
    }
    return;
  }
  routing_.Finish();
  if (session == nullptr) {
    wire::Hello hello;
    if (kind != FrameKind::kHello) {
      sessions_.Close(connection, CloseReason::kViolation,
                      absl::StrCat(wire::KindName(kind), " before HELLO"));
    } else if (!wire::Parse(frame->text(), &hello)) {
      sessions_.Close(connection, CloseReason::kMalformed,
                      "the payload of HELLO is invalid");
    } else {
      sessions_.OnHello(connection, hello);
    }
    return;
  }
  switch (kind) {
    case FrameKind::kAck:
      OnAck(*connection, *frame);
      return;
    case FrameKind::kSelect:
      OnSelect(connection, SubscriptionId{frame->header.target});
      return;
    case FrameKind::kGoodbye:
      OnGoodbye(connection, *frame);
      return;
    default:
      break;
  }
  absl::Status status = OnFrameOfSession(session, *frame);
  if (status.ok()) {
    // Now, because the rest of the buffer may ask for as much again.
    CloseIfNotReading(connection);
    return;
  }
  sessions_.Close(connection,
                  absl::IsDataLoss(status) ? CloseReason::kMalformed
                                           : CloseReason::kViolation,
                  std::string(status.message()));
}

// An error ends the connection.
absl::Status Broker::OnFrameOfSession(Session* session, const Frame& frame) {
  switch (frame.header.kind) {
    case FrameKind::kPing:
      state_.SendHeader(
          session->connection,
          {.kind = FrameKind::kPong, .sequence = frame.header.sequence});
      return absl::OkStatus();
    case FrameKind::kResumed:
    case FrameKind::kJoined:
    case FrameKind::kResendEnd:
      return OnMark(session, frame);
    case FrameKind::kListTopics: {
      wire::ListTopics list;
      if (!wire::Parse(frame.text(), &list)) break;
      requests_.OnListTopics(session, list, frame.header.sequence);
      return absl::OkStatus();
    }
    case FrameKind::kListClients: {
      wire::ListClients list;
      if (!wire::Parse(frame.text(), &list)) break;
      requests_.OnListClients(session, list, frame.header.sequence);
      return absl::OkStatus();
    }
    case FrameKind::kGetStatus: {
      wire::GetStatus get;
      if (!wire::Parse(frame.text(), &get)) break;
      status_.OnGetStatus(session, get, frame.header.sequence);
      return absl::OkStatus();
    }
    default:
      return OnRequest(session, frame);
  }
  return BadPayload(frame.header.kind);
}

// A refusal is the answer to the request and nothing more.
absl::Status Broker::OnRequest(Session* session, const Frame& frame) {
  uint64_t request = frame.header.sequence;
  absl::Status answer;
  bool answers_itself = true;
  switch (frame.header.kind) {
    case FrameKind::kOpen: {
      wire::Open open;
      if (!wire::Parse(frame.text(), &open)) {
        return BadPayload(FrameKind::kOpen);
      }
      answer = requests_.OnOpen(session, open, request);
      break;
    }
    case FrameKind::kSubscribe: {
      wire::Subscribe subscribe;
      if (!wire::Parse(frame.text(), &subscribe)) {
        return BadPayload(FrameKind::kSubscribe);
      }
      answer = requests_.OnSubscribe(session, subscribe, request);
      break;
    }
    case FrameKind::kGetSchema: {
      wire::GetSchema get;
      if (!wire::Parse(frame.text(), &get)) {
        return BadPayload(FrameKind::kGetSchema);
      }
      answer = requests_.OnGetSchema(session, get, request);
      break;
    }
    case FrameKind::kSchema: {
      wire::Schema schema;
      if (!wire::Parse(frame.text(), &schema)) {
        return BadPayload(FrameKind::kSchema);
      }
      answer = state_.schemas.Add(schema.hash,
                                  std::move(schema.file_descriptor_set));
      answers_itself = false;
      break;
    }
    case FrameKind::kWatchClients: {
      wire::WatchClients watch;
      if (!wire::Parse(frame.text(), &watch)) {
        return BadPayload(FrameKind::kWatchClients);
      }
      answer = presence_.OnWatchClients(session->connection, watch);
      answers_itself = false;
      break;
    }
    case FrameKind::kClose:
      answer = requests_.OnClose(session, ChannelNumber{frame.header.target});
      answers_itself = false;
      break;
    case FrameKind::kUnsubscribe:
      answer =
          requests_.OnUnsubscribe(session, SubscriptionId{frame.header.target});
      answers_itself = false;
      break;
    default:
      return absl::FailedPreconditionError(absl::StrCat(
          wire::KindName(frame.header.kind), " is not for a client to send"));
  }
  if (!answer.ok() || !answers_itself) {
    state_.SendControl(
        session->connection,
        wire::Result{answer.code(), std::string(answer.message())}, request);
  }
  return absl::OkStatus();
}

void Broker::OnSelect(Connection* connection, SubscriptionId id) {
  auto& subscriptions = connection->session->subscriptions;
  auto found = subscriptions.find(id);
  connection->selected =
      found == subscriptions.end() ? nullptr : found->second.get();
}

// An ACK for what is gone has crossed its end, and means nothing any more.
void Broker::OnAck(const Connection& connection, const Frame& frame) {
  if (connection.selected == nullptr) return;
  if (connection.selected->IsMember()) {
    if (groups_.OnAck(connection.selected, SessionNumber{frame.header.session},
                      TopicId{frame.header.target}, frame.header.sequence)) {
      stalls_.OnConsumed(connection.selected);
    }
    return;
  }
  // Of a channel that is closed by now, too: it goes on.
  if (connection.selected->stall->aside) {
    stalls_.OnConsumed(connection.selected);
  }
  const auto& links = connection.selected->links;
  auto link = links.find(SessionNumber{frame.header.session});
  if (link == links.end()) return;
  auto reading = link->second->readings.find(TopicId{frame.header.target});
  if (reading == link->second->readings.end()) return;
  if (acknowledgement_.OnConsumed(reading->second.get(),
                                  frame.header.sequence)) {
    stalls_.OnConsumed(connection.selected);
  }
}

absl::Status Broker::OnMark(Session* session, const Frame& frame) {
  if (frame.header.kind == FrameKind::kResumed) {
    if (!session->reopening) {
      return absl::FailedPreconditionError("RESUMED a second time");
    }
    sessions_.OnResumed(session);
    return absl::OkStatus();
  }
  Link* link = links_.Find(session, ReaderId{frame.header.session});
  if (link == nullptr) return absl::OkStatus();  // has left meanwhile
  if (frame.header.kind == FrameKind::kJoined) {
    links_.OnJoined(link);
  } else {
    links_.OnResendEnd(link);
  }
  return absl::OkStatus();
}

void Broker::OnGoodbye(Connection* connection, const Frame& frame) {
  wire::Goodbye goodbye;
  if (!wire::Parse(frame.text(), &goodbye)) {
    sessions_.Close(connection, CloseReason::kMalformed,
                    "the payload of GOODBYE is invalid");
    return;
  }
  sessions_.Close(connection, CloseReason::kDone, std::move(goodbye.text));
  sessions_.Detach(connection, /*session_ends=*/true);
}

void Broker::OnLost(ConnectionId id, bool process_alive, MonotonicTime now) {
  state_.now = now;
  Connection* connection = Find(id);
  if (connection == nullptr) return;
  if (!connection->greeted) --state_.handshakes;
  if (!connection->closing) status_.OnLost(*connection);
  sessions_.Detach(connection, /*session_ends=*/!process_alive);
  if (connection->dirty) std::erase(state_.dirty, connection);
  state_.connections.erase(id);
  FinishTurn();
}

void Broker::OnProcessExited(const SessionKey& key, MonotonicTime now) {
  state_.now = now;
  auto session = state_.sessions_by_key.find(key);
  if (session == state_.sessions_by_key.end() ||
      (*session)->connection != nullptr) {
    return;
  }
  sessions_.End(*session);
  FinishTurn();
}

void Broker::Close(ConnectionId id, CloseReason reason, std::string text) {
  if (Connection* connection = Find(id); connection != nullptr) {
    sessions_.Close(connection, reason, std::move(text));
    FinishTurn();
  }
}

void Broker::Drain(MonotonicTime now) {
  state_.now = now;
  state_.draining = true;
}

// What the hold keeps back is not waited for: nobody loses by it.
bool Broker::IsDrained() const {
  for (const auto& [number, session] : state_.sessions) {
    if (session->connection == nullptr) continue;
    if (!session->connection->outbox.empty() ||
        !session->unacknowledged.empty()) {
      return false;
    }
    for (const auto& [id, subscription] : session->subscriptions) {
      if (!HasConsumedAll(*subscription)) return false;
    }
  }
  return true;
}

void Broker::Shutdown(MonotonicTime now) {
  state_.now = now;
  // Oldest first: a hash map's own order differs from run to run.
  std::vector<ConnectionId> ids;
  for (const auto& [id, connection] : state_.connections) ids.push_back(id);
  std::sort(ids.begin(), ids.end());
  for (ConnectionId id : ids) {
    sessions_.Close(Find(id), CloseReason::kShutdown,
                    "the broker is shutting down");
  }
}

void Broker::OnTime(MonotonicTime now) {
  state_.now = now;
  while (auto timer = state_.timers.TakeDue(now)) OnTimer(*timer);
  FinishTurn();
}

void Broker::OnTimer(const Timer& timer) {
  if (timer.kind == TimerKind::kHandshake) {
    handshakes_.OnTimer();
    return;
  }
  if (timer.kind == TimerKind::kHold) {
    ReleaseHeld();
    return;
  }
  auto found =
      state_.sessions.find(SessionNumber{static_cast<uint32_t>(timer.subject)});
  if (found == state_.sessions.end()) return;
  Session* session = found->second.get();
  switch (timer.kind) {
    case TimerKind::kGrace:
      sessions_.OnGraceTimer(session);
      break;
    case TimerKind::kAwaited:
      sessions_.OnAwaitedTimer(session, SubscriptionId{timer.detail});
      break;
    case TimerKind::kJoin:
      links_.OnJoinTimer(session, SubscriptionId{timer.detail});
      break;
    case TimerKind::kAcknowledge:
      acknowledgement_.OnTimer(session);
      break;
    case TimerKind::kStall:
      stalls_.OnTimer(session, SubscriptionId{timer.detail});
      break;
    case TimerKind::kHandshake:
    case TimerKind::kHold:
      break;
  }
}

void Broker::ReleaseHeld() {
  if (state_.now < state_.hold) return;
  for (auto& [number, session] : state_.sessions) {
    for (auto& channel : session->channels) {
      if (channel == nullptr || !channel->held) continue;
      channel->held = false;
      acknowledgement_.OnReadersChanged(channel.get());
    }
  }
}

void Broker::CloseIfNotReading(Connection* connection) {
  if (connection->outbox.control_bytes() <= kControlQueueBytesMax) return;
  sessions_.Close(connection, CloseReason::kNotReading,
                  "control frames pile up unread");
}

void Broker::FinishTurn() {
  links_.CatchUp();
  acknowledgement_.Flush();
  for (Connection* connection : state_.dirty) {
    CloseIfNotReading(connection);
  }
  for (const Ended& ended : state_.ended) {
    if (Connection* connection = Find(ended.id)) {
      sessions_.Detach(connection, /*session_ends=*/false);
    }
  }
}

std::vector<Connection*> Broker::TakeDirty() {
  std::vector<Connection*> dirty = std::exchange(state_.dirty, {});
  for (Connection* connection : dirty) connection->dirty = false;
  return dirty;
}

void Broker::OnSent(Connection* connection) {
  if (connection->outbox.empty() && !state_.behind.empty()) FinishTurn();
}

std::vector<Ended> Broker::TakeEnded() {
  return std::exchange(state_.ended, {});
}

std::vector<Slow> Broker::TakeSlow() { return std::exchange(state_.slow, {}); }

std::vector<SessionKey> Broker::TakeAwaited() {
  return std::exchange(state_.awaited, {});
}

}  // namespace ipc::broker
