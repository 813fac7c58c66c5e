// SPDX-License-Identifier: Apache-2.0
//
// Handshake, loss, return and end.

#include "broker/core/sessions.h"

#include <algorithm>
#include <memory>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "libipc/base/topic_grammar.h"

namespace ipc::broker {

using wire::CloseReason;

void Sessions::OnHello(Connection* connection, const wire::Hello& hello) {
  if (hello.version_min > wire::kProtocolVersion ||
      hello.version_max < wire::kProtocolVersion) {
    Close(connection, CloseReason::kVersion,
          absl::StrCat("client speaks versions ", hello.version_min, " to ",
                       hello.version_max, "; this broker speaks ",
                       wire::kProtocolVersion));
    return;
  }
  if (absl::Status name = ValidateClientName(hello.name); !name.ok()) {
    Close(connection, CloseReason::kViolation, std::string(name.message()));
    return;
  }
  SessionKey key{hello.token, connection->peer.pid, connection->peer.uid};
  auto known = state_.sessions_by_key.find(key);
  Session* session = known == state_.sessions_by_key.end() ? Make(key) : *known;
  if (session->connection != nullptr) {
    Connection* old = session->connection;
    Close(old, CloseReason::kSuperseded, "the session connected again");
    Detach(old, /*session_ends=*/false);
  }
  const bool comes = session->name.empty();
  session->name = hello.name;
  session->gid = connection->peer.gid;
  session->window_bytes = std::clamp<uint64_t>(
      hello.window_bytes, kWindowBytesMin, kWindowBytesMax);
  session->connection = connection;
  ++state_.connected_sessions;
  session->reopening = true;
  connection->session = session;
  connection->greeted = true;
  connection->reader.set_control_bytes_max(kControlFrameBytesMax);
  --state_.handshakes;
  if (!hello.previous_instance.IsZero() &&
      hello.previous_instance != state_.instance) {
    // Others are on their way back from that broker, too.
    state_.succeeds = true;
    state_.hold = std::max(state_.hold, state_.started + kRecoveryGrace);
    state_.timers.Add({.due = state_.hold, .kind = TimerKind::kHold});
  }
  state_.SendControl(
      connection, wire::Welcome{.instance = state_.instance,
                                .session_number = session->number,
                                .broker_version = state_.version,
                                .message_bytes_max = state_.message_bytes_max});
  comes ? presence_.OnCame(*session) : presence_.OnReturned(*session);
}

void Sessions::OnResumed(Session* session) {
  session->reopening = false;
  for (auto& channel : session->channels) {
    if (channel != nullptr && channel->stale) RemoveChannel(channel.get());
  }
  std::vector<Subscription*> stale;
  for (auto& [id, subscription] : session->subscriptions) {
    // Without a pattern: a publisher has told of it, but it is no more.
    if (subscription->stale || subscription->pattern.empty()) {
      stale.push_back(subscription.get());
    }
  }
  for (Subscription* subscription : stale) RemoveSubscription(subscription);
  links_.OnPublisherReady(session);
  for (auto& channel : session->channels) {
    if (channel != nullptr) links_.TellMatches(channel.get());
  }
}

Session* Sessions::Make(const SessionKey& key) {
  auto made = std::make_unique<Session>();
  Session* session = made.get();
  session->number = SessionNumber{++state_.last_session};
  session->key = key;
  if (IsGroup(key)) ++state_.group_sessions;
  state_.sessions.emplace(session->number, std::move(made));
  state_.sessions_by_key.insert(session);
  return session;
}

void Sessions::Close(Connection* connection, CloseReason reason,
                     std::string text) {
  if (connection->closing) return;
  state_.SendControl(connection, wire::Goodbye{reason, text});
  connection->closing = true;
  connection->end.Edit() = MakeEnd(reason, text);
  status_.OnClosed(*connection);
  Ended ended;
  ended.id = connection->id;
  ended.reason = reason;
  ended.text = std::move(text);
  if (connection->session != nullptr) {
    ended.session = connection->session->key;
    ended.name = connection->session->name;
  }
  state_.ended.push_back(std::move(ended));
}

void Sessions::Detach(Connection* connection, bool session_ends) {
  Session* session = connection->session;
  connection->session = nullptr;
  connection->selected = nullptr;
  if (session == nullptr) return;
  for (auto& [id, subscription] : session->subscriptions) {
    if (subscription->IsMember()) {
      groups_.OnAway(subscription.get());
    } else {
      links_.OnReaderAway(subscription.get());
    }
    connection->outbox.Remove(&subscription->lane);
    subscription->TakeRequest();
    subscription->stale = !subscription->pattern.empty();
  }
  for (auto& channel : session->channels) {
    if (channel == nullptr) continue;
    routing_.Abort(channel.get());
    channel->stale = true;
  }
  links_.OnPublisherAway(session);
  session->connection = nullptr;
  --state_.connected_sessions;
  session->end = std::move(connection->end);
  presence_.Forget(connection);
  if (session_ends) {
    End(session);
  } else {
    presence_.OnLost(*session);
    StartGrace(session);
  }
}

void Sessions::StartGrace(Session* session) {
  session->awaited_until = state_.now + kRecoveryGrace;
  state_.timers.Add({.due = session->awaited_until,
                     .kind = TimerKind::kGrace,
                     .subject = ToNumber(session->number)});
}

void Sessions::OnGraceTimer(Session* session) {
  if (session->connection == nullptr && session->awaited_until <= state_.now) {
    End(session);
  }
}

void Sessions::End(Session* session) {
  presence_.OnWent(*session);
  while (!session->subscriptions.empty()) {
    RemoveSubscription(session->subscriptions.begin()->second.get());
  }
  // In the stream of each reader, behind the last of this publisher's messages.
  for (auto& [id, link] : session->links) {
    links_.TellSkippedOf(link.get());
    if (const Group* group = link->subscription->group()) {
      for (auto& [number, member] : group->members) {
        TellGone(member, session->number);
      }
    } else {
      TellGone(link->subscription, session->number);
    }
  }
  for (auto& channel : session->channels) {
    if (channel != nullptr) RemoveChannel(channel.get());
  }
  links_.DetachPublisher(session);
  if (session->connection != nullptr) session->connection->session = nullptr;
  if (IsGroup(session->key)) --state_.group_sessions;
  state_.sessions_by_key.erase(session->key);
  state_.sessions.erase(session->number);
}

void Sessions::TellGone(Subscription* reader, SessionNumber publisher) {
  Connection* connection = reader->session->connection;
  if (connection == nullptr) return;
  connection->outbox.AddFrame(&reader->lane, {.kind = wire::FrameKind::kGone,
                                              .session = ToNumber(publisher)});
  state_.MarkDirty(connection);
}

Session* Sessions::Await(const SessionKey& key) {
  auto known = state_.sessions_by_key.find(key);
  if (known != state_.sessions_by_key.end()) return *known;
  if (state_.sessions.size() >= kSessionsMax) return nullptr;
  Session* session = Make(key);
  StartGrace(session);
  if (!IsGroup(key)) state_.awaited.push_back(key);
  return session;
}

Subscription* Sessions::MakeSubscription(Session* session, SubscriptionId id) {
  std::unique_ptr<Subscription>& subscription = session->subscriptions[id];
  if (subscription != nullptr) return subscription.get();
  subscription = std::make_unique<Subscription>();
  subscription->id = id;
  subscription->created = ++state_.last_created;
  subscription->session = session;
  subscription->lane.id = id;
  return subscription.get();
}

Subscription* Sessions::AwaitSubscription(Session* session, SubscriptionId id) {
  auto found = session->subscriptions.find(id);
  if (found != session->subscriptions.end()) return found->second.get();
  state_.timers.Add({.due = state_.now + kRecoveryGrace,
                     .kind = TimerKind::kAwaited,
                     .subject = ToNumber(session->number),
                     .detail = ToNumber(id)});
  return MakeSubscription(session, id);
}

void Sessions::OnAwaitedTimer(Session* session, SubscriptionId id) {
  auto found = session->subscriptions.find(id);
  if (found == session->subscriptions.end()) return;
  Subscription* subscription = found->second.get();
  if (subscription->pattern.empty()) {
    RemoveSubscription(subscription);
  } else if (subscription->arrival->resumed_until <= state_.now) {
    // Else the timer is one of before its return.
    GiveUpPositions(subscription);
  }
}

// The publishers whose messages the subscription remembers have not come back:
// it may forget them.
void Sessions::GiveUpPositions(Subscription* subscription) {
  Connection* connection = subscription->session->connection;
  if (connection == nullptr) return;
  SessionKey last;
  for (const auto& [claim, sequence] : subscription->arrival->positions) {
    const SessionKey& key = claim.first;
    if (key == last || state_.sessions_by_key.contains(key)) continue;
    last = key;
    SessionNumber number{++state_.last_session};
    wire::Announce announce;
    announce.session_number = number;
    announce.session = key;
    state_.SendControl(connection, announce);
    TellGone(subscription, number);
  }
  if (!subscription->arrival.made()) return;
  subscription->arrival.Edit().positions.clear();
  subscription->Settle(state_.now);
}

void Sessions::RemoveSubscription(Subscription* subscription) {
  Session* session = subscription->session;
  // A group ends with its last member.
  Group* group = subscription->membership->group;
  Session* ending = group != nullptr && groups_.Remove(subscription)
                        ? group->head->session
                        : nullptr;
  links_.DetachSubscription(subscription);
  if (group == nullptr && !subscription->pattern.empty()) {
    state_.topics.Unsubscribe(subscription);
  }
  if (Connection* connection = session->connection; connection != nullptr) {
    connection->outbox.Remove(&subscription->lane);
    if (connection->selected == subscription) connection->selected = nullptr;
  }
  session->subscriptions.erase(subscription->id);
  if (ending != nullptr) End(ending);
}

void Sessions::RemoveChannel(Channel* channel) {
  Session* session = channel->publisher;
  links_.DetachChannel(channel);
  if (channel->acknowledge) EraseLast(&session->unacknowledged, channel);
  state_.topics.Withdraw(channel);
  state_.types.LetGo(channel->type);
  --session->channel_count;
  session->channels[ToNumber(channel->number)].reset();
}

}  // namespace ipc::broker
