// SPDX-License-Identifier: Apache-2.0
//
// What waits in the broker for one subscription: whole frames, in order, in
// blocks of bytes. Empty unless the subscriber's socket is full.
//
// Invariant: every block holds whole frames, so that a block can be committed
// to the socket as it is and a frame can be dropped from the front. GONE is
// never dropped: a subscriber would remember the dead for ever.

#ifndef IPC_BROKER_CORE_QUEUE_H_
#define IPC_BROKER_CORE_QUEUE_H_

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

namespace ipc::broker {

struct Block {
  std::vector<std::byte> bytes;
  size_t begin = 0;  // what lies before has left

  std::span<const std::byte> rest() const {
    return std::span(bytes).subspan(begin);
  }
};

// How many publications begin in these whole frames.
uint32_t CountMessages(std::span<const std::byte> frames);

class Queue {
 public:
  bool empty() const { return blocks_.empty() && kept_.empty(); }
  // All frames but those that were kept when their turn to be dropped came.
  uint64_t bytes() const { return bytes_; }
  // Publications whose first frame is here.
  uint64_t messages() const { return messages_; }

  // Copies whole frames that lie behind each other; `messages` publications
  // begin among them.
  void Push(std::span<const std::byte> run, uint32_t messages);
  // Moves the oldest block out. The queue must not be empty.
  Block TakeBlock();
  // Drops the oldest frame; `bytes` must not be 0. Returns whether a
  // publication began with it.
  bool DropOldest();
  void Clear();

 private:
  // Vectors, here and in the outbox, because an empty std::deque holds half a
  // kilobyte, and there is one for each subscription.
  std::vector<Block> blocks_;
  std::vector<std::byte> kept_;  // in front of all blocks
  uint64_t bytes_ = 0;
  uint64_t messages_ = 0;
};

}  // namespace ipc::broker

#endif  // IPC_BROKER_CORE_QUEUE_H_
