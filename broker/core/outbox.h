// SPDX-License-Identifier: Apache-2.0
//
// Everything on its way to one connection, in the order in which it leaves:
//
//   committed   bytes whose place in the stream is settled: the rest of a
//               frame that was cut, control frames, blocks from the queues
//   control     control frames, ahead of all data that is not committed
//   runs        frames borrowed from the read buffer of the current turn,
//               only while nothing waits in a queue
//   queues      one for each subscription, served in turn
//
// A frame with descriptors begins a gathering of its own, so that they pass
// with its first byte.
//
// The shell gathers segments, sends them, reports how much the socket took and
// settles: what is still borrowed then is copied to its queue. A SELECT frame
// goes in front of data whenever the subscription changes.
//
// Invariant: `runs_` is empty or all queues of the connection are. What is idle
// is small: the place to gather in is shared by all outboxes of a broker, and
// what waits is a part that is there while something does.

#ifndef IPC_BROKER_CORE_OUTBOX_H_
#define IPC_BROKER_CORE_OUTBOX_H_

#include <array>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <memory>
#include <span>
#include <string_view>
#include <vector>

#include "broker/core/latest_queue.h"
#include "broker/core/lazy.h"
#include "broker/core/queue.h"
#include "libipc/base/ids.h"
#include "libipc/base/limits.h"
#include "libipc/wire/frame.h"

namespace ipc::broker {

// Messages that subscriptions have lost, by GapReason.
using MissingByReason = std::array<uint64_t, wire::kGapReasons>;

// The part of a subscription that its connection's outbox sees. Most have
// nothing waiting, so it holds no queue then.
struct Lane {
  static constexpr uint32_t kNoLimit = std::numeric_limits<uint32_t>::max();
  static_assert(kBestEffortQueueBytesMax < kNoLimit &&
                kBestEffortDepthMax < kNoLimit);

  SubscriptionId id{};
  bool in_turn = false;  // listed in the outbox's turn
  // Best effort: what may wait. The oldest goes first, or the newest.
  bool drop_newest = false;
  uint16_t descriptors_max = std::numeric_limits<uint16_t>::max();
  uint32_t messages_max = kNoLimit;
  uint32_t bytes_max = kNoLimit;
  uint64_t dropped = 0;  // messages that it was told to be missing
  Lazy<Queue> queue;
  // "Latest": in place of the queue.
  std::unique_ptr<LatestQueue> latest;

  bool empty() const {
    if (latest) return latest->empty();
    return !queue.made() || queue->empty();
  }
  uint64_t bytes() const {
    if (latest) return latest->bytes();
    return queue.made() ? queue->bytes() : 0;
  }
  // The oldest of what waits; something must.
  Block TakeBlock() {
    if (latest) return latest->Take();
    Block block = queue.Edit().TakeBlock();
    if (queue->empty() && !queue->remembers()) queue.Reset();
    return block;
  }
  QueueLimits limits() const {
    return {.messages = messages_max,
            .bytes = bytes_max,
            .descriptors = descriptors_max};
  }
  // Only what is bounded may drop.
  bool IsOverLimit() const {
    return (messages_max != kNoLimit || bytes_max != kNoLimit) &&
           queue->Exceeds(limits());
  }
};

// What all outboxes of a broker have in common. One at a time gathers in it.
struct OutboxCommon {
  MissingByReason* missing;  // the broker's counters

  std::vector<std::span<const std::byte>> segments = {};
  // The SELECT frames among them.
  std::vector<std::array<std::byte, kFrameHeaderBytes>> selects = {};
  Descriptors descriptors = nullptr;  // of the first segment
};

class Outbox {
 public:
  explicit Outbox(OutboxCommon* common) : common_(*common) {}

  // A control frame, header included.
  void AddControl(std::string_view frame);

  // Whole frames for `lane` in which `messages` publications begin, borrowed
  // until Settle. Copied at once if something already waits. With descriptors
  // it is one frame.
  void AddRun(Lane* lane, std::span<const std::byte> run, uint32_t messages,
              const Descriptors& descriptors = nullptr) {
    if (blocked()) {
      Settle();
      Enqueue({lane, run, messages, descriptors});
      return;
    }
    if (descriptors == nullptr && !runs_.empty() && runs_.back().lane == lane &&
        runs_.back().descriptors == nullptr &&
        runs_.back().bytes.data() + runs_.back().bytes.size() == run.data()) {
      Run& last = runs_.back();
      last.bytes = {last.bytes.data(), last.bytes.size() + run.size()};
      last.messages += messages;
      return;
    }
    runs_.push_back({lane, run, messages, descriptors});
  }
  // One frame made by the broker, behind all data of the lane.
  void AddFrame(Lane* lane, const wire::FrameHeader& header);
  // All that waits in `lane` is lost.
  void DropAll(Lane* lane, wire::GapReason reason);
  // A GAP, behind all data of the lane. The stream must be announced.
  void AddGap(Lane* lane, const wire::Gap& gap);

  // The next bytes to leave, at most about `kGatherBytesMax`; valid until the
  // next call of anything but Sent, or Gather of another one.
  const std::vector<std::span<const std::byte>>& Gather();
  // They pass with the first byte of what was gathered; null: none do.
  const Descriptors& gathered_descriptors() const {
    return common_.descriptors;
  }
  // The socket took the first `bytes` of what was gathered.
  void Sent(size_t bytes);
  // Copies what is still borrowed.
  void Settle();

  // Forgets a lane that is about to be destroyed.
  void Remove(Lane* lane);

  bool empty() const {
    return runs_.empty() && (!waiting_.made() || waiting_->empty());
  }
  // Data can not leave at once.
  bool blocked() const {
    return waiting_.made() &&
           (!waiting_->committed.empty() || !waiting_->turn.empty());
  }
  // Control frames that wait.
  size_t control_bytes() const { return waiting_->control.size(); }

 private:
  struct Run {
    Lane* lane;
    std::span<const std::byte> bytes;
    uint32_t messages;
    Descriptors descriptors;
  };
  // What is there from a previous turn, or is the broker's own.
  struct Waiting {
    std::vector<Block> committed;
    std::vector<std::byte> control;
    std::vector<Lane*> turn;  // lanes with a queue that is not empty

    bool empty() const {
      return committed.empty() && control.empty() && turn.empty();
    }
  };

  void Enqueue(const Run& run);
  // Holds the lane to its limits.
  void Bound(Lane* lane);
  void DropOldest(Lane* lane, wire::GapReason reason) {
    if (lane->queue.Edit().DropOldest(reason)) CountMissing(lane, reason, 1);
  }
  void CountMissing(Lane* lane, wire::GapReason reason, uint64_t messages) {
    lane->dropped += messages;
    (*common_.missing)[static_cast<size_t>(reason)] += messages;
  }
  // Whether something waits for it.
  void List(Lane* lane);
  void Unlist(Lane* lane);
  // Moves control frames and queued blocks behind the committed bytes.
  void Commit();
  void CommitBytes(std::span<const std::byte> bytes);
  void CommitSelect(SubscriptionId id);
  // Whether what comes next may be gathered behind what is gathered already.
  bool MayFollow(const Descriptors& descriptors);
  size_t SendCommitted(size_t bytes);
  void SendRuns(size_t bytes);
  // An idle connection holds no memory.
  void LetGoOfNothing() {
    if (waiting_.made() && waiting_->empty()) waiting_.Reset();
  }

  OutboxCommon& common_;
  Lazy<Waiting> waiting_;
  std::vector<Run> runs_;
  SubscriptionId selected_{};
};

}  // namespace ipc::broker

#endif  // IPC_BROKER_CORE_OUTBOX_H_
