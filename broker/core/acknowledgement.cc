// SPDX-License-Identifier: Apache-2.0
//
// Floors of channels, and when to tell them.

#include "broker/core/acknowledgement.h"

#include <algorithm>
#include <limits>
#include <utility>
#include <vector>

namespace ipc::broker {

void Acknowledgement::OnRouted(Channel* channel) {
  if (channel->reliable_readings != 0 && !channel->readers_ahead) return;
  Session* publisher = channel->publisher;
  bool much = publisher->routed_bytes >=
              publisher->window_bytes / kAcknowledgeShareOfWindow;
  List(channel, much ? Urgency::kNow : Urgency::kSoon);
}

void Acknowledgement::OnRefused(Channel* channel) {
  uint64_t refused = channel->next_sequence - 1;
  if (channel->refused_from == 0) channel->refused_from = refused;
  for (Reading* reading : channel->readings) {
    Share* share = reading->share.get();
    if (share != nullptr && share->given() + 1 >= channel->refused_from) {
      share->PassOver(refused);
    }
    if (reading->consumed + 1 >= channel->refused_from) {
      reading->consumed = std::max(reading->consumed, refused);
    }
  }
  List(channel, Urgency::kSoon);
}

void Acknowledgement::OnExpired(Channel* channel) {
  channel->refused_from = 0;
  OnRouted(channel);
}

bool Acknowledgement::OnConsumed(Reading* reading, uint64_t sequence) {
  Channel* channel = reading->channel;
  // A subscriber cannot be done with what was never sent. What is under way it
  // may have been told to be lost.
  const uint64_t begun = channel->next_fragment == 0 ? 0 : 1;
  sequence = std::min(sequence, channel->next_sequence - 1 + begun);
  if (channel->refused_from != 0 && sequence + 1 >= channel->refused_from) {
    sequence = channel->next_sequence - 1;
  }
  if (sequence <= reading->consumed) return false;
  // One above: what was under way when the reader came is not its.
  bool was_lowest = reading->consumed <= channel->acknowledged + 1;
  reading->consumed = sequence;
  if (was_lowest) List(channel, Urgency::kNow);
  return true;
}

void Acknowledgement::OnReadersChanged(Channel* channel) {
  List(channel, Urgency::kNow);
}

void Acknowledgement::OnTimer(Session* session) {
  session->acknowledge_soon = false;
  if (!session->unacknowledged.empty()) Tell(session);
}

void Acknowledgement::Flush() {
  for (SessionNumber number : std::exchange(state_.acknowledge, {})) {
    auto session = state_.sessions.find(number);
    if (session == state_.sessions.end()) continue;
    session->second->acknowledge_now = false;
    Tell(session->second.get());
  }
}

uint64_t Acknowledgement::Floor(Channel* channel) {
  uint64_t routed = channel->next_sequence - 1;
  uint64_t consumed = std::numeric_limits<uint64_t>::max();
  for (const Reading* reading : channel->readings) {
    // Who was set aside is owed nothing.
    if (reading->link->subscription->reliable &&
        reading->link->state != Link::State::kAside) {
      consumed = std::min(consumed, reading->consumed);
    }
  }
  channel->readers_ahead = consumed > routed;
  if (channel->held && state_.now < state_.hold) return channel->acknowledged;
  return std::min(routed, consumed);
}

void Acknowledgement::List(Channel* channel, Urgency urgency) {
  Session* publisher = channel->publisher;
  if (!channel->acknowledge) {
    channel->acknowledge = true;
    publisher->unacknowledged.push_back(channel);
  }
  if (urgency == Urgency::kNow) {
    if (publisher->acknowledge_now) return;
    publisher->acknowledge_now = true;
    state_.acknowledge.push_back(publisher->number);
  } else if (!publisher->acknowledge_soon) {
    publisher->acknowledge_soon = true;
    state_.timers.Add({.due = state_.now + kAcknowledgeDelay,
                       .kind = TimerKind::kAcknowledge,
                       .subject = ToNumber(publisher->number)});
  }
}

void Acknowledgement::Tell(Session* session) {
  session->routed_bytes = 0;
  for (Channel* channel : std::exchange(session->unacknowledged, {})) {
    channel->acknowledge = false;
    uint64_t floor = Floor(channel);
    if (floor <= channel->acknowledged) continue;
    channel->acknowledged = floor;
    state_.SendHeader(session->connection, {.kind = wire::FrameKind::kAck,
                                            .target = ToNumber(channel->number),
                                            .sequence = floor});
  }
}

}  // namespace ipc::broker
