// SPDX-License-Identifier: Apache-2.0
//
// Every limit of the bus, with its unit and its reason. What a peer can ask
// for is bounded by something here, and each bound has its own refusal.

#ifndef IPC_LIBIPC_BASE_LIMITS_H_
#define IPC_LIBIPC_BASE_LIMITS_H_

#include <cstddef>
#include <cstdint>

#include "absl/time/time.h"

namespace ipc {

// -- Names --

inline constexpr size_t kTopicBytesMax = 255;
inline constexpr size_t kClientNameBytesMax = 64;
inline constexpr size_t kGroupNameBytesMax = 64;
// A type's full name; protobuf sets no limit of its own.
inline constexpr size_t kTypeNameBytesMax = 512;
// These two bound the steps of matching: at most 32^4 / 4! for one pattern.
inline constexpr int kTopicSegmentsMax = 32;
inline constexpr int kPatternDoubleStarsMax = 4;

// -- Frames --

inline constexpr uint32_t kFrameHeaderBytes = 40;
// A larger message travels as fragments of exactly this size but the last.
inline constexpr uint32_t kFramePayloadBytesMax = 64 * 1024;
inline constexpr uint32_t kFrameExtensionBytesMax = 1024;
inline constexpr uint32_t kDataFrameBytesMax =
    kFrameHeaderBytes + kFrameExtensionBytesMax + kFramePayloadBytesMax;
// A control frame may carry a FileDescriptorSet or the positions of a
// subscription with thousands of publishers.
inline constexpr uint32_t kControlFrameBytesMax = 4 * 1024 * 1024;
// Before HELLO nobody is known, and nobody may make us hold more than this.
inline constexpr uint32_t kHandshakeFrameBytesMax = 4096;
static_assert(kDataFrameBytesMax < kControlFrameBytesMax);
static_assert(kHandshakeFrameBytesMax >
              kFrameHeaderBytes + kClientNameBytesMax + 256);

// -- Messages --

inline constexpr uint64_t kMessageBytesMaxDefault = uint64_t{16} << 20;
// Fragments are numbered in 16 bits.
inline constexpr uint64_t kMessageBytesMaxLimit = uint64_t{1} << 30;
static_assert(kMessageBytesMaxLimit / kFramePayloadBytesMax <= 65536);

// -- Descriptors --

// Passed with one message. The kernel would pass 253 at once, but what is under
// way counts against limits that a user's processes share.
inline constexpr size_t kDescriptorsPerMessageMax = 16;
// In a publisher's log: each is an open descriptor of its process until the
// message is acknowledged.
inline constexpr size_t kDescriptorsPerLogMax = 64;
// What may wait in the broker for one subscription that is bounded.
inline constexpr size_t kDescriptorsPerQueueMax = 64;
// Under way in one socket and not read. More wait until the peer has read all:
// it must not take up what the kernel grants the broker for everybody.
inline constexpr size_t kDescriptorsUnreadMax = 64;
// Open in the broker that came from one connection. A publisher holds 64 for
// itself, and again for each reader that is being caught up.
inline constexpr size_t kDescriptorsPerSourceMax = 2'048;
static_assert(kDescriptorsPerMessageMax <= kDescriptorsPerLogMax &&
              kDescriptorsPerMessageMax <= kDescriptorsPerQueueMax &&
              kDescriptorsPerMessageMax <= kDescriptorsUnreadMax);
// How long whoever sends waits where the kernel passes no more descriptors now:
// nothing tells when it does again.
inline constexpr absl::Duration kDescriptorPause = absl::Milliseconds(1);
// Doubled up to this for a peer that does not read.
inline constexpr absl::Duration kDescriptorPauseMax = absl::Milliseconds(64);

// -- The publisher's log --

inline constexpr size_t kWindowBytesMin = size_t{128} << 10;
inline constexpr size_t kWindowBytesMax = size_t{1} << 30;
// A share of the window, so that acknowledging never starves a publisher.
inline constexpr uint64_t kAcknowledgeShareOfWindow = 8;
// The longest that an acknowledgement waits for others to join it.
inline constexpr absl::Duration kAcknowledgeDelay = absl::Milliseconds(2);
// The shortest time to live. A reconnect takes about as long, so that a shorter
// one would give up everything that is under way.
inline constexpr absl::Duration kTimeToLiveMin = absl::Milliseconds(1);

// -- Time --

inline constexpr absl::Duration kHandshakeTimeout = absl::Seconds(5);
// How long a session whose connection was lost is awaited.
inline constexpr absl::Duration kRecoveryGrace = absl::Seconds(5);
// After its start a broker cannot know who is on the way back to it; for so
// long it acknowledges nothing on the grounds that nobody reads. With a sign
// of an earlier broker the hold lasts kRecoveryGrace.
inline constexpr absl::Duration kStartHold = absl::Milliseconds(200);
// How long the confirmation of a subscription waits for publishers that do
// not answer JOIN.
inline constexpr absl::Duration kJoinTimeout = absl::Seconds(1);
// How long a reliable subscription may consume nothing while messages wait for
// it, before they are dropped and their publishers released: the default, and
// what an operator or a subscriber may choose.
inline constexpr absl::Duration kStallTimeoutDefault = absl::Seconds(10);
inline constexpr absl::Duration kStallTimeoutMin = absl::Milliseconds(100);
inline constexpr absl::Duration kStallTimeoutMax = absl::Hours(1);
// It is looked at so many times meanwhile.
inline constexpr int kStallChecks = 4;
// How long the broker waits at its end until what it has routed is consumed
// and acknowledged, and how long it may be told to wait. Service managers kill
// what does not end within some 90 seconds.
inline constexpr absl::Duration kDrainTimeoutDefault = absl::Milliseconds(500);
inline constexpr absl::Duration kDrainTimeoutMax = absl::Seconds(60);
// How long its last bytes may take then: goodbyes for who is slow to read.
inline constexpr absl::Duration kShutdownTimeout = absl::Milliseconds(100);

// -- The broker: what one host may ask of it --

inline constexpr size_t kConnectionsMax = 20'000;
inline constexpr size_t kHandshakesMax = 1'000;  // connections before HELLO
// With those that are awaited, and groups.
inline constexpr size_t kSessionsMax = 2 * kConnectionsMax;
// What is kept of connections that have ended, for operators; and of the text,
// which the client may have written. All of it fits into one answer.
inline constexpr size_t kRecentEndsMax = 64;
inline constexpr size_t kEndTextBytesMax = 256;
// Connections that watch clients come and go: each change is told to all.
inline constexpr size_t kWatchersMax = 1'024;
static_assert(kRecentEndsMax * (kClientNameBytesMax + kEndTextBytesMax + 64) <
              kControlFrameBytesMax);

// -- The broker: what one client may ask of it --

inline constexpr uint32_t kChannelsPerSessionMax = 65'536;
static_assert(kChannelsPerSessionMax * 24 < kControlFrameBytesMax);
inline constexpr uint32_t kSubscriptionsPerSessionMax = 65'536;
inline constexpr size_t kReadersPerChannelMax = 65'536;
static_assert(kReadersPerChannelMax * 48 < kControlFrameBytesMax);
// Of what a publisher says it goes on with. A GAP has sequences as times, which
// have a sign; and at 100 million a second it takes 1,400 years to get there.
inline constexpr uint64_t kSequenceMax = uint64_t{1} << 62;
inline constexpr size_t kPositionsPerSubscriptionMax = 16'384;
// Groups, which take the places of sessions.
inline constexpr size_t kGroupsMax = 10'000;
static_assert(kGroupsMax + kConnectionsMax < kSessionsMax);
// Each is looked at whenever one is to be chosen.
inline constexpr size_t kGroupMembersMax = 256;
// Publications given to one member and not acknowledged. The publishers'
// windows bound them already, if publishers keep to them.
inline constexpr uint64_t kGroupShareMax = 250'000;
// A reliable subscription that falls further behind is caught up from the
// publishers' logs instead of the broker's memory.
inline constexpr uint64_t kReliableQueueBytesMax = uint64_t{32} << 20;
inline constexpr uint64_t kBestEffortQueueBytesMax = uint64_t{64} << 20;
inline constexpr uint32_t kBestEffortDepthMax = 10'000'000;
// GAP frames of one stream that wait side by side. Losses for one reason make
// one frame; a publisher can bring reasons to alternate.
inline constexpr uint32_t kGapsPerPlaceMax = 16;
// Control frames waiting for a client that does not read. A page of a list
// and the announcements of a subscription to everything must fit.
inline constexpr size_t kControlQueueBytesMax = size_t{64} << 20;
// Descriptors kept for all publishers together; the oldest go first.
inline constexpr size_t kSchemaBytesMax = size_t{64} << 20;
inline constexpr size_t kSchemaSetBytesMax = 768 * 1024;
static_assert(kSchemaSetBytesMax + 1024 < kControlFrameBytesMax);
// A page of a list answers one request within one control frame.
inline constexpr size_t kListPageItems = 512;
static_assert(kListPageItems * (kTopicBytesMax + kTypeNameBytesMax + 128) <
              kControlFrameBytesMax);
// And it ends early behind so many subscriptions of clients, or channels of
// topics, that it has looked at: else one request could hold everybody up.
inline constexpr size_t kListPageSteps = 65'536;
// Slow subscriptions that a list names for each client.
inline constexpr size_t kSlowListedMax = 8;
static_assert(kListPageItems * (512 + kSlowListedMax * (kTopicBytesMax + 64)) <
              kControlFrameBytesMax);

}  // namespace ipc

#endif  // IPC_LIBIPC_BASE_LIMITS_H_
