// SPDX-License-Identifier: Apache-2.0
//
// GAP: what a subscription loses is told at its place, exactly, once, and with
// the reason.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstddef>
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
using testing::ElementsAre;
using testing::IsEmpty;
using wire::FrameKind;
using wire::GapReason;

class BrokerGapsTest : public testing::Test {
 protected:
  static constexpr uint64_t kMessageBytesMax = 100;

  BrokerGapsTest()
      : shell_(Options()), publisher_(&shell_, 1), reader_(&shell_, 2) {
    publisher_.Greet();
    reader_.Greet();
    shell_.Advance(kStartHold);
    publisher_.Open(1, "t");
    publisher_.Take();
  }

  static BrokerOptions Options() {
    BrokerOptions options;
    options.message_bytes_max = kMessageBytesMax;
    return options;
  }

  void Publish(uint64_t first, uint64_t last) {
    for (uint64_t i = first; i <= last; ++i) publisher_.Publish(1, i);
  }
  void Refuse(uint64_t sequence) {
    publisher_.Publish(1, sequence, std::string(kMessageBytesMax + 1, 'r'));
  }
  // Subscription 1 of the reader. `position`: what it says it has consumed.
  wire::Subscribe Resumption(uint64_t position = 0) {
    wire::Subscribe subscribe = test::SubscribeMessage(1, "t");
    subscribe.resume = true;
    if (position != 0) {
      subscribe.positions.push_back(
          {publisher_.key(), ChannelNumber{1}, position});
    }
    return subscribe;
  }
  wire::Subscribe BestEffortResumption(uint64_t position = 0) {
    wire::Subscribe subscribe = Resumption(position);
    subscribe.policy = wire::Policy::kBestEffort;
    subscribe.depth = 3;
    subscribe.bytes = 1 << 20;
    return subscribe;
  }
  void ReaderReturns(const wire::Subscribe& subscribe) {
    reader_.Connect();
    reader_.Hello();
    reader_.Send(subscribe, 1);
    reader_.Resumed();
  }
  void PublisherReturns(uint64_t first, uint64_t next) {
    publisher_.Connect();
    publisher_.Hello();
    wire::Open open = test::OpenMessage(1, "t");
    open.first_sequence = first;
    open.next_sequence = next;
    publisher_.Send(open, 1);
    publisher_.Resumed();
  }
  // DELIVER and GAP as they came: "3", "4-9 depth".
  static std::vector<std::string> Story(const std::vector<Got>& frames) {
    static constexpr const char* kNames[] = {"unspecified", "depth", "stalled",
                                             "expired",     "away",  "refused",
                                             "latest"};
    std::vector<std::string> story;
    for (const Got& frame : frames) {
      wire::Gap gap;
      if (frame.header.kind == FrameKind::kDeliver) {
        story.push_back(absl::StrCat(frame.header.sequence));
      } else if (frame.header.kind == FrameKind::kGap &&
                 wire::ParseGap(frame.header, &gap)) {
        EXPECT_EQ(frame.subscription, SubscriptionId{1});
        story.push_back(absl::StrCat(gap.first, "-", gap.last, " ",
                                     kNames[static_cast<size_t>(gap.reason)]));
      }
    }
    return story;
  }
  std::vector<std::string> Story() { return Story(reader_.Take()); }
  uint64_t Missing(GapReason reason) {
    return shell_.broker()
        .state()
        .counters.missing[static_cast<size_t>(reason)];
  }

  BrokerShell shell_;
  FrameClient publisher_;
  FrameClient reader_;
};

// -- A full queue --

TEST_F(BrokerGapsTest, WhatAFullQueueDropsIsToldInFrontOfWhatItKeeps) {
  reader_.SubscribeBestEffort(1, "t", 3);
  Publish(1, 2);
  EXPECT_THAT(Story(), ElementsAre("1", "2"));
  reader_.SetRoom(0);
  Publish(3, 12);
  reader_.SetRoom(BrokerShell::kEndless);
  EXPECT_THAT(Story(), ElementsAre("3-9 depth", "10", "11", "12"));
  EXPECT_EQ(Missing(GapReason::kDepth), 7u);
}

TEST_F(BrokerGapsTest, WhatIsLostAtTheEndIsToldWithoutAMessageBehindIt) {
  reader_.SubscribeBestEffort(1, "t", 10, /*bytes=*/45);
  reader_.Take();
  reader_.SetRoom(0);
  publisher_.Publish(1, 1, "0123456789");
  publisher_.Publish(1, 2, "0123456789");
  reader_.SetRoom(BrokerShell::kEndless);
  EXPECT_THAT(Story(), ElementsAre("1-2 depth"));
}

TEST_F(BrokerGapsTest, DropNewestKeepsWhatWaitsAndTellsBehindIt) {
  wire::Subscribe subscribe = BestEffortResumption();
  subscribe.resume = false;
  subscribe.drop_newest = true;
  reader_.Send(subscribe, 1);
  reader_.Take();
  reader_.SetRoom(0);
  Publish(1, 10);
  reader_.SetRoom(BrokerShell::kEndless);
  EXPECT_THAT(Story(), ElementsAre("1", "2", "3", "4-10 depth"));
  Publish(11, 11);
  EXPECT_THAT(Story(), ElementsAre("11"));
  EXPECT_EQ(Missing(GapReason::kDepth), 7u);
}

TEST_F(BrokerGapsTest, TheLatestOfEachPublisherWaits) {
  FrameClient second(&shell_, 3);
  second.Greet();
  second.Open(1, "t");
  wire::Subscribe subscribe = test::SubscribeMessage(1, "t");
  subscribe.policy = wire::Policy::kLatest;
  reader_.Send(subscribe, 1);
  Publish(1, 1);
  EXPECT_THAT(Story(), ElementsAre("1")) << "who keeps up gets all";
  reader_.SetRoom(0);
  Publish(2, 3);
  second.Publish(1, 1);
  Publish(4, 5);
  reader_.SetRoom(BrokerShell::kEndless);
  // The second publisher's is older.
  EXPECT_THAT(Story(), ElementsAre("1", "2-4 latest", "5"));
  EXPECT_EQ(Missing(GapReason::kLatest), 3u);
}

// The end of its publisher is heard before it has made its subscription again.
TEST_F(BrokerGapsTest, WhatWaitsForASubscriptionOutlastsItsReturn) {
  for (wire::Policy policy :
       {wire::Policy::kLatest, wire::Policy::kBestEffort}) {
    FrameClient publisher(&shell_, 3);
    publisher.Greet();
    publisher.Open(1, "t");
    wire::Subscribe subscribe = BestEffortResumption();
    subscribe.subscription = SubscriptionId{7};
    subscribe.resume = false;
    subscribe.policy = policy;
    reader_.Connect();
    reader_.Hello();
    reader_.Send(subscribe, 1);
    reader_.Resumed();
    publisher.Publish(1, 1);
    reader_.Lose();
    reader_.Connect();
    reader_.Hello();
    reader_.SetRoom(0);
    publisher.Goodbye();
    subscribe.resume = true;
    reader_.Send(subscribe, 1);
    reader_.Resumed();
    reader_.SetRoom(BrokerShell::kEndless);
    EXPECT_EQ(reader_.TakeOf(FrameKind::kGone).size(), 1u);
    reader_.Goodbye();
  }
}

// -- Refused --

TEST_F(BrokerGapsTest, WhatIsRefusedIsToldToThoseThatReadIt) {
  FrameClient newcomer(&shell_, 3);
  newcomer.Greet();
  reader_.SubscribeBestEffort(1, "t", 3);
  Publish(1, 1);
  Refuse(2);
  Refuse(3);
  newcomer.SubscribeBestEffort(1, "t", 3);
  Publish(4, 4);
  EXPECT_THAT(Story(), ElementsAre("1", "2-2 refused", "3-3 refused", "4"));
  EXPECT_THAT(Story(newcomer.Take()), ElementsAre("4"));
  EXPECT_EQ(Missing(GapReason::kRefused), 2u);
}

TEST_F(BrokerGapsTest, WhatIsRefusedHasItsPlaceInAQueue) {
  reader_.SubscribeBestEffort(1, "t", 2);
  reader_.Take();
  reader_.SetRoom(0);
  Publish(1, 1);
  Refuse(2);
  Refuse(3);
  Publish(4, 5);
  reader_.SetRoom(BrokerShell::kEndless);
  EXPECT_THAT(Story(), ElementsAre("1-1 depth", "2-3 refused", "4", "5"));
}

TEST_F(BrokerGapsTest, AReliableReaderIsToldAndNothingWaitsForIt) {
  reader_.Subscribe(1, "t");
  publisher_.Joined(publisher_.Only<wire::Join>().reader.reader);
  Publish(1, 1);
  Refuse(2);
  const std::vector<Got> frames = reader_.Take();
  EXPECT_THAT(Story(frames), ElementsAre("1", "2-2 refused"));
  publisher_.Take();
  reader_.Send({.kind = FrameKind::kSelect, .target = 1});
  reader_.Send({.kind = FrameKind::kAck,
                .target = frames.back().header.target,
                .session = frames.back().header.session,
                .sequence = 2});
  EXPECT_THAT(test::SequencesOf(publisher_.Take(), FrameKind::kAck),
              ElementsAre(2));
}

// -- Away --

TEST_F(BrokerGapsTest, ABestEffortReaderIsToldWhatCameWhileItWasAway) {
  reader_.SubscribeBestEffort(1, "t", 3);
  Publish(1, 2);
  reader_.Lose();
  Publish(3, 5);
  ReaderReturns(BestEffortResumption(/*position=*/2));
  Publish(6, 6);
  EXPECT_THAT(Story(), ElementsAre("3-5 away", "6"));
  EXPECT_EQ(Missing(GapReason::kGraceOver), 3u);
}

TEST_F(BrokerGapsTest, AReaderThatHasGotNothingYetIsToldToo) {
  Publish(1, 2);
  reader_.SubscribeBestEffort(1, "t", 3);
  reader_.Take();
  reader_.SetRoom(0);
  Publish(3, 4);
  reader_.Lose();
  Publish(5, 5);
  ReaderReturns(BestEffortResumption());
  EXPECT_THAT(Story(), ElementsAre("3-5 away"));
}

TEST_F(BrokerGapsTest, ANoticeThatWasLostWithAConnectionComesAgain) {
  reader_.SubscribeBestEffort(1, "t", 3);
  Publish(1, 2);
  reader_.Lose();
  Publish(3, 5);
  ReaderReturns(BestEffortResumption(2));
  reader_.Lose();
  ReaderReturns(BestEffortResumption(2));
  EXPECT_THAT(Story(), ElementsAre("3-5 away"));
}

TEST_F(BrokerGapsTest, AMessageUnderWayAtTheReturnIsMissingAsAWhole) {
  BrokerShell shell;
  FrameClient publisher(&shell, 1);
  FrameClient reader(&shell, 2);
  publisher.Greet();
  reader.Greet();
  publisher.Open(1, "t");
  reader.SubscribeBestEffort(1, "t", 3);
  publisher.Publish(1, 1);
  reader.Lose();
  publisher.Send(test::FragmentOf(1, 2, 0, 1));
  reader.Connect();
  reader.Hello();
  reader.Send(BestEffortResumption(/*position=*/1), 1);
  reader.Resumed();
  publisher.Send(test::FragmentOf(1, 2, 1, 1));
  publisher.Publish(1, 3);
  // The client drops the rest of 2.
  EXPECT_THAT(Story(reader.Take()), ElementsAre("2-2 away", "2", "3"));
}

TEST_F(BrokerGapsTest, WhatWasLostWithThePublishersConnectionIsTold) {
  reader_.SubscribeBestEffort(1, "t", 3);
  Publish(1, 2);
  EXPECT_THAT(Story(), ElementsAre("1", "2"));
  publisher_.Lose();
  PublisherReturns(/*first=*/3, /*next=*/6);
  Publish(6, 6);
  EXPECT_THAT(Story(), ElementsAre("3-5 away", "6"));
}

TEST_F(BrokerGapsTest, NothingIsMissingForANewReader) {
  Publish(1, 5);
  reader_.SubscribeBestEffort(1, "t", 3);
  Publish(6, 6);
  EXPECT_THAT(Story(), ElementsAre("6"));
}

TEST_F(BrokerGapsTest, AReliableReaderIsToldWhatWasNotKeptForIt) {
  reader_.Subscribe(1, "t");
  publisher_.Joined(publisher_.Only<wire::Join>().reader.reader);
  Publish(1, 3);
  reader_.Take();
  reader_.Lose();
  shell_.Advance(kRecoveryGrace + absl::Seconds(1));
  EXPECT_THAT(test::SequencesOf(publisher_.Take(), FrameKind::kAck),
              ElementsAre(3));
  // It had received more than it had consumed: what it makes of that is its.
  ReaderReturns(Resumption(/*position=*/1));
  publisher_.ResendEnd(publisher_.Only<wire::Resend>().reader.reader);
  Publish(4, 4);
  EXPECT_THAT(Story(), ElementsAre("2-3 away", "4"));
}

TEST_F(BrokerGapsTest, AReliableReaderThatIsBackInTimeMissesNothing) {
  reader_.Subscribe(1, "t");
  publisher_.Joined(publisher_.Only<wire::Join>().reader.reader);
  Publish(1, 3);
  reader_.Take();
  reader_.Lose();
  ReaderReturns(Resumption(/*position=*/1));
  const auto resend = publisher_.Only<wire::Resend>();
  ASSERT_EQ(resend.channels.size(), 1u);
  EXPECT_EQ(resend.channels[0].sequence, 2u);
  EXPECT_THAT(Story(), IsEmpty());
}

// -- Another broker --

TEST_F(BrokerGapsTest, ANewBrokerTellsWhatWasLostWithTheOld) {
  BrokerShell next(Options());
  FrameClient publisher(&next, 1);
  FrameClient reader(&next, 2);
  publisher.Hello();
  wire::Open open = test::OpenMessage(1, "t");
  open.first_sequence = open.next_sequence = 6;
  publisher.Send(open, 1);
  publisher.Resumed();
  reader.Hello();
  reader.Send(BestEffortResumption(/*position=*/2), 1);
  reader.Resumed();
  publisher.Publish(1, 6);
  EXPECT_THAT(Story(reader.Take()), ElementsAre("3-5 away", "6"));
}

}  // namespace
}  // namespace ipc::broker
