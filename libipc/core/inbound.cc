// SPDX-License-Identifier: Apache-2.0
//
// Buffer moves.

#include "libipc/core/inbound.h"

#include <algorithm>
#include <cstring>
#include <utility>

namespace ipc::core {
namespace {

// Large messages come as frames of this size. A buffer that is full of them
// ends where a frame ends, so that no part of one has to be moved.
constexpr size_t kBufferBytes = 4 * size_t{kDataFrameBytesMax};

}  // namespace

std::span<std::byte> Inbound::Room(size_t bytes) {
  if (begin_ == end_) begin_ = end_ = 0;
  if (buffer_.size() - end_ < bytes && begin_ > 0) {
    std::memmove(buffer_.data(), buffer_.data() + begin_, end_ - begin_);
    end_ -= begin_;
    begin_ = 0;
  }
  if (buffer_.size() - end_ < bytes) {
    buffer_.resize(std::max(kBufferBytes, end_ + bytes));
  }
  return std::span(buffer_).subspan(end_);
}

void Inbound::FindPlace(Receiving* receiving) {
  const size_t have = end_ - begin_;
  if (assembly_ != nullptr || have < kFrameHeaderBytes) return;
  const std::byte* const begin = buffer_.data() + begin_;
  const wire::FrameHeader header = wire::LoadHeader(begin);
  if (wire::CheckHeader(header, kControlFrameBytesMax) !=
          wire::FrameFault::kNone ||
      header.size <= have) {
    return;
  }
  assembly_ = receiving->AssemblyFor(header);
  if (assembly_ == nullptr) return;
  placed_.header = header;
  placed_.bytes = assembly_->Room(header.size - kFrameHeaderBytes);
  const size_t here = have - kFrameHeaderBytes;
  std::memcpy(placed_.bytes.data(), begin + kFrameHeaderBytes, here);
  place_ = placed_.bytes.subspan(here);
  begin_ = end_ = 0;
}

std::shared_ptr<Assembly> Inbound::TakePlaced(wire::Frame* frame) {
  if (assembly_ == nullptr || !place_.empty()) return nullptr;
  *frame = placed_;
  return std::exchange(assembly_, nullptr);
}

void Inbound::Park() {
  std::vector<std::byte> rest(
      buffer_.begin() + static_cast<std::ptrdiff_t>(begin_),
      buffer_.begin() + static_cast<std::ptrdiff_t>(end_));
  parked_.push_back(std::exchange(buffer_, std::move(rest)));
  end_ -= begin_;
  begin_ = 0;
}

void Inbound::Reset() {
  // What is handed out right now may lie here.
  parked_.push_back(std::move(buffer_));
  buffer_.clear();
  begin_ = end_ = 0;
  fault_ = wire::FrameFault::kNone;
  assembly_ = nullptr;
  place_ = {};
}

}  // namespace ipc::core
