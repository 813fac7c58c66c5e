// SPDX-License-Identifier: Apache-2.0
//
// Floors of channels, and when to tell them.

#include "broker/core/acknowledgement.h"

#include <algorithm>
#include <limits>
#include <utility>
#include <vector>

namespace ipc::broker {
namespace {

// Who was set aside is owed nothing.
bool IsWaitedFor(const Reading& reading) {
  return reading.link->subscription->reliable &&
         reading.link->state != Link::State::kAside;
}

}  // namespace

void Acknowledgement::OnRouted(Channel* channel) {
  if (channel->readers->reliable != 0 && !channel->readers_ahead) return;
  Session* publisher = channel->publisher;
  bool much = publisher->routed_bytes >=
              publisher->window_bytes / kAcknowledgeShareOfWindow;
  List(channel, much ? Urgency::kNow : Urgency::kSoon);
}

void Acknowledgement::OnRefused(Channel* channel) {
  uint64_t refused = channel->next_sequence - 1;
  if (channel->refused_from == 0) channel->refused_from = refused;
  if (channel->readers.made()) channel->readers.Edit().at_lowest = 0;
  for (Reading* reading : channel->readers->all) {
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
  if (was_lowest && !OthersAreAsLow(*reading)) List(channel, Urgency::kNow);
  reading->consumed = sequence;
  return true;
}

// Then the floor stays where it is, and one fewer is there. So a message to
// many readers has them looked at once, and not once for each of their
// acknowledgements.
bool Acknowledgement::OthersAreAsLow(const Reading& reading) {
  if (!IsWaitedFor(reading)) return false;
  Readers& readers = reading.channel->readers.Edit();
  if (readers.at_lowest < 2 || reading.consumed != readers.lowest) return false;
  --readers.at_lowest;
  return true;
}

void Acknowledgement::OnReadersChanged(Channel* channel) {
  if (channel->readers.made()) channel->readers.Edit().at_lowest = 0;
  List(channel, Urgency::kNow);
}

void Acknowledgement::OnReaderCame(const Reading& reading) {
  if (!IsWaitedFor(reading)) return;
  Channel* channel = reading.channel;
  if (reading.consumed < channel->next_sequence) channel->readers_ahead = false;
  Readers& readers = channel->readers.Edit();
  if (readers.at_lowest == 0 || reading.consumed > readers.lowest) return;
  if (reading.consumed == readers.lowest) {
    ++readers.at_lowest;
  } else {
    readers.at_lowest = 0;
  }
}

void Acknowledgement::PlaceAt(Reading* reading, uint64_t consumed) {
  if (reading->consumed != consumed) {
    reading->consumed = consumed;
    OnReadersChanged(reading->channel);
  } else if (reading->channel->acknowledge) {
    // What waited for others need not any more.
    List(reading->channel, Urgency::kNow);
  }
}

void Acknowledgement::OnReaderLeft(const Reading& reading) {
  const Readers& readers = *reading.channel->readers;
  const bool above = IsWaitedFor(reading) && readers.at_lowest != 0 &&
                     reading.consumed > readers.lowest;
  if (above || OthersAreAsLow(reading)) return;
  OnReadersChanged(reading.channel);
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
  uint32_t readers = 0;
  for (const Reading* reading : channel->readers->all) {
    if (!IsWaitedFor(*reading) || reading->consumed > consumed) continue;
    readers = reading->consumed == consumed ? readers + 1 : 1;
    consumed = reading->consumed;
  }
  if (channel->readers.made()) {
    channel->readers.Edit().at_lowest = readers;
    channel->readers.Edit().lowest = consumed;
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
