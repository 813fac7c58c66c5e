// SPDX-License-Identifier: Apache-2.0
//
// The states of a link. PROTOCOL.md, "Recovery", has the reasoning.

#include "broker/core/links.h"

#include <algorithm>
#include <memory>
#include <utility>

#include "libipc/base/topic_grammar.h"

namespace ipc::broker {
namespace {

// The first publication of `channel` that a reader entering now gets whole.
uint64_t EntryOf(const Channel& channel) {
  return channel.next_sequence + (channel.next_fragment == 0 ? 0 : 1);
}

bool IsReady(const Session& publisher) {
  return publisher.connection != nullptr && !publisher.reopening;
}

bool IsReady(const Subscription& subscription) {
  return subscription.session->connection != nullptr &&
         !subscription.pattern.empty();
}

}  // namespace

Link* Links::Find(Session* publisher, ReaderId id) const {
  auto found = publisher->links.find(id);
  return found == publisher->links.end() ? nullptr : found->second.get();
}

Link* Links::LinkOf(Session* publisher, Subscription* subscription) {
  Link*& link = subscription->links[publisher->number];
  if (link != nullptr) return link;
  ReaderId id{++publisher->last_reader};
  auto made = std::make_unique<Link>();
  made->id = id;
  made->publisher = publisher;
  made->subscription = subscription;
  link = made.get();
  publisher->links.emplace(id, std::move(made));
  return link;
}

void Links::Attach(Channel* channel, Subscription* subscription,
                   std::optional<uint64_t> handed_back) {
  Link* link = LinkOf(channel->publisher, subscription);
  std::unique_ptr<Reading>& reading = link->readings[channel->topic->id];
  if (reading != nullptr) return;
  reading = std::make_unique<Reading>();
  reading->link = link;
  reading->channel = channel;

  uint64_t from = EntryOf(*channel);
  auto position =
      subscription->positions.find({channel->publisher->key, channel->number});
  if (subscription->reliable) {
    bool claims = true;
    if (position != subscription->positions.end()) {
      from = std::max(position->second + 1, handed_back.value_or(0));
    } else if (handed_back.has_value()) {
      from = *handed_back;
    } else if (state_.now < subscription->resumed_until) {
      from = channel->acknowledged + 1;
    } else {
      claims = false;
    }
    link->catch_up |= claims && link->state != Link::State::kLive;
    // What is acknowledged, the publisher no longer has.
    from = std::max(from, channel->acknowledged + 1);
    ++channel->reliable_readings;
  }
  if (position != subscription->positions.end()) {
    subscription->positions.erase(position);
  }
  reading->consumed = from - 1;
  reading->resend_from = from;
  channel->readings.push_back(reading.get());
  if (link->state == Link::State::kLive) Enter(reading.get());
}

void Links::ApplyPositions(Subscription* subscription) {
  for (auto& [number, link] : subscription->links) {
    for (auto& [topic, reading] : link->readings) {
      auto position = subscription->positions.find(
          {link->publisher->key, reading->channel->number});
      if (position != subscription->positions.end()) {
        acknowledgement_.OnConsumed(reading.get(), position->second);
        subscription->positions.erase(position);
      }
      reading->resend_from = reading->consumed + 1;
    }
  }
}

void Links::DropUnmatched(Subscription* subscription) {
  std::vector<Reading*> unmatched;
  for (auto& [number, link] : subscription->links) {
    for (auto& [topic, reading] : link->readings) {
      if (!MatchPattern(subscription->pattern, reading->channel->topic->name)) {
        unmatched.push_back(reading.get());
      }
    }
  }
  for (Reading* reading : unmatched) Drop(reading);
}

void Links::OnPublisherReady(Session* publisher) {
  for (auto& [id, link] : publisher->links) {
    if (link->state == Link::State::kWaiting) StartFresh(link.get());
  }
}

void Links::OnReaderReady(Subscription* subscription) {
  for (auto& [number, link] : subscription->links) {
    if (link->state == Link::State::kWaiting) Start(link);
  }
}

// The publisher sends nothing new before it has seen OPENED, so a reader that
// lacks nothing it has sent before can go live without a mark in the stream.
void Links::StartFresh(Link* link) {
  bool lacks = false;
  for (auto& [topic, reading] : link->readings) {
    if (!link->catch_up) {
      reading->consumed = EntryOf(*reading->channel) - 1;
      acknowledgement_.OnReadersChanged(reading->channel);
    }
    lacks |= reading->resend_from < reading->channel->next_sequence;
  }
  if (!IsReady(*link->subscription) || (link->catch_up && lacks)) {
    Start(link);
  } else {
    GoLive(link);
  }
}

void Links::Start(Link* link) {
  if (!IsReady(*link->publisher) || !IsReady(*link->subscription)) return;
  if (!link->subscription->reliable) {
    GoLive(link);
  } else if (link->catch_up) {
    SendResend(link);
  } else {
    SendJoin(link);
  }
}

void Links::SendJoin(Link* link) {
  link->state = Link::State::kJoining;
  wire::Join join{.reader = ReaderOf(*link), .channels = {}};
  for (const auto& [topic, reading] : link->readings) {
    join.channels.push_back(reading->channel->number);
  }
  state_.SendControl(link->publisher->connection, join);
  ++link->subscription->pending_joins;
  state_.timers.Add({.due = state_.now + kJoinTimeout,
                     .kind = TimerKind::kJoin,
                     .subject = ToNumber(link->publisher->number),
                     .detail = ToNumber(link->id)});
}

void Links::SendResend(Link* link) {
  // An older resend is still on its way; its end starts this one.
  if (link->resend_under_way) return;
  link->state = Link::State::kCatchingUp;
  link->resend_under_way = true;
  wire::Resend resend{.reader = ReaderOf(*link), .channels = {}};
  for (const auto& [topic, reading] : link->readings) {
    Announce(*reading);
    resend.channels.push_back({reading->channel->number, reading->resend_from});
  }
  state_.SendControl(link->publisher->connection, resend);
}

void Links::OnJoined(Link* link) {
  if (link->state != Link::State::kJoining) return;
  for (auto& [topic, reading] : link->readings) {
    reading->consumed = EntryOf(*reading->channel) - 1;
    acknowledgement_.OnReadersChanged(reading->channel);
  }
  ResolveJoin(link);
  GoLive(link);
}

void Links::OnResendEnd(Link* link) {
  link->resend_under_way = false;
  if (link->state == Link::State::kCatchingUp) {
    GoLive(link);
  } else if (link->state == Link::State::kWaiting) {
    Start(link);
  }
}

void Links::CatchUp() {
  for (Subscription* subscription : std::vector<Subscription*>(state_.behind)) {
    if (!subscription->lane.queue.empty()) continue;
    std::erase(state_.behind, subscription);
    for (auto& [number, link] : subscription->links) {
      if (link->state != Link::State::kBehind) continue;
      link->state = Link::State::kWaiting;
      Start(link);
    }
  }
}

void Links::GoLive(Link* link) {
  link->state = Link::State::kLive;
  link->catch_up = false;
  for (auto& [topic, reading] : link->readings) Enter(reading.get());
}

void Links::Enter(Reading* reading) {
  Announce(*reading);
  reading->channel->live.push_back(reading->link->subscription);
}

void Links::LeaveRoutes(Link* link) {
  for (auto& [topic, reading] : link->readings) {
    std::erase(reading->channel->live, link->subscription);
  }
}

void Links::FallBehind(Subscription* subscription, Channel* channel,
                       uint64_t sequence) {
  Link* link = subscription->links.at(channel->publisher->number);
  LeaveRoutes(link);
  for (auto& [topic, reading] : link->readings) {
    reading->resend_from = reading->channel == channel
                               ? sequence
                               : reading->channel->next_sequence;
  }
  FallBehindAgain(link);
}

void Links::FallBehindAgain(Link* link) {
  link->state = Link::State::kBehind;
  link->catch_up = true;
  Subscription* subscription = link->subscription;
  if (std::find(state_.behind.begin(), state_.behind.end(), subscription) ==
      state_.behind.end()) {
    state_.behind.push_back(subscription);
  }
}

void Links::OnPublisherAway(Session* publisher) {
  for (auto& [id, link] : publisher->links) {
    if (link->state == Link::State::kLive ||
        link->state == Link::State::kJoining) {
      for (auto& [topic, reading] : link->readings) {
        reading->resend_from = reading->channel->next_sequence;
      }
    }
    link->resend_under_way = false;
    link->catch_up = link->subscription->reliable;
    Wait(link.get());
  }
}

void Links::OnReaderAway(Subscription* subscription) {
  for (auto& [number, link] : subscription->links) {
    for (auto& [topic, reading] : link->readings) {
      reading->resend_from = reading->consumed + 1;
    }
    link->catch_up = subscription->reliable;
    Wait(link);
  }
  std::erase(state_.behind, subscription);
}

void Links::Wait(Link* link) {
  ResolveJoin(link);
  LeaveRoutes(link);
  link->state = Link::State::kWaiting;
}

// Answers the subscription when the last publisher knows of it.
void Links::ResolveJoin(Link* link) {
  if (link->state != Link::State::kJoining) return;
  Subscription* subscription = link->subscription;
  if (--subscription->pending_joins != 0 || subscription->request == 0) return;
  state_.SendControl(subscription->session->connection, wire::Result{},
                     std::exchange(subscription->request, 0));
}

void Links::DetachChannel(Channel* channel) {
  for (Reading* reading : std::vector<Reading*>(channel->readings)) {
    Drop(reading);
  }
}

void Links::Drop(Reading* reading) {
  Link* link = reading->link;
  RemoveReading(reading);
  link->readings.erase(reading->channel->topic->id);
  if (link->readings.empty()) Destroy(link);
}

void Links::DetachSubscription(Subscription* subscription) {
  std::erase(state_.behind, subscription);
  std::vector<Link*> links;
  for (auto& [number, link] : subscription->links) links.push_back(link);
  for (Link* link : links) {
    state_.SendHeader(
        link->publisher->connection,
        {.kind = wire::FrameKind::kLeave, .session = ToNumber(link->id)});
    for (auto& [topic, reading] : link->readings) {
      RemoveReading(reading.get());
      TellMatches(*reading->channel);
    }
    Destroy(link);
  }
}

void Links::RemoveReading(Reading* reading) {
  Channel* channel = reading->channel;
  Subscription* subscription = reading->link->subscription;
  std::erase(channel->live, subscription);
  std::erase(channel->readings, reading);
  if (subscription->reliable) --channel->reliable_readings;
  acknowledgement_.OnReadersChanged(channel);
}

void Links::Destroy(Link* link) {
  ResolveJoin(link);
  link->subscription->links.erase(link->publisher->number);
  link->publisher->links.erase(link->id);
}

wire::Reader Links::ReaderOf(const Link& link) const {
  return {.session = link.subscription->session->key,
          .subscription = link.subscription->id,
          .reader = link.id,
          .from = 0};
}

std::vector<wire::Reader> Links::ReadersOf(const Channel& channel) const {
  std::vector<wire::Reader> readers;
  for (const Reading* reading : channel.readings) {
    if (!reading->link->subscription->reliable) continue;
    readers.push_back(ReaderOf(*reading->link));
    readers.back().from = reading->consumed + 1;
  }
  return readers;
}

uint32_t Links::MatchesOf(const Channel& channel) {
  uint32_t matches = 0;
  for (const Reading* reading : channel.readings) {
    if (!reading->link->subscription->pattern.empty()) ++matches;
  }
  return matches;
}

void Links::TellMatchesOf(const Subscription& subscription) {
  for (const auto& [number, link] : subscription.links) {
    for (const auto& [topic, reading] : link->readings) {
      TellMatches(*reading->channel);
    }
  }
}

void Links::TellMatches(const Channel& channel) {
  state_.SendHeader(channel.publisher->connection,
                    {.kind = wire::FrameKind::kMatches,
                     .target = ToNumber(channel.number),
                     .sequence = MatchesOf(channel)});
}

void Links::Announce(const Reading& reading) {
  const Channel& channel = *reading.channel;
  const Session& publisher = *channel.publisher;
  state_.SendControl(reading.link->subscription->session->connection,
                     wire::Announce{.topic_id = channel.topic->id,
                                    .topic = channel.topic->name,
                                    .type_name = channel.type_name,
                                    .schema_hash = channel.schema_hash,
                                    .session_number = publisher.number,
                                    .session = publisher.key,
                                    .name = publisher.name,
                                    .gid = publisher.gid,
                                    .channel = channel.number,
                                    .ack_bytes = publisher.window_bytes /
                                                 kAcknowledgeShareOfWindow});
}

}  // namespace ipc::broker
