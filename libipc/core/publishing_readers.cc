// SPDX-License-Identifier: Apache-2.0
//
// Readers: who is noted, who joins and gets last values first, and what is sent
// again for one of them alone.

#include <algorithm>
#include <utility>

#include "libipc/core/publishing.h"

namespace ipc::core {
namespace {

bool ByNumber(const wire::Resend::From& a, const wire::Resend::From& b) {
  return a.channel < b.channel;
}

}  // namespace

// A reader that gets a last value and then the rest of its successor would
// miss the beginning of that.
bool Publishing::JoinWaits() {
  if (joins_.empty() || joins_.front().values.has_value()) return false;
  uint64_t next = log_.Normalize(log_.SentFramesEnd());
  if (next >= log_.tail()) return false;
  wire::FrameHeader header = log_.HeaderAt(next);
  const std::vector<ChannelNumber>& channels = joins_.front().join.channels;
  return header.fragment != 0 && channels_[header.target]->retain_last &&
         std::find(channels.begin(), channels.end(),
                   ChannelNumber{header.target}) != channels.end();
}

// The mark stands in front of everything of the log that is not sent yet.
void Publishing::AnswerJoins() {
  while (!joins_.empty() && control_.size() < kResendPieceBytes &&
         !JoinWaits()) {
    Joining& next = joins_.front();
    if (!next.values.has_value()) {
      Note(next.join);
      next.values = ValuesFor(next.join);
    }
    if (!Continue(&*next.values)) continue;
    wire::AppendFrame({.kind = wire::FrameKind::kJoined,
                       .session = ToNumber(next.join.reader.reader)},
                      "", &control_);
    joins_.pop_front();
  }
}

// Its beginning is the same now as when JOINED is sent: the log stays as it is.
void Publishing::Note(const wire::Join& join) {
  for (ChannelNumber number : join.channels) {
    Channel* channel = Find(number);
    if (channel == nullptr || join.transient) continue;
    wire::Reader reader = join.reader;
    reader.from = NextUnsent(number);
    SetReader(channel, reader);
  }
}

Publishing::Job Publishing::ValuesFor(const wire::Join& join) {
  Job values{.reader = join.reader.reader, .channels = {}, .values = true};
  for (ChannelNumber number : join.channels) {
    if (Find(number) == nullptr || !Get(number).retain_last) continue;
    uint64_t last = NextUnsent(number) - 1;
    if (!HasValue(number, last)) continue;
    values.channels.push_back({number, last});
  }
  std::sort(values.channels.begin(), values.channels.end(), ByNumber);
  if (values.channels.empty()) values.offset = log_.tail();
  return values;
}

void Publishing::ContinueJobs() {
  while (!jobs_.empty() && control_.size() < kResendPieceBytes) {
    Job& job = jobs_.front();
    if (!Continue(&job)) continue;
    wire::AppendFrame(
        {.kind = wire::FrameKind::kResendEnd, .session = ToNumber(job.reader)},
        "", &control_);
    jobs_.pop_front();
  }
}

bool Publishing::Continue(Job* job) {
  // The log may have released something since the last time.
  while (job->kept != retained_.kept()) {
    Retained::Kept kept = retained_.Next(job->kept, job->channels);
    if (kept.number == 0) {
      job->kept = retained_.kept();
      break;
    }
    job->kept = kept.number;
    if (kept.end <= job->offset) continue;  // it was sent out of the log
    std::span<const std::byte> rest = std::as_bytes(std::span(kept.frames));
    while (!rest.empty()) {
      wire::FrameHeader header = wire::LoadHeader(rest.data());
      AppendForReader(rest.first(header.size), job->reader, kept.descriptors);
      rest = rest.subspan(header.size);
    }
    if (control_.size() >= kResendPieceBytes) return false;
  }
  while (control_.size() < kResendPieceBytes) {
    job->offset = log_.Normalize(std::max(job->offset, log_.head()));
    if (job->offset >= log_.SentFramesEnd()) return true;
    ResendFrame(job);
    job->offset = log_.Next(job->offset);
  }
  return false;
}

void Publishing::ResendFrame(Job* job) {
  wire::FrameHeader header = log_.HeaderAt(job->offset);
  auto wanted = std::lower_bound(
      job->channels.begin(), job->channels.end(), header.target,
      [](const wire::Resend::From& from, uint32_t number) {
        return ToNumber(from.channel) < number;
      });
  if (wanted == job->channels.end() ||
      ToNumber(wanted->channel) != header.target ||
      header.sequence < wanted->sequence) {
    return;
  }
  if (header.fragment == 0) {
    job->passing = !job->values && ExpiresAt(job->offset);
  }
  if (!job->passing) {
    AppendForReader(
        log_.FrameAt(job->offset), job->reader,
        header.descriptors == 0 ? nullptr : log_.DescriptorsAt(job->offset));
  } else if (header.fragment == 0 &&
             // A value that has expired since is nothing that it misses.
             !(wanted->last_value && header.sequence == wanted->sequence)) {
    AppendExpired(header, wire::kFlagResend | wire::kFlagExpired, job->reader);
  }
}

void Publishing::AppendForReader(std::span<const std::byte> frame,
                                 ReaderId reader,
                                 const Descriptors& descriptors) {
  wire::FrameHeader header = wire::LoadHeader(frame.data());
  if (header.descriptors != 0) marks_.push_back({control_.size(), descriptors});
  header.flags = wire::kFlagResend | (header.flags & wire::kFlagMemfd);
  header.session = ToNumber(reader);
  wire::AppendFrame(
      header,
      {reinterpret_cast<const char*>(frame.data()) + kFrameHeaderBytes,
       frame.size() - kFrameHeaderBytes},
      &control_);
  ++resent_;
}

bool Publishing::Owes(const Channel& channel, ReaderId reader, uint64_t from) {
  return std::any_of(channel.readers.begin(), channel.readers.end(),
                     [reader, from](const wire::Reader& known) {
                       return known.reader == reader && known.from <= from;
                     });
}

void Publishing::SetReader(Channel* channel, const wire::Reader& reader) {
  std::erase_if(channel->readers, [&reader](const wire::Reader& known) {
    return known.reader == reader.reader;
  });
  channel->readers.push_back(reader);
}

void Publishing::OnJoin(const wire::Join& join) {
  joins_.push_back({join, std::nullopt});
}

// A join that is not answered is one nobody waits for.
void Publishing::OnLeave(ReaderId reader) {
  for (const auto& channel : channels_) {
    std::erase_if(channel->readers, [reader](const wire::Reader& known) {
      return known.reader == reader;
    });
  }
  std::erase_if(joins_, [reader](const Joining& joining) {
    return joining.join.reader.reader == reader;
  });
  for (Job& job : jobs_) {
    if (job.reader == reader) job.channels.clear();
  }
}

// What a reader wants again is less than what it is entitled to: what waits for
// it in the broker is left out, and would be lost with the broker.
void Publishing::OnResend(const wire::Resend& resend) {
  Job job{.reader = resend.reader.reader, .channels = resend.channels};
  for (const wire::Resend::From& from : resend.channels) {
    Channel* channel = Find(from.channel);
    if (channel == nullptr || Owes(*channel, job.reader, from.sequence)) {
      continue;
    }
    wire::Reader reader = resend.reader;
    reader.from = from.sequence;
    SetReader(channel, reader);
  }
  for (wire::Resend::From& from : job.channels) {
    if (!from.last_value || Find(from.channel) == nullptr) continue;
    uint64_t last = NextUnsent(from.channel) - 1;
    // Else it is wanted anyway.
    from.last_value = last < from.sequence && HasValue(from.channel, last);
    if (from.last_value) from.sequence = last;
  }
  std::sort(job.channels.begin(), job.channels.end(), ByNumber);
  jobs_.push_back(std::move(job));
}

}  // namespace ipc::core
