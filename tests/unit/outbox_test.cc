// SPDX-License-Identifier: Apache-2.0
//
// What leaves an outbox, wherever the socket stops taking: whole frames, each
// lane's in its order and behind the right SELECT, control frames in theirs,
// and nothing of a read buffer that is gone. `OutboxReceiver` is the other end
// of the socket; `OutboxTest` plays the turns of a broker.

#include "broker/core/outbox.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <random>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "libipc/wire/frame.h"
#include "tests/support/seed.h"
#include "tests/unit/frames.h"
#include "tests/unit/outbox_receiver.h"

namespace ipc::broker {
namespace {

using test::FrameOf;
using testing::ElementsAre;
using wire::FrameKind;

class OutboxTest : public testing::Test {
 protected:
  static constexpr uint32_t kLanes = 3;

  OutboxTest() {
    for (uint32_t i = 1; i <= kLanes; ++i) {
      lanes_.push_back(std::make_unique<Lane>());
      lanes_.back()->id = SubscriptionId{i};
    }
  }

  Lane* lane(uint32_t id) { return lanes_[id - 1].get(); }

  // -- A turn: frames are added, some bytes leave, the rest is settled.

  // Reserves the read buffer, so that its bytes stay where they are.
  void BeginTurn() { buffer_.reserve(1 << 20); }
  // One frame, which lies in the buffer behind the one before.
  void Run(uint32_t id, size_t payload_bytes = 3, uint16_t fragment = 0) {
    ++sequence_;
    const std::string frame = FrameOf(
        {.kind = FrameKind::kDeliver,
         .target = id,
         .sequence = sequence_,
         .fragment = fragment,
         .last_fragment = fragment},
        std::string(payload_bytes, static_cast<char>('a' + sequence_ % 26)));
    ASSERT_LE(buffer_.size() + frame.size(), buffer_.capacity());
    const size_t begin = buffer_.size();
    buffer_ += frame;
    expected_[id].push_back(frame);
    outbox_.AddRun(lane(id), std::as_bytes(std::span(buffer_)).subspan(begin),
                   fragment == 0 ? 1 : 0);
  }
  void Frame(uint32_t id) {
    const wire::FrameHeader header{.kind = FrameKind::kGone,
                                   .sequence = ++sequence_};
    expected_[id].push_back(FrameOf(header));
    outbox_.AddFrame(lane(id), header);
  }
  void Control() {
    expected_control_.push_back(
        FrameOf({.kind = FrameKind::kPong, .sequence = ++sequence_}));
    outbox_.AddControl(expected_control_.back());
  }
  // The socket takes `bytes`, at most `piece` at a time.
  size_t Send(size_t bytes, size_t piece = SIZE_MAX) {
    size_t sent = 0;
    while (sent < bytes && !outbox_.empty()) {
      std::string taken;
      for (std::span<const std::byte> segment : outbox_.Gather()) {
        EXPECT_FALSE(segment.empty());
        taken.append(reinterpret_cast<const char*>(segment.data()),
                     segment.size());
      }
      taken.resize(std::min({taken.size(), bytes - sent, piece}));
      outbox_.Sent(taken.size());
      receiver_.Take(taken);
      sent += taken.size();
    }
    return sent;
  }
  // Nothing borrowed may remain: the buffer is overwritten and freed.
  void EndTurn() {
    outbox_.Settle();
    std::fill(buffer_.begin(), buffer_.end(), '\xee');
    buffer_ = std::string();
  }

  // Everything that was added has come, in its order.
  void ExpectAllReceived() {
    EXPECT_TRUE(outbox_.empty());
    EXPECT_FALSE(receiver_.cut());
    EXPECT_EQ(receiver_.control(), expected_control_);
    for (uint32_t id = 1; id <= kLanes; ++id) {
      EXPECT_EQ(receiver_.lane(id), expected_[id]) << "lane " << id;
      EXPECT_EQ(lane(id)->queue->bytes(), 0u);
      EXPECT_EQ(lane(id)->queue->messages(), 0u);
      EXPECT_FALSE(lane(id)->in_turn);
    }
  }

  std::vector<std::unique_ptr<Lane>> lanes_;
  MissingByReason missing_{};
  OutboxCommon common_{.missing = &missing_};
  Outbox outbox_{&common_};
  OutboxReceiver receiver_;
  std::string buffer_;
  uint64_t sequence_ = 0;
  std::map<uint32_t, std::vector<std::string>> expected_;
  std::vector<std::string> expected_control_;
};

// -- One thing at a time --

TEST_F(OutboxTest, IsEmptyAtFirst) {
  EXPECT_TRUE(outbox_.empty());
  EXPECT_FALSE(outbox_.blocked());
  EXPECT_TRUE(outbox_.Gather().empty());
}

TEST_F(OutboxTest, ConsecutiveFramesOfOneLaneLeaveInOneSegment) {
  BeginTurn();
  for (int i = 0; i < 10; ++i) Run(1);
  EXPECT_EQ(outbox_.Gather().size(), 2u);  // SELECT and all of them
  EXPECT_EQ(outbox_.Gather().back().data(),
            reinterpret_cast<const std::byte*>(buffer_.data()));
  Send(SIZE_MAX);
  EndTurn();
  ExpectAllReceived();
}

TEST_F(OutboxTest, FramesThatLieApartLeaveInSegmentsOfTheirOwn) {
  BeginTurn();
  Run(1);
  buffer_ += "a frame for somebody else";
  Run(1);
  EXPECT_EQ(outbox_.Gather().size(), 3u);
  Send(SIZE_MAX);
  EndTurn();
  ExpectAllReceived();
}

TEST_F(OutboxTest, SelectsALaneOnlyWhenItChanges) {
  for (int turn = 0; turn < 3; ++turn) {
    BeginTurn();
    Run(2);
    Send(SIZE_MAX);
    EndTurn();
  }
  EXPECT_EQ(receiver_.selects(), 1);
  BeginTurn();
  Run(1);
  Run(2);
  Run(2);
  Send(SIZE_MAX);
  EndTurn();
  EXPECT_EQ(receiver_.selects(), 3);
  ExpectAllReceived();
}

TEST_F(OutboxTest, ControlGoesBeforeData) {
  BeginTurn();
  Run(1);
  Control();
  Run(2);
  Control();
  EXPECT_EQ(outbox_.control_bytes(), 80u);
  Send(SIZE_MAX);
  EndTurn();
  EXPECT_THAT(receiver_.order(), ElementsAre("c", "c", "1:1", "2:3"));
}

TEST_F(OutboxTest, ControlGoesBeforeQueuedData) {
  BeginTurn();
  Run(1);
  Run(2);
  EndTurn();
  Control();
  Send(SIZE_MAX);
  EXPECT_THAT(receiver_.order(), ElementsAre("c", "1:1", "2:2"));
}

TEST_F(OutboxTest, OnlyTheRestOfACutFrameGoesBeforeControl) {
  BeginTurn();
  Run(1);
  Run(1);
  Run(1);
  Send(40 + 43 + 1);  // SELECT, the first frame, a byte of the second
  EndTurn();
  Control();
  Send(SIZE_MAX);
  EXPECT_THAT(receiver_.order(), ElementsAre("1:1", "1:2", "c", "1:3"));
}

TEST_F(OutboxTest, ACutSelectGoesBeforeControlAndCountsOnce) {
  BeginTurn();
  Run(1);
  Send(17);
  EndTurn();
  Control();
  Send(SIZE_MAX);
  EXPECT_THAT(receiver_.order(), ElementsAre("c", "1:1"));
  EXPECT_EQ(receiver_.selects(), 1);
}

TEST_F(OutboxTest, IsBlockedWhileDataWaits) {
  BeginTurn();
  Run(1);
  EXPECT_FALSE(outbox_.blocked());
  EndTurn();
  EXPECT_TRUE(outbox_.blocked());
  EXPECT_EQ(lane(1)->queue->messages(), 1u);
  Send(SIZE_MAX);
  EXPECT_FALSE(outbox_.blocked());
}

TEST_F(OutboxTest, CopiesAtOnceWhatComesBehindQueuedData) {
  BeginTurn();
  Run(1);
  EndTurn();
  BeginTurn();
  Run(2);
  EXPECT_EQ(lane(2)->queue->messages(), 1u);
  EndTurn();
  Send(SIZE_MAX);
  EXPECT_THAT(receiver_.order(), ElementsAre("1:1", "2:2"));
}

TEST_F(OutboxTest, AFrameOfTheBrokerStandsBehindTheRunsBeforeIt) {
  BeginTurn();
  Run(1);
  Run(2);
  Frame(1);
  Run(1);
  Send(SIZE_MAX);
  EndTurn();
  ExpectAllReceived();
}

TEST_F(OutboxTest, QueuesAreServedInTurn) {
  for (uint32_t id : {1u, 1u, 1u, 2u, 2u, 3u}) {
    BeginTurn();
    Run(id, 60'000);
    EndTurn();
  }
  Send(SIZE_MAX);
  EXPECT_THAT(receiver_.order(),
              ElementsAre("1:1", "2:4", "3:6", "1:2", "2:5", "1:3"));
}

TEST_F(OutboxTest, GathersABoundedShareOfWhatWaits) {
  for (int i = 0; i < 15; ++i) {
    BeginTurn();
    Run(1, 65'000);
    EndTurn();
  }
  size_t bytes = 0;
  for (std::span<const std::byte> segment : outbox_.Gather()) {
    bytes += segment.size();
  }
  EXPECT_GE(bytes, 256u * 1024);
  EXPECT_LE(bytes, 256u * 1024 + 66'000);
  Send(SIZE_MAX);
  ExpectAllReceived();
}

TEST_F(OutboxTest, GathersFewerSegmentsThanTheSystemTakes) {
  BeginTurn();
  for (uint32_t i = 0; i < 3000; ++i) Run(1 + i % kLanes, 0);
  EXPECT_GT(outbox_.Gather().size(), 900u);
  EXPECT_LE(outbox_.Gather().size(), 1024u);
  Send(SIZE_MAX);
  EndTurn();
  ExpectAllReceived();
}

// -- Removing and dropping --

TEST_F(OutboxTest, ARemovedLaneTakesItsQueueAlong) {
  BeginTurn();
  Run(1);
  Run(2);
  Run(1);
  EndTurn();
  outbox_.Remove(lane(1));
  EXPECT_TRUE(lane(1)->queue->empty());
  EXPECT_FALSE(lane(1)->in_turn);
  Send(SIZE_MAX);
  EXPECT_THAT(receiver_.order(), ElementsAre("2:2"));
  EXPECT_TRUE(outbox_.empty());
}

TEST_F(OutboxTest, ARemovedLaneTakesItsRunsAlong) {
  BeginTurn();
  Run(1);
  Run(2);
  outbox_.Remove(lane(1));
  EndTurn();
  Send(SIZE_MAX);
  EXPECT_THAT(receiver_.order(), ElementsAre("2:2"));
}

TEST_F(OutboxTest, TheRestOfACutFrameLeavesThoughItsLaneIsRemoved) {
  BeginTurn();
  Run(1);
  Run(1);
  Run(2);
  Send(41);
  outbox_.Remove(lane(1));
  lanes_[0].reset();
  EndTurn();
  Send(SIZE_MAX);
  EXPECT_THAT(receiver_.order(), ElementsAre("1:1", "2:3"));
  EXPECT_FALSE(receiver_.cut());
}

TEST_F(OutboxTest, RemovingALaneThatHasNothingChangesNothing) {
  BeginTurn();
  Run(1);
  outbox_.Remove(lane(3));
  EndTurn();
  Send(SIZE_MAX);
  ExpectAllReceived();
}

TEST_F(OutboxTest, ALimitedLaneKeepsTheNewestMessages) {
  lane(1)->messages_max = 2;
  BeginTurn();
  for (int i = 0; i < 5; ++i) Run(1);
  Run(2);
  EndTurn();
  EXPECT_EQ(lane(1)->dropped, 3u);
  Send(SIZE_MAX);
  EXPECT_THAT(receiver_.order(), ElementsAre("1:1-3", "2:6", "1:4", "1:5"));
}

TEST_F(OutboxTest, ALimitedLaneIsBoundedInBytes) {
  lane(1)->bytes_max = 2 * 43;
  BeginTurn();
  for (int i = 0; i < 5; ++i) Run(1);
  EndTurn();
  EXPECT_EQ(lane(1)->dropped, 3u);
  EXPECT_EQ(lane(1)->queue->bytes(), 2u * 43);
  Send(SIZE_MAX);
  EXPECT_THAT(receiver_.order(), ElementsAre("1:1-3", "1:4", "1:5"));
}

TEST_F(OutboxTest, ALimitHoldsForWhatIsQueuedAtOnce) {
  lane(1)->messages_max = 1;
  BeginTurn();
  Run(2);
  EndTurn();
  BeginTurn();
  for (int i = 0; i < 5; ++i) Run(1);
  EXPECT_EQ(lane(1)->queue->messages(), 1u);
  EndTurn();
  Send(SIZE_MAX);
  EXPECT_THAT(receiver_.order(), ElementsAre("2:1", "1:2-5", "1:6"));
}

TEST_F(OutboxTest, WhatLeavesAtOnceKnowsNoLimit) {
  lane(1)->messages_max = 1;
  lane(1)->bytes_max = 1;
  BeginTurn();
  for (int i = 0; i < 5; ++i) Run(1);
  Send(SIZE_MAX);
  EndTurn();
  EXPECT_EQ(lane(1)->dropped, 0u);
  ExpectAllReceived();
}

TEST_F(OutboxTest, ALaneThatKeepsNothingTellsThat) {
  BeginTurn();
  Run(1);
  EndTurn();
  EXPECT_TRUE(lane(1)->in_turn);
  lane(1)->bytes_max = 10;
  BeginTurn();
  Run(1);
  Run(2);
  EndTurn();
  Send(SIZE_MAX);
  EXPECT_FALSE(lane(1)->in_turn);
  EXPECT_THAT(receiver_.order(), ElementsAre("1:1-2", "2:3"));
  EXPECT_EQ(lane(1)->dropped, 2u);
}

// -- Every byte position --

// Two turns that have everything in them. The first socket buffer takes
// `first` bytes, the second `second`, both `piece` at a time.
class TwoTurns : public OutboxTest {
 public:
  void Play(size_t first, size_t second, size_t piece) {
    BeginTurn();
    Control();
    Run(1);
    Run(1, 0);
    Run(2, 1, 1);
    Run(2);
    Run(1, 9);
    Control();
    Run(3);
    Send(first, piece);
    EndTurn();
    BeginTurn();
    Run(3, 2);
    Run(1);
    Frame(2);
    Control();
    Run(2, 5);
    Send(second, piece);
    EndTurn();
    Send(SIZE_MAX, piece);
    ExpectAllReceived();
  }

 private:
  void TestBody() override {}
};

void PlayTwoTurns(size_t first, size_t second, size_t piece) {
  TwoTurns().Play(first, second, piece);
}

// More than either turn has.
constexpr size_t kMoreThanATurn = 700;

TEST(OutboxCutTest, FramesStayWholeWhereverTheFirstTurnIsCut) {
  for (size_t first = 0; first <= kMoreThanATurn; ++first) {
    for (size_t second : {size_t{0}, size_t{1}, size_t{39}, size_t{40},
                          size_t{41}, size_t{123}, SIZE_MAX}) {
      PlayTwoTurns(first, second, SIZE_MAX);
      ASSERT_FALSE(testing::Test::HasFailure()) << first << " " << second;
    }
  }
}

TEST(OutboxCutTest, FramesStayWholeWhereverTheSecondTurnIsCut) {
  for (size_t first = 0; first <= kMoreThanATurn; first += 37) {
    for (size_t second = 0; second <= 2 * kMoreThanATurn; ++second) {
      PlayTwoTurns(first, second, SIZE_MAX);
      ASSERT_FALSE(testing::Test::HasFailure()) << first << " " << second;
    }
  }
}

TEST(OutboxCutTest, FramesStayWholeInPiecesOfEverySize) {
  for (size_t piece = 1; piece <= 200; ++piece) {
    for (size_t first : {size_t{0}, size_t{100}, size_t{333}, SIZE_MAX}) {
      PlayTwoTurns(first, SIZE_MAX, piece);
      ASSERT_FALSE(testing::Test::HasFailure()) << first << " " << piece;
    }
  }
}

// -- Anything, with a seed --

class RandomOutboxTest : public OutboxTest {
 protected:
  void Act(std::mt19937_64* random) {
    const uint32_t id = 1 + static_cast<uint32_t>((*random)() % kLanes);
    switch ((*random)() % 12) {
      case 0:
        Control();
        break;
      case 1:
        Frame(id);
        break;
      case 2:
        Run(id, (*random)() % 30'000);
        break;
      case 3:
        Run(id, (*random)() % 50, 1);
        break;
      default:
        Run(id, (*random)() % 50);
        break;
    }
  }
  void Play(std::mt19937_64* random, int turns) {
    for (int turn = 0; turn < turns && !HasFailure(); ++turn) {
      BeginTurn();
      for (uint64_t i = 0; i < (*random)() % 8; ++i) Act(random);
      const bool all = (*random)() % 8 == 0;
      Send(all ? SIZE_MAX : (*random)() % 2000, 1 + (*random)() % 500);
      EndTurn();
      EXPECT_LE(lane(3)->queue->bytes(), lane(3)->bytes_max);
      EXPECT_LE(lane(3)->queue->messages(), lane(3)->messages_max);
    }
    Send(SIZE_MAX);
  }
  // Each frame is one of its own publication.
  static uint64_t MessagesIn(const std::vector<std::string>& frames) {
    uint64_t messages = 0;
    for (const std::string& frame : frames) {
      if (test::HeaderOf(frame).kind == FrameKind::kDeliver) ++messages;
    }
    return messages;
  }
};

TEST_F(RandomOutboxTest, FramesStayWholeAndInOrderInRandomTurns) {
  SCOPED_TRACE(test::SeedNote());
  std::mt19937_64 random(test::Seed());
  Play(&random, 5000);
  ExpectAllReceived();
}

TEST_F(RandomOutboxTest, ALimitedLaneLosesWholeFramesAndCountsThem) {
  SCOPED_TRACE(test::SeedNote());
  std::mt19937_64 random(test::Seed());
  lane(3)->messages_max = 20;
  lane(3)->bytes_max = 10'000;
  Play(&random, 5000);
  // What came is what was sent without some of it.
  const std::vector<std::string>& received = receiver_.lane(3);
  size_t next = 0;
  for (const std::string& frame : expected_[3]) {
    if (next < received.size() && received[next] == frame) ++next;
  }
  EXPECT_EQ(next, received.size());
  EXPECT_GT(lane(3)->dropped, 0u);
  EXPECT_EQ(MessagesIn(received) + lane(3)->dropped, MessagesIn(expected_[3]));
  // At least, because what lies between belongs to other lanes.
  EXPECT_GE(receiver_.missing(3), lane(3)->dropped);
  expected_[3] = received;
  ExpectAllReceived();
}

}  // namespace
}  // namespace ipc::broker
