// SPDX-License-Identifier: Apache-2.0
//
// Descriptors on their way through both cores, which never look at them:
// numbers stand for them here. Whatever the sockets take, each frame that has
// some has its own with its first byte, in front of everything else of that
// send.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "broker/core/outbox.h"
#include "libipc/core/publishing.h"
#include "libipc/wire/passed_descriptors.h"
#include "tests/unit/frames.h"

namespace ipc {
namespace {

using test::FrameOf;
using testing::ElementsAre;
using wire::FrameHeader;
using wire::FrameKind;

Descriptors Of(std::vector<int> fds) {
  return std::make_shared<const std::vector<int>>(std::move(fds));
}

// -- What was passed and belongs to no frame yet

TEST(PassedDescriptorsTest, AFrameTakesTheOldestThatWerePassedTogether) {
  wire::PassedDescriptors passed;
  passed.Add(Of({1, 2}));
  passed.Add(Of({3}));
  EXPECT_EQ(passed.Take(1), nullptr);
  EXPECT_THAT(*passed.Take(2), ElementsAre(1, 2));
  EXPECT_THAT(*passed.Take(1), ElementsAre(3));
  EXPECT_EQ(passed.Take(1), nullptr);
}

TEST(PassedDescriptorsTest, OnlyTheFrameUnderWayMayHaveSomeLeft) {
  wire::PassedDescriptors passed;
  const std::string frame =
      FrameOf({.kind = FrameKind::kPublish, .descriptors = 2}, "x");
  const auto tail = [&frame](size_t size) {
    return std::as_bytes(std::span(frame)).first(size);
  };
  EXPECT_TRUE(passed.MayBelongTo(tail(0)));
  passed.Add(Of({1, 2}));
  EXPECT_FALSE(passed.MayBelongTo(tail(0)));
  EXPECT_TRUE(passed.MayBelongTo(tail(1)));
  EXPECT_TRUE(passed.MayBelongTo(tail(40)));
  passed.Add(Of({3}));
  EXPECT_FALSE(passed.MayBelongTo(tail(40)));
  passed.Clear();
  passed.Add(Of({1}));
  EXPECT_FALSE(passed.MayBelongTo(tail(40)));
}

// -- The broker's outbox. Takes what is gathered in pieces, and notes behind
// each frame that begins a send which descriptors passed with it.

class OutboxDescriptorsTest : public testing::Test {
 protected:
  OutboxDescriptorsTest() { lane_.id = SubscriptionId{1}; }

  // Sequence `n`, with descriptor n if it has one.
  void Add(uint64_t n, bool has_descriptor, uint16_t last_fragment = 0) {
    frames_.push_back(std::make_unique<std::string>(
        FrameOf({.kind = FrameKind::kDeliver,
                 .descriptors = has_descriptor ? uint8_t{1} : uint8_t{0},
                 .target = 1,
                 .session = 1,
                 .sequence = n,
                 .last_fragment = last_fragment},
                std::string(last_fragment == 0 ? 10 : 65536, 'x'))));
    outbox_.AddRun(&lane_, std::as_bytes(std::span(*frames_.back())), 1,
                   has_descriptor ? Of({static_cast<int>(n)}) : nullptr);
  }
  void Take(size_t bytes_max, size_t piece) {
    for (size_t taken = 0; taken < bytes_max && !outbox_.empty();) {
      std::string sent;
      for (const auto& segment : outbox_.Gather()) {
        sent.append(reinterpret_cast<const char*>(segment.data()),
                    segment.size());
      }
      if (const Descriptors& with = outbox_.gathered_descriptors()) {
        passed_.Add(with);
      }
      sent.resize(std::min({sent.size(), piece, bytes_max - taken}));
      taken += sent.size();
      outbox_.Sent(sent.size());
      stream_ += sent;
      Read();
    }
  }
  // As a peer does.
  void Read() {
    while (stream_.size() >= kFrameHeaderBytes) {
      const FrameHeader header = test::HeaderOf(stream_);
      if (stream_.size() < header.size) break;
      stream_.erase(0, header.size);
      if (header.kind == FrameKind::kSelect) continue;
      got_ += std::to_string(header.sequence);
      if (header.kind == FrameKind::kGap) {
        got_ += "-" + std::to_string(header.time);
      }
      if (header.descriptors != 0) {
        const Descriptors taken = passed_.Take(header.descriptors);
        got_ += ":";
        got_ += taken == nullptr ? "?" : std::to_string(taken->front());
      }
      got_ += " ";
    }
    EXPECT_TRUE(passed_.MayBelongTo(std::as_bytes(std::span(stream_)))) << got_;
  }

  broker::Lane lane_;
  broker::MissingByReason missing_{};
  broker::OutboxCommon common_{.missing = &missing_};
  broker::Outbox outbox_{&common_};
  std::vector<std::unique_ptr<std::string>> frames_;
  wire::PassedDescriptors passed_;
  std::string stream_;
  std::string got_;
};

TEST_F(OutboxDescriptorsTest, EachFrameHasItsOwnHoweverItIsSent) {
  for (size_t piece : {size_t{1}, size_t{7}, size_t{40}, size_t{1} << 20}) {
    for (size_t at_once : {size_t{0}, size_t{45}, size_t{120}, SIZE_MAX}) {
      got_.clear();
      Add(1, false);
      Add(2, true);
      Add(3, true);
      Add(4, false);
      Add(5, true);
      Take(at_once, piece);
      outbox_.Settle();
      Take(SIZE_MAX, piece);
      EXPECT_EQ(got_, "1 2:2 3:3 4 5:5 ");
      EXPECT_EQ(lane_.queue->descriptors(), 0u);
    }
  }
}

TEST_F(OutboxDescriptorsTest, OneHolderIsSharedAndLetGoWithTheLastQueue) {
  const Descriptors held = Of({1});
  broker::Lane other;
  other.id = SubscriptionId{2};
  const std::string frame = FrameOf(
      {.kind = FrameKind::kDeliver, .descriptors = 1, .sequence = 1}, "x");
  for (broker::Lane* lane : {&lane_, &other}) {
    outbox_.AddRun(lane, std::as_bytes(std::span(frame)), 1, held);
  }
  outbox_.Settle();
  EXPECT_EQ(held.use_count(), 3);
  outbox_.Remove(&other);
  EXPECT_EQ(held.use_count(), 2);
  Take(SIZE_MAX, SIZE_MAX);
  EXPECT_EQ(got_, "1:1 ");
  EXPECT_EQ(held.use_count(), 1);
}

TEST_F(OutboxDescriptorsTest, ABoundedQueueDropsBeyondItsDescriptors) {
  lane_.messages_max = 100;
  lane_.descriptors_max = 2;
  for (uint64_t n = 1; n <= 5; ++n) Add(n, n != 3);
  outbox_.Settle();
  EXPECT_EQ(lane_.queue->descriptors(), 2u);
  EXPECT_EQ(lane_.dropped, 2u);
  Take(SIZE_MAX, SIZE_MAX);
  EXPECT_EQ(got_, "1-2 3 4:4 5:5 ");
}

TEST_F(OutboxDescriptorsTest, SoDoesOneThatKeepsTheOldest) {
  lane_.drop_newest = true;
  lane_.messages_max = 100;
  lane_.descriptors_max = 2;
  for (uint64_t n = 1; n <= 5; ++n) Add(n, n != 3);
  outbox_.Settle();
  Take(SIZE_MAX, SIZE_MAX);
  EXPECT_EQ(got_, "1:1 2:2 3 4-5 ");
}

TEST_F(OutboxDescriptorsTest, TheLatestKeepsThoseOfTheMessageThatIsLeft) {
  lane_.latest = std::make_unique<broker::LatestQueue>(1 << 20);
  for (uint64_t n = 1; n <= 4; ++n) Add(n, true);
  outbox_.Settle();
  EXPECT_EQ(lane_.latest->descriptors(), 1u);
  Take(SIZE_MAX, 1);
  EXPECT_EQ(got_, "1-3 4:4 ");
  EXPECT_EQ(lane_.latest->descriptors(), 0u);
}

// -- The publisher's log

TEST(LogDescriptorsTest, StayUntilThePublicationIsReleased) {
  core::Log log(kWindowBytesMin);
  const Descriptors held = Of({1, 2});
  std::vector<uint64_t> acknowledged = {0, 0};
  uint64_t sequence = 0;
  // Over many laps, at any place in the ring.
  for (size_t payload = 1; payload < 30'000; payload += 479) {
    ++sequence;
    const uint64_t before = log.tail();
    ASSERT_NE(log.TryAppend({.kind = FrameKind::kPublish,
                             .descriptors = 2,
                             .target = 1,
                             .sequence = sequence},
                            payload),
              nullptr);
    log.Attach(before, held);
    const uint64_t at = log.NextAttached(log.Normalize(before));
    EXPECT_EQ(log.DescriptorsAt(at), held);
    EXPECT_EQ(log.HeaderAt(at).sequence, sequence);
    log.Sent(log.unsent_bytes());
    acknowledged[1] = sequence - 1;
    log.Release(acknowledged);
    EXPECT_EQ(log.descriptors(), 2u);
    EXPECT_EQ(held.use_count(), 2);
  }
  acknowledged[1] = sequence;
  log.Release(acknowledged);
  EXPECT_EQ(log.descriptors(), 0u);
  EXPECT_EQ(held.use_count(), 1);
}

}  // namespace
}  // namespace ipc
