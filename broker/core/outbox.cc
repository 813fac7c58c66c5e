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

using HeaderBytes = std::array<std::byte, kFrameHeaderBytes>;

HeaderBytes SelectFrame(SubscriptionId id) {
  HeaderBytes bytes;
  wire::StoreHeader({.kind = wire::FrameKind::kSelect, .target = ToNumber(id)},
                    bytes.data());
  return bytes;
}

}  // namespace

void Outbox::AddControl(std::string_view frame) {
  const auto bytes = std::as_bytes(std::span(frame));
  std::vector<std::byte>& control = waiting_.Edit().control;
  control.insert(control.end(), bytes.begin(), bytes.end());
}

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
    Unlist(lane);
  } else if (!lane->in_turn) {
    lane->in_turn = true;
    waiting_.Edit().turn.push_back(lane);
  }
}

void Outbox::Unlist(Lane* lane) {
  if (!lane->in_turn) return;
  lane->in_turn = false;
  std::erase(waiting_.Edit().turn, lane);
  LetGoOfNothing();
}

bool Outbox::MayFollow(const Descriptors& descriptors) {
  if (descriptors == nullptr) [[likely]]
    return true;
  if (!common_.segments.empty()) return false;
  common_.descriptors = descriptors;
  return true;
}

const std::vector<std::span<const std::byte>>& Outbox::Gather() {
  Commit();
  auto& segments = common_.segments;
  auto& selects = common_.selects;
  segments.clear();
  common_.descriptors = nullptr;
  selects.clear();
  selects.reserve(runs_.size());  // segments points into it
  if (waiting_.made()) {
    for (const Block& block : waiting_->committed) {
      if (segments.size() >= kGatherSegmentsMax ||
          !MayFollow(block.descriptors)) {
        return segments;
      }
      segments.push_back(block.rest());
    }
  }
  SubscriptionId selected = selected_;
  for (const Run& run : runs_) {
    if (segments.size() + 1 >= kGatherSegmentsMax) break;
    if (run.lane->id != selected) {
      selected = run.lane->id;
      segments.push_back(selects.emplace_back(SelectFrame(selected)));
    }
    if (!MayFollow(run.descriptors)) break;
    segments.push_back(run.bytes);
  }
  return segments;
}

void Outbox::Sent(size_t bytes) {
  if (bytes > 0) common_.descriptors = nullptr;
  if (waiting_.made()) bytes = SendCommitted(bytes);
  if (!runs_.empty()) SendRuns(bytes);
}

void Outbox::Settle() {
  common_.descriptors = nullptr;
  for (const Run& run : runs_) Enqueue(run);
  runs_.clear();
}

void Outbox::Remove(Lane* lane) {
  Settle();
  lane->queue.Reset();
  if (lane->latest) lane->latest->Clear();
  Unlist(lane);
}

void Outbox::Commit() {
  if (!waiting_.made() || !waiting_->committed.empty()) return;
  Waiting& waiting = waiting_.Edit();
  if (!waiting.control.empty()) {
    waiting.committed.emplace_back().bytes.swap(waiting.control);
  }
  size_t bytes = 0;
  while (!waiting.turn.empty() && bytes < kGatherBytesMax) {
    Lane* lane = waiting.turn.front();
    waiting.turn.erase(waiting.turn.begin());
    if (lane->id != selected_) CommitSelect(lane->id);
    waiting.committed.push_back(lane->TakeBlock());
    bytes += waiting.committed.back().rest().size();
    lane->in_turn = !lane->empty();
    if (lane->in_turn) waiting.turn.push_back(lane);
  }
}

void Outbox::CommitBytes(std::span<const std::byte> bytes) {
  waiting_.Edit().committed.push_back(
      {std::vector<std::byte>(bytes.begin(), bytes.end())});
}

void Outbox::CommitSelect(SubscriptionId id) {
  CommitBytes(SelectFrame(id));
  selected_ = id;
}

size_t Outbox::SendCommitted(size_t bytes) {
  std::vector<Block>& committed = waiting_.Edit().committed;
  while (!committed.empty()) {
    Block& front = committed.front();
    size_t taken = std::min(bytes, front.rest().size());
    if (taken > 0) front.descriptors = nullptr;  // have passed
    front.begin += taken;
    bytes -= taken;
    if (!front.rest().empty()) return 0;
    committed.erase(committed.begin());
  }
  LetGoOfNothing();
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
