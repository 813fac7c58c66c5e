// SPDX-License-Identifier: Apache-2.0
//
// Keeping and giving back the incomplete rest of a read.

#include "libipc/wire/frame_reader.h"

#include <cstring>

namespace ipc::wire {

size_t FrameReader::PlaceTail(std::byte* buffer) const {
  if (!tail_.empty()) std::memcpy(buffer, tail_.data(), tail_.size());
  return tail_.size();
}

void FrameReader::End() {
  if (rest_.empty() || fault_ != FrameFault::kNone) {
    // An idle connection holds no memory.
    if (tail_.capacity() != 0) tail_ = std::vector<std::byte>();
  } else {
    tail_.assign(rest_.begin(), rest_.end());
  }
  rest_ = {};
}

void FrameReader::Reset() {
  fault_ = FrameFault::kNone;
  rest_ = {};
  tail_ = std::vector<std::byte>();
}

}  // namespace ipc::wire
