// SPDX-License-Identifier: Apache-2.0
//
// Appending to and taking from the blocks.

#include "broker/core/queue.h"

#include <algorithm>
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

void Queue::Push(std::span<const std::byte> run, uint32_t messages) {
  if (blocks_.empty() ||
      blocks_.back().bytes.size() + run.size() > kBlockBytes) {
    blocks_.emplace_back();
    blocks_.back().bytes.reserve(std::max(run.size(), kBlockBytes));
  }
  std::vector<std::byte>& last = blocks_.back().bytes;
  last.insert(last.end(), run.begin(), run.end());
  bytes_ += run.size();
  messages_ += messages;
}

Block Queue::TakeBlock() {
  if (!kept_.empty()) return {std::exchange(kept_, {}), 0};
  IPC_CHECK(!blocks_.empty());
  Block block = std::move(blocks_.front());
  blocks_.erase(blocks_.begin());
  bytes_ -= block.rest().size();
  messages_ -= CountMessages(block.rest());
  return block;
}

bool Queue::DropOldest() {
  IPC_CHECK(!blocks_.empty());
  Block& front = blocks_.front();
  wire::FrameHeader header = wire::LoadHeader(front.bytes.data() + front.begin);
  if (header.kind == wire::FrameKind::kGone) {
    std::span<const std::byte> frame = front.rest().first(header.size);
    kept_.insert(kept_.end(), frame.begin(), frame.end());
  }
  front.begin += header.size;
  bytes_ -= header.size;
  bool begins = BeginsPublication(header);
  if (begins) --messages_;
  if (front.rest().empty()) blocks_.erase(blocks_.begin());
  return begins;
}

void Queue::Clear() {
  blocks_.clear();
  kept_.clear();
  bytes_ = 0;
  messages_ = 0;
}

}  // namespace ipc::broker
