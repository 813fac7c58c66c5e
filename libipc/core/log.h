// SPDX-License-Identifier: Apache-2.0
//
// The publisher's log: every publication that was accepted and is not yet
// acknowledged, as ready-made PUBLISH frames in one ring of bytes. Send queue
// and resend buffer are the same bytes.
//
//        head        boundary sent            tail
//          v            v      v               v
//   ───────[ sent, kept ][ cut ][ to be sent   ]───────
//
// Offsets count bytes since the log was last empty and never wrap; an offset
// modulo the ring's size is its place. A frame lies in one piece: where it does
// not fit before the end of the ring, it starts the next lap, and `lap_end_`
// remembers where this lap ends.
//
// Descriptors stand beside the ring, by the offset of their publication's first
// frame, and are let go with it.
//
// A publication larger than the ring is taken when the log is empty, in a
// buffer of its own that serves as the ring until it is acknowledged.

#ifndef IPC_LIBIPC_CORE_LOG_H_
#define IPC_LIBIPC_CORE_LOG_H_

#include <cstddef>
#include <cstdint>
#include <deque>
#include <limits>
#include <memory>
#include <span>
#include <vector>

#include "libipc/base/descriptors.h"
#include "libipc/wire/frame.h"

namespace ipc::core {

class Log {
 public:
  // Memory comes with the first publication.
  explicit Log(size_t window_bytes) : window_bytes_(window_bytes) {}

  // Appends a frame of at most kFramePayloadBytesMax and returns where its
  // payload goes; null if the window has no room. `header.size` is filled in.
  std::byte* TryAppend(wire::FrameHeader header, size_t payload_bytes) {
    const size_t frame_bytes = kFrameHeaderBytes + payload_bytes;
    const uint64_t place = tail_ & mask_;
    // In the middle of a lap, and with room: not much happens.
    if (place == 0 || place + frame_bytes > mask_ + 1 ||
        tail_ + frame_bytes - head_ > capacity_) [[unlikely]] {
      if (!Reserve(frame_bytes)) return nullptr;
    }
    header.size = static_cast<uint32_t>(frame_bytes);
    std::byte* frame = At(tail_);
    wire::StoreHeader(header, frame);
    tail_ += frame_bytes;
    return frame + kFrameHeaderBytes;
  }
  // As TryAppend for a larger publication; the payload goes into
  // `payload_parts`, in order.
  bool TryAppendFragments(wire::FrameHeader header, size_t payload_bytes,
                          std::vector<std::span<std::byte>>* payload_parts);
  // Those of the publication that was appended last, whose header counts them.
  // Before it the log ended at `tail_before`. `memfd_bytes` of it are in the
  // first of them.
  void Attach(uint64_t tail_before, Descriptors descriptors,
              uint64_t memfd_bytes = 0);
  // Of all that is here.
  uint64_t memfd_bytes() const { return memfd_bytes_; }
  // How many are here.
  size_t descriptors() const { return descriptor_count_; }
  // Those of the publication that begins at `offset`; null if it has none.
  Descriptors DescriptorsAt(uint64_t offset) const;
  // Where the first publication at or behind `offset` begins that has some.
  uint64_t NextAttached(uint64_t offset) const;

  bool empty() const { return head_ == tail_; }
  // From the oldest publication kept to the newest.
  uint64_t bytes() const { return tail_ - head_; }
  uint64_t unsent_bytes() const { return tail_ - sent_; }
  size_t window_bytes() const { return window_bytes_; }

  // -- Sending. Frames from `gate` on stay.

  static constexpr uint64_t kNoGate = std::numeric_limits<uint64_t>::max();

  // The rest of a frame whose first part is sent; empty at a boundary.
  std::span<const std::byte> CutFrame();
  // Everything that may be sent next, in at most two pieces.
  void Unsent(uint64_t gate, std::vector<std::span<const std::byte>>* pieces);
  void Sent(size_t bytes);
  // The connection is lost: a publication that was cut counts as not sent,
  // with all of its fragments.
  void OnDisconnected();
  // Leaves out the next frame, as if it were sent. Only at a boundary.
  void SkipFrame();
  // Marks all frames of the publication that begins at `offset`. Not while any
  // of them is on its way to the socket.
  void MarkExpired(uint64_t offset);

  // Forgets the oldest publications up to the first that `acknowledged` (by
  // channel number) does not cover.
  void Release(std::span<const uint64_t> acknowledged);
  // Where that is.
  uint64_t Releasable(std::span<const uint64_t> acknowledged) const;

  // -- Looking at frames.

  uint64_t head() const { return head_; }
  uint64_t tail() const { return tail_; }
  uint64_t sent() const { return sent_; }
  // The end of the last frame of which something was sent.
  uint64_t SentFramesEnd();
  // Whether all of the publication that begins at `offset` is sent.
  bool IsSent(uint64_t offset) const;
  // The offset behind the publication that begins at `offset`.
  uint64_t NextPublication(uint64_t offset) const;
  // The frame at `offset`, and the offset behind it.
  wire::FrameHeader HeaderAt(uint64_t offset) const;
  std::span<const std::byte> FrameAt(uint64_t offset) const;
  uint64_t Next(uint64_t offset) const;
  // An offset at the end of a lap is that of the next lap's first frame.
  uint64_t Normalize(uint64_t offset) const {
    return offset == lap_end_ ? next_lap_ : offset;
  }

 private:
  static constexpr uint64_t kNone = std::numeric_limits<uint64_t>::max();

  struct Attached {
    uint64_t offset = 0;
    Descriptors descriptors;
    uint64_t memfd_bytes = 0;
  };

  std::byte* At(uint64_t offset) const {
    return ring_.get() + (offset & mask_);
  }
  void Provide(size_t capacity);
  bool Reserve(size_t frame_bytes);
  void MoveBoundary();
  void Reset();
  void ReleaseAttached();

  size_t window_bytes_;
  std::unique_ptr<std::byte[]> ring_;
  size_t capacity_ = 0;  // bytes that may be kept; the ring is a power of two
  uint64_t mask_ = 0;
  uint64_t head_ = 0;
  uint64_t tail_ = 0;
  uint64_t sent_ = 0;
  uint64_t boundary_ = 0;     // start of a frame at or before sent_
  uint64_t publication_ = 0;  // start of the publication that it belongs to
  uint64_t lap_end_ = kNone;  // end of the data in the lap of head_ ...
  uint64_t next_lap_ = 0;     // ... and where the next one begins
  std::deque<Attached> attached_;  // in order
  size_t descriptor_count_ = 0;
  uint64_t memfd_bytes_ = 0;
};

}  // namespace ipc::core

#endif  // IPC_LIBIPC_CORE_LOG_H_
