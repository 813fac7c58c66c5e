// SPDX-License-Identifier: Apache-2.0
//
// Watching, warning, setting aside.

#include "broker/core/stalls.h"

#include <utility>

namespace ipc::broker {

void Stalls::OnConsumed(Subscription* subscription) {
  subscription->stall.consumed = true;
  if (subscription->stall.aside) Readmit(subscription);
}

void Stalls::SetAside(Subscription* subscription) {
  if (subscription->membership.group != nullptr) {
    groups_.SetAside(subscription);
  } else {
    links_.SetAside(subscription);
  }
}

void Stalls::Readmit(Subscription* subscription) {
  if (subscription->membership.group != nullptr) {
    groups_.Readmit(subscription);
  } else {
    links_.Readmit(subscription);
  }
}

void Stalls::Watch(State* state, Subscription* subscription) {
  Stall& stall = subscription->stall;
  stall.consumed = false;
  stall.told = false;
  stall.idle_since = state->now;
  if (!std::exchange(stall.watched, true)) Check(state, subscription);
}

void Stalls::Check(State* state, Subscription* subscription) {
  state->timers.Add(
      {.due = state->now + subscription->stall.timeout / kStallChecks,
       .kind = TimerKind::kStall,
       .subject = ToNumber(subscription->session->number),
       .detail = ToNumber(subscription->id)});
}

void Stalls::OnTimer(Session* session, SubscriptionId id) {
  auto found = session->subscriptions.find(id);
  if (found == session->subscriptions.end()) return;
  Subscription* subscription = found->second.get();
  Stall& stall = subscription->stall;
  if (session->connection == nullptr || Unconsumed(*subscription) == 0) {
    stall.watched = false;
    // What it had not consumed has gone with its publisher.
    if (stall.aside) Readmit(subscription);
    return;
  }
  if (stall.aside) {
    // Others of its group may have left it alone.
    if (subscription->membership.group != nullptr) SetAside(subscription);
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
  const absl::Duration idle = state_.now - stall.idle_since;
  if (idle >= stall.timeout) {
    Tell(*subscription);
    ++state_.counters.set_aside;
    SetAside(subscription);
    Check(&state_, subscription);
    return;
  }
  if (idle >= stall.timeout / 2 && !stall.told) {
    Tell(*subscription);
    stall.told = true;
  }
  Check(&state_, subscription);
}

uint64_t Stalls::Unconsumed(const Subscription& subscription) {
  if (subscription.membership.group != nullptr) {
    return subscription.membership.held;
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
  const absl::Duration idle = state_.now - subscription.stall.idle_since;
  state_.slow.push_back({.session = subscription.session->key,
                         .name = subscription.session->name,
                         .subscription = subscription.id,
                         .pattern = subscription.pattern,
                         .messages = Unconsumed(subscription),
                         .idle = idle,
                         .timeout = subscription.stall.timeout,
                         .set_aside = idle >= subscription.stall.timeout});
}

}  // namespace ipc::broker
