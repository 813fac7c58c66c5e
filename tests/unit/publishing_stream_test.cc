// SPDX-License-Identifier: Apache-2.0
//
// The order of a client's stream to the broker: the rest of a cut frame, then
// control frames, then the log; JOINED at its place; what is sent again, closed
// by its mark, with nothing of the log in between. The same wherever the socket
// stops taking.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdint>
#include <random>
#include <string>
#include <vector>

#include "libipc/core/publishing.h"
#include "tests/support/control_samples.h"
#include "tests/support/seed.h"
#include "tests/unit/broker_end.h"
#include "tests/unit/frames.h"

namespace ipc::core {
namespace {

using test::BrokerEnd;
using test::Got;
using test::LinesOf;
using testing::ElementsAre;
using testing::IsEmpty;
using wire::FrameKind;

class PublishingStreamTest : public testing::Test {
 protected:
  PublishingStreamTest() {
    publishing_.OnConnected();
    Open("a");
    Open("b");
    end_.Take(SIZE_MAX);
    end_.TakeFrames();
  }

  void Open(const std::string& topic) {
    wire::Opened opened;
    opened.channel = *publishing_.Open(topic, {});
    publishing_.OnOpened(opened);
  }
  void Publish(uint32_t channel, size_t bytes = 10) {
    std::vector<std::span<std::byte>> parts;
    ASSERT_TRUE(
        publishing_.TryAppend(ChannelNumber{channel}, bytes, 0, &parts));
  }
  void Control() {
    *publishing_.control() += test::FrameOf({.kind = FrameKind::kPing});
  }
  static wire::Reader Reader(uint32_t id) {
    wire::Reader reader = test::SampleReader(id);
    reader.reader = ReaderId{id};
    return reader;
  }
  void Join(uint32_t reader, const std::vector<uint32_t>& channels) {
    wire::Join join{.reader = Reader(reader), .channels = {}};
    for (uint32_t channel : channels) {
      join.channels.push_back(ChannelNumber{channel});
    }
    publishing_.OnJoin(join);
  }
  // Channel and first sequence wanted.
  void Resend(uint32_t reader,
              const std::vector<std::pair<uint32_t, uint64_t>>& channels) {
    wire::Resend resend{.reader = Reader(reader), .channels = {}};
    for (const auto& [channel, sequence] : channels) {
      resend.channels.push_back({ChannelNumber{channel}, sequence});
    }
    publishing_.OnResend(resend);
  }
  std::vector<std::string> Lines() {
    end_.Take(SIZE_MAX);
    EXPECT_FALSE(end_.cut());
    return LinesOf(end_.TakeFrames());
  }
  // What a reconnect hands back about `reader` of `channel`; 0: not known.
  uint64_t EntitledFrom(uint32_t reader, uint32_t channel) {
    publishing_.OnDisconnected();
    publishing_.OnConnected();
    for (const Got& frame : BrokerEnd::Drain(&publishing_)) {
      if (frame.header.kind != FrameKind::kOpen) continue;
      const auto open = frame.As<wire::Open>();
      if (open.channel != ChannelNumber{channel}) continue;
      for (const wire::Reader& known : open.readers) {
        if (known.subscription == Reader(reader).subscription) {
          return known.from;
        }
      }
    }
    return 0;
  }

  Publishing publishing_{1 << 20};
  BrokerEnd end_{&publishing_};
};

// -- Control --

TEST_F(PublishingStreamTest, ControlGoesBeforeTheLog) {
  Publish(1);
  Control();
  EXPECT_TRUE(publishing_.HasControl());
  EXPECT_THAT(Lines(), ElementsAre("PING", "PUBLISH 1:1"));
  EXPECT_FALSE(publishing_.HasControl());
  EXPECT_FALSE(publishing_.HasUnsent());
}

TEST_F(PublishingStreamTest, OnlyTheRestOfACutFrameGoesBeforeControl) {
  Publish(1);
  Publish(1);
  end_.Take(20);
  Control();
  EXPECT_THAT(Lines(), ElementsAre("PUBLISH 1:1", "PING", "PUBLISH 1:2"));
}

TEST_F(PublishingStreamTest, TheRestOfACutFrameMayLeaveInPieces) {
  Publish(1);
  end_.Take(20);
  Control();
  end_.Take(5, 5);
  end_.Take(5, 1);
  EXPECT_THAT(Lines(), ElementsAre("PUBLISH 1:1", "PING"));
}

// -- JOIN --

TEST_F(PublishingStreamTest, JoinedStandsBehindWhatWasSent) {
  Publish(1);
  end_.Take(SIZE_MAX);
  Publish(1);
  Publish(2);
  Join(7, {1, 2});
  EXPECT_THAT(Lines(), ElementsAre("PUBLISH 1:1", "JOINED 7", "PUBLISH 1:2",
                                   "PUBLISH 2:1"));
  EXPECT_EQ(EntitledFrom(7, 1), 2u);
}

TEST_F(PublishingStreamTest, AReaderIsEntitledFromItsMarkOn) {
  Publish(1);
  Publish(2);
  end_.Take(SIZE_MAX);
  Join(7, {2});
  Publish(2);
  end_.Take(SIZE_MAX);
  EXPECT_EQ(EntitledFrom(7, 2), 2u);
  EXPECT_EQ(EntitledFrom(7, 1), 0u);
}

TEST_F(PublishingStreamTest, JoinedStandsBehindAFrameThatWasCut) {
  Publish(1);
  Publish(1);
  end_.Take(60);
  Join(7, {1});
  EXPECT_THAT(Lines(), ElementsAre("PUBLISH 1:1", "PUBLISH 1:2", "JOINED 7"));
  Publish(1);
  EXPECT_THAT(Lines(), ElementsAre("PUBLISH 1:3"));
  EXPECT_EQ(EntitledFrom(7, 1), 3u);
}

TEST_F(PublishingStreamTest, AReaderThatJoinsAMessageInTheMiddleGetsTheNext) {
  Publish(1, 2 * kFramePayloadBytesMax);
  Publish(1);
  end_.Take(kFrameHeaderBytes + kFramePayloadBytesMax);
  Join(7, {1});
  EXPECT_THAT(Lines(), ElementsAre("PUBLISH 1:1.0", "JOINED 7", "PUBLISH 1:1.1",
                                   "PUBLISH 1:2"));
  EXPECT_EQ(EntitledFrom(7, 1), 2u);
}

TEST_F(PublishingStreamTest, EveryJoinIsAnsweredInItsOrder) {
  Join(7, {1});
  Join(8, {1, 2});
  Join(9, {});
  EXPECT_THAT(Lines(), ElementsAre("JOINED 7", "JOINED 8", "JOINED 9"));
}

TEST_F(PublishingStreamTest, AJoinOfChannelsThatAreNotIsAnswered) {
  Join(7, {0, 99});
  EXPECT_THAT(Lines(), ElementsAre("JOINED 7"));
}

TEST_F(PublishingStreamTest, AReaderThatLeftIsForgotten) {
  Join(7, {1, 2});
  Join(8, {1});
  end_.Take(SIZE_MAX);
  publishing_.OnLeave(ReaderId{7});
  EXPECT_EQ(EntitledFrom(7, 1), 0u);
  EXPECT_EQ(EntitledFrom(7, 2), 0u);
  EXPECT_EQ(EntitledFrom(8, 1), 1u);
}

TEST_F(PublishingStreamTest, AJoinOfAReaderThatLeftIsNotAnswered) {
  Join(7, {1});
  publishing_.OnLeave(ReaderId{7});
  EXPECT_THAT(Lines(), IsEmpty());
}

TEST_F(PublishingStreamTest, JoinsDieWithTheConnection) {
  Join(7, {1});
  publishing_.OnDisconnected();
  publishing_.OnConnected();
  EXPECT_THAT(Lines(), ElementsAre("OPEN", "OPEN"));
}

// -- RESEND --

TEST_F(PublishingStreamTest, SendsAgainWhatIsAskedForAndMarksTheEnd) {
  for (int i = 0; i < 3; ++i) Publish(1);
  Publish(2);
  Publish(1);
  end_.Take(SIZE_MAX);
  end_.TakeFrames();
  Resend(7, {{1, 2}, {2, 1}});
  end_.Take(SIZE_MAX);
  const std::vector<Got> frames = end_.TakeFrames();
  EXPECT_THAT(LinesOf(frames),
              ElementsAre("PUBLISH! 1:2", "PUBLISH! 1:3", "PUBLISH! 2:1",
                          "PUBLISH! 1:4", "RESEND_END 7"));
  for (const Got& frame : frames) EXPECT_EQ(frame.header.session, 7u);
  EXPECT_EQ(publishing_.resent(), 4u);
}

TEST_F(PublishingStreamTest, OtherChannelsAreNotSentAgain) {
  Publish(1);
  Publish(2);
  Lines();
  Resend(7, {{2, 1}});
  EXPECT_THAT(Lines(), ElementsAre("PUBLISH! 2:1", "RESEND_END 7"));
}

TEST_F(PublishingStreamTest, WhatWasNotSentIsNotSentAgain) {
  Publish(1);
  Lines();
  Publish(1);
  Resend(7, {{1, 1}});
  EXPECT_THAT(Lines(),
              ElementsAre("PUBLISH! 1:1", "RESEND_END 7", "PUBLISH 1:2"));
}

TEST_F(PublishingStreamTest, AFrameThatIsCutIsFinishedAndSentAgain) {
  Publish(1);
  Publish(1);
  end_.Take(60);
  Resend(7, {{1, 1}});
  EXPECT_THAT(Lines(), ElementsAre("PUBLISH 1:1", "PUBLISH 1:2", "PUBLISH! 1:1",
                                   "PUBLISH! 1:2", "RESEND_END 7"));
}

TEST_F(PublishingStreamTest, WhatIsAcknowledgedIsNotSentAgain) {
  for (int i = 0; i < 3; ++i) Publish(1);
  Lines();
  publishing_.OnAck(ChannelNumber{1}, 2);
  publishing_.Trim();
  Resend(7, {{1, 1}});
  EXPECT_THAT(Lines(), ElementsAre("PUBLISH! 1:3", "RESEND_END 7"));
}

TEST_F(PublishingStreamTest, AMarkComesThoughThereIsNothingToSend) {
  Resend(7, {{1, 5}});
  Resend(8, {});
  EXPECT_THAT(Lines(), ElementsAre("RESEND_END 7", "RESEND_END 8"));
}

TEST_F(PublishingStreamTest, ReadersAreCaughtUpOneAfterTheOther) {
  Publish(1);
  Publish(1);
  Lines();
  Resend(7, {{1, 1}});
  Resend(8, {{1, 2}});
  EXPECT_THAT(Lines(),
              ElementsAre("PUBLISH! 1:1", "PUBLISH! 1:2", "RESEND_END 7",
                          "PUBLISH! 1:2", "RESEND_END 8"));
}

TEST_F(PublishingStreamTest, AReaderThatLeavesGetsTheMarkAlone) {
  Publish(1);
  Lines();
  Resend(7, {{1, 1}});
  publishing_.OnLeave(ReaderId{7});
  EXPECT_THAT(Lines(), ElementsAre("RESEND_END 7"));
}

TEST_F(PublishingStreamTest, AResendSaysFromWhereAReaderIsEntitled) {
  for (int i = 0; i < 3; ++i) Publish(1);
  Lines();
  Resend(7, {{1, 2}});
  Lines();
  EXPECT_EQ(EntitledFrom(7, 1), 2u);
}

TEST_F(PublishingStreamTest, AnEarlierResendEntitlesAReaderToMore) {
  Publish(1);
  Publish(1);
  Lines();
  Join(7, {1});
  Lines();
  Resend(7, {{1, 2}});
  Lines();
  EXPECT_EQ(EntitledFrom(7, 1), 2u);
}

TEST_F(PublishingStreamTest, ALongResendLetsControlThroughButNotTheLog) {
  for (int i = 0; i < 12; ++i) Publish(1, 60'000);
  Lines();
  Resend(7, {{1, 1}});
  Publish(2);
  end_.Take(60'000);
  Control();
  const std::vector<std::string> lines = Lines();
  ASSERT_EQ(lines.size(), 15u);
  EXPECT_LT(std::find(lines.begin(), lines.end(), "PING") - lines.begin(), 8);
  EXPECT_EQ(lines[13], "RESEND_END 7");
  EXPECT_EQ(lines[14], "PUBLISH 2:1");
}

TEST_F(PublishingStreamTest, ResendsDieWithTheConnection) {
  for (int i = 0; i < 12; ++i) Publish(1, 60'000);
  Lines();
  Resend(7, {{1, 1}});
  end_.Take(100'000);
  publishing_.OnDisconnected();
  publishing_.OnConnected();
  EXPECT_THAT(LinesOf(BrokerEnd::Drain(&publishing_)),
              ElementsAre("OPEN", "OPEN"));
}

// -- Every byte position --

// Everything at once, after the socket has taken `cut` bytes of five
// publications and a control frame; then `piece` bytes at a time.
class CutStream : public PublishingStreamTest {
 public:
  void Play(size_t cut, size_t piece) {
    Publish(1, 3);
    Control();
    Publish(2, 0);
    Publish(1, 11);
    Publish(1, 0);
    Publish(2, 5);
    const size_t sent = end_.Take(cut);
    Control();
    Join(7, {1, 2});
    Resend(8, {{1, 2}, {2, 1}});
    Publish(1, 2);
    end_.Take(SIZE_MAX, piece);
    EXPECT_FALSE(end_.cut());
    const std::vector<std::string> lines = LinesOf(end_.TakeFrames());
    EXPECT_EQ(lines, Expected(sent)) << "cut at " << cut;
  }

 private:
  // The frames of the first part, in the order in which they leave.
  static std::vector<std::string> Expected(size_t sent) {
    const std::vector<std::pair<std::string, size_t>> first = {
        {"PING", 40},        {"PUBLISH 1:1", 43}, {"PUBLISH 2:1", 40},
        {"PUBLISH 1:2", 51}, {"PUBLISH 1:3", 40}, {"PUBLISH 2:2", 45}};
    std::vector<std::string> lines;
    std::vector<std::string> again;
    size_t next = 0;
    for (; next < first.size() && sent > 0; ++next) {
      const std::string& line = first[next].first;
      sent -= std::min(sent, first[next].second);
      lines.push_back(line);
      if (line == "PUBLISH 1:2" || line == "PUBLISH 1:3" ||
          line.starts_with("PUBLISH 2")) {
        again.push_back("PUBLISH!" + line.substr(7));
      }
    }
    if (next == 0) lines.push_back(first[next++].first);
    lines.push_back("PING");
    lines.push_back("JOINED 7");
    lines.insert(lines.end(), again.begin(), again.end());
    lines.push_back("RESEND_END 8");
    for (; next < first.size(); ++next) lines.push_back(first[next].first);
    lines.push_back("PUBLISH 1:4");
    return lines;
  }
  void TestBody() override {}
};

TEST(PublishingCutTest, TheStreamIsTheSameWhereverItIsCut) {
  for (size_t cut = 0; cut <= 260; ++cut) {
    CutStream().Play(cut, SIZE_MAX);
    ASSERT_FALSE(testing::Test::HasFailure()) << cut;
  }
}

TEST(PublishingCutTest, TheStreamIsTheSameInPiecesOfEverySize) {
  for (size_t cut = 0; cut <= 260; cut += 9) {
    for (size_t piece = 1; piece <= 130; ++piece) {
      CutStream().Play(cut, piece);
      ASSERT_FALSE(testing::Test::HasFailure()) << cut << " " << piece;
    }
  }
}

// -- Anything, with a seed --

class RandomStreamTest : public PublishingStreamTest {
 protected:
  // Takes what there is and checks the rules that hold for any stream.
  void Check() {
    for (const Got& frame : end_.TakeFrames()) {
      const wire::FrameHeader& header = frame.header;
      if (header.kind == FrameKind::kResendEnd) {
        ASSERT_FALSE(asked_.empty());
        EXPECT_EQ(header.session, asked_.front());
        asked_.erase(asked_.begin());
      } else if (header.kind == FrameKind::kPublish && header.flags == 0) {
        ASSERT_EQ(header.sequence, ++live_[header.target]);
        live_order_.push_back(header.target);
      } else if (header.kind == FrameKind::kPublish) {
        ASSERT_FALSE(asked_.empty());
        EXPECT_EQ(header.session, asked_.front());
        EXPECT_LE(header.sequence, live_[header.target]) << "never sent";
      }
    }
  }

  std::vector<uint32_t> asked_;
  uint64_t live_[3] = {};
  std::vector<uint32_t> live_order_;
  std::vector<uint32_t> published_order_;
};

TEST_F(RandomStreamTest, OrderHoldsInRandomScripts) {
  SCOPED_TRACE(test::SeedNote());
  std::mt19937_64 random(test::Seed());
  uint32_t reader = 10;
  for (int step = 0; step < 5000; ++step) {
    const uint32_t channel = 1 + static_cast<uint32_t>(random() % 2);
    switch (random() % 8) {
      case 0:
        Control();
        break;
      case 1:
        Join(++reader, {1, 2});
        break;
      case 2:
        if (asked_.size() > 3) break;
        Resend(++reader, {{1, live_[1] - std::min<uint64_t>(live_[1], 5)},
                          {2, live_[2]}});
        asked_.push_back(reader);
        break;
      case 3:
        publishing_.OnAck(ChannelNumber{channel}, live_[channel]);
        publishing_.Trim();
        break;
      case 4:
      case 5: {
        std::vector<std::span<std::byte>> parts;
        if (publishing_.TryAppend(ChannelNumber{channel}, random() % 3000, 0,
                                  &parts)) {
          published_order_.push_back(channel);
        }
        break;
      }
      default:
        end_.Take(random() % 3000, 1 + random() % 400);
        break;
    }
    ASSERT_NO_FATAL_FAILURE(Check()) << "step " << step;
  }
  end_.Take(SIZE_MAX);
  ASSERT_NO_FATAL_FAILURE(Check());
  EXPECT_FALSE(end_.cut());
  EXPECT_THAT(asked_, IsEmpty());
  EXPECT_TRUE(live_order_ == published_order_);
}

}  // namespace
}  // namespace ipc::core
