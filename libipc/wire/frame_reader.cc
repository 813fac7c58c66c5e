// SPDX-License-Identifier: Apache-2.0
//
// Keeping and giving back the incomplete rest of a read.

#include "libipc/wire/frame_reader.h"

#include <algorithm>
#include <cstring>

namespace ipc::wire {

void FrameReader::JoinTail() {
  const size_t kept = tail_.size();
  size_t frame_size = 0;  // 0: not known yet, or Next will find fault with it
  if (kept >= kFrameHeaderBytes) {
    const FrameHeader header = LoadHeader(tail_.data());
    if (CheckHeader(header, control_bytes_max_) == FrameFault::kNone) {
      frame_size = header.size;
    }
  }
  if (rest_.size() >= frame_size) {
    std::memcpy(rest_.data(), tail_.data(), kept);
    tail_.clear();
    return;
  }
  if (tail_.capacity() < rest_.size()) {
    // By doubling, and no further than the frame goes.
    tail_.reserve(std::min(frame_size, std::max(rest_.size(), 2 * kept)));
  }
  const std::span<const std::byte> added = rest_.subspan(kept);
  tail_.insert(tail_.end(), added.begin(), added.end());
  rest_ = {};
}

void FrameReader::End() {
  if (fault_ != FrameFault::kNone) tail_.clear();
  if (fault_ == FrameFault::kNone && !rest_.empty()) {
    tail_.assign(rest_.begin(), rest_.end());
  } else if (tail_.empty() && tail_.capacity() != 0) {
    // An idle connection holds no memory.
    tail_ = std::vector<std::byte>();
  }
  rest_ = {};
}

void FrameReader::Reset() {
  fault_ = FrameFault::kNone;
  rest_ = {};
  tail_ = std::vector<std::byte>();
}

}  // namespace ipc::wire
