// SPDX-License-Identifier: Apache-2.0
//
// Every check in the simplest form that can be right.

#include "tests/sim/history.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "libipc/base/limits.h"
#include "tests/sim/random.h"

namespace ipc::sim {
namespace {

std::vector<std::string_view> Segments(std::string_view name) {
  std::vector<std::string_view> segments;
  for (size_t begin = 0; begin <= name.size();) {
    size_t end = std::min(name.find('/', begin), name.size());
    segments.push_back(name.substr(begin, end - begin));
    begin = end + 1;
  }
  return segments;
}

bool MatchSegments(std::span<const std::string_view> pattern,
                   std::span<const std::string_view> topic) {
  if (pattern.empty()) return topic.empty();
  if (pattern.front() == "**") {
    for (size_t skip = 0; skip <= topic.size(); ++skip) {
      if (MatchSegments(pattern.subspan(1), topic.subspan(skip))) return true;
    }
    return false;
  }
  if (topic.empty()) return false;
  if (pattern.front() != "*" && pattern.front() != topic.front()) return false;
  return MatchSegments(pattern.subspan(1), topic.subspan(1));
}

}  // namespace

bool Matches(std::string_view pattern, std::string_view topic) {
  return MatchSegments(Segments(pattern), Segments(topic));
}

void FillPayload(int process, std::string_view topic, uint64_t sequence,
                 std::span<std::byte> payload) {
  uint64_t state = Mix(sequence + (static_cast<uint64_t>(process) << 40));
  for (char c : topic) state = Mix(state ^ static_cast<uint8_t>(c));
  // Fresh numbers now and then, so that exchanged fragments show.
  for (size_t i = 0; i < payload.size(); ++i) {
    if (i % 1024 == 0) state = Mix(state + i);
    payload[i] = static_cast<std::byte>((state >> (i % 8 * 8)) & 0xff);
  }
}

int History::AddProcess(const Token& token) {
  int process = static_cast<int>(processes_.size());
  processes_.push_back({.token = token,
                        .publications = {},
                        .by_channel = {},
                        .topics = {},
                        .released_at = {},
                        .retained_from = {},
                        .time_to_live = {}});
  by_token_[token] = process;
  return process;
}

void History::OnProcessDied(int process) {
  processes_[process].alive = false;
  OnMembersEnded();
}

void History::OnRetained(int process, uint32_t channel) {
  processes_[process].retained_from[channel] = NextSequence(process, channel);
}

uint64_t History::NextSequence(int process, uint32_t channel) const {
  auto found = processes_[process].by_channel.find(channel);
  return found == processes_[process].by_channel.end()
             ? 1
             : found->second.size() + 1;
}

void History::OnAccepted(int process, uint32_t channel, std::string_view topic,
                         size_t payload_bytes) {
  Process& publisher = processes_[process];
  std::vector<size_t>& indices = publisher.by_channel[channel];
  indices.push_back(publisher.publications.size());
  publisher.topics[channel] = topic;
  publisher.publications.push_back({.channel = channel,
                                    .sequence = indices.size(),
                                    .bytes = payload_bytes,
                                    .accepted_at = ++now_});
  publisher.publications.back().retained =
      publisher.retained_from.contains(channel);
  publisher.publications.back().published = time_;
  if (auto lives = publisher.time_to_live.find(channel);
      lives != publisher.time_to_live.end()) {
    publisher.publications.back().time_to_live = lives->second;
  }
  ++accepted_;
}

void History::OnReleased(int process, uint32_t channel) {
  processes_[process].released_at[channel] = ++now_;
  processes_[process].retained_from.erase(channel);
}

History::Publication* History::Find(int process, uint32_t channel,
                                    uint64_t sequence) {
  Process& publisher = processes_[process];
  auto found = publisher.by_channel.find(channel);
  if (found == publisher.by_channel.end() || sequence == 0 ||
      sequence > found->second.size()) {
    return nullptr;
  }
  return &publisher.publications[found->second[sequence - 1]];
}

void History::OnSent(int process, uint64_t connection, uint32_t channel,
                     uint64_t sequence) {
  Publication* publication = Find(process, channel, sequence);
  if (publication == nullptr) {
    Fail(absl::StrCat("process ", process, " sent ", channel, ":", sequence,
                      ", which was never accepted"));
  } else if (publication->sent_at != 0) {
    Fail(absl::StrCat(Name(process, *publication), " was sent as new twice"));
  } else {
    publication->sent_at = ++now_;
    publication->sent_on = connection;
  }
}

void History::OnReceived(int process, uint64_t connection, uint32_t channel,
                         uint64_t sequence) {
  Publication* publication = Find(process, channel, sequence);
  if (publication == nullptr) return;
  publication->received_at = ++now_;
  publication->received_on = connection;
}

int History::AddSubscription(int process, std::string_view pattern,
                             const Policy& policy) {
  subscriptions_.push_back({.process = process,
                            .pattern = std::string(pattern),
                            .reliable = policy.reliable,
                            .latest = policy.latest,
                            .made_at = ++now_,
                            .made = time_,
                            .group = FindGroup(policy.group, pattern),
                            .progress = {}});
  return static_cast<int>(subscriptions_.size()) - 1;
}

void History::OnConfirmed(int subscription) {
  Subscription& confirmed = subscriptions_[subscription];
  confirmed.resumed_at = ++now_;
  if (confirmed.confirmed_at == 0) {
    confirmed.confirmed_at = now_;
    confirmed.confirmed = time_;
    confirmed.heard_by_all = time_ - confirmed.made < kJoinTimeout;
  }
  int group = confirmed.group;
  if (group < 0 || groups_[group].owed_from != 0) return;
  groups_[group].owed_from = ++now_;
}

void History::OnUnsubscribed(int subscription) {
  subscriptions_[subscription].ended = true;
  OnMembersEnded();
}

int History::FindProcess(const Token& token) const {
  auto found = by_token_.find(token);
  return found == by_token_.end() ? -1 : found->second;
}

void History::OnHandled(int subscription, const Seen& seen) {
  Subscription& to = subscriptions_[subscription];
  int publisher = FindProcess(seen.publisher);
  Publication* publication =
      publisher < 0 ? nullptr : Find(publisher, seen.channel, seen.sequence);
  if (publication == nullptr) {
    Fail(absl::StrCat(Name(to), " got ", std::string(seen.topic), " channel ",
                      seen.channel, " sequence ", seen.sequence,
                      ", which nobody published"));
    return;
  }
  CheckContent(to, publisher, *publication, seen);
  ++handled_;
  if (to.group >= 0) {
    OnHandledInGroup(subscription, publisher, *publication, seen);
    return;
  }
  const Process& from = processes_[publisher];
  if (!Entitled(*publication, to) && !IsValueFor(to, from, *publication)) {
    Fail(absl::StrCat("entitlement: ", Name(to), " got ",
                      Name(publisher, *publication),
                      ", which was sent before the subscription was made and "
                      "is not a last value"));
  }
  Progress& progress = to.progress[publisher];
  size_t index = from.by_channel.at(seen.channel)[seen.sequence - 1];
  CheckOrder(to, publisher, index, progress);
  CheckHole(to, publisher, *publication, seen.first_missing, progress);
  progress.next = index + 1;
  progress.last[seen.channel] = seen.sequence;
}

void History::CheckContent(const Subscription& to, int publisher,
                           const Publication& publication, const Seen& seen) {
  const Process& from = processes_[publisher];
  const std::string& topic = from.topics.at(seen.channel);
  if (topic != seen.topic || !Matches(to.pattern, topic)) {
    Fail(absl::StrCat(Name(to), " got ", Name(publisher, publication), " as ",
                      std::string(seen.topic)));
  }
  std::vector<std::byte> expected(publication.bytes);
  FillPayload(publisher, topic, seen.sequence, expected);
  if (!std::equal(expected.begin(), expected.end(), seen.payload.begin(),
                  seen.payload.end())) {
    Fail(absl::StrCat(Name(to), " got ", Name(publisher, publication),
                      " with another content"));
  }
}

bool History::Owes(const Process& publisher, const Publication& publication,
                   const Subscription& subscription) const {
  return !loss_allowed_ && subscription.confirmed_at != 0 &&
         publication.accepted_at > subscription.confirmed_at &&
         Matches(subscription.pattern,
                 publisher.topics.at(publication.channel));
}

bool History::Entitled(const Publication& publication,
                       const Subscription& subscription) const {
  if (loss_allowed_ || publication.sent_at == 0 ||
      publication.sent_at > subscription.made_at) {
    return true;
  }
  return publication.received_on == publication.sent_on &&
         publication.received_at > subscription.made_at;
}

const History::Publication* History::ValueFor(
    const Process& publisher, uint32_t channel,
    const Subscription& subscription) const {
  auto known = publisher.by_channel.find(channel);
  if (known == publisher.by_channel.end()) return nullptr;
  const Publication* value = nullptr;
  for (size_t index : known->second) {
    const Publication& sent = publisher.publications[index];
    // What has expired may count as sent without a trace.
    if (sent.sent_at == 0 || sent.sent_at > subscription.made_at) continue;
    value = &sent;
  }
  return value;
}

bool History::IsValueFor(const Subscription& subscription,
                         const Process& publisher,
                         const Publication& publication) const {
  return publication.retained &&
         ValueFor(publisher, publication.channel, subscription) == &publication;
}

void History::CheckValues(const Subscription& subscription, int publisher) {
  const Process& from = processes_[publisher];
  if (MayLose(subscription) || !subscription.heard_by_all) return;
  auto progress = subscription.progress.find(publisher);
  for (const auto& [channel, first] : from.retained_from) {
    const Publication* value = ValueFor(from, channel, subscription);
    if (value == nullptr || value->sequence < first ||
        !Matches(subscription.pattern, from.topics.at(channel))) {
      continue;
    }
    if (subscription.confirmed - value->published >= value->time_to_live) {
      continue;
    }
    bool got = progress != subscription.progress.end() &&
               progress->second.last.contains(channel) &&
               progress->second.last.at(channel) >= value->sequence;
    if (got) continue;
    Fail(absl::StrCat("last value: ", Name(subscription), " never got ",
                      Name(publisher, *value)));
  }
}

void History::CheckOrder(const Subscription& subscription, int publisher,
                         size_t index, const Progress& progress) {
  const Process& from = processes_[publisher];
  const Publication& publication = from.publications[index];
  if (index < progress.next) {
    if (from.forgotten) return;
    auto last = progress.last.find(publication.channel);
    bool again =
        last != progress.last.end() && publication.sequence <= last->second;
    Fail(absl::StrCat(again ? "duplicate: " : "order: ", Name(subscription),
                      " got ", Name(publisher, publication), " after ",
                      Name(publisher, from.publications[progress.next - 1])));
    return;
  }
  if (MayLose(subscription)) return;
  for (size_t i = progress.next; i < index; ++i) {
    if (!Owes(from, from.publications[i], subscription) ||
        progress.expired.contains(i)) {
      continue;
    }
    Fail(absl::StrCat("loss: ", Name(subscription), " got ",
                      Name(publisher, publication), " but not ",
                      Name(publisher, from.publications[i])));
    return;
  }
}

void History::CheckHole(const Subscription& subscription, int publisher,
                        const Publication& publication, uint64_t first_missing,
                        const Progress& progress) {
  if (loss_allowed_) return;
  // A broker knows nothing of those that an earlier one had set aside.
  if (first_missing != 0 && subscription.reliable && stalls_allowed_ &&
      broker_died_at_ > subscription.confirmed_at) {
    return;
  }
  if (first_missing != 0) {
    Fail(absl::StrCat("gap: ", Name(subscription), " got ",
                      Name(publisher, publication),
                      " behind a hole without a reason, from ", first_missing));
    return;
  }
  auto last = progress.last.find(publication.channel);
  if (last != progress.last.end() && publication.sequence <= last->second) {
    Fail(absl::StrCat("gap: ", Name(subscription), " got ",
                      Name(publisher, publication),
                      ", which it was told to be missing"));
  }
  CheckUntold(subscription, publisher, publication.channel,
              publication.sequence);
}

void History::CheckUntold(const Subscription& subscription, int publisher,
                          uint32_t channel, uint64_t end) {
  const Process& from = processes_[publisher];
  auto indices = from.by_channel.find(channel);
  if (indices == from.by_channel.end()) return;
  uint64_t next = 1;
  bool first = true;
  if (auto progress = subscription.progress.find(publisher);
      progress != subscription.progress.end()) {
    auto last = progress->second.last.find(channel);
    first = last == progress->second.last.end();
    if (!first) next = last->second + 1;
  }
  for (; next < end && next <= indices->second.size(); ++next) {
    const Publication& missing = from.publications[indices->second[next - 1]];
    if (!Owes(from, missing, subscription)) continue;
    if (!IsTellable(subscription, from, missing, first)) {
      ++untold_;
      continue;
    }
    Fail(absl::StrCat(
        subscription.reliable ? "loss: " : "gap: ", Name(subscription),
        " neither got ", Name(publisher, missing), " nor was told"));
    return;
  }
}

bool History::IsTellable(const Subscription& subscription,
                         const Process& publisher,
                         const Publication& publication, bool first) const {
  if (!MayLose(subscription)) return true;
  // Confirmed, perhaps, by the last words of a broker that was dead by then.
  if (first && broker_died_at_ > subscription.made_at &&
      publication.accepted_at < subscription.resumed_at) {
    return false;
  }
  auto released = publisher.released_at.find(publication.channel);
  return released == publisher.released_at.end() ||
         publication.accepted_at > released->second ||
         subscription.resumed_at == subscription.confirmed_at;
}

void History::OnMissed(int subscription, const ToldMissing& told) {
  Subscription& to = subscriptions_[subscription];
  int publisher = FindProcess(told.publisher);
  Publication* first =
      publisher < 0 ? nullptr : Find(publisher, told.channel, told.first);
  if (first == nullptr || told.last < told.first ||
      Find(publisher, told.channel, told.last) == nullptr) {
    Fail(absl::StrCat("gap: ", Name(to), " was told to miss channel ",
                      told.channel, " sequences ", told.first, " to ",
                      told.last, ", which nobody published"));
    return;
  }
  ++gaps_;
  if (to.group >= 0) {
    OnMissedInGroup(subscription, publisher, told);
    return;
  }
  Progress& progress = to.progress[publisher];
  if (!loss_allowed_) {
    const bool expired = told.reason == kExpired;
    if (expired) CheckExpired(to, publisher, told, &progress);
    if (!MayLose(to) && !expired) {
      Fail(absl::StrCat("gap: ", Name(to), " was told to miss ",
                        Name(publisher, *first)));
    }
    // As for a message: it has its place.
    CheckHole(to, publisher, *first, told.first_missing, progress);
    if (!expired) CheckReason(to, publisher, told.reason);
  }
  progress.last[told.channel] = told.last;
}

void History::CheckExpired(const Subscription& subscription, int publisher,
                           const ToldMissing& told, Progress* progress) {
  const Process& from = processes_[publisher];
  for (uint64_t sequence = told.first; sequence <= told.last; ++sequence) {
    const size_t index = from.by_channel.at(told.channel)[sequence - 1];
    const Publication& publication = from.publications[index];
    progress->expired.insert(index);
    ++expired_;
    if (time_ - publication.published < publication.time_to_live) {
      Fail(absl::StrCat("age: ", Name(subscription), " was told that ",
                        Name(publisher, publication), " has expired"));
    }
    if (subscription.reliable && subscription.group < 0 &&
        !Entitled(publication, subscription)) {
      Fail(absl::StrCat("entitlement: ", Name(subscription), " was told of ",
                        Name(publisher, publication)));
    }
  }
}

void History::CheckReason(const Subscription& subscription, int publisher,
                          int reason) {
  constexpr int kDepth = 1;
  constexpr int kStalled = 2;
  constexpr int kGraceOver = 4;
  constexpr int kLatest = 6;
  bool came_back = processes_[publisher].connections > 1 ||
                   processes_[subscription.process].connections > 1;
  int own = subscription.latest ? kLatest : kDepth;
  if (subscription.reliable) own = kStalled;
  if (reason == own || (reason == kGraceOver && came_back)) {
    return;
  }
  Fail(absl::StrCat("gap: ", Name(subscription), " was told reason ", reason,
                    ", which cannot be"));
}

void History::CheckEnd() {
  for (const Subscription& to : subscriptions_) {
    if (to.ended || !processes_[to.process].alive) continue;
    if (to.confirmed_at == 0) {
      Fail(absl::StrCat(Name(to), " was never confirmed"));
    }
    if (to.group >= 0) continue;
    for (size_t i = 0; i < processes_.size(); ++i) {
      if (!processes_[i].alive) continue;
      CheckValues(to, static_cast<int>(i));
      CheckEndOf(to, static_cast<int>(i));
    }
  }
  CheckEndOfGroups();
}

void History::CheckEndOf(const Subscription& to, int publisher) {
  const Process& from = processes_[publisher];
  if (MayLose(to)) {
    for (const auto& [channel, indices] : from.by_channel) {
      CheckUntold(to, publisher, channel, indices.size() + 1);
    }
    return;
  }
  auto progress = to.progress.find(publisher);
  size_t next = progress == to.progress.end() ? 0 : progress->second.next;
  for (; next < from.publications.size(); ++next) {
    if (!Owes(from, from.publications[next], to)) continue;
    if (progress != to.progress.end() &&
        progress->second.expired.contains(next)) {
      continue;
    }
    Fail(absl::StrCat("loss: ", Name(to), " never got ",
                      Name(publisher, from.publications[next])));
    return;
  }
}

void History::Fail(std::string text) {
  if (failure_.empty()) failure_ = std::move(text);
}

std::string History::Name(int publisher, const Publication& publication) const {
  const Process& from = processes_[publisher];
  return absl::StrCat("p", publisher, " ", from.topics.at(publication.channel),
                      "#", publication.sequence, " (", publication.bytes,
                      " bytes)");
}

std::string History::Name(const Subscription& subscription) const {
  return absl::StrCat(
      "subscription ", &subscription - subscriptions_.data(), " of p",
      subscription.process, " to ", subscription.pattern,
      subscription.reliable ? "" : " (best effort)",
      subscription.group < 0 ? "" : " in group ",
      subscription.group < 0 ? "" : groups_[subscription.group].name);
}

}  // namespace ipc::sim
