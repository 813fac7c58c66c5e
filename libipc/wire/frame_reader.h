// SPDX-License-Identifier: Apache-2.0
//
// Finds the frames in a stream of bytes that comes in any pieces, without
// copying the whole ones. The caller reads into a buffer that starts with what
// the reader has kept:
//
//   size_t kept = reader.PlaceTail(buffer);       // copies the tail in front
//   size_t n = recv(fd, buffer + kept, ...);
//   reader.Begin({buffer, kept + n});
//   while (reader.Next(&frame)) ...               // frames lie in the buffer
//   reader.End();                                 // keeps the incomplete rest
//   if (reader.fault() != FrameFault::kNone) ...  // close: no way to resume
//
// Invariant: the tail is shorter than one frame of the size its header allows,
// so a peer makes us hold at most one largest frame.

#ifndef IPC_LIBIPC_WIRE_FRAME_READER_H_
#define IPC_LIBIPC_WIRE_FRAME_READER_H_

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "libipc/wire/frame.h"

namespace ipc::wire {

class FrameReader {
 public:
  // Frames above `control_bytes_max` are a fault, data frames too.
  explicit FrameReader(uint32_t control_bytes_max)
      : control_bytes_max_(control_bytes_max) {}

  void set_control_bytes_max(uint32_t bytes) { control_bytes_max_ = bytes; }

  size_t tail_size() const { return tail_.size(); }
  // Copies the tail to `buffer`, which must have room; returns its size.
  size_t PlaceTail(std::byte* buffer) const;

  // `bytes` starts with the tail and is borrowed until End.
  void Begin(std::span<std::byte> bytes) { rest_ = bytes; }
  // The next whole frame. False when there is none or a fault was met.
  bool Next(Frame* frame) {
    if (rest_.size() < kFrameHeaderBytes || fault_ != FrameFault::kNone) {
      return false;
    }
    frame->header = LoadHeader(rest_.data());
    fault_ = CheckHeader(frame->header, control_bytes_max_);
    if (fault_ != FrameFault::kNone || frame->header.size > rest_.size()) {
      return false;
    }
    frame->bytes = rest_.first(frame->header.size);
    rest_ = rest_.subspan(frame->header.size);
    return true;
  }
  // Keeps what is left of `bytes`.
  void End();

  // Stays once it is set.
  FrameFault fault() const { return fault_; }
  // Forgets all but the limit, for a new connection.
  void Reset();

 private:
  uint32_t control_bytes_max_;
  FrameFault fault_ = FrameFault::kNone;
  std::span<std::byte> rest_;
  std::vector<std::byte> tail_;
};

}  // namespace ipc::wire

#endif  // IPC_LIBIPC_WIRE_FRAME_READER_H_
