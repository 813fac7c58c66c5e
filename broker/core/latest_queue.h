// SPDX-License-Identifier: Apache-2.0
//
// What waits for one subscription under the policy "latest": of each stream
// (one publisher's channel) the newest whole message, in the order in which
// they came. A newer one replaces it, and goes to the end: order holds over all
// topics of a publisher. A GAP says what was replaced.
//
//   losses, items oldest first:  [gaps] [message] [gaps] [part]
//
// There is an item for each stream, and one for each GONE.
//
// A part is a message in fragments of which the last has not come yet. It
// replaces nothing before it is whole. What has left of a message does not come
// back: then its rest stands for it here.
//
// Invariant: a stream has one item at the most, and an item is never empty.

#ifndef IPC_BROKER_CORE_LATEST_QUEUE_H_
#define IPC_BROKER_CORE_LATEST_QUEUE_H_

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "absl/container/btree_map.h"
#include "absl/container/flat_hash_map.h"
#include "broker/core/losses.h"
#include "broker/core/queue.h"
#include "libipc/wire/frame.h"

namespace ipc::broker {

// Frames of one message.
struct LatestPart {
  std::vector<std::byte> bytes;
  uint64_t sequence = 0;              // 0: none
  Descriptors descriptors = nullptr;  // of its first fragment, not sent
};

// What waits of one stream.
struct LatestItem {
  uint64_t stream = 0;  // 0: GONE
  std::vector<wire::Gap> before;
  LatestPart message;            // a whole one, or the rest of one
  std::vector<wire::Gap> after;  // behind it
  LatestPart part;
};

class LatestQueue {
 public:
  // Messages that are lost and were not before.
  struct Lost {
    uint64_t replaced = 0;
    uint64_t dropped = 0;  // above the limit
  };

  // What may wait, in bytes; the oldest goes first.
  explicit LatestQueue(uint64_t bytes_max) : bytes_max_(bytes_max) {}

  bool empty() const { return items_.empty() && told_.empty(); }
  // Without what tells of losses above the limit.
  uint64_t bytes() const { return bytes_; }

  uint64_t descriptors() const { return descriptors_; }

  // Copies whole frames that lie behind each other, of any streams. A run with
  // descriptors is one frame.
  Lost Push(std::span<const std::byte> run,
            const Descriptors& descriptors = nullptr);
  // A GAP behind what waits of its stream.
  void PushGap(const wire::Gap& gap);
  // Takes the oldest, as much as leaves in one send. Must not be empty.
  Block Take();
  void Clear();

 private:
  using Part = LatestPart;
  using Item = LatestItem;
  using Items = absl::btree_map<uint64_t, Item>;  // by age

  Item* ItemOf(uint64_t stream);
  void PushFrame(const wire::FrameHeader& header,
                 std::span<const std::byte> frame,
                 const Descriptors& descriptors, Lost* lost);
  void PushFragment(const wire::FrameHeader& header,
                    std::span<const std::byte> frame,
                    const Descriptors& descriptors, Lost* lost);
  void Attach(const Descriptors& descriptors, Part* part);
  // They are not here any more.
  void Detach(Part* part);
  // `message` is the newest of `item` now, which goes to the end.
  void Replace(Item* item, Part message, Lost* lost);
  void Append(std::span<const std::byte> bytes, std::vector<std::byte>* to);
  void AddGap(const wire::Gap& gap, std::vector<wire::Gap>* to);
  void DropPart(Part* part);
  // Drops what is oldest.
  void DropOldest(Lost* lost);
  void Erase(Items::iterator item);
  void Tell(std::vector<wire::Gap>* gaps, std::vector<std::byte>* bytes);

  const uint64_t bytes_max_;
  uint64_t bytes_ = 0;
  uint64_t descriptors_ = 0;
  uint64_t last_ = 0;  // age of the newest item
  Items items_;
  absl::flat_hash_map<uint64_t, uint64_t> ages_;  // by stream
  Losses told_;  // of what was dropped, in front of all items
};

}  // namespace ipc::broker

#endif  // IPC_BROKER_CORE_LATEST_QUEUE_H_
