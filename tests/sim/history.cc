// SPDX-License-Identifier: Apache-2.0
//
// Every check in the simplest form that can be right.

#include "tests/sim/history.h"

#include <utility>

#include "absl/strings/str_cat.h"
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
  processes_.push_back(
      {.token = token, .publications = {}, .by_channel = {}, .topics = {}});
  by_token_[token] = process;
  return process;
}

void History::OnProcessDied(int process) { processes_[process].alive = false; }

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
  ++accepted_;
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
                             bool reliable) {
  subscriptions_.push_back({.process = process,
                            .pattern = std::string(pattern),
                            .reliable = reliable,
                            .made_at = ++now_,
                            .progress = {}});
  return static_cast<int>(subscriptions_.size()) - 1;
}

void History::OnConfirmed(int subscription) {
  uint64_t& confirmed_at = subscriptions_[subscription].confirmed_at;
  if (confirmed_at == 0) confirmed_at = ++now_;
}

void History::OnUnsubscribed(int subscription) {
  subscriptions_[subscription].ended = true;
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
  const Process& from = processes_[publisher];
  const std::string& topic = from.topics.at(seen.channel);
  if (topic != seen.topic || !Matches(to.pattern, topic)) {
    Fail(absl::StrCat(Name(to), " got ", Name(publisher, *publication), " as ",
                      std::string(seen.topic)));
  }
  std::vector<std::byte> expected(publication->bytes);
  FillPayload(publisher, topic, seen.sequence, expected);
  if (!std::equal(expected.begin(), expected.end(), seen.payload.begin(),
                  seen.payload.end())) {
    Fail(absl::StrCat(Name(to), " got ", Name(publisher, *publication),
                      " with another content"));
  }
  if (!Entitled(*publication, to)) {
    Fail(absl::StrCat("entitlement: ", Name(to), " got ",
                      Name(publisher, *publication),
                      ", which was sent before the subscription was made"));
  }
  Progress& progress = to.progress[publisher];
  size_t index = from.by_channel.at(seen.channel)[seen.sequence - 1];
  CheckOrder(to, publisher, index, progress);
  CheckHole(to, publisher, *publication, seen.first_missing, progress);
  progress.next = index + 1;
  progress.last[seen.channel] = seen.sequence;
  ++handled_;
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
  if (!subscription.reliable) return;
  for (size_t i = progress.next; i < index; ++i) {
    if (!Owes(from, from.publications[i], subscription)) continue;
    Fail(absl::StrCat("loss: ", Name(subscription), " got ",
                      Name(publisher, publication), " but not ",
                      Name(publisher, from.publications[i])));
    return;
  }
}

void History::CheckHole(const Subscription& subscription, int publisher,
                        const Publication& publication, uint64_t first_missing,
                        const Progress& progress) {
  auto last = progress.last.find(publication.channel);
  uint64_t expected = 0;
  if (last != progress.last.end() && publication.sequence != last->second + 1) {
    expected = last->second + 1;
  }
  if (first_missing != 0) ++gaps_;
  if (loss_allowed_) return;
  if (last == progress.last.end()) {
    const Process& from = processes_[publisher];
    for (size_t index : from.by_channel.at(publication.channel)) {
      const Publication& earlier = from.publications[index];
      if (earlier.sequence >= publication.sequence) break;
      if (Owes(from, earlier, subscription)) ++untold_;
    }
  }
  if (first_missing != expected) {
    Fail(absl::StrCat("gap: ", Name(subscription), " got ",
                      Name(publisher, publication), " with first_missing ",
                      first_missing, " instead of ", expected));
  } else if (subscription.reliable && expected != 0) {
    Fail(absl::StrCat("gap: ", Name(subscription), ", reliable, got ",
                      Name(publisher, publication), " and lacks from ",
                      expected));
  }
}

void History::CheckEnd() {
  for (const Subscription& to : subscriptions_) {
    if (to.ended || !processes_[to.process].alive || !to.reliable) continue;
    if (to.confirmed_at == 0) {
      Fail(absl::StrCat(Name(to), " was never confirmed"));
    }
    for (size_t i = 0; i < processes_.size(); ++i) {
      const Process& from = processes_[i];
      if (!from.alive) continue;
      auto progress = to.progress.find(static_cast<int>(i));
      size_t next = progress == to.progress.end() ? 0 : progress->second.next;
      for (; next < from.publications.size(); ++next) {
        if (!Owes(from, from.publications[next], to)) continue;
        Fail(absl::StrCat("loss: ", Name(to), " never got ",
                          Name(static_cast<int>(i), from.publications[next])));
        break;
      }
    }
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
  return absl::StrCat("subscription ", &subscription - subscriptions_.data(),
                      " of p", subscription.process, " to ",
                      subscription.pattern,
                      subscription.reliable ? "" : " (best effort)");
}

}  // namespace ipc::sim
