// SPDX-License-Identifier: Apache-2.0
//
// A reliable subscription that consumes nothing: the operator is told, then it
// is set aside with an exact notice, and comes back when it goes on.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "tests/unit/broker_shell.h"
#include "tests/unit/frame_client.h"

namespace ipc::broker {
namespace {

using test::BrokerShell;
using test::FrameClient;
using test::Got;
using test::SequencesOf;
using testing::ElementsAre;
using testing::IsEmpty;
using testing::Pair;
using wire::FrameKind;

constexpr absl::Duration kTimeout = absl::Seconds(8);

BrokerOptions Options() {
  BrokerOptions options;
  options.stall_timeout = kTimeout;
  return options;
}

class BrokerStallsTest : public testing::Test {
 protected:
  BrokerStallsTest()
      : shell_(Options()),
        publisher_(&shell_, 1),
        reader_(&shell_, 2),
        other_(&shell_, 3) {
    publisher_.Greet();
    reader_.Greet();
    other_.Greet();
    shell_.Advance(kStartHold);
    publisher_.Open(1, "t");
    publisher_.Take();
    reader_.Subscribe(5, "t");
    publisher_.Joined(publisher_.Only<wire::Join>().reader.reader);
    reader_.Take();
    publisher_.Take();
  }

  void Publish(uint64_t first, uint64_t last) {
    for (uint64_t i = first; i <= last; ++i) publisher_.Publish(1, i, "x");
  }
  uint64_t Acknowledged() {
    shell_.Advance(kAcknowledgeDelay);
    const std::vector<uint64_t> acks =
        SequencesOf(publisher_.Take(), FrameKind::kAck);
    return acks.empty() ? 0 : acks.back();
  }
  uint64_t SetAside() { return shell_.broker().state().counters.set_aside; }
  // First and last sequence of each notice, in order.
  static std::vector<std::pair<uint64_t, int64_t>> Gaps(
      const std::vector<Got>& frames) {
    std::vector<std::pair<uint64_t, int64_t>> gaps;
    for (const Got& frame : frames) {
      if (frame.header.kind != FrameKind::kGap) continue;
      EXPECT_EQ(frame.header.fragment,
                static_cast<uint16_t>(wire::GapReason::kStalled));
      gaps.emplace_back(frame.header.sequence, frame.header.time);
    }
    return gaps;
  }
  void AckUpTo(const Got& deliver, uint64_t sequence) {
    Got last = deliver;
    last.header.sequence = sequence;
    reader_.Ack(last);
  }

  BrokerShell shell_;
  FrameClient publisher_;
  FrameClient reader_;
  FrameClient other_;
  uint64_t next_ = 1;
};

TEST_F(BrokerStallsTest, NobodyIsSetAsideBeforeItsTimeout) {
  Publish(1, 1);
  shell_.Advance(kTimeout - absl::Nanoseconds(1));
  EXPECT_EQ(SetAside(), 0u);
}

TEST_F(BrokerStallsTest, ItsPublishersGoOnAQuarterLaterAtTheLatest) {
  Publish(1, 3);
  shell_.Advance(kTimeout + kTimeout / kStallChecks);
  EXPECT_EQ(Acknowledged(), 3u);
  Publish(4, 4);
  EXPECT_EQ(Acknowledged(), 4u);
  EXPECT_EQ(SetAside(), 1u);
}

TEST_F(BrokerStallsTest, TheOperatorIsToldAtHalfOfItAndAtItsEnd) {
  Publish(1, 3);
  shell_.Advance(kTimeout / 2 - absl::Nanoseconds(1));
  EXPECT_THAT(shell_.broker().TakeSlow(), IsEmpty());
  shell_.Advance(absl::Nanoseconds(1));
  std::vector<Slow> slow = shell_.broker().TakeSlow();
  ASSERT_EQ(slow.size(), 1u);
  EXPECT_EQ(slow[0].session, reader_.key());
  EXPECT_EQ(slow[0].name, reader_.name());
  EXPECT_EQ(slow[0].subscription, SubscriptionId{5});
  EXPECT_EQ(slow[0].pattern, "t");
  EXPECT_EQ(slow[0].messages, 3u);
  EXPECT_EQ(slow[0].idle, kTimeout / 2);
  EXPECT_EQ(slow[0].timeout, kTimeout);
  EXPECT_FALSE(slow[0].set_aside);
  shell_.Advance(kTimeout / 2 - absl::Nanoseconds(1));
  EXPECT_THAT(shell_.broker().TakeSlow(), IsEmpty());
  shell_.Advance(absl::Nanoseconds(1));
  slow = shell_.broker().TakeSlow();
  ASSERT_EQ(slow.size(), 1u);
  EXPECT_TRUE(slow[0].set_aside);
}

TEST_F(BrokerStallsTest, TheListOfClientsNamesIt) {
  Publish(1, 3);
  shell_.Advance(kTimeout / 2);
  other_.Send(wire::ListClients{}, 9);
  auto clients = other_.Only<wire::Clients>();
  ASSERT_EQ(clients.clients.size(), 3u);
  EXPECT_THAT(clients.clients[0].slow, IsEmpty());
  ASSERT_EQ(clients.clients[1].slow.size(), 1u);
  EXPECT_EQ(clients.clients[1].slow[0].pattern, "t");
  EXPECT_EQ(clients.clients[1].slow[0].messages, 3u);
  EXPECT_EQ(clients.clients[1].slow[0].idle, kTimeout / 2);
  EXPECT_FALSE(clients.clients[1].slow[0].set_aside);
  shell_.Advance(kTimeout / 2);
  other_.Send(wire::ListClients{}, 9);
  clients = other_.Only<wire::Clients>();
  ASSERT_EQ(clients.clients[1].slow.size(), 1u);
  EXPECT_TRUE(clients.clients[1].slow[0].set_aside);
}

TEST_F(BrokerStallsTest, WhoConsumesSlowlyIsNotStalled) {
  Publish(1, 9);
  const std::vector<Got> got = reader_.TakeOf(FrameKind::kDeliver);
  for (uint64_t i = 1; i <= 8; ++i) {
    shell_.Advance(kTimeout - kTimeout / kStallChecks);
    AckUpTo(got[0], i);
    EXPECT_EQ(Acknowledged(), i);
  }
  EXPECT_EQ(SetAside(), 0u);
}

TEST_F(BrokerStallsTest, ASubscriptionWithoutMessagesIsNotStalled) {
  Publish(1, 1);
  AckUpTo(reader_.TakeOf(FrameKind::kDeliver)[0], 1);
  shell_.Advance(10 * kTimeout);
  EXPECT_EQ(SetAside(), 0u);
  // The clock of a new spell starts with its message.
  Publish(2, 2);
  shell_.Advance(kTimeout - absl::Nanoseconds(1));
  EXPECT_EQ(SetAside(), 0u);
}

// What the socket has taken may still be consumed; only what waited is lost.
TEST_F(BrokerStallsTest, WhatWaitedIsToldExactlyAndInItsPlace) {
  Publish(1, 2);
  reader_.SetRoom(0);
  Publish(3, 5);
  shell_.Advance(2 * kTimeout);
  Publish(6, 7);
  reader_.SetRoom(BrokerShell::kEndless);
  std::vector<Got> got = reader_.Take();
  EXPECT_THAT(SequencesOf(got, FrameKind::kDeliver), ElementsAre(1, 2));
  EXPECT_THAT(Gaps(got), ElementsAre(Pair(3, 5)));
  AckUpTo(test::Got(got[1]), 1);
  Publish(8, 8);
  got = reader_.Take();
  EXPECT_THAT(Gaps(got), ElementsAre(Pair(6, 7)));
  EXPECT_THAT(SequencesOf(got, FrameKind::kDeliver), ElementsAre(8));
}

TEST_F(BrokerStallsTest, ItIsOwedAgainWhatComesWhenItGoesOn) {
  Publish(1, 2);
  const std::vector<Got> got = reader_.TakeOf(FrameKind::kDeliver);
  shell_.Advance(2 * kTimeout);
  EXPECT_EQ(Acknowledged(), 2u);
  AckUpTo(got[0], 1);
  Publish(3, 3);
  EXPECT_EQ(Acknowledged(), 0u);
  AckUpTo(got[0], 3);
  EXPECT_EQ(Acknowledged(), 3u);
}

TEST_F(BrokerStallsTest, AcknowledgingTheNoticeAloneIsAlsoALifeSign) {
  reader_.SetRoom(0);
  Publish(1, 4);
  shell_.Advance(2 * kTimeout);
  reader_.SetRoom(BrokerShell::kEndless);
  std::vector<Got> got = reader_.TakeOf(FrameKind::kGap);
  ASSERT_EQ(got.size(), 1u);
  AckUpTo(got[0], 4);
  Publish(5, 5);
  EXPECT_THAT(SequencesOf(reader_.Take(), FrameKind::kDeliver), ElementsAre(5));
}

TEST_F(BrokerStallsTest, SoIsAnAcknowledgementOfAClosedChannel) {
  Publish(1, 1);
  const std::vector<Got> got = reader_.TakeOf(FrameKind::kDeliver);
  shell_.Advance(2 * kTimeout);
  publisher_.Send({.kind = FrameKind::kClose, .target = 1});
  reader_.Ack(got[0]);
  wire::Open open = test::OpenMessage(1, "t");
  open.first_sequence = open.next_sequence = 2;
  publisher_.Send(open, 1);
  Publish(2, 2);
  EXPECT_THAT(SequencesOf(reader_.Take(), FrameKind::kDeliver), ElementsAre(2));
}

TEST_F(BrokerStallsTest, NorDoesItWaitForOneWhenNothingIsLeftToAcknowledge) {
  other_.Open(1, "u");
  reader_.Subscribe(6, "*");
  for (FrameClient* publisher : {&publisher_, &other_}) {
    publisher->Joined(publisher->Only<wire::Join>().reader.reader);
  }
  Publish(1, 1);
  shell_.Advance(2 * kTimeout);
  EXPECT_EQ(SetAside(), 2u);
  publisher_.Goodbye();
  reader_.Take();
  shell_.Advance(kTimeout / kStallChecks);
  other_.Publish(1, 1);
  EXPECT_THAT(SequencesOf(reader_.Take(), FrameKind::kDeliver), ElementsAre(1));
}

TEST_F(BrokerStallsTest, AMessageUnderWayIsMissingAsAWhole) {
  publisher_.Send(test::FragmentOf(1, 1, 0, 2));
  shell_.Advance(2 * kTimeout);
  // Not consumed, but not whole either: nobody waits for it.
  EXPECT_EQ(SetAside(), 0u);
  publisher_.Send(test::FragmentOf(1, 1, 1, 2));
  publisher_.Send(test::FragmentOf(1, 1, 2, 2));
  reader_.SetRoom(0);
  publisher_.Send(test::FragmentOf(1, 2, 0, 2));
  shell_.Advance(2 * kTimeout);
  EXPECT_EQ(SetAside(), 1u);
  publisher_.Send(test::FragmentOf(1, 2, 1, 2));
  publisher_.Send(test::FragmentOf(1, 2, 2, 2));
  reader_.SetRoom(BrokerShell::kEndless);
  const std::vector<Got> got = reader_.Take();
  ASSERT_FALSE(got.empty());
  EXPECT_EQ(got.back().header.kind, FrameKind::kGap);
  EXPECT_EQ(got.back().header.sequence, 2u);
  EXPECT_EQ(got.back().header.time, 2);
}

TEST_F(BrokerStallsTest, ItsNoticeMayBeAcknowledgedBeforeItIsWhole) {
  Publish(1, 1);
  const Got held = reader_.OnlyFrame(FrameKind::kDeliver);
  publisher_.Send(test::FragmentOf(1, 2, 0, 1));
  shell_.Advance(2 * kTimeout);
  EXPECT_EQ(SetAside(), 1u);
  EXPECT_THAT(Gaps(reader_.Take()), ElementsAre(Pair(2, 2)));
  AckUpTo(held, 2);
  publisher_.Send(test::FragmentOf(1, 2, 1, 1));
  EXPECT_EQ(Acknowledged(), 2u);
  shell_.Advance(2 * kTimeout);
  EXPECT_EQ(SetAside(), 1u) << "it has consumed all";
}

// The beginning of a message came with a resend, its rest is live.
TEST_F(BrokerStallsTest, NorIsOneThatWasUnderWayAtTheEndOfAResend) {
  Publish(1, 1);
  const std::vector<Got> got = reader_.TakeOf(FrameKind::kDeliver);
  FrameClient late(&shell_, 30);
  late.Greet();
  shell_.Advance(2 * kTimeout);
  late.Open(1, "t");
  late.Take();
  late.Send(test::FragmentOf(1, 1, 0, 1));
  late.Lose();
  late.Connect();
  late.Hello();
  late.Open(1, "t");
  late.Resumed();
  late.Send(test::FragmentOf(1, 1, 0, 1));
  late.Send(test::FragmentOf(1, 1, 1, 1));
  AckUpTo(got[0], 1);
  const std::vector<Got> told = reader_.Take();
  EXPECT_THAT(Gaps(told), ElementsAre(Pair(1, 1)));
}

TEST_F(BrokerStallsTest, OthersOfTheSamePublisherGoOn) {
  other_.Subscribe(7, "t");
  publisher_.Joined(publisher_.Only<wire::Join>().reader.reader);
  Publish(1, 2);
  AckUpTo(reader_.TakeOf(FrameKind::kDeliver)[0], 2);
  shell_.Advance(2 * kTimeout);
  EXPECT_EQ(Acknowledged(), 2u);
  Publish(3, 3);
  EXPECT_EQ(Acknowledged(), 0u);  // `reader_` is still waited for
  EXPECT_EQ(SequencesOf(other_.Take(), FrameKind::kDeliver).size(), 2u);
}

TEST_F(BrokerStallsTest, ASubscriberMayAskForLessButNotForMore) {
  for (const auto& [asked, passes] :
       {std::pair(absl::Seconds(1), absl::Seconds(1)),
        std::pair(absl::Minutes(1), kTimeout)}) {
    FrameClient client(&shell_, 20);
    client.Greet();
    wire::Subscribe message = test::SubscribeMessage(1, "t");
    message.stall_timeout = asked;
    client.Send(message, 1);
    publisher_.Joined(publisher_.Only<wire::Join>().reader.reader);
    reader_.Send({.kind = FrameKind::kUnsubscribe, .target = 5});
    publisher_.Publish(1, next_++);
    const uint64_t before = SetAside();
    shell_.Advance(passes - absl::Nanoseconds(1));
    EXPECT_EQ(SetAside(), before) << asked;
    shell_.Advance(passes / kStallChecks);
    EXPECT_EQ(SetAside(), before + 1) << asked;
    client.Goodbye();
    publisher_.Take();
  }
}

TEST_F(BrokerStallsTest, ATimeoutOutOfBoundsIsRefused) {
  for (const absl::Duration timeout :
       {kStallTimeoutMin - absl::Milliseconds(1),
        kStallTimeoutMax + absl::Milliseconds(1)}) {
    wire::Subscribe message = test::SubscribeMessage(9, "t");
    message.stall_timeout = timeout;
    other_.Send(message, 9);
    EXPECT_EQ(other_.Only<wire::Result>().code,
              absl::StatusCode::kInvalidArgument);
  }
}

TEST_F(BrokerStallsTest, APublisherThatEndsIsToldWithWhatWasMissed) {
  Publish(1, 1);
  shell_.Advance(2 * kTimeout);
  Publish(2, 3);
  reader_.Take();
  publisher_.Goodbye();
  const std::vector<Got> got = reader_.Take();
  EXPECT_THAT(Gaps(got), ElementsAre(Pair(2, 3)));
  ASSERT_FALSE(got.empty());
  EXPECT_EQ(got.back().header.kind, FrameKind::kGone);
}

TEST_F(BrokerStallsTest, ItReturnsFromALostConnectionAndIsToldWhatWasReleased) {
  Publish(1, 4);
  const std::vector<Got> got = reader_.TakeOf(FrameKind::kDeliver);
  AckUpTo(got[0], 1);
  shell_.Advance(2 * kTimeout);
  EXPECT_EQ(Acknowledged(), 4u);
  reader_.Lose();
  Publish(5, 6);
  reader_.Connect();
  reader_.Hello();
  wire::Subscribe again = test::SubscribeMessage(5, "t");
  again.resume = true;
  again.positions = {{.session = publisher_.key(),
                      .channel = ChannelNumber{1},
                      .sequence = 1}};
  reader_.Send(again, 5);
  reader_.Resumed();
  EXPECT_THAT(Gaps(reader_.Take()), ElementsAre(Pair(2, 4)));
  const auto resend = publisher_.Only<wire::Resend>();
  ASSERT_EQ(resend.channels.size(), 1u);
  EXPECT_EQ(resend.channels[0].sequence, 5u);
}

TEST_F(BrokerStallsTest, APublisherThatReturnsMeanwhileIsReadAgain) {
  Publish(1, 1);
  const std::vector<Got> got = reader_.TakeOf(FrameKind::kDeliver);
  shell_.Advance(2 * kTimeout);
  publisher_.Lose();
  publisher_.Connect();
  publisher_.Hello();
  wire::Open open = test::OpenMessage(1, "t");
  open.first_sequence = 2;
  open.next_sequence = 4;
  publisher_.Send(open, 1);
  publisher_.Resumed();
  publisher_.Publish(1, 4);
  EXPECT_EQ(Acknowledged(), 4u);
  AckUpTo(got[0], 1);
  EXPECT_THAT(Gaps(reader_.Take()), ElementsAre(Pair(2, 4)));
  publisher_.Publish(1, 5);
  EXPECT_THAT(SequencesOf(reader_.Take(), FrameKind::kDeliver), ElementsAre(5));
}

}  // namespace
}  // namespace ipc::broker
