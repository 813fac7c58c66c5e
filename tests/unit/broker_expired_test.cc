// SPDX-License-Identifier: Apache-2.0
//
// Publications that have expired: a GAP in their place for each reader that
// lacks them, and an acknowledgement when all have heard.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdint>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
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
using wire::CloseReason;
using wire::FrameKind;
using wire::GapReason;

class BrokerExpiredTest : public testing::Test {
 protected:
  explicit BrokerExpiredTest(const BrokerOptions& options = {})
      : shell_(options), publisher_(&shell_, 1), reader_(&shell_, 2) {
    publisher_.Greet();
    reader_.Greet();
    shell_.Advance(kStartHold);
    publisher_.Open(1, "t");
    publisher_.Take();
  }

  // Subscription 1, which the publisher knows.
  ReaderId Read(FrameClient* reader) {
    reader->Subscribe(1, "t");
    const ReaderId id = publisher_.Only<wire::Join>().reader.reader;
    publisher_.Joined(id);
    return id;
  }
  void Expire(uint64_t sequence) {
    publisher_.Send({.kind = FrameKind::kPublish,
                     .flags = wire::kFlagExpired,
                     .target = 1,
                     .sequence = sequence});
  }
  void ExpireAgain(uint64_t sequence, ReaderId reader) {
    publisher_.Send({.kind = FrameKind::kPublish,
                     .flags = wire::kFlagExpired | wire::kFlagResend,
                     .target = 1,
                     .session = ToNumber(reader),
                     .sequence = sequence});
  }
  // DELIVER and GAP as they came: "3", "4-9 expired".
  std::vector<std::string> Story(FrameClient* reader) {
    std::vector<std::string> story;
    for (const Got& frame : reader->Take()) {
      wire::Gap gap;
      if (frame.header.kind == FrameKind::kDeliver) {
        EXPECT_EQ(frame.header.flags, 0);
        story.push_back(absl::StrCat(frame.header.sequence));
      } else if (frame.header.kind == FrameKind::kGap &&
                 wire::ParseGap(frame.header, &gap)) {
        last_ = frame;
        story.push_back(absl::StrCat(
            gap.first, "-", gap.last,
            gap.reason == GapReason::kExpired ? " expired" : " other"));
      }
    }
    return story;
  }
  std::vector<std::string> Story() { return Story(&reader_); }
  // As a client acknowledges past a gap.
  void AckLastGap() {
    Got acknowledged = last_;
    acknowledged.header.sequence =
        static_cast<uint64_t>(acknowledged.header.time);
    reader_.Ack(acknowledged);
  }
  std::vector<uint64_t> Acks() {
    return SequencesOf(publisher_.Take(), FrameKind::kAck);
  }

  BrokerShell shell_;
  FrameClient publisher_;
  FrameClient reader_;
  Got last_;  // GAP
};

TEST_F(BrokerExpiredTest, ALiveReaderIsToldInItsPlace) {
  Read(&reader_);
  publisher_.Publish(1, 1);
  Expire(2);
  Expire(3);
  publisher_.Publish(1, 4);
  EXPECT_THAT(Story(), ElementsAre("1", "2-2 expired", "3-3 expired", "4"));
  EXPECT_EQ(shell_.broker().state().counters.messages_in, 4u);
  EXPECT_EQ(shell_.broker().state().counters.messages_out, 2u);
  EXPECT_EQ(shell_.broker()
                .state()
                .counters.missing[static_cast<size_t>(GapReason::kExpired)],
            2u);
}

TEST_F(BrokerExpiredTest, WhatWaitsBecomesOneNotice) {
  Read(&reader_);
  reader_.Take();
  reader_.SetRoom(0);
  publisher_.Publish(1, 1);
  for (uint64_t sequence = 2; sequence <= 500; ++sequence) Expire(sequence);
  publisher_.Publish(1, 501);
  reader_.SetRoom(BrokerShell::kEndless);
  EXPECT_THAT(Story(), ElementsAre("1", "2-500 expired", "501"));
}

TEST_F(BrokerExpiredTest, BestEffortIsToldTheSame) {
  reader_.SubscribeBestEffort(1, "t", 10);
  Expire(1);
  publisher_.Publish(1, 2);
  EXPECT_THAT(Story(), ElementsAre("1-1 expired", "2"));
}

TEST_F(BrokerExpiredTest, WithoutAReaderItIsAcknowledgedAtOnce) {
  Expire(1);
  shell_.Advance(kAcknowledgeDelay);
  EXPECT_THAT(Acks(), ElementsAre(1u));
}

TEST_F(BrokerExpiredTest, AReliableReaderMustHaveHeardOfIt) {
  Read(&reader_);
  Expire(1);
  shell_.Advance(absl::Seconds(1));
  EXPECT_THAT(Acks(), IsEmpty());
  EXPECT_THAT(Story(), ElementsAre("1-1 expired"));
  AckLastGap();
  EXPECT_THAT(Acks(), ElementsAre(1u));
}

// What is in the publisher's log is asked for again: a notice that was lost
// with the reader's connection as well.
TEST_F(BrokerExpiredTest, AReaderThatComesBackIsToldByTheResend) {
  const ReaderId id = Read(&reader_);
  Expire(1);
  reader_.Lose();
  reader_.Connect();
  reader_.Hello();
  wire::Subscribe subscribe = test::SubscribeMessage(1, "t");
  subscribe.resume = true;
  reader_.Send(subscribe, 1);
  reader_.Resumed();
  const auto resend = publisher_.Only<wire::Resend>();
  EXPECT_EQ(resend.channels.front().sequence, 1u);
  ExpireAgain(1, id);
  publisher_.Resend(1, 2, id);
  publisher_.ResendEnd(id);
  EXPECT_THAT(Story(), ElementsAre("1-1 expired", "2"));
}

TEST_F(BrokerExpiredTest, OnlyTheReaderThatIsCaughtUpIsTold) {
  FrameClient other(&shell_, 3);
  other.Greet();
  const ReaderId id = Read(&reader_);
  Read(&other);
  publisher_.Publish(1, 1);
  EXPECT_THAT(Story(&other), ElementsAre("1"));
  reader_.Lose();
  reader_.Connect();
  reader_.Hello();
  wire::Subscribe subscribe = test::SubscribeMessage(1, "t");
  subscribe.resume = true;
  reader_.Send(subscribe, 1);
  reader_.Resumed();
  ExpireAgain(1, id);
  publisher_.ResendEnd(id);
  EXPECT_THAT(Story(), ElementsAre("1-1 expired"));
  EXPECT_THAT(Story(&other), IsEmpty());
}

TEST_F(BrokerExpiredTest, OneThatStallsOnNoticesIsSetAside) {
  Read(&reader_);
  Expire(1);
  shell_.Advance(kStallTimeoutDefault * 5 / 4);
  EXPECT_EQ(shell_.broker().state().counters.set_aside, 1u);
  EXPECT_THAT(Acks(), ElementsAre(1u));
}

TEST_F(BrokerExpiredTest, ItHasItsPlaceInTheSequence) {
  for (uint64_t sequence : {0, 1, 3}) {
    FrameClient other(&shell_, 4);
    other.Greet();
    other.Open(1, "u");
    other.Publish(1, 1);
    other.Send({.kind = FrameKind::kPublish,
                .flags = wire::kFlagExpired,
                .target = 1,
                .sequence = sequence});
    ASSERT_NE(other.end(), nullptr) << sequence;
    EXPECT_EQ(other.end()->reason, CloseReason::kViolation);
  }
}

TEST_F(BrokerExpiredTest, NotWithinAnother) {
  publisher_.Send(test::FrameOf({.kind = FrameKind::kPublish,
                                 .target = 1,
                                 .sequence = 1,
                                 .last_fragment = 1},
                                std::string(kFramePayloadBytesMax, 'x')));
  Expire(1);
  ASSERT_NE(publisher_.end(), nullptr);
  EXPECT_EQ(publisher_.end()->reason, CloseReason::kViolation);
}

TEST_F(BrokerExpiredTest, OneMemberOfAGroupIsToldAndNobodyWaits) {
  wire::Subscribe subscribe = test::SubscribeMessage(1, "t");
  subscribe.group = "g";
  reader_.Send(subscribe, 1);
  for (const Got& join : publisher_.TakeOf(FrameKind::kJoin)) {
    publisher_.Joined(join.As<wire::Join>().reader.reader);
  }
  Expire(1);
  publisher_.Publish(1, 2);
  const std::vector<Got> frames = reader_.Take();
  EXPECT_EQ(SequencesOf(frames, FrameKind::kGap), std::vector<uint64_t>{1});
  EXPECT_EQ(SequencesOf(frames, FrameKind::kDeliver), std::vector<uint64_t>{2});
  ASSERT_FALSE(frames.empty());
  reader_.Ack(frames.back());
  shell_.Advance(kAcknowledgeDelay);
  EXPECT_EQ(Acks().back(), 2u);
}

class BrokerExpiredBehindTest : public BrokerExpiredTest {
 protected:
  BrokerExpiredBehindTest() : BrokerExpiredTest(Options()) {}
  static BrokerOptions Options() {
    BrokerOptions options;
    options.reliable_queue_bytes_max = 1;  // taken as one frame
    return options;
  }
};

TEST_F(BrokerExpiredBehindTest, WithoutRoomForANoticeItIsAskedForAgain) {
  const ReaderId id = Read(&reader_);
  reader_.Take();
  reader_.SetRoom(0);
  publisher_.Publish(1, 1, std::string(kFramePayloadBytesMax, 'x'));
  publisher_.Publish(1, 2, std::string(kFrameExtensionBytesMax - 60, 'x'));
  Expire(3);
  publisher_.Take();
  reader_.SetRoom(BrokerShell::kEndless);
  EXPECT_THAT(Story(), ElementsAre("1", "2"));
  shell_.Advance(absl::Milliseconds(1));
  const auto resend = publisher_.Only<wire::Resend>();
  EXPECT_EQ(resend.channels.front().sequence, 3u);
  ExpireAgain(3, id);
  publisher_.ResendEnd(id);
  EXPECT_THAT(Story(), ElementsAre("3-3 expired"));
}

}  // namespace
}  // namespace ipc::broker
