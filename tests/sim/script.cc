// SPDX-License-Identifier: Apache-2.0
//
// World's moves put together: letting things settle, and letting time pass.

#include <algorithm>
#include <limits>

#include "absl/strings/str_cat.h"
#include "tests/sim/world.h"

namespace ipc::sim {
namespace {

constexpr size_t kAll = std::numeric_limits<size_t>::max();
// What settles at all does so in far fewer rounds.
constexpr int kRoundsMax = 100'000;

std::string Describe(const broker::Group* group) {
  if (group == nullptr) return "";
  return absl::StrCat(" group ", group->name, " on ",
                      std::string(group->head->pattern.text()), " with ",
                      group->present, " of ", group->members.size());
}

}  // namespace

bool World::SettleOnce() {
  bool moved = false;
  for (int process : Living()) {
    client(process).FinishSend();
    client(process).OnTime(now_);
    moved |= client(process).Send();
  }
  for (ConnectionId id : links()) {
    moved |= MoveUp(id, kAll);
    moved |= MoveOut(id);
    moved |= MoveDown(id, kAll);
  }
  return moved;
}

void World::Settle() {
  for (int round = 0; SettleOnce(); ++round) {
    if (round == kRoundsMax) {
      history_.Fail("it does not settle");
      return;
    }
  }
}

MonotonicTime World::NextEvent() {
  MonotonicTime next = MonotonicTime::Never();
  auto add = [&](MonotonicTime time) {
    if (time > now_) next = std::min(next, time);
  };
  if (broker_ != nullptr) next = std::max(now_, broker_->NextDeadline());
  for (const Exit& exit : exits_) add(exit.at);
  for (int process : Living()) add(client(process).NextDeadline());
  for (const auto& [id, link] : links_) {
    add(link->up_stalled_until);
    add(link->down_stalled_until);
  }
  return next;
}

void World::Run(absl::Duration time) {
  MonotonicTime until = now_ + time;
  Settle();
  while (NextEvent() <= until) {
    Advance(NextEvent() - now_);
    Settle();
  }
  Advance(until - now_);
  Settle();
}

bool World::ConsumeAll() {
  bool moved = false;
  for (int process : Living()) {
    while (client(process).ConsumeOne(now_)) moved = true;
    while (client(process).AcknowledgeOne(0, now_)) moved = true;
    if (client(process).link() == nullptr) moved |= Connect(process);
  }
  return moved;
}

bool World::Done() {
  for (int process : Living()) {
    Client& living = client(process);
    if (!living.ready() || living.waiting() != 0 ||
        living.unacknowledged() != 0) {
      return false;
    }
    if (!living.AllAcknowledged()) return false;
    for (SubscriptionId id : living.subscriptions()) {
      if (!living.Confirmed(id)) return false;
    }
  }
  // Whoever was set aside goes on.
  for (const auto& [number, session] : broker_->state().sessions) {
    for (const auto& [id, subscription] : session->subscriptions) {
      if (subscription->stall->aside) return false;
    }
  }
  return true;
}

void World::Quiesce(absl::Duration limit) {
  Note("quiesce", {});
  MonotonicTime until = now_ + limit;
  for (const auto& [id, link] : links_) {
    link->up_stalled_until = link->down_stalled_until = MonotonicTime();
  }
  int round = 0;
  while (history_.ok()) {
    bool moved = SettleOnce();
    moved |= ConsumeAll();
    if (++round == kRoundsMax) history_.Fail("it does not settle");
    if (moved) continue;
    if (Done()) break;
    MonotonicTime next = NextEvent();
    if (next > until) {
      history_.Fail("no progress");
      break;
    }
    Advance(next - now_);
  }
  history_.CheckEnd();
  if (!history_.ok() && options_.keep_trace) NoteUnfinished();
}

void World::NoteUnfinished() {
  for (int process : Living()) {
    Client& living = client(process);
    if (!living.AllAcknowledged()) {
      AddLine(absl::StrCat("p", process, " holds ",
                           living.publishing().log().bytes(), " bytes"),
              {});
    }
    for (SubscriptionId id : living.subscriptions()) {
      if (living.Confirmed(id)) continue;
      AddLine(absl::StrCat("p", process, " awaits subscription ", ToNumber(id)),
              {});
    }
  }
  for (const auto& [number, session] : broker_->state().sessions) {
    for (const auto& [id, subscription] : session->subscriptions) {
      if (!subscription->stall->aside) continue;
      AddLine(
          absl::StrCat(session->name, "/", ToNumber(id), " is aside and holds ",
                       subscription->membership->held,
                       subscription->stall->watched ? "" : ", not watched"),
          {});
    }
    for (const auto& [id, link] : session->links) {
      for (const auto& [topic, reading] : link->readings) {
        const broker::Channel& channel = *reading->channel;
        AddLine(
            absl::StrCat(session->name, " channel ", ToNumber(channel.number),
                         " next ", channel.next_sequence, " acknowledged ",
                         channel.acknowledged, channel.held ? " held" : "",
                         " for ", link->subscription->session->name, "/",
                         ToNumber(link->subscription->id),
                         link->subscription->reliable ? "" : " (best effort)",
                         Describe(link->subscription->group()), " consumed ",
                         reading->consumed, " from ", reading->resend_from,
                         " link state ", static_cast<int>(link->state),
                         link->catch_up ? " catches up" : "",
                         link->resend_under_way ? " resend under way" : "",
                         link->unheard ? " unheard" : ""),
            {});
      }
    }
  }
}

}  // namespace ipc::sim
