// SPDX-License-Identifier: Apache-2.0
//
// A broker that knows nothing, and the clients of another that died: readers
// are awaited because publishers tell of them, and nothing is acknowledged or
// handed over to the wrong one meanwhile.

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

using test::BrokerShell;
using test::FrameClient;
using test::Got;
using test::KindsOf;
using test::SequencesOf;
using test::SubscribeMessage;
using testing::ElementsAre;
using testing::IsEmpty;
using wire::FrameKind;

constexpr absl::Duration kTick = absl::Nanoseconds(1);

class BrokerRestartTest : public testing::Test {
 protected:
  BrokerRestartTest()
      : shell_(Options()), publisher_(&shell_, 1), reader_(&shell_, 2) {}

  static BrokerOptions Options() {
    BrokerOptions options;
    options.restarted = true;
    return options;
  }

  // The publisher comes with publications 5 to 9 of "t" in its log and a
  // reader that is entitled to them from 3 on.
  void PublisherComes() {
    publisher_.Hello();
    publisher_.Take();
    wire::Open open = test::OpenMessage(1, "t");
    open.first_sequence = 5;
    open.next_sequence = 10;
    open.readers_known = true;
    open.readers.push_back({.session = reader_.key(),
                            .subscription = SubscriptionId{5},
                            .reader = ReaderId{0},
                            .from = 3});
    publisher_.Send(open, 1);
    publisher_.Resumed();
  }
  void ReaderComes(std::vector<wire::Position> positions = {}) {
    reader_.Hello();
    reader_.Take();
    wire::Subscribe subscribe = SubscribeMessage(5, "t");
    subscribe.resume = true;
    subscribe.positions = std::move(positions);
    reader_.Send(subscribe, 5);
    reader_.Resumed();
  }
  wire::Position Consumed(uint64_t sequence) {
    return {publisher_.key(), ChannelNumber{1}, sequence};
  }
  uint64_t Asked() {
    const auto resend = publisher_.Only<wire::Resend>();
    EXPECT_EQ(resend.channels.size(), 1u);
    id_ = resend.reader.reader;
    return resend.channels.empty() ? 0 : resend.channels[0].sequence;
  }
  std::vector<uint64_t> Acks() {
    return SequencesOf(publisher_.Take(), FrameKind::kAck);
  }

  BrokerShell shell_;
  FrameClient publisher_;
  FrameClient reader_;
  ReaderId id_{};
};

TEST_F(BrokerRestartTest, AReaderThatAPublisherTellsOfIsAwaited) {
  PublisherComes();
  const auto opened = publisher_.Only<wire::Opened>();
  ASSERT_EQ(opened.readers.size(), 1u);
  EXPECT_EQ(opened.readers[0].session, reader_.key());
  EXPECT_EQ(opened.readers[0].from, 5u);  // the first that there still is
  EXPECT_EQ(opened.subscriptions, 0u);    // it has not come
  EXPECT_EQ(shell_.broker().state().sessions.size(), 2u);
}

TEST_F(BrokerRestartTest, NothingIsAcknowledgedBeforeItHasCome) {
  PublisherComes();
  publisher_.Publish(1, 10);
  shell_.Advance(kRecoveryGrace - kTick);
  EXPECT_THAT(Acks(), IsEmpty());
  shell_.Advance(kTick);
  EXPECT_THAT(Acks(), ElementsAre(10));
}

TEST_F(BrokerRestartTest, AReaderThatDiedIsNotAwaited) {
  PublisherComes();
  publisher_.Publish(1, 10);
  shell_.ProcessExited(reader_.key());
  EXPECT_THAT(Acks(), ElementsAre(10));
}

TEST_F(BrokerRestartTest, TheShellIsToldOnceOfAReaderThatNobodyHasSeen) {
  PublisherComes();
  EXPECT_THAT(shell_.broker().TakeAwaited(), ElementsAre(reader_.key()));
  EXPECT_THAT(shell_.broker().TakeAwaited(), IsEmpty());
}

TEST_F(BrokerRestartTest, AReaderThatIsHereIsNotAskedAfter) {
  ReaderComes();
  PublisherComes();
  EXPECT_THAT(shell_.broker().TakeAwaited(), IsEmpty());
}

TEST_F(BrokerRestartTest, AReaderThatComesGetsWhatItIsEntitledTo) {
  PublisherComes();
  publisher_.Publish(1, 10);
  ReaderComes();
  EXPECT_EQ(Asked(), 5u);
  EXPECT_THAT(reader_.TakeOf(FrameKind::kDeliver), IsEmpty());
  for (uint64_t i = 5; i <= 10; ++i) publisher_.Resend(1, i, id_);
  publisher_.ResendEnd(id_);
  publisher_.Publish(1, 11);
  const std::vector<Got> frames = reader_.TakeOf(FrameKind::kDeliver);
  EXPECT_THAT(SequencesOf(frames, FrameKind::kDeliver),
              ElementsAre(5, 6, 7, 8, 9, 10, 11));
  reader_.Ack(frames[6]);
  EXPECT_THAT(Acks(), ElementsAre(11));
}

TEST_F(BrokerRestartTest, AReadersWordOfWhatItConsumedCounts) {
  PublisherComes();
  ReaderComes({Consumed(7)});
  const std::vector<Got> told = publisher_.Take();
  EXPECT_THAT(KindsOf(told), ElementsAre("OPENED", "RESEND", "MATCHES", "ACK"));
  EXPECT_EQ(told[1].As<wire::Resend>().channels[0].sequence, 8u);
  EXPECT_EQ(told[3].header.sequence, 7u);
}

TEST_F(BrokerRestartTest, AReaderMayComeBeforeThePublisher) {
  ReaderComes({Consumed(7)});
  EXPECT_THAT(KindsOf(reader_.Take()), ElementsAre("RESULT"));
  PublisherComes();
  EXPECT_EQ(Asked(), 8u);
}

TEST_F(BrokerRestartTest, AReaderWithoutAPositionIsEntitledToAllThereIs) {
  ReaderComes();
  publisher_.Hello();
  wire::Open open = test::OpenMessage(1, "t");
  open.first_sequence = 5;
  open.next_sequence = 10;
  publisher_.Send(open, 1);
  publisher_.Resumed();
  EXPECT_EQ(Asked(), 5u);
}

TEST_F(BrokerRestartTest, ANewReaderIsNotEntitledToWhatWasBefore) {
  PublisherComes();
  publisher_.Take();
  FrameClient other(&shell_, 3);
  other.Greet();
  other.Subscribe(1, "t");
  const auto join = publisher_.Only<wire::Join>();
  EXPECT_EQ(join.reader.session, other.key());
  ReaderComes();
  EXPECT_EQ(Asked(), 5u);
  publisher_.Joined(join.reader.reader);
  for (uint64_t i = 5; i <= 9; ++i) publisher_.Resend(1, i, id_);
  publisher_.ResendEnd(id_);
  publisher_.Publish(1, 10);
  EXPECT_THAT(SequencesOf(other.Take(), FrameKind::kDeliver), ElementsAre(10));
  EXPECT_EQ(SequencesOf(reader_.Take(), FrameKind::kDeliver).size(), 6u);
}

TEST_F(BrokerRestartTest, AnAwaitedSubscriptionWithAnotherPatternLetsGo) {
  PublisherComes();
  publisher_.Take();
  reader_.Hello();
  reader_.Send(SubscribeMessage(5, "elsewhere"), 5);
  reader_.Resumed();
  EXPECT_THAT(Acks(), ElementsAre(9));
}

// Publishers that are on their way to this broker do not know of it.
TEST_F(BrokerRestartTest, ANewSubscriptionIsNotConfirmedAtOnce) {
  reader_.Greet();
  reader_.Subscribe(5, "t");
  shell_.Advance(kJoinTimeout - kTick);
  EXPECT_THAT(reader_.Take(), IsEmpty());
  shell_.Advance(kTick);
  EXPECT_THAT(KindsOf(reader_.Take()), ElementsAre("RESULT"));
}

TEST_F(BrokerRestartTest, AClientThatComesWithoutItsSubscriptionLetsGo) {
  PublisherComes();
  publisher_.Take();
  reader_.Hello();
  reader_.Resumed();
  shell_.Advance(kRecoveryGrace);
  EXPECT_THAT(KindsOf(publisher_.Take()), ElementsAre("LEAVE", "ACK"));
  EXPECT_TRUE(reader_.is_open());
}

TEST_F(BrokerRestartTest, APublishersToldReadersAreBoundedInSessions) {
  publisher_.Hello();
  wire::Open open = test::OpenMessage(1, "t");
  open.readers_known = true;
  for (int32_t i = 0; i < static_cast<int32_t>(kReadersPerChannelMax); ++i) {
    open.readers.push_back({.session = {.token = {}, .pid = i, .uid = 0},
                            .subscription = SubscriptionId{1},
                            .reader = {},
                            .from = 1});
  }
  publisher_.Send(open, 1);
  EXPECT_EQ(shell_.broker().state().sessions.size(), 2 * kConnectionsMax);
  EXPECT_TRUE(publisher_.is_open());
}

// -- Giving up --

TEST_F(BrokerRestartTest, PublishersThatDoNotReturnAreGivenUp) {
  ReaderComes({Consumed(7), {publisher_.key(), ChannelNumber{2}, 1}});
  reader_.Take();
  shell_.Advance(kRecoveryGrace - kTick);
  EXPECT_THAT(reader_.Take(), IsEmpty());
  shell_.Advance(kTick);
  const std::vector<Got> frames = reader_.Take();
  ASSERT_THAT(KindsOf(frames), ElementsAre("ANNOUNCE", "SELECT", "GONE"));
  const auto announce = frames[0].As<wire::Announce>();
  EXPECT_EQ(announce.topic_id, TopicId{0});
  EXPECT_EQ(announce.session, publisher_.key());
  EXPECT_EQ(ToNumber(announce.session_number), frames[2].header.session);
  EXPECT_EQ(frames[2].subscription, SubscriptionId{5});
}

TEST_F(BrokerRestartTest, PublishersThatReturnAreNotGivenUp) {
  ReaderComes({Consumed(7)});
  PublisherComes();
  reader_.Take();
  shell_.Advance(2 * kRecoveryGrace);
  EXPECT_THAT(reader_.Take(), IsEmpty());
}

// The reader's session stood here before it came, because a publisher had told
// of it; its publishers have all of its own grace.
TEST_F(BrokerRestartTest, TheGraceForPublishersBeginsWithTheReadersReturn) {
  PublisherComes();
  shell_.Advance(kRecoveryGrace - kTick);
  const SessionKey missing{.token = test::SampleToken(9), .pid = 9, .uid = 9};
  ReaderComes({Consumed(7), {missing, ChannelNumber{1}, 4}});
  reader_.Take();
  shell_.Advance(kRecoveryGrace - kTick);
  EXPECT_THAT(reader_.TakeOf(FrameKind::kGone), IsEmpty());
  shell_.Advance(kTick);
  EXPECT_EQ(reader_.TakeOf(FrameKind::kGone).size(), 1u);
}

TEST_F(BrokerRestartTest, WhatAResendWasAskedForIsOwedOnEveryChannel) {
  // The reader's client has told of 1 before it subscribes to 2 as well.
  PublisherComes();
  publisher_.Open(2, "u");
  publisher_.Take();
  reader_.Hello();
  wire::Subscribe subscribe = SubscribeMessage(5, "*");
  subscribe.resume = true;
  reader_.Send(subscribe, 5);
  reader_.Resumed();
  const auto resend = publisher_.Only<wire::Resend>();
  ASSERT_EQ(resend.channels.size(), 2u);
  publisher_.Publish(2, 1);
  publisher_.Publish(2, 2);
  publisher_.Resend(2, 1, resend.reader.reader);
  publisher_.Lose();  // before RESEND_END

  FrameClient back(&shell_, 1);
  back.Hello();
  back.Take();
  for (uint32_t channel : {1, 2}) {
    wire::Open open = test::OpenMessage(channel, channel == 1 ? "t" : "u");
    open.first_sequence = channel == 1 ? 5 : 1;
    open.next_sequence = 10;
    back.Send(open, channel);
  }
  back.Resumed();
  // 1 has come; a reader that now began anew would have a hole behind it.
  const auto again = back.Only<wire::Resend>();
  ASSERT_EQ(again.channels.size(), 2u);
  EXPECT_EQ(again.channels[1].channel, ChannelNumber{2});
  EXPECT_EQ(again.channels[1].sequence, 2u);
}

}  // namespace
}  // namespace ipc::broker
