// SPDX-License-Identifier: Apache-2.0
//
// What the policies make of a full queue: the real lane, read by the real
// client core, beside lists that are gone through one by one. Both must agree
// on what is handed over, in which order, and on what is missing and why; and
// nothing may be both, or neither.

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <random>
#include <set>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "broker/core/outbox.h"
#include "libipc/core/receiving.h"
#include "tests/support/seed.h"
#include "tests/unit/frames.h"

namespace ipc::model {
namespace {

using wire::FrameKind;
using wire::GapReason;

enum class Policy { kOldest, kNewest, kLatest };

struct Limits {
  uint64_t messages = 0;
  uint64_t bytes = 0;
};

// A frame of publication `sequence` on `topic`.
struct Part {
  uint32_t topic = 0;
  uint64_t sequence = 0;
  size_t bytes = 0;
  uint16_t fragment = 0;
  uint16_t last = 0;

  std::pair<uint32_t, uint64_t> message() const { return {topic, sequence}; }
};

// One list of parts that wait, and what was lost of all that ever came.
class ReferenceLane {
 public:
  ReferenceLane(Policy policy, const Limits& limits)
      : policy_(policy), limits_(limits) {}

  void Add(const Part& part) {
    switch (policy_) {
      case Policy::kOldest:
        if (part.fragment != 0 && lost_.contains(part.message())) return;
        parts_.push_back(part);
        while (Messages() > limits_.messages || Bytes() > limits_.bytes) {
          lost_[parts_.front().message()] = GapReason::kDepth;
          parts_.erase(parts_.begin());
        }
        break;
      case Policy::kNewest:
        AddIfItFits(part);
        break;
      case Policy::kLatest:
        parts_.push_back(part);
        if (part.fragment == part.last) Replace(part);
        break;
    }
  }

  // All that waits has left.
  void Drain() {
    for (const Part& part : parts_) {
      if (part.fragment == part.last) left_.push_back(part.message());
    }
    parts_.clear();
    gap_bytes_ = 0;
    told_here_.clear();
  }

  std::vector<std::pair<uint32_t, uint64_t>> Handed() const {
    auto handed = left_;
    std::erase_if(handed, [this](const auto& message) {
      return lost_.contains(message);
    });
    return handed;
  }
  const std::map<std::pair<uint32_t, uint64_t>, GapReason>& lost() const {
    return lost_;
  }

 private:
  void AddIfItFits(const Part& part) {
    if (lost_.contains(part.message())) return;
    const bool begins = part.fragment == 0;
    if (Bytes() + gap_bytes_ + part.bytes > limits_.bytes ||
        (begins && Messages() >= limits_.messages)) {
      lost_[part.message()] = GapReason::kDepth;
      told_here_.insert(part.topic);
      return;
    }
    // A GAP for each topic stands in front of it.
    gap_bytes_ += told_here_.size() * kFrameHeaderBytes;
    told_here_.clear();
    parts_.push_back(part);
  }
  // `part` completes its message, which comes to the end.
  void Replace(const Part& part) {
    std::vector<Part> kept;
    std::vector<Part> own;
    for (const Part& waiting : parts_) {
      if (waiting.topic != part.topic) {
        kept.push_back(waiting);
      } else if (waiting.sequence == part.sequence) {
        own.push_back(waiting);
      } else {
        lost_[waiting.message()] = GapReason::kLatest;
      }
    }
    kept.insert(kept.end(), own.begin(), own.end());
    parts_ = kept;
  }
  uint64_t Messages() const {
    return static_cast<uint64_t>(
        std::count_if(parts_.begin(), parts_.end(),
                      [](const Part& part) { return part.fragment == 0; }));
  }
  uint64_t Bytes() const {
    uint64_t bytes = 0;
    for (const Part& part : parts_) bytes += part.bytes;
    return bytes;
  }

  const Policy policy_;
  const Limits limits_;
  std::vector<Part> parts_;
  std::vector<std::pair<uint32_t, uint64_t>> left_;
  std::map<std::pair<uint32_t, uint64_t>, GapReason> lost_;
  uint64_t gap_bytes_ = 0;        // of GAP frames among the parts
  std::set<uint32_t> told_here_;  // topics lost of, behind all parts
};

class Script {
 public:
  Script(Policy policy, uint64_t seed) : random_(seed) {
    limits_ = {1 + Below(12), 100 + Below(3 * kFramePayloadBytesMax)};
    reference_ = std::make_unique<ReferenceLane>(policy, limits_);
    lane_.id = SubscriptionId{1};
    if (policy == Policy::kLatest) {
      lane_.latest =
          std::make_unique<broker::LatestQueue>(kBestEffortQueueBytesMax);
    } else {
      lane_.messages_max = static_cast<uint32_t>(limits_.messages);
      lane_.bytes_max = static_cast<uint32_t>(limits_.bytes);
      lane_.drop_newest = policy == Policy::kNewest;
    }
    wire::Subscribe request = test::SubscribeMessage(1, "**");
    request.policy = wire::Policy::kBestEffort;
    receiving_.Add(request);
    for (uint32_t topic = 1; topic <= kTopics; ++topic) {
      wire::Announce announce;
      announce.topic_id = TopicId{topic};
      announce.session_number = SessionNumber{9};
      announce.session.token.bytes[0] = 9;
      announce.channel = ChannelNumber{topic};
      announce.topic = absl::StrCat("t", topic);
      receiving_.OnAnnounce(announce);
    }
  }

  void Run(int steps) {
    for (int i = 0; i < steps; ++i) {
      if (Below(20) == 0) {
        Drain();
      } else {
        Publish(1 + static_cast<uint32_t>(Below(kTopics)));
      }
    }
    for (uint32_t topic = 1; topic <= kTopics; ++topic) {
      while (under_way_[topic].last != 0) Publish(topic);
    }
    Drain();
    Compare();
  }

 private:
  static constexpr uint32_t kTopics = 3;
  using Message = std::pair<uint32_t, uint64_t>;

  uint64_t Below(uint64_t bound) { return random_() % bound; }

  // The next frame on a topic.
  void Publish(uint32_t topic) {
    Part& next = under_way_[topic];
    if (next.last == 0) {
      next = {.topic = topic, .sequence = next.sequence + 1};
      if (Below(6) == 0) next.last = static_cast<uint16_t>(1 + Below(3));
    } else {
      ++next.fragment;
    }
    const size_t payload =
        next.fragment < next.last ? kFramePayloadBytesMax : Below(300);
    next.bytes = payload + kFrameHeaderBytes;
    const std::string frame = test::FrameOf({.kind = FrameKind::kDeliver,
                                             .target = topic,
                                             .session = 9,
                                             .sequence = next.sequence,
                                             .fragment = next.fragment,
                                             .last_fragment = next.last},
                                            std::string(payload, 'p'));
    outbox_.AddRun(&lane_, std::as_bytes(std::span(frame)),
                   next.fragment == 0 ? 1 : 0);
    outbox_.Settle();
    reference_->Add(next);
    if (next.fragment == next.last) next.fragment = next.last = 0;
  }

  void Drain() {
    std::string stream;
    while (!outbox_.empty()) {
      size_t bytes = 0;
      for (std::span<const std::byte> segment : outbox_.Gather()) {
        stream.append(reinterpret_cast<const char*>(segment.data()),
                      segment.size());
        bytes += segment.size();
      }
      outbox_.Sent(bytes);
    }
    for (size_t at = 0; at < stream.size();) {
      wire::Frame frame;
      frame.header = test::HeaderOf(std::string_view(stream).substr(at));
      frame.bytes = std::as_writable_bytes(
          std::span(stream).subspan(at, frame.header.size));
      Take(frame);
      at += frame.header.size;
    }
    reference_->Drain();
  }

  void Take(const wire::Frame& frame) {
    if (frame.header.kind == FrameKind::kSelect) {
      receiving_.OnSelect(SubscriptionId{frame.header.target});
    } else if (frame.header.kind == FrameKind::kGap) {
      auto missed = receiving_.OnGap(frame.header, {});
      ASSERT_TRUE(missed.has_value()) << "told for nothing";
      EXPECT_EQ(missed->first_missing, 0u) << "untold";
      for (uint64_t i = missed->first; i <= missed->last; ++i) {
        told_[{frame.header.target, i}] = missed->reason;
        EXPECT_EQ(++last_[frame.header.target], i);
      }
    } else if (auto delivery = receiving_.OnDeliver(frame, {})) {
      EXPECT_EQ(delivery->first_missing, 0u) << "untold";
      handed_.emplace_back(frame.header.target, delivery->sequence);
      EXPECT_EQ(++last_[frame.header.target], delivery->sequence);
    }
  }

  void Compare() {
    EXPECT_EQ(handed_, reference_->Handed());
    EXPECT_EQ(told_, reference_->lost());
    std::array<uint64_t, wire::kGapReasons> missing{};
    for (const auto& [message, reason] : reference_->lost()) {
      ++missing[static_cast<size_t>(reason)];
    }
    EXPECT_EQ(missing_, missing) << "counted";
    EXPECT_EQ(lane_.bytes(), 0u);
    for (uint32_t topic = 1; topic <= kTopics; ++topic) {
      EXPECT_EQ(last_[topic], under_way_[topic].sequence) << "neither";
    }
  }

  std::mt19937_64 random_;
  Limits limits_;
  std::unique_ptr<ReferenceLane> reference_;
  broker::MissingByReason missing_{};
  broker::Lane lane_;
  broker::OutboxCommon common_{.missing = &missing_};
  broker::Outbox outbox_{&common_};
  core::Receiving receiving_;
  std::map<uint32_t, Part> under_way_;  // or the last, by topic
  std::vector<Message> handed_;
  std::map<Message, GapReason> told_;
  std::map<uint32_t, uint64_t> last_;  // handed or told, by topic
};

void PlayAll(Policy policy) {
  SCOPED_TRACE(test::SeedNote());
  for (uint64_t script = 0; script < 300; ++script) {
    Script(policy, test::Seed() + script).Run(200);
    ASSERT_FALSE(testing::Test::HasFailure()) << "script " << script;
  }
}

TEST(LaneEquivalenceTest, DropOldest) { PlayAll(Policy::kOldest); }
TEST(LaneEquivalenceTest, DropNewest) { PlayAll(Policy::kNewest); }
TEST(LaneEquivalenceTest, Latest) { PlayAll(Policy::kLatest); }

}  // namespace
}  // namespace ipc::model
