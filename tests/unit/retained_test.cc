// SPDX-License-Identifier: Apache-2.0
//
// A publisher's last values: what stands in front of JOINED, and where it comes
// from when the log has released it.

#include "libipc/core/retained.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdint>
#include <string>
#include <vector>

#include "libipc/core/publishing.h"
#include "tests/support/control_samples.h"
#include "tests/unit/broker_end.h"
#include "tests/unit/frames.h"

namespace ipc::core {
namespace {

using absl::StatusCode;
using test::BrokerEnd;
using test::Got;
using test::LinesOf;
using testing::ElementsAre;
using wire::FrameKind;

constexpr size_t kWindow = 1 << 20;
constexpr size_t kThreeFragments = 2 * kFramePayloadBytesMax + 10;

class RetainedTest : public testing::Test {
 protected:
  // Channels 1 and 2 retain, 3 does not.
  RetainedTest() {
    publishing_.OnConnected();
    Open("a", true);
    Open("b", true);
    Open("c", false);
    Lines();
  }

  void Open(const std::string& topic, bool retain_last) {
    wire::Opened opened;
    opened.channel = *publishing_.Open(topic, {.retain_last = retain_last});
    publishing_.OnOpened(opened);
  }
  void Publish(uint32_t channel, size_t bytes = 10) {
    std::vector<std::span<std::byte>> parts;
    ASSERT_TRUE(
        publishing_.TryAppend(ChannelNumber{channel}, bytes, 0, &parts));
    for (std::span<std::byte> part : parts) {
      for (std::byte& byte : part) byte = static_cast<std::byte>(++bytes_);
    }
  }
  void Ack(uint32_t channel, uint64_t sequence) {
    publishing_.OnAck(ChannelNumber{channel}, sequence);
    publishing_.Trim();
  }
  void Join(uint32_t reader, const std::vector<uint32_t>& channels,
            bool transient = false) {
    wire::Join join{.reader = test::SampleReader(reader),
                    .channels = {},
                    .transient = transient};
    join.reader.reader = ReaderId{reader};
    for (uint32_t channel : channels) {
      join.channels.push_back(ChannelNumber{channel});
    }
    publishing_.OnJoin(join);
  }
  void Resend(uint32_t reader, uint32_t channel, uint64_t from,
              bool last_value = false) {
    wire::Resend resend{.reader = test::SampleReader(reader), .channels = {}};
    resend.reader.reader = ReaderId{reader};
    resend.channels.push_back({ChannelNumber{channel}, from, last_value});
    publishing_.OnResend(resend);
  }
  std::vector<Got> Frames() {
    end_.Take(SIZE_MAX);
    EXPECT_FALSE(end_.cut());
    return end_.TakeFrames();
  }
  std::vector<std::string> Lines() { return LinesOf(Frames()); }
  // The readers of `channel` that a reconnect hands back.
  size_t HandedBack(uint32_t channel) {
    publishing_.OnDisconnected();
    publishing_.OnConnected();
    for (const Got& frame : BrokerEnd::Drain(&publishing_)) {
      if (frame.header.kind != FrameKind::kOpen) continue;
      const auto open = frame.As<wire::Open>();
      if (open.channel == ChannelNumber{channel}) return open.readers.size();
    }
    return 0;
  }

  Publishing publishing_{kWindow};
  BrokerEnd end_{&publishing_};
  uint8_t bytes_ = 0;
};

TEST_F(RetainedTest, OpenTellsWhichChannelsRetain) {
  publishing_.OnDisconnected();
  publishing_.OnConnected();
  std::vector<bool> told;
  for (const Got& frame : BrokerEnd::Drain(&publishing_)) {
    told.push_back(frame.As<wire::Open>().retain_last);
  }
  EXPECT_THAT(told, ElementsAre(true, true, false));
}

TEST_F(RetainedTest, AJoinIsAnsweredWithTheLastOfEachChannelThatRetains) {
  for (uint32_t channel : {1, 2, 3, 1}) Publish(channel);
  Lines();
  Publish(1);  // not sent yet
  Join(7, {1, 2, 3});
  EXPECT_THAT(Lines(), ElementsAre("PUBLISH! 2:1", "PUBLISH! 1:2", "JOINED 7",
                                   "PUBLISH 1:3"));
}

TEST_F(RetainedTest, WhatWasReleasedIsKept) {
  Publish(1, 300);
  Publish(1, 200);
  const Got sent = Frames().back();
  Ack(1, 2);
  EXPECT_TRUE(publishing_.log().empty());
  Join(7, {1});
  const std::vector<Got> frames = Frames();
  ASSERT_THAT(LinesOf(frames), ElementsAre("PUBLISH! 1:2", "JOINED 7"));
  EXPECT_EQ(frames[0].payload(), sent.payload());
  EXPECT_EQ(frames[0].header.session, 7u);
}

TEST_F(RetainedTest, AnUnsentSuccessorDoesNotReplaceWhatIsKept) {
  Publish(1);
  Lines();
  Ack(1, 1);
  publishing_.OnDisconnected();
  Publish(1);
  publishing_.OnConnected();
  Lines();  // the OPENs; 2 waits for OPENED
  Join(7, {1});
  EXPECT_THAT(Lines(), ElementsAre("PUBLISH! 1:1", "JOINED 7"));
}

TEST_F(RetainedTest, WhatIsKeptComesInPublishOrderAndBeforeTheLog) {
  for (uint32_t channel : {2, 1, 3, 2}) Publish(channel);
  Lines();
  Ack(2, 1);
  Ack(1, 1);
  // 3:1 is not acknowledged, so 2:2 stays in the log.
  Ack(2, 2);
  Join(7, {1, 2, 3});
  EXPECT_THAT(Lines(), ElementsAre("PUBLISH! 1:1", "PUBLISH! 2:2", "JOINED 7"));
  Ack(3, 1);
  EXPECT_TRUE(publishing_.log().empty());
  Join(8, {1, 2, 3});
  EXPECT_THAT(Lines(), ElementsAre("PUBLISH! 1:1", "PUBLISH! 2:2", "JOINED 8"));
}

TEST_F(RetainedTest, NothingIsAnsweredWhereNothingWasSent) {
  Publish(1);
  Join(7, {1, 2});
  EXPECT_THAT(Lines(), ElementsAre("JOINED 7", "PUBLISH 1:1"));
}

TEST_F(RetainedTest, ATransientReaderIsNotHandedBack) {
  Join(7, {1}, /*transient=*/true);
  Lines();
  EXPECT_EQ(HandedBack(1), 0u);
  Join(8, {1});
  Lines();
  EXPECT_EQ(HandedBack(1), 1u);
}

TEST_F(RetainedTest, AReleasedTopicRetainsNothing) {
  Publish(1);
  Publish(1);
  Lines();
  Ack(1, 1);
  publishing_.Release(ChannelNumber{1});
  Join(7, {1});
  EXPECT_THAT(Lines(), ElementsAre("JOINED 7"));
  // What is still in the log is not what the new handle has published.
  Open("a", true);
  Join(8, {1});
  EXPECT_THAT(Lines(), ElementsAre("JOINED 8"));
  Ack(1, 2);
  Join(9, {1});
  EXPECT_THAT(Lines(), ElementsAre("JOINED 9"));
}

TEST_F(RetainedTest, HandlesOfATopicMustAgree) {
  EXPECT_EQ(publishing_.Open("c", {.retain_last = true}).status().code(),
            StatusCode::kInvalidArgument);
  EXPECT_TRUE(publishing_.Open("a", {}).ok());  // retains for all
  Publish(3);
  Lines();
  publishing_.Release(ChannelNumber{3});
  EXPECT_EQ(publishing_.Open("c", {.retain_last = true}).status().code(),
            StatusCode::kFailedPrecondition);
  Ack(3, 1);
  EXPECT_TRUE(publishing_.Open("c", {.retain_last = true}).ok());
}

TEST_F(RetainedTest, WhatARefusedTopicHasAcceptedIsNoValue) {
  publishing_.OnDisconnected();
  Publish(1);
  publishing_.OnConnected();
  Lines();
  std::string topic;
  publishing_.OnRefusedOpen(kOpenRequestBit | 1,
                            absl::PermissionDeniedError("not yours"), &topic);
  for (uint32_t channel : {2, 3}) {
    wire::Opened opened;
    opened.channel = ChannelNumber{channel};
    publishing_.OnOpened(opened);
  }
  Lines();
  Open("a", true);
  Lines();
  Join(7, {1});
  EXPECT_THAT(Lines(), ElementsAre("JOINED 7"));
}

// -- Fragments --

TEST_F(RetainedTest, ALargeValueIsKeptWhole) {
  Publish(1, kThreeFragments);
  const std::vector<Got> sent = Frames();
  Ack(1, 1);
  Join(7, {1});
  const std::vector<Got> frames = Frames();
  ASSERT_THAT(LinesOf(frames), ElementsAre("PUBLISH! 1:1.0", "PUBLISH! 1:1.1",
                                           "PUBLISH! 1:1.2", "JOINED 7"));
  for (size_t i = 0; i < sent.size(); ++i) {
    EXPECT_EQ(frames[i].payload(), sent[i].payload());
  }
}

TEST_F(RetainedTest, AJoinWaitsForTheEndOfAPublicationAndForNothingMore) {
  Publish(1);
  Publish(1, kThreeFragments);
  Publish(1);
  end_.Take(500);
  Join(7, {1, 2});
  EXPECT_THAT(Lines(),
              ElementsAre("PUBLISH 1:1", "PUBLISH 1:2.0", "PUBLISH 1:2.1",
                          "PUBLISH 1:2.2", "PUBLISH! 1:2.0", "PUBLISH! 1:2.1",
                          "PUBLISH! 1:2.2", "JOINED 7", "PUBLISH 1:3"));
}

TEST_F(RetainedTest, AJoinDoesNotWaitForAChannelThatDoesNotRetain) {
  Publish(1);
  Publish(3, kThreeFragments);
  end_.Take(500);
  Join(7, {1, 3});
  EXPECT_THAT(Lines(),
              ElementsAre("PUBLISH 1:1", "PUBLISH 3:1.0", "PUBLISH! 1:1",
                          "JOINED 7", "PUBLISH 3:1.1", "PUBLISH 3:1.2"));
}

TEST_F(RetainedTest, AResendWaitsForAJoinThatWaits) {
  Publish(1, kThreeFragments);
  end_.Take(500);
  Join(7, {1});
  Resend(8, 1, 1);
  const std::vector<std::string> lines = Lines();
  EXPECT_THAT(lines,
              ElementsAre("PUBLISH 1:1.0", "PUBLISH 1:1.1", "PUBLISH 1:1.2",
                          "PUBLISH! 1:1.0", "PUBLISH! 1:1.1", "PUBLISH! 1:1.2",
                          "JOINED 7", "PUBLISH! 1:1.0", "PUBLISH! 1:1.1",
                          "PUBLISH! 1:1.2", "RESEND_END 8"));
}

TEST_F(RetainedTest, AcknowledgementsThatOvertakeTheSendingDoNotCutAValue) {
  Publish(1, kThreeFragments);
  end_.Take(2 * kFramePayloadBytesMax);
  Ack(1, 1);  // the first fragment leaves the log alone
  Lines();
  publishing_.Trim();
  Join(7, {1});
  EXPECT_THAT(Lines(), ElementsAre("PUBLISH! 1:1.0", "PUBLISH! 1:1.1",
                                   "PUBLISH! 1:1.2", "JOINED 7"));
}

// A second time would be in the midst of what comes behind it.
TEST_F(RetainedTest, WhatWasSentAgainIsNotOnceMoreWhenTheLogLetsItGo) {
  Publish(1);
  Publish(1, kThreeFragments);
  Lines();
  Resend(7, 1, 1);
  end_.Take(2 * kFramePayloadBytesMax);  // of more than one piece
  Ack(1, 1);
  EXPECT_THAT(Lines(),
              ElementsAre("PUBLISH! 1:1", "PUBLISH! 1:2.0", "PUBLISH! 1:2.1",
                          "PUBLISH! 1:2.2", "RESEND_END 7"));
}

TEST_F(RetainedTest, ManyLargeValuesGoOutPieceByPiece) {
  constexpr size_t kBytes = 200'000;
  Publish(1, kBytes);
  Publish(2, kBytes);
  Publish(3);
  Lines();
  Join(7, {1, 2});
  Publish(1);
  end_.Take(1);
  // Released while it is handed out; it comes whole, and once.
  Ack(1, 1);
  Ack(2, 1);
  const std::vector<Got> frames = Frames();
  std::vector<std::string> ends;
  for (const Got& frame : frames) {
    if (frame.header.fragment == frame.header.last_fragment) {
      ends.push_back(LinesOf({frame}).front());
    }
  }
  EXPECT_THAT(ends, testing::IsSupersetOf({"PUBLISH! 1:1.3", "PUBLISH! 2:1.3",
                                           "JOINED 7", "PUBLISH 1:2"}));
  EXPECT_EQ(ends.back(), "PUBLISH 1:2");
}

TEST_F(RetainedTest, NothingOfAChannelFollowsItsClose) {
  constexpr size_t kBytes = 200'000;
  Publish(3);  // is not acknowledged: what follows stays in the log
  Publish(1, kBytes);
  Publish(2, kBytes);
  Lines();
  Ack(1, 1);
  Ack(2, 1);
  Join(7, {1, 2});
  end_.Take(1);  // the beginning of the first value is on its way
  publishing_.Release(ChannelNumber{2});
  bool closed = false;
  for (const std::string& line : Lines()) {
    closed |= line.starts_with("CLOSE 2");
    EXPECT_FALSE(closed && line.starts_with("PUBLISH! 2")) << line;
  }
  EXPECT_TRUE(closed);
}

// -- RESEND --

TEST_F(RetainedTest, AResendBringsTheLastValueIfItIsAskedForAndBefore) {
  Publish(1);
  Publish(1);
  Lines();
  Resend(7, 1, 3, /*last_value=*/true);
  EXPECT_THAT(Lines(), ElementsAre("PUBLISH! 1:2", "RESEND_END 7"));
  Ack(1, 2);
  Resend(7, 1, 3, /*last_value=*/true);
  EXPECT_THAT(Lines(), ElementsAre("PUBLISH! 1:2", "RESEND_END 7"));
  Resend(7, 1, 3);
  EXPECT_THAT(Lines(), ElementsAre("RESEND_END 7"));
  Publish(1);
  Lines();
  Resend(7, 1, 3, /*last_value=*/true);
  EXPECT_THAT(Lines(), ElementsAre("PUBLISH! 1:3", "RESEND_END 7"));
}

TEST_F(RetainedTest, AResendHandsOutNothingThatWasReleased) {
  Publish(1);
  Lines();
  publishing_.Release(ChannelNumber{1});
  Open("a", true);
  Resend(7, 1, 2, /*last_value=*/true);
  EXPECT_THAT(Lines(), ElementsAre("RESEND_END 7"));
}

}  // namespace
}  // namespace ipc::core
