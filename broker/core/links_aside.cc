// SPDX-License-Identifier: Apache-2.0
//
// What a reader is told to have missed; and links of a subscription that has
// stalled: off the routes and owed nothing, but told exactly. While a link is
// aside, `resend_from` is the first of a stream's messages that the
// subscription is not told of yet.

#include "broker/core/links.h"

namespace ipc::broker {

// What came while one side was away, and does not come any more.
void Links::TellLost(Reading* reading, uint64_t first, uint64_t last) {
  if (first > last) return;
  const Channel& channel = *reading->channel;
  const bool refused =
      channel.refused_from != 0 && first >= channel.refused_from;
  TellGap(reading, first, last,
          refused ? wire::GapReason::kRefused : wire::GapReason::kGraceOver);
}

void Links::TellGap(Reading* reading, uint64_t first, uint64_t last,
                    wire::GapReason reason) {
  Announce(*reading);
  AddGap(reading, first, last, reason);
}

void Links::AddGap(Reading* reading, uint64_t first, uint64_t last,
                   wire::GapReason reason) {
  Subscription* subscription = reading->link->subscription;
  if (subscription->group() != nullptr) {
    subscription = FirstPresent(*subscription->group());
    if (subscription == nullptr) return;
  }
  Connection* connection = subscription->session->connection;
  if (connection == nullptr) return;  // it will say what it lacks, again
  const Channel& channel = *reading->channel;
  connection->outbox.AddGap(
      &subscription->lane,
      {ToNumber(channel.topic->id), ToNumber(channel.publisher->number), first,
       last, reason});
  state_.MarkDirty(connection);
}

void Links::SetAside(Subscription* subscription) {
  subscription->set_aside(true);
  std::erase(state_.behind, subscription);
  // A group has none.
  if (Connection* connection = subscription->session->connection;
      connection != nullptr) {
    connection->outbox.DropAll(&subscription->lane, wire::GapReason::kStalled);
    state_.MarkDirty(connection);
  }
  for (auto& [number, link] : subscription->links) {
    const bool live = link->state == Link::State::kLive;
    // What joins, or waits to, has been given nothing yet.
    if (!live && !link->catch_up) continue;
    for (auto& [topic, reading] : link->readings) {
      if (live) LackFrom(reading.get(), reading->channel->next_sequence);
      TellSkipped(reading.get());
    }
    Park(link);
  }
}

void Links::EraseLive(Channel* channel, Subscription* subscription) {
  if (channel->readers.made()) {
    EraseLast(&channel->readers.Edit().live, subscription);
  }
}

void Links::LeaveRoutes(Link* link) {
  for (auto& [topic, reading] : link->readings) {
    EraseLive(reading->channel, link->subscription);
  }
}

void Links::Park(Link* link) {
  LeaveRoutes(link);
  link->state = Link::State::kAside;
  link->catch_up = false;
  for (auto& [topic, reading] : link->readings) {
    reading->claimed = true;
    acknowledgement_.OnReadersChanged(reading->channel);
  }
}

void Links::TellSkipped(Reading* reading) {
  GiveUp(reading, EntryOf(*reading->channel) - 1);
}

void Links::GiveUp(Reading* reading, uint64_t last) {
  if (reading->share != nullptr) {
    const std::vector<SequenceSpan> lost = reading->share->GiveUp(last);
    if (!lost.empty()) Announce(*reading);
    for (const SequenceSpan& span : lost) {
      AddGap(reading, span.first, span.last, wire::GapReason::kStalled);
    }
    acknowledgement_.OnConsumed(reading, reading->share->consumed());
    return;
  }
  if (reading->resend_from > last) return;
  TellGap(reading, reading->resend_from, last, wire::GapReason::kStalled);
  reading->resend_from = last + 1;
}

void Links::TellSkippedOf(Link* link) {
  if (link->state != Link::State::kAside) return;
  for (auto& [topic, reading] : link->readings) TellSkipped(reading.get());
}

void Links::Readmit(Subscription* subscription) {
  subscription->set_aside(false);
  for (auto& [number, link] : subscription->links) {
    if (link->state != Link::State::kAside) continue;
    TellSkippedOf(link);
    if (IsReady(*link->publisher)) {
      GoLive(link);
    } else {
      link->state = Link::State::kWaiting;
      link->catch_up = true;
    }
  }
}

// It was set aside, and its connection lost: what its publisher was allowed to
// forget meanwhile cannot be asked for.
void Links::TellReleased(Reading* reading) {
  GiveUp(reading, reading->channel->acknowledged);
}

}  // namespace ipc::broker
