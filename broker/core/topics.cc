// SPDX-License-Identifier: Apache-2.0
//
// Topics come, go, and move between the two sets.

#include "broker/core/topics.h"

#include <algorithm>
#include <string>
#include <string_view>
#include <utility>

#include "absl/strings/str_cat.h"
#include "broker/core/state.h"
#include "libipc/base/topic_grammar.h"

namespace ipc::broker {
namespace {

std::unique_ptr<Topic> Take(std::string_view name, Topics::Set* set) {
  auto found = set->find(name);
  if (found == set->end()) return nullptr;
  return std::move(set->extract(found).value());
}

void AddChannels(const Topic& topic, std::vector<Channel*>* channels) {
  channels->insert(channels->end(), topic.channels.begin(),
                   topic.channels.end());
}

// The channels that match a pattern. Topics that begin in the same way stand
// together, so it goes down the segments as through folders: where the pattern
// has a name, to that one, where it has "*", to one after the other. It looks
// at all that is there only behind "**", and in small folders.
class Search {
 public:
  Search(const Topics::Set& topics, std::string_view pattern,
         std::vector<Channel*>* found)
      : topics_(topics), pattern_(pattern), found_(*found) {}

  // `rest` of the pattern is to match behind `prefix`, which is empty or ends
  // with '/'.
  void Descend(const std::string& prefix, std::string_view rest) {
    const std::string_view element = TakeSegment(&rest);
    if (element == "**") {
      for (auto topic = topics_.lower_bound(prefix); IsBelow(topic, prefix);
           ++topic) {
        AddIfMatches(**topic);
      }
    } else if (element == "*") {
      DescendToEach(prefix, rest);
    } else {
      DescendTo(absl::StrCat(prefix, std::string(element)), rest);
    }
  }

 private:
  using Iterator = Topics::Set::const_iterator;

  // So many of one folder are asked one by one before it is gone down into.
  static constexpr int kFew = 8;

  bool IsBelow(Iterator topic, std::string_view prefix) const {
    return topic != topics_.end() && (*topic)->name.text().starts_with(prefix);
  }
  void AddIfMatches(const Topic& topic) {
    if (MatchPattern(pattern_, topic.name.text())) AddChannels(topic, &found_);
  }

  void DescendTo(const std::string& name, std::string_view rest) {
    // "a/**" matches "a", too.
    if (auto topic = topics_.find(name); topic != topics_.end()) {
      AddIfMatches(**topic);
    }
    if (!rest.empty()) Descend(name + "/", rest);
  }

  void DescendToEach(const std::string& prefix, std::string_view rest) {
    for (auto topic = topics_.lower_bound(prefix); IsBelow(topic, prefix);) {
      const std::string_view name = (*topic)->name.text();
      const size_t slash = name.find('/', prefix.size());
      if (slash == std::string_view::npos) {
        AddIfMatches(**topic);
        ++topic;
        continue;
      }
      std::string folder(name.substr(0, slash + 1));
      int few = 0;
      auto next = topic;
      for (; few < kFew && IsBelow(next, folder); ++few) ++next;
      if (few < kFew) {
        for (; topic != next; ++topic) AddIfMatches(**topic);
        continue;
      }
      if (!rest.empty()) Descend(folder, rest);
      ++folder.back();  // the first name that is not in it
      topic = topics_.lower_bound(folder);
    }
  }

  const Topics::Set& topics_;
  const std::string_view pattern_;
  std::vector<Channel*>& found_;
};

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
  if (IsLiteral(pattern)) {
    const Topic* topic = FindPublished(pattern);
    if (topic != nullptr) AddChannels(*topic, &channels);
    return channels;
  }
  Search(published_, pattern, &channels).Descend("", pattern);
  return channels;
}

}  // namespace ipc::broker
