// SPDX-License-Identifier: Apache-2.0
//
// Finds the frames in a stream of bytes that comes in any pieces, without
// copying the whole ones. The caller reads into a buffer, behind room for what
// the reader has kept:
//
//   size_t kept = reader.tail_size();
//   size_t n = recv(fd, buffer + kept, ...);
//   reader.Begin({buffer, kept + n});             // fills the room if need be
//   while (reader.Next(&frame)) ...               // frames lie in the buffer
//   reader.End();                                 // keeps the incomplete rest
//   if (reader.fault() != FrameFault::kNone) ...  // close: no way to resume
//
// Invariant: the tail is shorter than one frame of the size its header allows,
// so a peer makes us hold at most one largest frame. A frame that comes in many
// pieces is gathered in the tail and copied to the buffer when it is whole:
// work is in proportion to the bytes that come, however they are cut.

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

  // What has come of an incomplete frame.
  std::span<const std::byte> tail() const { return tail_; }
  size_t tail_size() const { return tail_.size(); }

  // `bytes` is room for the tail, with what has come since behind it, and is
  // borrowed until End.
  void Begin(std::span<std::byte> bytes) {
    rest_ = bytes;
    if (!tail_.empty()) JoinTail();
  }
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
  // What Next has not looked at, and that so much of it has been handled
  // otherwise: whole frames.
  std::span<std::byte> rest() const { return rest_; }
  void Skip(size_t bytes) { rest_ = rest_.subspan(bytes); }
  // Keeps what is left.
  void End();

  // Stays once it is set.
  FrameFault fault() const { return fault_; }
  // Forgets all but the limit, for a new connection.
  void Reset();

 private:
  // Puts the tail in front of `rest_`, or `rest_` behind the tail.
  void JoinTail();

  uint32_t control_bytes_max_;
  FrameFault fault_ = FrameFault::kNone;
  std::span<std::byte> rest_;
  std::vector<std::byte> tail_;
};

}  // namespace ipc::wire

#endif  // IPC_LIBIPC_WIRE_FRAME_READER_H_
