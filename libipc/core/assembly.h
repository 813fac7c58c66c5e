// SPDX-License-Identifier: Apache-2.0
//
// The payload of a message that comes in fragments, while it is put together.
// Its memory is not cleared before it is written, and is kept from one message
// to the next.

#ifndef IPC_LIBIPC_CORE_ASSEMBLY_H_
#define IPC_LIBIPC_CORE_ASSEMBLY_H_

#include <algorithm>
#include <cstddef>
#include <cstring>
#include <memory>
#include <span>
#include <utility>

namespace ipc::core {

class Assembly {
 public:
  std::span<const std::byte> bytes() const { return {memory_.get(), size_}; }
  void Clear() { size_ = 0; }

  // Where the next `bytes` belong: valid until the next call. Who writes them
  // there saves Append the copy.
  std::span<std::byte> Room(size_t bytes) {
    if (capacity_ - size_ < bytes) Grow(size_ + bytes);
    return {memory_.get() + size_, bytes};
  }
  void Append(std::span<const std::byte> part) {
    const std::span<std::byte> room = Room(part.size());
    if (room.data() != part.data()) {
      std::memcpy(room.data(), part.data(), part.size());
    }
    size_ += part.size();
  }

 private:
  // By doubling, and not to what a header promises: that is only a claim.
  void Grow(size_t bytes_min) {
    const size_t capacity = std::max(bytes_min, 2 * capacity_);
    auto grown = std::make_unique_for_overwrite<std::byte[]>(capacity);
    if (size_ != 0) std::memcpy(grown.get(), memory_.get(), size_);
    memory_ = std::move(grown);
    capacity_ = capacity;
  }

  std::unique_ptr<std::byte[]> memory_;
  size_t size_ = 0;
  size_t capacity_ = 0;
};

}  // namespace ipc::core

#endif  // IPC_LIBIPC_CORE_ASSEMBLY_H_
