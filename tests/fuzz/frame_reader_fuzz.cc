// SPDX-License-Identifier: Apache-2.0
//
// Any bytes, as a peer may send them. The input is the stream itself, so a
// golden file is an input; its first bytes also choose how it is split. Held:
//
//   - the frames, the fault and the tail are the same for every split
//   - the tail is exactly what belongs to no frame yet, and less than a frame
//   - before HELLO no more than kHandshakeFrameBytesMax are kept
//   - every payload goes through the parser of its kind; what parses encodes
//     to something that parses to the same and encodes the same

#include <google/protobuf/stubs/logging.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <random>
#include <string>
#include <string_view>
#include <type_traits>

#include "libipc/base/check.h"
#include "libipc/base/limits.h"
#include "libipc/wire/control.h"
#include "libipc/wire/frame.h"
#include "libipc/wire/frame_reader.h"
#include "tests/support/control_fields.h"
#include "tests/support/frame_feed.h"

namespace {

using ipc::test::Frames;
using ipc::wire::FrameFault;
using ipc::wire::FrameHeader;
using ipc::wire::FrameReader;

struct Found {
  Frames frames;
  FrameFault fault = FrameFault::kNone;
  size_t tail_size = 0;

  bool operator==(const Found&) const = default;
};

// `next_size` says how long the next piece may be; at least 1.
template <typename NextSize>
Found Feed(std::string_view stream, uint32_t bytes_max, NextSize next_size) {
  FrameReader reader(bytes_max);
  Found found;
  for (size_t end = 0; end < stream.size();) {
    const size_t size = std::min(next_size(), stream.size() - end);
    ipc::test::FeedPiece(stream.substr(end, size), &reader, &found.frames);
    end += size;
    IPC_CHECK(
        ipc::test::TailIsExact(stream.substr(0, end), found.frames, reader));
    IPC_CHECK(reader.tail_size() < bytes_max);
  }
  found.fault = reader.fault();
  found.tail_size = reader.tail_size();
  return found;
}

uint64_t SplitSeed(std::string_view stream) {
  uint64_t seed = 0;
  for (char byte : stream.substr(0, 48)) {
    seed = seed * 31 + static_cast<uint8_t>(byte);
  }
  return seed;
}

void CheckFrame(const std::string& bytes, uint32_t bytes_max) {
  const FrameHeader header =
      ipc::wire::LoadHeader(reinterpret_cast<const std::byte*>(bytes.data()));
  IPC_CHECK(header.size == bytes.size());
  IPC_CHECK(header.size <= bytes_max);
  IPC_CHECK(ipc::wire::CheckHeader(header, bytes_max) == FrameFault::kNone);
  const auto payload =
      std::string_view(bytes).substr(ipc::kFrameHeaderBytes + header.extension);
  ipc::test::VisitControl(header.kind, [payload](auto type) {
    typename decltype(type)::type message;
    if (!Parse(payload, &message)) return;
    const std::string encoded = Encode(message);
    typename decltype(type)::type again;
    IPC_CHECK(Parse(encoded, &again));
    IPC_CHECK(ipc::test::Same(message, again));
    IPC_CHECK(Encode(again) == encoded);
  });
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  // protobuf reports text that is not UTF-8 on stderr.
  static const auto* silence = new google::protobuf::LogSilencer();
  static_cast<void>(silence);

  const std::string_view stream(reinterpret_cast<const char*>(data), size);
  for (uint32_t bytes_max :
       {ipc::kHandshakeFrameBytesMax, ipc::kControlFrameBytesMax}) {
    const Found whole = Feed(stream, bytes_max, [size] { return size; });
    for (const std::string& frame : whole.frames) {
      CheckFrame(frame, bytes_max);
    }
    std::mt19937_64 random(SplitSeed(stream));
    const size_t piece_max = 1 + random() % 200;
    IPC_CHECK(whole == Feed(stream, bytes_max, [&] {
                return 1 + static_cast<size_t>(random() % piece_max);
              }));
  }
  return 0;
}
