// SPDX-License-Identifier: Apache-2.0
//
// Publications that are too old to be sent. Two moments decide: when there is a
// new connection, what waits for it; and when something is to be sent again,
// that. What is under way live on a connection never expires.
//
// A publication that has expired stays where it is in the log, marked; a header
// stands for it in the stream, so that sequences have no holes. What was not
// sent passes as a control frame and counts as sent then: if it is lost with
// the connection, it is asked for again like any other.

#include "absl/strings/str_cat.h"
#include "libipc/core/publishing.h"

namespace ipc::core {

// What was accepted under one time to live keeps it.
absl::Status Publishing::CheckTimeToLive(const Channel& channel,
                                         absl::Duration time_to_live) const {
  if (channel.time_to_live == time_to_live) return absl::OkStatus();
  if (channel.handles > 0) {
    return absl::InvalidArgumentError(absl::StrCat(
        "topic ", channel.topic, " is advertised with a time to live of ",
        absl::FormatDuration(channel.time_to_live), " already, not ",
        absl::FormatDuration(time_to_live)));
  }
  if (acknowledged_[ToNumber(channel.number)] + 1 < channel.next_sequence) {
    return absl::FailedPreconditionError(absl::StrCat(
        "topic ", channel.topic, " was advertised with a time to live of ",
        absl::FormatDuration(channel.time_to_live),
        ", and what was published is not acknowledged yet: Flush first"));
  }
  return absl::OkStatus();
}

bool Publishing::IsTooOld(const wire::FrameHeader& header) const {
  absl::Duration time_to_live = channels_[header.target]->time_to_live;
  return time_to_live != absl::InfiniteDuration() &&
         now_ - MonotonicTime::FromNanoseconds(header.time) >= time_to_live;
}

void Publishing::ExpireUnsent() {
  expired_end_ = 0;
  for (uint64_t at = log_.Normalize(log_.sent()); at < log_.tail();
       at = log_.NextPublication(at)) {
    wire::FrameHeader header = log_.HeaderAt(at);
    if (IsRefused(header) || !IsTooOld(header)) continue;
    if ((header.flags & wire::kFlagExpired) == 0) {
      log_.MarkExpired(at);
      ++expired_;
    }
    expired_end_ = log_.NextPublication(at);
  }
}

bool Publishing::ExpiresAt(uint64_t offset) {
  wire::FrameHeader header = log_.HeaderAt(offset);
  if ((header.flags & wire::kFlagExpired) != 0) return true;
  if (!any_time_to_live_ || !IsTooOld(header) || !log_.IsSent(offset)) {
    return false;
  }
  log_.MarkExpired(offset);
  ++expired_;
  return true;
}

void Publishing::PassExpired() {
  if (!connected_ || !joins_.empty() || !jobs_.empty() ||
      !log_.CutFrame().empty()) {
    return;
  }
  while (log_.Normalize(log_.sent()) < expired_end_ &&
         control_.size() < kResendPieceBytes) {
    const uint64_t at = log_.Normalize(log_.sent());
    wire::FrameHeader header = log_.HeaderAt(at);
    if ((header.flags & wire::kFlagExpired) == 0 || IsRefused(header) ||
        channels_[header.target]->state != ChannelState::kOpen) {
      return;
    }
    AppendExpired(header, wire::kFlagExpired, ReaderId{0});
    // All of it, or it would count as not sent.
    for (const uint64_t end = log_.NextPublication(at);
         log_.Normalize(log_.sent()) != end;) {
      log_.SkipFrame();
    }
  }
}

void Publishing::AppendExpired(const wire::FrameHeader& header, uint8_t flags,
                               ReaderId reader) {
  wire::AppendFrame({.kind = wire::FrameKind::kPublish,
                     .flags = flags,
                     .target = header.target,
                     .session = ToNumber(reader),
                     .sequence = header.sequence,
                     .time = header.time},
                    "", &control_);
}

bool Publishing::HasValue(ChannelNumber number, uint64_t last) const {
  if (!retained_.Covers(ToNumber(number), last)) return false;
  if (Get(number).time_to_live == absl::InfiniteDuration()) return true;
  wire::FrameHeader value{.target = ToNumber(number), .sequence = last};
  if (auto time = retained_.TimeOf(ToNumber(number), last)) {
    value.time = *time;
    return !IsTooOld(value);
  }
  for (uint64_t at = log_.Normalize(log_.head()); at < log_.sent();
       at = log_.Next(at)) {
    wire::FrameHeader header = log_.HeaderAt(at);
    if (header.target == value.target && header.sequence == last) {
      return !IsTooOld(header);
    }
  }
  return false;
}

}  // namespace ipc::core
