// SPDX-License-Identifier: Apache-2.0
//
// Subscribing, and handing messages over.

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "libipc/base/status_macros.h"
#include "libipc/base/topic_grammar.h"
#include "libipc/client_impl.h"
#include "libipc/net/system.h"

namespace ipc {
namespace {

std::shared_ptr<const Source> MakeSource(const wire::Announce& announce) {
  auto source = std::make_shared<Source>();
  source->topic = announce.topic;
  source->type_name = announce.type_name;
  source->schema_hash = announce.schema_hash;
  source->publisher = {.name = announce.name,
                       .session = ToHex(announce.session.token),
                       .pid = announce.session.pid,
                       .uid = announce.session.uid,
                       .gid = announce.gid};
  return source;
}

wire::Subscribe RequestOf(std::string_view pattern,
                          const SubscribeOptions& options) {
  wire::Subscribe request;
  request.pattern = pattern;
  if (const auto* reliable = std::get_if<Reliable>(&options.policy)) {
    request.stall_timeout = reliable->stall_timeout;
    request.group = reliable->group;
  }
  if (const auto* best_effort = std::get_if<BestEffort>(&options.policy)) {
    request.policy = wire::Policy::kBestEffort;
    request.depth = best_effort->depth;
    request.bytes = best_effort->bytes;
    request.drop_newest = best_effort->drop == Drop::kNewest;
  } else if (std::holds_alternative<Latest>(options.policy)) {
    request.policy = wire::Policy::kLatest;
  }
  return request;
}

}  // namespace

absl::StatusOr<std::shared_ptr<SubscriptionImpl>> ClientImpl::Subscribe(
    std::string_view pattern, MessageHandler handler,
    const SubscribeOptions& options) {
  IPC_RETURN_IF_ERROR(CheckPattern(pattern));
  if (options.acknowledge == Acknowledge::kManual &&
      !std::holds_alternative<Reliable>(options.policy)) {
    return absl::InvalidArgumentError(
        "a best-effort subscription does not acknowledge: kManual is for "
        "reliable ones");
  }
  const auto* reliable = std::get_if<Reliable>(&options.policy);
  if (reliable != nullptr && !reliable->group.empty()) {
    IPC_RETURN_IF_ERROR(ValidateGroupName(reliable->group));
  }
  auto subscription = std::make_shared<SubscriptionImpl>();
  subscription->pattern = pattern;
  subscription->handler = std::move(handler);
  subscription->options = options;
  {
    MutexLock lock(&mu_);
    IPC_RETURN_IF_ERROR(CheckRunning());
  }
  Post([this, subscription] { AddSubscription(subscription); });
  if (options.confirm_timeout <= absl::ZeroDuration()) return subscription;

  auto answered = [](SubscriptionImpl* waiting)
                      ABSL_EXCLUSIVE_LOCKS_REQUIRED(waiting->mu) {
                        return waiting->answered || waiting->ended;
                      };
  absl::Status status = absl::DeadlineExceededError(
      absl::StrCat("subscription not confirmed within ",
                   absl::FormatDuration(options.confirm_timeout)));
  if (WaitOn(subscription.get(), +answered,
             DeadlineAfter(options.confirm_timeout))) {
    MutexLock lock(&subscription->mu);
    status = subscription->answered
                 ? subscription->status
                 : absl::FailedPreconditionError("the client is gone");
  }
  if (status.ok()) return subscription;
  Unsubscribe(subscription);
  return status;
}

void ClientImpl::Unsubscribe(
    const std::shared_ptr<SubscriptionImpl>& subscription) {
  subscription->closed = true;
  if (!stopping_) {
    Post([self = shared_from_this(), subscription] {
      self->RemoveSubscription(subscription.get());
    });
  }
  if (OnLoopThread()) return;
  MutexLock lock(&mu_);
  auto left = [&]() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_) {
    return dispatching_ != subscription.get();
  };
  mu_.Await(left);
}

// -- In the loop from here on.

void ClientImpl::AddSubscription(
    const std::shared_ptr<SubscriptionImpl>& subscription) {
  if (leaving_) {  // Drain came first
    MutexLock lock(&mu_);
    MutexLock inner(&subscription->mu);
    subscription->answered = true;
    subscription->status = CheckRunning();
    return;
  }
  core::Receiving& receiving = session_.receiving();
  core::Receiving::Subscription* made =
      receiving.Add(RequestOf(subscription->pattern, subscription->options));
  subscription->id = made->id;
  subscriptions_[made->id] = subscription;
  MutexLock lock(&mu_);
  if (!session_.ready()) return;  // WELCOME will bring it about
  receiving.AppendSubscribe(made, session_.publishing().control());
  Send();
}

void ClientImpl::RemoveSubscription(SubscriptionImpl* subscription) {
  if (subscriptions_.erase(subscription->id) == 0) return;
  session_.receiving().Remove(subscription->id);
  if (current_.get() == subscription) current_ = nullptr;
  MutexLock lock(&mu_);
  if (!session_.ready()) return;
  wire::AppendFrame({.kind = wire::FrameKind::kUnsubscribe,
                     .target = ToNumber(subscription->id)},
                    "", session_.publishing().control());
  Send();
}

void ClientImpl::OnSubscribed(const core::SessionEvent& event) {
  auto found = subscriptions_.find(event.subscription);
  if (found == subscriptions_.end()) return;
  SubscriptionImpl& subscription = *found->second;
  bool first;
  {
    MutexLock lock(&subscription.mu);
    first = !subscription.answered;
    subscription.answered = true;
    subscription.status = event.status;
  }
  bool waited_for = subscription.options.confirm_timeout > absl::ZeroDuration();
  if (event.status.ok() || (first && waited_for)) return;
  Event told;
  told.kind = Event::Kind::kRefused;
  told.status = event.status;
  told.name = event.name;
  events_.push_back(std::move(told));
}

std::unique_ptr<Event> ClientImpl::GapOf(core::Stream* stream, uint64_t first,
                                         uint64_t last,
                                         wire::GapReason reason) {
  missing_ += last - first + 1;
  if (!current_->options.report_gaps) return nullptr;
  auto gap = std::make_unique<Event>();
  gap->kind = Event::Kind::kGap;
  gap->name = current_->pattern;
  gap->source = *ShellOf(stream).source;
  gap->first = first;
  gap->last = last;
  gap->reason = static_cast<GapReason>(reason);
  return gap;
}

// A notice from the broker. There need not be a message behind it.
void ClientImpl::OnGap(const wire::FrameHeader& header) {
  if (leaving_) return;  // what came before it is not consumed
  core::Receiving& receiving = session_.receiving();
  std::optional<core::Missed> missed = receiving.OnGap(header, now_);
  if (!missed.has_value() || current_ == nullptr) return;
  core::Stream* stream = missed->stream;
  if (missed->first_missing != 0) {
    TellAtPlace(GapOf(stream, missed->first_missing, missed->first - 1,
                      wire::GapReason::kUnspecified));
  }
  TellAtPlace(GapOf(stream, missed->first, missed->last, missed->reason));
}

// Behind the messages that were set aside, in front of those to come.
void ClientImpl::TellAtPlace(std::unique_ptr<Event> gap) {
  if (gap == nullptr) return;
  if (current_->handler != nullptr) {
    deferred_.push_back({current_, Message(), nullptr, std::move(gap)});
    return;
  }
  events_.push_back(std::move(*gap));
  MutexLock lock(&current_->mu);
  MarkUntold(current_);
}

void ClientImpl::Deliver(const wire::Frame& frame) {
  if (leaving_) return;  // not consumed, and so not acknowledged
  if (frame.header.flags != 0) [[unlikely]] {
    DeliverMemfd(frame);
    return;
  }
  core::Receiving& receiving = session_.receiving();
  std::optional<core::Delivery> delivery = receiving.OnDeliver(frame, now_);
  if (!delivery.has_value() || current_ == nullptr) {
    fragments_ = frame.header.last_fragment != 0;
    return;
  }
  ++received_;
  // As most do: it goes where the last one went.
  if (delivery->stream == current_stream_.get() && current_ == dispatched_ &&
      current_->direct() && frame.header.last_fragment == 0 &&
      !delivery->has_descriptors && delivery->first_missing == 0 &&
      !handling_ && deferred_.empty()) [[likely]] {
    HandOver(*delivery);
    return;
  }
  DeliverOther(frame, *delivery);
}

void ClientImpl::DeliverOther(const wire::Frame& frame,
                              const core::Delivery& delivery) {
  core::Receiving& receiving = session_.receiving();
  core::Stream* stream = delivery.stream;
  if (current_->manual()) receiving.OnHandedOver(delivery);
  std::unique_ptr<Event> gap;
  if (delivery.first_missing != 0) {
    gap = GapOf(stream, delivery.first_missing, delivery.sequence - 1,
                wire::GapReason::kUnspecified);
  }
  // Being told of the gap may turn the loop, as a handler may.
  if (handling_ || current_->handler == nullptr || !deferred_.empty() ||
      gap != nullptr) {
    Message message = MessageOf(delivery).Clone();
    message.SetAttachments(AttachmentsOf(delivery, frame));
    SetAside(std::move(message), receiving.last_stream(), std::move(gap));
    return;
  }
  if (stream != current_stream_.get()) {
    current_stream_ = receiving.last_stream();
    current_message_ = MessageOf(delivery);
  }
  SetDispatching(current_);
  // A message put together from fragments must survive the next one.
  std::shared_ptr<core::Assembly> assembly;
  if (frame.header.last_fragment != 0) {
    assembly.swap(stream->assembly);
    fragments_ = true;
  }
  if (delivery.has_descriptors) {
    current_message_.SetAttachments(AttachmentsOf(delivery, frame));
  }
  HandOver(delivery);
  if (delivery.has_descriptors) current_message_.SetAttachments({});
  if (stream->assembly == nullptr) stream->assembly.swap(assembly);
}

// To the handler of the subscription that is being dispatched.
void ClientImpl::HandOver(const core::Delivery& delivery) {
  current_message_.Rebind(delivery.sequence, delivery.time_ns,
                          delivery.payload);
  // The handler may remove the subscription, and turn the loop.
  SubscriptionImpl* subscription = dispatched_.get();
  bool turned = Run(subscription, current_message_);
  if (turned || subscription->manual()) [[unlikely]] {
    Consume(subscription, current_stream_, delivery.sequence,
            delivery.payload.size());
  } else {
    session_.receiving().OnConsumed(delivery, now_);
  }
}

Attachments ClientImpl::AttachmentsOf(const core::Delivery& delivery,
                                      const wire::Frame& frame) {
  if (!delivery.has_descriptors) return {};
  return Attachments(frame.header.last_fragment == 0
                         ? frame.descriptors
                         : session_.receiving().TakeAssembled());
}

// What `stream` of the last delivery keeps for its messages.
const ClientImpl::StreamShell& ClientImpl::ShellOf(core::Stream* stream) {
  if (stream->shell == nullptr) {
    auto origin = std::make_shared<MessageOrigin>();
    origin->client = weak_from_this();
    origin->subscription = current_;
    origin->stream = session_.receiving().last_stream();
    auto shell = std::make_shared<StreamShell>();
    shell->source = MakeSource(*stream->source);
    shell->origin = std::move(origin);
    stream->shell = std::move(shell);
  }
  return *static_cast<const StreamShell*>(stream->shell.get());
}

Message ClientImpl::MessageOf(const core::Delivery& delivery) {
  const StreamShell& shell = ShellOf(delivery.stream);
  Message message(shell.source, delivery.sequence, delivery.time_ns,
                  delivery.payload);
  message.SetOrigin(shell.origin);
  return message;
}

// For later: the application takes it, or a handler runs right now.
void ClientImpl::SetAside(Message message, std::shared_ptr<core::Stream> stream,
                          std::unique_ptr<Event> gap) {
  if (current_->handler != nullptr) {
    deferred_.push_back(
        {current_, std::move(message), std::move(stream), std::move(gap)});
    return;
  }
  Enqueue({std::move(message), std::move(stream)}, std::move(gap));
}

void ClientImpl::Consume(SubscriptionImpl* subscription,
                         const std::shared_ptr<core::Stream>& stream,
                         uint64_t sequence, size_t bytes) {
  if (subscription->manual()) return;
  core::Receiving::Subscription* known =
      session_.receiving().Find(subscription->id);
  if (known == nullptr) return;
  session_.receiving().OnConsumed(known, stream, sequence, bytes, now_);
}

// Whoever destroys a handle waits until its handler is not being dispatched.
void ClientImpl::SetDispatching(
    const std::shared_ptr<SubscriptionImpl>& subscription) {
  if (dispatched_ == subscription) return;
  dispatched_ = subscription;
  MutexLock lock(&mu_);
  dispatching_ = dispatched_.get();
}

// Returns whether the handler has turned the loop.
bool ClientImpl::Run(SubscriptionImpl* subscription, const Message& message) {
  if (stopping_ || subscription->closed.load(std::memory_order_acquire)) {
    return false;
  }
  handling_ = true;
  handed_out_ = true;
  turned_ = false;
  subscription->handler(message);
  handling_ = false;
  handed_out_ = false;
  return turned_;
}

void ClientImpl::RunDeferred() {
  while (!deferred_.empty()) {
    Deferred next = std::move(deferred_.front());
    deferred_.pop_front();
    if (next.gap != nullptr) Tell(*next.gap);
    if (next.stream == nullptr) continue;
    SetDispatching(next.subscription);
    Run(next.subscription.get(), next.message);
    Consume(next.subscription.get(), next.stream, next.message.sequence(),
            next.message.payload().size());
  }
}

// For the current subscription. A gap is told at the end of the turn, and what
// lies behind it is not taken before.
void ClientImpl::Enqueue(PullQueue::Waiting waiting,
                         std::unique_ptr<Event> gap) {
  const std::shared_ptr<SubscriptionImpl>& subscription = current_;
  bool untold = gap != nullptr;
  if (untold) events_.push_back(*gap);
  MutexLock lock(&subscription->mu);
  for (const PullQueue::Waiting& dropped :
       subscription->queue.Push(std::move(waiting), subscription->options)) {
    untold |= subscription->options.report_gaps;
    TellDropped(*subscription, dropped.message);
  }
  if (untold) MarkUntold(subscription);
}

void ClientImpl::MarkUntold(
    const std::shared_ptr<SubscriptionImpl>& subscription) {
  if (subscription->untold) return;
  subscription->untold = true;
  untold_.push_back(subscription);
}

void ClientImpl::TellDropped(const SubscriptionImpl& subscription,
                             const Message& message) {
  ++missing_;
  if (!subscription.options.report_gaps) return;
  const GapReason reason =
      std::holds_alternative<Latest>(subscription.options.policy)
          ? GapReason::kLatest
          : GapReason::kDepth;
  if (!events_.empty()) {
    Event& last = events_.back();
    if (last.kind == Event::Kind::kGap && last.name == subscription.pattern &&
        last.reason == reason && last.source.topic == message.topic() &&
        last.source.publisher.session == message.publisher().session &&
        last.last + 1 == message.sequence()) {
      last.last = message.sequence();
      return;
    }
  }
  Event gap;
  gap.kind = Event::Kind::kGap;
  gap.name = subscription.pattern;
  gap.source = message.source();
  gap.first = gap.last = message.sequence();
  gap.reason = reason;
  events_.push_back(std::move(gap));
}

void ClientImpl::CollectConsumed(SubscriptionImpl* subscription) {
  std::vector<PullQueue::Waiting> consumed;
  {
    MutexLock lock(&subscription->mu);
    consumed.swap(subscription->consumed);
  }
  for (const PullQueue::Waiting& item : consumed) {
    Consume(subscription, item.stream, item.message.sequence(),
            item.message.payload().size());
  }
}

void ClientImpl::CollectAcknowledged(SubscriptionImpl* subscription) {
  std::vector<SubscriptionImpl::Acknowledged> acknowledged;
  {
    MutexLock lock(&subscription->mu);
    acknowledged.swap(subscription->acknowledged);
  }
  core::Receiving& receiving = session_.receiving();
  core::Receiving::Subscription* known = receiving.Find(subscription->id);
  if (known == nullptr) return;
  for (const SubscriptionImpl::Acknowledged& item : acknowledged) {
    receiving.OnAcknowledged(known, item.stream, item.sequence, now_);
  }
}

void ClientImpl::Tell(const Event& event) {
  if (options_.on_event == nullptr || stopping_) return;
  handling_ = true;
  options_.on_event(event);
  handling_ = false;
}

void ClientImpl::TellQueued() {
  while (!events_.empty()) {
    Event event = std::move(events_.front());
    events_.pop_front();
    Tell(event);
  }
  for (const auto& subscription : std::exchange(untold_, {})) {
    MutexLock lock(&subscription->mu);
    subscription->untold = false;
  }
}

void ClientImpl::TellBadPayload(const Message& message) {
  Event event;
  event.kind = Event::Kind::kRefused;
  event.name = message.topic();
  event.status =
      absl::DataLossError(absl::StrCat("message ", message.sequence(),
                                       " does not parse as its "
                                       "subscription's type; its own is '",
                                       message.source().type_name, "'"));
  events_.push_back(std::move(event));  // in the handler, so in the loop
}

// -- Any thread.

absl::Status ClientImpl::Acknowledge(
    const std::shared_ptr<SubscriptionImpl>& subscription,
    std::shared_ptr<core::Stream> stream, uint64_t sequence) {
  if (stopping_) return absl::FailedPreconditionError("the client is gone");
  if (subscription->closed) {
    return absl::FailedPreconditionError("the subscription has ended");
  }
  bool tell_loop;
  {
    MutexLock lock(&subscription->mu);
    tell_loop = subscription->acknowledged.empty();
    subscription->acknowledged.push_back({std::move(stream), sequence});
  }
  if (tell_loop) {
    Post([self = shared_from_this(), subscription] {
      self->CollectAcknowledged(subscription.get());
    });
  }
  return absl::OkStatus();
}

absl::StatusOr<Message> ClientImpl::Next(
    const std::shared_ptr<SubscriptionImpl>& subscription,
    absl::Duration timeout) {
  if (subscription->handler != nullptr) {
    return absl::FailedPreconditionError(
        "Next is for subscriptions without a handler");
  }
  MonotonicTime deadline = DeadlineAfter(timeout);
  for (;;) {
    absl::StatusOr<Message> message = TakeNext(subscription);
    if (message.ok() || !absl::IsUnavailable(message.status())) return message;
    auto ready = [](SubscriptionImpl* waiting)
                     ABSL_EXCLUSIVE_LOCKS_REQUIRED(waiting->mu) {
                       return (!waiting->queue.empty() && !waiting->untold) ||
                              waiting->ended || !waiting->status.ok();
                     };
    // In a handler, gaps are told when it has returned.
    auto ready_in_handler = [](SubscriptionImpl* waiting)
                                ABSL_EXCLUSIVE_LOCKS_REQUIRED(waiting->mu) {
                                  return !waiting->queue.empty() ||
                                         waiting->ended ||
                                         !waiting->status.ok();
                                };
    if (!WaitOn(subscription.get(), OnLoopThread() ? +ready_in_handler : +ready,
                deadline)) {
      return absl::DeadlineExceededError(
          absl::StrCat("no message on ", subscription->pattern, " within ",
                       absl::FormatDuration(timeout)));
    }
  }
}

// Errors: kUnavailable if nothing is there yet.
absl::StatusOr<Message> ClientImpl::TakeNext(
    const std::shared_ptr<SubscriptionImpl>& subscription) {
  bool tell_loop = false;
  Message message;
  {
    MutexLock lock(&subscription->mu);
    if (subscription->queue.empty() ||
        (subscription->untold && !OnLoopThread())) {
      if (subscription->ended) {
        return absl::FailedPreconditionError("the client is gone");
      }
      if (!subscription->status.ok()) return subscription->status;
      return absl::UnavailableError("nothing yet");
    }
    PullQueue::Waiting item = subscription->queue.Take();
    message = item.message;
    if (std::holds_alternative<Reliable>(subscription->options.policy) &&
        !subscription->manual()) {
      tell_loop = subscription->consumed.empty();
      subscription->consumed.push_back(std::move(item));
    }
  }
  if (tell_loop && !stopping_) {
    Post([self = shared_from_this(), subscription] {
      self->CollectConsumed(subscription.get());
    });
  }
  return message;
}

bool ClientImpl::WaitOn(SubscriptionImpl* subscription,
                        bool (*ready)(SubscriptionImpl*),
                        MonotonicTime deadline) {
  if (!DrivesLoop()) {
    MutexLock lock(&subscription->mu);
    return subscription->mu.Await(
        [subscription, ready] { return ready(subscription); }, deadline);
  }
  MutexLock lock(&mu_);
  auto done = [subscription, ready] {
    MutexLock inner(&subscription->mu);
    return ready(subscription);
  };
  return Await(done, deadline);
}

}  // namespace ipc
