// SPDX-License-Identifier: Apache-2.0
//
// The tree of segments. Recursion is bounded by the segments of a topic (32)
// and branches only at "*" and "**", of which a pattern has few.

#include "broker/core/pattern_index.h"

#include <algorithm>

#include "broker/core/state.h"
#include "libipc/base/topic_grammar.h"

namespace ipc::broker {

struct PatternIndex::Node {
  absl::btree_map<std::string, std::unique_ptr<Node>> children;
  std::vector<Subscription*> subscriptions;  // whose pattern ends here

  const Node* Child(std::string_view segment) const {
    auto found = children.find(std::string(segment));
    return found == children.end() ? nullptr : found->second.get();
  }
  bool empty() const { return children.empty() && subscriptions.empty(); }
};

PatternIndex::PatternIndex()
    : root_(std::make_unique<Node>()), broker_root_(std::make_unique<Node>()) {}
PatternIndex::~PatternIndex() = default;

bool PatternIndex::empty() const {
  return root_->empty() && broker_root_->empty();
}

namespace {

bool IsOfBroker(std::string_view name) {
  return TakeSegment(&name) == kBrokerSegment;
}

}  // namespace

void PatternIndex::Add(std::string_view pattern, Subscription* subscription) {
  Node* node = (IsOfBroker(pattern) ? broker_root_ : root_).get();
  while (!pattern.empty()) {
    std::unique_ptr<Node>& child =
        node->children[std::string(TakeSegment(&pattern))];
    if (child == nullptr) child = std::make_unique<Node>();
    node = child.get();
  }
  node->subscriptions.push_back(subscription);
}

void PatternIndex::Remove(std::string_view pattern,
                          Subscription* subscription) {
  Node* root = (IsOfBroker(pattern) ? broker_root_ : root_).get();
  Remove(root, pattern, pattern.empty(), subscription);
}

// Returns whether the node has become empty.
bool PatternIndex::Remove(Node* node, std::string_view pattern, bool ended,
                          Subscription* subscription) {
  if (ended) {
    std::erase(node->subscriptions, subscription);
    return node->empty();
  }
  auto child = node->children.find(std::string(TakeSegment(&pattern)));
  if (child == node->children.end()) return false;
  if (Remove(child->second.get(), pattern, pattern.empty(), subscription)) {
    node->children.erase(child);
  }
  return node->empty();
}

std::vector<Subscription*> PatternIndex::Find(std::string_view topic) const {
  std::vector<Subscription*> found;
  const Node& root = *(IsOfBroker(topic) ? broker_root_ : root_);
  Collect(root, topic, topic.empty(), &found);
  // Two "**" can reach the same subscription on two ways.
  std::sort(found.begin(), found.end(),
            [](const Subscription* a, const Subscription* b) {
              return a->created < b->created;
            });
  found.erase(std::unique(found.begin(), found.end()), found.end());
  return found;
}

void PatternIndex::Collect(const Node& node, std::string_view topic, bool ended,
                           std::vector<Subscription*>* found) {
  if (ended) {
    found->insert(found->end(), node.subscriptions.begin(),
                  node.subscriptions.end());
  }
  if (const Node* rest = node.Child("**")) {
    std::string_view tail = topic;
    for (bool tail_ended = ended;; tail_ended = tail.empty()) {
      Collect(*rest, tail, tail_ended, found);
      if (tail_ended) break;
      TakeSegment(&tail);
    }
  }
  if (ended) return;
  std::string_view segment = TakeSegment(&topic);
  if (const Node* literal = node.Child(segment)) {
    Collect(*literal, topic, topic.empty(), found);
  }
  if (const Node* star = node.Child("*")) {
    Collect(*star, topic, topic.empty(), found);
  }
}

}  // namespace ipc::broker
