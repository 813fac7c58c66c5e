// SPDX-License-Identifier: Apache-2.0
//
// Channels, and the order of the stream.

#include "libipc/core/publishing.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "libipc/base/check.h"
#include "libipc/base/status_macros.h"

namespace ipc::core {
absl::StatusOr<ChannelNumber> Publishing::Open(std::string_view topic,
                                               const ChannelType& type) {
  auto known = by_topic_.find(std::string(topic));
  if (known == by_topic_.end()) {
    ChannelNumber number{static_cast<uint32_t>(channels_.size())};
    Channel& made = *channels_.emplace_back(std::make_unique<Channel>());
    made.number = number;
    made.topic = topic;
    acknowledged_.push_back(0);
    known = by_topic_.emplace(made.topic, number).first;
  }
  Channel& channel = *channels_[ToNumber(known->second)];
  if (channel.handles > 0 && channel.type.type_name != type.type_name) {
    return absl::InvalidArgumentError(absl::StrCat(
        "topic ", channel.topic, " is advertised with type '",
        channel.type.type_name, "' already, not '", type.type_name, "'"));
  }
  IPC_RETURN_IF_ERROR(CheckTimeToLive(channel, type.time_to_live));
  if (type.retain_last && !channel.retain_last) {
    IPC_RETURN_IF_ERROR(CheckRetain(channel));
    channel.retain_last = true;
    retained_.Begin(channel.number, channel.next_sequence);
  }
  channel.time_to_live = type.time_to_live;
  any_time_to_live_ |= type.time_to_live != absl::InfiniteDuration();
  ++channel.handles;
  if (channel.state == ChannelState::kClosed ||
      channel.state == ChannelState::kRefused) {
    channel.type = type;
    channel.state = ChannelState::kOpening;
    ++unopened_;
    if (connected_) SendOpen(&channel);
  }
  return channel.number;
}

void Publishing::Release(ChannelNumber number) {
  Channel* channel = Find(number);
  IPC_CHECK(channel != nullptr && channel->handles > 0);
  if (--channel->handles == 0) {
    channel->retain_last = false;
    retained_.End(number);
  }
  CloseIfDone(channel);
}

// Broker and handles of a topic must be of one mind about it.
absl::Status Publishing::CheckRetain(const Channel& channel) const {
  if (channel.handles > 0) {
    return absl::InvalidArgumentError(absl::StrCat(
        "topic ", channel.topic, " is advertised without retain_last already"));
  }
  bool told = connected_ && (channel.state == ChannelState::kOpen ||
                             channel.state == ChannelState::kOpening);
  if (told && !channel.retain_told) {
    return absl::FailedPreconditionError(absl::StrCat(
        "topic ", channel.topic,
        " was advertised without retain_last, and "
        "what was published is not acknowledged yet: Flush first"));
  }
  return absl::OkStatus();
}

// A channel stays open until the broker has no reason to speak of it.
void Publishing::CloseIfDone(Channel* channel) {
  if (channel->handles > 0 || !connected_ ||
      channel->state != ChannelState::kOpen ||
      acknowledged_[ToNumber(channel->number)] + 1 < channel->next_sequence) {
    return;
  }
  channel->state = ChannelState::kClosed;
  channel->readers.clear();
  channel->readers_known = false;
  // A last value that is being handed out may still be in the log.
  auto closed = [channel](const wire::Resend::From& from) {
    return from.channel == channel->number;
  };
  for (Job& job : jobs_) std::erase_if(job.channels, closed);
  for (Joining& joining : joins_) {
    if (joining.values) std::erase_if(joining.values->channels, closed);
  }
  wire::AppendFrame(
      {.kind = wire::FrameKind::kClose, .target = ToNumber(channel->number)},
      "", &control_);
}

absl::Status Publishing::ChannelStatus(ChannelNumber number) const {
  const Channel& channel = Get(number);
  switch (channel.state) {
    case ChannelState::kRefused:
      return channel.refusal;
    case ChannelState::kOpening:
      return absl::UnavailableError("the broker has not answered yet");
    default:
      return absl::OkStatus();
  }
}

const std::string& Publishing::topic(ChannelNumber number) const {
  return Get(number).topic;
}

uint32_t Publishing::subscriptions(ChannelNumber number) const {
  return Get(number).subscriptions;
}

std::byte* Publishing::TryAppendSmall(ChannelNumber number,
                                      size_t payload_bytes, int64_t time_ns) {
  Channel& channel = *channels_[ToNumber(number)];
  std::byte* payload = log_.TryAppend({.kind = wire::FrameKind::kPublish,
                                       .target = ToNumber(number),
                                       .sequence = channel.next_sequence,
                                       .time = time_ns},
                                      payload_bytes);
  if (payload == nullptr) return nullptr;
  ++channel.next_sequence;
  ++published_;
  return payload;
}

bool Publishing::TryAppend(ChannelNumber number, size_t payload_bytes,
                           int64_t time_ns, const Carried& carried,
                           std::vector<std::span<std::byte>>* parts) {
  if (!HasRoomBeside(carried)) return false;
  Channel& channel = *channels_[ToNumber(number)];
  const wire::FrameHeader header{
      .kind = wire::FrameKind::kPublish,
      .flags = carried.memfd_bytes > 0 ? wire::kFlagMemfd : uint8_t{0},
      .descriptors = static_cast<uint8_t>(carried.count()),
      .target = ToNumber(number),
      .sequence = channel.next_sequence,
      .time = time_ns};
  const uint64_t tail_before = log_.tail();
  if (payload_bytes <= kFramePayloadBytesMax) {
    std::byte* payload = log_.TryAppend(header, payload_bytes);
    if (payload == nullptr) return false;
    parts->assign(1, {payload, payload_bytes});
  } else if (!log_.TryAppendFragments(header, payload_bytes, parts)) {
    return false;
  }
  if (carried.descriptors != nullptr) {
    log_.Attach(tail_before, carried.descriptors, carried.memfd_bytes);
  }
  ++channel.next_sequence;
  ++published_;
  return true;
}

// As many bytes in files as in the ring, or one file that is larger.
bool Publishing::HasRoomBeside(const Carried& carried) const {
  if (carried.descriptors == nullptr) return true;
  if (log_.descriptors() + carried.count() > kDescriptorsPerLogMax) {
    return false;
  }
  return carried.memfd_bytes == 0 || log_.empty() ||
         log_.bytes() + log_.memfd_bytes() + carried.memfd_bytes <=
             log_.window_bytes();
}

bool Publishing::HasRoom(size_t payload_bytes, const Carried& carried) const {
  if (log_.empty()) return true;
  if (!HasRoomBeside(carried)) return false;
  // A lap may end with a hole of nearly a frame.
  size_t fragments = payload_bytes / kFramePayloadBytesMax + 1;
  size_t wanted = std::max(
      payload_bytes + fragments * kFrameHeaderBytes + kDataFrameBytesMax,
      log_.window_bytes() / 4);
  return log_.bytes() + wanted <= log_.window_bytes();
}

std::vector<uint64_t> Publishing::Accepted() const {
  std::vector<uint64_t> accepted;
  for (const auto& channel : channels_) {
    accepted.push_back(channel->next_sequence - 1);
  }
  return accepted;
}

bool Publishing::IsAcknowledged(std::span<const uint64_t> accepted) const {
  return std::equal(accepted.begin(), accepted.end(), acknowledged_.begin(),
                    [](uint64_t want, uint64_t have) { return have >= want; });
}

uint64_t Publishing::unacknowledged() const {
  uint64_t messages = 0;
  for (const auto& channel : channels_) {
    messages +=
        channel->next_sequence - 1 - acknowledged_[ToNumber(channel->number)];
  }
  return messages;
}

void Publishing::OnConnected() {
  connected_ = true;
  if (any_time_to_live_) ExpireUnsent();
  for (const auto& owned : channels_) {
    Channel& channel = *owned;
    bool unacknowledged =
        acknowledged_[ToNumber(channel.number)] + 1 < channel.next_sequence;
    if (channel.number == ChannelNumber{0} ||
        channel.state == ChannelState::kRefused) {
      continue;
    }
    if (channel.handles == 0 && !unacknowledged) {
      // Given up while nobody could be told; Open begins anew.
      if (channel.state == ChannelState::kOpening) --unopened_;
      channel.state = ChannelState::kClosed;
      channel.readers.clear();
      channel.readers_known = false;
      continue;
    }
    if (channel.state != ChannelState::kOpening) ++unopened_;
    channel.state = ChannelState::kOpening;
    SendOpen(&channel);
  }
}

void Publishing::OnDisconnected() {
  connected_ = false;
  log_.OnDisconnected();
  control_.clear();
  marks_.clear();
  sending_.clear();
  sending_sent_ = 0;
  sending_marks_.clear();
  gathered_descriptors_ = nullptr;
  cut_bytes_ = 0;
  joins_.clear();
  jobs_.clear();
  segments_.clear();
  for (const auto& channel : channels_) channel->subscriptions = 0;
}

void Publishing::SendOpen(Channel* channel) {
  wire::Open open{
      .channel = channel->number,
      .topic = channel->topic,
      .type_name = channel->type.type_name,
      .schema_hash = channel->type.schema_hash,
      .first_sequence = acknowledged_[ToNumber(channel->number)] + 1,
      .next_sequence = NextUnsent(channel->number),
      .readers_known = channel->readers_known,
      .readers = channel->readers,
      .retain_last = channel->retain_last};
  channel->retain_told = channel->retain_last;
  wire::AppendControl(open, kOpenRequestBit | ToNumber(channel->number),
                      &control_);
}

// The sequence of the channel's first publication that no broker was sent.
uint64_t Publishing::NextUnsent(ChannelNumber number) {
  for (uint64_t at = log_.Normalize(log_.SentFramesEnd()); at < log_.tail();
       at = log_.Next(at)) {
    wire::FrameHeader header = log_.HeaderAt(at);
    if (header.target == ToNumber(number) && header.fragment == 0 &&
        !IsRefused(header)) {
      return header.sequence;
    }
  }
  return Get(number).next_sequence;
}

const std::vector<std::span<const std::byte>>& Publishing::Gather() {
  segments_.clear();
  gathered_descriptors_ = nullptr;
  cut_bytes_ = 0;
  if (sending_sent_ == sending_.size()) {
    sending_.clear();
    sending_sent_ = 0;
    AnswerJoins();
    if (control_.empty() && joins_.empty()) ContinueJobs();
    if (log_.sent() < expired_end_) PassExpired();
    sending_.swap(control_);
    sending_marks_.swap(marks_);
  }
  if (sending_sent_ < sending_.size()) {
    // Until all of it is sent: the socket may take it in several parts, too.
    std::span<const std::byte> cut = log_.CutFrame();
    if (!cut.empty()) segments_.push_back(cut);
    cut_bytes_ = cut.size();
    if (!GatherControl()) return segments_;
  }
  if (connected_ && cut_bytes_ == 0) GatherLog();
  return segments_;
}

// A frame with descriptors is the first of what leaves at once.
bool Publishing::GatherControl() {
  std::span<const std::byte> rest =
      std::as_bytes(std::span(sending_)).subspan(sending_sent_);
  auto mark = sending_marks_.begin();
  if (mark != sending_marks_.end() && mark->at == sending_sent_ &&
      segments_.empty()) {
    gathered_descriptors_ = mark->descriptors;
    ++mark;
  }
  const bool all = mark == sending_marks_.end();
  if (!all) rest = rest.first(mark->at - sending_sent_);
  if (!rest.empty()) segments_.push_back(rest);
  return all;
}

void Publishing::GatherLog() {
  uint64_t gate = Gate();
  if (log_.descriptors() == 0) [[likely]] {
    log_.Unsent(gate, &segments_);
    return;
  }
  const uint64_t from = log_.Normalize(log_.sent());
  uint64_t next = log_.NextAttached(from);
  if (next == from && from < gate && segments_.empty()) {
    gathered_descriptors_ = log_.DescriptorsAt(from);
    next = log_.NextAttached(from + 1);
  }
  log_.Unsent(std::min(gate, next), &segments_);
}

uint64_t Publishing::Gate() {
  if (joins_.empty() && jobs_.empty()) {
    bool is_open =
        unopened_ == 0 && !refused_in_log_ && log_.sent() >= expired_end_;
    return is_open ? Log::kNoGate : ChannelGate();
  }
  if (!JoinWaits()) return log_.sent();
  uint64_t end = log_.Normalize(log_.SentFramesEnd());
  while (end < log_.tail() && log_.HeaderAt(end).fragment != 0) {
    end = log_.Next(end);
  }
  return end;
}

void Publishing::Sent(size_t bytes) {
  if (bytes > 0 && gathered_descriptors_ != nullptr) [[unlikely]]
    gathered_descriptors_ = nullptr;
  size_t cut = std::min(bytes, cut_bytes_);
  log_.Sent(cut);
  cut_bytes_ -= cut;
  bytes -= cut;
  size_t control = std::min(bytes, sending_.size() - sending_sent_);
  sending_sent_ += control;
  while (!sending_marks_.empty() && sending_marks_.front().at < sending_sent_) {
    sending_marks_.pop_front();
  }
  bytes -= control;
  log_.Sent(bytes);
  Trim();
}

// Acknowledgements may overtake our own notice of what was sent.
void Publishing::Trim() {
  if (retained_.any()) retained_.Keep(log_, acknowledged_);
  log_.Release(acknowledged_);
  if (!log_.empty()) return;
  refused_in_log_ = false;
  expired_end_ = 0;  // it starts over
}

bool Publishing::HasUnsent() const {
  return HasControl() || (connected_ && log_.unsent_bytes() > 0);
}

bool Publishing::HasControl() const {
  return !control_.empty() || sending_sent_ < sending_.size() ||
         !joins_.empty() || !jobs_.empty();
}

// What is not sent and counts as acknowledged was refused with its channel,
// which may have been asked for again.
bool Publishing::IsRefused(const wire::FrameHeader& header) const {
  return header.sequence <= acknowledged_[header.target] ||
         channels_[header.target]->state == ChannelState::kRefused;
}

uint64_t Publishing::ChannelGate() {
  uint64_t at = log_.Normalize(log_.SentFramesEnd());
  for (; at < log_.tail(); at = log_.Next(at)) {
    wire::FrameHeader header = log_.HeaderAt(at);
    if (!IsRefused(header)) {
      if (channels_[header.target]->state != ChannelState::kOpen ||
          (header.flags & wire::kFlagExpired) != 0) {
        break;
      }
    } else if (at == log_.sent()) {
      log_.SkipFrame();
    } else {
      break;
    }
  }
  return at;
}

Publishing::Channel* Publishing::Find(ChannelNumber number) {
  size_t index = ToNumber(number);
  return index == 0 || index >= channels_.size() ? nullptr
                                                 : channels_[index].get();
}

bool Publishing::OnOpened(const wire::Opened& opened) {
  Channel* channel = Find(opened.channel);
  if (channel == nullptr || channel->state != ChannelState::kOpening) {
    return false;
  }
  channel->state = ChannelState::kOpen;
  --unopened_;
  channel->readers = opened.readers;
  channel->subscriptions = opened.subscriptions;
  if (opened.send_schema) {
    wire::AppendControl(
        wire::Schema{channel->type.schema_hash, channel->type.schema},
        kOpenRequestBit | ToNumber(channel->number), &control_);
  }
  CloseIfDone(channel);
  return true;
}

bool Publishing::OnRefusedOpen(uint64_t request, const absl::Status& status,
                               std::string* topic) {
  if ((request & kOpenRequestBit) == 0) return false;
  Channel* channel =
      Find(ChannelNumber{static_cast<uint32_t>(request & ~kOpenRequestBit)});
  if (channel == nullptr || channel->state != ChannelState::kOpening) {
    return false;
  }
  channel->state = ChannelState::kRefused;
  channel->refusal = status;
  --unopened_;
  acknowledged_[ToNumber(channel->number)] = channel->next_sequence - 1;
  if (channel->retain_last) {
    retained_.Begin(channel->number, channel->next_sequence);
  }
  refused_in_log_ = true;
  *topic = channel->topic;
  return true;
}

bool Publishing::OnMatches(ChannelNumber number, uint32_t subscriptions) {
  Channel* channel = Find(number);
  if (channel == nullptr) return false;
  channel->subscriptions = subscriptions;
  return true;
}

bool Publishing::OnAck(ChannelNumber number, uint64_t sequence) {
  Channel* channel = Find(number);
  if (channel == nullptr || sequence >= channel->next_sequence) return false;
  uint64_t& acknowledged = acknowledged_[ToNumber(number)];
  acknowledged = std::max(acknowledged, sequence);
  // OPENED may have come from a broker whose own readers were still on their
  // way back to it; such a broker acknowledges nothing.
  channel->readers_known = true;
  CloseIfDone(channel);
  return true;
}

}  // namespace ipc::core
