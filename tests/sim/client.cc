// SPDX-License-Identifier: Apache-2.0
//
// As libipc/client_loop.cc, client_publish.cc and client_subscribe.cc drive
// the core, without threads.

#include "tests/sim/client.h"

#include <cstring>
#include <utility>

#include "absl/strings/str_cat.h"

namespace ipc::sim {

Client::Client(int process, const SessionKey& key, size_t window_bytes,
               History* history)
    : process_(process),
      key_(key),
      history_(*history),
      session_(key.token, absl::StrCat("p", process), window_bytes) {}

// -- The connection

void Client::OnConnected(Link* link) {
  link_ = link;
  session_.OnConnected();
  Send();
}

void Client::OnBytes(std::span<const std::byte> bytes, MonotonicTime now) {
  inbound_.FindPlace(&session_.receiving());
  const std::span<std::byte> place = inbound_.place();
  const size_t placed = std::min(place.size(), bytes.size());
  if (placed != 0) std::memcpy(place.data(), bytes.data(), placed);
  std::span<std::byte> room = inbound_.Room(bytes.size());
  std::memcpy(room.data(), bytes.data() + placed, bytes.size() - placed);
  inbound_.Filled(bytes.size());
  wire::Frame frame;
  const auto kept = inbound_.TakePlaced(&frame);
  if (kept != nullptr) Deliver(frame, now);
  while (inbound_.Next(&frame)) {
    absl::Status status = HandleFrame(frame, now);
    if (status.ok()) continue;
    history_.Fail(absl::StrCat("p", process_, ": ", status.ToString()));
    Disconnect();
    break;
  }
  if (inbound_.fault() != wire::FrameFault::kNone) {
    std::string_view text = wire::FaultText(inbound_.fault());
    history_.Fail(absl::StrCat("p", process_, ": ", std::string(text)));
  }
  inbound_.Unpark();
  OnTime(now);
}

absl::Status Client::HandleFrame(const wire::Frame& frame, MonotonicTime now) {
  core::Receiving& receiving = session_.receiving();
  switch (frame.header.kind) {
    case wire::FrameKind::kDeliver:
      Deliver(frame, now);
      return absl::OkStatus();
    case wire::FrameKind::kSelect:
      current_ = SubscriptionId{frame.header.target};
      receiving.OnSelect(current_);
      return absl::OkStatus();
    case wire::FrameKind::kAbort:
      receiving.OnAbort(frame.header);
      return absl::OkStatus();
    case wire::FrameKind::kGap:
      OnGap(frame.header, now);
      return absl::OkStatus();
    case wire::FrameKind::kGone:
      receiving.OnGone(SessionNumber{frame.header.session});
      return absl::OkStatus();
    default:
      return HandleControl(frame, now);
  }
}

absl::Status Client::HandleControl(const wire::Frame& frame,
                                   MonotonicTime now) {
  if (core::Session::IsInStream(frame.header.kind)) {
    history_.Fail("an in-stream kind went to OnControl");
  }
  absl::Status status = session_.OnControl(frame, now);
  bool goodbye = false;
  for (const core::SessionEvent& event : session_.TakeEvents()) {
    using Kind = core::SessionEvent::Kind;
    goodbye |= event.kind == Kind::kGoodbye;
    if (event.kind == Kind::kRefused ||
        (event.kind == Kind::kSubscribed && !event.status.ok())) {
      history_.Fail(absl::StrCat("p", process_, " was refused ", event.name,
                                 ": ", event.status.ToString()));
    } else if (event.kind == Kind::kSubscribed) {
      auto to = subscriptions_.find(event.subscription);
      if (to == subscriptions_.end()) continue;
      to->second.confirmed = true;
      history_.OnConfirmed(to->second.number);
    }
  }
  if (goodbye) {
    Disconnect();  // World looks after the reasons
    return absl::OkStatus();
  }
  if (status.ok() && session_.publishing().HasUnsent()) Send();
  return status;
}

void Client::Deliver(const wire::Frame& frame, MonotonicTime now) {
  core::Receiving& receiving = session_.receiving();
  std::optional<core::Delivery> delivery = receiving.OnDeliver(frame, now);
  auto to = subscriptions_.find(current_);
  if (!delivery.has_value() || to == subscriptions_.end()) return;
  const core::Stream& stream = *delivery->stream;
  if (to->second.pull) {
    waiting_.push_back(
        {.subscription = current_,
         .stream = receiving.last_stream(),
         .source = stream.source,
         .sequence = delivery->sequence,
         .first_missing = delivery->first_missing,
         .payload = {delivery->payload.begin(), delivery->payload.end()}});
    return;
  }
  Handle(&to->second, *stream.source, delivery->sequence,
         delivery->first_missing, delivery->payload);
  if (to->second.manual) {
    receiving.OnHandedOver(*delivery);
    unacknowledged_.push_back(
        {current_, receiving.last_stream(), delivery->sequence});
    return;
  }
  receiving.OnConsumed(*delivery, now);
}

void Client::OnGap(const wire::FrameHeader& header, MonotonicTime now) {
  std::optional<core::Missed> missed = session_.receiving().OnGap(header, now);
  auto to = subscriptions_.find(current_);
  if (!missed.has_value() || to == subscriptions_.end()) return;
  const wire::Announce& source = *missed->stream->source;
  const ToldMissing told{.publisher = source.session.token,
                         .channel = ToNumber(source.channel),
                         .first = missed->first,
                         .last = missed->last,
                         .reason = static_cast<int>(missed->reason),
                         .first_missing = missed->first_missing};
  if (to->second.pull) {
    Waiting& waiting = waiting_.emplace_back();
    waiting.subscription = current_;
    waiting.missed = told;
  } else {
    history_.OnMissed(to->second.number, told);
  }
}

void Client::Handle(Subscribed* to, const wire::Announce& source,
                    uint64_t sequence, uint64_t first_missing,
                    std::span<const std::byte> payload) {
  ++to->handled;
  history_.OnHandled(to->number, {.publisher = source.session.token,
                                  .topic = source.topic,
                                  .channel = ToNumber(source.channel),
                                  .sequence = sequence,
                                  .first_missing = first_missing,
                                  .payload = payload});
}

void Client::Disconnect() {
  if (link_ == nullptr) return;
  history_.OnConnectionLost(process_);
  FinishSend();
  link_->client_holds = false;
  link_->broken = true;
  link_ = nullptr;
  session_.OnDisconnected();
  inbound_.Reset();
  inbound_.Unpark();
  current_ = SubscriptionId{};
}

bool Client::Send(bool report_late) {
  if (unreported_.has_value()) return false;  // another thread is at it
  core::Publishing& publishing = session_.publishing();
  bool moved = false;
  while (link_ != nullptr && !link_->broken) {
    const auto& segments = publishing.Gather();
    size_t sent = 0;
    size_t offered = 0;
    for (std::span<const std::byte> segment : segments) {
      offered += segment.size();
      if (sent + segment.size() == offered) sent += link_->up.Write(segment);
    }
    moved |= sent != 0;
    if (offered == 0) break;
    if (report_late) {
      unreported_ = sent;
      break;
    }
    publishing.Sent(sent);
    if (sent < offered) break;
  }
  return moved;
}

void Client::FinishSend() {
  if (!unreported_.has_value()) return;
  session_.publishing().Sent(*unreported_);
  unreported_.reset();
}

void Client::SayGoodbye() {
  FinishSend();
  if (!session_.ready()) return;
  Send();
  if (session_.publishing().HasUnsent()) return;
  wire::AppendControl(wire::Goodbye{wire::CloseReason::kDone, ""}, 0,
                      session_.publishing().control());
  Send();
}

void Client::OnTime(MonotonicTime now) {
  if (session_.receiving().acknowledge_at() > now) return;
  session_.receiving().AppendAcks(session_.publishing().control());
  Send();
}

// -- The application

void Client::Advertise(const std::string& topic, bool retain_last,
                       absl::Duration time_to_live) {
  core::Publishing& publishing = session_.publishing();
  core::ChannelType type{.type_name = "sim.Message",
                         .retain_last = retain_last,
                         .time_to_live = time_to_live};
  auto number = publishing.Open(topic, type);
  // It is open still from before, without.
  if (absl::IsFailedPrecondition(number.status()) && retain_last) {
    type.retain_last = retain_last = false;
    number = publishing.Open(topic, type);
  }
  if (!number.ok()) {
    history_.Fail(number.status().ToString());
    return;
  }
  advertised_[topic] = *number;
  if (retain_last) history_.OnRetained(process_, ToNumber(*number));
  history_.OnTimeToLive(process_, ToNumber(*number), time_to_live);
  Send();
}

void Client::Release(const std::string& topic) {
  auto found = advertised_.find(topic);
  session_.publishing().Release(found->second);
  history_.OnReleased(process_, ToNumber(found->second));
  advertised_.erase(found);
  Send();
}

bool Client::Publish(const std::string& topic, size_t payload_bytes,
                     MonotonicTime now) {
  core::Publishing& publishing = session_.publishing();
  ChannelNumber number = advertised_.at(topic);
  std::vector<std::span<std::byte>> parts;
  if (!publishing.TryAppend(number, payload_bytes, now.nanoseconds(), &parts)) {
    publishing.Trim();
    if (!publishing.TryAppend(number, payload_bytes, now.nanoseconds(),
                              &parts)) {
      return false;
    }
  }
  uint32_t channel = ToNumber(number);
  std::vector<std::byte> payload(payload_bytes);
  FillPayload(process_, topic, history_.NextSequence(process_, channel),
              payload);
  size_t done = 0;
  for (std::span<std::byte> part : parts) {
    if (!part.empty()) {
      std::memcpy(part.data(), payload.data() + done, part.size());
    }
    done += part.size();
  }
  history_.OnAccepted(process_, channel, topic, payload_bytes);
  return true;
}

bool Client::AllAcknowledged() {
  core::Publishing& publishing = session_.publishing();
  publishing.Trim();
  return publishing.IsAcknowledged(publishing.Accepted()) &&
         publishing.log().empty();
}

SubscriptionId Client::Subscribe(const SubscribeTo& to) {
  wire::Subscribe request;
  request.pattern = to.pattern;
  request.group = to.group;
  if (!to.reliable) {
    request.policy = wire::Policy::kBestEffort;
    request.depth = to.depth;
    request.bytes = to.bytes;
    request.drop_newest = to.drop_newest;
  }
  if (to.latest) request.policy = wire::Policy::kLatest;
  core::Receiving::Subscription* made = session_.receiving().Add(request);
  int number = history_.AddSubscription(
      process_, to.pattern,
      {.reliable = to.reliable, .latest = to.latest, .group = to.group});
  subscriptions_[made->id] = {
      .number = number, .pull = to.pull, .manual = to.manual};
  if (session_.ready()) {
    session_.receiving().AppendSubscribe(made, session_.publishing().control());
    Send();
  }
  return made->id;
}

void Client::Unsubscribe(SubscriptionId id) {
  auto found = subscriptions_.find(id);
  history_.OnUnsubscribed(found->second.number);
  subscriptions_.erase(found);
  session_.receiving().Remove(id);
  std::erase_if(waiting_,
                [id](const Waiting& item) { return item.subscription == id; });
  std::erase_if(unacknowledged_, [id](const HandedOver& item) {
    return item.subscription == id;
  });
  if (!session_.ready()) return;
  wire::AppendFrame(
      {.kind = wire::FrameKind::kUnsubscribe, .target = ToNumber(id)}, "",
      session_.publishing().control());
  Send();
}

std::vector<SubscriptionId> Client::subscriptions() const {
  std::vector<SubscriptionId> ids;
  for (const auto& [id, subscribed] : subscriptions_) ids.push_back(id);
  return ids;
}

bool Client::ConsumeOne(MonotonicTime now) {
  if (waiting_.empty()) return false;
  Waiting item = std::move(waiting_.front());
  waiting_.pop_front();
  auto to = subscriptions_.find(item.subscription);
  if (item.missed.has_value()) {
    history_.OnMissed(to->second.number, *item.missed);
    return true;
  }
  Handle(&to->second, *item.source, item.sequence, item.first_missing,
         item.payload);
  core::Receiving::Subscription* known =
      session_.receiving().Find(item.subscription);
  session_.receiving().OnConsumed(known, item.stream, item.sequence,
                                  item.payload.size(), now);
  return true;
}

bool Client::AcknowledgeOne(uint64_t choice, MonotonicTime now) {
  if (unacknowledged_.empty()) return false;
  std::swap(unacknowledged_[choice % unacknowledged_.size()],
            unacknowledged_.back());
  HandedOver item = std::move(unacknowledged_.back());
  unacknowledged_.pop_back();
  core::Receiving& receiving = session_.receiving();
  receiving.OnAcknowledged(receiving.Find(item.subscription), item.stream,
                           item.sequence, now);
  return true;
}

}  // namespace ipc::sim
