// SPDX-License-Identifier: Apache-2.0
//
// A FIFO, and a scanner of frames beside it.

#include "tests/sim/pipe.h"

#include <algorithm>
#include <cstring>
#include <string_view>

namespace ipc::sim {
namespace {

std::string_view View(std::span<const std::byte> bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

const std::byte* Data(const std::string& text) {
  return reinterpret_cast<const std::byte*>(text.data());
}

}  // namespace

size_t Pipe::Write(std::span<const std::byte> bytes) {
  size_t taken = std::min(bytes.size(), room());
  if (taken == 0) return 0;
  if (filter_ == nullptr) {
    Append(View(bytes.first(taken)));
    return taken;
  }
  held_.append(View(bytes.first(taken)));
  size_t done = 0;
  while (held_.size() - done >= kFrameHeaderBytes) {
    wire::FrameHeader header = wire::LoadHeader(Data(held_) + done);
    if (wire::CheckHeader(header, kControlFrameBytesMax) !=
        wire::FrameFault::kNone) {
      garbled_ = true;
      break;
    }
    if (held_.size() - done < header.size) break;
    std::string frame = held_.substr(done, header.size);
    done += header.size;
    int copies = filter_(&header, &frame);
    std::memcpy(frame.data(), &header, sizeof(header));
    for (int i = 0; i < copies; ++i) Append(frame);
  }
  held_.erase(0, done);
  return taken;
}

void Pipe::Append(std::string_view bytes) {
  if (begin_ > 64 * 1024 && begin_ > bytes_.size() / 2) {
    bytes_.erase(0, begin_);
    begin_ = 0;
  }
  bytes_.append(bytes);
  while (!bytes.empty() && !garbled_) {
    if (head_bytes_ < kFrameHeaderBytes) {
      size_t part = std::min(bytes.size(), kFrameHeaderBytes - head_bytes_);
      std::memcpy(head_.data() + head_bytes_, bytes.data(), part);
      head_bytes_ += part;
      written_ += part;
      bytes.remove_prefix(part);
      if (head_bytes_ < kFrameHeaderBytes) return;
      ScanHeader();
      if (body_bytes_ != 0) continue;
    } else {
      size_t part = std::min<size_t>(bytes.size(), body_bytes_);
      body_bytes_ -= part;
      written_ += part;
      bytes.remove_prefix(part);
    }
    if (body_bytes_ != 0 || garbled_) continue;
    wire::FrameHeader header = wire::LoadHeader(head_.data());
    head_bytes_ = 0;
    marks_.push_back({written_, header});
    if (on_written_ != nullptr) on_written_(header);
  }
}

void Pipe::ScanHeader() {
  wire::FrameHeader header = wire::LoadHeader(head_.data());
  garbled_ |= wire::CheckHeader(header, kControlFrameBytesMax) !=
              wire::FrameFault::kNone;
  garbled_ |= !wire::IsKnownKind(header.kind);
  body_bytes_ = garbled_ ? 0 : header.size - kFrameHeaderBytes;
}

size_t Pipe::Read(size_t bytes, std::byte* out) {
  size_t taken = std::min(bytes, size());
  if (taken == 0) return 0;
  std::memcpy(out, bytes_.data() + begin_, taken);
  begin_ += taken;
  read_ += taken;
  if (begin_ == bytes_.size()) {
    bytes_.clear();
    begin_ = 0;
  }
  while (!marks_.empty() && marks_.front().end <= read_) {
    Mark mark = marks_.front();
    marks_.pop_front();
    if (on_read_ != nullptr) on_read_(mark.header);
  }
  return taken;
}

void Pipe::Truncate(size_t keep) {
  held_.clear();
  if (keep >= size()) return;
  bytes_.resize(begin_ + keep);
  while (!marks_.empty() && marks_.back().end > read_ + keep) {
    marks_.pop_back();
  }
}

}  // namespace ipc::sim
