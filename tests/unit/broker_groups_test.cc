// SPDX-License-Identifier: Apache-2.0
//
// Groups: one reader to publishers, one message to one member, and what becomes
// of a member's share when it is lost.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "broker/core/group.h"
#include "tests/unit/broker_shell.h"
#include "tests/unit/frame_client.h"

namespace ipc::broker {
namespace {

using test::FrameClient;
using test::Got;
using test::SequencesOf;
using testing::ElementsAre;
using testing::IsEmpty;
using testing::SizeIs;
using wire::FrameKind;

wire::Subscribe MemberMessage(uint32_t id, std::string_view pattern = "t",
                              std::string_view group = "g") {
  wire::Subscribe subscribe = test::SubscribeMessage(id, pattern);
  subscribe.group = group;
  return subscribe;
}

BrokerOptions Restarted() {
  BrokerOptions options;
  options.restarted = true;
  return options;
}

// Room for one frame in each queue.
BrokerOptions Narrow() {
  BrokerOptions options;
  options.reliable_queue_bytes_max = 1;
  return options;
}

class BrokerGroupsTest : public testing::Test {
 protected:
  explicit BrokerGroupsTest(const BrokerOptions& options = {})
      : shell_(options),
        publisher_(&shell_, 1),
        first_(&shell_, 2),
        second_(&shell_, 3) {
    publisher_.Greet();
    first_.Greet();
    second_.Greet();
    shell_.Advance(kStartHold);
  }

  // Publishes on channel 1, topic "t", to `first_` and `second_`.
  void StartBoth() {
    publisher_.Open(1, "t");
    Enter(&first_);
    Enter(&second_);
    Clear();
  }
  void Enter(FrameClient* client, uint32_t id = 7) {
    client->Send(MemberMessage(id), id);
    for (const Got& join : publisher_.TakeOf(FrameKind::kJoin)) {
      publisher_.Joined(join.As<wire::Join>().reader.reader);
    }
  }
  void Clear() {
    publisher_.Take();
    first_.Take();
    second_.Take();
  }
  // In one read.
  void Publish(uint64_t first, uint64_t last) {
    std::string bytes;
    for (uint64_t i = first; i <= last; ++i) bytes += test::PublishOf(1, i);
    publisher_.Send(bytes);
  }
  void Resend(ReaderId reader, uint64_t first, uint64_t last) {
    for (uint64_t i = first; i <= last; ++i) publisher_.Resend(1, i, reader);
    publisher_.ResendEnd(reader);
  }
  // Where the only RESEND that came begins.
  std::pair<ReaderId, uint64_t> AskedFrom() {
    const auto resend = publisher_.Only<wire::Resend>();
    if (resend.channels.size() != 1) return {};
    return {resend.reader.reader, resend.channels[0].sequence};
  }
  static std::vector<Got> DeliveredTo(FrameClient* client) {
    return client->TakeOf(FrameKind::kDeliver);
  }
  static std::vector<uint64_t> SequencesTo(FrameClient* client) {
    return SequencesOf(client->Take(), FrameKind::kDeliver);
  }
  std::vector<uint64_t> Acks() {
    return SequencesOf(publisher_.Take(), FrameKind::kAck);
  }
  // The member comes back and says how far it had got on channel 1.
  void Return(FrameClient* member, uint64_t consumed, uint64_t received) {
    member->Connect();
    member->Hello();
    wire::Subscribe again = MemberMessage(7);
    again.resume = true;
    again.positions = {{.session = publisher_.key(),
                        .channel = ChannelNumber{1},
                        .sequence = consumed,
                        .received = received}};
    member->Send(again, 7);
    member->Resumed();
  }

  test::BrokerShell shell_;
  FrameClient publisher_;
  FrameClient first_;
  FrameClient second_;
};

// -- One reader --

TEST_F(BrokerGroupsTest, APublisherSeesOneReader) {
  publisher_.Open(1, "t");
  publisher_.Take();
  first_.Send(MemberMessage(7), 7);
  const auto join = publisher_.Only<wire::Join>();
  EXPECT_EQ(join.reader.session, GroupKey("g", "t", first_.peer().uid));
  EXPECT_EQ(join.reader.subscription, kGroupSubscription);
  EXPECT_THAT(first_.TakeOf(FrameKind::kResult), IsEmpty());
  publisher_.Joined(join.reader.reader);
  EXPECT_EQ(first_.Only<wire::Result>().code, absl::StatusCode::kOk);

  second_.Send(MemberMessage(7), 7);
  EXPECT_EQ(second_.Only<wire::Result>().code, absl::StatusCode::kOk);
  const std::vector<Got> told = publisher_.Take();
  EXPECT_THAT(test::KindsOf(told), ElementsAre("MATCHES"));
  EXPECT_EQ(told[0].header.sequence, 2u);
}

TEST_F(BrokerGroupsTest, MembersThatWaitAreConfirmedTogether) {
  publisher_.Open(1, "t");
  publisher_.Take();
  first_.Send(MemberMessage(7), 7);
  second_.Send(MemberMessage(7), 7);
  EXPECT_THAT(second_.TakeOf(FrameKind::kResult), IsEmpty());
  publisher_.Joined(publisher_.Only<wire::Join>().reader.reader);
  EXPECT_THAT(first_.TakeOf(FrameKind::kResult), SizeIs(1));
  EXPECT_THAT(second_.TakeOf(FrameKind::kResult), SizeIs(1));
}

TEST_F(BrokerGroupsTest, AnotherPatternIsAnotherGroup) {
  publisher_.Open(1, "t");
  Enter(&first_);
  second_.Send(MemberMessage(7, "*"), 7);
  publisher_.Joined(publisher_.Only<wire::Join>().reader.reader);
  Clear();
  Publish(1, 2);
  EXPECT_THAT(SequencesTo(&first_), ElementsAre(1, 2));
  EXPECT_THAT(SequencesTo(&second_), ElementsAre(1, 2));
}

TEST_F(BrokerGroupsTest, TheTokenOfAGroupMakesNobodyTheGroup) {
  StartBoth();
  FrameClient thief(&shell_, 9);
  wire::Hello hello = thief.HelloMessage();
  hello.token = GroupKey("g", "t", thief.peer().uid).token;
  thief.Send(hello, 0);
  thief.Send(test::SubscribeMessage(1, "t"), 1);
  thief.Resumed();
  // A reader of its own.
  const auto join = publisher_.Only<wire::Join>();
  EXPECT_EQ(join.reader.session.pid, thief.peer().pid);
}

TEST_F(BrokerGroupsTest, AGroupIsNoClient) {
  StartBoth();
  first_.Send(wire::ListClients(), 1);
  EXPECT_THAT(first_.Only<wire::Clients>().clients, SizeIs(3));
}

// -- Sharing out --

TEST_F(BrokerGroupsTest, ABurstIsSharedOut) {
  StartBoth();
  Publish(1, 6);
  EXPECT_THAT(SequencesTo(&first_), ElementsAre(1, 2, 3));
  EXPECT_THAT(SequencesTo(&second_), ElementsAre(4, 5, 6));
}

TEST_F(BrokerGroupsTest, EqualsTakeTurns) {
  StartBoth();
  for (uint64_t i = 1; i <= 4; ++i) Publish(i, i);
  EXPECT_THAT(SequencesTo(&first_), ElementsAre(1, 3));
  EXPECT_THAT(SequencesTo(&second_), ElementsAre(2, 4));
}

TEST_F(BrokerGroupsTest, WhoHasConsumedGetsMore) {
  StartBoth();
  for (uint64_t i = 1; i <= 6; ++i) {
    Publish(i, i);
    for (const Got& frame : DeliveredTo(&second_)) second_.Ack(frame);
  }
  EXPECT_THAT(SequencesTo(&first_), ElementsAre(1));
}

TEST_F(BrokerGroupsTest, WhatAllBeforeItAreDoneWithIsAcknowledged) {
  StartBoth();
  Publish(1, 4);
  const std::vector<Got> to_first = DeliveredTo(&first_);
  second_.Ack(DeliveredTo(&second_).back());
  EXPECT_THAT(Acks(), IsEmpty());
  first_.Ack(to_first[0]);
  EXPECT_THAT(Acks(), ElementsAre(1));
  first_.Ack(to_first[1]);
  EXPECT_THAT(Acks(), ElementsAre(4));
}

TEST_F(BrokerGroupsTest, AnAcknowledgementOfAnothersShareMeansNothing) {
  StartBoth();
  Publish(1, 4);
  Got frame = DeliveredTo(&first_).back();
  frame.header.sequence = 4;
  first_.Ack(frame);
  EXPECT_THAT(Acks(), IsEmpty());
  frame.header.sequence = 0xffffffffffffffff;
  first_.Ack(frame);
  EXPECT_THAT(Acks(), IsEmpty());
}

TEST_F(BrokerGroupsTest, AMessageInFragmentsGoesToOneMember) {
  StartBoth();
  for (uint16_t i = 0; i < 3; ++i) {
    publisher_.Send(test::FragmentOf(1, 1, i, 2));
  }
  publisher_.Send(test::FragmentOf(1, 2, 0, 1) + test::FragmentOf(1, 2, 1, 1) +
                  test::PublishOf(1, 3));
  EXPECT_THAT(SequencesTo(&first_), ElementsAre(1, 1, 1, 3));
  EXPECT_THAT(SequencesTo(&second_), ElementsAre(2, 2));
}

TEST_F(BrokerGroupsTest, ARefusedMessageIsConsumed) {
  StartBoth();
  Publish(1, 1);
  publisher_.Send(test::FragmentOf(1, 2, 0, 0xffff));
  EXPECT_THAT(publisher_.TakeOf(FrameKind::kRefused), SizeIs(1));
  for (uint32_t i = 1; i <= 0xffff; ++i) {
    publisher_.Send(test::FragmentOf(1, 2, static_cast<uint16_t>(i), 0xffff));
  }
  first_.Ack(DeliveredTo(&first_).back());
  EXPECT_THAT(Acks(), ElementsAre(2));
  Publish(3, 3);
  EXPECT_THAT(SequencesTo(&second_), ElementsAre(3));
}

// -- Passing on --

TEST_F(BrokerGroupsTest, WhatAMemberLeavesGoesToAnother) {
  StartBoth();
  Publish(1, 6);
  const std::vector<Got> left = DeliveredTo(&first_);
  first_.Ack(left[0]);
  second_.Take();
  publisher_.Take();
  first_.Goodbye();
  auto [reader, from] = AskedFrom();
  EXPECT_EQ(from, 2u);
  // The stream goes on, and comes with the resend.
  Publish(7, 7);
  EXPECT_THAT(SequencesTo(&second_), IsEmpty());
  Resend(reader, 2, 7);
  Publish(8, 8);
  const std::vector<Got> passed_on = DeliveredTo(&second_);
  EXPECT_THAT(SequencesOf(passed_on, FrameKind::kDeliver),
              ElementsAre(2, 3, 7, 8));
  second_.Ack(passed_on.back());
  EXPECT_THAT(Acks(), ElementsAre(8));
}

TEST_F(BrokerGroupsTest, AMemberThatEndsDuringAResendIsFollowedByAnother) {
  FrameClient third(&shell_, 4);
  third.Greet();
  StartBoth();
  Enter(&third);
  Publish(1, 3);
  Clear();
  first_.Goodbye();
  auto [reader, from] = AskedFrom();
  publisher_.Resend(1, 1, reader);
  publisher_.Resend(1, 2, reader);
  third.Goodbye();
  EXPECT_THAT(publisher_.TakeOf(FrameKind::kResend), IsEmpty());
  publisher_.ResendEnd(reader);
  EXPECT_GT(AskedFrom().second, 0u);
  Resend(reader, 1, 3);
  std::vector<uint64_t> all = SequencesTo(&second_);
  std::sort(all.begin(), all.end());
  // 2 it had.
  EXPECT_THAT(all, ElementsAre(1, 3));
}

TEST_F(BrokerGroupsTest, AMessageThatAMemberHadHalfOfBeginsAgain) {
  StartBoth();
  publisher_.Send(test::FragmentOf(1, 1, 0, 2));
  publisher_.Send(test::FragmentOf(1, 1, 1, 2));
  Clear();
  first_.Lose(/*process_alive=*/true);
  auto [reader, from] = AskedFrom();
  EXPECT_EQ(from, 1u);
  for (uint16_t i = 0; i < 2; ++i) {
    std::string frame = test::FragmentOf(1, 1, i, 2);
    wire::FrameHeader header = test::HeaderOf(frame);
    header.flags = wire::kFlagResend;
    header.session = ToNumber(reader);
    publisher_.Send(test::FrameOf(header, frame.substr(kFrameHeaderBytes)));
  }
  publisher_.ResendEnd(reader);
  publisher_.Send(test::FragmentOf(1, 1, 2, 2));
  EXPECT_THAT(SequencesTo(&second_), ElementsAre(1, 1, 1));
}

TEST_F(BrokerGroupsTest, AMemberThatIsAwaitedKeepsItsShare) {
  StartBoth();
  Publish(1, 6);
  Clear();
  first_.Lose(/*process_alive=*/true);
  EXPECT_THAT(publisher_.Take(), IsEmpty());
  Publish(7, 7);
  EXPECT_THAT(SequencesTo(&second_), ElementsAre(7));

  // 3 was lost with the connection, and 1 is acknowledged.
  Return(&first_, 1, 2);
  auto [reader, from] = AskedFrom();
  EXPECT_EQ(from, 3u);
  Resend(reader, 3, 7);
  std::vector<Got> to_first = DeliveredTo(&first_);
  EXPECT_THAT(SequencesOf(to_first, FrameKind::kDeliver), ElementsAre(3));
  EXPECT_THAT(SequencesTo(&second_), IsEmpty());
  first_.Ack(to_first[0]);
  EXPECT_THAT(Acks(), ElementsAre(3));
}

TEST_F(BrokerGroupsTest, AMemberThatIsNotBackInTimePassesItsShareOn) {
  StartBoth();
  Publish(1, 4);
  Clear();
  first_.Lose(/*process_alive=*/true);
  shell_.Advance(kRecoveryGrace);
  auto [reader, from] = AskedFrom();
  EXPECT_EQ(from, 1u);
  Resend(reader, 1, 4);
  EXPECT_THAT(SequencesTo(&second_), ElementsAre(1, 2));
}

TEST_F(BrokerGroupsTest, AMemberThatIsLostAgainBeforeItIsBackCountsOnce) {
  StartBoth();
  first_.Lose(/*process_alive=*/true);
  first_.Connect();
  first_.Hello();
  first_.Lose(/*process_alive=*/true);
  Clear();
  Publish(1, 2);
  EXPECT_THAT(SequencesTo(&second_), ElementsAre(1, 2));
}

// -- The end of a group --

TEST_F(BrokerGroupsTest, TheLastMemberThatUnsubscribesEndsIt) {
  StartBoth();
  first_.Send({.kind = FrameKind::kUnsubscribe, .target = 7, .sequence = 1});
  EXPECT_THAT(publisher_.TakeOf(FrameKind::kLeave), IsEmpty());
  second_.Goodbye();
  EXPECT_THAT(publisher_.TakeOf(FrameKind::kLeave), SizeIs(1));
  Publish(1, 1);
  shell_.Advance(kAcknowledgeDelay);
  EXPECT_THAT(Acks(), ElementsAre(1));
}

TEST_F(BrokerGroupsTest, WithoutAMemberItIsAwaitedAsTheyAre) {
  StartBoth();
  first_.Goodbye();
  second_.Lose(/*process_alive=*/true);
  Clear();
  Publish(1, 2);
  shell_.Advance(kRecoveryGrace - absl::Nanoseconds(1));
  EXPECT_THAT(publisher_.Take(), IsEmpty());
  // Somebody else will do.
  FrameClient third(&shell_, 4);
  third.Greet();
  third.Send(MemberMessage(7), 7);
  auto [reader, from] = AskedFrom();
  EXPECT_EQ(from, 1u);
  Resend(reader, 1, 2);
  EXPECT_THAT(SequencesTo(&third), ElementsAre(1, 2));
}

TEST_F(BrokerGroupsTest, WithoutAMemberItEndsWithTheGrace) {
  StartBoth();
  first_.Goodbye();
  second_.Lose(/*process_alive=*/true);
  Clear();
  shell_.Advance(kRecoveryGrace);
  EXPECT_THAT(publisher_.TakeOf(FrameKind::kLeave), SizeIs(1));
}

TEST_F(BrokerGroupsTest, EveryMemberHearsThatAPublisherIsGone) {
  StartBoth();
  publisher_.Goodbye();
  EXPECT_THAT(first_.TakeOf(FrameKind::kGone), SizeIs(1));
  EXPECT_THAT(second_.TakeOf(FrameKind::kGone), SizeIs(1));
}

// -- Another broker --

class BrokerGroupsRestartTest : public BrokerGroupsTest {
 protected:
  BrokerGroupsRestartTest() : BrokerGroupsTest(Restarted()) {}

  // It holds 1 to 4, all sent, and owes the group 2 and more.
  void HandBack() {
    wire::Open open = test::OpenMessage(1, "t");
    open.next_sequence = 5;
    open.readers_known = true;
    open.readers = {{.session = GroupKey("g", "t", first_.peer().uid),
                     .subscription = kGroupSubscription,
                     .reader = ReaderId{4},
                     .from = 2}};
    publisher_.Send(open, 1);
    publisher_.Take();
  }
};

TEST_F(BrokerGroupsRestartTest, AGroupThatIsHandedBackIsAwaited) {
  HandBack();
  shell_.Advance(kRecoveryGrace - kStartHold - absl::Nanoseconds(1));
  EXPECT_THAT(Acks(), IsEmpty());
  wire::Subscribe again = MemberMessage(7);
  again.resume = true;
  second_.Send(again, 7);
  auto [reader, from] = AskedFrom();
  EXPECT_EQ(from, 2u);
  EXPECT_EQ(second_.Only<wire::Result>().code, absl::StatusCode::kOk);
  Resend(reader, 2, 4);
  EXPECT_THAT(SequencesTo(&second_), ElementsAre(2, 3, 4));
}

TEST_F(BrokerGroupsRestartTest, AGroupThatDoesNotComeBackIsGivenUp) {
  HandBack();
  shell_.Advance(kRecoveryGrace);
  std::vector<Got> told = publisher_.Take();
  EXPECT_THAT(SequencesOf(told, FrameKind::kAck), ElementsAre(4));
  EXPECT_THAT(SequencesOf(told, FrameKind::kLeave), SizeIs(1));
}

TEST_F(BrokerGroupsRestartTest, AMemberThatIsNewMayComeFirst) {
  publisher_.Open(1, "t");
  publisher_.Take();
  Publish(1, 3);
  Enter(&first_);
  shell_.Advance(kJoinTimeout);
  Publish(4, 5);
  EXPECT_THAT(SequencesTo(&first_), ElementsAre(4, 5));
  Clear();
  // An earlier broker had confirmed this one, so the group is owed 1 to 3.
  wire::Subscribe again = MemberMessage(7);
  again.resume = true;
  second_.Send(again, 7);
  auto [reader, from] = AskedFrom();
  EXPECT_EQ(from, 1u);
  Resend(reader, 1, 5);
  EXPECT_THAT(SequencesTo(&second_), ElementsAre(1, 2));
  EXPECT_THAT(SequencesTo(&first_), ElementsAre(3));
}

// Others of whom only the earlier broker knew may be on their way back.
TEST_F(BrokerGroupsRestartTest, TheLastMemberThatIsHereMayNotBeTheLast) {
  HandBack();
  wire::Subscribe again = MemberMessage(7);
  again.resume = true;
  first_.Send(again, 7);
  auto [reader, from] = AskedFrom();
  Resend(reader, 2, 4);
  first_.Send({.kind = FrameKind::kUnsubscribe, .target = 7, .sequence = 1});
  EXPECT_THAT(publisher_.TakeOf(FrameKind::kLeave), IsEmpty());
  shell_.Advance(kRecoveryGrace - absl::Nanoseconds(1));
  EXPECT_THAT(publisher_.Take(), IsEmpty());
  second_.Send(again, 7);
  EXPECT_EQ(AskedFrom(), (std::pair{reader, uint64_t{2}}));
  Resend(reader, 2, 4);
  EXPECT_THAT(SequencesTo(&second_), ElementsAre(2, 3, 4));
}

TEST_F(BrokerGroupsRestartTest, NobodyElseIsAwaitedForLongerThanTheGrace) {
  HandBack();
  wire::Subscribe again = MemberMessage(7);
  again.resume = true;
  first_.Send(again, 7);
  first_.Send({.kind = FrameKind::kUnsubscribe, .target = 7, .sequence = 1});
  EXPECT_THAT(publisher_.TakeOf(FrameKind::kLeave), IsEmpty());
  shell_.Advance(kRecoveryGrace);
  EXPECT_THAT(publisher_.TakeOf(FrameKind::kLeave), SizeIs(1));
}

// -- Limits --

TEST_F(BrokerGroupsTest, OnlyReliableSubscriptionsAreMembers) {
  wire::Subscribe subscribe = MemberMessage(7);
  subscribe.policy = wire::Policy::kBestEffort;
  subscribe.depth = 1;
  subscribe.bytes = 1000;
  first_.Send(subscribe, 7);
  EXPECT_EQ(first_.Only<wire::Result>().code,
            absl::StatusCode::kInvalidArgument);
}

TEST_F(BrokerGroupsTest, AGroupHasANameLikeAClients) {
  for (const std::string& name :
       {std::string("a/b"), std::string("a b"), std::string(65, 'a')}) {
    first_.Send(MemberMessage(7, "t", name), 7);
    EXPECT_EQ(first_.Only<wire::Result>().code,
              absl::StatusCode::kInvalidArgument);
  }
  first_.Send(MemberMessage(7, "t", std::string(64, 'a')), 7);
  EXPECT_EQ(first_.Only<wire::Result>().code, absl::StatusCode::kOk);
}

TEST_F(BrokerGroupsTest, AGroupHasSoManyMembersAndNoMore) {
  for (uint32_t id = 1; id <= kGroupMembersMax; ++id) {
    first_.Send(MemberMessage(id), id);
    EXPECT_EQ(first_.Only<wire::Result>().code, absl::StatusCode::kOk);
  }
  second_.Send(MemberMessage(7), 7);
  EXPECT_EQ(second_.Only<wire::Result>().code,
            absl::StatusCode::kResourceExhausted);
  // One that comes back has its place.
  first_.Lose(/*process_alive=*/true);
  first_.Connect();
  first_.Hello();
  wire::Subscribe again = MemberMessage(7);
  again.resume = true;
  first_.Send(again, 7);
  EXPECT_EQ(first_.Only<wire::Result>().code, absl::StatusCode::kOk);
}

class BrokerGroupsBehindTest : public BrokerGroupsTest {
 protected:
  BrokerGroupsBehindTest() : BrokerGroupsTest(Narrow()) {}
};

TEST_F(BrokerGroupsBehindTest, WhenNoMemberHasRoomTheRestIsAskedForLater) {
  StartBoth();
  first_.SetRoom(0);
  second_.SetRoom(0);
  const std::string payload(40'000, 'x');
  for (uint64_t i = 1; i <= 4; ++i) publisher_.Publish(1, i, payload);
  EXPECT_THAT(publisher_.TakeOf(FrameKind::kResend), IsEmpty());
  second_.SetRoom(test::BrokerShell::kEndless);
  EXPECT_THAT(SequencesTo(&second_), ElementsAre(2));
  auto [reader, from] = AskedFrom();
  EXPECT_EQ(from, 3u);
  publisher_.Resend(1, 3, reader, payload);
  publisher_.Resend(1, 4, reader, payload);
  publisher_.ResendEnd(reader);
  EXPECT_THAT(SequencesTo(&second_), ElementsAre(3, 4));
  first_.SetRoom(test::BrokerShell::kEndless);
  EXPECT_THAT(SequencesTo(&first_), ElementsAre(1));
}

TEST_F(BrokerGroupsTest, AMemberHoldsSoMuchAndNoMore) {
  publisher_.Open(1, "t");
  Enter(&first_);
  Clear();
  constexpr uint64_t kStep = 10'000;
  static_assert(kGroupShareMax % kStep == 0);
  Got last;
  for (uint64_t i = 0; i < kGroupShareMax; i += kStep) {
    Publish(i + 1, i + kStep);
    last = DeliveredTo(&first_).back();
  }
  Publish(kGroupShareMax + 1, kGroupShareMax + 1);
  EXPECT_THAT(DeliveredTo(&first_), IsEmpty());
  first_.Ack(last);
  EXPECT_EQ(AskedFrom().second, kGroupShareMax + 1);
}

}  // namespace
}  // namespace ipc::broker
