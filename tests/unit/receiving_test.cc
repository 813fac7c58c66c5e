// SPDX-License-Identifier: Apache-2.0
//
// A client's subscribing side: nothing twice, every hole noticed, fragments put
// together, and acknowledgements with the numbers of the present connection or
// none.

#include "tests/unit/receiving_test.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

#include "tests/support/control_samples.h"
#include "tests/unit/frames.h"

namespace ipc::core {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;
using wire::FrameKind;

// -- Messages --

TEST_F(ReceivingTest, HandsOverWhatComes) {
  EXPECT_THAT(Handle(1, "one"), ElementsAre(Handed(1, "one", 0)));
  EXPECT_THAT(Handle(2, ""), ElementsAre(Handed(2, "", 0)));
}

TEST_F(ReceivingTest, SkipsAnExtension) {
  const auto delivery = Deliver({.kind = FrameKind::kDeliver,
                                 .target = 7,
                                 .session = 3,
                                 .sequence = 1,
                                 .extension = 4},
                                "extrpayload");
  ASSERT_TRUE(delivery.has_value());
  EXPECT_EQ(delivery->payload.size(), 7u);
}

TEST_F(ReceivingTest, HandsNothingOverTwice) {
  Handle(1);
  Handle(2);
  EXPECT_THAT(Handle(2), IsEmpty());
  EXPECT_THAT(Handle(1), IsEmpty());
  EXPECT_EQ(receiving_.duplicates(), 2u);
  EXPECT_THAT(Handle(3), ElementsAre(Handed(3, "", 0)));
}

TEST_F(ReceivingTest, NoticesAHole) {
  Handle(1);
  EXPECT_THAT(Handle(5), ElementsAre(Handed(5, "", 2)));
  EXPECT_THAT(Handle(6), ElementsAre(Handed(6, "", 0)));
}

TEST_F(ReceivingTest, NothingIsMissingBeforeTheFirstMessage) {
  EXPECT_THAT(Handle(1000), ElementsAre(Handed(1000, "", 0)));
}

TEST_F(ReceivingTest, ChannelsAndPublishersHaveStreamsOfTheirOwn) {
  Announce(8, 3, 1, 6);
  Announce(7, 4, 2, 5);
  Handle(1);
  topic_ = 8;
  EXPECT_THAT(Handle(1), ElementsAre(Handed(1, "", 0)));
  topic_ = 7;
  session_ = 4;
  EXPECT_THAT(Handle(1), ElementsAre(Handed(1, "", 0)));
  EXPECT_THAT(Handle(1), IsEmpty());
  EXPECT_EQ(subscription_->streams.size(), 3u);
}

TEST_F(ReceivingTest, ATopicThatIsOpenedOnAnotherChannelIsAnotherStream) {
  Handle(1);
  Handle(2);
  Announce(7, 3, 1, /*channel=*/6);
  // Nothing of the old one is acknowledged as something of the new one.
  EXPECT_THAT(Acks(), IsEmpty());
  EXPECT_THAT(Handle(1, "new"), ElementsAre(Handed{1, "new", 0}));
  EXPECT_THAT(Acks(), ElementsAre(Ack{1, 7, 3, 1}));
  ASSERT_EQ(subscription_->streams.size(), 2u);
}

TEST_F(ReceivingTest, TheLastAnnouncementIsTheSourceOfWhatFollows) {
  Handle(1);
  wire::Announce announce;
  announce.topic_id = TopicId{7};
  announce.session_number = SessionNumber{3};
  announce.session = Key(1);
  announce.channel = ChannelNumber{5};
  announce.topic = "a/b";
  announce.type_name = "acme.Other";
  announce.ack_bytes = kAckBytes;
  receiving_.OnAnnounce(announce);
  EXPECT_THAT(Handle(2), ElementsAre(Handed{2, "", 0}));
  EXPECT_EQ(receiving_.last_stream()->source->type_name, "acme.Other");
}

TEST_F(ReceivingTest, AnAnnouncementThatIsRepeatedChangesNothing) {
  Handle(1);
  Announce(7, 3);
  EXPECT_THAT(Acks(), ElementsAre(Ack{1, 7, 3, 1}));
}

TEST_F(ReceivingTest, SubscriptionsHaveStreamsOfTheirOwn) {
  Receiving::Subscription* other = Add("a/b");
  Handle(1);
  receiving_.OnSelect(other->id);
  EXPECT_THAT(Handle(1), ElementsAre(Handed(1, "", 0)));
  receiving_.OnSelect(subscription_->id);
  EXPECT_THAT(Handle(1), IsEmpty());
}

TEST_F(ReceivingTest, WhatWasNotAnnouncedIsDropped) {
  topic_ = 8;
  EXPECT_THAT(Handle(1), IsEmpty());
  Announce(8, 3);
  EXPECT_THAT(Handle(2), ElementsAre(Handed(2, "", 0)));
}

TEST_F(ReceivingTest, NothingIsHandedOverWithoutASelection) {
  receiving_.OnSelect(SubscriptionId{55});
  EXPECT_EQ(receiving_.selected(), nullptr);
  EXPECT_THAT(Handle(1), IsEmpty());
  receiving_.OnAbort({.kind = FrameKind::kAbort});
  receiving_.OnGone(SessionNumber{3});
}

TEST_F(ReceivingTest, NothingIsHandedOverToARemovedSubscription) {
  Handle(1);
  receiving_.Remove(subscription_->id);
  EXPECT_EQ(receiving_.selected(), nullptr);
  EXPECT_THAT(Handle(2), IsEmpty());
  EXPECT_THAT(Acks(), IsEmpty());
}

// -- Fragments --

TEST_F(ReceivingTest, PutsFragmentsTogether) {
  EXPECT_THAT(Handle(1, Full('a'), 0, 2), IsEmpty());
  EXPECT_THAT(Handle(1, Full('b'), 1, 2), IsEmpty());
  const auto handed = Handle(1, "end", 2, 2);
  ASSERT_EQ(handed.size(), 1u);
  EXPECT_TRUE(std::get<1>(handed[0]) == Full('a') + Full('b') + "end");
  EXPECT_THAT(Handle(2, "next"), ElementsAre(Handed(2, "next", 0)));
}

TEST_F(ReceivingTest, AHeadlessMessageIsDroppedAndTheHoleNoticed) {
  Handle(1);
  EXPECT_THAT(Handle(2, Full('b'), 1, 2), IsEmpty());
  EXPECT_THAT(Handle(2, "end", 2, 2), IsEmpty());
  EXPECT_THAT(Handle(3), ElementsAre(Handed(3, "", 2)));
}

TEST_F(ReceivingTest, AMessageWithAMissingFragmentIsDropped) {
  Handle(1);
  EXPECT_THAT(Handle(2, Full('a'), 0, 3), IsEmpty());
  EXPECT_THAT(Handle(2, Full('c'), 2, 3), IsEmpty());
  EXPECT_THAT(Handle(2, Full('b'), 1, 3), IsEmpty());
  EXPECT_THAT(Handle(2, "end", 3, 3), IsEmpty());
  EXPECT_THAT(Handle(3), ElementsAre(Handed(3, "", 2)));
}

TEST_F(ReceivingTest, FragmentZeroBeginsAMessageAnew) {
  Handle(1, Full('a'), 0, 2);
  Handle(1, Full('b'), 1, 2);
  Handle(1, Full('a'), 0, 2);
  Handle(1, Full('b'), 1, 2);
  const auto handed = Handle(1, "end", 2, 2);
  ASSERT_EQ(handed.size(), 1u);
  EXPECT_TRUE(std::get<1>(handed[0]) == Full('a') + Full('b') + "end");
}

TEST_F(ReceivingTest, ASecondMessageDiscardsTheUnfinishedFirst) {
  Handle(1, Full('a'), 0, 1);
  Handle(2, Full('c'), 0, 1);
  EXPECT_THAT(Handle(1, "end", 1, 1), IsEmpty());
  const auto handed = Handle(2, "end", 1, 1);
  ASSERT_EQ(handed.size(), 1u);
  EXPECT_TRUE(std::get<1>(handed[0]) == Full('c') + "end");
}

TEST_F(ReceivingTest, AnAbortedMessageComesAgainInFull) {
  Handle(1, Full('a'), 0, 1);
  receiving_.OnAbort(
      {.kind = FrameKind::kAbort, .target = 7, .session = 3, .sequence = 1});
  EXPECT_THAT(Handle(1, "end", 1, 1), IsEmpty());
  Handle(1, Full('a'), 0, 1);
  EXPECT_EQ(Handle(1, "end", 1, 1).size(), 1u);
}

TEST_F(ReceivingTest, AnAbortOfAnotherMessageChangesNothing) {
  Handle(1, Full('a'), 0, 1);
  receiving_.OnAbort(
      {.kind = FrameKind::kAbort, .target = 7, .session = 3, .sequence = 2});
  receiving_.OnAbort(
      {.kind = FrameKind::kAbort, .target = 8, .session = 3, .sequence = 1});
  EXPECT_EQ(Handle(1, "end", 1, 1).size(), 1u);
}

TEST_F(ReceivingTest, ADuplicateInFragmentsCountsOnce) {
  Handle(1, Full('a'), 0, 1);
  Handle(1, "end", 1, 1);
  EXPECT_THAT(Handle(1, Full('a'), 0, 1), IsEmpty());
  EXPECT_THAT(Handle(1, "end", 1, 1), IsEmpty());
  EXPECT_EQ(receiving_.duplicates(), 1u);
}

// -- GONE --

TEST_F(ReceivingTest, AGonePublishersStreamsAreForgotten) {
  Announce(8, 3, 1, 6);
  Announce(7, 4, 2, 5);
  Handle(5);
  topic_ = 8;
  Handle(5);
  topic_ = 7;
  session_ = 4;
  Handle(5);
  receiving_.OnGone(SessionNumber{3});
  EXPECT_EQ(subscription_->streams.size(), 1u);
  EXPECT_THAT(Acks(), ElementsAre(Ack(1, 7, 4, 5)));
  EXPECT_THAT(Subscribe().positions.size(), 1);
  session_ = 3;
  EXPECT_THAT(Handle(1), ElementsAre(Handed(1, "", 0)));
}

TEST_F(ReceivingTest, GoneIsForTheSelectedSubscriptionAlone) {
  Receiving::Subscription* other = Add("a/b");
  Handle(5);
  receiving_.OnSelect(other->id);
  Handle(5);
  receiving_.OnGone(SessionNumber{3});
  EXPECT_EQ(other->streams.size(), 0u);
  EXPECT_EQ(subscription_->streams.size(), 1u);
}

TEST_F(ReceivingTest, GoneOfAStrangerChangesNothing) {
  Handle(5);
  receiving_.OnGone(SessionNumber{77});
  EXPECT_EQ(subscription_->streams.size(), 1u);
}

TEST_F(ReceivingTest, AnAnnouncementOfASessionAloneIsEnoughForGone) {
  Handle(5);
  receiving_.OnDisconnected();
  receiving_.OnSelect(subscription_->id);
  Announce(/*topic=*/0, /*session=*/12);
  receiving_.OnGone(SessionNumber{12});
  EXPECT_EQ(subscription_->streams.size(), 0u);
}

// -- Acknowledgement --

TEST_F(ReceivingTest, AcknowledgesAfterADelayWhatWasConsumed) {
  EXPECT_TRUE(receiving_.acknowledge_at().IsNever());
  const MonotonicTime first = now_;
  Handle(1);
  EXPECT_EQ(receiving_.acknowledge_at(), first + kAcknowledgeDelay);
  now_ = now_ + absl::Milliseconds(1);
  Handle(2);
  EXPECT_EQ(receiving_.acknowledge_at(), first + kAcknowledgeDelay);
  EXPECT_THAT(Acks(), ElementsAre(Ack(1, 7, 3, 2)));
  EXPECT_THAT(Acks(), IsEmpty());
}

TEST_F(ReceivingTest, AcknowledgesAtOnceWhatIsMuch) {
  Handle(1, std::string(kAckBytes - 2 * kFrameHeaderBytes - 1, 'p'));
  EXPECT_NE(receiving_.acknowledge_at(), now_);
  Handle(2);
  EXPECT_NE(receiving_.acknowledge_at(), now_);
  Handle(3);
  EXPECT_EQ(receiving_.acknowledge_at(), now_);
  Acks();
  Handle(4);
  EXPECT_EQ(receiving_.acknowledge_at(), now_ + kAcknowledgeDelay);
}

TEST_F(ReceivingTest, AcknowledgementsGoAlongWithWhatIsSentInTheirLaterHalf) {
  const absl::Duration half = kAcknowledgeDelay / 2;
  const MonotonicTime first = now_;
  Handle(1);
  std::string control;
  receiving_.AppendAcksAlong(first + (half - absl::Nanoseconds(1)), &control);
  EXPECT_EQ(control, "");
  receiving_.AppendAcksAlong(first + half, &control);
  EXPECT_EQ(control.size(), 2 * kFrameHeaderBytes);  // SELECT, ACK
  EXPECT_THAT(Acks(), IsEmpty());
}

TEST_F(ReceivingTest, EachStreamIsAcknowledgedUnderItsSubscription) {
  Receiving::Subscription* other = Add("a/b");
  Announce(8, 3, 1, 6);
  Handle(1);
  topic_ = 8;
  Handle(4);
  receiving_.OnSelect(other->id);
  Handle(2);
  EXPECT_THAT(Acks(),
              ElementsAre(Ack(1, 7, 3, 1), Ack(1, 8, 3, 4), Ack(2, 8, 3, 2)));
}

TEST_F(ReceivingTest, BestEffortIsNotAcknowledged) {
  receiving_.OnSelect(Add("a/b", wire::Policy::kBestEffort)->id);
  Handle(1);
  Handle(1);
  EXPECT_TRUE(receiving_.acknowledge_at().IsNever());
  EXPECT_THAT(Acks(), IsEmpty());
}

TEST_F(ReceivingTest, ADuplicateIsAcknowledgedAgain) {
  Handle(3);
  EXPECT_EQ(Acks().size(), 1u);
  Handle(2);
  EXPECT_THAT(Acks(), ElementsAre(Ack(1, 7, 3, 3)));
}

TEST_F(ReceivingTest, WhatIsConsumedLaterIsAcknowledgedLater) {
  const auto header = [](uint64_t sequence) {
    return wire::FrameHeader{.kind = FrameKind::kDeliver,
                             .target = 7,
                             .session = 3,
                             .sequence = sequence};
  };
  ASSERT_TRUE(Deliver(header(1), "").has_value());
  ASSERT_TRUE(Deliver(header(2), "").has_value());
  const std::shared_ptr<Stream> stream = receiving_.last_stream();
  EXPECT_THAT(Acks(), IsEmpty());
  receiving_.OnConsumed(subscription_, stream, 1, 0, now_);
  EXPECT_THAT(Acks(), ElementsAre(Ack(1, 7, 3, 1)));
  // A duplicate must not claim what is not consumed yet.
  ASSERT_FALSE(Deliver(header(2), "").has_value());
  EXPECT_THAT(Acks(), ElementsAre(Ack(1, 7, 3, 1)));
  receiving_.OnConsumed(subscription_, stream, 2, 0, now_);
  EXPECT_THAT(Acks(), ElementsAre(Ack(1, 7, 3, 2)));
}

TEST_F(ReceivingTest, AStreamThatEndedMayStillBeConsumed) {
  ASSERT_TRUE(Deliver({.kind = FrameKind::kDeliver,
                       .target = 7,
                       .session = 3,
                       .sequence = 1},
                      "")
                  .has_value());
  const std::shared_ptr<Stream> stream = receiving_.last_stream();
  receiving_.OnGone(SessionNumber{3});
  receiving_.OnConsumed(subscription_, stream, 1, 0, now_);
  EXPECT_THAT(Acks(), IsEmpty());
}

// -- Reconnecting --

TEST_F(ReceivingTest, ASubscriptionSaysWhatItWants) {
  const wire::Subscribe subscribe = Subscribe();
  EXPECT_EQ(subscribe.subscription, subscription_->id);
  EXPECT_EQ(subscribe.pattern, "a/*");
  EXPECT_EQ(subscribe.policy, wire::Policy::kReliable);
  EXPECT_FALSE(subscribe.resume);
  EXPECT_THAT(subscribe.positions, IsEmpty());
}

TEST_F(ReceivingTest, AResumptionTellsWhatWasConsumed) {
  subscription_->confirmed = true;
  Announce(8, 3, 1, 6);
  Handle(4);
  topic_ = 8;
  ASSERT_TRUE(Deliver({.kind = FrameKind::kDeliver,
                       .target = 8,
                       .session = 3,
                       .sequence = 9},
                      "")
                  .has_value());
  receiving_.OnDisconnected();
  const wire::Subscribe subscribe = Subscribe();
  EXPECT_TRUE(subscribe.resume);
  ASSERT_EQ(subscribe.positions.size(), 2u);
  EXPECT_EQ(subscribe.positions[0].session, Key(1));
  EXPECT_EQ(subscribe.positions[0].channel, ChannelNumber{5});
  EXPECT_EQ(subscribe.positions[0].sequence, 4u);
  EXPECT_EQ(subscribe.positions[1].channel, ChannelNumber{6});
  EXPECT_EQ(subscribe.positions[1].sequence, 0u);  // received, not consumed
}

TEST_F(ReceivingTest, AStreamGoesOnUnderTheNumbersOfTheNextConnection) {
  Handle(4);
  receiving_.OnDisconnected();
  EXPECT_EQ(receiving_.selected(), nullptr);
  receiving_.OnSelect(subscription_->id);
  Announce(/*topic=*/70, /*session=*/30);
  topic_ = 70;
  session_ = 30;
  EXPECT_THAT(Handle(4), IsEmpty());
  EXPECT_THAT(Acks(), ElementsAre(Ack(1, 70, 30, 4)));
  EXPECT_THAT(Handle(5), ElementsAre(Handed(5, "", 0)));
  EXPECT_THAT(Acks(), ElementsAre(Ack(1, 70, 30, 5)));
}

TEST_F(ReceivingTest, OldNumbersMeanNothingOnTheNextConnection) {
  Handle(4);
  receiving_.OnDisconnected();
  receiving_.OnSelect(subscription_->id);
  EXPECT_THAT(Handle(5), IsEmpty());
  receiving_.OnGone(SessionNumber{3});
  EXPECT_EQ(subscription_->streams.size(), 1u);
}

TEST_F(ReceivingTest, NothingIsAcknowledgedWithOldNumbers) {
  Handle(4);
  ASSERT_TRUE(Deliver({.kind = FrameKind::kDeliver,
                       .target = 7,
                       .session = 3,
                       .sequence = 5},
                      "")
                  .has_value());
  const std::shared_ptr<Stream> stream = receiving_.last_stream();
  receiving_.OnDisconnected();
  EXPECT_TRUE(receiving_.acknowledge_at().IsNever());
  EXPECT_THAT(Acks(), IsEmpty());
  // Consumed between two connections.
  receiving_.OnConsumed(subscription_, stream, 5, 100, now_);
  EXPECT_TRUE(receiving_.acknowledge_at().IsNever());
  EXPECT_THAT(Acks(), IsEmpty());
  // The new numbers come with the stream's first frame.
  receiving_.OnSelect(subscription_->id);
  Announce(70, 30);
  EXPECT_THAT(Acks(), IsEmpty());
  topic_ = 70;
  session_ = 30;
  Handle(5);
  EXPECT_THAT(Acks(), ElementsAre(Ack(1, 70, 30, 5)));
}

TEST_F(ReceivingTest, ADeliveryOfALostConnectionIsNotAcknowledged) {
  const auto delivery = Deliver(
      {.kind = FrameKind::kDeliver, .target = 7, .session = 3, .sequence = 1},
      "");
  ASSERT_TRUE(delivery.has_value());
  receiving_.OnDisconnected();
  receiving_.OnConsumed(*delivery, now_);
  EXPECT_THAT(Acks(), IsEmpty());
  subscription_->confirmed = true;
  EXPECT_EQ(Subscribe().positions[0].sequence, 1u);
}

TEST_F(ReceivingTest, AHalfMessageIsDiscardedWithTheConnection) {
  Handle(1, Full('a'), 0, 1);
  receiving_.OnDisconnected();
  receiving_.OnSelect(subscription_->id);
  Announce(7, 3);
  EXPECT_THAT(Handle(1, "end", 1, 1), IsEmpty());
  Handle(1, Full('a'), 0, 1);
  EXPECT_EQ(Handle(1, "end", 1, 1).size(), 1u);
}

TEST_F(ReceivingTest, TellsNoMorePositionsThanABrokerTakes) {
  subscription_->confirmed = true;
  for (uint32_t i = 1; i <= kPositionsPerSubscriptionMax + 5; ++i) {
    Announce(100 + i, 3, 1, 100 + i);
    topic_ = 100 + i;
    Handle(1);
  }
  EXPECT_EQ(Subscribe().positions.size(), kPositionsPerSubscriptionMax);
}

TEST_F(ReceivingTest, SubscriptionNumbersAreNotUsedTwice) {
  const SubscriptionId first = subscription_->id;
  receiving_.Remove(first);
  receiving_.Remove(first);
  EXPECT_NE(Add("b")->id, first);
  EXPECT_EQ(receiving_.Find(first), nullptr);
  EXPECT_EQ(receiving_.subscriptions().size(), 1u);
}

}  // namespace
}  // namespace ipc::core
