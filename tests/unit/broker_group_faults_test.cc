// SPDX-License-Identifier: Apache-2.0
//
// Groups among clients that stall at the worst moment, repeat themselves, or
// mean no good: the broker goes on, and what waits for one is bounded.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

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
using wire::FrameKind;

constexpr absl::Duration kTimeout = absl::Seconds(8);

BrokerOptions Options() {
  BrokerOptions options;
  options.stall_timeout = kTimeout;
  return options;
}

wire::Subscribe MemberMessage(std::string_view pattern = "t") {
  wire::Subscribe subscribe = test::SubscribeMessage(7, pattern);
  subscribe.group = "g";
  return subscribe;
}

class BrokerGroupFaultsTest : public testing::Test {
 protected:
  BrokerGroupFaultsTest()
      : shell_(Options()),
        publisher_(&shell_, 1),
        first_(&shell_, 2),
        second_(&shell_, 3) {
    for (FrameClient* client : {&publisher_, &first_, &second_}) {
      client->Greet();
    }
    shell_.Advance(kStartHold);
  }

  void Enter(FrameClient* client, const wire::Subscribe& subscribe) {
    client->Send(subscribe, 7);
    for (const Got& join : publisher_.TakeOf(FrameKind::kJoin)) {
      publisher_.Joined(join.As<wire::Join>().reader.reader);
    }
    client->Take();
  }
  void SendExpired(uint32_t channel, uint64_t sequence) {
    publisher_.Send({.kind = FrameKind::kPublish,
                     .flags = wire::kFlagExpired,
                     .target = channel,
                     .sequence = sequence,
                     .time = 5});
  }
  const Subscription& SubscriptionOf(FrameClient* client) {
    return *shell_.broker()
                .Find(client->id())
                ->session->subscriptions.at(SubscriptionId{7});
  }

  test::BrokerShell shell_;
  FrameClient publisher_;
  FrameClient first_;
  FrameClient second_;
};

TEST_F(BrokerGroupFaultsTest, AMemberThatIsHandedBackHasNoLinkOfItsOwn) {
  first_.Send(MemberMessage(), 7);
  wire::Open open = test::OpenMessage(1, "t");
  open.readers = {{.session = first_.key(),
                   .subscription = SubscriptionId{7},
                   .reader = ReaderId{1},
                   .from = 1}};
  publisher_.Send(open, 1);
  for (const Got& join : publisher_.TakeOf(FrameKind::kJoin)) {
    publisher_.Joined(join.As<wire::Join>().reader.reader);
  }
  first_.Take();
  publisher_.Publish(1, 1);
  EXPECT_THAT(SequencesOf(first_.Take(), FrameKind::kDeliver), ElementsAre(1));
  first_.Lose();
  publisher_.Publish(1, 2);
  EXPECT_TRUE(publisher_.is_open());
}

TEST_F(BrokerGroupFaultsTest, AMessageThatWasCutWhenAllStalledIsNobodys) {
  publisher_.Open(1, "t");
  Enter(&first_, MemberMessage());
  publisher_.Publish(1, 1);
  const Got held = first_.TakeOf(FrameKind::kDeliver).back();
  publisher_.Send(test::FragmentOf(1, 2, 0, 2));
  shell_.Advance(2 * kTimeout);
  publisher_.Send(test::FragmentOf(1, 2, 1, 2));
  first_.Ack(held);
  publisher_.Send(test::FragmentOf(1, 2, 2, 2));
  first_.Take();
  EXPECT_EQ(SubscriptionOf(&first_).membership->held, 0u);
  publisher_.Publish(1, 3);
  EXPECT_THAT(SequencesOf(first_.Take(), FrameKind::kDeliver), ElementsAre(3));
}

TEST_F(BrokerGroupFaultsTest, GroupsDoNotTakeAllPlacesOfSessions) {
  auto enter = [this](uint64_t number) {
    const auto id = static_cast<uint32_t>(number);
    wire::Subscribe subscribe = test::SubscribeMessage(id, "t");
    subscribe.group = "g" + std::to_string(number);
    first_.Send(subscribe, number);
    return first_.Only<wire::Result>().code;
  };
  for (uint64_t i = 1; i <= kGroupsMax; ++i) {
    ASSERT_EQ(enter(i), absl::StatusCode::kOk) << i;
  }
  EXPECT_EQ(enter(kGroupsMax + 1), absl::StatusCode::kResourceExhausted);
  // One that is there takes no further place.
  wire::Subscribe another = test::SubscribeMessage(1, "t");
  another.group = "g1";
  second_.Send(another, 1);
  EXPECT_EQ(second_.Only<wire::Result>().code, absl::StatusCode::kOk);
}

// Alternating between channels, so that they are not merged.
TEST_F(BrokerGroupFaultsTest, NoticesAreBounded) {
  publisher_.Open(1, "a");
  publisher_.Open(2, "b");
  Enter(&first_, MemberMessage("*"));
  first_.SetRoom(0);
  const uint64_t many = kReliableQueueBytesMax / kFrameHeaderBytes;
  for (uint64_t sequence = 1; sequence <= many; ++sequence) {
    SendExpired(1, sequence);
    SendExpired(2, sequence);
  }
  EXPECT_LE(SubscriptionOf(&first_).lane.bytes(), kReliableQueueBytesMax);
}

TEST_F(BrokerGroupFaultsTest, ANoticeThatFindsNoRoomIsToldLater) {
  BrokerOptions narrow = Options();
  narrow.reliable_queue_bytes_max = 1;  // kDataFrameBytesMax, that is
  test::BrokerShell shell(narrow);
  FrameClient publisher(&shell, 1);
  FrameClient member(&shell, 2);
  publisher.Greet();
  member.Greet();
  shell.Advance(kStartHold);
  publisher.Open(1, "t");
  member.Send(MemberMessage(), 7);
  const ReaderId id = publisher.Only<wire::Join>().reader.reader;
  publisher.Joined(id);
  member.Take();
  const auto expire = [&](uint64_t sequence, uint8_t flags) {
    publisher.Send({.kind = FrameKind::kPublish,
                    .flags = static_cast<uint8_t>(flags | wire::kFlagExpired),
                    .target = 1,
                    .session = flags == 0 ? 0 : ToNumber(id),
                    .sequence = sequence,
                    .time = 5});
  };
  member.SetRoom(0);
  publisher.Publish(1, 1, std::string(40'000, 'x'));
  publisher.Publish(1, 2, std::string(26'500, 'x'));
  expire(3, 0);
  member.SetRoom(test::BrokerShell::kEndless);
  std::vector<Got> got = member.Take();
  EXPECT_THAT(SequencesOf(got, FrameKind::kDeliver), ElementsAre(1, 2));
  EXPECT_THAT(SequencesOf(got, FrameKind::kGap), IsEmpty());
  EXPECT_EQ(publisher.Only<wire::Resend>().channels[0].sequence, 3u);
  expire(3, wire::kFlagResend);
  publisher.ResendEnd(id);
  EXPECT_THAT(SequencesOf(member.Take(), FrameKind::kGap), ElementsAre(3));
}

TEST_F(BrokerGroupFaultsTest, NoticesForDropNewestAreBounded) {
  publisher_.Open(1, "a");
  publisher_.Open(2, "b");
  wire::Subscribe subscribe = test::SubscribeMessage(7, "*");
  subscribe.policy = wire::Policy::kBestEffort;
  subscribe.depth = 10;
  subscribe.bytes = 1000;
  subscribe.drop_newest = true;
  first_.Send(subscribe, 7);
  first_.SetRoom(0);
  for (uint64_t sequence = 1; sequence <= 1000; ++sequence) {
    SendExpired(1, sequence);
    SendExpired(2, sequence);
  }
  EXPECT_LE(SubscriptionOf(&first_).lane.bytes(), 1000u);
}

TEST_F(BrokerGroupFaultsTest, WhatAGroupMissedIsToldBeforeItsPublisherIsGone) {
  publisher_.Open(1, "t");
  Enter(&first_, MemberMessage());
  publisher_.Publish(1, 1);
  shell_.Advance(2 * kTimeout);
  publisher_.Publish(1, 2);
  first_.Take();
  publisher_.Goodbye();
  const std::vector<Got> told = first_.Take();
  ASSERT_FALSE(told.empty());
  EXPECT_EQ(told.back().header.kind, FrameKind::kGone);
  EXPECT_EQ(SequencesOf(told, FrameKind::kGap).size(), 1u);
}

TEST_F(BrokerGroupFaultsTest, AGroupOfWhichAllStallKeepsItsConnections) {
  wire::Open open = test::OpenMessage(1, "t");
  open.type_name = std::string(512, 'x');
  publisher_.Send(open, 1);
  Enter(&first_, MemberMessage());
  Enter(&second_, MemberMessage());
  constexpr uint64_t kMany = 20'000;
  for (uint64_t i = 1; i <= kMany; ++i) publisher_.Publish(1, i);
  for (FrameClient* member : {&first_, &second_}) {
    member->Take();
    member->SetRoom(0);
  }
  shell_.Advance(2 * kTimeout);
  for (FrameClient* member : {&first_, &second_}) {
    ASSERT_TRUE(member->is_open());
    // Not one ANNOUNCE for each of them.
    EXPECT_LT(shell_.broker().Find(member->id())->outbox.control_bytes(),
              100'000u);
  }
}

TEST_F(BrokerGroupFaultsTest, WhatAMemberWasSentIsNotToldToBeLost) {
  publisher_.Open(1, "t");
  Enter(&first_, MemberMessage());
  Enter(&second_, MemberMessage());
  publisher_.Publish(1, 1);
  publisher_.Publish(1, 2);
  EXPECT_EQ(first_.TakeOf(FrameKind::kDeliver).size(), 1u);
  EXPECT_EQ(second_.TakeOf(FrameKind::kDeliver).size(), 1u);
  shell_.Advance(2 * kTimeout);
  EXPECT_EQ(shell_.broker().state().counters.set_aside, 2u);
  EXPECT_THAT(first_.TakeOf(FrameKind::kGap), IsEmpty());
  EXPECT_THAT(second_.TakeOf(FrameKind::kGap), IsEmpty());
}

TEST_F(BrokerGroupFaultsTest, AMemberThatRepeatsItselfCountsOnce) {
  publisher_.Open(1, "t");
  Enter(&first_, MemberMessage());
  first_.Lose();
  first_.Connect();
  first_.Hello();
  wire::Subscribe again = MemberMessage();
  again.resume = true;
  for (int i = 0; i < 3; ++i) first_.Send(again, 7);
  first_.Resumed();
  EXPECT_EQ(SubscriptionOf(&first_).membership->group->present, 1u);
}

// First broker: confirms the group. Second broker: it begins anew with another
// member, at 3 of what its publisher has sent. Third broker: all are back.
TEST_F(BrokerGroupFaultsTest, AGroupThatBeganAnewIsOwedWhatItWasOwedBefore) {
  wire::Open open = test::OpenMessage(1, "t");
  open.next_sequence = 4;
  open.readers = {{.session = GroupKey("g", "t", first_.peer().uid),
                   .subscription = kGroupSubscription,
                   .reader = ReaderId{1},
                   .from = 3}};
  wire::Subscribe confirmed = MemberMessage();
  confirmed.resume = true;
  for (const bool publisher_first : {false, true}) {
    SCOPED_TRACE(publisher_first);
    test::BrokerShell shell;
    FrameClient publisher(&shell, 1);
    FrameClient member(&shell, 2);
    publisher.Greet();
    member.Greet();
    if (publisher_first) publisher.Send(open, 1);
    member.Send(confirmed, 7);
    if (!publisher_first) publisher.Send(open, 1);
    const auto resend = publisher.Only<wire::Resend>();
    ASSERT_EQ(resend.channels.size(), 1u);
    EXPECT_EQ(resend.channels[0].sequence, 1u);
  }
}

// Its publisher is lost before it has answered JOIN.
TEST_F(BrokerGroupFaultsTest, AGroupThatWasClaimedDoesNotBeginAtItsJoin) {
  publisher_.Open(1, "t");
  first_.Send(MemberMessage(), 7);
  wire::Subscribe confirmed = MemberMessage();
  confirmed.resume = true;
  second_.Send(confirmed, 7);
  for (uint64_t i = 1; i <= 3; ++i) publisher_.Publish(1, i);
  publisher_.Lose();
  publisher_.Connect();
  publisher_.Hello();
  wire::Open open = test::OpenMessage(1, "t");
  open.next_sequence = 4;
  publisher_.Send(open, 1);
  publisher_.Resumed();
  const auto resend = publisher_.Only<wire::Resend>();
  ASSERT_EQ(resend.channels.size(), 1u);
  EXPECT_EQ(resend.channels[0].sequence, 1u);
}

// It went live without the answer to its JOIN, and fell behind. The last value
// belongs to that answer, which a group does not get, and not to the RESEND.
TEST_F(BrokerGroupFaultsTest, ALateAnswerToItsJoinLeavesNoHole) {
  BrokerOptions narrow = Options();
  narrow.reliable_queue_bytes_max = 1;
  test::BrokerShell shell(narrow);
  FrameClient publisher(&shell, 1);
  FrameClient member(&shell, 2);
  publisher.Greet();
  member.Greet();
  shell.Advance(kStartHold);
  wire::Open open = test::OpenMessage(1, "t");
  open.retain_last = true;
  publisher.Send(open, 1);
  member.Send(MemberMessage(), 7);
  const ReaderId id = publisher.Only<wire::Join>().reader.reader;
  shell.Advance(kJoinTimeout);
  member.SetRoom(0);
  const std::string payload(40'000, 'x');
  for (uint64_t i = 1; i <= 4; ++i) publisher.Publish(1, i, payload);
  member.SetRoom(test::BrokerShell::kEndless);
  std::vector<uint64_t> seen = SequencesOf(member.Take(), FrameKind::kDeliver);
  const uint64_t from = publisher.Only<wire::Resend>().channels[0].sequence;
  ASSERT_LT(from, 4u);
  publisher.Resend(1, 4, id, payload);
  publisher.Joined(id);
  for (uint64_t i = from; i <= 4; ++i) publisher.Resend(1, i, id, payload);
  publisher.ResendEnd(id);
  for (uint64_t i : SequencesOf(member.Take(), FrameKind::kDeliver)) {
    seen.push_back(i);
  }
  EXPECT_THAT(seen, ElementsAre(1, 2, 3, 4));
}

TEST_F(BrokerGroupFaultsTest, FragmentsThatAreSentAgainForEverAreNot) {
  for (const bool grouped : {false, true}) {
    test::BrokerShell shell;
    FrameClient publisher(&shell, 1);
    FrameClient reader(&shell, 2);
    publisher.Greet();
    reader.Greet();
    shell.Advance(kStartHold);
    publisher.Open(1, "t");
    wire::Subscribe subscribe =
        grouped ? MemberMessage() : test::SubscribeMessage(7, "t");
    reader.Send(subscribe, 7);
    publisher.Joined(publisher.Only<wire::Join>().reader.reader);
    for (uint16_t i = 0; i < 3; ++i) {
      publisher.Send(test::FragmentOf(1, 1, i, 2));
    }
    reader.Lose();
    reader.Connect();
    reader.Hello();
    subscribe.resume = true;
    reader.Send(subscribe, 7);
    reader.Resumed();
    const ReaderId id = publisher.Only<wire::Resend>().reader.reader;
    reader.SetRoom(0);
    auto send = [&](uint16_t fragment) {
      publisher.Send(test::FrameOf({.kind = FrameKind::kPublish,
                                    .flags = wire::kFlagResend,
                                    .target = 1,
                                    .session = ToNumber(id),
                                    .sequence = 1,
                                    .fragment = fragment,
                                    .last_fragment = 2},
                                   std::string(kFramePayloadBytesMax, 'x')));
    };
    send(0);
    for (int i = 0; i < 100; ++i) send(1);
    EXPECT_LE(shell.broker()
                  .Find(reader.id())
                  ->session->subscriptions.at(SubscriptionId{7})
                  ->lane.bytes(),
              2 * kDataFrameBytesMax);
  }
}

TEST_F(BrokerGroupFaultsTest, ThereIsNoPublicationZero) {
  publisher_.Open(1, "t");
  first_.Subscribe(7, "t");
  publisher_.Joined(publisher_.Only<wire::Join>().reader.reader);
  publisher_.Publish(1, 1);
  first_.Take();
  first_.Lose();
  first_.Connect();
  first_.Hello();
  wire::Subscribe again = test::SubscribeMessage(7, "t");
  again.resume = true;
  first_.Send(again, 7);
  first_.Resumed();
  const ReaderId id = publisher_.Only<wire::Resend>().reader.reader;
  for (uint64_t sequence : {uint64_t{0}, kSequenceMax + 1, uint64_t{1}}) {
    publisher_.Resend(1, sequence, id);
  }
  publisher_.ResendEnd(id);
  EXPECT_THAT(SequencesOf(first_.Take(), FrameKind::kDeliver), ElementsAre(1));
}

}  // namespace
}  // namespace ipc::broker
