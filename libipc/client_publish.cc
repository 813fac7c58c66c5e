// SPDX-License-Identifier: Apache-2.0
//
// Publishing: into the log under the mutex, and to the socket by whoever
// finds that it is time.
//
// The cork: the first message after a pause goes out at once, in the caller's
// thread. In a burst, messages gather until there are 16 KiB of them (up to 64
// KiB as it goes on) or the oldest has waited 50 us. The loop sends the tail of
// a burst when that has waited 150 us: woken by the burst, it goes on looking
// while there is one, without the mutex. While one thread sends, others append
// and leave the rest to it.

#include <algorithm>
#include <cstring>

#include "absl/strings/str_cat.h"
#include "google/protobuf/io/zero_copy_stream.h"
#include "libipc/base/limits.h"
#include "libipc/base/status_macros.h"
#include "libipc/client_impl.h"
#include "libipc/net/descriptors.h"
#include "libipc/net/system.h"

namespace ipc {
namespace {

// Publications closer together than this are a burst.
constexpr int64_t kPauseNanoseconds = 5'000;
constexpr uint64_t kCorkBytes = 16 * 1024;
constexpr uint64_t kCorkBytesMax = 64 * 1024;  // as a burst goes on
constexpr int64_t kCorkNanoseconds = 50'000;
// When the loop sends what no caller has sent.
constexpr int64_t kTailNanoseconds = 150'000;
constexpr absl::Duration kTailTime = absl::Nanoseconds(kTailNanoseconds);
// One caller sends at most so often for others before the loop takes over.
constexpr int kSendsPerCall = 8;

// Serializes into parts that lie apart.
class PartsOutputStream : public google::protobuf::io::ZeroCopyOutputStream {
 public:
  explicit PartsOutputStream(std::span<const std::span<std::byte>> parts)
      : parts_(parts) {}

  bool Next(void** data, int* size) override {
    if (next_ == parts_.size()) return false;
    *data = parts_[next_].data();
    *size = static_cast<int>(parts_[next_].size());
    bytes_ += *size;
    ++next_;
    return true;
  }
  void BackUp(int count) override { bytes_ -= count; }
  int64_t ByteCount() const override { return bytes_; }

 private:
  std::span<const std::span<std::byte>> parts_;
  size_t next_ = 0;
  int64_t bytes_ = 0;
};

}  // namespace

absl::StatusOr<uint32_t> ClientImpl::OpenChannel(
    std::string_view topic, const core::ChannelType& type) {
  IPC_RETURN_IF_ERROR(CheckTopic(topic));
  if (type.time_to_live < kTimeToLiveMin) {
    return absl::InvalidArgumentError(absl::StrCat(
        "time_to_live is ", absl::FormatDuration(type.time_to_live),
        "; the least is ", absl::FormatDuration(kTimeToLiveMin)));
  }
  MutexLock lock(&mu_);
  IPC_RETURN_IF_ERROR(CheckRunning());
  core::Publishing& publishing = session_.publishing();
  IPC_ASSIGN_OR_RETURN(ChannelNumber number, publishing.Open(topic, type));
  Send();
  auto answered = [&]() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_) {
    return !session_.ready() || stopping_ ||
           !absl::IsUnavailable(publishing.ChannelStatus(number));
  };
  Await(answered, DeadlineAfter(options_.connect_timeout));
  absl::Status status = publishing.ChannelStatus(number);
  if (!status.ok() && !absl::IsUnavailable(status)) {
    publishing.Release(number);
    return status;
  }
  return ToNumber(number);
}

void ClientImpl::ReleaseChannel(uint32_t channel) {
  MutexLock lock(&mu_);
  session_.publishing().Release(ChannelNumber{channel});
  if (!stopping_) Send();
}

absl::Status ClientImpl::CheckPublish(uint32_t channel,
                                      size_t payload_bytes) const {
  if (stopping_ || draining_) return CheckRunning();
  uint64_t bytes_max = session_.welcome().message_bytes_max;
  if (payload_bytes > bytes_max) {
    return absl::InvalidArgumentError(absl::StrCat(
        "message has ", payload_bytes, " bytes; the limit is ", bytes_max));
  }
  return session_.publishing().Refusal(ChannelNumber{channel});
}

// `write` gets the parts of the payload's place; a small one has one.
template <typename Write>
absl::Status ClientImpl::Append(uint32_t channel, size_t payload_bytes,
                                Write write, absl::Duration timeout,
                                const core::Carried& carried) {
  MutexLock lock(&mu_);
  core::Publishing& publishing = session_.publishing();
  IPC_RETURN_IF_ERROR(CheckPublish(channel, payload_bytes));
  MonotonicTime now = burst_clock_.Now();
  const ChannelNumber number{channel};
  if (payload_bytes <= kFramePayloadBytesMax &&
      carried.descriptors == nullptr) {
    std::byte* payload =
        publishing.TryAppendSmall(number, payload_bytes, now.nanoseconds());
    if (payload != nullptr) [[likely]] {
      const std::span<std::byte> part(payload, payload_bytes);
      write({&part, 1});
      AfterAppend(now);
      return absl::OkStatus();
    }
  }
  auto try_append = [&]() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_) {
    int64_t time = now.nanoseconds();
    auto append = [&]() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_) {
      return publishing.TryAppend(number, payload_bytes, time, carried,
                                  &parts_);
    };
    if (append()) return true;
    publishing.Trim();
    return append();
  };
  while (!try_append()) {
    if (timeout <= absl::ZeroDuration()) {
      return absl::ResourceExhaustedError(
          absl::StrCat(FullText(carried),
                       " full: subscribers have yet to consume what it holds"));
    }
    // From before Send, which lets acknowledgements in: they make room only
    // while somebody waits for it.
    // What was acknowledged while Send let go of the mutex.
    publishing.Trim();
    ++waiting_for_room_;
    Send();
    auto has_room = [&]() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_) {
      return publishing.HasRoom(payload_bytes, carried) || stopping_ ||
             draining_;
    };
    absl::Duration rest = timeout == absl::InfiniteDuration()
                              ? timeout
                              : timeout - (net::Now() - now);
    bool room = Await(has_room, DeadlineAfter(rest));
    --waiting_for_room_;
    if (!room) {
      return absl::DeadlineExceededError(absl::StrCat(
          FullText(carried), " full for ", absl::FormatDuration(timeout)));
    }
    IPC_RETURN_IF_ERROR(CheckPublish(channel, payload_bytes));
  }
  write(parts_);
  AfterAppend(now);
  return absl::OkStatus();
}

std::string ClientImpl::FullText(const core::Carried& carried) const {
  const core::Log& log = session_.publishing().log();
  if (carried.descriptors != nullptr &&
      log.descriptors() + carried.count() > kDescriptorsPerLogMax) {
    return absl::StrCat("the window for ", kDescriptorsPerLogMax,
                        " descriptors is");
  }
  return absl::StrCat("the window of ", options_.window_bytes, " bytes is");
}

absl::Status ClientImpl::Publish(uint32_t channel,
                                 std::span<const std::byte> payload,
                                 absl::Duration timeout,
                                 const Descriptors& descriptors) {
  auto write = [&payload](std::span<const std::span<std::byte>> parts) {
    size_t done = 0;
    for (std::span<std::byte> part : parts) {
      if (!part.empty()) {
        std::memcpy(part.data(), payload.data() + done, part.size());
      }
      done += part.size();
    }
  };
  return Append(channel, payload.size(), write, timeout, {descriptors});
}

absl::Status ClientImpl::Publish(uint32_t channel,
                                 const google::protobuf::MessageLite& message,
                                 absl::Duration timeout,
                                 const Descriptors& descriptors) {
  if (!message.IsInitialized()) {
    return absl::InvalidArgumentError(
        absl::StrCat("message lacks required fields: ",
                     message.InitializationErrorString()));
  }
  size_t payload_bytes = message.ByteSizeLong();
  auto write = [&message](std::span<const std::span<std::byte>> parts) {
    if (parts.size() == 1) {
      message.SerializeWithCachedSizesToArray(
          reinterpret_cast<uint8_t*>(parts.front().data()));
    } else {
      PartsOutputStream stream(parts);
      message.SerializePartialToZeroCopyStream(&stream);
    }
  };
  return Append(channel, payload_bytes, write, timeout, {descriptors});
}

absl::Status ClientImpl::AppendMemfd(
    uint32_t channel, size_t payload_bytes,
    absl::FunctionRef<void(std::span<std::byte>)> write, absl::Duration timeout,
    const Descriptors& descriptors) {
  {
    MutexLock lock(&mu_);
    IPC_RETURN_IF_ERROR(CheckPublish(channel, payload_bytes));
  }
  absl::StatusOr<net::Fd> file = net::MakeSealed(payload_bytes, write);
  absl::StatusOr<Descriptors> all =
      file.ok() ? net::InFront(*std::move(file), descriptors) : file.status();
  if (!all.ok()) {
    MutexLock lock(&mu_);
    ++stats_.memfd_fallbacks;
    return absl::UnimplementedError("");
  }
  const uint64_t bytes = payload_bytes;
  auto write_size = [bytes](std::span<const std::span<std::byte>> parts) {
    std::memcpy(parts.front().data(), &bytes, sizeof(bytes));
  };
  return Append(channel, sizeof(bytes), write_size, timeout,
                {*std::move(all), bytes});
}

absl::Status ClientImpl::PublishMemfd(uint32_t channel,
                                      std::span<const std::byte> payload,
                                      absl::Duration timeout,
                                      const Descriptors& descriptors) {
  auto write = [payload](std::span<std::byte> place) {
    std::memcpy(place.data(), payload.data(), payload.size());
  };
  absl::Status status =
      AppendMemfd(channel, payload.size(), write, timeout, descriptors);
  return absl::IsUnimplemented(status)
             ? Publish(channel, payload, timeout, descriptors)
             : status;
}

absl::Status ClientImpl::PublishMemfd(
    uint32_t channel, const google::protobuf::MessageLite& message,
    absl::Duration timeout, const Descriptors& descriptors) {
  if (message.IsInitialized()) {
    auto write = [&message](std::span<std::byte> place) {
      message.SerializeWithCachedSizesToArray(
          reinterpret_cast<uint8_t*>(place.data()));
    };
    absl::Status status = AppendMemfd(channel, message.ByteSizeLong(), write,
                                      timeout, descriptors);
    if (!absl::IsUnimplemented(status)) return status;
  }
  return Publish(channel, message, timeout, descriptors);
}

void ClientImpl::AfterAppend(MonotonicTime now) {
  MonotonicTime last = last_publish_.load(std::memory_order_relaxed);
  MonotonicTime since = unsent_since_.load(std::memory_order_relaxed);
  last_publish_.store(now, std::memory_order_relaxed);
  if (since.IsNever()) {
    since = now;
    unsent_since_.store(now, std::memory_order_relaxed);
  }
  bool pause = now.NanosecondsSince(last) >= kPauseNanoseconds;
  if (pause) cork_bytes_ = kCorkBytes;
  if (pause || session_.publishing().unsent_bytes() >= cork_bytes_ ||
      now.NanosecondsSince(since) >= kCorkNanoseconds) {
    if (!pause) cork_bytes_ = std::min(2 * cork_bytes_, kCorkBytesMax);
    Send();
    return;
  }
  if (flush_at_.IsNever()) {
    flush_at_ = since + kTailTime;
    if (!OnLoopThread()) Wake();
  }
}

MonotonicTime ClientImpl::TailDue(MonotonicTime now) const {
  MonotonicTime since = unsent_since_.load(std::memory_order_relaxed);
  if (!since.IsNever()) return since + kTailTime;
  MonotonicTime last = last_publish_.load(std::memory_order_relaxed);
  bool goes_on = now.NanosecondsSince(last) < kTailNanoseconds;
  return goes_on ? now + kTailTime : MonotonicTime::Never();
}

void ClientImpl::FlushTail(MonotonicTime now) {
  flush_at_ = TailDue(now);
  // What Send has left to us is due, too: a resend has no publisher to
  // continue it.
  bool left = unsent_since_.load(std::memory_order_relaxed).IsNever() &&
              session_.publishing().HasUnsent();
  if (flush_at_ > now && !left) return;
  flush_at_ = MonotonicTime::Never();
  Send();
  if (flush_at_.IsNever()) flush_at_ = TailDue(now);
}

void ClientImpl::Send() {
  if (sending_ || full_ || broken_ || !socket_.valid()) return;
  core::Publishing& publishing = session_.publishing();
  if (OnLoopThread()) {
    session_.receiving().AppendAcksAlong(now_, publishing.control());
  }
  sending_ = true;
  int fd = socket_.get();
  bool more = true;
  bool pause = false;
  for (int i = 0; i < kSendsPerCall && !full_ && !broken_ && !pause; ++i) {
    const auto& segments = publishing.Gather();
    if (segments.empty()) {
      more = false;
      break;
    }
    unsent_since_.store(MonotonicTime::Never(), std::memory_order_relaxed);
    size_t bytes = 0;
    for (const auto& segment : segments) bytes += segment.size();
    const Descriptors descriptors = publishing.gathered_descriptors();
    std::span<const int> passed;
    if (descriptors != nullptr) [[unlikely]]
      passed = *descriptors;
    mu_.Unlock();
    net::IoResult result = net::Send(fd, segments, passed);
    mu_.Lock();
    if (result.state == net::IoState::kDone) publishing.Sent(result.bytes);
    // Disconnect may have set it meanwhile.
    broken_ = broken_ || result.state == net::IoState::kClosed;
    pause = result.pause;
    full_ = !broken_ && !pause && result.bytes < bytes;
  }
  sending_ = false;
  if (full_) {
    poller_.Modify(fd, kSocketKey, net::Interest::kReadWrite);
  } else if (broken_) {
    if (!OnLoopThread()) Wake();
  } else if (pause) {
    // Nothing tells when the kernel passes descriptors again.
    flush_at_ = net::Now() + kDescriptorPause;
    if (!OnLoopThread()) Wake();
  } else if (more && flush_at_.IsNever()) {
    flush_at_ = net::Now();
    if (!OnLoopThread()) Wake();
  }
}

absl::Status ClientImpl::WaitForSubscribers(uint32_t channel, uint32_t count,
                                            absl::Duration timeout) {
  MutexLock lock(&mu_);
  const core::Publishing& publishing = session_.publishing();
  ChannelNumber number{channel};
  auto done = [&]() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_) {
    return publishing.subscriptions(number) >= count || stopping_ || draining_;
  };
  if (!Await(done, DeadlineAfter(timeout))) {
    return absl::DeadlineExceededError(absl::StrCat(
        publishing.subscriptions(number), " of ", count, " subscriptions of ",
        publishing.topic(number), " after ", absl::FormatDuration(timeout)));
  }
  return CheckPublish(channel, 0);
}

uint32_t ClientImpl::subscribers(uint32_t channel) const {
  MutexLock lock(&mu_);
  return session_.publishing().subscriptions(ChannelNumber{channel});
}

std::string_view ClientImpl::topic(uint32_t channel) const {
  MutexLock lock(&mu_);
  // Channels stay where they are as long as the client lives.
  return session_.publishing().topic(ChannelNumber{channel});
}

absl::Status ClientImpl::Flush(absl::Duration timeout) {
  MutexLock lock(&mu_);
  const core::Publishing& publishing = session_.publishing();
  std::vector<uint64_t> accepted = publishing.Accepted();
  Send();
  auto done = [&]() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_) {
    return publishing.IsAcknowledged(accepted) || stopping_;
  };
  if (!Await(done, DeadlineAfter(timeout))) {
    return absl::DeadlineExceededError(absl::StrCat(
        publishing.log().bytes(), " bytes are not acknowledged after ",
        absl::FormatDuration(timeout)));
  }
  if (!publishing.IsAcknowledged(accepted)) {
    return absl::FailedPreconditionError("the client is gone");
  }
  return absl::OkStatus();
}

}  // namespace ipc
