// SPDX-License-Identifier: Apache-2.0
//
// The loop: connecting and reconnecting, reading, dispatching, timers.

#include <unistd.h>

#include <algorithm>
#include <string>
#include <utility>

#include "absl/container/inlined_vector.h"
#include "absl/strings/str_cat.h"
#include "libipc/base/limits.h"
#include "libipc/client_impl.h"
#include "libipc/net/descriptors.h"
#include "libipc/net/system.h"

namespace ipc {
namespace {

constexpr size_t kReadBytes = 128 * 1024;
// Behind a fragment that is read to its place, and instead of what may be one:
// a few headers, so that the next one can be, too.
constexpr size_t kLookAheadBytes = 512;
constexpr int kSendBufferBytes = 4 * 1024 * 1024;
constexpr absl::Duration kBackoffMin = absl::Milliseconds(1);
constexpr absl::Duration kBackoffMax = absl::Seconds(1);
// Then the rest of the loop has its turn: some fragments' time.
constexpr int kReadsMax = 8;
// A goodbye is worth this much waiting for a full socket.
constexpr absl::Duration kGoodbyeTime = absl::Milliseconds(200);
// As much as the kernel may hold of a connection that was closed.
constexpr int kLastReadsMax = 128;

}  // namespace

void ClientImpl::RunThread() {
  {
    MutexLock lock(&mu_);
    AcquireLoop();
  }
  while (!stopping_) Turn(MonotonicTime::Never());
  EndLoop();
  MutexLock lock(&mu_);
  ReleaseLoop();
}

void ClientImpl::AcquireLoop() {
  std::thread::id self = std::this_thread::get_id();
  if (loop_depth_ > 0 && loop_thread_ != self) {
    auto is_free = [this]() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_) {
      return loop_depth_ == 0;
    };
    mu_.Await(is_free);
  }
  ++loop_depth_;
  loop_thread_.store(self, std::memory_order_release);
}

void ClientImpl::ReleaseLoop() {
  if (--loop_depth_ == 0) {
    loop_thread_.store(std::thread::id(), std::memory_order_release);
  }
}

MonotonicTime ClientImpl::LoopDeadline(MonotonicTime flush_at) const {
  if (!commands_.empty() || broken_) return MonotonicTime();
  return std::min(
      {connect_at_, handshake_until_, flush_at, acknowledge_at_, presence_at_});
}

std::span<const net::PollEvent> ClientImpl::WaitForEvents(
    MonotonicTime deadline) {
  MonotonicTime flush_at;
  {
    MutexLock lock(&mu_);
    flush_at = flush_at_;
    deadline = std::min(deadline, LoopDeadline(MonotonicTime::Never()));
  }
  for (;;) {
    std::span<const net::PollEvent> events =
        poller_.Wait(std::min(deadline, flush_at));
    now_ = net::Now();
    if (!events.empty() || now_ >= deadline || now_ < flush_at) return events;
    // In a burst the callers hold the mutex most of the time, and send.
    flush_at = TailDue(now_);
    if (flush_at <= now_ || flush_at.IsNever()) return events;
  }
}

void ClientImpl::Turn(MonotonicTime deadline) {
  if (handling_) turned_ = true;
  std::span<const net::PollEvent> polled = WaitForEvents(deadline);
  // A copy, because a handler may turn the loop.
  absl::InlinedVector<net::PollEvent, 4> events(polled.begin(), polled.end());
  for (const net::PollEvent& event : events) OnPollEvent(event);
  RunCommands();
  OnTime();
  SendAcksIfDue();  // also while a handler waits for room
  if (handling_) return;
  HandleFrames();  // what a handler that turned the loop has left
  RunDeferred();
  TellQueued();
  TellPresence();
  SetDispatching(nullptr);
  inbound_.Unpark();
  SendAcksIfDue();
  ContinueDrain();
}

void ClientImpl::OnPollEvent(const net::PollEvent& event) {
  if (event.key == kWakeupKey) {
    uint64_t count;
    [[maybe_unused]] ssize_t bytes = read(wakeup_.get(), &count, sizeof(count));
  } else if (event.key == kWatchKey) {
    if (watch_.TakeEvents() && !connect_at_.IsNever()) {
      backoff_ = absl::ZeroDuration();
      connect_at_ = now_;
    }
  } else {
    if (event.writable) {
      MutexLock lock(&mu_);
      if (full_ && socket_.valid()) {
        full_ = false;
        poller_.Modify(socket_.get(), kSocketKey, net::Interest::kRead);
        Send();
      }
    }
    if (event.readable) {
      for (int i = 0; i < kReadsMax && !stopping_; ++i) {
        if (Receive() != Came::kFull) break;
      }
    }
  }
}

void ClientImpl::RunCommands() {
  std::vector<Command> commands;
  bool broken;
  {
    MutexLock lock(&mu_);
    if (flush_at_ <= now_) FlushTail(now_);
    commands.swap(commands_);
    broken = broken_;
  }
  for (const Command& command : commands) command();
  if (!broken) return;
  // The broker's last words may still be there to be read.
  for (int i = 0; i < kLastReadsMax && Receive() != Came::kNothing; ++i) {
  }
  {
    MutexLock lock(&mu_);
    if (!broken_) return;  // they were, and it is disconnected
  }
  Disconnect(absl::UnavailableError("the connection broke"));
}

void ClientImpl::OnTime() {
  if (connect_at_ <= now_) TryConnect();
  if (handshake_until_ <= now_) {
    Disconnect(absl::UnavailableError("the broker did not answer HELLO"));
  }
  OnPresenceTime();
}

void ClientImpl::TryConnect() {
  connect_at_ = MonotonicTime::Never();
  watch_.Watch();
  absl::StatusOr<net::Fd> fd = net::Connect(options_.socket_path);
  MutexLock lock(&mu_);
  if (!fd.ok()) {
    last_error_ = fd.status();
    ++attempts_;
    ScheduleConnect();
    return;
  }
  net::SetSendBuffer(fd->get(), kSendBufferBytes);
  absl::Status added = poller_.Add(fd->get(), kSocketKey, net::Interest::kRead);
  if (!added.ok()) {
    last_error_ = added;
    ++attempts_;
    ScheduleConnect();
    return;
  }
  socket_ = *std::move(fd);
  handshake_until_ = now_ + kHandshakeTimeout;
  session_.OnConnected();
  Send();
}

// Doubles from a millisecond to a second, give or take a quarter.
void ClientImpl::ScheduleConnect() {
  backoff_ = std::clamp(2 * backoff_, kBackoffMin, kBackoffMax);
  double jitter = 0.75 + static_cast<double>(net::RandomNumber() % 512) / 1024;
  connect_at_ = now_ + backoff_ * jitter;
}

void ClientImpl::Disconnect(const absl::Status& status) {
  MutexLock lock(&mu_);
  if (!socket_.valid()) return;
  auto nobody_sends = [this]() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_) {
    return !sending_;
  };
  broken_ = true;  // nobody begins to, either
  mu_.Await(nobody_sends);
  poller_.Remove(socket_.get());
  socket_.Reset();
  bool was_ready = session_.ready();
  session_.OnDisconnected();
  inbound_.Reset();
  passed_.Clear();
  current_ = nullptr;
  full_ = broken_ = false;
  handshake_until_ = MonotonicTime::Never();
  unsent_since_.store(MonotonicTime::Never(), std::memory_order_relaxed);
  flush_at_ = MonotonicTime::Never();
  last_error_ = status;
  ++attempts_;
  FailReplies(absl::UnavailableError("the connection was lost"));
  ScheduleConnect();
  if (!was_ready) return;
  Event event;
  event.kind = Event::Kind::kDisconnected;
  event.status = status;
  events_.push_back(std::move(event));
}

void ClientImpl::FailReplies(const absl::Status& status) {
  for (auto& [id, reply] : replies_) {
    reply->done = true;
    reply->status = status;
  }
  replies_.clear();
}

ClientImpl::Came ClientImpl::Receive() {
  int fd;
  {
    MutexLock lock(&mu_);
    if (!socket_.valid()) return Came::kNothing;
    fd = socket_.get();  // only the loop closes it
  }
  if (handed_out_) {
    inbound_.Park();
    handed_out_ = false;
  }
  inbound_.FindPlace(&session_.receiving());
  std::span<std::byte> room = inbound_.Room(kReadBytes);
  if (fragments_ || !inbound_.place().empty()) {
    room = room.first(kLookAheadBytes);
    fragments_ = false;
  }
  const size_t room_bytes = inbound_.place().size() + room.size();
  std::vector<int> passed;
  net::IoResult result = net::Receive(fd, inbound_.place(), room, &passed);
  if (result.state == net::IoState::kDone) {
    if (!passed.empty()) [[unlikely]]
      passed_.Add(net::Own(std::move(passed)));
    inbound_.Filled(result.bytes);
    HandleFrames();
    return result.bytes == room_bytes ? Came::kFull : Came::kSome;
  }
  if (result.state == net::IoState::kClosed) {
    Disconnect(absl::UnavailableError(result.error.empty()
                                          ? "the broker closed the connection"
                                          : result.error));
  }
  return Came::kNothing;
}

void ClientImpl::HandleFrames() {
  wire::Frame frame;
  // A handler may have ended the client.
  const auto kept = inbound_.TakePlaced(&frame);
  if (kept != nullptr && !stopping_) Deliver(frame);
  while (!stopping_ && inbound_.Next(&frame)) {
    if (frame.header.descriptors != 0 && !TakePassed(&frame)) [[unlikely]]
      break;
    if (!handling_ && !deferred_.empty()) RunDeferred();
    if (frame.header.kind == wire::FrameKind::kDeliver) [[likely]] {
      Deliver(frame);
      if (frame.header.descriptors != 0) [[unlikely]]
        frame.descriptors = nullptr;  // whoever wants them has a share
      continue;
    }
    absl::Status status = HandleFrame(frame);
    if (!status.ok()) {
      Disconnect(status);
      break;
    }
  }
  if (inbound_.fault() != wire::FrameFault::kNone) {
    std::string_view fault = wire::FaultText(inbound_.fault());
    Disconnect(absl::DataLossError(
        absl::StrCat("the broker sent a malformed frame: ",
                     absl::string_view(fault.data(), fault.size()))));
  }
  if (!passed_.empty() && !stopping_ && !passed_.MayBelongTo(inbound_.rest())) {
    Disconnect(absl::DataLossError(
        "the broker passed descriptors that no frame says to have"));
  }
  uint64_t duplicates = session_.receiving().duplicates();
  if (received_ + duplicates + missing_ == told_received_) return;
  told_received_ = received_ + duplicates + missing_;
  MutexLock lock(&mu_);
  stats_.received = received_;
  stats_.missing = missing_;
  stats_.duplicates = duplicates;
}

// False: it is disconnected.
bool ClientImpl::TakePassed(wire::Frame* frame) {
  frame->descriptors = passed_.Take(frame->header.descriptors);
  if (frame->descriptors != nullptr) return true;
  Disconnect(absl::DataLossError(
      absl::StrCat("the broker sent a frame that says to have ",
                   int{frame->header.descriptors},
                   " descriptors; they were not passed with it")));
  return false;
}

absl::Status ClientImpl::HandleFrame(const wire::Frame& frame) {
  core::Receiving& receiving = session_.receiving();
  switch (frame.header.kind) {
    case wire::FrameKind::kSelect: {
      SubscriptionId id{frame.header.target};
      receiving.OnSelect(id);
      auto found = subscriptions_.find(id);
      current_ = found == subscriptions_.end() ? nullptr : found->second;
      return absl::OkStatus();
    }
    case wire::FrameKind::kAbort:
      receiving.OnAbort(frame.header);
      return absl::OkStatus();
    case wire::FrameKind::kGap:
      OnGap(frame.header);
      return absl::OkStatus();
    case wire::FrameKind::kGone:
      receiving.OnGone(SessionNumber{frame.header.session});
      return absl::OkStatus();
    default:
      return HandleControl(frame);
  }
}

absl::Status ClientImpl::HandleControl(const wire::Frame& frame) {
  MutexLock lock(&mu_);
  absl::Status status = session_.OnControl(frame, now_);
  for (core::SessionEvent& event : session_.TakeEvents()) {
    HandleEvent(std::move(event));
  }
  core::Publishing& publishing = session_.publishing();
  // Descriptors are closed as soon as nobody needs them.
  if (frame.header.kind == wire::FrameKind::kAck &&
      (waiting_for_room_ > 0 || publishing.log().descriptors() > 0)) {
    publishing.Trim();
  }
  // An answer to OPEN lets go what was published before it.
  const bool opens = frame.header.kind == wire::FrameKind::kOpened ||
                     frame.header.kind == wire::FrameKind::kResult;
  if (status.ok() &&
      (publishing.HasControl() || (opens && publishing.HasUnsent()))) {
    Send();
  }
  return status;
}

void ClientImpl::SendAcksIfDue() {
  core::Receiving& receiving = session_.receiving();
  if (receiving.acknowledge_at() > now_ &&
      receiving.acknowledge_at() == told_acknowledge_at_) {
    return;
  }
  MutexLock lock(&mu_);
  if (receiving.acknowledge_at() <= now_) {
    receiving.AppendAcks(session_.publishing().control());
    Send();
  }
  acknowledge_at_ = told_acknowledge_at_ = receiving.acknowledge_at();
}

void ClientImpl::EndLoop() {
  SayGoodbye();
  Disconnect(absl::FailedPreconditionError("the client is gone"));
  for (auto& [id, subscription] : subscriptions_) {
    MutexLock lock(&subscription->mu);
    subscription->ended = true;
    subscription->untold = false;
  }
  subscriptions_.clear();
  untold_.clear();
  deferred_.clear();
  watches_.clear();
  presences_.clear();
  // The handler that ends the client is not over yet.
  if (!handling_) SetDispatching(nullptr);
  current_ = nullptr;
  MutexLock lock(&mu_);
  if (!handling_) watch_dispatching_ = nullptr;
  commands_.clear();
  FailReplies(absl::FailedPreconditionError("the client is gone"));
}

void ClientImpl::SayGoodbye() {
  MonotonicTime deadline = net::Now() + kGoodbyeTime;
  MutexLock lock(&mu_);
  if (!session_.ready()) return;
  // What is accepted goes first: the goodbye ends the session.
  bool said = false;
  while (!broken_ && net::Now() < deadline) {
    core::Publishing& publishing = session_.publishing();
    if (!publishing.HasUnsent()) {
      if (said) return;
      wire::AppendControl(wire::Goodbye{wire::CloseReason::kDone, ""}, 0,
                          publishing.control());
      said = true;
    }
    Send();
    if (!publishing.HasUnsent()) continue;
    mu_.Unlock();
    for (const net::PollEvent& event : poller_.Wait(deadline)) {
      if (event.key != kSocketKey || !event.writable) continue;
      MutexLock again(&mu_);
      full_ = false;
    }
    mu_.Lock();
  }
}

}  // namespace ipc
