// SPDX-License-Identifier: Apache-2.0
//
// Watching, warning, setting aside.

#include "broker/core/stalls.h"

#include <utility>

namespace ipc::broker {
namespace {

absl::Duration TimeoutOf(const State& state, const Subscription& subscription) {
  const absl::Duration timeout = subscription.stall->timeout;
  return timeout == absl::ZeroDuration() ? state.stall_timeout : timeout;
}

}  // namespace

void Stalls::OnConsumed(Subscription* subscription) {
  if (!subscription->stall.made()) return;
  Stall& stall = subscription->stall.Edit();
  stall.consumed = true;
  if (stall.aside) Readmit(subscription);
}

void Stalls::SetAside(Subscription* subscription) {
  if (subscription->IsMember()) {
    groups_.SetAside(subscription);
  } else {
    links_.SetAside(subscription);
  }
}

void Stalls::Readmit(Subscription* subscription) {
  if (subscription->IsMember()) {
    groups_.Readmit(subscription);
  } else {
    links_.Readmit(subscription);
  }
}

void Stalls::Watch(State* state, Subscription* subscription) {
  Stall& stall = subscription->stall.Edit();
  stall.consumed = false;
  stall.told = false;
  stall.idle_since = state->now;
  if (!std::exchange(stall.watched, true)) Check(state, subscription);
}

void Stalls::Check(State* state, Subscription* subscription) {
  state->timers.Add(
      {.due = state->now + TimeoutOf(*state, *subscription) / kStallChecks,
       .kind = TimerKind::kStall,
       .subject = ToNumber(subscription->session->number),
       .detail = ToNumber(subscription->id)});
}

void Stalls::OnTimer(Session* session, SubscriptionId id) {
  auto found = session->subscriptions.find(id);
  if (found == session->subscriptions.end()) return;
  Subscription* subscription = found->second.get();
  Stall& stall = subscription->stall.Edit();
  if (session->connection == nullptr || Unconsumed(*subscription) == 0) {
    stall.watched = false;
    // What it had not consumed has gone with its publisher.
    if (stall.aside) Readmit(subscription);
    if (!stall.watched && !stall.aside &&
        stall.timeout == absl::ZeroDuration()) {
      subscription->stall.Reset();
    }
    return;
  }
  if (stall.aside) {
    // Others of its group may have left it alone.
    if (subscription->IsMember()) SetAside(subscription);
    Check(&state_, subscription);
    return;
  }
  if (stall.consumed) {
    // Something has waited since this check at the latest.
    stall.consumed = false;
    stall.told = false;
    stall.idle_since = state_.now;
    Check(&state_, subscription);
    return;
  }
  const absl::Duration timeout = TimeoutOf(state_, *subscription);
  const absl::Duration idle = state_.now - stall.idle_since;
  if (idle >= timeout) {
    Tell(*subscription);
    ++state_.counters.set_aside;
    SetAside(subscription);
    Check(&state_, subscription);
    return;
  }
  if (idle >= timeout / 2 && !stall.told) {
    Tell(*subscription);
    stall.told = true;
  }
  Check(&state_, subscription);
}

uint64_t Stalls::Unconsumed(const Subscription& subscription) {
  if (subscription.IsMember()) {
    return subscription.membership->held;
  }
  uint64_t messages = 0;
  for (const auto& [number, link] : subscription.links) {
    const bool live = link->state == Link::State::kLive;
    for (const auto& [topic, reading] : link->readings) {
      const uint64_t next =
          live ? reading->channel->next_sequence : reading->resend_from;
      if (next > reading->consumed + 1)
        messages += next - reading->consumed - 1;
    }
  }
  return messages;
}

void Stalls::Tell(const Subscription& subscription) const {
  const absl::Duration timeout = TimeoutOf(state_, subscription);
  const absl::Duration idle = state_.now - subscription.stall->idle_since;
  state_.slow.push_back({.session = subscription.session->key,
                         .name = subscription.session->name,
                         .subscription = subscription.id,
                         .pattern = std::string(subscription.pattern.text()),
                         .messages = Unconsumed(subscription),
                         .idle = idle,
                         .timeout = timeout,
                         .set_aside = idle >= timeout});
}

}  // namespace ipc::broker
