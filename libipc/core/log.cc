// SPDX-License-Identifier: Apache-2.0
//
// Ring arithmetic.

#include "libipc/core/log.h"

#include <algorithm>
#include <bit>
#include <utility>

#include "libipc/base/check.h"

namespace ipc::core {
namespace {

size_t FragmentCount(size_t payload_bytes) {
  return (payload_bytes + kFramePayloadBytesMax - 1) / kFramePayloadBytesMax;
}

}  // namespace

bool Log::TryAppendFragments(wire::FrameHeader header, size_t payload_bytes,
                             std::vector<std::span<std::byte>>* payload_parts) {
  size_t count = FragmentCount(payload_bytes);
  size_t total = payload_bytes + count * kFrameHeaderBytes;
  if (total > window_bytes_) {
    if (!empty()) return false;
    Provide(total);
  } else if (ring_ == nullptr) {
    Provide(window_bytes_);
  }
  // All fragments or none: one lap's end may lie between them.
  uint64_t tail_before = tail_;
  uint64_t lap_end_before = lap_end_;
  uint64_t next_lap_before = next_lap_;
  payload_parts->clear();
  header.last_fragment = static_cast<uint16_t>(count - 1);
  for (size_t i = 0; i < count; ++i) {
    size_t part = std::min<size_t>(payload_bytes - i * kFramePayloadBytesMax,
                                   kFramePayloadBytesMax);
    header.fragment = static_cast<uint16_t>(i);
    std::byte* place = TryAppend(header, part);
    if (place == nullptr) {
      tail_ = tail_before;
      lap_end_ = lap_end_before;
      next_lap_ = next_lap_before;
      return false;
    }
    payload_parts->emplace_back(place, part);
    header.descriptors = 0;  // the first has them
  }
  return true;
}

void Log::Attach(uint64_t tail_before, Descriptors descriptors,
                 uint64_t memfd_bytes) {
  descriptor_count_ += descriptors->size();
  memfd_bytes_ += memfd_bytes;
  attached_.push_back(
      {Normalize(tail_before), std::move(descriptors), memfd_bytes});
}

Descriptors Log::DescriptorsAt(uint64_t offset) const {
  for (const Attached& attached : attached_) {
    if (attached.offset == offset) return attached.descriptors;
  }
  return nullptr;
}

uint64_t Log::NextAttached(uint64_t offset) const {
  for (const Attached& attached : attached_) {
    if (attached.offset >= offset) return attached.offset;
  }
  return kNoGate;
}

void Log::ReleaseAttached() {
  while (!attached_.empty() &&
         (head_ == tail_ || attached_.front().offset < head_)) {
    descriptor_count_ -= attached_.front().descriptors->size();
    memfd_bytes_ -= attached_.front().memfd_bytes;
    attached_.pop_front();
  }
}

void Log::Provide(size_t capacity) {
  IPC_CHECK(empty());
  size_t ring_bytes = std::bit_ceil(capacity);
  ring_ = std::make_unique_for_overwrite<std::byte[]>(ring_bytes);
  mask_ = ring_bytes - 1;
  capacity_ = capacity;
  Reset();
}

// Makes `tail_` a place where a frame fits in one piece.
bool Log::Reserve(size_t frame_bytes) {
  if (ring_ == nullptr) Provide(window_bytes_);
  uint64_t place = tail_ & mask_;
  uint64_t start = tail_;
  if (place + frame_bytes > mask_ + 1) start += mask_ + 1 - place;
  if (start + frame_bytes - head_ > capacity_) return false;
  // A lap ends without a hole, too, when a frame fills it exactly.
  if ((start & mask_) == 0 && start != 0) {
    lap_end_ = tail_;
    next_lap_ = start;
    tail_ = start;
  }
  return true;
}

void Log::MoveBoundary() {
  boundary_ = std::max(boundary_, head_);
  for (;;) {
    boundary_ = Normalize(boundary_);
    if (boundary_ >= sent_) return;
    wire::FrameHeader header = HeaderAt(boundary_);
    if (header.fragment == 0) publication_ = boundary_;
    uint64_t next = boundary_ + header.size;
    if (next > sent_) return;
    boundary_ = next;
  }
}

std::span<const std::byte> Log::CutFrame() {
  sent_ = Normalize(sent_);
  MoveBoundary();
  if (boundary_ == sent_) return {};
  uint64_t end = boundary_ + HeaderAt(boundary_).size;
  return {At(sent_), static_cast<size_t>(end - sent_)};
}

void Log::Unsent(uint64_t gate,
                 std::vector<std::span<const std::byte>>* pieces) {
  sent_ = Normalize(sent_);
  uint64_t end = std::min(tail_, gate);
  uint64_t from = sent_;
  if (from < lap_end_ && lap_end_ < end) {
    pieces->emplace_back(At(from), static_cast<size_t>(lap_end_ - from));
    from = next_lap_;
  }
  if (from < end) {
    pieces->emplace_back(At(from), static_cast<size_t>(end - from));
  }
}

void Log::Sent(size_t bytes) {
  sent_ = Normalize(sent_);
  if (sent_ < lap_end_ && bytes > lap_end_ - sent_) {
    bytes -= static_cast<size_t>(lap_end_ - sent_);
    sent_ = next_lap_;
  }
  sent_ += bytes;
}

void Log::OnDisconnected() {
  MoveBoundary();
  // The next broker has none of the fragments before, and OPEN names the
  // publication as the first that was not sent.
  if (boundary_ < tail_ && HeaderAt(boundary_).fragment != 0) {
    boundary_ = std::max(publication_, head_);
  }
  sent_ = boundary_;
}

void Log::SkipFrame() {
  MoveBoundary();
  IPC_CHECK(boundary_ == Normalize(sent_));
  sent_ = Next(boundary_);
}

void Log::MarkExpired(uint64_t offset) {
  for (const uint64_t end = NextPublication(offset); offset != end;
       offset = Next(offset)) {
    wire::FrameHeader header = HeaderAt(offset);
    header.flags |= wire::kFlagExpired;
    wire::StoreHeader(header, At(offset));
  }
}

uint64_t Log::Releasable(std::span<const uint64_t> acknowledged) const {
  uint64_t at = Normalize(head_);
  while (at < sent_) {
    wire::FrameHeader header = HeaderAt(at);
    if (at + header.size > sent_ ||
        header.sequence > acknowledged[header.target]) {
      break;
    }
    at = Normalize(at + header.size);
  }
  return at;
}

void Log::Release(std::span<const uint64_t> acknowledged) {
  head_ = Releasable(acknowledged);
  if (!attached_.empty()) [[unlikely]]
    ReleaseAttached();
  if (head_ != tail_) return;
  // Starting over keeps a quiet publisher within a few cache lines.
  if (capacity_ != window_bytes_) {
    ring_.reset();
    capacity_ = 0;
  }
  Reset();
}

void Log::Reset() {
  head_ = tail_ = sent_ = boundary_ = publication_ = 0;
  lap_end_ = kNone;
}

uint64_t Log::SentFramesEnd() {
  std::span<const std::byte> cut = CutFrame();
  return sent_ + cut.size();
}

bool Log::IsSent(uint64_t offset) const {
  wire::FrameHeader header = HeaderAt(offset);
  while (header.fragment != header.last_fragment) {
    offset = Next(offset);
    header = HeaderAt(offset);
  }
  return offset + header.size <= sent_;
}

uint64_t Log::NextPublication(uint64_t offset) const {
  wire::FrameHeader header = HeaderAt(offset);
  for (; header.fragment != header.last_fragment; header = HeaderAt(offset)) {
    offset = Next(offset);
  }
  return Next(offset);
}

wire::FrameHeader Log::HeaderAt(uint64_t offset) const {
  return wire::LoadHeader(At(offset));
}

std::span<const std::byte> Log::FrameAt(uint64_t offset) const {
  return {At(offset), HeaderAt(offset).size};
}

uint64_t Log::Next(uint64_t offset) const {
  return Normalize(offset + HeaderAt(offset).size);
}

}  // namespace ipc::core
