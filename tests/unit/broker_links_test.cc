// SPDX-License-Identifier: Apache-2.0
//
// How a reliable reader gets onto a publisher's stream, falls off it and comes
// back, while both stay connected: JOIN and JOINED, RESEND and RESEND_END,
// LEAVE and GONE.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdint>
#include <string>
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
using test::SequencesOf;
using testing::ElementsAre;
using testing::IsEmpty;
using wire::FrameKind;

constexpr absl::Duration kTick = absl::Nanoseconds(1);

class BrokerLinksTest : public testing::Test {
 protected:
  BrokerLinksTest()
      : publisher_(&shell_, 1), second_(&shell_, 2), reader_(&shell_, 3) {
    publisher_.Greet();
    second_.Greet();
    reader_.Greet();
    shell_.Advance(kStartHold);
  }

  // The RESULT of `request` and its code, or nothing yet.
  std::vector<std::pair<uint64_t, StatusCode>> Results() {
    std::vector<std::pair<uint64_t, StatusCode>> results;
    for (const Got& frame : reader_.TakeOf(FrameKind::kResult)) {
      results.emplace_back(frame.header.sequence,
                           frame.As<wire::Result>().code);
    }
    return results;
  }
  std::vector<uint64_t> Delivered() {
    return SequencesOf(reader_.Take(), FrameKind::kDeliver);
  }

  BrokerShell shell_;
  FrameClient publisher_;
  FrameClient second_;
  FrameClient reader_;
};

// -- JOIN --

TEST_F(BrokerLinksTest, JoinNamesTheReaderAndItsChannels) {
  publisher_.Open(1, "a/x");
  publisher_.Open(2, "b");
  publisher_.Open(3, "a/y");
  publisher_.Take();
  reader_.Subscribe(5, "a/*");
  const auto join = publisher_.Only<wire::Join>();
  EXPECT_EQ(join.reader.session, reader_.key());
  EXPECT_EQ(join.reader.subscription, SubscriptionId{5});
  EXPECT_NE(join.reader.reader, ReaderId{0});
  EXPECT_THAT(join.channels, testing::UnorderedElementsAre(ChannelNumber{1},
                                                           ChannelNumber{3}));
}

TEST_F(BrokerLinksTest, ASubscriptionIsConfirmedWhenItsPublisherHasJoined) {
  publisher_.Open(1, "t");
  publisher_.Take();
  reader_.Subscribe(5, "t");
  const ReaderId reader = publisher_.Only<wire::Join>().reader.reader;
  publisher_.Publish(1, 1);
  EXPECT_THAT(reader_.Take(), IsEmpty());
  publisher_.Joined(reader);
  EXPECT_THAT(Results(), ElementsAre(std::pair(5u, StatusCode::kOk)));
  publisher_.Publish(1, 2);
  EXPECT_THAT(Delivered(), ElementsAre(2));
}

TEST_F(BrokerLinksTest, TheNumberOfMatchesComesBehindJoin) {
  publisher_.Open(1, "t");
  publisher_.Take();
  reader_.Subscribe(5, "t");
  const std::vector<Got> frames = publisher_.Take();
  ASSERT_EQ(frames.size(), 2u);
  EXPECT_EQ(frames[0].header.kind, FrameKind::kJoin);
  EXPECT_EQ(frames[1].header.kind, FrameKind::kMatches);
  EXPECT_EQ(frames[1].header.sequence, 1u);
}

TEST_F(BrokerLinksTest, AReopeningPublisherHearsOfMatchesBehindJoinToo) {
  FrameClient late(&shell_, 4);
  late.Hello();
  late.Open(1, "t");
  late.Take();
  reader_.Subscribe(5, "t");
  EXPECT_THAT(late.Take(), IsEmpty());
  late.Resumed();
  const std::vector<Got> frames = late.Take();
  ASSERT_EQ(frames.size(), 2u);
  EXPECT_EQ(frames[0].header.kind, FrameKind::kJoin);
  EXPECT_EQ(frames[1].header.kind, FrameKind::kMatches);
  EXPECT_EQ(frames[1].header.sequence, 1u);
}

TEST_F(BrokerLinksTest, ANumberOfMatchesIsToldOnce) {
  reader_.Subscribe(5, "t");
  FrameClient late(&shell_, 4);
  late.Hello();
  late.Open(1, "t");
  EXPECT_EQ(late.Only<wire::Opened>().subscriptions, 1u);
  late.Resumed();
  EXPECT_THAT(late.TakeOf(FrameKind::kMatches), IsEmpty());
}

TEST_F(BrokerLinksTest, ItIsConfirmedWhenTheLastPublisherHasJoined) {
  publisher_.Open(1, "t");
  second_.Open(1, "t");
  publisher_.Take();
  second_.Take();
  reader_.Subscribe(5, "t");
  publisher_.Joined(publisher_.Only<wire::Join>().reader.reader);
  EXPECT_THAT(Results(), IsEmpty());
  second_.Joined(second_.Only<wire::Join>().reader.reader);
  EXPECT_THAT(Results(), ElementsAre(std::pair(5u, StatusCode::kOk)));
}

TEST_F(BrokerLinksTest, APublisherThatDoesNotAnswerIsWaitedForBoundedly) {
  publisher_.Open(1, "t");
  publisher_.Take();
  reader_.Subscribe(5, "t");
  const ReaderId reader = publisher_.Only<wire::Join>().reader.reader;
  shell_.Advance(kJoinTimeout - kTick);
  EXPECT_THAT(reader_.Take(), IsEmpty());
  shell_.Advance(kTick);
  EXPECT_THAT(Results(), ElementsAre(std::pair(5u, StatusCode::kOk)));
  publisher_.Publish(1, 1);
  EXPECT_THAT(Delivered(), ElementsAre(1));
  publisher_.Joined(reader);
  EXPECT_THAT(reader_.Take(), IsEmpty());
}

TEST_F(BrokerLinksTest, APublisherThatIsLostIsWaitedForBoundedlyAsWell) {
  publisher_.Open(1, "t");
  reader_.Subscribe(5, "t");
  publisher_.Lose();
  shell_.Advance(kJoinTimeout - kTick);
  EXPECT_THAT(Results(), IsEmpty());
  shell_.Advance(kTick);
  EXPECT_THAT(Results(), ElementsAre(std::pair(5u, StatusCode::kOk)));
}

TEST_F(BrokerLinksTest, APublisherThatIsGoneIsNotWaitedFor) {
  publisher_.Open(1, "t");
  reader_.Subscribe(5, "t");
  publisher_.Lose(/*process_alive=*/false);
  EXPECT_THAT(Results(), ElementsAre(std::pair(5u, StatusCode::kOk)));
}

TEST_F(BrokerLinksTest, AChannelThatIsClosedIsNotWaitedFor) {
  publisher_.Open(1, "t");
  reader_.Subscribe(5, "t");
  publisher_.Send({.kind = FrameKind::kClose, .target = 1});
  EXPECT_THAT(Results(), ElementsAre(std::pair(5u, StatusCode::kOk)));
}

TEST_F(BrokerLinksTest, BestEffortIsConfirmedAtOnceAndNotTold) {
  publisher_.Open(1, "t");
  publisher_.Take();
  reader_.SubscribeBestEffort(5, "t", 1);
  EXPECT_THAT(Results(), ElementsAre(std::pair(5u, StatusCode::kOk)));
  EXPECT_THAT(KindsOf(publisher_.Take()), ElementsAre("MATCHES"));
}

TEST_F(BrokerLinksTest, UnsubscribingWhileItWaitsAnswersBoth) {
  publisher_.Open(1, "t");
  publisher_.Take();
  reader_.Subscribe(5, "t");
  const ReaderId reader = publisher_.Only<wire::Join>().reader.reader;
  reader_.Send({.kind = FrameKind::kUnsubscribe, .target = 5, .sequence = 6});
  EXPECT_THAT(Results(), ElementsAre(std::pair(5u, StatusCode::kOk),
                                     std::pair(6u, StatusCode::kOk)));
  publisher_.Joined(reader);
  publisher_.Publish(1, 1);
  EXPECT_THAT(reader_.Take(), IsEmpty());
}

TEST_F(BrokerLinksTest, AChannelOpenedWhileItWaitsIsReadBehindJoined) {
  publisher_.Open(1, "a");
  publisher_.Take();
  reader_.Subscribe(5, "*");
  const ReaderId reader = publisher_.Only<wire::Join>().reader.reader;
  publisher_.Open(2, "b");
  EXPECT_EQ(publisher_.Only<wire::Opened>().readers.size(), 1u);
  publisher_.Joined(reader);
  publisher_.Publish(2, 1, "b");
  publisher_.Publish(1, 1, "a");
  std::vector<std::string> payloads;
  for (const Got& frame : reader_.TakeOf(FrameKind::kDeliver)) {
    payloads.emplace_back(frame.payload());
  }
  EXPECT_THAT(payloads, ElementsAre("b", "a"));
}

TEST_F(BrokerLinksTest, JoinedOfAnybodyElseChangesNothing) {
  publisher_.Open(1, "t");
  second_.Open(1, "t");
  publisher_.Take();
  reader_.Subscribe(5, "t");
  const ReaderId reader = publisher_.Only<wire::Join>().reader.reader;
  publisher_.Joined(ReaderId{ToNumber(reader) + 1});
  publisher_.Joined(ReaderId{0});
  publisher_.ResendEnd(reader);
  EXPECT_THAT(reader_.Take(), IsEmpty());
  EXPECT_TRUE(publisher_.is_open());
}

// -- LEAVE and GONE --

// The publisher takes the reader to begin at its last answer, and hands it back
// like that to the next broker.
TEST_F(BrokerLinksTest, AReaderThatCameBackBeginsBehindTheSecondJoined) {
  publisher_.Open(1, "t");
  publisher_.Take();
  reader_.Subscribe(5, "t");
  const ReaderId reader = publisher_.Only<wire::Join>().reader.reader;
  reader_.Lose();
  reader_.Connect();
  reader_.Hello();
  reader_.Subscribe(5, "t");
  reader_.Resumed();
  reader_.Take();
  publisher_.Joined(reader);
  publisher_.Publish(1, 1);
  EXPECT_THAT(reader_.Take(), IsEmpty());
  publisher_.Joined(reader);
  publisher_.Publish(1, 2);
  const std::vector<Got> frames = reader_.Take();
  EXPECT_THAT(SequencesOf(frames, FrameKind::kDeliver), ElementsAre(2));
}

// Its publisher has noted it at its answer to JOIN, which the broker has not
// heard; a new channel tells the broker nothing of the first one.
TEST_F(BrokerLinksTest, AReaderThatIsAwayBeforeJoinedJoinsAnew) {
  publisher_.Open(1, "t/a");
  publisher_.Publish(1, 1);
  publisher_.Take();
  reader_.Subscribe(5, "t/*");
  const ReaderId reader = publisher_.Only<wire::Join>().reader.reader;
  reader_.Lose();
  publisher_.Publish(1, 2);
  publisher_.Open(2, "t/b");
  publisher_.Take();
  reader_.Connect();
  reader_.Hello();
  reader_.Subscribe(5, "t/*");
  reader_.Resumed();
  const auto join = publisher_.Only<wire::Join>();
  EXPECT_EQ(join.reader.reader, reader);
  publisher_.Joined(reader);
  publisher_.Joined(reader);
  publisher_.Publish(1, 3);
  EXPECT_THAT(Delivered(), ElementsAre(3));
}

// What was sent while the broker knew of the reader is not the reader's if its
// publisher did not.
TEST_F(BrokerLinksTest,
       AReaderThatNobodyHasNamedBeginsWhereItsPublisherReturns) {
  publisher_.Open(1, "t/a");
  publisher_.Open(2, "t/b");
  publisher_.Take();
  reader_.Subscribe(5, "t/*");
  reader_.Lose();
  publisher_.Lose();
  publisher_.Connect();
  publisher_.Hello();
  publisher_.Open(1, "t/a");
  const auto opened = publisher_.Only<wire::Opened>();
  ASSERT_EQ(opened.readers.size(), 1u);
  EXPECT_EQ(opened.readers[0].from, 1u);
  publisher_.Lose();
  // It had sent on "t/b" before the broker heard of the reader at all.
  publisher_.Connect();
  publisher_.Hello();
  publisher_.Open(1, "t/a");
  wire::Open open = test::OpenMessage(2, "t/b");
  open.next_sequence = 3;
  publisher_.Send(open, 102);
  publisher_.Resumed();
  publisher_.Take();
  reader_.Connect();
  reader_.Hello();
  reader_.Subscribe(5, "t/*");
  reader_.Resumed();
  const auto resend = publisher_.Only<wire::Resend>();
  ASSERT_EQ(resend.channels.size(), 2u);
  EXPECT_EQ(resend.channels[0].sequence, 1u);
  EXPECT_EQ(resend.channels[1].sequence, 3u);
}

TEST_F(BrokerLinksTest, APublisherHearsWhenAReaderLeaves) {
  publisher_.Open(1, "t");
  publisher_.Take();
  reader_.Subscribe(5, "t");
  const ReaderId reader = publisher_.Only<wire::Join>().reader.reader;
  publisher_.Joined(reader);
  reader_.Send({.kind = FrameKind::kUnsubscribe, .target = 5});
  EXPECT_EQ(publisher_.OnlyFrame(FrameKind::kLeave).header.session,
            ToNumber(reader));
}

TEST_F(BrokerLinksTest, APublisherHearsWhenAReaderSaysGoodbye) {
  publisher_.Open(1, "t");
  reader_.Subscribe(5, "t");
  reader_.Subscribe(6, "*");
  publisher_.Take();
  reader_.Goodbye();
  EXPECT_EQ(publisher_.TakeOf(FrameKind::kLeave).size(), 2u);
}

TEST_F(BrokerLinksTest, GoneStandsBehindTheLastMessage) {
  publisher_.Open(1, "t");
  publisher_.Take();
  reader_.Subscribe(5, "t");
  publisher_.Joined(publisher_.Only<wire::Join>().reader.reader);
  reader_.Take();
  reader_.SetRoom(0);
  publisher_.Publish(1, 1);
  publisher_.Publish(1, 2);
  publisher_.Goodbye();
  reader_.SetRoom(BrokerShell::kEndless);
  const std::vector<Got> frames = reader_.Take();
  ASSERT_THAT(KindsOf(frames),
              ElementsAre("SELECT", "DELIVER", "DELIVER", "GONE"));
  EXPECT_EQ(frames[3].header.session, ToNumber(publisher_.number()));
}

TEST_F(BrokerLinksTest, EachSubscriptionIsToldThatAPublisherIsGone) {
  publisher_.Open(1, "t");
  reader_.Subscribe(5, "t");
  reader_.SubscribeBestEffort(6, "*", 10);
  reader_.Subscribe(7, "elsewhere");
  reader_.Take();
  publisher_.Goodbye();
  std::vector<uint32_t> told;
  for (const Got& frame : reader_.TakeOf(FrameKind::kGone)) {
    told.push_back(ToNumber(frame.subscription));
  }
  EXPECT_THAT(told, testing::UnorderedElementsAre(5, 6));
}

TEST_F(BrokerLinksTest, GoneIsToldThoughTheChannelWasClosedBefore) {
  publisher_.Open(1, "t");
  publisher_.Take();
  reader_.Subscribe(5, "t");
  publisher_.Joined(publisher_.Only<wire::Join>().reader.reader);
  publisher_.Publish(1, 1);
  publisher_.Send({.kind = FrameKind::kClose, .target = 1});
  publisher_.Goodbye();
  EXPECT_EQ(reader_.OnlyFrame(FrameKind::kGone).header.session,
            ToNumber(publisher_.number()));
}

TEST_F(BrokerLinksTest, AChannelThatIsOpenedAgainIsReadAgain) {
  publisher_.Open(1, "t");
  publisher_.Take();
  reader_.Subscribe(5, "t");
  publisher_.Joined(publisher_.Only<wire::Join>().reader.reader);
  publisher_.Publish(1, 1);
  publisher_.Send({.kind = FrameKind::kClose, .target = 1});
  reader_.Take();
  wire::Open open = test::OpenMessage(1, "t");
  open.first_sequence = open.next_sequence = 2;
  open.readers_known = true;
  publisher_.Take();
  publisher_.Send(open, 9);
  EXPECT_EQ(publisher_.Only<wire::Opened>().readers.size(), 1u);
  publisher_.Publish(1, 2);
  const std::vector<Got> frames = reader_.TakeOf(FrameKind::kDeliver);
  EXPECT_THAT(SequencesOf(frames, FrameKind::kDeliver), ElementsAre(2));
  reader_.Ack(frames[0]);
  EXPECT_THAT(SequencesOf(publisher_.Take(), FrameKind::kAck), ElementsAre(2));
}

// -- Falling behind --

// Publications of 64 KiB; as many as fill the queue of a reliable reader.
class BrokerBehindTest : public BrokerLinksTest {
 protected:
  static constexpr uint64_t kFits =
      kReliableQueueBytesMax / (kFrameHeaderBytes + kFramePayloadBytesMax);

  BrokerBehindTest() : payload_(kFramePayloadBytesMax, 'p') {
    publisher_.Open(1, "t");
    publisher_.Open(2, "u");
    publisher_.Take();
    reader_.Subscribe(5, "*");
    id_ = publisher_.Only<wire::Join>().reader.reader;
    publisher_.Joined(id_);
    reader_.Take();
  }

  void Publish(uint64_t first, uint64_t last) {
    for (uint64_t i = first; i <= last; ++i) publisher_.Publish(1, i, payload_);
  }
  // What the publisher is asked to send again, by channel.
  std::vector<std::pair<uint32_t, uint64_t>> Asked() {
    const auto resend = publisher_.Only<wire::Resend>();
    EXPECT_EQ(resend.reader.reader, id_);
    EXPECT_EQ(resend.reader.session, reader_.key());
    std::vector<std::pair<uint32_t, uint64_t>> asked;
    for (const wire::Resend::From& from : resend.channels) {
      asked.emplace_back(ToNumber(from.channel), from.sequence);
    }
    return asked;
  }
  void ExpectNotAsked() {
    EXPECT_THAT(publisher_.TakeOf(FrameKind::kResend), IsEmpty());
  }

  std::string payload_;
  ReaderId id_{};
};

TEST_F(BrokerBehindTest, AQueueHoldsItsLimit) {
  reader_.SetRoom(0);
  Publish(1, kFits);
  reader_.SetRoom(BrokerShell::kEndless);
  EXPECT_EQ(Delivered().size(), kFits);
  ExpectNotAsked();
}

TEST_F(BrokerBehindTest, WhatDoesNotFitIsAskedForAgainWhenThereIsRoom) {
  publisher_.Publish(2, 1);
  reader_.Take();
  reader_.SetRoom(0);
  Publish(1, kFits + 1);
  publisher_.Publish(2, 2);
  Publish(kFits + 2, kFits + 3);
  ExpectNotAsked();
  reader_.SetRoom(BrokerShell::kEndless);
  EXPECT_EQ(Delivered().size(), kFits);
  EXPECT_THAT(Asked(), ElementsAre(std::pair(1u, kFits + 1),
                                   std::pair(2u, uint64_t{2})));
  // The route stays closed until the mark; what comes before it is resent.
  Publish(kFits + 4, kFits + 4);
  EXPECT_THAT(Delivered(), IsEmpty());
  publisher_.Resend(1, kFits + 1, id_, "again");
  publisher_.Resend(2, 2, id_, "again");
  for (uint64_t i = kFits + 2; i <= kFits + 4; ++i) {
    publisher_.Resend(1, i, id_, "again");
  }
  EXPECT_THAT(Delivered(),
              ElementsAre(kFits + 1, 2, kFits + 2, kFits + 3, kFits + 4));
  publisher_.ResendEnd(id_);
  Publish(kFits + 5, kFits + 5);
  EXPECT_THAT(Delivered(), ElementsAre(kFits + 5));
}

TEST_F(BrokerBehindTest, NothingIsAcknowledgedBeforeItCaughtUp) {
  reader_.SetRoom(0);
  Publish(1, kFits + 1);
  reader_.SetRoom(BrokerShell::kEndless);
  const std::vector<Got> frames = reader_.TakeOf(FrameKind::kDeliver);
  reader_.Ack(frames.back());
  EXPECT_THAT(SequencesOf(publisher_.Take(), FrameKind::kAck),
              ElementsAre(kFits));
  publisher_.Resend(1, kFits + 1, id_, "again");
  reader_.Ack(reader_.OnlyFrame(FrameKind::kDeliver));
  EXPECT_THAT(SequencesOf(publisher_.Take(), FrameKind::kAck),
              ElementsAre(kFits + 1));
}

TEST_F(BrokerBehindTest, AReaderMayFallBehindWhileItCatchesUp) {
  reader_.SetRoom(0);
  Publish(1, kFits + 1);
  reader_.SetRoom(BrokerShell::kEndless);
  Delivered();
  publisher_.Take();
  reader_.SetRoom(0);
  publisher_.Resend(1, kFits + 1, id_, payload_);
  for (uint64_t i = kFits + 2; i <= 2 * kFits + 1; ++i) {
    publisher_.Resend(1, i, id_, payload_);
  }
  ExpectNotAsked();
  reader_.SetRoom(BrokerShell::kEndless);
  EXPECT_EQ(Delivered().size(), kFits);
  // The first resend is still under way; its end starts the second.
  ExpectNotAsked();
  publisher_.Resend(1, 2 * kFits + 2, id_, payload_);
  EXPECT_THAT(Delivered(), IsEmpty());
  publisher_.ResendEnd(id_);
  EXPECT_THAT(Asked(), ElementsAre(std::pair(1u, 2 * kFits + 1),
                                   std::pair(2u, uint64_t{1})));
  publisher_.Resend(1, 2 * kFits + 1, id_);
  EXPECT_THAT(Delivered(), ElementsAre(2 * kFits + 1));
}

TEST_F(BrokerBehindTest, TheMarkMayComeBeforeThereIsRoomAgain) {
  reader_.SetRoom(0);
  Publish(1, kFits + 1);
  reader_.SetRoom(BrokerShell::kEndless);
  Delivered();
  publisher_.Take();
  reader_.SetRoom(0);
  for (uint64_t i = kFits + 1; i <= 2 * kFits + 1; ++i) {
    publisher_.Resend(1, i, id_, payload_);
  }
  publisher_.ResendEnd(id_);
  ExpectNotAsked();
  reader_.SetRoom(BrokerShell::kEndless);
  EXPECT_EQ(Delivered().size(), kFits);
  EXPECT_THAT(Asked().front(), testing::Pair(1u, 2 * kFits + 1));
}

TEST_F(BrokerBehindTest, AFragmentedMessageIsAskedForFromItsFirstFragment) {
  reader_.SetRoom(0);
  Publish(1, kFits - 1);
  publisher_.Send(test::FragmentOf(1, kFits, 0, 2));
  publisher_.Send(test::FragmentOf(1, kFits, 1, 2));
  publisher_.Send(test::FragmentOf(1, kFits, 2, 2));
  reader_.SetRoom(BrokerShell::kEndless);
  Delivered();
  EXPECT_THAT(Asked().front(), testing::Pair(1u, kFits));
}

TEST_F(BrokerBehindTest, OtherReadersGoOn) {
  FrameClient quick(&shell_, 4);
  quick.Greet();
  quick.Subscribe(1, "t");
  publisher_.Joined(publisher_.Only<wire::Join>().reader.reader);
  reader_.SetRoom(0);
  Publish(1, kFits + 10);
  EXPECT_EQ(SequencesOf(quick.Take(), FrameKind::kDeliver).size(), kFits + 10);
  reader_.SetRoom(BrokerShell::kEndless);
  EXPECT_EQ(Delivered().size(), kFits);
}

TEST_F(BrokerBehindTest, OneReadersFallMakesNobodyElseFall) {
  // Both share a socket, so that what waits for one is queued for the other.
  reader_.Subscribe(6, "t");
  const ReaderId sixth = publisher_.Only<wire::Join>().reader.reader;
  publisher_.Joined(sixth);
  reader_.SetRoom(0);
  publisher_.Publish(2, 1, payload_);  // for subscription 5 alone
  Publish(1, kFits);                   // the last does not fit there
  reader_.SetRoom(BrokerShell::kEndless);
  EXPECT_THAT(Asked().front(), testing::Pair(1u, kFits));
}

TEST_F(BrokerBehindTest, WhatIsResentForNobodyGoesNowhere) {
  publisher_.Resend(1, 1, id_);           // it is live
  publisher_.Resend(1, 1, ReaderId{77});  // there is no such reader
  EXPECT_THAT(reader_.Take(), IsEmpty());
  EXPECT_TRUE(publisher_.is_open());
  publisher_.Resend(9, 1, id_);
  EXPECT_FALSE(publisher_.is_open());  // there is no such channel
}

TEST_F(BrokerBehindTest, UnsubscribingWhileBehindEndsIt) {
  reader_.SetRoom(0);
  Publish(1, kFits + 1);
  reader_.Send({.kind = FrameKind::kUnsubscribe, .target = 5});
  reader_.SetRoom(BrokerShell::kEndless);
  ExpectNotAsked();
  EXPECT_THAT(Delivered(), IsEmpty());
}

}  // namespace
}  // namespace ipc::broker
