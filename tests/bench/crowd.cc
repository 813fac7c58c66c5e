// SPDX-License-Identifier: Apache-2.0
//
// One epoll for all clients. What a socket does not take is kept and sent when
// there is room; meanwhile answers are read.

#include "tests/bench/crowd.h"

#include <algorithm>
#include <span>
#include <utility>

#include "absl/strings/str_cat.h"
#include "libipc/base/limits.h"
#include "libipc/base/status_macros.h"
#include "libipc/net/system.h"
#include "libipc/net/unix_socket.h"
#include "libipc/wire/control.h"
#include "tests/bench/clock.h"

namespace ipc::bench {
namespace {

using wire::FrameKind;

constexpr uint64_t kStopKey = 1;
constexpr uint64_t kFirstKey = 16;
// Clients that are asked at the same time.
constexpr size_t kBatch = 16;
constexpr size_t kReadBytes = 256 * 1024;

absl::Status Unexpected(const wire::Frame& frame) {
  wire::Goodbye goodbye;
  if (frame.header.kind == FrameKind::kGoodbye &&
      Parse(frame.text(), &goodbye)) {
    return absl::UnavailableError(
        absl::StrCat("the broker has ended a client: ",
                     std::string(wire::CloseReasonName(goodbye.reason)), ", ",
                     goodbye.text));
  }
  return absl::DataLossError(absl::StrCat("unexpected of the broker: ",
                                          wire::KindName(frame.header.kind)));
}

void AppendHeader(FrameKind kind, uint32_t session, std::string* out) {
  wire::AppendFrame({.kind = kind, .session = session}, "", out);
}

// To what a publisher is asked for a reader. There are no last values, and
// there is nothing to send again. False if the question is malformed.
template <typename Question>
bool Answer(const wire::Frame& frame, FrameKind kind, std::string* out) {
  Question question;
  if (!Parse(frame.text(), &question)) return false;
  AppendHeader(kind, ToNumber(question.reader.reader), out);
  return true;
}

}  // namespace

absl::StatusOr<Crowd> Crowd::Make(std::string address) {
  IPC_ASSIGN_OR_RETURN(net::Poller poller, net::Poller::Make());
  return Crowd(std::move(address), std::move(poller));
}

Crowd::Crowd(std::string address, net::Poller poller)
    : address_(std::move(address)),
      poller_(std::move(poller)),
      buffer_(kControlFrameBytesMax + kReadBytes) {}

absl::Status Crowd::Connect(uint32_t count) {
  const size_t end = clients_.size() + count;
  while (clients_.size() < end) {
    const size_t first = clients_.size();
    while (clients_.size() < std::min(first + kBatch, end)) {
      IPC_ASSIGN_OR_RETURN(net::Fd fd, net::Connect(address_));
      IPC_RETURN_IF_ERROR(poller_.Add(fd.get(), kFirstKey + clients_.size(),
                                      net::Interest::kRead));
      clients_.emplace_back().fd = std::move(fd);
    }
    IPC_RETURN_IF_ERROR(Ask({first, clients_.size()}, 1, [](Client* client) {
      wire::Hello hello;
      hello.token = net::RandomToken();
      hello.name = "bench-crowd";
      hello.window_bytes = kWindowBytesMin;
      wire::AppendControl(hello, 0, &client->out);
    }));
  }
  return absl::OkStatus();
}

absl::Status Crowd::Subscribe(Members members, uint32_t count,
                              const Name& name) {
  return Ask(members, count, [&](Client* client) {
    const uint32_t n = client->subscriptions++;
    wire::Subscribe subscribe;
    subscribe.subscription = SubscriptionId{n + 1};
    subscribe.pattern = name(IndexOf(client), n);
    wire::AppendControl(subscribe, n + 1, &client->out);
  });
}

absl::Status Crowd::Open(Members members, uint32_t count, const Name& name) {
  return Ask(members, count, [&](Client* client) {
    const uint32_t n = client->topics++;
    wire::Open open;
    open.channel = ChannelNumber{n + 1};
    open.topic = name(IndexOf(client), n);
    wire::AppendControl(open, n + 1, &client->out);
  });
}

absl::Status Crowd::Ask(Members members, uint32_t count,
                        const std::function<void(Client*)>& append) {
  const MonotonicTime deadline = net::Now() + absl::Nanoseconds(kStepNsMax);
  for (size_t i = members.first; i < members.end; ++i) {
    for (uint32_t n = 0; n < count; ++n) append(&clients_[i]);
    unanswered_ += count;
    Send(i);
    const bool full = (i + 1 - members.first) % kBatch == 0;
    if (!full && i + 1 < members.end) continue;
    while (unanswered_ > 0) {
      IPC_RETURN_IF_ERROR(Turn(deadline).status());
      if (net::Now() < deadline) continue;
      return absl::DeadlineExceededError(absl::StrCat(
          "the broker has not answered ", unanswered_, " requests in time"));
    }
  }
  return absl::OkStatus();
}

absl::Status Crowd::Serve(int stop_fd) {
  IPC_RETURN_IF_ERROR(poller_.Add(stop_fd, kStopKey, net::Interest::kRead));
  for (bool stopped = false; !stopped;) {
    IPC_ASSIGN_OR_RETURN(stopped, Turn(MonotonicTime::Never()));
  }
  return absl::OkStatus();
}

// One wait and what came of it; whether somebody has said stop.
absl::StatusOr<bool> Crowd::Turn(MonotonicTime deadline) {
  for (const net::PollEvent& event : poller_.Wait(deadline)) {
    if (event.key == kStopKey) return true;
    const size_t index = event.key - kFirstKey;
    if (event.readable) IPC_RETURN_IF_ERROR(Read(index));
    Send(index);
  }
  return false;
}

absl::Status Crowd::Read(size_t index) {
  Client& client = clients_[index];
  const size_t kept = client.reader.tail_size();
  const net::IoResult result = net::Receive(
      client.fd.get(), std::span(buffer_).subspan(kept, kReadBytes));
  if (result.state == net::IoState::kWouldBlock) return absl::OkStatus();
  if (result.state == net::IoState::kClosed) {
    return absl::UnavailableError("the broker has closed a client's socket");
  }
  client.reader.Begin(std::span(buffer_).first(kept + result.bytes));
  for (wire::Frame frame; client.reader.Next(&frame);) {
    IPC_RETURN_IF_ERROR(OnFrame(frame, &client));
  }
  client.reader.End();
  if (client.reader.fault() == wire::FrameFault::kNone) return absl::OkStatus();
  return absl::DataLossError(std::string(FaultText(client.reader.fault())));
}

absl::Status Crowd::OnFrame(const wire::Frame& frame, Client* client) {
  switch (frame.header.kind) {
    case FrameKind::kWelcome:
      AppendHeader(FrameKind::kResumed, 0, &client->out);
      --unanswered_;
      break;
    case FrameKind::kOpened:
      --unanswered_;
      break;
    case FrameKind::kResult: {
      wire::Result result;
      if (!Parse(frame.text(), &result)) return Unexpected(frame);
      if (result.code != absl::StatusCode::kOk) {
        return absl::Status(result.code, result.text);
      }
      --unanswered_;
      break;
    }
    case FrameKind::kJoin:
      if (!Answer<wire::Join>(frame, FrameKind::kJoined, &client->out)) {
        return Unexpected(frame);
      }
      break;
    case FrameKind::kResend:
      if (!Answer<wire::Resend>(frame, FrameKind::kResendEnd, &client->out)) {
        return Unexpected(frame);
      }
      break;
    // What is told to those who publish or read; nothing is.
    case FrameKind::kAnnounce:
    case FrameKind::kLeave:
    case FrameKind::kMatches:
      break;
    default:
      return Unexpected(frame);
  }
  return absl::OkStatus();
}

// A closed socket is noticed by reading from it.
void Crowd::Send(size_t index) {
  Client& client = clients_[index];
  while (client.sent < client.out.size()) {
    const std::span<const std::byte> rest =
        std::as_bytes(std::span(client.out)).subspan(client.sent);
    const net::IoResult result = net::Send(client.fd.get(), {&rest, 1});
    if (result.state != net::IoState::kDone) break;
    client.sent += result.bytes;
  }
  const bool waits = client.sent < client.out.size();
  if (!waits) {
    client.out = std::string();
    client.sent = 0;
  }
  if (waits == client.waits_for_room) return;
  client.waits_for_room = waits;
  poller_.Modify(client.fd.get(), kFirstKey + index,
                 waits ? net::Interest::kReadWrite : net::Interest::kRead);
}

}  // namespace ipc::bench
