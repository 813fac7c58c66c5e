// SPDX-License-Identifier: Apache-2.0
//
// The states of a link. PROTOCOL.md, "Recovery", has the reasoning.

#include "broker/core/links.h"

#include <algorithm>
#include <memory>
#include <utility>

#include "libipc/base/topic_grammar.h"

namespace ipc::broker {
namespace {

bool HasRoom(const Subscription& subscription) {
  const Group* group = subscription.group();
  return group != nullptr ? HasIdleMember(*group) : subscription.lane.empty();
}

uint64_t ResendFrom(const Reading& reading) {
  return reading.share == nullptr ? reading.resend_from
                                  : reading.share->first_wanted();
}

}  // namespace

uint64_t Links::EntryOf(const Channel& channel) {
  return channel.next_sequence + (channel.next_fragment == 0 ? 0 : 1);
}

bool Links::IsReady(const Session& publisher) {
  return publisher.connection != nullptr && !publisher.reopening;
}

bool Links::IsReady(const Subscription& subscription) {
  const Group* group = subscription.group();
  if (group != nullptr) return group->present != 0;
  return subscription.session->connection != nullptr &&
         !subscription.pattern.empty();
}

Link* Links::Find(Session* publisher, ReaderId id) const {
  auto found = publisher->links.find(id);
  return found == publisher->links.end() ? nullptr : found->second.get();
}

Link* Links::LinkOf(Session* publisher, Subscription* subscription) {
  Link*& link = subscription->links[publisher->number];
  if (link != nullptr) return link;
  ReaderId id{++publisher->last_reader};
  auto made = std::make_unique<Link>();
  made->id = id;
  made->publisher = publisher;
  made->subscription = subscription;
  link = made.get();
  NotePositions(link);
  publisher->links.emplace(id, std::move(made));
  if (subscription->arrival->request != 0 && subscription->reliable)
    MarkUnheard(link);
  return link;
}

void Links::Attach(Channel* channel, Subscription* subscription,
                   std::optional<uint64_t> handed_back) {
  Link* link = LinkOf(channel->publisher, subscription);
  std::unique_ptr<Reading>& reading = link->readings[channel->topic->id];
  if (reading != nullptr) return;
  reading = std::make_unique<Reading>();
  reading->link = link;
  reading->channel = channel;
  link->several |= link->readings.size() > 1;

  uint64_t from = EntryOf(*channel);
  const auto& positions = subscription->arrival->positions;
  auto position = positions.find({channel->publisher->key, channel->number});
  if (subscription->reliable) {
    bool may_resume = !IsReady(*subscription) ||
                      state_.now < subscription->arrival->resumed_until;
    reading->claimed = true;
    if (position != positions.end()) {
      from = std::max(position->second + 1, handed_back.value_or(0));
    } else if (handed_back.has_value() && may_resume) {
      from = *handed_back;
      // The broker that told of the group may have taken it to be new.
      if (subscription->group() != nullptr &&
          subscription->from_earlier_broker) {
        from = std::min(from, channel->unclaimed_from);
      }
    } else if (subscription->from_earlier_broker && may_resume) {
      from = channel->unclaimed_from;
    } else {
      // It is new, or has been told that this publisher was gone.
      reading->claimed = false;
    }
    link->catch_up |= reading->claimed && link->state != Link::State::kLive;
    // What is acknowledged, the publisher no longer has.
    if (position != positions.end()) {
      TellLost(reading.get(), from, channel->acknowledged);
    }
    from = std::max(from, channel->acknowledged + 1);
    ++channel->readers.Edit().reliable;
  } else {
    // What comes before it goes live is not owed to it, but told.
    reading->claimed = true;
    if (position != positions.end()) {
      from = std::min(from, position->second + 1);
      reading->resumes = true;
    }
  }
  reading->lacks_value = true;
  if (position != positions.end()) {
    reading->lacks_value = LacksAfter(*reading, position->second);
    subscription->arrival.Edit().positions.erase(position->first);
  }
  reading->consumed = from - 1;
  reading->resend_from = from;
  if (IsGroup(subscription->session->key)) {
    reading->share = std::make_unique<Share>(from - 1);
  }
  channel->readers.Edit().all.push_back(reading.get());
  Count(reading.get());
  acknowledgement_.OnReaderCame(*reading);
  if (link->state == Link::State::kLive) Enter(reading.get());
}

void Links::ApplyPositions(Subscription* subscription) {
  for (auto& [number, link] : subscription->links) {
    NotePositions(link);
    for (auto& [topic, reading] : link->readings) {
      const auto& positions = subscription->arrival->positions;
      auto position =
          positions.find({link->publisher->key, reading->channel->number});
      if (position != positions.end()) {
        uint64_t sequence = position->second;
        reading->lacks_value = LacksAfter(*reading, sequence);
        subscription->arrival.Edit().positions.erase(position->first);
        if (!subscription->reliable) {
          reading->consumed =
              std::min(sequence, EntryOf(*reading->channel) - 1);
          reading->resumes = true;
        } else if (sequence < reading->consumed) {
          TellLost(reading.get(), std::max(sequence + 1, reading->begins),
                   reading->consumed);
        } else {
          acknowledgement_.OnConsumed(reading.get(), sequence);
        }
      }
      reading->resend_from = reading->consumed + 1;
    }
  }
}

void Links::DropUnmatched(Subscription* subscription) {
  std::vector<Reading*> unmatched;
  for (auto& [number, link] : subscription->links) {
    for (auto& [topic, reading] : link->readings) {
      if (!MatchPattern(subscription->pattern.text(),
                        reading->channel->topic->name.text())) {
        unmatched.push_back(reading.get());
      }
    }
  }
  for (Reading* reading : unmatched) Drop(reading);
}

void Links::OnPublisherReady(Session* publisher) {
  for (auto& [id, link] : publisher->links) {
    if (link->state == Link::State::kWaiting) StartFresh(link.get());
  }
}

void Links::OnOpened(Channel* channel) {
  for (Reading* reading : std::vector<Reading*>(channel->readers->all)) {
    if (reading->link->state == Link::State::kWaiting) {
      StartFresh(reading->link);
    }
  }
}

void Links::OnReaderReady(Subscription* subscription) {
  for (auto& [number, link] : subscription->links) {
    if (link->state == Link::State::kWaiting) Start(link);
  }
}

// The publisher sends nothing new before it has seen OPENED, so a reader that
// lacks nothing it has sent before can go live without a mark in the stream.
void Links::StartFresh(Link* link) {
  bool lacks = false;
  bool told = true;
  bool claimed = true;
  for (auto& [topic, reading] : link->readings) {
    claimed &= reading->claimed;
    if (!reading->claimed) PlaceAtEntry(reading.get());
    lacks |= ResendFrom(*reading) < EntryOf(*reading->channel) ||
             LacksValue(*reading);
    told &= reading->told;
  }
  const Subscription& subscription = *link->subscription;
  if (!IsReady(subscription)) {
    // One that was asked for by JOIN and is away again joins anew.
    link->catch_up |= subscription.reliable && claimed;
  } else if (subscription.reliable && !lacks && told && !link->unheard) {
    GoLive(link);
  } else {
    // What its publisher may send to it before it hears of more is its, too.
    link->catch_up |= lacks || told;
    Start(link);
  }
}

void Links::PlaceAtEntry(Reading* reading) {
  reading->resend_from = reading->begins = EntryOf(*reading->channel);
  acknowledgement_.PlaceAt(reading, reading->resend_from - 1);
  if (reading->share != nullptr) {
    ForgetShare(*reading);
    reading->share->Restart(reading->consumed);
  }
}

void Links::Start(Link* link) {
  if (!IsReady(*link->publisher) || !IsReady(*link->subscription)) return;
  if (!link->subscription->reliable) {
    LacksValue(*link) ? SendJoin(link) : GoLive(link);
  } else if (link->catch_up || !link->unheard) {
    link->catch_up = true;
    SendResend(link);
  } else {
    SendJoin(link);
  }
}

void Links::SendJoin(Link* link) {
  Subscription* subscription = link->subscription;
  link->state = Link::State::kJoining;
  ++link->joins_under_way;
  wire::Join join{.reader = ReaderOf(*link),
                  .channels = {},
                  .transient = !subscription->reliable};
  for (const auto& [topic, reading] : link->readings) {
    bool lacks = LacksValue(*reading);
    // Its first value may be on its way here.
    if (lacks || reading->channel->retain_last) Announce(*reading);
    if (!lacks && join.transient) continue;
    join.channels.push_back(reading->channel->number);
  }
  state_.SendControl(link->publisher->connection, join);
  if (subscription->reliable) return;  // AwaitPublishers has set the limit
  link->join_until = state_.now + kJoinTimeout;
  state_.timers.Add({.due = link->join_until,
                     .kind = TimerKind::kJoin,
                     .subject = ToNumber(subscription->session->number),
                     .detail = ToNumber(subscription->id)});
}

void Links::SendResend(Link* link) {
  for (auto& [topic, reading] : link->readings) TellReleased(reading.get());
  // An older resend is still on its way; its end starts this one.
  if (link->resend_under_way) return;
  link->state = Link::State::kCatchingUp;
  link->resend_under_way = true;
  ++state_.counters.resends;
  wire::Resend resend{.reader = ReaderOf(*link), .channels = {}};
  for (const auto& [topic, reading] : link->readings) {
    Announce(*reading);
    // Also if the publisher is lost before RESEND_END: what came of it would
    // have a hole behind it.
    reading->claimed = true;
    resend.channels.push_back(
        {reading->channel->number, ResendFrom(*reading), LacksValue(*reading)});
  }
  state_.SendControl(link->publisher->connection, resend);
}

void Links::OnJoined(Link* link) {
  // Not the answer to what was asked before the reader's connection was lost:
  // the publisher takes the reader to begin at its last answer.
  if (link->joins_under_way > 0) --link->joins_under_way;
  if (link->joins_under_way > 0) return;
  // The last values did not fit into the queue, or it has stalled on them.
  if (link->state == Link::State::kBehind ||
      link->state == Link::State::kAside) {
    Heard(link);
  }
  Begin(link);
}

void Links::Begin(Link* link) {
  if (link->state != Link::State::kJoining) return;
  for (auto& [topic, reading] : link->readings) {
    // What a best-effort one has missed meanwhile it is told, if it is not new.
    if (link->subscription->reliable || (link->unheard && !reading->resumes)) {
      PlaceAtEntry(reading.get());
    }
  }
  Heard(link);
  GoLive(link);
  if (link->subscription->group() != nullptr) Claim(link);
}

void Links::AwaitPublishers(Subscription* subscription, uint64_t request,
                            bool resumed) {
  Arrival& arrival = subscription->arrival.Edit();
  arrival.request = request;
  arrival.confirm_from = arrival.confirm_until = state_.now;
  if (resumed) return;
  if (!subscription->reliable) {
    for (auto& [number, link] : subscription->links) {
      if (IsReady(*link->publisher) && LacksValue(*link)) MarkUnheard(link);
    }
    return;
  }
  // Publishers that are on their way back do not know of it, either.
  if (state_.succeeds) {
    arrival.confirm_from = std::max(state_.now, state_.started + kJoinTimeout);
  }
  arrival.confirm_until = state_.now + kJoinTimeout;
  for (auto& [number, link] : subscription->links) MarkUnheard(link);
  // Most are confirmed at once.
  if (arrival.unheard_links == 0 && arrival.confirm_from <= state_.now) return;
  Timer timer{.due = arrival.confirm_until,
              .kind = TimerKind::kJoin,
              .subject = ToNumber(subscription->session->number),
              .detail = ToNumber(subscription->id)};
  state_.timers.Add(timer);
  timer.due = arrival.confirm_from;
  if (timer.due > state_.now) state_.timers.Add(timer);
}

void Links::MarkUnheard(Link* link) {
  if (link->unheard) return;
  link->unheard = true;
  ++link->subscription->arrival.Edit().unheard_links;
}

void Links::Heard(Link* link) {
  if (!link->unheard) return;
  link->unheard = false;
  --link->subscription->arrival.Edit().unheard_links;
  ConfirmIfHeard(link->subscription);
}

void Links::ConfirmIfHeard(Subscription* subscription) {
  const Arrival& arrival = *subscription->arrival;
  if (arrival.request == 0 || arrival.unheard_links != 0 ||
      state_.now < arrival.confirm_from) {
    return;
  }
  if (subscription->group() != nullptr) {
    subscription->TakeRequest();
    subscription->Settle(state_.now);
    ConfirmMembers(&state_, subscription->group());
    return;
  }
  state_.SendControl(subscription->session->connection, wire::Result{},
                     subscription->TakeRequest());
  subscription->Settle(state_.now);
}

void Links::OnJoinTimer(Session* session, SubscriptionId id) {
  auto found = session->subscriptions.find(id);
  if (found == session->subscriptions.end()) return;
  Subscription* subscription = found->second.get();
  for (auto& [number, link] : subscription->links) {
    bool due = !subscription->reliable && link->join_until <= state_.now;
    if (due) Begin(link);
  }
  if (subscription->arrival->request == 0) return;
  if (state_.now >= subscription->arrival->confirm_until) {
    for (auto& [number, link] : subscription->links) {
      bool joining = link->state == Link::State::kJoining;
      joining&& LacksValue(*link) ? JoinLater(link) : Begin(link);
      Heard(link);
    }
  }
  ConfirmIfHeard(subscription);
}

void Links::OnResendEnd(Link* link) {
  link->resend_under_way = false;
  Heard(link);
  if (link->state == Link::State::kCatchingUp) {
    GoLive(link);
  } else if (link->state == Link::State::kWaiting) {
    Start(link);
  }
}

void Links::CatchUp() {
  for (Subscription* subscription : std::vector<Subscription*>(state_.behind)) {
    if (!HasRoom(*subscription)) continue;
    std::erase(state_.behind, subscription);
    for (auto& [number, link] : subscription->links) {
      if (link->state != Link::State::kBehind) continue;
      link->state = Link::State::kWaiting;
      Start(link);
    }
  }
}

void Links::GoLive(Link* link) {
  if (link->subscription->stall->aside) {
    Park(link);
    return;
  }
  link->state = Link::State::kLive;
  link->catch_up = false;
  link->has_received = true;
  for (auto& [topic, reading] : link->readings) {
    reading->lacks_value = false;
    Enter(reading.get());
  }
}

void Links::Enter(Reading* reading) {
  reading->claimed = true;
  Subscription* subscription = reading->link->subscription;
  if (reading->share != nullptr) {
    // What the publisher has not sent by now does not exist.
    reading->share->PassOver(reading->channel->next_sequence - 1);
    acknowledgement_.OnConsumed(reading, reading->share->consumed());
  }
  Announce(*reading);
  if (!subscription->reliable) {
    // Nothing is sent again for it.
    TellLost(reading, reading->resend_from, EntryOf(*reading->channel) - 1);
  }
  reading->channel->readers.Edit().live.push_back(subscription);
}

// Its entry may lie behind a publication that is under way.
void Links::LackFrom(Reading* reading, uint64_t sequence) {
  reading->resend_from = std::max(sequence, reading->consumed + 1);
}

void Links::FallBehind(Subscription* subscription, Channel* channel,
                       uint64_t sequence) {
  Link* link = subscription->links.at(channel->publisher->number);
  LeaveRoutes(link);
  for (auto& [topic, reading] : link->readings) {
    LackFrom(reading.get(), reading->channel == channel
                                ? sequence
                                : reading->channel->next_sequence);
  }
  FallBehindAgain(link);
}

void Links::FallBehindAgain(Link* link) {
  if (link->subscription->stall->aside) {
    for (auto& [topic, reading] : link->readings) TellSkipped(reading.get());
    Park(link);
    return;
  }
  link->state = Link::State::kBehind;
  link->catch_up = true;
  Subscription* subscription = link->subscription;
  if (std::find(state_.behind.begin(), state_.behind.end(), subscription) ==
      state_.behind.end()) {
    state_.behind.push_back(subscription);
  }
}

void Links::OnPublisherAway(Session* publisher) {
  for (auto& [id, link] : publisher->links) {
    bool live = link->state == Link::State::kLive;
    for (auto& [topic, reading] : link->readings) {
      if (live) LackFrom(reading.get(), reading->channel->next_sequence);
      reading->told = false;
      // What was on its way here is lost to best effort.
      reading->lacks_value |= !link->subscription->reliable;
    }
    if (!link->subscription->reliable) Heard(link.get());
    link->resend_under_way = false;
    link->joins_under_way = 0;
    // A reader that was still joining begins where the publisher does when it
    // is back: it is not entitled to what was on its way here.
    if (live) link->catch_up = link->subscription->reliable;
    if (link->state != Link::State::kAside) Wait(link.get());
  }
}

void Links::OnReaderAway(Subscription* subscription) {
  for (auto& [number, link] : subscription->links) {
    for (auto& [topic, reading] : link->readings) {
      reading->resend_from = reading->consumed + 1;
      reading->lacks_value = true;
    }
    // A reader that has not joined yet joins anew, for the reason above.
    bool joined = link->state != Link::State::kWaiting &&
                  link->state != Link::State::kJoining;
    if (joined) link->catch_up = subscription->reliable;
    link->unheard = false;
    link->has_received &= subscription->reliable;  // it will tell
    Wait(link);
  }
  if (subscription->arrival.made()) {
    subscription->arrival.Edit().unheard_links = 0;
  }
  subscription->set_aside(false);
  std::erase(state_.behind, subscription);
}

void Links::Wait(Link* link) {
  LeaveRoutes(link);
  link->state = Link::State::kWaiting;
}

void Links::DetachChannel(Channel* channel) {
  for (Reading* reading : std::vector<Reading*>(channel->readers->all)) {
    Link* link = reading->link;
    if (link->state == Link::State::kAside) TellSkipped(reading);
    RemoveReading(reading);
    link->readings.erase(channel->topic->id);
    if (!link->readings.empty()) continue;
    // It stays, because the reader has to hear of its publisher's end, and has
    // no place to wait for in a stream that holds nothing for it.
    Heard(link);
    if (link->state == Link::State::kJoining) GoLive(link);
  }
}

void Links::DetachPublisher(Session* publisher) {
  while (!publisher->links.empty()) {
    Destroy(publisher->links.begin()->second.get());
  }
}

void Links::Drop(Reading* reading) {
  Link* link = reading->link;
  RemoveReading(reading);
  link->readings.erase(reading->channel->topic->id);
  if (link->readings.empty()) Destroy(link);
}

void Links::DetachSubscription(Subscription* subscription) {
  std::erase(state_.behind, subscription);
  // Its request gets its answer.
  if (subscription->arrival.made()) {
    subscription->arrival.Edit().confirm_from = state_.now;
  }
  std::vector<Link*> links;
  for (auto& [number, link] : subscription->links) links.push_back(link);
  for (Link* link : links) {
    state_.SendHeader(
        link->publisher->connection,
        {.kind = wire::FrameKind::kLeave, .session = ToNumber(link->id)});
    for (auto& [topic, reading] : link->readings) {
      RemoveReading(reading.get());
      TellMatches(reading->channel);
    }
    Destroy(link);
  }
  ConfirmIfHeard(subscription);
}

void Links::RemoveReading(Reading* reading) {
  Channel* channel = reading->channel;
  Subscription* subscription = reading->link->subscription;
  if (reading->share != nullptr) ForgetShare(*reading);
  EraseLive(channel, subscription);
  Readers& readers = channel->readers.Edit();
  EraseLast(&readers.all, reading);
  readers.matches -= reading->matches;
  if (subscription->reliable) --readers.reliable;
  acknowledgement_.OnReaderLeft(*reading);
  if (readers.all.empty()) channel->readers.Reset();
}

void Links::Destroy(Link* link) {
  Heard(link);
  link->subscription->links.erase(link->publisher->number);
  link->publisher->links.erase(link->id);
}

wire::Reader Links::ReaderOf(const Link& link) const {
  return {.session = link.subscription->session->key,
          .subscription = link.subscription->id,
          .reader = link.id,
          .from = 0};
}

std::vector<wire::Reader> Links::TellReadersOf(Channel* channel) {
  std::vector<wire::Reader> readers;
  for (Reading* reading : channel->readers->all) {
    if (!reading->link->subscription->reliable) continue;
    // From its publisher's OPENED on, the reader is owed what is sent: even if
    // nothing of that comes before the publisher's connection is lost.
    if (!reading->claimed) PlaceAtEntry(reading);
    reading->claimed = true;
    reading->told = true;
    readers.push_back(ReaderOf(*reading->link));
    readers.back().from = reading->consumed + 1;
  }
  return readers;
}

}  // namespace ipc::broker
