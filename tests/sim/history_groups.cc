// SPDX-License-Identifier: Apache-2.0
//
// What a group promises, whichever of its members gets a message.

#include "absl/strings/str_cat.h"
#include "tests/sim/history.h"

namespace ipc::sim {

int History::FindGroup(std::string_view name, std::string_view pattern) {
  if (name.empty()) return -1;
  for (size_t i = 0; i < groups_.size(); ++i) {
    if (groups_[i].name == name && groups_[i].pattern == pattern) {
      return static_cast<int>(i);
    }
  }
  groups_.push_back({.name = std::string(name),
                     .pattern = std::string(pattern),
                     .made_at = now_,
                     .handled_by = {},
                     .told_missing = {}});
  return static_cast<int>(groups_.size()) - 1;
}

bool History::HasEnded(const Subscription& subscription) const {
  return subscription.ended || !processes_[subscription.process].alive;
}

void History::OnConnectionLost(int process) {
  for (const Subscription& subscription : subscriptions_) {
    if (subscription.process != process || subscription.group < 0) continue;
    groups_[subscription.group].disturbed = true;
  }
}

void History::OnBrokerDied() {
  broker_died_at_ = ++now_;
  for (Group& group : groups_) group.disturbed = true;
}

// A group without a confirmed member is owed nothing.
void History::OnMembersEnded() {
  for (size_t i = 0; i < groups_.size(); ++i) {
    bool lives = false;
    for (const Subscription& member : subscriptions_) {
      if (member.group != static_cast<int>(i)) continue;
      lives |= !HasEnded(member) && member.confirmed_at != 0;
      groups_[i].disturbed |= HasEnded(member);
    }
    if (!lives) groups_[i].owed_from = 0;
  }
}

void History::OnHandledInGroup(int subscription, int publisher,
                               const Publication& publication,
                               const Seen& seen) {
  Subscription& to = subscriptions_[subscription];
  Group& group = groups_[to.group];
  const Process& from = processes_[publisher];
  // A member that stalls passes on what it may consume all the same.
  const bool again =
      stalls_allowed_ || broker_died_at_ > publication.accepted_at;
  Subscription made_with_it;
  made_with_it.made_at = group.made_at;
  if (broker_died_at_ == 0 && !Entitled(publication, made_with_it)) {
    Fail(absl::StrCat("entitlement: ", Name(to), " got ",
                      Name(publisher, publication),
                      ", which was sent before the group was made"));
  }
  if (seen.first_missing != 0) {
    Fail(absl::StrCat("gap: ", Name(to), " was told of a hole before ",
                      Name(publisher, publication)));
  }
  size_t index = from.by_channel.at(seen.channel)[seen.sequence - 1];
  auto [handled_by, first] =
      group.handled_by.try_emplace({publisher, index}, subscription);
  if (!first && !again && !from.forgotten && !loss_allowed_ &&
      !HasEnded(subscriptions_[handled_by->second])) {
    Fail(absl::StrCat("duplicate: ", Name(to), " got ",
                      Name(publisher, publication), " after ",
                      Name(subscriptions_[handled_by->second])));
  }
  handled_by->second = subscription;
  Progress& progress = to.progress[publisher];
  if (index < progress.next && !group.disturbed && !from.forgotten &&
      !stalls_allowed_) {
    Fail(absl::StrCat("order: ", Name(to), " got ",
                      Name(publisher, publication), " after ",
                      Name(publisher, from.publications[progress.next - 1])));
  }
  progress.next = index + 1;
}

void History::OnMissedInGroup(int subscription, int publisher,
                              const ToldMissing& told) {
  const Subscription& to = subscriptions_[subscription];
  if (told.reason == kExpired) {
    CheckExpired(to, publisher, told,
                 &subscriptions_[subscription].progress[publisher]);
  } else {
    if (!stalls_allowed_ && !loss_allowed_) {
      Fail(absl::StrCat("gap: ", Name(to), " was told to miss something"));
    }
    CheckReason(to, publisher, told.reason);
  }
  const auto& channel = processes_[publisher].by_channel.at(told.channel);
  for (uint64_t i = told.first; i <= told.last; ++i) {
    groups_[to.group].told_missing.insert({publisher, channel[i - 1]});
  }
}

void History::CheckEndOfGroups() {
  for (const Group& group : groups_) {
    if (group.owed_from == 0 || loss_allowed_) continue;
    // What its group loses is told to one member, once.
    if (stalls_allowed_ && group.disturbed) continue;
    for (size_t i = 0; i < processes_.size(); ++i) {
      const Process& from = processes_[i];
      if (!from.alive) continue;
      for (size_t index = 0; index < from.publications.size(); ++index) {
        const Publication& publication = from.publications[index];
        if (publication.accepted_at < group.owed_from ||
            !Matches(group.pattern, from.topics.at(publication.channel)) ||
            group.handled_by.contains({static_cast<int>(i), index}) ||
            group.told_missing.contains({static_cast<int>(i), index}) ||
            // Told once, if at all.
            (group.disturbed &&
             time_ - publication.published >= publication.time_to_live)) {
          continue;
        }
        Fail(absl::StrCat("loss: group ", group.name, " on ", group.pattern,
                          " never got ",
                          Name(static_cast<int>(i), publication)));
        return;
      }
    }
  }
}

}  // namespace ipc::sim
