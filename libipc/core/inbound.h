// SPDX-License-Identifier: Apache-2.0
//
// The bytes a client has received and not yet handled. Frames are handled in
// order, each where it lies.
//
// The payload of a large message's fragment need not pass through the buffer:
// once its header is here, the rest can be read to its place. Whoever reads
// little behind it finds the next header alone, and so on.
//
// A handler holds on to bytes of the buffer: when it waits for something and
// more is read during its call, the buffer is parked until it has returned.

#ifndef IPC_LIBIPC_CORE_INBOUND_H_
#define IPC_LIBIPC_CORE_INBOUND_H_

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "libipc/core/assembly.h"
#include "libipc/core/receiving.h"
#include "libipc/wire/frame.h"

namespace ipc::core {

class Inbound {
 public:
  // Where the next read goes, behind place(): at least `bytes` of room.
  std::span<std::byte> Room(size_t bytes);
  // So many were read: to place() first.
  void Filled(size_t bytes) {
    const size_t placed = std::min(bytes, place_.size());
    place_ = place_.subspan(placed);
    end_ += bytes - placed;
  }

  // -- Fragments that are read to their places

  // To be called before each read, when Next has taken all that it can: finds
  // out whether the next bytes have a place.
  void FindPlace(Receiving* receiving);
  // Where they go; empty: nowhere else than to Room.
  std::span<std::byte> place() const { return place_; }
  // Takes the fragment whose payload is at its place now, before what Next
  // takes. The result keeps its bytes valid; null: there is none.
  std::shared_ptr<Assembly> TakePlaced(wire::Frame* frame);

  // -- Frames

  // Takes the next whole frame. Valid until Room, or longer after Park.
  bool Next(wire::Frame* frame) {
    if (end_ - begin_ < kFrameHeaderBytes ||
        fault_ != wire::FrameFault::kNone) {
      return false;
    }
    std::byte* const begin = buffer_.data() + begin_;
    wire::PrefetchFrames(begin);
    frame->header = wire::LoadHeader(begin);
    fault_ = wire::CheckHeader(frame->header, kControlFrameBytesMax);
    if (fault_ != wire::FrameFault::kNone ||
        frame->header.size > end_ - begin_) {
      return false;
    }
    frame->bytes = {begin, frame->header.size};
    begin_ += frame->header.size;
    return true;
  }

  // Keeps the bytes that frames handed out lie in, until Unpark.
  void Park();
  void Unpark() { parked_.clear(); }

  // What Next has not taken.
  std::span<const std::byte> rest() const {
    return std::span(buffer_).subspan(begin_, end_ - begin_);
  }

  wire::FrameFault fault() const { return fault_; }
  // Forgets all bytes, for a new connection. What is parked stays.
  void Reset();

 private:
  std::vector<std::byte> buffer_;
  size_t begin_ = 0;  // of the next frame
  size_t end_ = 0;    // of the bytes received
  wire::FrameFault fault_ = wire::FrameFault::kNone;
  std::vector<std::vector<std::byte>> parked_;

  // The fragment that is on its way to its place; null: none is.
  std::shared_ptr<Assembly> assembly_;
  wire::Frame placed_;
  std::span<std::byte> place_;  // of its bytes that have not come
};

}  // namespace ipc::core

#endif  // IPC_LIBIPC_CORE_INBOUND_H_
