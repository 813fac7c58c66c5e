// SPDX-License-Identifier: Apache-2.0
//
// A topic or pattern that is kept once for all who have it: one pointer to a
// count, the length and the characters.

#ifndef IPC_BROKER_CORE_SHARED_NAME_H_
#define IPC_BROKER_CORE_SHARED_NAME_H_

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <limits>
#include <new>
#include <string_view>
#include <utility>

#include "libipc/base/limits.h"

namespace ipc::broker {

class SharedName {
 public:
  SharedName() = default;  // empty
  // At most kTopicBytesMax.
  explicit SharedName(std::string_view text) : kept_(Keep(text)) {}
  SharedName(const SharedName& other) : kept_(other.kept_) {
    if (kept_ != nullptr) ++kept_->uses;
  }
  SharedName(SharedName&& other) noexcept
      : kept_(std::exchange(other.kept_, nullptr)) {}
  SharedName& operator=(SharedName other) noexcept {
    std::swap(kept_, other.kept_);
    return *this;
  }
  ~SharedName() {
    if (kept_ != nullptr && --kept_->uses == 0) ::operator delete(kept_);
  }

  bool empty() const { return kept_ == nullptr; }
  std::string_view text() const {
    if (kept_ == nullptr) return {};
    return {kept_->text(), kept_->size};
  }

 private:
  struct Kept {
    uint32_t uses;
    uint8_t size;  // of the text, which follows at once

    char* text() { return reinterpret_cast<char*>(&size + 1); }
  };
  static constexpr size_t kTextAt = offsetof(Kept, size) + 1;
  static_assert(kTopicBytesMax <= std::numeric_limits<uint8_t>::max());

  static Kept* Keep(std::string_view text) {
    if (text.empty()) return nullptr;
    void* place = ::operator new(std::max(sizeof(Kept), kTextAt + text.size()));
    Kept* kept = new (place) Kept{1, static_cast<uint8_t>(text.size())};
    std::memcpy(kept->text(), text.data(), text.size());
    return kept;
  }

  Kept* kept_ = nullptr;
};

}  // namespace ipc::broker

#endif  // IPC_BROKER_CORE_SHARED_NAME_H_
