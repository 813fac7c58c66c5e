// SPDX-License-Identifier: Apache-2.0
//
// Membership. PROTOCOL.md, "Groups", has the reasoning.

#include "broker/core/group.h"

#include <algorithm>
#include <cstring>
#include <string>
#include <utility>
#include <vector>

#include "broker/core/acknowledgement.h"
#include "broker/core/links.h"
#include "broker/core/stalls.h"
#include "broker/core/state.h"
#include "libipc/wire/sha256.h"

namespace ipc::broker {

SessionKey GroupKey(std::string_view name, std::string_view pattern,
                    uint32_t uid) {
  std::string named = "group";
  named.append(1, '\0').append(name).append(1, '\0').append(pattern);
  std::string digest = wire::Sha256(named);
  SessionKey key{.token = {}, .pid = kGroupPid, .uid = uid};
  std::memcpy(key.token.bytes.data(), digest.data(), key.token.bytes.size());
  return key;
}

bool IsGroup(const SessionKey& session) { return session.pid == kGroupPid; }

bool CanTake(const Subscription& member) {
  return member.membership->present && !member.stall->aside;
}

bool HasIdleMember(const Group& group) {
  return std::any_of(group.members.begin(), group.members.end(),
                     [](const auto& entry) {
                       const Subscription& member = *entry.second;
                       return CanTake(member) && member.lane.empty() &&
                              member.membership->held < kGroupShareMax;
                     });
}

Subscription* FirstPresent(const Group& group) {
  for (const auto& [number, member] : group.members) {
    if (member->membership->present) return member;
  }
  return nullptr;
}

void ForgetShare(const Reading& reading) {
  const Group* group = reading.link->subscription->group();
  if (group == nullptr) return;
  for (auto& [number, member] : group->members) {
    member->membership.Edit().held -= reading.share->HeldBy(number);
  }
}

void ConfirmMembers(State* state, Group* group) {
  group->confirmed = true;
  for (auto& [number, member] : group->members) {
    if (member->arrival->request == 0) continue;
    state->SendControl(member->session->connection, wire::Result{},
                       member->TakeRequest());
    member->Settle(state->now);
  }
}

void Groups::OnClaim(Subscription* head) {
  if (head->from_earlier_broker) return;
  head->from_earlier_broker = true;
  head->group()->strangers_until = state_.now + kRecoveryGrace;
  head->arrival.Edit().resumed_until = state_.now + kRecoveryGrace;
  for (auto& [number, link] : head->links) links_.Claim(link);
}

void Groups::Enter(Subscription* member, Subscription* head,
                   const wire::Subscribe& subscribe, uint64_t request) {
  Group* group = head->group();
  member->arrival.Edit().request = request;
  member->membership.Edit().group = group;
  // Until RESUMED it may be made again on the same connection.
  const bool comes = !std::exchange(member->membership.Edit().present, true);
  group->members.emplace(member->created, member);
  if (comes) ++group->present;
  if (subscribe.resume) {
    group->confirmed = true;
    head->arrival.Edit().resumed_until = state_.now + kRecoveryGrace;
  }
  TakePositions(member, subscribe.positions);
  if (member->membership->held > 0) Stalls::Watch(&state_, member);
  if (comes && group->present == 1) {
    // Its publishers may not know of it before it was confirmed once.
    links_.AwaitPublishers(head, 1, group->confirmed);
    links_.OnReaderReady(head);
  } else {
    links_.AnnounceAll(*head, member->session->connection);
  }
  Readmit(member);
  links_.TellMatchesOf(*head);
  links_.ConfirmIfHeard(head);
  if (group->confirmed) ConfirmMembers(&state_, group);
}

// It still has what it has received and not consumed. What it has not received
// is anybody's.
void Groups::TakePositions(Subscription* member,
                           const std::vector<wire::Position>& positions) {
  absl::btree_map<std::pair<SessionKey, ChannelNumber>, const wire::Position*>
      told;
  for (const wire::Position& position : positions) {
    told[{position.session, position.channel}] = &position;
  }
  for (auto& [number, link] : member->membership->group->head->links) {
    bool open = false;
    for (auto& [topic, reading] : link->readings) {
      uint64_t received = 0;
      auto position =
          told.find({link->publisher->key, reading->channel->number});
      if (position != told.end()) {
        received = position->second->received;
        Consume(member, reading.get(), position->second->sequence);
      }
      open |= GiveBack(member, reading.get(), received);
    }
    if (open) links_.AskBack(link);
  }
}

bool Groups::GiveBack(Subscription* member, Reading* reading,
                      uint64_t received) {
  Share& share = *reading->share;
  uint64_t count = share.GiveBack(member->created, received);
  member->membership.Edit().held -= count;
  bool interrupted = share.under_way.member == member->created;
  if (interrupted) share.under_way = {};
  return interrupted || count > 0;
}

void Groups::OnAway(Subscription* member) {
  Group* group = member->membership->group;
  // It may be lost again before it was made again.
  if (!std::exchange(member->membership.Edit().present, false)) return;
  --group->present;
  for (auto& [number, link] : group->head->links) {
    bool interrupted = false;
    for (auto& [topic, reading] : link->readings) {
      Share::UnderWay& under_way = reading->share->under_way;
      if (under_way.member != member->created) continue;
      under_way = {};
      interrupted = true;
    }
    if (interrupted) links_.AskBack(link);
  }
  if (group->present == 0) BecomeAbsent(group);
}

void Groups::SetAside(Subscription* member) {
  Group* group = member->membership->group;
  member->set_aside(true);
  const bool alone =
      std::none_of(group->members.begin(), group->members.end(),
                   [](const auto& entry) { return CanTake(*entry.second); });
  for (auto& [number, link] : group->head->links) {
    bool open = false;
    for (auto& [topic, reading] : link->readings) {
      open |= LetGo(member, reading.get(), alone);
    }
    if (open && !alone) links_.AskBack(link);
  }
  if (alone && !group->head->stall->aside) links_.SetAside(group->head);
}

bool Groups::LetGo(Subscription* member, Reading* reading, bool alone) {
  Share& share = *reading->share;
  const bool interrupted = share.under_way.member == member->created;
  if (interrupted) share.under_way = {};
  if (alone) {
    share.LetGoAsDone(member->created);
    acknowledgement_.OnConsumed(reading, share.consumed());
    return false;
  }
  return share.LetGo(member->created) || interrupted;
}

void Groups::Readmit(Subscription* member) {
  if (member->membership->held == 0) member->set_aside(false);
  Subscription* head = member->membership->group->head;
  if (head->stall->aside && CanTake(*member)) links_.Readmit(head);
}

void Groups::BecomeAbsent(Group* group) {
  group->head->TakeRequest();
  links_.OnReaderAway(group->head);
}

bool Groups::Remove(Subscription* member) {
  Group* group = member->membership->group;
  bool was_present = std::exchange(member->membership.Edit().present, false);
  if (was_present) --group->present;
  for (auto& [number, link] : group->head->links) {
    bool open = false;
    for (auto& [topic, reading] : link->readings) {
      open |= GiveBack(member, reading.get(), 0);
    }
    if (open) links_.AskBack(link);
  }
  group->members.erase(member->created);
  member->membership.Edit().group = nullptr;
  if (was_present && group->present == 0) BecomeAbsent(group);
  links_.TellMatchesOf(*group->head);
  return group->members.empty() && !AwaitStrangers(*group);
}

bool Groups::AwaitStrangers(const Group& group) {
  if (group.strangers_until <= state_.now) return false;
  Session* owner = group.head->session;
  owner->awaited_until = group.strangers_until;
  state_.timers.Add({.due = owner->awaited_until,
                     .kind = TimerKind::kGrace,
                     .subject = ToNumber(owner->number)});
  return true;
}

bool Groups::OnAck(Subscription* member, SessionNumber publisher, TopicId topic,
                   uint64_t sequence) {
  const auto& links = member->membership->group->head->links;
  auto link = links.find(publisher);
  if (link == links.end()) return false;
  auto reading = link->second->readings.find(topic);
  if (reading == link->second->readings.end()) return false;
  return Consume(member, reading->second.get(), sequence);
}

bool Groups::Consume(Subscription* member, Reading* reading,
                     uint64_t sequence) {
  uint64_t count = reading->share->Acknowledge(member->created, sequence);
  member->membership.Edit().held -= count;
  acknowledgement_.OnConsumed(reading, reading->share->consumed());
  return count > 0;
}

}  // namespace ipc::broker
