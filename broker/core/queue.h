// SPDX-License-Identifier: Apache-2.0
//
// What waits in the broker for one subscription: whole frames, in order, in
// blocks of bytes. Empty unless the subscriber's socket is full.
//
// Invariant: every block holds whole frames, so that a block can be committed
// to the socket as it is and a frame can be dropped from the front; one with
// descriptors is alone in its block. What is dropped leaves a GAP at its place.
// GONE and GAP are never dropped: a subscriber would remember the dead for
// ever, and not hear of its losses.

#ifndef IPC_BROKER_CORE_QUEUE_H_
#define IPC_BROKER_CORE_QUEUE_H_

#include <cstddef>
#include <cstdint>
#include <limits>
#include <span>
#include <vector>

#include "broker/core/losses.h"
#include "libipc/base/descriptors.h"

namespace ipc::broker {

struct Block {
  std::vector<std::byte> bytes;
  size_t begin = 0;  // what lies before has left
  // Pass with the first byte of `rest()`.
  Descriptors descriptors = nullptr;

  std::span<const std::byte> rest() const {
    return std::span(bytes).subspan(begin);
  }
};

// How many publications begin in these whole frames.
uint32_t CountMessages(std::span<const std::byte> frames);

// What may wait in a queue.
struct QueueLimits {
  uint64_t messages = std::numeric_limits<uint64_t>::max();
  uint64_t bytes = std::numeric_limits<uint64_t>::max();
  uint64_t descriptors = std::numeric_limits<uint64_t>::max();
};

class Queue {
 public:
  bool empty() const { return blocks_.empty() && lost_.empty(); }
  // All frames but those that were kept when their turn to be dropped came.
  uint64_t bytes() const { return bytes_; }
  // Publications whose first frame is here.
  uint64_t messages() const { return messages_; }
  uint64_t descriptors() const { return descriptors_; }
  bool Exceeds(const QueueLimits& limits) const {
    return messages_ > limits.messages || bytes_ > limits.bytes ||
           descriptors_ > limits.descriptors;
  }

  // Copies whole frames that lie behind each other; `messages` publications
  // begin among them. If they begin with the rest of a publication that is
  // lost, that is left out. A run with descriptors is one frame.
  void Push(std::span<const std::byte> run, uint32_t messages,
            const Descriptors& descriptors = nullptr);
  // Moves the oldest block out. The queue must not be empty.
  Block TakeBlock();
  // As Push, but leaves out what does not fit into the limits, and the rest of
  // it. Returns how many publications are lost by that. Of one queue, either
  // this is used or DropOldest.
  uint64_t PushWhatFits(std::span<const std::byte> run,
                        const QueueLimits& limits,
                        const Descriptors& descriptors = nullptr);
  // A GAP behind all that is here.
  void PushGap(const wire::Gap& gap);
  // The same, of a queue for PushWhatFits.
  void PushGapBehind(const wire::Gap& gap) {
    lost_is_last_ = true;
    lost_.Add(gap);
  }
  // Drops the oldest frame; `bytes` must not be 0. Returns whether a
  // publication is lost that was not before.
  bool DropOldest(wire::GapReason reason = wire::GapReason::kDepth);
  // Losses are known that later frames may belong to.
  bool remembers() const { return lost_.remembers(); }

 private:
  std::span<const std::byte> WithoutLost(std::span<const std::byte> run) const;
  void Append(std::span<const std::byte> run,
              const Descriptors& descriptors = nullptr);
  uint64_t Lose(const wire::FrameHeader& header, wire::GapReason reason);

  // Vectors, here and in the outbox, because an empty std::deque holds half a
  // kilobyte, and there is one for each subscription.
  std::vector<Block> blocks_;
  Losses lost_;                // in front of all blocks, or behind them
  bool lost_is_last_ = false;  // it is behind them
  bool ends_in_gap_ = false;   // the last frame of the last block is a GAP
  uint64_t bytes_ = 0;
  uint64_t messages_ = 0;
  uint64_t descriptors_ = 0;
};

}  // namespace ipc::broker

#endif  // IPC_BROKER_CORE_QUEUE_H_
