// SPDX-License-Identifier: Apache-2.0
//
// Groups, as scripts: what becomes of a member's share when it, its connection,
// the others or the broker is lost. Trap 5 of the design is among them.

#include <string>
#include <vector>

#include "gtest/gtest.h"
#include "tests/sim/world_test.h"

namespace ipc::sim {
namespace {

constexpr absl::Duration kLong = absl::Seconds(2);

class GroupsTest : public WorldTest {
 protected:
  // A client whose member consumes when it is told to.
  int StartMember(const std::string& pattern = "t") {
    int process = StartClient();
    id_ =
        at(process).Subscribe({.pattern = pattern, .pull = true, .group = "g"});
    world_.Settle();
    return process;
  }
  size_t Handled(int process) { return at(process).handled(id_); }

  SubscriptionId id_{};  // the same in each client
};

TEST_F(GroupsTest, EachMessageGoesToOneMember) {
  int publisher = StartPublisher("t");
  int first = StartMember();
  int second = StartMember();
  Publish(publisher, "t", 10);
  world_.Settle();
  EXPECT_EQ(at(first).waiting(), 5u);
  EXPECT_EQ(at(second).waiting(), 5u);
  ConsumeAll(first);
  Pass(kLong);
  EXPECT_FALSE(at(publisher).AllAcknowledged());
  ConsumeAll(second);
  Pass(kLong);
  EXPECT_TRUE(at(publisher).AllAcknowledged());
}

TEST_F(GroupsTest, AMemberThatDiesPassesItsShareOn) {
  int publisher = StartPublisher("t");
  int first = StartMember();
  int second = StartMember();
  Publish(publisher, "t", 10);
  world_.Settle();
  Consume(first, 2);
  Pass(kAcknowledgeDelay);
  world_.KillClient(first, /*known_at_once=*/true);
  world_.Settle();
  ConsumeAll(second);
  EXPECT_EQ(Handled(second), 8u);
}

TEST_F(GroupsTest, OneMemberThatIsLeftGetsAll) {
  int publisher = StartPublisher("t");
  std::vector<int> members;
  for (int i = 0; i < 5; ++i) members.push_back(StartMember());
  Publish(publisher, "t", 50);
  world_.Settle();
  for (int i = 0; i < 4; ++i) {
    world_.KillClient(members[i], /*known_at_once=*/i % 2 == 0);
    Publish(publisher, "t", 1);
  }
  Pass(kLong);
  ConsumeAll(members[4]);
  EXPECT_EQ(Handled(members[4]), 54u);
}

TEST_F(GroupsTest, ALostConnectionMovesNothingThatHasArrived) {
  int publisher = StartPublisher("t");
  int first = StartMember();
  int second = StartMember();
  Publish(publisher, "t", 4);
  world_.Settle();
  Consume(first, 1);
  // Two more are under way to each, and lost to the one.
  world_.Stall(first, Direction::kDown, kLong);
  Publish(publisher, "t", 4);
  world_.Settle();
  world_.Cut(first, 0, 0);
  world_.NoticeBreak(first);
  world_.Settle();
  EXPECT_EQ(at(first).waiting(), 1u);
  Consume(first, 1);
  Return(first);
  ConsumeAll(first);
  ConsumeAll(second);
  EXPECT_EQ(Handled(first) + Handled(second), 8u);
}

TEST_F(GroupsTest, AMemberThatIsAwayTooLongPassesItsShareOn) {
  world_.history().AllowLoss();
  int publisher = StartPublisher("t");
  int first = StartMember();
  int second = StartMember();
  Publish(publisher, "t", 10);
  world_.Settle();
  Lose(first);
  Pass(kRecoveryGrace);
  ConsumeAll(second);
  EXPECT_EQ(Handled(second), 10u);
}

// Trap 5: the acknowledgement dies with the broker.
TEST_F(GroupsTest, WhatWasConsumedMayComeAgainWhenTheBrokerDies) {
  int publisher = StartPublisher("t");
  int first = StartMember();
  int second = StartMember();
  Publish(publisher, "t", 4);
  world_.Settle();
  ConsumeAll(first);
  ReplaceBroker();
  Return(publisher);
  Pass(kLong);
  EXPECT_FALSE(at(publisher).AllAcknowledged());
  Return(second);
  Return(first);
  ConsumeAll(first);
  ConsumeAll(second);
  // Two of its own, which are handed over again, and all that came again.
  EXPECT_EQ(Handled(second), 6u);
  Pass(kRecoveryGrace);
  EXPECT_TRUE(at(publisher).AllAcknowledged());
}

TEST_F(GroupsTest, AMemberThatIsLeftWhenTheBrokerDiesGetsAll) {
  int publisher = StartPublisher("t");
  int first = StartMember();
  int second = StartMember();
  Publish(publisher, "t", 10);
  world_.Settle();
  KillBroker();
  world_.KillClient(first, /*known_at_once=*/true);
  Publish(publisher, "t", 2);
  world_.StartBroker(/*restarted=*/true);
  Return(publisher);
  Return(second);
  Pass(kLong);
  ConsumeAll(second);
  EXPECT_GE(Handled(second), 12u);
}

TEST_F(GroupsTest, AMemberThatIsNewTakesTheGroupsPlaceAfterARestart) {
  int publisher = StartPublisher("t");
  int first = StartMember();
  Publish(publisher, "t", 3);
  world_.Settle();
  ReplaceBroker();
  Return(publisher);
  int second = StartMember();
  Pass(kLong);
  ConsumeAll(second);
  EXPECT_EQ(Handled(second), 3u);
  Return(first);
}

TEST_F(GroupsTest, LargeMessagesGoToOneMemberAsAWhole) {
  int publisher = StartPublisher("t", 1 << 20);
  int first = StartMember();
  int second = StartMember();
  for (int i = 0; i < 4; ++i) {
    Publish(publisher, "t", 1, 200'000);
    Publish(publisher, "t", 1);
  }
  world_.Settle();
  EXPECT_EQ(at(first).waiting() + at(second).waiting(), 8u);
  EXPECT_EQ(at(first).waiting(), 4u);
}

TEST_F(GroupsTest, ALargeMessageThatIsCutGoesToAnother) {
  world_.set_pipe_bytes({70'000});
  int publisher = StartPublisher("t", 1 << 20);
  world_.set_pipe_bytes({256 * 1024});
  int first = StartMember();
  int second = StartMember();
  Publish(publisher, "t", 1, 300'000);
  // One fragment at a time.
  world_.MoveUp(world_.links().front(), 256 * 1024);
  at(publisher).Send();
  world_.MoveUp(world_.links().front(), 256 * 1024);
  world_.KillClient(first, /*known_at_once=*/true);
  world_.Settle();
  EXPECT_EQ(at(second).waiting(), 1u);
}

TEST_F(GroupsTest, APublisherThatReturnsFindsItsGroup) {
  int publisher = StartPublisher("t");
  int first = StartMember();
  int second = StartMember();
  Publish(publisher, "t", 2);
  world_.Settle();
  Lose(publisher);
  Publish(publisher, "t", 4);
  Return(publisher);
  EXPECT_EQ(at(first).waiting() + at(second).waiting(), 6u);
  ConsumeAll(first);
  ConsumeAll(second);
  Pass(kLong);
  EXPECT_TRUE(at(publisher).AllAcknowledged());
}

TEST_F(GroupsTest, OthersReadAsIfThereWereNone) {
  int publisher = StartPublisher("t");
  StartMember();
  int second = StartMember();
  int reader = StartClient();
  SubscriptionId id = Read(reader, "t");
  Publish(publisher, "t", 10);
  world_.Settle();
  world_.KillClient(second, /*known_at_once=*/true);
  Publish(publisher, "t", 10);
  world_.Settle();
  ConsumeAll(reader);
  EXPECT_EQ(at(reader).handled(id), 20u);
}

}  // namespace
}  // namespace ipc::sim
