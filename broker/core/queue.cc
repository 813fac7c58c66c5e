// SPDX-License-Identifier: Apache-2.0
//
// Appending to and taking from the blocks.

#include "broker/core/queue.h"

#include <algorithm>
#include <array>
#include <utility>

#include "libipc/base/check.h"
#include "libipc/wire/frame.h"

namespace ipc::broker {
namespace {

// Large enough that few blocks leave in one send, small enough that a short
// stall costs little.
constexpr size_t kBlockBytes = 64 * 1024;

bool BeginsPublication(const wire::FrameHeader& header) {
  return header.kind == wire::FrameKind::kDeliver && header.fragment == 0;
}

}  // namespace

uint32_t CountMessages(std::span<const std::byte> frames) {
  uint32_t messages = 0;
  for (size_t at = 0; at < frames.size();) {
    wire::FrameHeader header = wire::LoadHeader(frames.data() + at);
    if (BeginsPublication(header)) ++messages;
    at += header.size;
  }
  return messages;
}

void Queue::Push(std::span<const std::byte> run, uint32_t messages,
                 const Descriptors& descriptors) {
  run = WithoutLost(run);
  if (run.empty()) return;
  ends_in_gap_ = false;
  Append(run, descriptors);
  messages_ += messages;
}

std::span<const std::byte> Queue::WithoutLost(
    std::span<const std::byte> run) const {
  while (!run.empty()) {
    wire::FrameHeader header = wire::LoadHeader(run.data());
    if (header.kind != wire::FrameKind::kDeliver || header.fragment == 0 ||
        !lost_.Knows(header)) {
      break;
    }
    run = run.subspan(header.size);
  }
  return run;
}

uint64_t Queue::PushWhatFits(std::span<const std::byte> run,
                             const QueueLimits& limits,
                             const Descriptors& descriptors) {
  lost_is_last_ = true;
  uint64_t lost = 0;
  while (!run.empty()) {
    const wire::FrameHeader header = wire::LoadHeader(run.data());
    const std::span<const std::byte> frame = run.first(header.size);
    run = run.subspan(header.size);
    const bool begins = BeginsPublication(header);
    if (header.kind == wire::FrameKind::kGone) {
      lost_.AddGone(frame);
    } else if (!begins && lost_.Knows(header)) {
      continue;  // the rest of what is lost
    } else if (bytes_ + header.size > limits.bytes ||
               descriptors_ + header.descriptors > limits.descriptors ||
               (begins && messages_ >= limits.messages)) {
      if (header.kind == wire::FrameKind::kDeliver)
        lost += Lose(header, wire::GapReason::kDepth);
    } else {
      // Behind what was lost before it.
      if (!lost_.empty()) Append(lost_.Take());
      Append(frame, descriptors);
      if (begins) ++messages_;
    }
  }
  return lost;
}

uint64_t Queue::Lose(const wire::FrameHeader& header, wire::GapReason reason) {
  return lost_.Add({.topic = header.target,
                    .session = header.session,
                    .first = header.sequence,
                    .last = header.sequence,
                    .reason = reason});
}

void Queue::PushGap(const wire::Gap& gap) {
  if (ends_in_gap_ && !blocks_.empty()) {
    std::vector<std::byte>& last = blocks_.back().bytes;
    std::byte* frame = last.data() + last.size() - kFrameHeaderBytes;
    wire::Gap before;
    wire::ParseGap(wire::LoadHeader(frame), &before);
    if (before.topic == gap.topic && before.session == gap.session &&
        before.reason == gap.reason && before.last + 1 == gap.first) {
      before.last = gap.last;
      wire::StoreHeader(wire::GapHeader(before), frame);
      return;
    }
  }
  std::array<std::byte, kFrameHeaderBytes> bytes;
  wire::StoreHeader(wire::GapHeader(gap), bytes.data());
  Append(bytes);
  ends_in_gap_ = true;
}

void Queue::Append(std::span<const std::byte> run,
                   const Descriptors& descriptors) {
  if (descriptors != nullptr) {
    blocks_.emplace_back();
    blocks_.back().descriptors = descriptors;
    descriptors_ += descriptors->size();
  } else if (blocks_.empty() || blocks_.back().descriptors != nullptr ||
             blocks_.back().bytes.size() + run.size() > kBlockBytes) {
    blocks_.emplace_back();
    blocks_.back().bytes.reserve(std::max(run.size(), kBlockBytes));
  }
  std::vector<std::byte>& last = blocks_.back().bytes;
  last.insert(last.end(), run.begin(), run.end());
  bytes_ += run.size();
}

Block Queue::TakeBlock() {
  if (!lost_.empty() && (!lost_is_last_ || blocks_.empty())) {
    return {lost_.Take()};
  }
  IPC_CHECK(!blocks_.empty());
  if (blocks_.front().descriptors != nullptr) {
    descriptors_ -= blocks_.front().descriptors->size();
  }
  Block block = std::move(blocks_.front());
  blocks_.erase(blocks_.begin());
  bytes_ -= block.rest().size();
  messages_ -= CountMessages(block.rest());
  return block;
}

bool Queue::DropOldest(wire::GapReason reason) {
  IPC_CHECK(!blocks_.empty());
  Block& front = blocks_.front();
  wire::FrameHeader header = wire::LoadHeader(front.bytes.data() + front.begin);
  bool lost = false;
  switch (header.kind) {
    case wire::FrameKind::kDeliver:
      lost = Lose(header, reason) > 0;
      break;
    case wire::FrameKind::kGap: {
      wire::Gap gap;
      if (wire::ParseGap(header, &gap)) lost_.Add(gap);
      break;
    }
    case wire::FrameKind::kGone:
      lost_.AddGone(front.rest().first(header.size));
      break;
    default:
      break;
  }
  front.begin += header.size;
  bytes_ -= header.size;
  if (BeginsPublication(header)) --messages_;
  if (front.rest().empty()) {
    if (front.descriptors != nullptr) {
      descriptors_ -= front.descriptors->size();
    }
    blocks_.erase(blocks_.begin());
  }
  return lost;
}

}  // namespace ipc::broker
