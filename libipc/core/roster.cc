// SPDX-License-Identifier: Apache-2.0
//
// Comparing what a broker tells with what was known.

#include "libipc/core/roster.h"

#include "libipc/base/limits.h"

namespace ipc::core {

using wire::PresenceChange;

void Roster::Request(bool watch, std::string* control) const {
  if (control == nullptr) return;
  // Nobody waits for the answer to the end of a watch.
  wire::AppendControl(wire::WatchClients{watch}, watch ? kWatchRequest : 0,
                      control);
}

void Roster::Watch(std::string* control) {
  watching_ = true;
  Request(true, control);
}

void Roster::Unwatch(std::string* control) {
  Request(false, control);
  const Token instance = instance_;
  *this = Roster();
  instance_ = instance;
}

void Roster::OnConnected(const Token& instance, std::string* control) {
  instance_ = instance;
  if (watching_) Request(true, control);
}

void Roster::OnDisconnected() {
  for (auto& [key, known] : known_) known.seen = false;
  hold_begins_ = false;
  held_until_ = MonotonicTime::Never();
}

void Roster::OnPresence(const wire::Presence& presence) {
  if (!watching_) return;
  switch (presence.change) {
    case PresenceChange::kCame:
    case PresenceChange::kReturned:
      OnHere(presence);
      break;
    case PresenceChange::kLost:
      OnAway(presence);
      break;
    case PresenceChange::kWent:
      if (known_.erase(presence.session) != 0) {
        Tell(presence, PresenceChange::kWent);
      }
      break;
    case PresenceChange::kUnspecified:  // of a later version
      break;
  }
}

void Roster::OnHere(const wire::Presence& presence) {
  auto known = known_.find(presence.session);
  if (known == known_.end()) {
    Add(presence);
    Tell(presence, PresenceChange::kCame);
    return;
  }
  const bool was_away = known->second.presence.change == PresenceChange::kLost;
  known->second = {presence, true};
  known->second.presence.change = PresenceChange::kCame;
  if (was_away) Tell(presence, PresenceChange::kReturned);
}

void Roster::OnAway(const wire::Presence& presence) {
  auto known = known_.find(presence.session);
  if (known == known_.end()) {
    Add(presence);
    Tell(presence, PresenceChange::kLost);
    return;
  }
  const bool was_here = known->second.presence.change == PresenceChange::kCame;
  known->second = {presence, true};
  if (was_here) Tell(presence, PresenceChange::kLost);
}

void Roster::Add(const wire::Presence& presence) {
  Known& known = known_[presence.session];
  known = {presence, true};
  if (presence.change != PresenceChange::kLost) {
    known.presence.change = PresenceChange::kCame;
  }
}

void Roster::Tell(const wire::Presence& presence, PresenceChange change) {
  wire::Presence& told = changes_.emplace_back(presence);
  told.change = change;
  // Of a later connection they are differences like any other.
  told.initial = presence.initial && watched_.IsZero();
}

void Roster::OnWatched() {
  const bool is_new = watched_ != instance_ && !watched_.IsZero();
  watched_ = instance_;
  if (is_new || holding_) {
    holding_ = hold_begins_ = true;
  } else {
    GiveUpUnseen();
  }
}

void Roster::OnTime(MonotonicTime now) {
  if (hold_begins_) {
    hold_begins_ = false;
    held_until_ = now + kRecoveryGrace;
  }
  if (now < held_until_) return;
  held_until_ = MonotonicTime::Never();
  holding_ = false;
  GiveUpUnseen();
}

void Roster::GiveUpUnseen() {
  for (auto known = known_.begin(); known != known_.end();) {
    if (known->second.seen) {
      ++known;
      continue;
    }
    wire::Presence went = known->second.presence;
    went.reason = wire::CloseReason::kUnspecified;
    went.text = "it went while this client was not connected";
    Tell(went, PresenceChange::kWent);
    known = known_.erase(known);
  }
}

std::vector<wire::Presence> Roster::There() const {
  std::vector<wire::Presence> there;
  for (const auto& [key, known] : known_) {
    there.push_back(known.presence);
    there.back().initial = true;
  }
  return there;
}

}  // namespace ipc::core
