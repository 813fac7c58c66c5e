// SPDX-License-Identifier: Apache-2.0
//
// Leaving in good order. Once the program wants it, the loop does it step by
// step, at the end of its turns: subscriptions go when their handlers are
// done, then the goodbye is said when the log is empty.

#include <algorithm>
#include <memory>
#include <vector>

#include "absl/strings/str_cat.h"
#include "libipc/client_impl.h"

namespace ipc {
namespace {

absl::Status Draining() {
  return absl::FailedPreconditionError("the client is draining");
}

}  // namespace

absl::Status ClientImpl::CheckRunning() const {
  if (stopping_) return absl::FailedPreconditionError("the client is gone");
  return draining_ ? Draining() : absl::OkStatus();
}

absl::Status ClientImpl::Drain(absl::Duration timeout) {
  bool first;
  {
    MutexLock lock(&mu_);
    if (stopping_) return CheckRunning();
    first = !draining_;
    draining_ = true;
  }
  if (first) Post([self = shared_from_this()] { self->StartDrain(); });
  const bool in_handler = OnLoopThread();
  MutexLock lock(&mu_);
  const core::Publishing& publishing = session_.publishing();
  Send();
  auto done = [&]() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_) {
    return drained_ || stopping_ ||
           (in_handler && publishing.unacknowledged() == 0);
  };
  if (Await(done, DeadlineAfter(timeout))) {
    return stopping_ ? CheckRunning() : absl::OkStatus();
  }
  return absl::DeadlineExceededError(absl::StrCat(
      publishing.unacknowledged(), " messages are not acknowledged",
      dispatching_ != nullptr && !in_handler ? ", and a handler is running"
                                             : "",
      ", after ", absl::FormatDuration(timeout)));
}

// -- In the loop from here on.

void ClientImpl::StartDrain() {
  leaving_ = true;  // what comes now is not handed over
  std::vector<std::shared_ptr<SubscriptionImpl>> idle;
  for (const auto& item : subscriptions_) {
    const std::shared_ptr<SubscriptionImpl>& subscription = item.second;
    CollectConsumed(subscription.get());
    {
      MutexLock lock(&subscription->mu);
      subscription->queue.Clear();
      subscription->untold = false;
      subscription->answered = true;
      subscription->status = Draining();
    }
    bool busy = subscription == dispatched_ ||
                std::any_of(deferred_.begin(), deferred_.end(),
                            [&subscription](const Deferred& deferred) {
                              return deferred.subscription == subscription;
                            });
    if (!busy) idle.push_back(subscription);
  }
  GiveUp(std::move(idle));
}

// What was consumed is told first: else it would count as not consumed.
void ClientImpl::GiveUp(
    std::vector<std::shared_ptr<SubscriptionImpl>> subscriptions) {
  if (subscriptions.empty()) return;
  std::sort(subscriptions.begin(), subscriptions.end(),
            [](const auto& a, const auto& b) { return a->id < b->id; });
  {
    MutexLock lock(&mu_);
    if (session_.ready()) {
      session_.receiving().AppendAcks(session_.publishing().control());
    }
  }
  for (const auto& subscription : subscriptions) {
    RemoveSubscription(subscription.get());
  }
}

// No handler is running, and none has anything to do.
void ClientImpl::ContinueDrain() {
  if (!leaving_ || stopping_) return;
  std::vector<std::shared_ptr<SubscriptionImpl>> rest;
  for (const auto& [id, subscription] : subscriptions_) {
    rest.push_back(subscription);
  }
  GiveUp(std::move(rest));
  {
    MutexLock lock(&mu_);
    if (drained_ || session_.publishing().unacknowledged() != 0) return;
  }
  SayGoodbye();
  Disconnect(absl::FailedPreconditionError("the client has drained"));
  connect_at_ = MonotonicTime::Never();
  MutexLock lock(&mu_);
  drained_ = true;
}

}  // namespace ipc
