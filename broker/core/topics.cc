// SPDX-License-Identifier: Apache-2.0
//
// Topics come, go, and move between the two sets.

#include "broker/core/topics.h"

#include <algorithm>
#include <string_view>
#include <utility>

#include "broker/core/state.h"
#include "libipc/base/topic_grammar.h"

namespace ipc::broker {
namespace {

std::unique_ptr<Topic> Take(std::string_view name, Topics::Set* set) {
  auto found = set->find(name);
  if (found == set->end()) return nullptr;
  return std::move(set->extract(found).value());
}

bool IsOlder(const Subscription* a, const Subscription* b) {
  return a->created < b->created;
}

}  // namespace

const Topic* Topics::FindPublished(std::string_view name) const {
  auto found = published_.find(name);
  return found == published_.end() ? nullptr : found->get();
}

void Topics::Publish(Channel* channel, std::string_view name) {
  auto found = published_.find(name);
  if (found == published_.end()) {
    std::unique_ptr<Topic> topic = Take(name, &awaited_);
    if (topic == nullptr) {
      topic = std::make_unique<Topic>();
      topic->name = SharedName(name);
    }
    topic->id = TopicId{++last_id_};
    found = published_.insert(std::move(topic)).first;
  }
  channel->topic = found->get();
  channel->topic->channels.push_back(channel);
}

void Topics::Withdraw(Channel* channel) {
  Topic* topic = channel->topic;
  EraseLast(&topic->channels, channel);
  if (channel->messages != 0) {
    Topic::Past& past = topic->past.Edit();
    past.messages += channel->messages;
    past.bytes += channel->bytes;
  }
  if (!topic->channels.empty()) return;
  std::unique_ptr<Topic> taken = Take(topic->name.text(), &published_);
  if (topic->subscriptions.empty()) return;
  topic->past.Reset();
  awaited_.insert(std::move(taken));
}

void Topics::Subscribe(Subscription* subscription, std::string_view pattern) {
  if (!IsLiteral(pattern)) {
    subscription->pattern = SharedName(pattern);
    patterns_.Add(pattern, subscription);
    return;
  }
  auto found = published_.find(pattern);
  if (found == published_.end()) {
    found = awaited_.find(pattern);
    if (found == awaited_.end()) {
      auto topic = std::make_unique<Topic>();
      topic->name = SharedName(pattern);
      found = awaited_.insert(std::move(topic)).first;
    }
  }
  auto& subscriptions = (*found)->subscriptions;
  subscription->pattern = (*found)->name;
  subscriptions.insert(
      std::upper_bound(subscriptions.begin(), subscriptions.end(), subscription,
                       IsOlder),
      subscription);
}

void Topics::Unsubscribe(Subscription* subscription) {
  const std::string_view pattern = subscription->pattern.text();
  if (!IsLiteral(pattern)) {
    patterns_.Remove(pattern, subscription);
    return;
  }
  auto topic = published_.find(pattern);
  if (topic == published_.end()) topic = awaited_.find(pattern);
  EraseLast(&(*topic)->subscriptions, subscription);
  if ((*topic)->channels.empty() && (*topic)->subscriptions.empty()) {
    awaited_.erase(topic);
  }
}

std::vector<Subscription*> Topics::SubscriptionsOf(const Topic& topic) const {
  std::vector<Subscription*> found = patterns_.Find(topic.name.text());
  const size_t patterns = found.size();
  found.insert(found.end(), topic.subscriptions.begin(),
               topic.subscriptions.end());
  std::inplace_merge(found.begin(),
                     found.begin() + static_cast<std::ptrdiff_t>(patterns),
                     found.end(), IsOlder);
  return found;
}

std::vector<Channel*> Topics::ChannelsOf(std::string_view pattern) const {
  std::vector<Channel*> channels;
  const auto add = [&channels](const Topic& topic) {
    channels.insert(channels.end(), topic.channels.begin(),
                    topic.channels.end());
  };
  if (IsLiteral(pattern)) {
    if (const Topic* topic = FindPublished(pattern)) add(*topic);
    return channels;
  }
  // Those that begin as the pattern does stand together.
  std::string_view prefix = pattern.substr(0, pattern.find('*'));
  // "a/**" matches "a", too.
  if (prefix.ends_with('/')) prefix.remove_suffix(1);
  for (auto topic = published_.lower_bound(prefix);
       topic != published_.end() && (*topic)->name.text().starts_with(prefix);
       ++topic) {
    if (MatchPattern(pattern, (*topic)->name.text())) add(**topic);
  }
  return channels;
}

}  // namespace ipc::broker
