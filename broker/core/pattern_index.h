// SPDX-License-Identifier: Apache-2.0
//
// Which subscriptions match a topic. Patterns stand in a tree of segments,
// where "*" and "**" are children beside the literal ones; finding costs what
// the topic's segments cost, not what the patterns are in number.

#ifndef IPC_BROKER_CORE_PATTERN_INDEX_H_
#define IPC_BROKER_CORE_PATTERN_INDEX_H_

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "absl/container/btree_map.h"

namespace ipc::broker {

struct Subscription;

class PatternIndex {
 public:
  PatternIndex();
  ~PatternIndex();

  // `pattern` must be valid. A subscription may stand here once.
  void Add(std::string_view pattern, Subscription* subscription);
  void Remove(std::string_view pattern, Subscription* subscription);
  bool empty() const;
  // Every subscription that matches, once, in the order of their creation.
  std::vector<Subscription*> Find(std::string_view topic) const;

 private:
  struct Node;
  static void Collect(const Node& node, std::string_view topic, bool ended,
                      std::vector<Subscription*>* found);
  static bool Remove(Node* node, std::string_view pattern, bool ended,
                     Subscription* subscription);

  std::unique_ptr<Node> root_;         // of all topics but the broker's
  std::unique_ptr<Node> broker_root_;  // below "$ipc"
};

}  // namespace ipc::broker

#endif  // IPC_BROKER_CORE_PATTERN_INDEX_H_
