// SPDX-License-Identifier: Apache-2.0
//
// A broker that is about to end: nothing new passes, and what was routed is
// seen through to its acknowledgement.

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/unit/frame_client.h"

namespace ipc::broker {
namespace {

using test::BrokerShell;
using test::FrameClient;
using testing::ElementsAre;
using testing::IsEmpty;
using wire::FrameKind;

class BrokerDrainTest : public testing::Test {
 protected:
  BrokerDrainTest() {
    publisher_.Greet();
    reader_.Greet();
    publisher_.Open(1, "a");
    publisher_.Take();
    // Past the hold.
    shell_.Advance(kStartHold);
  }
  void Subscribe() {
    reader_.Subscribe(1, "a");
    publisher_.Joined(publisher_.Only<wire::Join>().reader.reader);
    reader_.Take();
    publisher_.Take();
  }
  void Drain() { shell_.broker().Drain(shell_.now()); }
  bool IsDrained() { return shell_.broker().IsDrained(); }

  BrokerShell shell_;
  FrameClient publisher_{&shell_, 1};
  FrameClient reader_{&shell_, 2};
};

TEST_F(BrokerDrainTest, WithNothingUnderWayItIsDrainedAtOnce) {
  Subscribe();
  shell_.Advance(kAcknowledgeDelay);
  Drain();
  EXPECT_TRUE(IsDrained());
}

TEST_F(BrokerDrainTest, WhatWasRoutedIsSeenThroughToItsAcknowledgement) {
  Subscribe();
  publisher_.Publish(1, 1);
  const test::Got deliver = reader_.OnlyFrame(FrameKind::kDeliver);
  Drain();
  EXPECT_FALSE(IsDrained());
  publisher_.SetRoom(0);
  reader_.Ack(deliver);
  // The acknowledgement is on its way to the publisher.
  EXPECT_FALSE(IsDrained());
  publisher_.SetRoom(BrokerShell::kEndless);
  EXPECT_TRUE(IsDrained());
  EXPECT_THAT(test::SequencesOf(publisher_.Take(), FrameKind::kAck),
              ElementsAre(1));
}

TEST_F(BrokerDrainTest, WhatWaitsForASubscriberIsSent) {
  Subscribe();
  reader_.SetRoom(0);
  publisher_.Publish(1, 1);
  Drain();
  reader_.SetRoom(BrokerShell::kEndless);
  const test::Got deliver = reader_.OnlyFrame(FrameKind::kDeliver);
  EXPECT_FALSE(IsDrained());
  reader_.Ack(deliver);
  EXPECT_TRUE(IsDrained());
}

TEST_F(BrokerDrainTest, BestEffortIsDrainedWhenItIsSent) {
  reader_.SubscribeBestEffort(1, "a", 10);
  reader_.Take();
  reader_.SetRoom(0);
  publisher_.Publish(1, 1);
  Drain();
  shell_.Advance(kAcknowledgeDelay);
  EXPECT_FALSE(IsDrained());
  reader_.SetRoom(BrokerShell::kEndless);
  EXPECT_TRUE(IsDrained());
}

TEST_F(BrokerDrainTest, WithoutReadersItWaitsForTheLateAcknowledgement) {
  publisher_.Publish(1, 1);
  Drain();
  EXPECT_FALSE(IsDrained());
  shell_.Advance(kAcknowledgeDelay);
  EXPECT_TRUE(IsDrained());
  EXPECT_THAT(test::SequencesOf(publisher_.Take(), FrameKind::kAck),
              ElementsAre(1));
}

TEST_F(BrokerDrainTest, PublicationsAreDroppedAndNotAcknowledged) {
  Subscribe();
  Drain();
  publisher_.Publish(1, 1);
  publisher_.Publish(1, 2);
  publisher_.Send({.kind = FrameKind::kPing, .sequence = 7});
  shell_.Advance(kAcknowledgeDelay);
  EXPECT_THAT(reader_.Take(), IsEmpty());
  EXPECT_THAT(test::KindsOf(publisher_.Take()), ElementsAre("PONG"));
  EXPECT_TRUE(publisher_.is_open());
  EXPECT_TRUE(IsDrained());
}

TEST_F(BrokerDrainTest, APublicationThatIsHalfThereIsNotWaitedFor) {
  Subscribe();
  publisher_.Send(test::FragmentOf(1, 1, 0, 1));
  Drain();
  publisher_.Send(test::FragmentOf(1, 1, 1, 1));
  EXPECT_THAT(test::KindsOf(reader_.Take()), ElementsAre("SELECT", "DELIVER"));
  EXPECT_TRUE(IsDrained());
}

TEST_F(BrokerDrainTest, WhoIsAwaitedIsNotWaitedFor) {
  Subscribe();
  publisher_.Publish(1, 1);
  Drain();
  EXPECT_FALSE(IsDrained());
  reader_.Lose(/*process_alive=*/true);
  EXPECT_TRUE(IsDrained());
}

}  // namespace
}  // namespace ipc::broker
