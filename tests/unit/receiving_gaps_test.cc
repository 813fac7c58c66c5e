// SPDX-License-Identifier: Apache-2.0
//
// GAP as a client sees it: told once, at its place, consumed in order.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdint>
#include <memory>
#include <vector>

#include "tests/unit/receiving_test.h"

namespace ipc::core {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;
using wire::FrameKind;

TEST_F(ReceivingTest, AGapIsTheNextThatComes) {
  Handle(1);
  EXPECT_THAT(Gap(2, 4, wire::GapReason::kDepth),
              ElementsAre(Missing{2, 4, wire::GapReason::kDepth, 0}));
  EXPECT_THAT(Handle(5), ElementsAre(Handed{5, "", 0})) << "told once";
}

TEST_F(ReceivingTest, AGapMayComeFirstAndLast) {
  EXPECT_THAT(Gap(7, 9), ElementsAre(Missing{7, 9, kDepth, 0}));
  EXPECT_THAT(Handle(10), ElementsAre(Handed{10, "", 0}));
  EXPECT_THAT(Gap(11, 11), ElementsAre(Missing{11, 11, kDepth, 0}));
}

TEST_F(ReceivingTest, WhatIsReceivedIsNotMissing) {
  Handle(1);
  Handle(2);
  EXPECT_THAT(Gap(1, 2), IsEmpty());
  EXPECT_THAT(Gap(1, 3), ElementsAre(Missing{3, 3, kDepth, 0}));
  EXPECT_THAT(Gap(2, 3), IsEmpty()) << "told already";
}

TEST_F(ReceivingTest, AHoleBeforeAGapHasNoReason) {
  Handle(1);
  EXPECT_THAT(Gap(4, 5), ElementsAre(Missing{4, 5, kDepth, 2}));
  EXPECT_THAT(Handle(6), ElementsAre(Handed{6, "", 0}));
}

TEST_F(ReceivingTest, WhatIsToldMissingDoesNotComeAnyMore) {
  Handle(1);
  Gap(2, 4);
  EXPECT_THAT(Handle(3), IsEmpty());
  EXPECT_THAT(Handle(4), IsEmpty());
  EXPECT_THAT(Handle(5), ElementsAre(Handed{5, "", 0}));
}

TEST_F(ReceivingTest, AGapEndsWhatIsUnderWay) {
  EXPECT_THAT(Handle(1, Full('a'), 0, 1), IsEmpty());
  Gap(1, 2);
  EXPECT_THAT(Handle(1, "b", 1, 1), IsEmpty());
  EXPECT_THAT(Handle(3, Full('c'), 0, 1), IsEmpty());
  EXPECT_THAT(Handle(3, "d", 1, 1), ElementsAre(Handed{3, Full('c') + "d", 0}));
}

TEST_F(ReceivingTest, AGapBehindWhatIsConsumedIsAcknowledged) {
  Handle(1);
  Gap(2, 4);
  EXPECT_THAT(Acks(), ElementsAre(Ack{ToNumber(subscription_->id), 7, 3, 4}));
  EXPECT_EQ(Subscribe().positions[0].sequence, 4u);
  // Sent again, because the acknowledgement was lost.
  Gap(2, 4);
  EXPECT_THAT(Acks(), ElementsAre(Ack{ToNumber(subscription_->id), 7, 3, 4}));
}

TEST_F(ReceivingTest, AGapWaitsForWhatIsBeforeIt) {
  std::vector<std::shared_ptr<Stream>> streams;
  const auto receive = [&](uint64_t sequence) {
    ASSERT_TRUE(Deliver({.kind = FrameKind::kDeliver,
                         .target = topic_,
                         .session = session_,
                         .sequence = sequence},
                        "")
                    .has_value());
    streams.push_back(receiving_.last_stream());
  };
  receive(1);
  Gap(2, 3);
  Gap(4, 4);
  receive(5);
  receive(6);
  Gap(7, 9);
  EXPECT_THAT(Acks(), IsEmpty());
  EXPECT_EQ(streams[0]->missing.size(), 2u) << "neighbours are one";
  const auto consumed_after = [&](uint64_t sequence) {
    receiving_.OnConsumed(subscription_, streams[0], sequence, 0, now_);
    return streams[0]->consumed;
  };
  EXPECT_EQ(consumed_after(1), 4u);
  EXPECT_EQ(consumed_after(5), 5u);
  EXPECT_EQ(consumed_after(6), 9u);
  EXPECT_THAT(Acks(), ElementsAre(Ack{ToNumber(subscription_->id), 7, 3, 9}));
}

TEST_F(ReceivingTest, AGapOfBestEffortIsNotAcknowledged) {
  receiving_.OnSelect(Add("a/b", wire::Policy::kBestEffort)->id);
  Handle(1);
  EXPECT_THAT(Gap(2, 4), ElementsAre(Missing{2, 4, kDepth, 0}));
  EXPECT_THAT(Acks(), IsEmpty());
}

TEST_F(ReceivingTest, AGapOfNothingMeansNothing) {
  EXPECT_THAT(Gap(0, 4), IsEmpty());
  EXPECT_THAT(Gap(4, 3), IsEmpty());
  topic_ = 99;
  EXPECT_THAT(Gap(1, 4), IsEmpty()) << "never announced";
  topic_ = 7;
  receiving_.OnSelect(SubscriptionId{99});
  EXPECT_THAT(Gap(1, 4), IsEmpty());
}

// Its publisher knows from where it is entitled; we do not.
TEST_F(ReceivingTest, AStreamOfWhichNothingWholeHasComeHasNoPosition) {
  EXPECT_THAT(Handle(8, Full('a'), 0, 1), IsEmpty());
  EXPECT_THAT(Subscribe().positions, IsEmpty());
  Handle(8, "b", 1, 1);
  EXPECT_EQ(Subscribe().positions[0].sequence, 8u);
}

}  // namespace
}  // namespace ipc::core
