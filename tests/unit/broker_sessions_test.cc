// SPDX-License-Identifier: Apache-2.0
//
// Sessions over the loss of a connection, of a process and of a broker: who is
// awaited for how long, what a returning client gets back, and what it gives
// up.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "tests/unit/broker_shell.h"
#include "tests/unit/frame_client.h"

namespace ipc::broker {
namespace {

using absl::StatusCode;
using test::BrokerShell;
using test::FrameClient;
using test::Got;
using test::KindsOf;
using test::OpenMessage;
using test::SequencesOf;
using test::SubscribeMessage;
using testing::ElementsAre;
using testing::IsEmpty;
using wire::FrameKind;

constexpr absl::Duration kTick = absl::Nanoseconds(1);

wire::Open ReopenMessage(uint32_t channel, std::string_view topic,
                         uint64_t first, uint64_t next) {
  wire::Open open = OpenMessage(channel, topic);
  open.first_sequence = first;
  open.next_sequence = next;
  open.readers_known = true;
  return open;
}

wire::Subscribe ResumeMessage(uint32_t subscription, std::string_view pattern,
                              std::vector<wire::Position> positions = {}) {
  wire::Subscribe subscribe = SubscribeMessage(subscription, pattern);
  subscribe.resume = true;
  subscribe.positions = std::move(positions);
  return subscribe;
}

class BrokerSessionsTest : public testing::Test {
 protected:
  BrokerSessionsTest() : publisher_(&shell_, 1), reader_(&shell_, 2) {
    publisher_.Greet();
    reader_.Greet();
    shell_.Advance(kStartHold);
  }

  // The reader's subscription 5 reads channel 1 of the publisher, "t".
  void Link() {
    publisher_.Open(1, "t");
    publisher_.Take();
    reader_.Subscribe(5, "t");
    id_ = publisher_.Only<wire::Join>().reader.reader;
    publisher_.Joined(id_);
    reader_.Take();
  }
  // A new connection of the same client, up to WELCOME.
  void Return(FrameClient* client) {
    client->Connect();
    client->Hello();
    client->Take();
  }
  std::vector<uint64_t> Delivered() {
    return SequencesOf(reader_.Take(), FrameKind::kDeliver);
  }
  std::vector<uint64_t> Acks() {
    return SequencesOf(publisher_.Take(), FrameKind::kAck);
  }
  // The first sequence of channel 1 that the publisher is asked for.
  uint64_t Asked() {
    const auto resend = publisher_.Only<wire::Resend>();
    EXPECT_EQ(resend.channels.size(), 1u);
    EXPECT_EQ(resend.reader.subscription, SubscriptionId{5});
    id_ = resend.reader.reader;
    return resend.channels.empty() ? 0 : resend.channels[0].sequence;
  }
  size_t sessions() { return shell_.broker().state().sessions.size(); }

  BrokerShell shell_;
  FrameClient publisher_;
  FrameClient reader_;
  ReaderId id_{};
};

// -- Grace --

TEST_F(BrokerSessionsTest, ASessionOutlivesItsConnectionByTheGrace) {
  reader_.Lose();
  shell_.Advance(kRecoveryGrace - kTick);
  EXPECT_EQ(sessions(), 2u);
  shell_.Advance(kTick);
  EXPECT_EQ(sessions(), 1u);
}

TEST_F(BrokerSessionsTest, AReturningClientKeepsItsSession) {
  const SessionNumber number = reader_.number();
  reader_.Lose();
  shell_.Advance(kRecoveryGrace - kTick);
  reader_.Connect();
  reader_.Hello();
  EXPECT_EQ(reader_.Only<wire::Welcome>().session_number, number);
  shell_.Advance(10 * kRecoveryGrace);
  EXPECT_EQ(sessions(), 2u);
}

TEST_F(BrokerSessionsTest, EachLossHasAGraceOfItsOwn) {
  reader_.Lose();
  shell_.Advance(kRecoveryGrace / 2);
  Return(&reader_);
  reader_.Lose();
  shell_.Advance(kRecoveryGrace - kTick);
  EXPECT_EQ(sessions(), 2u);
  shell_.Advance(kTick);
  EXPECT_EQ(sessions(), 1u);
}

TEST_F(BrokerSessionsTest, ADeadProcessIsGoneAtOnce) {
  Link();
  reader_.Lose(/*process_alive=*/false);
  EXPECT_THAT(KindsOf(publisher_.Take()), ElementsAre("LEAVE", "MATCHES"));
  EXPECT_EQ(sessions(), 1u);
}

TEST_F(BrokerSessionsTest, AnAwaitedProcessThatDiesIsGoneAtOnce) {
  Link();
  reader_.Lose();
  EXPECT_THAT(publisher_.Take(), IsEmpty());
  shell_.ProcessExited(reader_.key());
  EXPECT_THAT(KindsOf(publisher_.Take()), ElementsAre("LEAVE", "MATCHES"));
  EXPECT_EQ(sessions(), 1u);
}

TEST_F(BrokerSessionsTest, ALateNoticeOfAProcessEndsNoConnection) {
  shell_.ProcessExited(reader_.key());
  shell_.ProcessExited({});
  EXPECT_EQ(sessions(), 2u);
  EXPECT_TRUE(reader_.is_open());
}

TEST_F(BrokerSessionsTest, TheEndOfTheGraceTellsThePublisher) {
  Link();
  publisher_.Publish(1, 1);
  reader_.Lose();
  shell_.Advance(kRecoveryGrace - kTick);
  EXPECT_THAT(publisher_.Take(), IsEmpty());
  shell_.Advance(kTick);
  EXPECT_THAT(KindsOf(publisher_.Take()),
              ElementsAre("LEAVE", "MATCHES", "ACK"));
}

TEST_F(BrokerSessionsTest, TheEndOfTheGraceTellsTheReaders) {
  Link();
  publisher_.Lose();
  shell_.Advance(kRecoveryGrace - kTick);
  EXPECT_THAT(reader_.Take(), IsEmpty());
  shell_.Advance(kTick);
  EXPECT_THAT(KindsOf(reader_.Take()), ElementsAre("SELECT", "GONE"));
}

// -- Superseded --

TEST_F(BrokerSessionsTest, ANewConnectionOfASessionSupersedesTheOld) {
  FrameClient again(&shell_, 2);
  again.Hello();
  EXPECT_EQ(again.Only<wire::Welcome>().session_number, reader_.number());
  EXPECT_EQ(reader_.Only<wire::Goodbye>().reason,
            wire::CloseReason::kSuperseded);
  EXPECT_FALSE(reader_.is_open());
  EXPECT_EQ(reader_.end()->name, reader_.name());
  EXPECT_TRUE(again.is_open());
  shell_.Advance(2 * kRecoveryGrace);
  EXPECT_EQ(sessions(), 2u);
}

TEST_F(BrokerSessionsTest, ASupersededReaderIsCaughtUpOnItsNewConnection) {
  Link();
  publisher_.Publish(1, 1);
  reader_.Take();
  FrameClient again(&shell_, 2);
  again.Hello();
  again.Send(ResumeMessage(5, "t"), 5);
  again.Resumed();
  EXPECT_EQ(Asked(), 1u);
  publisher_.Resend(1, 1, id_);
  EXPECT_EQ(again.OnlyFrame(FrameKind::kDeliver).header.sequence, 1u);
}

// -- A reader returns --

// What the publisher has handed to its socket counts as sent, though the broker
// has read nothing behind its OPEN.
TEST_F(BrokerSessionsTest, AReaderThatOpenedHasNamedIsOwedWhatCameToNobody) {
  FrameClient late(&shell_, 7);
  reader_.Subscribe(5, "late");
  EXPECT_EQ(reader_.Only<wire::Result>().code, absl::StatusCode::kOk);
  late.Hello();
  late.Open(1, "late");
  const auto opened = late.Only<wire::Opened>();
  ASSERT_EQ(opened.readers.size(), 1u);
  EXPECT_EQ(opened.readers[0].from, 1u);
  late.Lose();
  late.Connect();
  late.Hello();
  wire::Open open = test::OpenMessage(1, "late");
  open.next_sequence = 2;
  open.readers = opened.readers;
  late.Send(open, 1);
  late.Resumed();
  const std::vector<Got> told = late.Take();
  EXPECT_THAT(SequencesOf(told, FrameKind::kAck), IsEmpty());
  ASSERT_EQ(told.back().header.kind, FrameKind::kResend);
  const auto resend = told.back().As<wire::Resend>();
  ASSERT_EQ(resend.channels.size(), 1u);
  EXPECT_EQ(resend.channels[0].sequence, 1u);
}

TEST_F(BrokerSessionsTest, AReturningReaderGetsWhatItHasNotConsumed) {
  Link();
  for (uint64_t i = 1; i <= 3; ++i) publisher_.Publish(1, i);
  reader_.Ack(reader_.TakeOf(FrameKind::kDeliver)[0]);
  EXPECT_THAT(Acks(), ElementsAre(1));
  reader_.Lose();
  publisher_.Publish(1, 4);
  Return(&reader_);
  // It has consumed 2 as well, but its word of that was lost.
  reader_.Send(ResumeMessage(5, "t", {{publisher_.key(), ChannelNumber{1}, 2}}),
               5);
  EXPECT_THAT(KindsOf(reader_.Take()), ElementsAre("ANNOUNCE", "RESULT"));
  const std::vector<Got> told = publisher_.Take();
  ASSERT_THAT(KindsOf(told), ElementsAre("RESEND", "ACK"));
  EXPECT_EQ(told[1].header.sequence, 2u);
  const auto resend = told[0].As<wire::Resend>();
  ASSERT_EQ(resend.channels.size(), 1u);
  EXPECT_EQ(resend.channels[0].sequence, 3u);
  reader_.Resumed();
  publisher_.Publish(1, 5);  // part of the resend
  publisher_.Resend(1, 3, id_);
  publisher_.Resend(1, 4, id_);
  publisher_.Resend(1, 5, id_);
  publisher_.ResendEnd(id_);
  publisher_.Publish(1, 6);
  EXPECT_THAT(Delivered(), ElementsAre(3, 4, 5, 6));
}

TEST_F(BrokerSessionsTest, NothingIsAcknowledgedWhileAReaderIsAwaited) {
  Link();
  publisher_.Publish(1, 1);
  reader_.Lose();
  publisher_.Publish(1, 2);
  shell_.Advance(kRecoveryGrace / 2);
  EXPECT_THAT(Acks(), IsEmpty());
}

TEST_F(BrokerSessionsTest, WhatWasQueuedForALostConnectionIsAskedForAgain) {
  Link();
  reader_.SetRoom(0);
  for (uint64_t i = 1; i <= 3; ++i) publisher_.Publish(1, i);
  reader_.Lose();
  Return(&reader_);
  reader_.Send(ResumeMessage(5, "t"), 5);
  EXPECT_EQ(Asked(), 1u);
}

TEST_F(BrokerSessionsTest, AChannelOpenedWhileAReaderIsAwaitedIsItsToo) {
  reader_.Subscribe(5, "t");
  reader_.Lose();
  publisher_.Open(1, "t");
  EXPECT_EQ(publisher_.Only<wire::Opened>().readers.size(), 1u);
  publisher_.Publish(1, 1);
  Return(&reader_);
  reader_.Send(ResumeMessage(5, "t"), 5);
  reader_.Resumed();
  EXPECT_EQ(Asked(), 1u);
  publisher_.Resend(1, 1, id_);
  publisher_.ResendEnd(id_);
  publisher_.Publish(1, 2);
  EXPECT_THAT(Delivered(), ElementsAre(1, 2));
}

TEST_F(BrokerSessionsTest, ASubscriptionThatIsNotMadeAgainIsGivenUp) {
  Link();
  reader_.Lose();
  Return(&reader_);
  EXPECT_THAT(publisher_.Take(), IsEmpty());
  reader_.Resumed();
  EXPECT_THAT(KindsOf(publisher_.Take()), ElementsAre("LEAVE", "MATCHES"));
}

TEST_F(BrokerSessionsTest, ASubscriptionMadeAgainWithAnotherPatternIsNew) {
  Link();
  publisher_.Publish(1, 1);
  reader_.Lose();
  publisher_.Open(2, "u");
  publisher_.Take();
  Return(&reader_);
  reader_.Send(SubscribeMessage(5, "u"), 5);
  reader_.Resumed();
  EXPECT_THAT(KindsOf(publisher_.Take()),
              ElementsAre("LEAVE", "MATCHES", "JOIN", "MATCHES", "ACK"));
}

TEST_F(BrokerSessionsTest, APositionCountsThoughItsPublisherComesLater) {
  reader_.Lose();
  Return(&reader_);
  reader_.Send(ResumeMessage(5, "t", {{publisher_.key(), ChannelNumber{1}, 7}}),
               5);
  reader_.Resumed();
  reader_.Take();
  publisher_.Lose();
  Return(&publisher_);
  publisher_.Send(ReopenMessage(1, "t", 5, 10), 1);
  publisher_.Resumed();
  EXPECT_EQ(Asked(), 8u);
}

TEST_F(BrokerSessionsTest, APositionAheadOfThePublisherAsksForNothing) {
  reader_.Lose();
  Return(&reader_);
  reader_.Send(ResumeMessage(5, "t", {{publisher_.key(), ChannelNumber{1}, 9}}),
               5);
  reader_.Resumed();
  publisher_.Lose();
  Return(&publisher_);
  publisher_.Send(ReopenMessage(1, "t", 5, 10), 1);
  publisher_.Resumed();
  EXPECT_THAT(KindsOf(publisher_.Take()), ElementsAre("OPENED", "ACK"));
  publisher_.Publish(1, 10);
  EXPECT_THAT(Delivered(), ElementsAre(10));
}

// -- A publisher returns --

TEST_F(BrokerSessionsTest, AReturningPublisherGoesOnWhereTheBrokerStands) {
  Link();
  publisher_.Publish(1, 1);
  publisher_.Lose();
  Return(&publisher_);
  publisher_.Send(ReopenMessage(1, "t", 1, 2), 1);
  publisher_.Resumed();
  EXPECT_THAT(KindsOf(publisher_.Take()), ElementsAre("OPENED"));
  publisher_.Publish(1, 2);
  EXPECT_THAT(Delivered(), ElementsAre(1, 2));
}

TEST_F(BrokerSessionsTest, WhatWasLostOnTheWayIsAskedForAgain) {
  Link();
  publisher_.Publish(1, 1);
  publisher_.Lose();
  Return(&publisher_);
  // 2 and 3 were sent, but the broker never got them.
  publisher_.Send(ReopenMessage(1, "t", 1, 4), 1);
  publisher_.Resumed();
  EXPECT_EQ(Asked(), 2u);
  publisher_.Resend(1, 2, id_);
  publisher_.Resend(1, 3, id_);
  publisher_.ResendEnd(id_);
  publisher_.Publish(1, 4);
  EXPECT_THAT(Delivered(), ElementsAre(1, 2, 3, 4));
}

TEST_F(BrokerSessionsTest, AChannelCannotGoBack) {
  Link();
  publisher_.Publish(1, 1);
  publisher_.Publish(1, 2);
  publisher_.Lose();
  Return(&publisher_);
  publisher_.Send(ReopenMessage(1, "t", 1, 2), 9);
  EXPECT_EQ(publisher_.Only<wire::Result>().code, StatusCode::kInvalidArgument);
  publisher_.Send(ReopenMessage(1, "u", 1, 3), 9);
  EXPECT_EQ(publisher_.Only<wire::Result>().code, StatusCode::kAlreadyExists);
}

TEST_F(BrokerSessionsTest, AChannelThatIsNotOpenedAgainIsClosed) {
  Link();
  publisher_.Lose();
  Return(&publisher_);
  EXPECT_EQ(shell_.broker().state().topics.published().size(), 1u);
  publisher_.Resumed();
  EXPECT_TRUE(shell_.broker().state().topics.published().empty());
}

TEST_F(BrokerSessionsTest, LostAcknowledgementsAreRepeated) {
  Link();
  publisher_.Publish(1, 1);
  publisher_.Publish(1, 2);
  publisher_.Lose();
  reader_.Ack(reader_.TakeOf(FrameKind::kDeliver)[1]);
  Return(&publisher_);
  publisher_.Send(ReopenMessage(1, "t", 1, 3), 1);
  EXPECT_THAT(Acks(), ElementsAre(2));
}

TEST_F(BrokerSessionsTest, AReaderMadeWhileAPublisherIsAwaitedGetsTheRest) {
  publisher_.Open(1, "t");
  publisher_.Publish(1, 1);
  publisher_.Lose();
  reader_.Subscribe(5, "t");
  Return(&publisher_);
  publisher_.Send(ReopenMessage(1, "t", 1, 2), 1);
  EXPECT_EQ(publisher_.Only<wire::Opened>().readers.size(), 1u);
  EXPECT_THAT(reader_.Take(), IsEmpty());
  publisher_.Resumed();
  // OPENED has counted it, so its publisher may have waited for no more: what
  // comes behind RESUMED is its already.
  const auto resend = publisher_.Only<wire::Resend>();
  ASSERT_EQ(resend.channels.size(), 1u);
  EXPECT_EQ(resend.channels[0].sequence, 2u);
  publisher_.Publish(1, 2);
  EXPECT_THAT(KindsOf(reader_.Take()), ElementsAre("ANNOUNCE"));
  publisher_.Resend(1, 2, resend.reader.reader);
  publisher_.ResendEnd(resend.reader.reader);
  publisher_.Publish(1, 3);
  const std::vector<Got> frames = reader_.Take();
  EXPECT_THAT(KindsOf(frames), testing::Contains("RESULT"));
  EXPECT_THAT(SequencesOf(frames, FrameKind::kDeliver), ElementsAre(2, 3));
}

TEST_F(BrokerSessionsTest, AnAbortComesBeforeTheMessageComesAgain) {
  Link();
  publisher_.Send(test::FragmentOf(1, 1, 0, 1));
  reader_.Take();
  publisher_.Lose();
  EXPECT_EQ(reader_.OnlyFrame(FrameKind::kAbort).header.sequence, 1u);
  Return(&publisher_);
  publisher_.Send(ReopenMessage(1, "t", 1, 1), 1);
  publisher_.Resumed();
  publisher_.Send(test::FragmentOf(1, 1, 0, 1));
  publisher_.Send(test::FragmentOf(1, 1, 1, 1));
  EXPECT_THAT(Delivered(), ElementsAre(1, 1));
}

TEST_F(BrokerSessionsTest, BothReturnAndTheReaderLacksNothing) {
  Link();
  publisher_.Publish(1, 1);
  reader_.Take();
  publisher_.Lose();
  reader_.Lose();
  Return(&publisher_);
  publisher_.Send(ReopenMessage(1, "t", 1, 2), 1);
  publisher_.Resumed();
  publisher_.Publish(1, 2);
  publisher_.Take();
  Return(&reader_);
  reader_.Send(ResumeMessage(5, "t", {{publisher_.key(), ChannelNumber{1}, 1}}),
               5);
  reader_.Resumed();
  EXPECT_EQ(Asked(), 2u);
}

TEST_F(BrokerSessionsTest, ALossWhileCatchingUpBeginsItAnew) {
  Link();
  for (uint64_t i = 1; i <= 3; ++i) publisher_.Publish(1, i);
  reader_.Lose();
  Return(&reader_);
  reader_.Send(ResumeMessage(5, "t"), 5);
  EXPECT_EQ(Asked(), 1u);
  publisher_.Resend(1, 1, id_);
  publisher_.Lose();
  Return(&publisher_);
  publisher_.Send(ReopenMessage(1, "t", 1, 4), 1);
  publisher_.Resumed();
  EXPECT_EQ(Asked(), 2u);
}

// The mark of a resend that a lost reader no longer waits for must not open
// the route of the one that returned.
TEST_F(BrokerSessionsTest, TheMarkOfAnOldResendOpensNothing) {
  Link();
  publisher_.Publish(1, 1);
  reader_.Lose();
  Return(&reader_);
  reader_.Send(ResumeMessage(5, "t"), 5);
  EXPECT_EQ(Asked(), 1u);
  reader_.Lose();
  Return(&reader_);
  reader_.Send(ResumeMessage(5, "t"), 5);
  EXPECT_THAT(publisher_.TakeOf(FrameKind::kResend), IsEmpty());
  publisher_.Resend(1, 1, id_);
  EXPECT_THAT(Delivered(), IsEmpty());
  publisher_.ResendEnd(id_);
  EXPECT_EQ(Asked(), 1u);
  publisher_.Publish(1, 2);
  EXPECT_THAT(Delivered(), IsEmpty());
  publisher_.Resend(1, 1, id_);
  publisher_.Resend(1, 2, id_);
  publisher_.ResendEnd(id_);
  EXPECT_THAT(Delivered(), ElementsAre(1, 2));
}

}  // namespace
}  // namespace ipc::broker
