// SPDX-License-Identifier: Apache-2.0
//
// Committing, gathering, and finding out how far the socket got.

#include "broker/core/outbox.h"

#include <algorithm>
#include <cstring>
#include <utility>

#include "libipc/base/check.h"

namespace ipc::broker {
namespace {

// One turn's share of one connection.
constexpr size_t kGatherBytesMax = 256 * 1024;
// Below IOV_MAX (1024), with room for the last pair.
constexpr size_t kGatherSegmentsMax = 1000;

std::array<std::byte, kFrameHeaderBytes> SelectFrame(SubscriptionId id) {
  std::array<std::byte, kFrameHeaderBytes> bytes;
  wire::StoreHeader({.kind = wire::FrameKind::kSelect, .target = ToNumber(id)},
                    bytes.data());
  return bytes;
}

}  // namespace

void Outbox::AddControl(std::string_view frame) { control_.append(frame); }

void Outbox::AddFrame(Lane* lane, const wire::FrameHeader& header) {
  Settle();
  HeaderBytes bytes;
  wire::StoreHeader(header, bytes.data());
  Enqueue({lane, bytes, 0, nullptr});
}

void Outbox::Enqueue(const Run& run) {
  Lane* lane = run.lane;
  if (lane->latest != nullptr) {
    const LatestQueue::Lost lost =
        lane->latest->Push(run.bytes, run.descriptors);
    CountMissing(lane, wire::GapReason::kLatest, lost.replaced);
    CountMissing(lane, wire::GapReason::kDepth, lost.dropped);
  } else if (lane->drop_newest) {
    CountMissing(lane, wire::GapReason::kDepth,
                 lane->queue.Edit().PushWhatFits(run.bytes, lane->limits(),
                                                 run.descriptors));
  } else {
    lane->queue.Edit().Push(run.bytes, run.messages, run.descriptors);
    Bound(lane);
  }
  List(lane);
}

void Outbox::AddGap(Lane* lane, const wire::Gap& gap) {
  Settle();
  CountMissing(lane, gap.reason, gap.last - gap.first + 1);
  if (lane->latest != nullptr) {
    lane->latest->PushGap(gap);
  } else if (lane->drop_newest) {
    lane->queue.Edit().PushGapBehind(gap);
  } else {
    lane->queue.Edit().PushGap(gap);
    Bound(lane);
  }
  List(lane);
}

void Outbox::Bound(Lane* lane) {
  while (lane->IsOverLimit()) DropOldest(lane, wire::GapReason::kDepth);
}

void Outbox::DropAll(Lane* lane, wire::GapReason reason) {
  Settle();
  while (lane->queue->bytes() > 0) DropOldest(lane, reason);
  List(lane);
}

void Outbox::List(Lane* lane) {
  if (lane->empty()) {
    if (lane->in_turn) std::erase(turn_, lane);
    lane->in_turn = false;
  } else if (!lane->in_turn) {
    lane->in_turn = true;
    turn_.push_back(lane);
  }
}

bool Outbox::MayFollow(const Descriptors& descriptors) {
  if (descriptors == nullptr) [[likely]]
    return true;
  if (!segments_.empty()) return false;
  descriptors_ = descriptors;
  return true;
}

const std::vector<std::span<const std::byte>>& Outbox::Gather() {
  Commit();
  segments_.clear();
  descriptors_ = nullptr;
  selects_.clear();
  selects_.reserve(runs_.size());  // segments_ points into it
  for (const Block& block : committed_) {
    if (segments_.size() >= kGatherSegmentsMax ||
        !MayFollow(block.descriptors)) {
      return segments_;
    }
    segments_.push_back(block.rest());
  }
  SubscriptionId selected = selected_;
  for (const Run& run : runs_) {
    if (segments_.size() + 1 >= kGatherSegmentsMax) break;
    if (run.lane->id != selected) {
      selected = run.lane->id;
      segments_.push_back(selects_.emplace_back(SelectFrame(selected)));
    }
    if (!MayFollow(run.descriptors)) break;
    segments_.push_back(run.bytes);
  }
  return segments_;
}

void Outbox::Sent(size_t bytes) {
  if (bytes > 0) descriptors_ = nullptr;
  bytes = SendCommitted(bytes);
  if (!runs_.empty()) SendRuns(bytes);
}

void Outbox::Settle() {
  descriptors_ = nullptr;
  for (const Run& run : runs_) Enqueue(run);
  runs_.clear();
}

void Outbox::Remove(Lane* lane) {
  Settle();
  lane->queue.Reset();
  if (lane->latest) lane->latest->Clear();
  if (lane->in_turn) std::erase(turn_, lane);
  lane->in_turn = false;
}

void Outbox::Commit() {
  if (!committed_.empty()) return;
  if (!control_.empty()) {
    CommitBytes(std::as_bytes(std::span(control_)));
    control_ = std::string();  // an idle connection holds no memory
  }
  size_t bytes = 0;
  while (!turn_.empty() && bytes < kGatherBytesMax) {
    Lane* lane = turn_.front();
    turn_.erase(turn_.begin());
    if (lane->id != selected_) CommitSelect(lane->id);
    committed_.push_back(lane->TakeBlock());
    bytes += committed_.back().rest().size();
    lane->in_turn = !lane->empty();
    if (lane->in_turn) turn_.push_back(lane);
  }
}

void Outbox::CommitBytes(std::span<const std::byte> bytes) {
  committed_.push_back({std::vector<std::byte>(bytes.begin(), bytes.end())});
}

void Outbox::CommitSelect(SubscriptionId id) {
  CommitBytes(SelectFrame(id));
  selected_ = id;
}

size_t Outbox::SendCommitted(size_t bytes) {
  while (!committed_.empty()) {
    Block& front = committed_.front();
    size_t taken = std::min(bytes, front.rest().size());
    if (taken > 0) front.descriptors = nullptr;  // have passed
    front.begin += taken;
    bytes -= taken;
    if (!front.rest().empty()) return 0;
    committed_.erase(committed_.begin());
  }
  return bytes;
}

void Outbox::SendRuns(size_t bytes) {
  size_t done = 0;
  for (; done < runs_.size() && bytes > 0; ++done) {
    Run& run = runs_[done];
    if (run.lane->id != selected_) {
      HeaderBytes select = SelectFrame(run.lane->id);
      selected_ = run.lane->id;
      if (bytes < select.size()) {
        CommitBytes(std::span(select).subspan(bytes));
        break;
      }
      bytes -= select.size();
    }
    if (bytes < run.bytes.size()) {
      // Cut: the rest of the frame must follow next, whatever else comes.
      size_t boundary = 0;
      while (boundary < bytes) {
        boundary += wire::LoadHeader(run.bytes.data() + boundary).size;
      }
      if (boundary > bytes) {
        CommitBytes(run.bytes.subspan(bytes, boundary - bytes));
      }
      run.bytes = run.bytes.subspan(boundary);
      run.messages = CountMessages(run.bytes);
      if (!run.bytes.empty()) break;
      bytes = 0;
    } else {
      bytes -= run.bytes.size();
    }
  }
  runs_.erase(runs_.begin(), runs_.begin() + static_cast<std::ptrdiff_t>(done));
}

}  // namespace ipc::broker
