// SPDX-License-Identifier: Apache-2.0
//
// What links do for groups alone.

#include <algorithm>

#include "broker/core/links.h"

namespace ipc::broker {

void Links::AskBack(Link* link) {
  // In all other states it will be asked for.
  if (link->state != Link::State::kLive &&
      link->state != Link::State::kCatchingUp) {
    return;
  }
  Wait(link);
  link->catch_up = true;
  Start(link);
}

void Links::Claim(Link* link) {
  const Subscription& head = *link->subscription;
  if (!head.from_earlier_broker || state_.now >= head.arrival->resumed_until) {
    return;
  }
  bool open = false;
  for (auto& [topic, reading] : link->readings) {
    const Channel& channel = *reading->channel;
    uint64_t from = std::max(channel.unclaimed_from, channel.acknowledged + 1);
    // What it has not asked for yet is its as well.
    reading->claimed = true;
    if (!reading->share->Widen(from - 1)) continue;
    reading->consumed = from - 1;
    open = true;
  }
  if (!open) return;
  link->catch_up = true;
  AskBack(link);
}

}  // namespace ipc::broker
