// SPDX-License-Identifier: Apache-2.0
//
// The hot path: publications from one read buffer to the outboxes of their
// subscribers. Headers are stamped where they lie; frames that lie behind each
// other and belong to one channel make a run, and a run costs one entry for
// each subscriber, however many frames it has; one with descriptors is alone in
// its run. Nothing here allocates, hashes or asks the clock for each message.

#ifndef IPC_BROKER_CORE_ROUTING_H_
#define IPC_BROKER_CORE_ROUTING_H_

#include <cstddef>
#include <cstdint>
#include <span>

#include "absl/status/status.h"
#include "broker/core/links.h"
#include "broker/core/stalls.h"
#include "broker/core/state.h"
#include "libipc/wire/frame_reader.h"

namespace ipc::broker {

inline bool HasRoomForNotice(const Lane& lane, uint64_t queue_bytes_max) {
  return lane.bytes() + kFrameHeaderBytes <= queue_bytes_max;
}

class Routing {
 public:
  Routing(State* state, Links* links, Acknowledgement* acknowledgement,
          Stalls* stalls)
      : state_(*state),
        links_(*links),
        acknowledgement_(*acknowledgement),
        stalls_(*stalls) {}

  // Takes a PUBLISH frame of `session`. What it makes of the frame may be
  // held back until Finish. Errors: the connection is at fault and must be
  // closed.
  absl::Status OnPublish(Session* session, wire::Frame* frame);

  // Takes the frames that `bytes` begins with, as far as they go on with the
  // channel of the last one, and have nothing special. Returns how many bytes
  // that are.
  size_t OnMore(std::span<std::byte> bytes);

  // Hands on what was held back. Before anything but a PUBLISH frame of the
  // same connection is looked at, and at the end of the buffer.
  void Finish();

  // A publication that will not be completed is taken back from its readers.
  void Abort(Channel* channel);

 private:
  // Frames that lie behind each other and belong to one channel.
  struct Run {
    Channel* channel = nullptr;
    std::byte* begin = nullptr;
    std::byte* end = nullptr;
    uint32_t frames = 0;
    uint32_t messages = 0;
    uint64_t first_sequence = 0;  // of the publication it begins in
    Descriptors descriptors;      // then it is one frame
  };

  absl::Status OnOutOfOrder(const Channel& channel,
                            const wire::FrameHeader& header);
  // Whole publications of one channel, or a part of one.
  struct Part {
    std::span<const std::byte> bytes;
    uint64_t first = 0;
    uint64_t last = 0;
    bool begins = true;  // with the first fragment
    bool ends = true;    // with the last
    Descriptors descriptors = nullptr;
  };

  // -- Groups (group_routing.cc). False: no member has room for what is left.
  bool RouteToGroup(Subscription* head, const Run& run);
  bool Give(Reading* reading, const Part& part);
  static Part TakePart(std::span<const std::byte>* run, uint64_t messages_max);
  static Reading* ReadingOf(Subscription* head, const Channel& channel);
  void AbortInGroup(Reading* reading);
  bool MissInGroup(Reading* reading, uint64_t sequence, wire::GapReason reason);

  void TellAbort(const Channel& channel);
  void TellAbort(Subscription* subscription, const Channel& channel,
                 uint64_t sequence);
  // Its last publication is one that nobody gets.
  void TellMissing(Channel* channel, wire::GapReason reason);
  void OnResent(Session* session, wire::Frame* frame);
  static bool ContinuesResend(Reading* reading,
                              const wire::FrameHeader& header);
  absl::Status OnExpired(Channel* channel, const wire::FrameHeader& header);
  // Whether the subscription had room for it. Tells of one publication.
  bool TellMissing(Subscription* subscription, const Channel& channel,
                   uint64_t sequence, wire::GapReason reason);
  void AddGap(Subscription* subscription, const Channel& channel,
              uint64_t sequence, wire::GapReason reason);
  bool Refuses(Channel* channel, const wire::FrameHeader& header,
               size_t payload_bytes);
  void Deliver(Subscription* subscription, std::span<const std::byte> bytes,
               uint32_t messages, const Descriptors& descriptors);

  State& state_;
  Links& links_;
  Acknowledgement& acknowledgement_;
  Stalls& stalls_;
  Run run_;
};

}  // namespace ipc::broker

#endif  // IPC_BROKER_CORE_ROUTING_H_
