// SPDX-License-Identifier: Apache-2.0
//
// An ordered map for what mostly has one entry: that one lies in the map, which
// allocates nothing then. More are in a tree.
//
// As with the tree, a change invalidates iterators and references.

#ifndef IPC_BROKER_CORE_SMALL_MAP_H_
#define IPC_BROKER_CORE_SMALL_MAP_H_

#include <cstddef>
#include <iterator>
#include <memory>
#include <utility>
#include <variant>

#include "absl/container/btree_map.h"
#include "libipc/base/check.h"

namespace ipc::broker {

template <typename Key, typename Value>
class SmallMap {
 public:
  using Entry = std::pair<const Key, Value>;

 private:
  using Tree = absl::btree_map<Key, Value>;

 public:
  // Of the one entry (null at the end), or in the tree.
  template <typename E, typename TreeIterator>
  class Iterator {
   public:
    using iterator_category = std::forward_iterator_tag;
    using value_type = Entry;
    using difference_type = std::ptrdiff_t;
    using pointer = E*;
    using reference = E&;

    Iterator() = default;
    explicit Iterator(E* one) : one_(one) {}
    explicit Iterator(TreeIterator at) : at_(at) {}

    E& operator*() const { return one_ != nullptr ? *one_ : *at_; }
    E* operator->() const { return &**this; }
    Iterator& operator++() {
      if (one_ != nullptr) {
        one_ = nullptr;
      } else {
        ++at_;
      }
      return *this;
    }
    bool operator==(const Iterator& other) const {
      return one_ == other.one_ && at_ == other.at_;
    }

   private:
    E* one_ = nullptr;
    TreeIterator at_;
  };
  using iterator = Iterator<Entry, typename Tree::iterator>;
  using const_iterator = Iterator<const Entry, typename Tree::const_iterator>;

  iterator begin() {
    if (Tree* tree = this->tree()) return iterator(tree->begin());
    return iterator(std::get_if<Entry>(&content_));
  }
  iterator end() {
    if (Tree* tree = this->tree()) return iterator(tree->end());
    return iterator();
  }
  const_iterator begin() const {
    if (const Tree* tree = this->tree()) return const_iterator(tree->begin());
    return const_iterator(std::get_if<Entry>(&content_));
  }
  const_iterator end() const {
    if (const Tree* tree = this->tree()) return const_iterator(tree->end());
    return const_iterator();
  }

  size_t size() const {
    if (const Tree* tree = this->tree()) return tree->size();
    return std::holds_alternative<Entry>(content_) ? 1 : 0;
  }
  bool empty() const { return size() == 0; }

  iterator find(const Key& key) {
    if (Tree* tree = this->tree()) return iterator(tree->find(key));
    Entry* one = std::get_if<Entry>(&content_);
    return one != nullptr && one->first == key ? iterator(one) : end();
  }
  const_iterator find(const Key& key) const {
    if (const Tree* tree = this->tree()) return const_iterator(tree->find(key));
    const Entry* one = std::get_if<Entry>(&content_);
    return one != nullptr && one->first == key ? const_iterator(one) : end();
  }
  bool contains(const Key& key) const { return find(key) != end(); }
  // It must be there.
  const Value& at(const Key& key) const {
    auto found = find(key);
    IPC_CHECK(found != end());
    return found->second;
  }
  // Made if it is not there.
  Value& operator[](const Key& key) {
    if (Tree* tree = this->tree()) return (*tree)[key];
    Entry* one = std::get_if<Entry>(&content_);
    if (one == nullptr) {
      return content_.template emplace<Entry>(key, Value()).second;
    }
    if (one->first == key) return one->second;
    auto tree = std::make_unique<Tree>();
    tree->emplace(one->first, std::move(one->second));
    content_ = std::move(tree);
    return (*this->tree())[key];
  }
  void erase(const Key& key) {
    if (Tree* tree = this->tree()) {
      tree->erase(key);
      if (!tree->empty()) return;
    } else if (find(key) == end()) {
      return;
    }
    content_ = std::monostate();
  }

 private:
  Tree* tree() {
    auto* tree = std::get_if<std::unique_ptr<Tree>>(&content_);
    return tree == nullptr ? nullptr : tree->get();
  }
  const Tree* tree() const {
    auto* tree = std::get_if<std::unique_ptr<Tree>>(&content_);
    return tree == nullptr ? nullptr : tree->get();
  }

  std::variant<std::monostate, Entry, std::unique_ptr<Tree>> content_;
};

}  // namespace ipc::broker

#endif  // IPC_BROKER_CORE_SMALL_MAP_H_
