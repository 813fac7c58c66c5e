// SPDX-License-Identifier: Apache-2.0
//
// Frames for tests: writing those of a client, and looking at those of a
// broker. Knows no GoogleTest, because the fuzz target uses it too.

#ifndef IPC_TESTS_UNIT_FRAMES_H_
#define IPC_TESTS_UNIT_FRAMES_H_

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "libipc/base/check.h"
#include "libipc/base/ids.h"
#include "libipc/base/limits.h"
#include "libipc/wire/control.h"
#include "libipc/wire/frame.h"

namespace ipc::test {

// -- A client's --

inline std::string FrameOf(wire::FrameHeader header,
                           std::string_view payload = "") {
  std::string frame;
  wire::AppendFrame(header, payload, &frame);
  return frame;
}

template <typename Message>
std::string ControlOf(const Message& message, uint64_t request = 0) {
  std::string frame;
  wire::AppendControl(message, request, &frame);
  return frame;
}

inline std::string PublishOf(uint32_t channel, uint64_t sequence,
                             std::string_view payload = "") {
  return FrameOf({.kind = wire::FrameKind::kPublish,
                  .target = channel,
                  .sequence = sequence,
                  .time = 77},
                 payload);
}

// Fragment `index` of `last + 1`; the last one is short.
inline std::string FragmentOf(uint32_t channel, uint64_t sequence,
                              uint16_t index, uint16_t last) {
  return FrameOf({.kind = wire::FrameKind::kPublish,
                  .target = channel,
                  .sequence = sequence,
                  .fragment = index,
                  .last_fragment = last},
                 std::string(index == last ? 10 : kFramePayloadBytesMax, 'f'));
}

// A channel that nothing was sent on.
inline wire::Open OpenMessage(uint32_t channel, std::string_view topic) {
  wire::Open open;
  open.channel = ChannelNumber{channel};
  open.topic = topic;
  return open;
}

// A new, reliable subscription.
inline wire::Subscribe SubscribeMessage(uint32_t subscription,
                                        std::string_view pattern) {
  wire::Subscribe subscribe;
  subscribe.subscription = SubscriptionId{subscription};
  subscribe.pattern = pattern;
  return subscribe;
}

// -- A broker's --

// A frame that the broker sent.
struct Got {
  wire::FrameHeader header;
  std::string bytes;              // header included
  SubscriptionId subscription{};  // of the last SELECT before it; 0: none

  std::string_view payload() const {
    return std::string_view(bytes).substr(kFrameHeaderBytes + header.extension);
  }
  // Dies if the payload is not such a message.
  template <typename Message>
  Message As() const {
    Message message;
    IPC_CHECK(header.kind == Message::kKind ||
              header.kind == wire::FrameKind::kRefused);
    IPC_CHECK(wire::Parse(payload(), &message));
    return message;
  }
};

inline wire::FrameHeader HeaderOf(std::string_view frame) {
  return wire::LoadHeader(reinterpret_cast<const std::byte*>(frame.data()));
}

inline std::vector<std::string> KindsOf(const std::vector<Got>& frames) {
  std::vector<std::string> kinds;
  for (const Got& frame : frames) {
    kinds.push_back(wire::KindName(frame.header.kind));
  }
  return kinds;
}

// As KindsOf; data frames and those with a target as "KIND target:sequence",
// those about a reader as "KIND reader". Behind the kind, "!" stands for RESEND
// and "~" for EXPIRED.
inline std::vector<std::string> LinesOf(const std::vector<Got>& frames) {
  std::vector<std::string> lines;
  for (const Got& frame : frames) {
    const wire::FrameHeader& header = frame.header;
    std::string line = wire::KindName(header.kind);
    if ((header.flags & wire::kFlagResend) != 0) line += "!";
    if ((header.flags & wire::kFlagExpired) != 0) line += "~";
    if (header.target != 0) {
      line += " " + std::to_string(header.target) + ":" +
              std::to_string(header.sequence);
    } else if (header.session != 0) {
      line += " " + std::to_string(header.session);
    }
    if (header.last_fragment != 0) {
      line += "." + std::to_string(header.fragment);
    }
    lines.push_back(std::move(line));
  }
  return lines;
}

inline std::vector<uint64_t> SequencesOf(const std::vector<Got>& frames,
                                         wire::FrameKind kind) {
  std::vector<uint64_t> sequences;
  for (const Got& frame : frames) {
    if (frame.header.kind == kind) sequences.push_back(frame.header.sequence);
  }
  return sequences;
}

}  // namespace ipc::test

#endif  // IPC_TESTS_UNIT_FRAMES_H_
