// SPDX-License-Identifier: Apache-2.0
//
// The types of channels: a name and the hash of its descriptors, kept once for
// all channels that have it.

#ifndef IPC_BROKER_CORE_TYPE_TABLE_H_
#define IPC_BROKER_CORE_TYPE_TABLE_H_

#include <cstddef>
#include <memory>
#include <string>
#include <string_view>
#include <tuple>

#include "absl/container/btree_set.h"

namespace ipc::broker {

struct MessageType {
  std::string name;
  std::string schema_hash;
  size_t channels = 0;  // that have it

  std::tuple<std::string_view, std::string_view> key() const {
    return {name, schema_hash};
  }
};

class TypeTable {
 public:
  // For one channel more. Valid until it is let go as often.
  MessageType* Take(std::string_view name, std::string_view schema_hash) {
    const std::tuple key(name, schema_hash);
    auto found = types_.find(key);
    if (found == types_.end()) {
      found = types_
                  .insert(std::make_unique<MessageType>(
                      MessageType{std::string(name), std::string(schema_hash)}))
                  .first;
    }
    ++(*found)->channels;
    return found->get();
  }
  void LetGo(MessageType* type) {
    if (--type->channels == 0) types_.erase(types_.find(type->key()));
  }
  size_t size() const { return types_.size(); }

 private:
  using Key = std::tuple<std::string_view, std::string_view>;
  struct ByKey {
    using is_transparent = void;
    static Key Of(const Key& key) { return key; }
    static Key Of(const std::unique_ptr<MessageType>& type) {
      return type->key();
    }
    template <typename A, typename B>
    bool operator()(const A& a, const B& b) const {
      return Of(a) < Of(b);
    }
  };

  absl::btree_set<std::unique_ptr<MessageType>, ByKey> types_;
};

}  // namespace ipc::broker

#endif  // IPC_BROKER_CORE_TYPE_TABLE_H_
