// SPDX-License-Identifier: Apache-2.0
//
// The frame: 40 bytes of fixed little-endian header, then an optional
// extension, then the payload. PROTOCOL.md section 2 is normative.
//
//    0  u32 size             of the whole frame
//    4  u8  kind             FrameKind
//    5  u8  flags            kFlag...
//    6  u8  descriptors      passed beside its first byte
//    7  u8  reserved         0
//    8  u32 target           channel, topic id or subscription
//   12  u32 session          publisher's session number, or a reader
//   16  u64 sequence         of the publication, or the request id
//   24  i64 time             publish time, CLOCK_MONOTONIC ns
//   32  u32 extension        bytes between header and payload
//   36  u16 fragment         index of this fragment
//   38  u16 last_fragment    index of the publication's last fragment
//
// PUBLISH and DELIVER have the same layout, so that a broker turns one into the
// other where it lies.

#ifndef IPC_LIBIPC_WIRE_FRAME_H_
#define IPC_LIBIPC_WIRE_FRAME_H_

#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <string>
#include <string_view>

#include "libipc/base/descriptors.h"
#include "libipc/base/limits.h"

namespace ipc::wire {

enum class FrameKind : uint8_t {
  // Data: fixed headers, no protobuf.
  kPublish = 1,       // client: a publication or a fragment of one
  kDeliver = 2,       // broker: the same, stamped
  kAck = 3,           // both: everything up to `sequence` is consumed
  kAbort = 4,         // broker: the rest of this publication will not come
  kSelect = 5,        // both: what follows belongs to subscription `target`
  kGone = 6,          // broker: publisher `session` is gone for good
  kResumed = 7,       // client: all its channels are open again
  kJoined = 8,        // client: reader `session` counts from here
  kResendEnd = 9,     // client: the resend for reader `session` is complete
  kLeave = 10,        // broker: reader `session` is no more
  kMatches = 11,      // broker: `sequence` subscriptions match channel `target`
  kClose = 12,        // client: channel `target` is given up
  kUnsubscribe = 13,  // client: subscription `target` is given up
  kPing = 14,         // client: answered by PONG with the same `sequence`
  kPong = 15,         // broker
  kGap = 16,          // broker: `sequence` to `time` of a stream are missing
  // Control: a message of control.proto as payload.
  kHello = 32,
  kWelcome = 33,
  kGoodbye = 34,
  kResult = 35,
  kOpen = 36,
  kOpened = 37,
  kSubscribe = 38,
  kAnnounce = 39,
  kJoin = 40,
  kResend = 41,
  kSchema = 42,
  kGetSchema = 43,
  kListTopics = 44,
  kTopics = 45,
  kListClients = 46,
  kClients = 47,
  kRefused = 48,  // broker: Result for publication (`target`, `sequence`)
  kGetStatus = 49,
  kStatus = 50,
  kWatchClients = 51,
  kPresence = 52,
};

// The publication is sent again for reader `session` alone.
inline constexpr uint8_t kFlagResend = 1;
// The publication was too old to be sent: the header stands for it alone.
inline constexpr uint8_t kFlagExpired = 2;
// The payload is in the first descriptor, a sealed file: the frame's own is its
// size (u64).
inline constexpr uint8_t kFlagMemfd = 4;
inline constexpr uint8_t kFlagsKnown = kFlagResend | kFlagExpired | kFlagMemfd;

// Why publications are missing: `fragment` of a GAP.
enum class GapReason : uint16_t {
  kUnspecified = 0,
  kDepth = 1,      // a bounded queue was full
  kStalled = 2,    // a reliable subscription was demoted
  kExpired = 3,    // their time to live was over
  kGraceOver = 4,  // somebody was away for longer than it is awaited
  kRefused = 5,    // the broker refused them
  kLatest = 6,     // newer ones replaced them
};
inline constexpr size_t kGapReasons = 7;
// Of a number from a peer; one that this version does not know is unspecified.
inline GapReason GapReasonOf(uint16_t number) {
  return number < kGapReasons ? static_cast<GapReason>(number)
                              : GapReason::kUnspecified;
}

struct FrameHeader {
  uint32_t size = kFrameHeaderBytes;
  FrameKind kind{};
  uint8_t flags = 0;
  uint8_t descriptors = 0;
  uint8_t reserved = 0;
  uint32_t target = 0;
  uint32_t session = 0;
  uint64_t sequence = 0;
  int64_t time = 0;
  uint32_t extension = 0;
  uint16_t fragment = 0;
  uint16_t last_fragment = 0;

  bool operator==(const FrameHeader&) const = default;
};
static_assert(sizeof(FrameHeader) == kFrameHeaderBytes);
static_assert(std::endian::native == std::endian::little,
              "the header is copied as it stands in memory");

// `bytes` must hold a header. Frames lie at any alignment.
inline FrameHeader LoadHeader(const std::byte* bytes) {
  FrameHeader header;
  std::memcpy(&header, bytes, sizeof(header));
  return header;
}
// Call it where a frame begins in bytes that a read has just brought: the
// kernel leaves them outside of the near caches, and small frames are handled
// faster than the processor looks ahead by itself. 1 KiB ahead; 512 to 4096
// bytes were measured to be the same.
inline void PrefetchFrames(const std::byte* bytes) {
  constexpr size_t kAhead = 1024;
  constexpr size_t kCacheLine = 64;
  __builtin_prefetch(bytes + kAhead);
  __builtin_prefetch(bytes + kAhead + kCacheLine);
}
inline void StoreHeader(const FrameHeader& header, std::byte* bytes) {
  std::memcpy(bytes, &header, sizeof(header));
}

// Whether the name of the kind is known to this version.
bool IsKnownKind(FrameKind kind);
// "PUBLISH", or "kind 77".
std::string KindName(FrameKind kind);
// Kinds with a fixed header alone: size 40, no payload.
bool IsHeaderOnly(FrameKind kind);

// What is wrong with a header; kNone if nothing is.
enum class FrameFault : uint8_t {
  kNone,
  kSizeBelowHeader,
  kSizeAboveLimit,
  kUnknownFlags,
  kReservedNotZero,
  kExtensionBeyondFrame,
  kExtensionAboveLimit,
  kFragmentBeyondLast,
  kFragmentNotFull,
  kDescriptorsNotAllowed,
  kDescriptorsAboveLimit,
  kPayloadNotAllowed,
  kExpiredNotEmpty,
  kMemfdNotAlone,
};
std::string_view FaultText(FrameFault fault);

// Checks everything that a header can say about itself. Unknown kinds pass:
// whether to ignore or refuse them depends on the session. No frame may be
// above `control_bytes_max`; data frames have a limit of their own below the
// one of a session, so that this bounds them before HELLO only.
inline FrameFault CheckHeader(const FrameHeader& header,
                              uint32_t control_bytes_max);

// A frame where it lies in somebody's buffer.
struct Frame {
  FrameHeader header;
  // All of it; of a fragment that was read to its place, the payload alone.
  std::span<std::byte> bytes;
  Descriptors descriptors = nullptr;  // once taken from what was passed

  std::span<const std::byte> payload() const {
    return bytes.last(header.size - kFrameHeaderBytes - header.extension);
  }
  std::string_view text() const {
    auto view = payload();
    return {reinterpret_cast<const char*>(view.data()), view.size()};
  }
};

// Of a frame with kFlagMemfd: the size of the payload in the file.
inline uint64_t MemfdBytes(const Frame& frame) {
  uint64_t bytes;
  std::memcpy(&bytes, frame.payload().data(), sizeof(bytes));
  return bytes;
}

// Publications of one stream that a subscription does not get.
struct Gap {
  uint32_t topic = 0;    // its id
  uint32_t session = 0;  // the publisher's number
  uint64_t first = 0;    // 1 or more
  uint64_t last = 0;     // not below `first`
  GapReason reason{};

  bool operator==(const Gap&) const = default;
};
FrameHeader GapHeader(const Gap& gap);
// False if the header of a GAP names nothing: the frame means nothing then.
bool ParseGap(const FrameHeader& header, Gap* gap);

// Appends a frame to `*out`; fills in `header.size`.
void AppendFrame(FrameHeader header, std::string_view payload,
                 std::string* out);

// -- Implementation --

// Frames of any other kind, and those with flags or descriptors: out of line
// because nothing hot gets here.
FrameFault CheckControlHeader(const FrameHeader& header);
FrameFault CheckFlags(const FrameHeader& header);
FrameFault CheckDescriptors(const FrameHeader& header);

inline bool IsData(FrameKind kind) {
  return kind == FrameKind::kPublish || kind == FrameKind::kDeliver;
}

// A publication in one piece, without flags, descriptors or an extension, as
// most are. What two loads tell.
inline bool IsPlain(const FrameHeader& header) {
  uint32_t kind_to_reserved;
  uint64_t extension_to_last_fragment;
  std::memcpy(&kind_to_reserved, &header.kind, sizeof(kind_to_reserved));
  std::memcpy(&extension_to_last_fragment, &header.extension,
              sizeof(extension_to_last_fragment));
  return (kind_to_reserved == static_cast<uint32_t>(FrameKind::kPublish) ||
          kind_to_reserved == static_cast<uint32_t>(FrameKind::kDeliver)) &&
         extension_to_last_fragment == 0 &&
         header.size - kFrameHeaderBytes <= kFramePayloadBytesMax;
}
static_assert(offsetof(FrameHeader, kind) == 4 &&
              offsetof(FrameHeader, target) == 8);
static_assert(offsetof(FrameHeader, extension) == 32);

inline FrameFault CheckHeader(const FrameHeader& header,
                              uint32_t control_bytes_max) {
  if (IsPlain(header) && header.size <= control_bytes_max) [[likely]] {
    return FrameFault::kNone;
  }
  if (header.size < kFrameHeaderBytes) return FrameFault::kSizeBelowHeader;
  if (header.flags != 0) [[unlikely]] {
    FrameFault fault = CheckFlags(header);
    if (fault != FrameFault::kNone) return fault;
  }
  if (header.reserved != 0) return FrameFault::kReservedNotZero;
  if (header.descriptors != 0) [[unlikely]] {
    FrameFault fault = CheckDescriptors(header);
    if (fault != FrameFault::kNone) return fault;
  }
  if (header.size > control_bytes_max) return FrameFault::kSizeAboveLimit;
  if (!IsData(header.kind)) {
    return CheckControlHeader(header);
  }
  uint32_t body = header.size - kFrameHeaderBytes;
  if (header.extension > body) return FrameFault::kExtensionBeyondFrame;
  if (header.extension > kFrameExtensionBytesMax) {
    return FrameFault::kExtensionAboveLimit;
  }
  uint32_t payload = body - header.extension;
  if (payload > kFramePayloadBytesMax) return FrameFault::kSizeAboveLimit;
  if (header.fragment >= header.last_fragment) {
    return header.fragment == header.last_fragment
               ? FrameFault::kNone
               : FrameFault::kFragmentBeyondLast;
  }
  return payload == kFramePayloadBytesMax ? FrameFault::kNone
                                          : FrameFault::kFragmentNotFull;
}

}  // namespace ipc::wire

#endif  // IPC_LIBIPC_WIRE_FRAME_H_
