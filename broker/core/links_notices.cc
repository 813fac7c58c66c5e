// SPDX-License-Identifier: Apache-2.0
//
// What publishers are told of their subscriptions, and subscribers of what they
// read.

#include "broker/core/links.h"

namespace ipc::broker {

void Links::Count(Reading* reading) {
  const Subscription& subscription = *reading->link->subscription;
  uint32_t matches = subscription.pattern.empty() ? 0 : 1;
  if (matches != 0 && subscription.group() != nullptr) {
    matches = static_cast<uint32_t>(subscription.group()->members.size());
  }
  Readers& readers = reading->channel->readers.Edit();
  readers.matches += matches - reading->matches;
  reading->matches = matches;
}

void Links::TellMatchesOf(const Subscription& subscription) {
  for (const auto& [number, link] : subscription.links) {
    for (const auto& [topic, reading] : link->readings) {
      Count(reading.get());
      TellMatches(reading->channel);
    }
  }
}

void Links::TellMatches(Channel* channel) {
  uint32_t matches = MatchesOf(*channel);
  if (channel->publisher->reopening || matches == channel->matches_told) return;
  channel->matches_told = matches;
  state_.SendHeader(channel->publisher->connection,
                    {.kind = wire::FrameKind::kMatches,
                     .target = ToNumber(channel->number),
                     .sequence = matches});
}

void Links::Announce(const Reading& reading, Connection* reader) {
  const Channel& channel = *reading.channel;
  const Session& publisher = *channel.publisher;
  state_.SendControl(
      reader, wire::Announce{.topic_id = channel.topic->id,
                             .topic = std::string(channel.topic->name.text()),
                             .type_name = channel.type->name,
                             .schema_hash = channel.type->schema_hash,
                             .session_number = publisher.number,
                             .session = publisher.key,
                             .name = publisher.name,
                             .gid = publisher.gid,
                             .channel = channel.number,
                             .ack_bytes = publisher.window_bytes /
                                          kAcknowledgeShareOfWindow});
}

void Links::AnnounceAll(const Subscription& head, Connection* member) {
  for (const auto& [number, link] : head.links) {
    for (const auto& [topic, reading] : link->readings) {
      Announce(*reading, member);
    }
  }
}

void Links::Announce(const Reading& reading) {
  const Subscription& subscription = *reading.link->subscription;
  if (subscription.group() == nullptr) {
    Announce(reading, subscription.session->connection);
    return;
  }
  for (const auto& [number, member] : subscription.group()->members) {
    if (member->membership->present) {
      Announce(reading, member->session->connection);
    }
  }
}

}  // namespace ipc::broker
