// SPDX-License-Identifier: Apache-2.0
//
// See chaos_check.h.

#include "tests/integration/chaos_check.h"

#include <utility>

#include "absl/strings/str_cat.h"

namespace ipc::test {
namespace {

constexpr size_t kComplaintsMax = 5;

// Walks over one subscriber's entries.
class Judge {
 public:
  Judge(const std::map<uint32_t, PublisherLife>& publishers,
        const SubscriberLife& subscriber, ChaosCount* count)
      : publishers_(publishers), subscriber_(subscriber), count_(count) {}

  std::vector<std::string> Run();

 private:
  using Stream = std::pair<uint32_t, uint32_t>;  // publisher, topic

  void OnEntry(const ChaosEntry& entry);
  void OnMessages(const ChaosEntry& entry);
  void OnGap(const ChaosEntry& entry);
  void OnOrder(const ChaosEntry& entry);
  // Entries of a stream follow each other without holes and without overlap.
  void CheckNext(const ChaosEntry& entry);
  void CheckStart(const ChaosEntry& entry);
  void CheckEnd(uint32_t number, const PublisherLife& publisher);
  void Complain(const ChaosEntry& entry, const std::string& what);
  void Complain(const std::string& what);

  const std::map<uint32_t, PublisherLife>& publishers_;
  const SubscriberLife& subscriber_;
  ChaosCount* count_;
  std::map<Stream, uint64_t> sequences_;  // the last one
  std::map<uint32_t, uint64_t> numbers_;  // the last one
  std::vector<std::string> complaints_;
};

std::vector<std::string> Judge::Run() {
  for (const ChaosEntry& entry : subscriber_.book->entries()) OnEntry(entry);
  for (const auto& [number, publisher] : publishers_) {
    CheckEnd(number, publisher);
  }
  if (subscriber_.book->faults() > 0) {
    Complain("damaged payloads or refusals, see its stderr");
  }
  return std::move(complaints_);
}

void Judge::OnEntry(const ChaosEntry& entry) {
  switch (entry.kind) {
    case ChaosEntry::Kind::kMessages:
      return OnMessages(entry);
    case ChaosEntry::Kind::kGap:
      return OnGap(entry);
    case ChaosEntry::Kind::kOrder:
      return OnOrder(entry);
    case ChaosEntry::Kind::kBack:
      return;
  }
}

void Judge::OnMessages(const ChaosEntry& entry) {
  count_->messages += entry.last - entry.first + 1;
  if (!sequences_.contains({entry.publisher, entry.topic})) CheckStart(entry);
  CheckNext(entry);
}

void Judge::OnGap(const ChaosEntry& entry) {
  count_->missing += entry.last - entry.first + 1;
  ++count_->gaps;
  if (subscriber_.reliable) Complain(entry, "a reliable one is told a gap");
  CheckNext(entry);
}

void Judge::OnOrder(const ChaosEntry& entry) {
  uint64_t& number = numbers_[entry.publisher];
  // Topics have no holes: so neither has what they are together.
  const bool hole =
      subscriber_.reliable && number > 0 && entry.first > number + 1;
  if (entry.first <= number || hole) {
    Complain(absl::StrCat(entry.publisher, ": its message ", entry.first,
                          " behind ", number));
  }
  number = entry.last;
}

void Judge::CheckNext(const ChaosEntry& entry) {
  const auto [place, is_first] =
      sequences_.try_emplace({entry.publisher, entry.topic}, entry.last);
  uint64_t& last = place->second;
  if (!is_first && entry.first <= last) {
    Complain(entry, absl::StrCat(entry.first, " to ", entry.last.load(),
                                 " again, behind ", last));
  } else if (!is_first && entry.first > last + 1) {
    Complain(entry, absl::StrCat(last + 1, " to ", entry.first - 1,
                                 " missing, and no gap told"));
  }
  last = entry.last;
}

// A reliable subscription begins no later than where the publisher stood when
// it was confirmed; the message that was in the making then is between both.
void Judge::CheckStart(const ChaosEntry& entry) {
  if (!subscriber_.reliable || !subscriber_.confirmed) return;
  uint64_t stood = 0;
  const auto place = subscriber_.confirmed->find(entry.publisher);
  if (place != subscriber_.confirmed->end()) {
    stood = place->second[entry.topic];
  }
  if (entry.first <= stood + 1) return;
  Complain(entry,
           absl::StrCat("begins with ", entry.first, ", confirmed at ", stood));
}

void Judge::CheckEnd(uint32_t number, const PublisherLife& publisher) {
  for (uint32_t topic = 0; topic < kChaosTopics; ++topic) {
    const auto place = sequences_.find({number, topic});
    const uint64_t last = place == sequences_.end() ? 0 : place->second;
    const std::string stream = absl::StrCat(number, "/", topic, ": ");
    if (last > publisher.book->begun(topic)) {
      Complain(absl::StrCat(stream, last, " was never published"));
    }
    const uint64_t accepted = publisher.book->accepted(topic);
    if (publisher.lived && subscriber_.lived && last != accepted) {
      Complain(absl::StrCat(stream, "ends with ", last, " of ", accepted));
    }
  }
}

void Judge::Complain(const ChaosEntry& entry, const std::string& what) {
  Complain(absl::StrCat(entry.publisher, "/", entry.topic, ": ", what));
}

void Judge::Complain(const std::string& what) {
  if (complaints_.size() == kComplaintsMax) return;
  complaints_.push_back(absl::StrCat(subscriber_.name, ": ", what));
}

}  // namespace

std::vector<std::string> CheckChaos(
    const std::map<uint32_t, PublisherLife>& publishers,
    const SubscriberLife& subscriber, ChaosCount* count) {
  return Judge(publishers, subscriber, count).Run();
}

uint64_t LastOf(const ChaosBook& subscriber, uint32_t publisher,
                uint32_t topic) {
  uint64_t last = 0;
  for (const ChaosEntry& entry : subscriber.entries()) {
    if (entry.kind == ChaosEntry::Kind::kMessages &&
        entry.publisher == publisher && entry.topic == topic) {
      last = entry.last;
    }
  }
  return last;
}

}  // namespace ipc::test
