// SPDX-License-Identifier: Apache-2.0
//
// The broker's part in last values: who is asked for them, to whom they go, and
// what a late, second or missing answer means. It keeps none itself.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdint>
#include <string>
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
using testing::ElementsAre;
using testing::IsEmpty;
using wire::FrameKind;

class BrokerRetainedTest : public testing::Test {
 protected:
  BrokerRetainedTest() : publisher_(&shell_, 1), reader_(&shell_, 2) {
    publisher_.Greet();
    reader_.Greet();
    shell_.Advance(kStartHold);
  }

  void OpenRetaining(uint64_t next_sequence = 1) {
    wire::Open open = test::OpenMessage(1, "t");
    open.first_sequence = open.next_sequence = next_sequence;
    open.retain_last = true;
    publisher_.Send(open, 101);
    publisher_.Take();
  }
  // Opens, publishes 1 and 2, and takes what comes of it.
  void PublishTwo() {
    OpenRetaining();
    publisher_.Publish(1, 1);
    publisher_.Publish(1, 2);
    publisher_.Take();
  }
  std::vector<uint64_t> Delivered() {
    return SequencesOf(reader_.Take(), FrameKind::kDeliver);
  }

  BrokerShell shell_;
  FrameClient publisher_;
  FrameClient reader_;
};

TEST_F(BrokerRetainedTest, ABestEffortReaderJoinsToo) {
  PublishTwo();
  reader_.SubscribeBestEffort(5, "t", 10);
  const std::vector<Got> frames = publisher_.Take();
  ASSERT_THAT(KindsOf(frames), ElementsAre("JOIN", "MATCHES"));
  const auto join = frames[0].As<wire::Join>();
  EXPECT_TRUE(join.transient);
  // It knows the topic before the value comes, and is confirmed behind it.
  EXPECT_THAT(KindsOf(reader_.Take()), ElementsAre("ANNOUNCE"));
  publisher_.Resend(1, 2, join.reader.reader, "value");
  publisher_.Joined(join.reader.reader);
  publisher_.Publish(1, 3);
  const std::vector<Got> got = reader_.Take();
  EXPECT_EQ(SequencesOf(got, FrameKind::kResult).size(), 1u);
  EXPECT_THAT(SequencesOf(got, FrameKind::kDeliver), ElementsAre(2, 3));
}

TEST_F(BrokerRetainedTest, BestEffortThatComesBackIsToldWhatTheValueReplaces) {
  PublishTwo();
  reader_.SubscribeBestEffort(5, "t", 10);
  const ReaderId reader = publisher_.Only<wire::Join>().reader.reader;
  publisher_.Joined(reader);
  reader_.Lose();
  for (uint64_t sequence : {3, 4, 5}) publisher_.Publish(1, sequence);
  FrameClient back(&shell_, 2);
  back.Hello();
  wire::Subscribe subscribe = test::SubscribeMessage(5, "t");
  subscribe.policy = wire::Policy::kBestEffort;
  subscribe.depth = 10;
  subscribe.bytes = 1 << 20;
  subscribe.resume = true;
  subscribe.positions = {{publisher_.key(), ChannelNumber{1}, 2}};
  back.Send(subscribe, 5);
  back.Resumed();
  EXPECT_EQ(back.TakeOf(FrameKind::kResult).size(), 1u);
  EXPECT_EQ(publisher_.Only<wire::Join>().reader.reader, reader);
  publisher_.Resend(1, 5, reader);
  publisher_.Joined(reader);
  const std::vector<Got> got = back.Take();
  std::vector<std::string> lines = test::LinesOf(got);
  std::erase_if(lines, [](const std::string& line) {
    return !line.starts_with("GAP") && !line.starts_with("DELIVER");
  });
  EXPECT_THAT(lines, ElementsAre("GAP 1:3", "DELIVER 1:5"));
}

TEST_F(BrokerRetainedTest, NobodyIsAskedForWhatWasNeverSent) {
  OpenRetaining();
  reader_.SubscribeBestEffort(5, "t", 10);
  EXPECT_THAT(KindsOf(publisher_.Take()), ElementsAre("MATCHES"));
  publisher_.Publish(1, 1);
  EXPECT_THAT(Delivered(), ElementsAre(1));
}

// When it was asked it had sent what the broker had not read yet.
TEST_F(BrokerRetainedTest, AReaderKnowsTheTopicOfAValueThatWasOnItsWay) {
  OpenRetaining();
  reader_.Subscribe(5, "t");
  EXPECT_THAT(KindsOf(reader_.Take()), ElementsAre("ANNOUNCE"));
  publisher_.Publish(1, 1);
  const ReaderId reader = publisher_.Only<wire::Join>().reader.reader;
  publisher_.Resend(1, 1, reader);
  publisher_.Joined(reader);
  EXPECT_THAT(Delivered(), ElementsAre(1));
}

TEST_F(BrokerRetainedTest, AChannelThatDoesNotRetainIsNotAsked) {
  publisher_.Open(1, "t");
  publisher_.Publish(1, 1);
  publisher_.Take();
  reader_.SubscribeBestEffort(5, "t", 10);
  EXPECT_THAT(KindsOf(publisher_.Take()), ElementsAre("MATCHES"));
}

TEST_F(BrokerRetainedTest, ValuesGoToTheReaderThatJoinsAndToNoOther) {
  PublishTwo();
  reader_.Subscribe(5, "t");
  const ReaderId first = publisher_.Only<wire::Join>().reader.reader;
  publisher_.Joined(first);
  reader_.Take();
  FrameClient second(&shell_, 3);
  second.Greet();
  second.Subscribe(6, "t");
  const auto join = publisher_.Only<wire::Join>();
  EXPECT_FALSE(join.transient);
  publisher_.Resend(1, 2, join.reader.reader);
  publisher_.Joined(join.reader.reader);
  EXPECT_THAT(Delivered(), IsEmpty());
  EXPECT_THAT(SequencesOf(second.Take(), FrameKind::kDeliver), ElementsAre(2));
}

TEST_F(BrokerRetainedTest, WithoutAnAnswerABestEffortReaderIsLiveInASecond) {
  PublishTwo();
  reader_.SubscribeBestEffort(5, "t", 10);
  const ReaderId reader = publisher_.Only<wire::Join>().reader.reader;
  publisher_.Publish(1, 3);
  shell_.Advance(kJoinTimeout - absl::Nanoseconds(1));
  publisher_.Publish(1, 4);
  EXPECT_THAT(Delivered(), IsEmpty());
  shell_.Advance(absl::Nanoseconds(1));
  publisher_.Publish(1, 5);
  EXPECT_THAT(Delivered(), ElementsAre(5));
  // The answer comes too late to be in its place.
  publisher_.Resend(1, 5, reader);
  publisher_.Joined(reader);
  EXPECT_THAT(Delivered(), IsEmpty());
}

TEST_F(BrokerRetainedTest, WithoutAnAnswerAReliableReaderIsCaughtUpLater) {
  PublishTwo();
  reader_.Subscribe(5, "t");
  const ReaderId reader = publisher_.Only<wire::Join>().reader.reader;
  shell_.Advance(kJoinTimeout);
  EXPECT_EQ(reader_.TakeOf(FrameKind::kResult).size(), 1u);
  const auto resend = publisher_.Only<wire::Resend>();
  EXPECT_EQ(resend.channels.at(0).sequence, 3u);
  EXPECT_TRUE(resend.channels.at(0).last_value);
  publisher_.Publish(1, 3);
  // The answer to JOIN comes too late to be in its place.
  publisher_.Resend(1, 3, reader);
  publisher_.Joined(reader);
  EXPECT_THAT(Delivered(), IsEmpty());
  publisher_.Resend(1, 3, reader);
  publisher_.ResendEnd(reader);
  publisher_.Publish(1, 4);
  EXPECT_THAT(Delivered(), ElementsAre(3, 4));
}

TEST_F(BrokerRetainedTest, AReaderBeginsAtItsFirstValueEvenWithoutTheMark) {
  PublishTwo();
  reader_.Subscribe(5, "t");
  const ReaderId reader = publisher_.Only<wire::Join>().reader.reader;
  publisher_.Resend(1, 2, reader);
  publisher_.Lose();
  EXPECT_THAT(Delivered(), ElementsAre(2));
  FrameClient back(&shell_, 1);
  back.Hello();
  wire::Open open = test::OpenMessage(1, "t");
  open.next_sequence = 5;  // 3 and 4 were sent, and lost on their way
  open.retain_last = true;
  back.Send(open, 101);
  back.Resumed();
  // Not JOIN: behind 2 it would leave a hole.
  const auto resend = back.Only<wire::Resend>();
  EXPECT_EQ(resend.channels.at(0).sequence, 3u);
  EXPECT_FALSE(resend.channels.at(0).last_value);
}

TEST_F(BrokerRetainedTest, OfTwoAnswersTheValuesOfTheLastCount) {
  PublishTwo();
  reader_.Subscribe(5, "t");
  const ReaderId reader = publisher_.Only<wire::Join>().reader.reader;
  reader_.Lose();
  FrameClient again(&shell_, 2);
  again.Hello();
  again.Subscribe(5, "t");
  again.Resumed();
  EXPECT_EQ(publisher_.Only<wire::Join>().reader.reader, reader);
  publisher_.Resend(1, 2, reader);
  publisher_.Joined(reader);
  publisher_.Publish(1, 3);
  publisher_.Resend(1, 3, reader);
  publisher_.Joined(reader);
  EXPECT_THAT(SequencesOf(again.Take(), FrameKind::kDeliver), ElementsAre(3));
}

TEST_F(BrokerRetainedTest, APublisherThatComesLaterIsAskedToResendTheValue) {
  reader_.Subscribe(5, "t");
  reader_.Take();
  FrameClient late(&shell_, 3);
  late.Hello();
  wire::Open open = test::OpenMessage(1, "t");
  open.first_sequence = open.next_sequence = 8;
  open.retain_last = true;
  late.Send(open, 101);
  late.Resumed();
  // The reader is confirmed: 8 may be sent before this is read, and is its.
  const auto resend = late.Only<wire::Resend>();
  ASSERT_EQ(resend.channels.size(), 1u);
  EXPECT_EQ(resend.channels[0].sequence, 8u);
  EXPECT_TRUE(resend.channels[0].last_value);
  late.Publish(1, 8);
  late.Resend(1, 7, resend.reader.reader);
  late.Resend(1, 8, resend.reader.reader);
  late.ResendEnd(resend.reader.reader);
  late.Publish(1, 9);
  EXPECT_THAT(Delivered(), ElementsAre(7, 8, 9));
}

TEST_F(BrokerRetainedTest, AReaderThatHasTheValueIsNotOwedIt) {
  FrameClient back(&shell_, 3);
  back.Hello();
  wire::Subscribe subscribe = test::SubscribeMessage(5, "t");
  subscribe.resume = true;
  FrameClient late(&shell_, 4);
  subscribe.positions = {{late.key(), ChannelNumber{1}, 7}};
  back.Send(subscribe, 5);
  back.Resumed();
  late.Hello();
  wire::Open open = test::OpenMessage(1, "t");
  open.first_sequence = open.next_sequence = 8;
  open.retain_last = true;
  open.readers_known = true;
  late.Send(open, 101);
  late.Resumed();
  EXPECT_THAT(late.TakeOf(FrameKind::kResend), IsEmpty());
  late.Publish(1, 8);
  EXPECT_THAT(SequencesOf(back.Take(), FrameKind::kDeliver), ElementsAre(8));
}

TEST_F(BrokerRetainedTest, AValueThatDoesNotFitIsAskedForAgain) {
  BrokerOptions options;
  options.reliable_queue_bytes_max = 1;
  BrokerShell shell(options);
  FrameClient publisher(&shell, 1);
  FrameClient reader(&shell, 2);
  publisher.Greet();
  reader.Greet();
  const std::string value(kFramePayloadBytesMax, 'v');
  for (uint32_t channel : {1, 2}) {
    wire::Open open = test::OpenMessage(channel, std::to_string(channel));
    open.retain_last = true;
    publisher.Send(open, 100 + channel);
    publisher.Publish(channel, 1, value);
  }
  publisher.Take();
  reader.SetRoom(0);
  reader.Subscribe(5, "*");
  const ReaderId id = publisher.Only<wire::Join>().reader.reader;
  publisher.Resend(1, 1, id, value);
  publisher.Resend(2, 1, id, value);
  publisher.Joined(id);
  EXPECT_THAT(publisher.TakeOf(FrameKind::kResend), IsEmpty());
  reader.SetRoom(BrokerShell::kEndless);
  const std::vector<Got> frames = reader.Take();
  EXPECT_EQ(SequencesOf(frames, FrameKind::kDeliver).size(), 1u);
  EXPECT_EQ(SequencesOf(frames, FrameKind::kResult).size(), 1u);
  // Of what has come, nothing is asked for again.
  const auto resend = publisher.Only<wire::Resend>();
  ASSERT_EQ(resend.channels.size(), 2u);
  EXPECT_FALSE(resend.channels[0].last_value);
  EXPECT_TRUE(resend.channels[1].last_value);
  publisher.Resend(2, 1, id, value);
  publisher.ResendEnd(id);
  EXPECT_THAT(SequencesOf(reader.Take(), FrameKind::kDeliver), ElementsAre(1));
}

}  // namespace
}  // namespace ipc::broker
