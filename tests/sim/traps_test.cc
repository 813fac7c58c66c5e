// SPDX-License-Identifier: Apache-2.0
//
// The traps that the design names (ARCHITECTURE.md, recovery), each as a short
// script. Traps 5 and 7 have files of their own, groups_test.cc and
// retained_test.cc.

#include "gtest/gtest.h"
#include "tests/sim/world_test.h"

namespace ipc::sim {
namespace {

class TrapsTest : public WorldTest {};

constexpr absl::Duration kShort = absl::Milliseconds(50);
constexpr absl::Duration kLong = absl::Seconds(2);
static_assert(kShort < kJoinTimeout && kJoinTimeout < kLong &&
              kLong < kRecoveryGrace);

// -- 1. A returning reader asks for 3..5 while the publisher is sending 6.

TEST_F(TrapsTest, WhatIsSentDuringAResendComesBehindIt) {
  int publisher = StartPublisher("t");
  int reader = StartClient();
  SubscriptionId id = Read(reader, "t");
  Publish(publisher, "t", 2);
  world_.Settle();
  Consume(reader, 2);
  Lose(reader);
  Publish(publisher, "t", 3);
  world_.Settle();
  world_.Stall(publisher, Direction::kDown, kLong);
  Return(reader);
  // The broker has asked for 3 to 5, and 6 comes first.
  Publish(publisher, "t", 1);
  world_.Settle();
  EXPECT_EQ(at(reader).waiting(), 0u);
  world_.Unstall(publisher);
  world_.Settle();
  EXPECT_EQ(at(reader).waiting(), 4u);
  ConsumeAll(reader);
  EXPECT_EQ(at(reader).handled(id), 6u);
}

TEST_F(TrapsTest, AnInterruptedResendIsFollowedByAnother) {
  int publisher = StartPublisher("t");
  int reader = StartClient();
  SubscriptionId id = Read(reader, "t");
  Lose(reader);
  Publish(publisher, "t", 3);
  world_.Stall(publisher, Direction::kDown, kLong);
  Return(reader);
  Lose(reader);
  Return(reader);  // the first resend is still to come
  Publish(publisher, "t", 1);
  world_.Unstall(publisher);
  world_.Settle();
  ConsumeAll(reader);
  EXPECT_EQ(at(reader).handled(id), 4u);
}

// -- 2. A publisher comes back before its reader.

TEST_F(TrapsTest, NothingIsAcknowledgedBeforeTheReaderIsBack) {
  int publisher = StartPublisher("t");
  int reader = StartClient();
  SubscriptionId id = Read(reader, "t");
  Publish(publisher, "t", 3);
  world_.Settle();
  ReplaceBroker();
  Return(publisher);
  Publish(publisher, "t", 1);
  Pass(kLong);
  EXPECT_FALSE(at(publisher).AllAcknowledged());
  Return(reader);
  ConsumeAll(reader);
  EXPECT_EQ(at(reader).handled(id), 4u);
}

TEST_F(TrapsTest, APublisherThatIsNewKeepsWhatReadersOnTheirWayBackAreOwed) {
  int reader = StartClient();
  SubscriptionId id = Read(reader, "t");
  ReplaceBroker();
  int publisher = StartPublisher("t");
  Publish(publisher, "t", 3);
  Pass(kLong);
  EXPECT_FALSE(at(publisher).AllAcknowledged());
  Return(reader);
  ConsumeAll(reader);
  EXPECT_EQ(at(reader).handled(id), 3u);
}

TEST_F(TrapsTest, TheSameHoldsOnTheBrokerAfterThat) {
  int reader = StartClient();
  SubscriptionId id = Read(reader, "t");
  ReplaceBroker();
  // OPENED tells of no readers, from a broker that cannot know them.
  int publisher = StartPublisher("t");
  Publish(publisher, "t", 3);
  Pass(kShort);
  ReplaceBroker();
  Return(publisher);
  Pass(kLong);
  EXPECT_FALSE(at(publisher).AllAcknowledged());
  Return(reader);
  ConsumeAll(reader);
  EXPECT_EQ(at(reader).handled(id), 3u);
}

// -- 3. The broker dies before the publisher has heard of a subscription.

TEST_F(TrapsTest, ASubscriptionIsConfirmedWhenItsPublisherHasHeard) {
  int publisher = StartPublisher("t");
  int reader = StartClient();
  world_.Stall(publisher, Direction::kDown, kLong);
  SubscriptionId id = Read(reader, "t");
  EXPECT_FALSE(at(reader).Confirmed(id));
  world_.Unstall(publisher);
  world_.Settle();
  EXPECT_TRUE(at(reader).Confirmed(id));
  KillBroker();
  Publish(publisher, "t", 1);
  world_.StartBroker(/*restarted=*/true);
  Return(publisher);
  Pass(kLong);
  Return(reader);
  ConsumeAll(reader);
  EXPECT_EQ(at(reader).handled(id), 1u);
}

TEST_F(TrapsTest, ThatIsWaitedForOnlySoLong) {
  int publisher = StartPublisher("t");
  int reader = StartClient();
  world_.Stall(publisher, Direction::kDown, kLong);
  SubscriptionId id = Read(reader, "t");
  Pass(kJoinTimeout);
  EXPECT_TRUE(at(reader).Confirmed(id));
  Publish(publisher, "t", 1);
  world_.Settle();
  EXPECT_EQ(at(reader).waiting(), 1u);
}

TEST_F(TrapsTest, APublisherThatIsAwayMustHearToo) {
  int publisher = StartPublisher("t");
  int reader = StartClient();
  Lose(publisher);
  SubscriptionId id = Read(reader, "t");
  EXPECT_FALSE(at(reader).Confirmed(id));
  Return(publisher);
  EXPECT_TRUE(at(reader).Confirmed(id));
  KillBroker();
  Publish(publisher, "t", 1);
  world_.StartBroker(/*restarted=*/true);
  Return(publisher);
  Pass(kLong);
  Return(reader);
  ConsumeAll(reader);
  EXPECT_EQ(at(reader).handled(id), 1u);
}

TEST_F(TrapsTest, SoMustPublishersOnTheirWayBackFromAnEarlierBroker) {
  int publisher = StartPublisher("t");
  int reader = StartClient();
  ReplaceBroker();
  Return(reader);
  SubscriptionId id = Read(reader, "t");
  EXPECT_FALSE(at(reader).Confirmed(id));
  Pass(kShort);
  Return(publisher);
  Pass(kJoinTimeout);
  EXPECT_TRUE(at(reader).Confirmed(id));
  Publish(publisher, "t", 1);
  world_.Settle();
  ReplaceBroker();
  Return(publisher);
  Pass(kLong);
  Return(reader);
  ConsumeAll(reader);
  EXPECT_EQ(at(reader).handled(id), 1u);
}

// -- 4. A reader that is new after a restart sees nothing that is resent.

TEST_F(TrapsTest, ANewReaderSeesNothingThatIsResentForOthers) {
  int publisher = StartPublisher("t");
  int old_reader = StartClient();
  SubscriptionId old_id = Read(old_reader, "t");
  Publish(publisher, "t", 3);
  world_.Settle();
  ReplaceBroker();
  int new_reader = StartClient();
  SubscriptionId new_id = Read(new_reader, "t");
  Return(publisher);
  Return(old_reader);
  Pass(kJoinTimeout);
  EXPECT_EQ(at(new_reader).waiting(), 0u);
  Publish(publisher, "t", 1);
  world_.Settle();
  ConsumeAll(old_reader);
  ConsumeAll(new_reader);
  EXPECT_EQ(at(old_reader).handled(old_id), 4u);
  EXPECT_EQ(at(new_reader).handled(new_id), 1u);
}

TEST_F(TrapsTest, NorWhatWasOnItsWayWhenThePublisherWasLost) {
  int publisher = StartPublisher("t");
  int reader = StartClient();
  world_.Stall(publisher, Direction::kUp, kLong);
  Publish(publisher, "t", 3);  // lies in the socket
  SubscriptionId id = Read(reader, "t");
  Lose(publisher);
  Return(publisher);
  EXPECT_TRUE(at(reader).Confirmed(id));
  EXPECT_EQ(at(reader).waiting(), 0u);
}

// -- 6. A fragment sequence is cut by a reconnect.

class FragmentsTest : public WorldTest {
 protected:
  static constexpr size_t kBytes = 5 * kFramePayloadBytesMax;

  FragmentsTest() : WorldTest({.pipe_bytes = {100'000}, .keep_trace = true}) {
    publisher_ = StartPublisher("t", 4 * kBytes);
    reader_ = StartClient();
    id_ = Read(reader_, "t");
    Publish(publisher_, "t", 1, kBytes);
    // Some fragments have come to the reader, and one is cut.
    for (int i = 0; i < 2; ++i) {
      for (ConnectionId id : world_.links()) world_.MoveUp(id, 100'000);
      for (ConnectionId id : world_.links()) world_.MoveDown(id, 100'000);
      at(publisher_).Send();
    }
  }

  void ExpectOneWhole() {
    world_.Quiesce(absl::Seconds(10));
    EXPECT_EQ(at(reader_).handled(id_), 1u);
    Publish(publisher_, "t", 1, kBytes);
    world_.Quiesce(absl::Seconds(10));
    EXPECT_EQ(at(reader_).handled(id_), 2u);
  }

  int publisher_ = 0;
  int reader_ = 0;
  SubscriptionId id_{};
};

TEST_F(FragmentsTest, ThePublisherIsLostWithinAMessage) {
  Lose(publisher_);
  Return(publisher_);
  ExpectOneWhole();
}

TEST_F(FragmentsTest, TheReaderIsLostWithinAMessage) {
  Lose(reader_);
  Return(reader_);
  ExpectOneWhole();
}

TEST_F(FragmentsTest, TheBrokerIsLostWithinAMessage) {
  ReplaceBroker();
  Return(publisher_);
  Return(reader_);
  ExpectOneWhole();
}

TEST_F(FragmentsTest, ThePublisherDiesWithinAMessage) {
  world_.KillClient(publisher_, /*known_at_once=*/true);
  world_.Quiesce(absl::Seconds(10));
  EXPECT_EQ(at(reader_).handled(id_), 0u);
  publisher_ = StartPublisher("t");
  Publish(publisher_, "t", 1);
  world_.Quiesce(absl::Seconds(10));
  EXPECT_EQ(at(reader_).handled(id_), 1u);
}

// -- 8. A publisher is forgotten only when it is known to be gone.

TEST_F(TrapsTest, APublisherThatIsAwayIsRemembered) {
  int publisher = StartPublisher("t");
  int reader = StartClient();
  SubscriptionId id = Read(reader, "t");
  Publish(publisher, "t", 3);
  world_.Settle();
  world_.Stall(reader, Direction::kUp, kLong);
  ConsumeAll(reader);  // the acknowledgement dies with the broker
  Pass(kShort);
  ReplaceBroker();
  Return(reader);
  Pass(kLong);
  EXPECT_EQ(at(reader).remembered(id), 1u);
  Return(publisher);
  Publish(publisher, "t", 1);
  Pass(kShort);
  ConsumeAll(reader);
  EXPECT_EQ(at(reader).handled(id), 4u);
}

TEST_F(TrapsTest, APublisherThatDiedIsForgotten) {
  int publisher = StartPublisher("t");
  int reader = StartClient();
  SubscriptionId id = Read(reader, "t");
  Publish(publisher, "t", 3);
  world_.Settle();
  ConsumeAll(reader);
  EXPECT_EQ(at(reader).remembered(id), 1u);
  world_.KillClient(publisher, /*known_at_once=*/false);
  Pass(kShort);
  EXPECT_EQ(at(reader).remembered(id), 0u);
}

TEST_F(TrapsTest, APublisherThatDiedWithTheBrokerIsForgottenAfterTheGrace) {
  int publisher = StartPublisher("t");
  int reader = StartClient();
  SubscriptionId id = Read(reader, "t");
  Publish(publisher, "t", 3);
  world_.Settle();
  ConsumeAll(reader);
  KillBroker();
  world_.KillClient(publisher, /*known_at_once=*/true);
  world_.StartBroker(/*restarted=*/true);
  Return(reader);
  Pass(kLong);
  EXPECT_EQ(at(reader).remembered(id), 1u);
  Pass(kRecoveryGrace);
  EXPECT_EQ(at(reader).remembered(id), 0u);
}

}  // namespace
}  // namespace ipc::sim
