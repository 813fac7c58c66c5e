// SPDX-License-Identifier: Apache-2.0
//
// Plays the shell towards a wire::FrameReader: hands it a stream in pieces, as
// a socket would, and collects what it finds. Asserts nothing; whoever feeds
// compares. Header only: the support library links nothing of the product.

#ifndef IPC_TESTS_SUPPORT_FRAME_FEED_H_
#define IPC_TESTS_SUPPORT_FRAME_FEED_H_

#include <cstddef>
#include <cstring>
#include <string>
#include <string_view>
#include <vector>

#include "libipc/wire/frame.h"
#include "libipc/wire/frame_reader.h"

namespace ipc::test {

// Frames as they came, each with the bytes of header and payload.
using Frames = std::vector<std::string>;

inline std::string ToString(const wire::Frame& frame) {
  return {reinterpret_cast<const char*>(frame.bytes.data()),
          frame.bytes.size()};
}

// One read from a socket: room for the tail in front, `piece` behind it, and
// nothing beyond, so that a sanitizer sees a reader that looks too far.
inline void FeedPiece(std::string_view piece, wire::FrameReader* reader,
                      Frames* frames) {
  const size_t kept = reader->tail_size();
  std::vector<std::byte> buffer(kept + piece.size());
  if (!piece.empty()) {
    std::memcpy(buffer.data() + kept, piece.data(), piece.size());
  }
  reader->Begin(buffer);
  wire::Frame frame;
  while (reader->Next(&frame)) frames->push_back(ToString(frame));
  reader->End();
}

// What the reader's invariant promises about its tail at this moment, given
// that it has been fed all of `stream` and found `frames`: after a fault there
// is none; else it is exactly the bytes that belong to no frame yet, and they
// are fewer than one frame.
inline bool TailIsExact(std::string_view stream, const Frames& frames,
                        const wire::FrameReader& reader) {
  const size_t size = reader.tail_size();
  if (reader.fault() != wire::FrameFault::kNone) return size == 0;
  size_t found = 0;
  for (const std::string& frame : frames) found += frame.size();
  if (found + size != stream.size()) return false;
  const std::byte* tail = reader.tail().data();
  if (size != 0 && std::memcmp(tail, stream.data() + found, size) != 0) {
    return false;
  }
  return size < kFrameHeaderBytes || size < wire::LoadHeader(tail).size;
}

}  // namespace ipc::test

#endif  // IPC_TESTS_SUPPORT_FRAME_FEED_H_
