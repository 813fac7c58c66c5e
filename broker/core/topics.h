// SPDX-License-Identifier: Apache-2.0
//
// The topics that somebody publishes on, or that a subscription names: a
// pattern without "*" is a topic's name, and its subscriptions stand with that
// topic. So neither a subscription to one topic nor a channel looks at others,
// however many there are. Patterns with "*" are in a PatternIndex.
//
//   published   has channels; listed to operators
//   awaited     has only subscriptions
//
// Invariant: a topic has a channel or a subscription.

#ifndef IPC_BROKER_CORE_TOPICS_H_
#define IPC_BROKER_CORE_TOPICS_H_

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string_view>
#include <vector>

#include "absl/container/btree_set.h"
#include "absl/container/inlined_vector.h"
#include "broker/core/lazy.h"
#include "broker/core/pattern_index.h"
#include "broker/core/shared_name.h"
#include "libipc/base/ids.h"

namespace ipc::broker {

struct Channel;
struct Subscription;

struct Topic {
  TopicId id{};  // anew whenever it is published after nobody did
  SharedName name;
  // Two have room without an allocation.
  absl::InlinedVector<Channel*, 2> channels;
  // Those that name it, by age.
  absl::InlinedVector<Subscription*, 2> subscriptions;
  struct Past {
    uint64_t messages = 0;
    uint64_t bytes = 0;
  };
  Lazy<Past> past;  // of channels that are gone
};

class Topics {
 public:
  struct ByName {
    using is_transparent = void;
    static std::string_view Name(std::string_view name) { return name; }
    static std::string_view Name(const std::unique_ptr<Topic>& topic) {
      return topic->name.text();
    }
    template <typename A, typename B>
    bool operator()(const A& a, const B& b) const {
      return Name(a) < Name(b);
    }
  };
  using Set = absl::btree_set<std::unique_ptr<Topic>, ByName>;

  Topics() = default;
  Topics(const Topics&) = delete;
  Topics& operator=(const Topics&) = delete;

  // By name.
  const Set& published() const { return published_; }
  // Nobody publishes or subscribes.
  bool empty() const {
    return published_.empty() && awaited_.empty() && patterns_.empty();
  }

  // Null if nobody publishes on it.
  const Topic* FindPublished(std::string_view name) const;

  void Publish(Channel* channel, std::string_view name);
  void Withdraw(Channel* channel);

  // `subscription` has its pattern from here on. It must have none, and
  // `pattern` be valid.
  void Subscribe(Subscription* subscription, std::string_view pattern);
  void Unsubscribe(Subscription* subscription);

  // All subscriptions that match, once, in the order of their creation.
  std::vector<Subscription*> SubscriptionsOf(const Topic& topic) const;
  // All channels that match, by topic.
  std::vector<Channel*> ChannelsOf(std::string_view pattern) const;

 private:
  Set published_;
  Set awaited_;
  PatternIndex patterns_;
  uint32_t last_id_ = 0;
};

}  // namespace ipc::broker

#endif  // IPC_BROKER_CORE_TOPICS_H_
