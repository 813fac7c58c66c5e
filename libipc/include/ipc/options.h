// SPDX-License-Identifier: Apache-2.0
//
// What a program may choose. Every default is meant to be right for most.

#ifndef IPC_LIBIPC_INCLUDE_IPC_OPTIONS_H_
#define IPC_LIBIPC_INCLUDE_IPC_OPTIONS_H_

#include <cstddef>
#include <cstdint>
#include <functional>
#include <limits>
#include <string>
#include <string_view>
#include <variant>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "ipc/export.h"
#include "ipc/message.h"

namespace ipc {

// Why messages are missing.
enum class GapReason {
  kUnspecified = 0,  // not told, or not known to this version
  kDepth = 1,        // the subscription's queue was full
  kStalled = 2,      // a reliable subscription consumed nothing for too long
  kExpired = 3,      // their time to live was over
  kGraceOver = 4,    // the publisher or the subscriber was away for too long;
                     // with best effort: at all
  kRefused = 5,      // the broker refused them; their publisher was told
  kLatest = 6,       // newer ones replaced them
};

// "depth", "grace-over", ...: as ipcctl writes it.
IPC_EXPORT std::string_view GapReasonName(GapReason reason);

// Something that happened to the client and that no call returns. Handlers
// run on the I/O thread (or in Process()) and may call anything.
struct Event {
  enum class Kind {
    kConnected,     // a connection was opened; also after every reconnect
    kDisconnected,  // `status` says why; the client reconnects by itself
    kGap,           // messages are missing: `source`, `first`..`last`
    kRefused,       // a topic, subscription or publication: `name`, `status`
  };
  Kind kind = Kind::kConnected;
  absl::Status status;
  std::string name;    // kGap: the pattern; kRefused: topic or pattern
  Source source;       // kGap only
  uint64_t first = 0;  // kGap: first missing sequence
  uint64_t last = 0;   // kGap: last missing sequence
  GapReason reason = GapReason::kUnspecified;  // kGap: why
};

// What Client::Connect does when no broker answers.
enum class IfBrokerAbsent {
  kWait,   // wait for it, up to connect_timeout
  kFail,   // return kUnavailable at once
  kLater,  // return at once; the client connects when the broker appears
};

struct ClientOptions {
  // -- Changes behaviour --

  // How the client calls itself, shown to subscribers and operators:
  // 1 to 64 of [A-Za-z0-9_.-]. Empty: the program's name.
  std::string name = {};
  // The broker's socket. Empty: $IPC_SOCKET, else
  // $XDG_RUNTIME_DIR/ipc/bus.sock if XDG_RUNTIME_DIR is set, else
  // /run/ipc/bus.sock.
  std::string socket_path = {};
  IfBrokerAbsent if_broker_absent = IfBrokerAbsent::kWait;
  // Limit of kWait; also how long Advertise waits for its answer.
  absl::Duration connect_timeout = absl::Seconds(10);
  // How long Publish waits for room when its call names no time.
  absl::Duration publish_timeout = absl::Seconds(30);
  // The client has no thread of its own; the program calls Process() when
  // fd() is readable or NextDeadline() has passed.
  bool manual_loop = false;
  // Told of connections, gaps and refusals. May be empty.
  std::function<void(const Event&)> on_event = {};

  // -- Changes performance --

  // The publisher's log: bytes accepted and not yet acknowledged, headers
  // (40 bytes a message) included. 128 KiB to 1 GiB. Allocated at the first
  // Publish.
  size_t window_bytes = size_t{8} << 20;
};

struct PublisherOptions {
  // Hand the message type's descriptors to the broker, so that anyone allowed
  // can read the messages without a .proto. Typed publishers only.
  bool share_schema = true;
  // A new subscription, of any policy, gets the last message published before
  // it first, and then what follows. The client keeps that message, one for
  // each topic, as long as the client and the topic's handles live, and hands
  // it out again after a restart of the broker. The first handle on a topic
  // decides for all that are there with it.
  bool retain_last = false;
  // A payload of so many bytes or more travels in a memfd: a sealed file in
  // memory that publisher, broker and subscribers share, so that it is written
  // once, and read where it is. It pays for payloads of some 100 KiB and more
  // with many subscribers; with one it costs more than it spares
  // (docs/performance.md). Each takes a descriptor of this process until it is
  // acknowledged, of which there are 64 at the most for a client. What waits in
  // memfds and in the log together leaves no room for a further memfd above
  // window_bytes, but does not hold back other messages: a client may hold
  // twice its window. Where no memfd can be made, or the message has 16
  // descriptors already, the payload goes as bytes;
  // ClientStats::memfd_fallbacks counts these. Subscribers see no difference.
  // Default: never.
  size_t memfd_threshold = std::numeric_limits<size_t>::max();
  // A message that is so old, counted from Publish, is not sent any more when
  // it has waited for a connection, and not sent again to a reader that lacks
  // it: after a connection was lost, a restart of the broker, or a slow spell
  // of that reader. It is an exception to what reliable subscriptions are
  // promised, and a silent one to nobody: each that lacks the message is told a
  // Gap event (GapReason::kExpired) in its place. ClientStats::expired counts
  // them. What is on its way on a connection that lives is never too old; so a
  // slow reader gets old messages. With retain_last, a last message that is so
  // old is not handed to new subscriptions. 1 ms or more. All handles that a
  // client has on a topic must agree.
  absl::Duration time_to_live = absl::InfiniteDuration();
};

// Every accepted message arrives, once and in order; a slow reader slows its
// publishers down through their windows.
struct Reliable {
  // A subscription that consumes nothing for so long while messages wait for it
  // loses them, told by a Gap event, and its publishers go on; it goes on
  // itself when it consumes again. 100 ms to 1 h, and at most what the broker's
  // operator allows (10 s by default); zero: that.
  absl::Duration stall_timeout = absl::ZeroDuration();
  // Subscriptions of one user with the same group and the same pattern share
  // their messages: each goes to one of them, to whichever has the fewest that
  // it has not consumed. What a member has not consumed when it ends, or when
  // its stall_timeout is over, goes to the others, so a member must be prepared
  // to see messages out of order that another began to work on. If all members
  // stall, one of them is told what nobody was sent (GapReason::kStalled).
  // 1 to 64 of [A-Za-z0-9_.-]; empty: no group.
  // Errors of Subscribe: kInvalidArgument if the name is not allowed;
  // kResourceExhausted if the group has 256 members.
  std::string group = {};
};

// What a full queue gives up.
enum class Drop {
  kOldest,  // what waits longest: for those who want to be up to date
  kNewest,  // what comes: for those who want what they have begun
};

// Never slows anyone: what does not fit is dropped, and the loss is told in the
// stream by a Gap event (GapReason::kDepth).
struct BestEffort {
  // Messages waiting in the broker, at the most: 1 to 10,000,000. Without a
  // handler, as many again wait in the client.
  uint32_t depth = 10'000;
  // Payload and header bytes (40 a message) waiting: 1 to 64 MiB.
  uint64_t bytes = uint64_t{8} << 20;
  Drop drop = Drop::kOldest;
};

// Never slows anyone: of each publisher on each topic at most the newest whole
// message waits, and replaces one that waits (GapReason::kLatest). Two
// publishers on one topic do not replace each other's. All together hold 64 MiB
// at the most; beyond that the oldest goes (GapReason::kDepth). Who keeps up
// gets every message.
struct Latest {};

// When a message is consumed, so that its publisher may forget it.
enum class Acknowledge {
  kAutomatic,  // when the handler, or Next, has returned
  // When the program says so, Message::Acknowledge: from any thread, at any
  // time, in any order. What is not acknowledged when the subscription or its
  // client ends was not consumed, but nobody waits for it any more. Until then
  // it counts against the windows of its publishers, which bound how much may
  // be handed over and not acknowledged, and against the stall timeout: that
  // must be longer than a message may take. Reliable subscriptions only.
  kManual,
};

struct SubscribeOptions {
  // -- Changes behaviour --

  std::variant<Reliable, BestEffort, Latest> policy = Reliable{};
  // Whether on_event is told of gaps in this subscription. ClientStats counts
  // what is missing in any case.
  bool report_gaps = true;
  Acknowledge acknowledge = Acknowledge::kAutomatic;
  // How long Subscribe waits for the broker's confirmation. Zero: it does not
  // wait, and the subscription takes effect when the broker hears of it.
  absl::Duration confirm_timeout = absl::Seconds(10);
};

// The path that an empty ClientOptions::socket_path stands for.
IPC_EXPORT std::string DefaultSocketPath();

}  // namespace ipc

#endif  // IPC_LIBIPC_INCLUDE_IPC_OPTIONS_H_
