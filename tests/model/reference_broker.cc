// SPDX-License-Identifier: Apache-2.0
//
// One loop after the other.

#include "tests/model/reference_broker.h"

#include <algorithm>
#include <utility>

namespace ipc::model {
namespace {

std::vector<std::string> Split(std::string_view name) {
  std::vector<std::string> segments;
  std::string segment;
  for (char c : name) {
    if (c == '/') {
      segments.push_back(segment);
      segment.clear();
    } else {
      segment += c;
    }
  }
  segments.push_back(segment);
  return segments;
}

// Do the elements from `p` on match the segments from `s` on?
bool MatchesFrom(const std::vector<std::string>& pattern, size_t p,
                 const std::vector<std::string>& topic, size_t s) {
  if (p == pattern.size()) return s == topic.size();
  if (pattern[p] == "**") {
    for (size_t next = s; next <= topic.size(); ++next) {
      if (MatchesFrom(pattern, p + 1, topic, next)) return true;
    }
    return false;
  }
  if (s == topic.size()) return false;
  if (pattern[p] != "*" && pattern[p] != topic[s]) return false;
  return MatchesFrom(pattern, p + 1, topic, s + 1);
}

}  // namespace

bool Matches(std::string_view pattern, std::string_view topic) {
  return MatchesFrom(Split(pattern), 0, Split(topic), 0);
}

const ReferenceBroker::Channel* ReferenceBroker::FindChannel(
    size_t client, uint32_t number) const {
  for (const Channel& channel : channels_) {
    if (channel.client == client && channel.number == number) return &channel;
  }
  return nullptr;
}

ReferenceBroker::Channel* ReferenceBroker::FindChannel(size_t client,
                                                       uint32_t number) {
  return const_cast<Channel*>(std::as_const(*this).FindChannel(client, number));
}

const ReferenceBroker::Subscription* ReferenceBroker::FindSubscription(
    size_t client, uint32_t id) const {
  for (const Subscription& subscription : subscriptions_) {
    if (subscription.client == client && subscription.id == id) {
      return &subscription;
    }
  }
  return nullptr;
}

ReferenceBroker::Subscription* ReferenceBroker::FindSubscription(size_t client,
                                                                 uint32_t id) {
  return const_cast<Subscription*>(
      std::as_const(*this).FindSubscription(client, id));
}

bool ReferenceBroker::MayOpen(size_t client, uint32_t number,
                              const std::string& topic) const {
  for (const Channel& channel : channels_) {
    if (channel.client != client || !channel.open) continue;
    if (channel.number == number || channel.topic == topic) return false;
  }
  return true;
}

bool ReferenceBroker::Open(size_t client, uint32_t number,
                           const std::string& topic) {
  if (!MayOpen(client, number, topic)) return false;
  Channel* channel = FindChannel(client, number);
  if (channel == nullptr) channel = &channels_.emplace_back();
  channel->client = client;
  channel->number = number;
  channel->topic = topic;
  channel->open = true;
  return true;
}

bool ReferenceBroker::Close(size_t client, uint32_t number) {
  Channel* closed = FindChannel(client, number);
  if (closed == nullptr || !closed->open) return false;
  closed->open = false;
  closed->closed_at = closed->last_sequence;
  // Who waits for this publisher waits no more when it has nothing for it.
  for (Subscription& subscription : subscriptions_) {
    const bool any = std::any_of(
        channels_.begin(), channels_.end(), [&](const Channel& channel) {
          return channel.client == client && channel.open &&
                 Matches(subscription.pattern, channel.topic);
        });
    if (!any) std::erase(subscription.joining, client);
  }
  return true;
}

bool ReferenceBroker::Subscribe(size_t client, uint32_t id,
                                const std::string& pattern, bool reliable) {
  Subscription* subscription = FindSubscription(client, id);
  if (subscription != nullptr && subscription->made) return false;
  if (subscription == nullptr) subscription = &subscriptions_.emplace_back();
  subscription->client = client;
  subscription->id = id;
  subscription->pattern = pattern;
  subscription->reliable = reliable;
  subscription->made = true;
  subscription->joining.clear();
  return true;
}

bool ReferenceBroker::Unsubscribe(size_t client, uint32_t id) {
  Subscription* subscription = FindSubscription(client, id);
  if (subscription == nullptr || !subscription->made) return false;
  subscription->made = false;
  return true;
}

bool ReferenceBroker::Publish(size_t client, uint32_t number,
                              const std::string& payload) {
  Channel* channel = FindChannel(client, number);
  if (channel == nullptr || !channel->open) return false;
  const Message message{client, number, channel->topic,
                        ++channel->last_sequence, payload};
  for (Subscription& subscription : subscriptions_) {
    if (subscription.made && Matches(subscription.pattern, channel->topic) &&
        !IsJoining(subscription, client)) {
      subscription.received.push_back(message);
    }
  }
  return true;
}

bool ReferenceBroker::IsJoining(const Subscription& subscription,
                                size_t publisher) {
  return std::find(subscription.joining.begin(), subscription.joining.end(),
                   publisher) != subscription.joining.end();
}

void ReferenceBroker::Joining(size_t publisher, size_t client, uint32_t id) {
  Subscription* subscription = FindSubscription(client, id);
  if (subscription != nullptr) subscription->joining.push_back(publisher);
}

void ReferenceBroker::Joined(size_t publisher, size_t client, uint32_t id) {
  Subscription* subscription = FindSubscription(client, id);
  if (subscription != nullptr) std::erase(subscription->joining, publisher);
}

bool ReferenceBroker::Consume(size_t client, uint32_t id, Message* consumed) {
  Subscription* subscription = FindSubscription(client, id);
  if (subscription == nullptr || !subscription->made ||
      subscription->consumed == subscription->received.size()) {
    return false;
  }
  *consumed = subscription->received[subscription->consumed++];
  return true;
}

bool ReferenceBroker::IsOpen(size_t client, uint32_t number) const {
  const Channel* channel = FindChannel(client, number);
  return channel != nullptr && channel->open;
}

bool ReferenceBroker::IsMade(size_t client, uint32_t id) const {
  const Subscription* subscription = FindSubscription(client, id);
  return subscription != nullptr && subscription->made;
}

uint64_t ReferenceBroker::next_sequence(size_t client, uint32_t number) const {
  const Channel* channel = FindChannel(client, number);
  return channel == nullptr ? 1 : channel->last_sequence + 1;
}

std::vector<Message> ReferenceBroker::Received(size_t client,
                                               uint32_t id) const {
  const Subscription* subscription = FindSubscription(client, id);
  return subscription == nullptr ? std::vector<Message>()
                                 : subscription->received;
}

std::vector<uint32_t> ReferenceBroker::SubscriptionsOf(size_t client) const {
  std::vector<uint32_t> ids;
  for (const Subscription& subscription : subscriptions_) {
    if (subscription.client == client) ids.push_back(subscription.id);
  }
  return ids;
}

size_t ReferenceBroker::ConsumedBy(size_t client, uint32_t id) const {
  const Subscription* subscription = FindSubscription(client, id);
  return subscription == nullptr ? 0 : subscription->consumed;
}

uint32_t ReferenceBroker::Matching(size_t client, uint32_t number) const {
  const Channel* channel = FindChannel(client, number);
  uint32_t count = 0;
  for (const Subscription& subscription : subscriptions_) {
    if (subscription.made && Matches(subscription.pattern, channel->topic)) {
      ++count;
    }
  }
  return count;
}

uint64_t ReferenceBroker::Forgettable(size_t client, uint32_t number) const {
  const Channel* channel = FindChannel(client, number);
  uint64_t forgettable = channel->last_sequence;
  for (const Subscription& subscription : subscriptions_) {
    if (!subscription.made || !subscription.reliable) continue;
    // Its first message of this channel that it is not done with.
    for (size_t i = subscription.consumed; i < subscription.received.size();
         ++i) {
      const Message& message = subscription.received[i];
      if (message.publisher != client || message.channel != number ||
          message.sequence <= channel->closed_at) {
        continue;
      }
      forgettable = std::min(forgettable, message.sequence - 1);
      break;
    }
  }
  return forgettable;
}

}  // namespace ipc::model
