// SPDX-License-Identifier: Apache-2.0
//
// Which member of a group gets what. A run is cut into as many parts as there
// are members, so that those who are idle get their share of a burst, and each
// part goes to the one that holds the fewest publications. A publication in
// fragments is a part of its own, and all of it goes to one member.

#include <algorithm>

#include "broker/core/routing.h"

namespace ipc::broker {
namespace {

using wire::FrameHeader;

// Null: none has room.
Subscription* Choose(Group* group, size_t bytes, uint64_t queue_bytes_max) {
  Subscription* chosen = nullptr;
  auto consider = [&](Subscription* member) {
    if (!CanTake(*member) || member->membership->held >= kGroupShareMax ||
        member->lane.bytes() + bytes > queue_bytes_max) {
      return;
    }
    if (chosen == nullptr ||
        member->membership->held < chosen->membership->held) {
      chosen = member;
    }
  };
  // Among equals, whose turn it is.
  auto next = group->members.upper_bound(group->last_given);
  for (auto at = next; at != group->members.end(); ++at) consider(at->second);
  for (auto at = group->members.begin(); at != next; ++at) consider(at->second);
  if (chosen != nullptr) group->last_given = chosen->created;
  return chosen;
}

// A notice is in nobody's share, so nothing but its queue bounds it.
Subscription* ChooseToTell(const Group& group, uint64_t queue_bytes_max) {
  for (const auto& [number, member] : group.members) {
    if (member->membership->present &&
        HasRoomForNotice(member->lane, queue_bytes_max)) {
      return member;
    }
  }
  return nullptr;
}

Subscription* PresentMember(const Group& group, uint64_t number) {
  auto found = group.members.find(number);
  return found == group.members.end() || !found->second->membership->present
             ? nullptr
             : found->second;
}

}  // namespace

Reading* Routing::ReadingOf(Subscription* head, const Channel& channel) {
  Link* link = head->links.at(channel.publisher->number);
  return link->readings.at(channel.topic->id).get();
}

bool Routing::RouteToGroup(Subscription* head, const Run& run) {
  Reading* reading = ReadingOf(head, *run.channel);
  uint64_t share = std::max<uint64_t>(1, run.messages / head->group()->present);
  std::span<const std::byte> rest(run.begin, run.end);
  while (!rest.empty()) {
    Part part = TakePart(&rest, share);
    part.descriptors = run.descriptors;
    if (!Give(reading, part)) return false;
  }
  return true;
}

Routing::Part Routing::TakePart(std::span<const std::byte>* run,
                                uint64_t messages_max) {
  FrameHeader header = wire::LoadHeader(run->data());
  Part part{.bytes = {},
            .first = header.sequence,
            .last = header.sequence,
            .begins = header.fragment == 0,
            .ends = true};
  const bool fragments = header.last_fragment != 0;
  size_t size = 0;
  do {
    part.last = header.sequence;
    part.ends = header.fragment == header.last_fragment;
    size += header.size;
    if (size == run->size()) break;
    header = wire::LoadHeader(run->data() + size);
  } while (fragments ? header.sequence == part.first
                     : header.last_fragment == 0 &&
                           header.sequence - part.first < messages_max);
  part.bytes = run->first(size);
  *run = run->subspan(size);
  return part;
}

bool Routing::Give(Reading* reading, const Part& part) {
  Share& share = *reading->share;
  Group* group = reading->link->subscription->group();
  Subscription* member = nullptr;
  if (!part.begins) {
    // Of a publication whose beginning went nowhere, nobody gets the rest.
    if (share.under_way.sequence == part.first) {
      member = PresentMember(*group, share.under_way.member);
    }
    if (member == nullptr) return true;
  } else {
    // It may come again for the sake of another one.
    if (!share.Wants(part.first)) return true;
    member = Choose(group, part.bytes.size(), state_.reliable_queue_bytes_max);
    if (member == nullptr) return false;
    if (share.under_way.member != member->created) AbortInGroup(reading);
    share.under_way = {};
  }
  Deliver(member, part.bytes,
          part.begins ? static_cast<uint32_t>(part.last - part.first + 1) : 0,
          part.descriptors);
  if (!part.ends) {
    share.under_way = {member->created, part.first};
    return true;
  }
  share.under_way = {};
  share.Give(member->created, part.first, part.last);
  member->membership.Edit().held += part.last - part.first + 1;
  if (share.consumed() != reading->consumed) {
    acknowledgement_.OnConsumed(reading, share.consumed());
  }
  return true;
}

// Nobody gets it any more. One member is told. False: none has room for that,
// and it stays wanted.
bool Routing::MissInGroup(Reading* reading, uint64_t sequence,
                          wire::GapReason reason) {
  Share& share = *reading->share;
  if (!share.Wants(sequence)) return true;
  Subscription* member = ChooseToTell(*reading->link->subscription->group(),
                                      state_.reliable_queue_bytes_max);
  if (member == nullptr) return false;
  AbortInGroup(reading);
  share.Drop(sequence);
  if (share.consumed() != reading->consumed) {
    acknowledgement_.OnConsumed(reading, share.consumed());
  }
  AddGap(member, *reading->channel, sequence, reason);
  return true;
}

void Routing::AbortInGroup(Reading* reading) {
  Share& share = *reading->share;
  const Group& group = *reading->link->subscription->group();
  if (Subscription* member = PresentMember(group, share.under_way.member)) {
    TellAbort(member, *reading->channel, share.under_way.sequence);
  }
  share.under_way = {};
}

}  // namespace ipc::broker
