// SPDX-License-Identifier: Apache-2.0
//
// Last values on their way through a link. The broker keeps none of them: it
// knows which readings may lack one, has the publisher asked, and passes on
// what comes as the answer to JOIN or RESEND.
//
// A value must come before all that its publisher has sent later, on whatever
// topic. A reliable reader has what it has received in the order in which it
// was sent, so what it lacks comes later. A best-effort one may have dropped a
// value and gone on: it is not handed one any more when it has received
// something, unless it reads one topic of the publisher and no other.

#include <algorithm>

#include "broker/core/links.h"

namespace ipc::broker {

bool Links::LacksAfter(const Reading& reading, uint64_t position) {
  return reading.link->subscription->reliable
             ? position == 0
             : position + 1 < reading.channel->next_sequence;
}

bool Links::LacksValue(const Reading& reading) {
  if (reading.share != nullptr) return false;  // a group gets none
  const Link& link = *reading.link;
  bool in_order =
      link.subscription->reliable || !link.has_received || !link.several;
  return in_order && reading.lacks_value && reading.channel->retain_last &&
         reading.channel->next_sequence > reading.channel->retained_from;
}

bool Links::LacksValue(const Link& link) {
  return std::any_of(link.readings.begin(), link.readings.end(),
                     [](const auto& item) { return LacksValue(*item.second); });
}

void Links::NotePositions(Link* link) {
  const Subscription& subscription = *link->subscription;
  if (subscription.reliable) return;
  const SessionKey& key = link->publisher->key;
  const auto& positions = subscription.arrival->positions;
  for (auto position = positions.lower_bound({key, ChannelNumber{0}});
       position != positions.end() && position->first.first == key;
       ++position) {
    link->several |= link->has_received;
    link->has_received = true;
  }
}

// What the publisher sends to a reader before it has answered JOIN belongs to
// that answer, and only the last one counts.
bool Links::TakesResent(Link* link) {
  if (link->joins_under_way == 0) {
    return link->state == Link::State::kCatchingUp;
  }
  if (link->state != Link::State::kJoining || link->joins_under_way > 1 ||
      link->subscription->group() != nullptr) {
    return false;
  }
  BeginAtValues(link);
  return true;
}

// Nothing of the log stands between the first value and JOINED, so the reader
// begins here; if JOINED does not come it must not begin anywhere else.
void Links::BeginAtValues(Link* link) {
  if (link->has_received) return;
  link->has_received = true;
  if (!link->subscription->reliable) return;
  link->catch_up = true;
  for (auto& [topic, reading] : link->readings) {
    PlaceAtEntry(reading.get());
    reading->claimed = true;
  }
}

void Links::TellLostBefore(Reading* reading, uint64_t sequence) {
  const Link& link = *reading->link;
  if (link.subscription->reliable) return;
  if (link.unheard && !reading->resumes) return;
  TellLost(reading, reading->resend_from, sequence - 1);
}

// Its JOIN was not answered in time. RESEND brings the values, in front of what
// is live, whenever the publisher reads.
void Links::JoinLater(Link* link) {
  BeginAtValues(link);
  link->state = Link::State::kWaiting;
  Start(link);
}

}  // namespace ipc::broker
