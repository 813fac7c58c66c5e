// SPDX-License-Identifier: Apache-2.0
//
// When a publisher hears that it may forget: after the slowest reliable reader
// has consumed, or on routing when there is none; not while a broker that has
// just started cannot know who reads.

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

using test::FrameClient;
using test::Got;
using test::SequencesOf;
using testing::ElementsAre;
using testing::IsEmpty;
using wire::FrameKind;

constexpr absl::Duration kTick = absl::Nanoseconds(1);

class BrokerAcknowledgementTest : public testing::Test {
 protected:
  BrokerAcknowledgementTest()
      : publisher_(&shell_, 1), reader_(&shell_, 2), other_(&shell_, 3) {
    publisher_.Greet();
    reader_.Greet();
    other_.Greet();
  }

  void EndHold() {
    shell_.Advance(kStartHold);
    publisher_.Take();
  }
  void Read(FrameClient* reader, uint32_t id, std::string_view pattern) {
    reader->Subscribe(id, pattern);
    for (const Got& join : publisher_.TakeOf(FrameKind::kJoin)) {
      publisher_.Joined(join.As<wire::Join>().reader.reader);
    }
  }
  void Publish(uint32_t channel, uint64_t first, uint64_t last) {
    for (uint64_t i = first; i <= last; ++i) publisher_.Publish(channel, i);
  }
  // (channel, sequence) of the ACK frames since the last time.
  std::vector<std::pair<uint32_t, uint64_t>> Acks() {
    std::vector<std::pair<uint32_t, uint64_t>> acks;
    for (const Got& frame : publisher_.TakeOf(FrameKind::kAck)) {
      acks.emplace_back(frame.header.target, frame.header.sequence);
    }
    return acks;
  }
  // The frame that brought `sequence`, out of all that `client` has now.
  Got Delivered(FrameClient* client, uint64_t sequence) {
    for (Got& frame : client->TakeOf(FrameKind::kDeliver)) {
      if (frame.header.sequence == sequence) return frame;
    }
    ADD_FAILURE() << "no DELIVER of " << sequence;
    return {};
  }

  test::BrokerShell shell_;
  FrameClient publisher_;
  FrameClient reader_;
  FrameClient other_;
};

// -- Without reliable readers --

TEST_F(BrokerAcknowledgementTest, WithoutReadersItComesAfterADelay) {
  EndHold();
  publisher_.Open(1, "t");
  Publish(1, 1, 3);
  shell_.Advance(kAcknowledgeDelay - kTick);
  EXPECT_THAT(Acks(), IsEmpty());
  shell_.Advance(kTick);
  EXPECT_THAT(Acks(), ElementsAre(std::pair(1u, 3u)));
}

TEST_F(BrokerAcknowledgementTest, TheDelayBeginsWithTheFirstMessage) {
  EndHold();
  publisher_.Open(1, "t");
  publisher_.Publish(1, 1);
  shell_.Advance(kAcknowledgeDelay / 2);
  publisher_.Publish(1, 2);
  shell_.Advance(kAcknowledgeDelay / 2);
  EXPECT_THAT(Acks(), ElementsAre(std::pair(1u, 2u)));
  shell_.Advance(absl::Seconds(1));
  EXPECT_THAT(Acks(), IsEmpty());
  publisher_.Publish(1, 3);
  shell_.Advance(kAcknowledgeDelay);
  EXPECT_THAT(Acks(), ElementsAre(std::pair(1u, 3u)));
}

TEST_F(BrokerAcknowledgementTest, AShareOfTheWindowIsAcknowledgedAtOnce) {
  EndHold();
  publisher_.Open(1, "t");
  // The window of a FrameClient is a MiB.
  const std::string payload((1 << 20) / kAcknowledgeShareOfWindow / 4, 'p');
  Publish(1, 1, 1);
  for (uint64_t i = 2; i <= 4; ++i) publisher_.Publish(1, i, payload);
  EXPECT_THAT(Acks(), IsEmpty());
  publisher_.Publish(1, 5, payload);
  EXPECT_THAT(Acks(), ElementsAre(std::pair(1u, 5u)));
}

TEST_F(BrokerAcknowledgementTest, OneFrameAcknowledgesEachChannel) {
  EndHold();
  publisher_.Open(1, "a");
  publisher_.Open(2, "b");
  Publish(1, 1, 2);
  Publish(2, 1, 5);
  Publish(1, 3, 3);
  shell_.Advance(kAcknowledgeDelay);
  EXPECT_THAT(Acks(), ElementsAre(std::pair(1u, 3u), std::pair(2u, 5u)));
}

TEST_F(BrokerAcknowledgementTest, BestEffortReadersAreNotWaitedFor) {
  EndHold();
  publisher_.Open(1, "t");
  reader_.SubscribeBestEffort(1, "t", 10);
  reader_.SetRoom(0);
  Publish(1, 1, 3);
  shell_.Advance(kAcknowledgeDelay);
  EXPECT_THAT(Acks(), ElementsAre(std::pair(1u, 3u)));
}

TEST_F(BrokerAcknowledgementTest, APartOfAMessageIsNotAcknowledged) {
  EndHold();
  publisher_.Open(1, "t");
  publisher_.Publish(1, 1);
  publisher_.Send(test::FragmentOf(1, 2, 0, 1));
  shell_.Advance(kAcknowledgeDelay);
  EXPECT_THAT(Acks(), ElementsAre(std::pair(1u, 1u)));
  publisher_.Send(test::FragmentOf(1, 2, 1, 1));
  shell_.Advance(kAcknowledgeDelay);
  EXPECT_THAT(Acks(), ElementsAre(std::pair(1u, 2u)));
}

// -- The hold after a start --

TEST_F(BrokerAcknowledgementTest, NothingIsAcknowledgedRightAfterAStart) {
  publisher_.Open(1, "t");
  Publish(1, 1, 3);
  shell_.Advance(kStartHold - kTick);
  EXPECT_THAT(Acks(), IsEmpty());
  shell_.Advance(kTick);
  EXPECT_THAT(Acks(), ElementsAre(std::pair(1u, 3u)));
}

TEST_F(BrokerAcknowledgementTest, APublisherThatKnowsItsReadersIsNotHeld) {
  wire::Open open = test::OpenMessage(1, "t");
  open.readers_known = true;
  publisher_.Send(open, 1);
  Publish(1, 1, 3);
  shell_.Advance(kAcknowledgeDelay);
  EXPECT_THAT(Acks(), ElementsAre(std::pair(1u, 3u)));
}

TEST_F(BrokerAcknowledgementTest, AfterARestartTheHoldIsTheGrace) {
  BrokerOptions options;
  options.restarted = true;
  test::BrokerShell shell(options);
  FrameClient publisher(&shell, 1);
  publisher.Greet();
  publisher.Open(1, "t");
  publisher.Publish(1, 1);
  shell.Advance(kRecoveryGrace - kTick);
  EXPECT_THAT(publisher.TakeOf(FrameKind::kAck), IsEmpty());
  shell.Advance(kTick);
  EXPECT_EQ(publisher.TakeOf(FrameKind::kAck).size(), 1u);
}

TEST_F(BrokerAcknowledgementTest, AClientOfAnEarlierBrokerExtendsTheHold) {
  publisher_.Open(1, "t");
  Publish(1, 1, 3);
  shell_.Advance(kStartHold / 2);
  FrameClient returned(&shell_, 4);
  wire::Hello hello = returned.HelloMessage();
  hello.previous_instance = test::SampleToken(0x55);
  returned.Send(hello, 0);
  shell_.Advance(kRecoveryGrace - kStartHold / 2 - kTick);
  EXPECT_THAT(Acks(), IsEmpty());
  shell_.Advance(kTick);
  EXPECT_THAT(Acks(), ElementsAre(std::pair(1u, 3u)));
}

TEST_F(BrokerAcknowledgementTest, AClientOfThisBrokerDoesNotExtendTheHold) {
  publisher_.Open(1, "t");
  Publish(1, 1, 3);
  FrameClient returned(&shell_, 4);
  wire::Hello hello = returned.HelloMessage();
  hello.previous_instance = publisher_.welcome().instance;
  returned.Send(hello, 0);
  shell_.Advance(kStartHold);
  EXPECT_THAT(Acks(), ElementsAre(std::pair(1u, 3u)));
}

TEST_F(BrokerAcknowledgementTest, AReaderThatConsumesIsHeldAsWell) {
  publisher_.Open(1, "t");
  Read(&reader_, 1, "t");
  publisher_.Publish(1, 1);
  reader_.Ack(Delivered(&reader_, 1));
  EXPECT_THAT(Acks(), IsEmpty());
  shell_.Advance(kStartHold);
  EXPECT_THAT(Acks(), ElementsAre(std::pair(1u, 1u)));
}

// -- With reliable readers --

TEST_F(BrokerAcknowledgementTest, WaitsForTheReader) {
  EndHold();
  publisher_.Open(1, "t");
  Read(&reader_, 1, "t");
  Publish(1, 1, 3);
  shell_.Advance(kStallTimeoutDefault / 2);
  EXPECT_THAT(Acks(), IsEmpty());
  reader_.Ack(Delivered(&reader_, 2));
  EXPECT_THAT(Acks(), ElementsAre(std::pair(1u, 2u)));
}

TEST_F(BrokerAcknowledgementTest, WaitsForTheSlowestReader) {
  EndHold();
  publisher_.Open(1, "t");
  Read(&reader_, 1, "t");
  Read(&reader_, 2, "*");
  Read(&other_, 1, "**");
  Publish(1, 1, 5);
  std::vector<Got> first;
  std::vector<Got> second;
  for (Got& got : reader_.TakeOf(FrameKind::kDeliver)) {
    (got.subscription == SubscriptionId{1} ? first : second).push_back(got);
  }
  const std::vector<Got> third = other_.TakeOf(FrameKind::kDeliver);
  reader_.Ack(first[4]);
  EXPECT_THAT(Acks(), IsEmpty());
  reader_.Ack(second[2]);
  EXPECT_THAT(Acks(), IsEmpty());
  other_.Ack(third[3]);
  EXPECT_THAT(Acks(), ElementsAre(std::pair(1u, 3u)));
  reader_.Ack(second[4]);
  EXPECT_THAT(Acks(), ElementsAre(std::pair(1u, 4u)));
  other_.Ack(third[4]);
  EXPECT_THAT(Acks(), ElementsAre(std::pair(1u, 5u)));
}

TEST_F(BrokerAcknowledgementTest, TheSlowestReadersEndLetsTheOthersCount) {
  EndHold();
  publisher_.Open(1, "t");
  Read(&reader_, 1, "t");
  Read(&other_, 1, "t");
  Publish(1, 1, 3);
  other_.Ack(Delivered(&other_, 2));
  EXPECT_THAT(Acks(), IsEmpty());
  reader_.Send({.kind = FrameKind::kUnsubscribe, .target = 1});
  EXPECT_THAT(Acks(), ElementsAre(std::pair(1u, 2u)));
  other_.Goodbye();
  EXPECT_THAT(Acks(), ElementsAre(std::pair(1u, 3u)));
}

TEST_F(BrokerAcknowledgementTest, AReaderOwesNothingOfBeforeItJoined) {
  EndHold();
  publisher_.Open(1, "t");
  Publish(1, 1, 3);
  Read(&reader_, 1, "t");
  EXPECT_THAT(Acks(), ElementsAre(std::pair(1u, 3u)));
}

TEST_F(BrokerAcknowledgementTest, AnOldAcknowledgementChangesNothing) {
  EndHold();
  publisher_.Open(1, "t");
  Read(&reader_, 1, "t");
  Publish(1, 1, 3);
  const std::vector<Got> frames = reader_.TakeOf(FrameKind::kDeliver);
  reader_.Ack(frames[2]);
  EXPECT_THAT(Acks(), ElementsAre(std::pair(1u, 3u)));
  reader_.Ack(frames[0]);
  reader_.Ack(frames[2]);
  EXPECT_THAT(Acks(), IsEmpty());
}

TEST_F(BrokerAcknowledgementTest, NobodyConsumesWhatWasNeverSent) {
  EndHold();
  publisher_.Open(1, "t");
  Read(&reader_, 1, "t");
  Publish(1, 1, 3);
  Got frame = Delivered(&reader_, 3);
  frame.header.sequence = ~uint64_t{0};
  reader_.Ack(frame);
  EXPECT_THAT(Acks(), ElementsAre(std::pair(1u, 3u)));
  publisher_.Publish(1, 4);
  shell_.Advance(absl::Seconds(1));
  EXPECT_THAT(Acks(), IsEmpty());
}

TEST_F(BrokerAcknowledgementTest, StrangeAcknowledgementsChangeNothing) {
  EndHold();
  publisher_.Open(1, "t");
  Read(&reader_, 1, "t");
  publisher_.Publish(1, 1);
  const Got frame = Delivered(&reader_, 1);
  wire::FrameHeader ack{.kind = FrameKind::kAck,
                        .target = frame.header.target,
                        .session = frame.header.session,
                        .sequence = 1};
  reader_.Send(ack);  // nothing selected
  reader_.Send({.kind = FrameKind::kSelect, .target = 77});
  reader_.Send(ack);  // nothing there to select
  reader_.Send({.kind = FrameKind::kSelect, .target = 1});
  ++ack.session;
  reader_.Send(ack);  // another publisher
  --ack.session;
  ++ack.target;
  reader_.Send(ack);  // another topic
  EXPECT_THAT(Acks(), IsEmpty());
  EXPECT_TRUE(reader_.is_open());
  --ack.target;
  reader_.Send(ack);
  EXPECT_THAT(Acks(), ElementsAre(std::pair(1u, 1u)));
}

TEST_F(BrokerAcknowledgementTest, NobodyAcknowledgesForAnother) {
  EndHold();
  publisher_.Open(1, "t");
  Read(&reader_, 1, "t");
  publisher_.Publish(1, 1);
  const Got frame = Delivered(&reader_, 1);
  other_.Ack(frame);
  publisher_.Ack(frame);
  EXPECT_THAT(Acks(), IsEmpty());
}

TEST_F(BrokerAcknowledgementTest, AnUnsubscribedSelectionTakesNoMoreAcks) {
  EndHold();
  publisher_.Open(1, "t");
  Read(&reader_, 1, "t");
  Read(&other_, 1, "t");
  publisher_.Publish(1, 1);
  const Got frame = Delivered(&reader_, 1);
  reader_.Send({.kind = FrameKind::kSelect, .target = 1});
  reader_.Send({.kind = FrameKind::kUnsubscribe, .target = 1});
  reader_.Send({.kind = FrameKind::kAck,
                .target = frame.header.target,
                .session = frame.header.session,
                .sequence = 1});
  EXPECT_THAT(Acks(), IsEmpty());
  EXPECT_TRUE(reader_.is_open());
}

TEST_F(BrokerAcknowledgementTest, ARefusedMessageIsPassedOverByItsReaders) {
  EndHold();
  BrokerOptions options;
  options.message_bytes_max = 1;
  test::BrokerShell shell(options);
  shell.Advance(kStartHold);
  FrameClient reader(&shell, 2);
  reader.Greet();
  reader.Subscribe(1, "t");
  FrameClient publisher(&shell, 1);
  publisher.Greet();
  publisher.Open(1, "t");
  publisher.Publish(1, 1);
  publisher.Send(test::FragmentOf(1, 2, 0, 1));
  publisher.Send(test::FragmentOf(1, 2, 1, 1));
  reader.Ack(reader.OnlyFrame(FrameKind::kDeliver));
  shell.Advance(kAcknowledgeDelay);
  const std::vector<uint64_t> acks =
      SequencesOf(publisher.Take(), FrameKind::kAck);
  ASSERT_FALSE(acks.empty());
  EXPECT_EQ(acks.back(), 2u);
}

}  // namespace
}  // namespace ipc::broker
