// SPDX-License-Identifier: Apache-2.0
//
// Messages that wait for Next(), oldest first, within the limits of their
// subscription's policy. What it drops, it hands back, to be told.
//
// Under the policy "latest" the newest of each stream waits. The one that it
// replaces leaves a hole, which is passed over; there are never more holes than
// messages.
//
// Invariant: the first is not a hole.

#ifndef IPC_LIBIPC_PULL_QUEUE_H_
#define IPC_LIBIPC_PULL_QUEUE_H_

#include <cstddef>
#include <cstdint>
#include <deque>
#include <memory>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "ipc/message.h"
#include "ipc/options.h"
#include "libipc/core/receiving.h"

namespace ipc {

class PullQueue {
 public:
  struct Waiting {
    Message message;
    std::shared_ptr<core::Stream> stream;  // null: a hole
  };

  bool empty() const { return items_.empty(); }
  size_t size() const { return items_.size() - holes_; }

  // Returns what had to go for it, which may be itself.
  std::vector<Waiting> Push(Waiting waiting, const SubscribeOptions& options);
  // The oldest; there must be one.
  Waiting Take();
  void Clear();

 private:
  std::vector<Waiting> PushLatest(Waiting waiting);
  void PassHoles();

  std::deque<Waiting> items_;
  uint64_t bytes_ = 0;
  size_t holes_ = 0;
  uint64_t taken_ = 0;  // what has left at the front, holes included
  // "Latest": where its message stands, counted from the first ever.
  absl::flat_hash_map<const core::Stream*, uint64_t> places_;
};

}  // namespace ipc

#endif  // IPC_LIBIPC_PULL_QUEUE_H_
