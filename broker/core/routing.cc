// SPDX-License-Identifier: Apache-2.0
//
// Stamping, runs, fragments, and what a full queue does.

#include "broker/core/routing.h"

#include <algorithm>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"

namespace ipc::broker {
namespace {

using wire::Frame;
using wire::FrameHeader;
using wire::FrameKind;

void Stamp(const Channel& channel, FrameHeader header, std::byte* bytes) {
  header.kind = FrameKind::kDeliver;
  header.flags &= wire::kFlagMemfd;
  header.target = ToNumber(channel.topic->id);
  header.session = ToNumber(channel.publisher->number);
  wire::StoreHeader(header, bytes);
}

}  // namespace

absl::Status Routing::OnPublish(Session* session, Frame* frame) {
  FrameHeader& header = frame->header;
  Channel* channel = header.target < session->channels.size()
                         ? session->channels[header.target].get()
                         : nullptr;
  if (channel == nullptr) [[unlikely]] {
    return absl::FailedPreconditionError(absl::StrCat(
        "PUBLISH on channel ", header.target, ", which is not open"));
  }
  if ((header.flags & ~wire::kFlagMemfd) != 0) [[unlikely]] {
    if ((header.flags & wire::kFlagResend) == 0) {
      return OnExpired(channel, header);
    }
    OnResent(session, frame);
    return absl::OkStatus();
  }
  if (header.sequence != channel->next_sequence ||
      header.fragment != channel->next_fragment) [[unlikely]] {
    return OnOutOfOrder(*channel, header);
  }
  if (header.last_fragment != 0 ||
      header.size > uint64_t{kFrameHeaderBytes} + state_.message_bytes_max)
      [[unlikely]] {
    if (Refuses(channel, header, frame->payload().size())) {
      return absl::OkStatus();
    }
  } else if (header.flags != 0 &&
             Refuses(channel, header, wire::MemfdBytes(*frame))) [[unlikely]] {
    return absl::OkStatus();
  }
  Stamp(*channel, header, frame->bytes.data());
  std::byte* begin = frame->bytes.data();
  if (channel != run_.channel || begin != run_.end || header.descriptors != 0) {
    Finish();
    run_ = {channel, begin, begin, 0, 0, header.sequence, nullptr};
  }
  run_.end = begin + header.size;
  ++run_.frames;
  if (header.fragment == 0) ++run_.messages;
  if (header.fragment == header.last_fragment) {
    ++channel->next_sequence;
    channel->next_fragment = 0;
  } else {
    channel->next_fragment = static_cast<uint16_t>(header.fragment + 1);
  }
  if (header.descriptors != 0) [[unlikely]] {
    run_.descriptors = std::move(frame->descriptors);
    Finish();
  }
  return absl::OkStatus();
}

size_t Routing::OnMore(std::span<std::byte> bytes) {
  Channel* channel = run_.channel;
  std::byte* const begin = bytes.data();
  if (channel == nullptr || channel->next_fragment != 0 || begin != run_.end) {
    return 0;
  }
  std::byte* const end = begin + bytes.size();
  std::byte* at = begin;
  while (end - at >= static_cast<ptrdiff_t>(kFrameHeaderBytes)) {
    wire::PrefetchFrames(at);
    const FrameHeader header = wire::LoadHeader(at);
    if (header.kind != FrameKind::kPublish || !wire::IsPlain(header) ||
        header.target != ToNumber(channel->number) ||
        header.sequence != channel->next_sequence ||
        header.size > static_cast<size_t>(end - at) ||
        header.size > uint64_t{kFrameHeaderBytes} + state_.message_bytes_max) {
      break;
    }
    Stamp(*channel, header, at);
    at += header.size;
    ++channel->next_sequence;
    ++run_.messages;
    ++run_.frames;
  }
  run_.end = at;
  return static_cast<size_t>(at - begin);
}

void Routing::Finish() {
  if (run_.channel == nullptr) return;
  Run run = std::exchange(run_, {});
  Channel* channel = run.channel;
  size_t bytes = static_cast<size_t>(run.end - run.begin);
  channel->messages += run.messages;
  channel->bytes += bytes - size_t{run.frames} * kFrameHeaderBytes;
  channel->publisher->messages_in += run.messages;
  state_.counters.messages_in += run.messages;
  state_.counters.bytes_in += bytes;
  channel->publisher->routed_bytes += bytes;

  channel->refused_from = 0;

  // Falling behind takes a subscription off the list, so it has to wait.
  std::vector<Subscription*> left_behind;
  for (Subscription* subscription : channel->readers->live) {
    if (subscription->group() != nullptr) {
      if (!RouteToGroup(subscription, run)) left_behind.push_back(subscription);
      continue;
    }
    if (subscription->reliable &&
        subscription->lane.bytes() + bytes > state_.reliable_queue_bytes_max) {
      left_behind.push_back(subscription);
      continue;
    }
    Deliver(subscription, {run.begin, bytes}, run.messages, run.descriptors);
  }
  for (Subscription* subscription : left_behind) {
    links_.FallBehind(subscription, channel, run.first_sequence);
  }
  acknowledgement_.OnRouted(channel);
}

void Routing::Deliver(Subscription* subscription,
                      std::span<const std::byte> bytes, uint32_t messages,
                      const Descriptors& descriptors) {
  Connection* connection = subscription->session->connection;
  connection->outbox.AddRun(&subscription->lane, bytes, messages, descriptors);
  if (subscription->reliable) stalls_.OnDelivered(subscription);
  subscription->session->messages_out += messages;
  state_.counters.messages_out += messages;
  state_.counters.bytes_out += bytes.size();
  state_.MarkDirty(connection);
}

void Routing::Abort(Channel* channel) {
  if (channel->next_fragment != 0 && !channel->refusing) TellAbort(*channel);
  channel->next_fragment = 0;
  channel->refusing = false;
}

void Routing::TellAbort(const Channel& channel) {
  for (Subscription* subscription : channel.readers->live) {
    if (subscription->group() != nullptr) {
      AbortInGroup(ReadingOf(subscription, channel));
    } else {
      TellAbort(subscription, channel, channel.next_sequence);
    }
  }
}

// To those that would have got it, at its place.
void Routing::TellMissing(Channel* channel, wire::GapReason reason) {
  const uint64_t sequence = channel->next_sequence - 1;
  std::vector<Subscription*> left_behind;
  for (Subscription* subscription : channel->readers->live) {
    const bool told =
        subscription->group() != nullptr
            ? MissInGroup(ReadingOf(subscription, *channel), sequence, reason)
            : TellMissing(subscription, *channel, sequence, reason);
    if (!told) left_behind.push_back(subscription);
  }
  for (Subscription* subscription : left_behind) {
    links_.FallBehind(subscription, channel, sequence);
  }
}

void Routing::TellAbort(Subscription* subscription, const Channel& channel,
                        uint64_t sequence) {
  Connection* connection = subscription->session->connection;
  connection->outbox.AddFrame(&subscription->lane,
                              {.kind = FrameKind::kAbort,
                               .target = ToNumber(channel.topic->id),
                               .session = ToNumber(channel.publisher->number),
                               .sequence = sequence});
  state_.MarkDirty(connection);
}

bool Routing::TellMissing(Subscription* subscription, const Channel& channel,
                          uint64_t sequence, wire::GapReason reason) {
  if (subscription->reliable &&
      !HasRoomForNotice(subscription->lane, state_.reliable_queue_bytes_max)) {
    return false;
  }
  AddGap(subscription, channel, sequence, reason);
  // It is to be consumed like a message.
  if (subscription->reliable) stalls_.OnDelivered(subscription);
  return true;
}

void Routing::AddGap(Subscription* subscription, const Channel& channel,
                     uint64_t sequence, wire::GapReason reason) {
  Connection* connection = subscription->session->connection;
  connection->outbox.AddGap(
      &subscription->lane,
      {ToNumber(channel.topic->id), ToNumber(channel.publisher->number),
       sequence, sequence, reason});
  state_.MarkDirty(connection);
}

// A publication that is a notice for whoever reads it. Unlike one that is
// refused, it is in its publisher's log, for those that are away or behind.
absl::Status Routing::OnExpired(Channel* channel, const FrameHeader& header) {
  if (header.sequence != channel->next_sequence ||
      channel->next_fragment != 0) {
    return OnOutOfOrder(*channel, header);
  }
  Finish();
  ++channel->next_sequence;
  ++channel->publisher->messages_in;
  ++state_.counters.messages_in;
  state_.counters.bytes_in += kFrameHeaderBytes;
  channel->publisher->routed_bytes += kFrameHeaderBytes;
  TellMissing(channel, wire::GapReason::kExpired);
  acknowledgement_.OnExpired(channel);
  return absl::OkStatus();
}

absl::Status Routing::OnOutOfOrder(const Channel& channel,
                                   const FrameHeader& header) {
  return absl::FailedPreconditionError(absl::StrCat(
      "PUBLISH on channel ", header.target, " has sequence ", header.sequence,
      " fragment ", header.fragment, "; expected ", channel.next_sequence,
      " fragment ", channel.next_fragment));
}

// A publication above the message size limit is answered once and passed over.
bool Routing::Refuses(Channel* channel, const FrameHeader& header,
                      size_t payload_bytes) {
  uint64_t bytes_at_most =
      uint64_t{header.last_fragment} * kFramePayloadBytesMax +
      (header.fragment == header.last_fragment ? payload_bytes : 0);
  bool begins = header.fragment == 0;
  if (begins) channel->refusing = false;
  if (!channel->refusing) {
    if (bytes_at_most <= state_.message_bytes_max) return false;
    Finish();
    channel->refusing = true;
    std::string frame;
    wire::AppendFrame({.kind = FrameKind::kRefused,
                       .target = header.target,
                       .sequence = header.sequence},
                      wire::Encode(wire::Result{
                          absl::StatusCode::kInvalidArgument,
                          absl::StrCat("message is larger than the limit of ",
                                       state_.message_bytes_max, " bytes")}),
                      &frame);
    state_.Send(channel->publisher->connection, frame);
    if (!begins) TellAbort(*channel);
  }
  if (header.fragment == header.last_fragment) {
    ++channel->next_sequence;
    channel->next_fragment = 0;
    channel->refusing = false;
    TellMissing(channel, wire::GapReason::kRefused);
    acknowledgement_.OnRefused(channel);
  } else {
    channel->next_fragment = static_cast<uint16_t>(header.fragment + 1);
  }
  return true;
}

// Whether a frame of a publication that is sent again is the one that is due. A
// publisher that repeats parts of one must not fill a reader's queue with them.
bool Routing::ContinuesResend(Reading* reading, const FrameHeader& header) {
  if (header.fragment == 0) {
    reading->resent = header.sequence;
    reading->resent_fragments = 0;
  }
  if (header.sequence != reading->resent ||
      header.fragment != reading->resent_fragments) {
    return false;
  }
  ++reading->resent_fragments;
  return true;
}

// Sent again for one reader. A frame that nobody waits for any more is no
// fault: LEAVE may have crossed it.
void Routing::OnResent(Session* session, Frame* frame) {
  Finish();
  Link* link = links_.Find(session, ReaderId{frame->header.session});
  if (link == nullptr || !links_.TakesResent(link)) return;
  const Channel& channel = *session->channels[frame->header.target];
  // No publication has these.
  if (frame->header.sequence == 0 || frame->header.sequence > kSequenceMax) {
    return;
  }
  auto reading = link->readings.find(channel.topic->id);
  if (reading == link->readings.end() ||
      !ContinuesResend(reading->second.get(), frame->header)) {
    return;
  }
  Subscription* subscription = link->subscription;
  if (reading->second->share != nullptr) {
    if ((frame->header.flags & wire::kFlagExpired) != 0) {
      if (!MissInGroup(reading->second.get(), frame->header.sequence,
                       wire::GapReason::kExpired)) {
        links_.FallBehindAgain(link);
      }
      return;
    }
    Stamp(channel, frame->header, frame->bytes.data());
    Part part{.bytes = frame->bytes,
              .first = frame->header.sequence,
              .last = frame->header.sequence,
              .begins = frame->header.fragment == 0,
              .ends = frame->header.fragment == frame->header.last_fragment,
              .descriptors = std::move(frame->descriptors)};
    if (!Give(reading->second.get(), part)) links_.FallBehindAgain(link);
    return;
  }
  // Only between publications: one that were cut would be sent again from its
  // beginning, and with a queue smaller than it, forever.
  if (subscription->reliable && frame->header.fragment == 0 &&
      subscription->lane.bytes() + frame->bytes.size() >
          state_.reliable_queue_bytes_max) {
    links_.FallBehindAgain(link);
    return;
  }
  if (frame->header.fragment == 0) {
    links_.TellLostBefore(reading->second.get(), frame->header.sequence);
  }
  if (frame->header.fragment == frame->header.last_fragment) {
    uint64_t& from = reading->second->resend_from;
    from = std::max(from, frame->header.sequence + 1);
    reading->second->lacks_value = false;
  }
  if ((frame->header.flags & wire::kFlagExpired) != 0) {
    TellMissing(subscription, channel, frame->header.sequence,
                wire::GapReason::kExpired);
    return;
  }
  Stamp(channel, frame->header, frame->bytes.data());
  Deliver(subscription, frame->bytes, frame->header.fragment == 0 ? 1 : 0,
          frame->descriptors);
}

}  // namespace ipc::broker
