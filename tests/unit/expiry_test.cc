// SPDX-License-Identifier: Apache-2.0
//
// What is too old to be sent: when it is decided, what stands for it in the
// stream, and what never expires.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdint>
#include <optional>
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
using testing::IsEmpty;
using testing::SizeIs;
using wire::FrameKind;

constexpr absl::Duration kLife = absl::Milliseconds(10);
constexpr absl::Duration kTick = absl::Nanoseconds(1);
constexpr size_t kThreeFragments = 2 * kFramePayloadBytesMax + 10;

class ExpiryTest : public testing::Test {
 protected:
  // What is published on channel 1 has a time to live, on channel 2 not.
  ExpiryTest() {
    publishing_.SetTime(now_);
    publishing_.OnConnected();
    Open("a", {.retain_last = true, .time_to_live = kLife});
    Open("b", {});
    Lines();
  }

  void Open(const std::string& topic, const ChannelType& type) {
    wire::Opened opened;
    opened.channel = *publishing_.Open(topic, type);
    publishing_.OnOpened(opened);
  }
  void Publish(uint32_t channel, size_t bytes = 10) {
    std::vector<std::span<std::byte>> parts;
    ASSERT_TRUE(publishing_.TryAppend(ChannelNumber{channel}, bytes,
                                      now_.nanoseconds(), &parts));
  }
  void Pass(absl::Duration time) {
    now_ = now_ + time;
    publishing_.SetTime(now_);
  }
  void Lose() {
    publishing_.OnDisconnected();
    end_.emplace(&publishing_);
  }
  // The channels are open again, with what was sent for that left out.
  void Return() {
    publishing_.OnConnected();
    Lines();
    for (uint32_t channel : {1, 2}) {
      wire::Opened opened;
      opened.channel = ChannelNumber{channel};
      publishing_.OnOpened(opened);
    }
  }
  void Resend(uint32_t reader, uint64_t from, bool last_value = false) {
    wire::Resend resend{.reader = test::SampleReader(reader), .channels = {}};
    resend.reader.reader = ReaderId{reader};
    resend.channels.push_back({ChannelNumber{1}, from, last_value});
    publishing_.OnResend(resend);
  }
  void Join(uint32_t reader) {
    wire::Join join{.reader = test::SampleReader(reader),
                    .channels = {ChannelNumber{1}}};
    join.reader.reader = ReaderId{reader};
    publishing_.OnJoin(join);
  }
  std::vector<Got> Frames() {
    end_->Take(SIZE_MAX);
    EXPECT_FALSE(end_->cut());
    return end_->TakeFrames();
  }
  std::vector<std::string> Lines() { return LinesOf(Frames()); }

  MonotonicTime now_ = MonotonicTime::FromNanoseconds(1'000'000'000);
  Publishing publishing_{1 << 20};
  std::optional<BrokerEnd> end_{&publishing_};
};

// -- While it waits for a connection --

TEST_F(ExpiryTest, WhatHasWaitedForAConnectionTooLongIsAHeaderInItsPlace) {
  Lose();
  Publish(1);
  Publish(2);
  Pass(kTick);
  Publish(1);
  Pass(kLife - kTick);
  Return();
  const std::vector<Got> frames = Frames();
  EXPECT_THAT(LinesOf(frames),
              ElementsAre("PUBLISH~ 1:1", "PUBLISH 2:1", "PUBLISH 1:2"));
  EXPECT_EQ(frames[0].header.size, kFrameHeaderBytes);
  EXPECT_EQ(frames[0].header.time, (now_ + -kLife).nanoseconds());
  EXPECT_EQ(publishing_.expired(), 1u);
}

TEST_F(ExpiryTest, OfOneInFragmentsOneHeaderIsLeft) {
  Lose();
  Publish(1, kThreeFragments);
  Publish(1, kThreeFragments);
  Pass(kLife);
  Publish(1, kThreeFragments);
  Return();
  const std::vector<Got> frames = Frames();
  EXPECT_THAT(LinesOf(frames),
              ElementsAre("PUBLISH~ 1:1", "PUBLISH~ 1:2", "PUBLISH 1:3.0",
                          "PUBLISH 1:3.1", "PUBLISH 1:3.2"));
  EXPECT_EQ(frames[0].header.last_fragment, 0u);
  EXPECT_EQ(publishing_.expired(), 2u);
}

TEST_F(ExpiryTest, NothingIsSentBeforeItsChannelIsOpen) {
  Lose();
  Publish(1);
  Pass(kLife);
  publishing_.OnConnected();
  EXPECT_THAT(Lines(), ElementsAre("OPEN", "OPEN"));
  Publish(2);
  EXPECT_THAT(Lines(), IsEmpty());
}

TEST_F(ExpiryTest, WhatIsUnderWayOnAConnectionThatLivesIsNeverTooOld) {
  Publish(1);
  Pass(kLife);
  EXPECT_THAT(Lines(), ElementsAre("PUBLISH 1:1"));
  EXPECT_EQ(publishing_.expired(), 0u);
}

TEST_F(ExpiryTest, OneThatWasCutByTheLossExpiresAsAWhole) {
  Publish(1, kThreeFragments);
  end_->Take(kDataFrameBytesMax + 100);
  Lose();
  Pass(kLife);
  Return();
  EXPECT_THAT(Lines(), ElementsAre("PUBLISH~ 1:1"));
}

TEST_F(ExpiryTest, ManyLeaveInOrderAmongTheYounger) {
  Open("c", {.time_to_live = 2 * kLife});
  Lines();
  Lose();
  std::vector<std::string> expected;
  for (int i = 1; i <= 4000; ++i) {
    Publish(1);
    Publish(3);
    expected.push_back("PUBLISH~ 1:" + std::to_string(i));
    expected.push_back("PUBLISH 3:" + std::to_string(i));
  }
  Pass(kLife);
  Return();
  wire::Opened opened;
  opened.channel = ChannelNumber{3};
  publishing_.OnOpened(opened);
  end_->Take(SIZE_MAX, 1000);
  EXPECT_EQ(LinesOf(end_->TakeFrames()), expected);
  EXPECT_FALSE(publishing_.HasUnsent());
}

TEST_F(ExpiryTest, ItIsReleasedByItsAcknowledgement) {
  Lose();
  Publish(1);
  Pass(kLife);
  Return();
  Lines();
  EXPECT_FALSE(publishing_.log().empty());
  EXPECT_TRUE(publishing_.OnAck(ChannelNumber{1}, 1));
  publishing_.Trim();
  EXPECT_TRUE(publishing_.log().empty());
}

// -- Its header is lost, too --

TEST_F(ExpiryTest, WhatHasPassedCountsAsSent) {
  Lose();
  Publish(1);
  Pass(kLife);
  Return();
  publishing_.Gather();  // and the connection takes none of it
  Lose();
  publishing_.OnConnected();
  const std::vector<Got> frames = Frames();
  ASSERT_THAT(frames, SizeIs(2));
  EXPECT_EQ(frames[0].As<wire::Open>().next_sequence, 2u);
  wire::Opened opened;
  opened.channel = ChannelNumber{1};
  publishing_.OnOpened(opened);
  Resend(7, 1);
  EXPECT_THAT(Lines(), ElementsAre("PUBLISH!~ 1:1", "RESEND_END 7"));
  EXPECT_EQ(publishing_.expired(), 1u);
}

// -- RESEND --

TEST_F(ExpiryTest, WhatIsTooOldIsNotSentAgain) {
  Publish(1);
  Publish(1, kThreeFragments);
  Lines();
  Pass(kTick);
  Publish(1);
  Lines();
  Pass(kLife - kTick);
  Resend(7, 1);
  const std::vector<Got> frames = Frames();
  EXPECT_THAT(LinesOf(frames), ElementsAre("PUBLISH!~ 1:1", "PUBLISH!~ 1:2",
                                           "PUBLISH! 1:3", "RESEND_END 7"));
  EXPECT_EQ(frames[0].header.session, 7u);
  EXPECT_EQ(frames[1].header.size, kFrameHeaderBytes);
  EXPECT_EQ(publishing_.expired(), 2u);
  Resend(8, 1);
  EXPECT_THAT(Lines(), SizeIs(4));
  EXPECT_EQ(publishing_.expired(), 2u) << "each counts once";
}

TEST_F(ExpiryTest, WhatIsNotWantedDoesNotCount) {
  Publish(1);
  Publish(1);
  Lines();
  Pass(kLife);
  Resend(7, 2);
  EXPECT_THAT(Lines(), ElementsAre("PUBLISH!~ 1:2", "RESEND_END 7"));
  EXPECT_EQ(publishing_.expired(), 1u);
}

TEST_F(ExpiryTest, OneOfWhichAPartHasGoneOutIsSentAgainAsFar) {
  Publish(1, kThreeFragments);
  end_->Take(kDataFrameBytesMax + 100);  // into the second fragment
  Pass(kLife);
  Resend(7, 1);
  EXPECT_THAT(Lines(),
              ElementsAre("PUBLISH 1:1.0", "PUBLISH 1:1.1", "PUBLISH! 1:1.0",
                          "PUBLISH! 1:1.1", "RESEND_END 7", "PUBLISH 1:1.2"));
}

TEST_F(ExpiryTest, OneWhoseResendHasBegunIsSentAgainWhole) {
  Publish(1, kThreeFragments);
  Publish(1, kThreeFragments);
  Lines();
  Pass(kLife - kTick);
  Resend(7, 1);
  end_->Take(kFramePayloadBytesMax);  // two fragments are a piece
  Pass(kTick);
  EXPECT_THAT(Lines(),
              ElementsAre("PUBLISH! 1:1.0", "PUBLISH! 1:1.1", "PUBLISH! 1:1.2",
                          "PUBLISH!~ 1:2", "RESEND_END 7"));
}

// -- Last values --

TEST_F(ExpiryTest, ALastValueThatIsTooOldIsNotHandedOut) {
  Publish(1);
  Lines();
  Pass(kLife - kTick);
  Join(7);
  EXPECT_THAT(Lines(), ElementsAre("PUBLISH! 1:1", "JOINED 7"));
  publishing_.OnAck(ChannelNumber{1}, 1);
  publishing_.Trim();
  Resend(8, 2, /*last_value=*/true);
  EXPECT_THAT(Lines(), ElementsAre("PUBLISH! 1:1", "RESEND_END 8"));
  Pass(kTick);
  Join(9);
  EXPECT_THAT(Lines(), ElementsAre("JOINED 9"));
  Resend(10, 2, /*last_value=*/true);
  EXPECT_THAT(Lines(), ElementsAre("RESEND_END 10"));
  EXPECT_EQ(publishing_.expired(), 0u) << "everybody who was to get it did";
}

TEST_F(ExpiryTest, AValueThatExpiresBeforeItIsSentAgainIsNotMissing) {
  Publish(1);
  Lines();
  Resend(7, 2, /*last_value=*/true);
  Resend(8, 1, /*last_value=*/true);
  Pass(kLife);
  EXPECT_THAT(Lines(),
              ElementsAre("RESEND_END 7", "PUBLISH!~ 1:1", "RESEND_END 8"));
}

TEST_F(ExpiryTest, NeitherIsOneThatIsStillInTheLog) {
  Publish(1);
  Lines();
  Pass(kLife);
  Join(7);
  EXPECT_THAT(Lines(), ElementsAre("JOINED 7"));
}

// -- Handles --

TEST_F(ExpiryTest, HandlesOnOneTopicAgree) {
  EXPECT_EQ(publishing_.Open("a", {}).status().code(),
            StatusCode::kInvalidArgument);
  EXPECT_EQ(publishing_.Open("b", {.time_to_live = kLife}).status().code(),
            StatusCode::kInvalidArgument);
  EXPECT_TRUE(publishing_.Open("a", {.time_to_live = kLife}).ok());
}

TEST_F(ExpiryTest, WhatIsNotAcknowledgedKeepsItsTimeToLive) {
  Publish(2);
  Lines();
  publishing_.Release(ChannelNumber{2});
  EXPECT_EQ(publishing_.Open("b", {.time_to_live = kLife}).status().code(),
            StatusCode::kFailedPrecondition);
  publishing_.OnAck(ChannelNumber{2}, 1);
  EXPECT_TRUE(publishing_.Open("b", {.time_to_live = kLife}).ok());
}

// -- The log --

TEST(LogExpiryTest, AllFramesOfAPublicationAreMarkedAcrossALap) {
  Log log(8 * (kFramePayloadBytesMax + kFrameHeaderBytes));
  const auto append = [&log](uint64_t sequence, size_t bytes) {
    std::vector<std::span<std::byte>> parts;
    return log.TryAppendFragments(
        {.kind = FrameKind::kPublish, .target = 1, .sequence = sequence}, bytes,
        &parts);
  };
  uint64_t acknowledged[] = {0, 0};
  for (uint64_t sequence = 1; sequence <= 20; ++sequence) {
    const uint64_t before = log.tail();
    ASSERT_TRUE(append(sequence, kThreeFragments));
    const uint64_t at = log.Normalize(before);
    EXPECT_FALSE(log.IsSent(at));
    std::vector<std::span<const std::byte>> pieces;
    log.Unsent(Log::kNoGate, &pieces);
    size_t bytes = 0;
    for (std::span<const std::byte> piece : pieces) bytes += piece.size();
    log.Sent(bytes - 1);
    EXPECT_FALSE(log.IsSent(at));
    log.Sent(1);
    EXPECT_TRUE(log.IsSent(at));
    EXPECT_EQ(log.NextPublication(at), log.Normalize(log.tail()));
    log.MarkExpired(at);
    int marked = 0;
    for (uint64_t i = at; i < log.tail(); i = log.Next(i)) {
      EXPECT_EQ(log.HeaderAt(i).flags, wire::kFlagExpired);
      EXPECT_EQ(log.HeaderAt(i).sequence, sequence);
      ++marked;
    }
    EXPECT_EQ(marked, 3);
    // One is kept, or the log would start over.
    acknowledged[1] = sequence - 1;
    log.Release(acknowledged);
  }
  EXPECT_GT(log.tail(), uint64_t{2} << 20) << "two laps";
}

}  // namespace
}  // namespace ipc::core
