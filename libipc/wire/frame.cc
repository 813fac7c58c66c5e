// SPDX-License-Identifier: Apache-2.0
//
// Names of kinds and faults, and the checks that are not on the hot path.

#include "libipc/wire/frame.h"

#include "absl/strings/str_cat.h"

namespace ipc::wire {
namespace {

// Empty for a kind that is not known.
std::string_view NameOf(FrameKind kind) {
  switch (kind) {
    case FrameKind::kPublish:
      return "PUBLISH";
    case FrameKind::kDeliver:
      return "DELIVER";
    case FrameKind::kAck:
      return "ACK";
    case FrameKind::kAbort:
      return "ABORT";
    case FrameKind::kSelect:
      return "SELECT";
    case FrameKind::kGone:
      return "GONE";
    case FrameKind::kResumed:
      return "RESUMED";
    case FrameKind::kJoined:
      return "JOINED";
    case FrameKind::kResendEnd:
      return "RESEND_END";
    case FrameKind::kLeave:
      return "LEAVE";
    case FrameKind::kMatches:
      return "MATCHES";
    case FrameKind::kClose:
      return "CLOSE";
    case FrameKind::kUnsubscribe:
      return "UNSUBSCRIBE";
    case FrameKind::kPing:
      return "PING";
    case FrameKind::kPong:
      return "PONG";
    case FrameKind::kGap:
      return "GAP";
    case FrameKind::kHello:
      return "HELLO";
    case FrameKind::kWelcome:
      return "WELCOME";
    case FrameKind::kGoodbye:
      return "GOODBYE";
    case FrameKind::kResult:
      return "RESULT";
    case FrameKind::kOpen:
      return "OPEN";
    case FrameKind::kOpened:
      return "OPENED";
    case FrameKind::kSubscribe:
      return "SUBSCRIBE";
    case FrameKind::kAnnounce:
      return "ANNOUNCE";
    case FrameKind::kJoin:
      return "JOIN";
    case FrameKind::kResend:
      return "RESEND";
    case FrameKind::kSchema:
      return "SCHEMA";
    case FrameKind::kGetSchema:
      return "GET_SCHEMA";
    case FrameKind::kListTopics:
      return "LIST_TOPICS";
    case FrameKind::kTopics:
      return "TOPICS";
    case FrameKind::kListClients:
      return "LIST_CLIENTS";
    case FrameKind::kClients:
      return "CLIENTS";
    case FrameKind::kRefused:
      return "REFUSED";
    case FrameKind::kGetStatus:
      return "GET_STATUS";
    case FrameKind::kStatus:
      return "STATUS";
    case FrameKind::kWatchClients:
      return "WATCH_CLIENTS";
    case FrameKind::kPresence:
      return "PRESENCE";
  }
  return "";
}

}  // namespace

bool IsKnownKind(FrameKind kind) { return !NameOf(kind).empty(); }

std::string KindName(FrameKind kind) {
  std::string_view name = NameOf(kind);
  if (!name.empty()) return std::string(name);
  return absl::StrCat("kind ", static_cast<int>(kind));
}

bool IsHeaderOnly(FrameKind kind) {
  return kind >= FrameKind::kAck && kind <= FrameKind::kGap;
}

std::string_view FaultText(FrameFault fault) {
  switch (fault) {
    case FrameFault::kNone:
      return "none";
    case FrameFault::kSizeBelowHeader:
      return "frame size is below the header's 40 bytes";
    case FrameFault::kSizeAboveLimit:
      return "frame size is above the limit of its kind";
    case FrameFault::kUnknownFlags:
      return "unknown flags are set";
    case FrameFault::kReservedNotZero:
      return "the reserved byte is not 0";
    case FrameFault::kExtensionBeyondFrame:
      return "the extension reaches beyond the frame";
    case FrameFault::kExtensionAboveLimit:
      return "the extension is above its limit of 1024 bytes";
    case FrameFault::kFragmentBeyondLast:
      return "the fragment index is beyond the last fragment";
    case FrameFault::kFragmentNotFull:
      return "a fragment before the last has not 65536 bytes";
    case FrameFault::kDescriptorsNotAllowed:
      return "only the first fragment of a publication may have descriptors";
    case FrameFault::kDescriptorsAboveLimit:
      return "a frame has more than 16 descriptors";
    case FrameFault::kPayloadNotAllowed:
      return "this kind has a header only";
    case FrameFault::kExpiredNotEmpty:
      return "a publication that has expired has a header only";
    case FrameFault::kMemfdNotAlone:
      return "a payload in a memfd stands for itself by its size, in one frame";
  }
  return "unknown fault";
}

FrameFault CheckFlags(const FrameHeader& header) {
  if ((header.flags & ~kFlagsKnown) != 0) return FrameFault::kUnknownFlags;
  if ((header.flags & kFlagMemfd) != 0 &&
      (!IsData(header.kind) || header.descriptors == 0 ||
       header.size != kFrameHeaderBytes + sizeof(uint64_t) ||
       header.extension != 0 || header.last_fragment != 0)) {
    return FrameFault::kMemfdNotAlone;
  }
  bool expired = (header.flags & kFlagExpired) != 0;
  bool empty = header.size == kFrameHeaderBytes && header.fragment == 0 &&
               header.last_fragment == 0;
  return expired && !empty ? FrameFault::kExpiredNotEmpty : FrameFault::kNone;
}

FrameFault CheckDescriptors(const FrameHeader& header) {
  if (!IsData(header.kind) || header.fragment != 0 ||
      (header.flags & kFlagExpired) != 0) {
    return FrameFault::kDescriptorsNotAllowed;
  }
  return header.descriptors > kDescriptorsPerMessageMax
             ? FrameFault::kDescriptorsAboveLimit
             : FrameFault::kNone;
}

FrameFault CheckControlHeader(const FrameHeader& header) {
  if (header.extension > header.size - kFrameHeaderBytes) {
    return FrameFault::kExtensionBeyondFrame;
  }
  if (header.extension > kFrameExtensionBytesMax) {
    return FrameFault::kExtensionAboveLimit;
  }
  if (IsHeaderOnly(header.kind) && header.size != kFrameHeaderBytes) {
    return FrameFault::kPayloadNotAllowed;
  }
  return FrameFault::kNone;
}

FrameHeader GapHeader(const Gap& gap) {
  return {.kind = FrameKind::kGap,
          .target = gap.topic,
          .session = gap.session,
          .sequence = gap.first,
          .time = static_cast<int64_t>(gap.last),
          .fragment = static_cast<uint16_t>(gap.reason)};
}

bool ParseGap(const FrameHeader& header, Gap* gap) {
  if (header.sequence == 0 || header.time <= 0 ||
      static_cast<uint64_t>(header.time) < header.sequence) {
    return false;
  }
  *gap = {.topic = header.target,
          .session = header.session,
          .first = header.sequence,
          .last = static_cast<uint64_t>(header.time),
          .reason = GapReasonOf(header.fragment)};
  return true;
}

void AppendFrame(FrameHeader header, std::string_view payload,
                 std::string* out) {
  header.size = kFrameHeaderBytes + static_cast<uint32_t>(payload.size());
  out->append(reinterpret_cast<const char*>(&header), sizeof(header));
  out->append(payload);
}

}  // namespace ipc::wire
