// SPDX-License-Identifier: Apache-2.0
//
// The client's life, waiting, and calls that have an answer.

#include "libipc/client_impl.h"

#include <errno.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "libipc/base/limits.h"
#include "libipc/base/socket_path.h"
#include "libipc/base/status_macros.h"
#include "libipc/base/topic_grammar.h"
#include "libipc/net/system.h"

namespace ipc {
namespace {

// The program's name in the letters of a client's name.
std::string DefaultName() {
  std::string name(program_invocation_short_name);
  name.resize(std::min(name.size(), kClientNameBytesMax));
  for (char& c : name) {
    if (!ValidateClientName(std::string(1, c)).ok()) c = '_';
  }
  return name.empty() ? "client" : name;
}

absl::Status Gone() {
  return absl::FailedPreconditionError("the client is gone");
}

}  // namespace

MonotonicTime DeadlineAfter(absl::Duration timeout) {
  if (timeout == absl::InfiniteDuration()) return MonotonicTime::Never();
  return net::Now() + timeout;
}

absl::StatusOr<std::shared_ptr<ClientImpl>> ClientImpl::Make(
    ClientOptions options) {
  if (options.name.empty()) options.name = DefaultName();
  if (options.socket_path.empty()) options.socket_path = DefaultSocketPathOf();
  IPC_RETURN_IF_ERROR(ValidateClientName(options.name));
  if (options.socket_path.size() > net::kSocketPathBytesMax) {
    return absl::InvalidArgumentError(
        absl::StrCat("socket path has ", options.socket_path.size(),
                     " bytes; the limit is ", net::kSocketPathBytesMax));
  }
  if (options.window_bytes < kWindowBytesMin ||
      options.window_bytes > kWindowBytesMax) {
    return absl::InvalidArgumentError(
        absl::StrCat("window is ", options.window_bytes, " bytes; ",
                     kWindowBytesMin, " to ", kWindowBytesMax, " are allowed"));
  }
  IPC_ASSIGN_OR_RETURN(net::Poller poller, net::Poller::Make());
  net::Fd wakeup(eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC));
  if (!wakeup.valid()) {
    return absl::ResourceExhaustedError("cannot make an eventfd");
  }
  SocketWatch watch(options.socket_path);
  IPC_RETURN_IF_ERROR(
      poller.Add(wakeup.get(), kWakeupKey, net::Interest::kRead));
  if (watch.fd() >= 0) {
    IPC_RETURN_IF_ERROR(
        poller.Add(watch.fd(), kWatchKey, net::Interest::kRead));
  }
  return std::shared_ptr<ClientImpl>(
      new ClientImpl(std::move(options), std::move(poller), std::move(wakeup),
                     std::move(watch)));
}

ClientImpl::ClientImpl(ClientOptions options, net::Poller poller,
                       net::Fd wakeup, SocketWatch watch)
    : options_(std::move(options)),
      poller_(std::move(poller)),
      wakeup_(std::move(wakeup)),
      session_(net::RandomToken(), options_.name, options_.window_bytes),
      watch_(std::move(watch)),
      connect_at_(net::Now()) {}

ClientImpl::~ClientImpl() = default;

absl::Status ClientImpl::Start() {
  if (!options_.manual_loop) {
    thread_ = std::thread([self = shared_from_this()] { self->RunThread(); });
  }
  if (options_.if_broker_absent == IfBrokerAbsent::kLater) {
    return absl::OkStatus();
  }
  bool fail = options_.if_broker_absent == IfBrokerAbsent::kFail;
  MutexLock lock(&mu_);
  auto decided = [&]() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_) {
    return session_.ready() ||
           (attempts_ > 0 && (fail || !absl::IsUnavailable(last_error_)));
  };
  Await(decided,
        DeadlineAfter(fail ? kHandshakeTimeout : options_.connect_timeout));
  if (session_.ready()) return absl::OkStatus();
  // None: the time was up before an attempt had come to its end.
  absl::Status error = last_error_;
  if (error.ok()) {
    error = absl::UnavailableError(
        absl::StrCat("no answer to HELLO at ", options_.socket_path));
  }
  if (fail || !absl::IsUnavailable(error)) return error;
  return absl::DeadlineExceededError(absl::StrCat(
      "no broker within ", absl::FormatDuration(options_.connect_timeout), ": ",
      error.message()));
}

void ClientImpl::Stop() {
  if (stopping_.exchange(true)) return;
  if (options_.manual_loop) {
    {
      MutexLock lock(&mu_);
      AcquireLoop();
    }
    EndLoop();
    MutexLock lock(&mu_);
    ReleaseLoop();
  } else if (OnLoopThread()) {
    thread_.detach();  // it holds on to us until it has left the loop
  } else if (thread_.joinable()) {
    Wake();
    thread_.join();
  }
}

bool ClientImpl::connected() const {
  MutexLock lock(&mu_);
  return session_.ready();
}

ClientStats ClientImpl::stats() {
  MutexLock lock(&mu_);
  ClientStats stats = stats_;
  stats.published = session_.publishing().published();
  stats.resent = session_.publishing().resent();
  stats.expired = session_.publishing().expired();
  session_.publishing().Trim();
  stats.unacknowledged_bytes = session_.publishing().log().bytes();
  return stats;
}

absl::StatusOr<BrokerInfo> ClientImpl::broker() const {
  MutexLock lock(&mu_);
  const wire::Welcome& welcome = session_.welcome();
  if (welcome.instance.IsZero()) {
    return absl::UnavailableError("no broker has answered yet");
  }
  return BrokerInfo{.version = welcome.broker_version,
                    .instance = ToHex(welcome.instance),
                    .protocol_version = welcome.version,
                    .message_bytes_max = welcome.message_bytes_max};
}

absl::StatusOr<std::string> ClientImpl::Call(wire::FrameKind request,
                                             std::string_view payload,
                                             wire::FrameKind answer,
                                             absl::Duration timeout) {
  Reply reply;
  MutexLock lock(&mu_);
  if (stopping_) return Gone();
  if (!session_.ready()) {
    return absl::UnavailableError("not connected to the broker");
  }
  uint64_t id = core::kCallRequestBit | ++last_request_;
  replies_[id] = &reply;
  wire::AppendFrame({.kind = request, .sequence = id}, payload,
                    session_.publishing().control());
  Send();
  bool done =
      Await([&] { return reply.done || stopping_; }, DeadlineAfter(timeout));
  replies_.erase(id);
  if (!done) {
    return absl::DeadlineExceededError(
        absl::StrCat("no answer to ", wire::KindName(request), " within ",
                     absl::FormatDuration(timeout)));
  }
  if (!reply.done) return Gone();
  if (!reply.status.ok()) return reply.status;
  if (reply.kind != answer) {
    return absl::InternalError(absl::StrCat("the broker answered ",
                                            wire::KindName(request), " with ",
                                            wire::KindName(reply.kind)));
  }
  return std::move(reply.payload);
}

// The broker's answer belongs to whoever waits, if somebody still does.
void ClientImpl::HandleEvent(core::SessionEvent event) {
  using Kind = core::SessionEvent::Kind;
  Event told;
  switch (event.kind) {
    case Kind::kReady:
      ++stats_.connections;
      handshake_until_ = MonotonicTime::Never();
      backoff_ = absl::ZeroDuration();
      told.kind = Event::Kind::kConnected;
      events_.push_back(std::move(told));
      break;
    case Kind::kGoodbye:
      last_error_ = event.status;
      break;
    case Kind::kRefused:
      told.kind = Event::Kind::kRefused;
      told.status = event.status;
      told.name = event.name;
      events_.push_back(std::move(told));
      break;
    case Kind::kSubscribed:
      OnSubscribed(event);
      break;
    case Kind::kReply: {
      auto waiting = replies_.find(event.request);
      if (waiting == replies_.end()) break;
      *waiting->second = {.done = true,
                          .status = event.status,
                          .kind = event.frame_kind,
                          .payload = std::move(event.payload)};
      break;
    }
  }
}

bool ClientImpl::DrivesLoop() const {
  return options_.manual_loop || OnLoopThread();
}

bool ClientImpl::Await(absl::FunctionRef<bool()> done, MonotonicTime deadline) {
  if (!DrivesLoop()) return mu_.Await(done, deadline);
  while (!done()) {
    if (net::Now() >= deadline) return false;
    AcquireLoop();
    mu_.Unlock();
    Turn(deadline);
    mu_.Lock();
    ReleaseLoop();
  }
  return true;
}

void ClientImpl::Wake() {
  uint64_t one = 1;
  // Fails only when the counter is full, and then it is readable anyway.
  [[maybe_unused]] ssize_t written = write(wakeup_.get(), &one, sizeof(one));
}

void ClientImpl::Post(Command command) {
  if (OnLoopThread()) {
    command();
    return;
  }
  {
    MutexLock lock(&mu_);
    commands_.push_back(std::move(command));
  }
  Wake();
}

MonotonicTime ClientImpl::NextDeadline() const {
  MutexLock lock(&mu_);
  return LoopDeadline(flush_at_);
}

absl::Status ClientImpl::Process() {
  if (!options_.manual_loop) {
    return absl::FailedPreconditionError(
        "Process is for clients with manual_loop");
  }
  MutexLock lock(&mu_);
  if (stopping_) return Gone();
  AcquireLoop();
  mu_.Unlock();
  Turn(MonotonicTime());
  mu_.Lock();
  ReleaseLoop();
  return absl::OkStatus();
}

}  // namespace ipc
