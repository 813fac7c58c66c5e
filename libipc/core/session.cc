// SPDX-License-Identifier: Apache-2.0
//
// Dispatch of the broker's frames.

#include "libipc/core/session.h"

#include <utility>

#include "absl/strings/str_cat.h"

namespace ipc::core {
namespace {

using wire::Frame;
using wire::FrameKind;

absl::Status Malformed(FrameKind kind) {
  return absl::DataLossError(
      absl::StrCat("the broker sent an invalid ", wire::KindName(kind)));
}

absl::Status StatusOf(const wire::Result& result) {
  return absl::Status(result.code, result.text);
}

// What a caller can do about the end of a connection.
absl::Status StatusOf(const wire::Goodbye& goodbye) {
  std::string text = absl::StrCat(
      "the broker ended the connection (",
      std::string(wire::CloseReasonName(goodbye.reason)), "): ", goodbye.text);
  switch (goodbye.reason) {
    case wire::CloseReason::kNotAllowed:
      return absl::PermissionDeniedError(text);
    case wire::CloseReason::kVersion:
      return absl::UnimplementedError(text);
    case wire::CloseReason::kLimit:
      return absl::ResourceExhaustedError(text);
    default:
      return absl::UnavailableError(text);
  }
}

}  // namespace

Session::Session(const Token& token, std::string name, size_t window_bytes)
    : token_(token),
      name_(std::move(name)),
      window_bytes_(window_bytes),
      publishing_(window_bytes) {
  // Until a broker says its own.
  welcome_.message_bytes_max = kMessageBytesMaxDefault;
}

void Session::OnConnected() {
  wire::AppendControl(wire::Hello{.token = token_,
                                  .name = name_,
                                  .window_bytes = window_bytes_,
                                  .previous_instance = welcome_.instance},
                      0, publishing_.control());
}

void Session::OnDisconnected() {
  ready_ = false;
  publishing_.OnDisconnected();
  receiving_.OnDisconnected();
  roster_.OnDisconnected();
}

bool Session::IsInStream(FrameKind kind) {
  return kind == FrameKind::kDeliver || kind == FrameKind::kSelect ||
         kind == FrameKind::kAbort || kind == FrameKind::kGone ||
         kind == FrameKind::kGap;
}

absl::Status Session::OnControl(const Frame& frame, MonotonicTime now) {
  publishing_.SetTime(now);
  const wire::FrameHeader& header = frame.header;
  switch (header.kind) {
    case FrameKind::kGoodbye:
      return OnGoodbye(frame);
    case FrameKind::kWelcome:
      return OnWelcome(frame);
    default:
      break;
  }
  if (!ready_) {
    return absl::FailedPreconditionError(absl::StrCat(
        "the broker sent ", wire::KindName(header.kind), " before WELCOME"));
  }
  switch (header.kind) {
    case FrameKind::kAck:
      publishing_.OnAck(ChannelNumber{header.target}, header.sequence);
      return absl::OkStatus();
    case FrameKind::kMatches:
      publishing_.OnMatches(ChannelNumber{header.target},
                            static_cast<uint32_t>(header.sequence));
      return absl::OkStatus();
    case FrameKind::kAnnounce: {
      wire::Announce announce;
      if (!wire::Parse(frame.text(), &announce)) break;
      receiving_.OnAnnounce(std::move(announce));
      return absl::OkStatus();
    }
    case FrameKind::kPresence: {
      wire::Presence presence;
      if (!wire::Parse(frame.text(), &presence)) break;
      roster_.OnPresence(presence);
      return absl::OkStatus();
    }
    case FrameKind::kOpened: {
      wire::Opened opened;
      if (!wire::Parse(frame.text(), &opened)) break;
      publishing_.OnOpened(opened);
      return absl::OkStatus();
    }
    case FrameKind::kResult:
      return OnResult(frame);
    case FrameKind::kRefused:
      return OnRefused(frame);
    case FrameKind::kJoin:
    case FrameKind::kLeave:
    case FrameKind::kResend:
      return OnRecovery(frame);
    case FrameKind::kPong:
    case FrameKind::kSchema:
    case FrameKind::kTopics:
    case FrameKind::kClients:
    case FrameKind::kStatus: {
      SessionEvent event;
      event.kind = SessionEvent::Kind::kReply;
      event.request = header.sequence;
      event.frame_kind = header.kind;
      event.payload = frame.text();
      events_.push_back(std::move(event));
      return absl::OkStatus();
    }
    default:
      return absl::OkStatus();  // from a later version; may be left out
  }
  return Malformed(header.kind);
}

absl::Status Session::OnWelcome(const Frame& frame) {
  if (ready_) {
    return absl::FailedPreconditionError("the broker sent a second WELCOME");
  }
  const wire::Welcome last = welcome_;
  if (!wire::Parse(frame.text(), &welcome_)) {
    return Malformed(FrameKind::kWelcome);
  }
  if (welcome_.instance != last.instance ||
      welcome_.session_number != last.session_number) {
    receiving_.OnNewSession();
  }
  ready_ = true;
  publishing_.OnConnected();
  std::string* control = publishing_.control();
  for (const auto& [id, subscription] : receiving_.subscriptions()) {
    receiving_.AppendSubscribe(subscription.get(), control);
  }
  wire::AppendFrame({.kind = FrameKind::kResumed}, "", control);
  roster_.OnConnected(welcome_.instance, control);
  SessionEvent event;
  event.kind = SessionEvent::Kind::kReady;
  events_.push_back(std::move(event));
  return absl::OkStatus();
}

absl::Status Session::OnGoodbye(const Frame& frame) {
  wire::Goodbye goodbye;
  if (!wire::Parse(frame.text(), &goodbye)) {
    return Malformed(FrameKind::kGoodbye);
  }
  SessionEvent event;
  event.kind = SessionEvent::Kind::kGoodbye;
  event.status = StatusOf(goodbye);
  event.reason = goodbye.reason;
  events_.push_back(event);
  return event.status;
}

absl::Status Session::OnResult(const Frame& frame) {
  wire::Result result;
  if (!wire::Parse(frame.text(), &result)) return Malformed(FrameKind::kResult);
  uint64_t request = frame.header.sequence;
  SessionEvent event;
  event.status = StatusOf(result);
  event.request = request;
  if (request == kWatchRequest) {
    if (event.status.ok()) {
      roster_.OnWatched();
      return absl::OkStatus();
    }
    event.kind = SessionEvent::Kind::kRefused;
    event.name = "WATCH_CLIENTS";
    events_.push_back(std::move(event));
    return absl::OkStatus();
  }
  if ((request & kCallRequestBit) != 0) {
    event.kind = SessionEvent::Kind::kReply;
    event.frame_kind = FrameKind::kResult;
    events_.push_back(std::move(event));
    return absl::OkStatus();
  }
  if ((request & kOpenRequestBit) != 0) {
    event.kind = SessionEvent::Kind::kRefused;
    if (!event.status.ok() &&
        publishing_.OnRefusedOpen(request, event.status, &event.name)) {
      events_.push_back(std::move(event));
    }
    return absl::OkStatus();
  }
  SubscriptionId id{static_cast<uint32_t>(request)};
  Receiving::Subscription* subscription = receiving_.Find(id);
  if (subscription == nullptr) return absl::OkStatus();
  event.kind = SessionEvent::Kind::kSubscribed;
  event.name = subscription->request.pattern;
  event.subscription = id;
  subscription->confirmed = event.status.ok();
  events_.push_back(std::move(event));
  return absl::OkStatus();
}

absl::Status Session::OnRefused(const Frame& frame) {
  wire::Result result;
  if (!wire::Parse(frame.text(), &result)) {
    return Malformed(FrameKind::kRefused);
  }
  SessionEvent event;
  event.kind = SessionEvent::Kind::kRefused;
  event.status = StatusOf(result);
  event.name = absl::StrCat("publication ", frame.header.sequence,
                            " on channel ", frame.header.target);
  events_.push_back(std::move(event));
  return absl::OkStatus();
}

absl::Status Session::OnRecovery(const Frame& frame) {
  if (frame.header.kind == FrameKind::kLeave) {
    publishing_.OnLeave(ReaderId{frame.header.session});
    return absl::OkStatus();
  }
  if (frame.header.kind == FrameKind::kJoin) {
    wire::Join join;
    if (!wire::Parse(frame.text(), &join)) return Malformed(FrameKind::kJoin);
    publishing_.OnJoin(join);
    return absl::OkStatus();
  }
  wire::Resend resend;
  if (!wire::Parse(frame.text(), &resend)) return Malformed(FrameKind::kResend);
  publishing_.OnResend(resend);
  return absl::OkStatus();
}

}  // namespace ipc::core
