// SPDX-License-Identifier: Apache-2.0
//
// What waits for one subscription: order, sizes and counts, against a plain
// list of frames.

#include "broker/core/queue.h"

#include <gtest/gtest.h>

#include <array>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <random>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "libipc/wire/frame.h"
#include "tests/support/seed.h"
#include "tests/unit/frames.h"

namespace ipc::broker {
namespace {

using test::FrameOf;
using wire::FrameKind;

std::span<const std::byte> Bytes(std::string_view text) {
  return std::as_bytes(std::span(text));
}

std::string Text(std::span<const std::byte> bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

std::string Deliver(uint64_t sequence, size_t payload_bytes = 0) {
  return FrameOf({.kind = FrameKind::kDeliver, .sequence = sequence},
                 std::string(payload_bytes, 'd'));
}

std::string Fragment(uint64_t sequence, uint16_t fragment) {
  return FrameOf({.kind = FrameKind::kDeliver,
                  .sequence = sequence,
                  .fragment = fragment,
                  .last_fragment = 2},
                 "part");
}

std::string Gone(uint32_t session = 0) {
  return FrameOf({.kind = FrameKind::kGone, .session = session});
}

std::string GapOf(uint64_t first, uint64_t last, uint32_t topic = 0,
                  wire::GapReason reason = wire::GapReason::kDepth) {
  return FrameOf(wire::GapHeader({topic, 0, first, last, reason}));
}

std::string Abort() { return FrameOf({.kind = FrameKind::kAbort}); }

void Push(Queue* queue, std::string_view frames) {
  queue->Push(Bytes(frames), CountMessages(Bytes(frames)));
}

TEST(CountMessagesTest, CountsThePublicationsThatBegin) {
  EXPECT_EQ(CountMessages({}), 0u);
  EXPECT_EQ(CountMessages(Bytes(Deliver(1) + Deliver(2, 100))), 2u);
}

TEST(CountMessagesTest, CountsAFragmentedPublicationAtItsFirstFragment) {
  EXPECT_EQ(CountMessages(Bytes(Fragment(1, 0) + Fragment(1, 1))), 1u);
  EXPECT_EQ(CountMessages(Bytes(Fragment(1, 1) + Fragment(1, 2))), 0u);
}

TEST(CountMessagesTest, PassesOverFramesThatTheBrokerMade) {
  const std::string frames =
      Gone() + Deliver(1) + FrameOf({.kind = FrameKind::kAbort}) + Deliver(2);
  EXPECT_EQ(CountMessages(Bytes(frames)), 2u);
}

TEST(QueueTest, IsEmptyAtFirst) {
  Queue queue;
  EXPECT_TRUE(queue.empty());
  EXPECT_EQ(queue.bytes(), 0u);
  EXPECT_EQ(queue.messages(), 0u);
}

TEST(QueueTest, CopiesWhatIsPushed) {
  Queue queue;
  std::string frames = Deliver(1, 5) + Deliver(2);
  const std::string before = frames;
  Push(&queue, frames);
  frames.assign(frames.size(), '\xee');
  EXPECT_EQ(Text(queue.TakeBlock().rest()), before);
}

TEST(QueueTest, GathersSmallRunsInOneBlock) {
  Queue queue;
  Push(&queue, Deliver(1));
  Push(&queue, Deliver(2));
  EXPECT_EQ(queue.messages(), 2u);
  EXPECT_EQ(queue.bytes(), 80u);
  EXPECT_EQ(Text(queue.TakeBlock().rest()), Deliver(1) + Deliver(2));
  EXPECT_TRUE(queue.empty());
  EXPECT_EQ(queue.bytes(), 0u);
  EXPECT_EQ(queue.messages(), 0u);
}

TEST(QueueTest, BeginsABlockWhereARunDoesNotFit) {
  Queue queue;
  const std::string first = Deliver(1, 40'000);
  const std::string second = Deliver(2, 40'000);
  Push(&queue, first);
  Push(&queue, second);
  EXPECT_EQ(Text(queue.TakeBlock().rest()), first);
  EXPECT_FALSE(queue.empty());
  EXPECT_EQ(queue.messages(), 1u);
  EXPECT_EQ(queue.bytes(), second.size());
  EXPECT_EQ(Text(queue.TakeBlock().rest()), second);
  EXPECT_TRUE(queue.empty());
}

TEST(QueueTest, FillsABlockToTheLastByte) {
  Queue queue;
  const std::string first = Deliver(1, 64 * 1024 - 3 * kFrameHeaderBytes);
  Push(&queue, first);
  Push(&queue, Deliver(2));
  Push(&queue, Deliver(3));
  Push(&queue, Deliver(4));
  EXPECT_EQ(Text(queue.TakeBlock().rest()), first + Deliver(2) + Deliver(3));
  EXPECT_EQ(Text(queue.TakeBlock().rest()), Deliver(4));
}

TEST(QueueTest, TakesARunAboveTheSizeOfABlock) {
  Queue queue;
  const std::string run = Deliver(1, 60'000) + Deliver(2, 60'000);
  Push(&queue, Deliver(0));
  Push(&queue, run);
  EXPECT_EQ(Text(queue.TakeBlock().rest()), Deliver(0));
  EXPECT_EQ(queue.messages(), 2u);
  EXPECT_EQ(Text(queue.TakeBlock().rest()), run);
}

TEST(QueueTest, DropsFramesFromTheFront) {
  Queue queue;
  Push(&queue, Deliver(1, 7) + Deliver(2) + Deliver(3));
  EXPECT_TRUE(queue.DropOldest());
  EXPECT_EQ(queue.messages(), 2u);
  EXPECT_EQ(queue.bytes(), 80u);
  EXPECT_EQ(Text(queue.TakeBlock().rest()), GapOf(1, 1));
  EXPECT_EQ(Text(queue.TakeBlock().rest()), Deliver(2) + Deliver(3));
}

TEST(QueueTest, TellsWhetherAPublicationIsLostWithTheDroppedFrame) {
  Queue queue;
  Push(&queue, Fragment(1, 0) + Fragment(1, 1) + Abort() + Deliver(2));
  EXPECT_TRUE(queue.DropOldest());
  EXPECT_EQ(queue.messages(), 1u);
  EXPECT_FALSE(queue.DropOldest());
  EXPECT_FALSE(queue.DropOldest());
  EXPECT_EQ(queue.messages(), 1u);
  EXPECT_TRUE(queue.DropOldest());
  EXPECT_EQ(queue.bytes(), 0u);
  EXPECT_EQ(queue.messages(), 0u);
  EXPECT_EQ(Text(queue.TakeBlock().rest()), GapOf(1, 2));
  EXPECT_TRUE(queue.empty());
}

TEST(QueueTest, ALossIsToldAtItsPlace) {
  Queue queue;
  Push(&queue, Deliver(1) + Deliver(2) + Deliver(3) + Deliver(4));
  queue.DropOldest();
  queue.DropOldest();
  EXPECT_EQ(Text(queue.TakeBlock().rest()), GapOf(1, 2));
  queue.DropOldest();
  EXPECT_EQ(Text(queue.TakeBlock().rest()), GapOf(3, 3));
  EXPECT_EQ(Text(queue.TakeBlock().rest()), Deliver(4));
}

TEST(QueueTest, EachStreamHasOneGapInOnePlace) {
  Queue queue;
  const auto deliver = [](uint32_t topic, uint64_t sequence) {
    return FrameOf(
        {.kind = FrameKind::kDeliver, .target = topic, .sequence = sequence});
  };
  for (uint64_t i = 1; i <= 100; ++i) {
    Push(&queue, deliver(1, i) + deliver(2, i + 7));
  }
  for (int i = 0; i < 199; ++i) queue.DropOldest();
  EXPECT_EQ(Text(queue.TakeBlock().rest()),
            GapOf(1, 100, 1) + GapOf(8, 106, 2));
  EXPECT_EQ(Text(queue.TakeBlock().rest()), deliver(2, 107));
}

// Its beginning has left, and it was told to be missing.
TEST(QueueTest, TheRestOfALostPublicationIsLeftOut) {
  Queue queue;
  Push(&queue, Fragment(1, 1));
  EXPECT_TRUE(queue.DropOldest());
  Push(&queue, Fragment(1, 2) + Deliver(2));
  EXPECT_EQ(Text(queue.TakeBlock().rest()), GapOf(1, 1));
  EXPECT_EQ(Text(queue.TakeBlock().rest()), Deliver(2));
  Push(&queue, Fragment(1, 2));
  EXPECT_TRUE(queue.empty()) << "also when it was told already";
}

TEST(QueueTest, AGapIsNotDropped) {
  Queue queue;
  Push(&queue, Deliver(1));
  queue.PushGap({.first = 2, .last = 3, .reason = wire::GapReason::kRefused});
  Push(&queue, Deliver(4));
  for (int i = 0; i < 3; ++i) queue.DropOldest();
  EXPECT_EQ(
      Text(queue.TakeBlock().rest()),
      GapOf(1, 1) + GapOf(2, 3, 0, wire::GapReason::kRefused) + GapOf(4, 4));
}

TEST(QueueTest, GapsBehindEachOtherAreOne) {
  Queue queue;
  const auto refuse = [&queue](uint64_t sequence, uint32_t topic = 0) {
    queue.PushGap({.topic = topic,
                   .first = sequence,
                   .last = sequence,
                   .reason = wire::GapReason::kRefused});
  };
  for (uint64_t i = 1; i <= 1000; ++i) refuse(i);
  EXPECT_EQ(queue.bytes(), kFrameHeaderBytes);
  refuse(1, 1);
  refuse(1001);
  Push(&queue, Deliver(1002));
  refuse(1003);
  const auto refused = wire::GapReason::kRefused;
  EXPECT_EQ(Text(queue.TakeBlock().rest()),
            GapOf(1, 1000, 0, refused) + GapOf(1, 1, 1, refused) +
                GapOf(1001, 1001, 0, refused) + Deliver(1002) +
                GapOf(1003, 1003, 0, refused));
}

// Else a publisher could fill the broker, 40 bytes at a time.
TEST(QueueTest, GapsInOnePlaceAreBoundedThoughReasonsAlternate) {
  Queue queue;
  for (uint64_t i = 1; i <= 1000; i += 2) {
    Push(&queue, Deliver(i));
    queue.PushGap(
        {.first = i + 1, .last = i + 1, .reason = wire::GapReason::kRefused});
    queue.DropOldest();
    queue.DropOldest();
  }
  std::string expected;
  for (uint64_t i = 1; i < kGapsPerPlaceMax; ++i) {
    expected +=
        GapOf(i, i, 0,
              i % 2 == 0 ? wire::GapReason::kRefused : wire::GapReason::kDepth);
  }
  expected += GapOf(kGapsPerPlaceMax, 1000, 0, wire::GapReason::kUnspecified);
  EXPECT_EQ(Text(queue.TakeBlock().rest()), expected);
}

TEST(QueueTest, KeepsGoneInFrontOfWhatIsNotDropped) {
  Queue queue;
  Push(&queue, Deliver(1) + Gone(7) + Deliver(2) + Gone(8) + Deliver(3));
  for (int i = 0; i < 4; ++i) queue.DropOldest();
  EXPECT_EQ(queue.messages(), 1u);
  EXPECT_EQ(queue.bytes(), Deliver(3).size());
  EXPECT_EQ(Text(queue.TakeBlock().rest()), GapOf(1, 2) + Gone(7) + Gone(8));
  EXPECT_EQ(Text(queue.TakeBlock().rest()), Deliver(3));
  EXPECT_TRUE(queue.empty());
}

TEST(QueueTest, IsNotEmptyWithoutAnythingButGone) {
  Queue queue;
  Push(&queue, Gone(7));
  queue.DropOldest();
  EXPECT_EQ(queue.bytes(), 0u);
  EXPECT_FALSE(queue.empty());
  EXPECT_EQ(Text(queue.TakeBlock().rest()), Gone(7));
  EXPECT_TRUE(queue.empty());
}

TEST(QueueTest, DropsABlockWithItsLastFrame) {
  Queue queue;
  Push(&queue, Deliver(1, 40'000));
  Push(&queue, Deliver(2, 40'000));
  queue.DropOldest();
  EXPECT_EQ(Text(queue.TakeBlock().rest()), GapOf(1, 1));
  EXPECT_EQ(Text(queue.TakeBlock().rest()), Deliver(2, 40'000));
  EXPECT_TRUE(queue.empty());
}

TEST(QueueTest, TakesABlockWithoutWhatWasDroppedOfIt) {
  Queue queue;
  Push(&queue, Deliver(1) + Deliver(2));
  queue.DropOldest();
  Push(&queue, Deliver(3));
  EXPECT_EQ(Text(queue.TakeBlock().rest()), GapOf(1, 1));
  EXPECT_EQ(Text(queue.TakeBlock().rest()), Deliver(2) + Deliver(3));
  EXPECT_EQ(queue.bytes(), 0u);
  EXPECT_EQ(queue.messages(), 0u);
}

TEST(QueueTest, ClearForgetsEverything) {
  Queue queue;
  Push(&queue, Deliver(1, 40'000));
  Push(&queue, Deliver(2, 40'000));
  queue = Queue();
  EXPECT_TRUE(queue.empty());
  EXPECT_EQ(queue.bytes(), 0u);
  EXPECT_EQ(queue.messages(), 0u);
}

// -- Against a list of frames --

struct Model {
  std::vector<std::string> kept;
  std::deque<std::string> frames;

  bool empty() const { return kept.empty() && frames.empty(); }

  uint64_t bytes() const {
    uint64_t sum = 0;
    for (const std::string& frame : frames) sum += frame.size();
    return sum;
  }
  uint64_t messages() const {
    uint64_t count = 0;
    for (const std::string& frame : frames) count += Begins(frame) ? 1 : 0;
    return count;
  }
  // Whether a publication is lost.
  bool DropOldest() {
    const std::string frame = std::move(frames.front());
    frames.pop_front();
    const wire::FrameHeader header = test::HeaderOf(frame);
    if (header.kind != FrameKind::kDeliver) {
      kept.push_back(frame);
      return false;
    }
    for (size_t i = kept.size(); i > 0; --i) {
      wire::Gap gap;
      const wire::FrameHeader before = test::HeaderOf(kept[i - 1]);
      if (before.kind != FrameKind::kGap || before.target != header.target ||
          !wire::ParseGap(before, &gap)) {
        continue;
      }
      if (gap.last + 1 != header.sequence) break;
      kept[i - 1] = GapOf(gap.first, header.sequence, header.target);
      return true;
    }
    kept.push_back(GapOf(header.sequence, header.sequence, header.target));
    return true;
  }
  static bool Begins(const std::string& frame) {
    wire::FrameHeader header = test::HeaderOf(frame);
    return header.kind == FrameKind::kDeliver && header.fragment == 0;
  }
};

// On one of three topics, each with sequences of its own.
std::string RandomFrame(std::array<uint64_t, 3>* sequences,
                        std::mt19937_64* random) {
  const uint64_t kind = (*random)() % 8;
  if (kind == 0) return Gone(9);
  const auto topic = static_cast<uint32_t>((*random)() % 3);
  wire::FrameHeader header = {.kind = FrameKind::kDeliver,
                              .target = topic,
                              .sequence = ++(*sequences)[topic]};
  if (kind < 3) {
    header.fragment = static_cast<uint16_t>(kind - 1);
    header.last_fragment = 2;
  }
  const uint64_t bytes_max = kind == 3 ? kFramePayloadBytesMax : 200;
  return FrameOf(header, std::string((*random)() % bytes_max, 'r'));
}

void TakeBlock(Queue* queue, Model* model) {
  const std::string block = Text(queue->TakeBlock().rest());
  ASSERT_FALSE(block.empty());
  std::string expected;
  for (const std::string& frame : std::exchange(model->kept, {})) {
    expected += frame;
  }
  if (!expected.empty()) {
    ASSERT_EQ(block, expected);
    return;
  }
  while (expected.size() < block.size() && !model->frames.empty()) {
    expected += model->frames.front();
    model->frames.pop_front();
  }
  ASSERT_TRUE(block == expected);
}

TEST(QueueTest, KeepsOrderSizesAndCountsUnderRandomUse) {
  SCOPED_TRACE(test::SeedNote());
  std::mt19937_64 random(test::Seed());
  Queue queue;
  Model model;
  std::array<uint64_t, 3> sequences{};
  for (uint64_t step = 1; step <= 20'000; ++step) {
    const uint64_t action = random() % 20;
    if (action < 10) {
      std::string run;
      for (uint64_t i = 0; i <= random() % 4; ++i) {
        model.frames.push_back(RandomFrame(&sequences, &random));
        run += model.frames.back();
      }
      Push(&queue, run);
    } else if (action < 17 && !model.frames.empty()) {
      ASSERT_EQ(queue.DropOldest(), model.DropOldest()) << "step " << step;
    } else if (action < 19 && !queue.empty()) {
      ASSERT_NO_FATAL_FAILURE(TakeBlock(&queue, &model)) << "step " << step;
    } else if (random() % 50 == 0) {
      queue = Queue();
      model.frames.clear();
      model.kept.clear();
    }
    ASSERT_EQ(queue.bytes(), model.bytes()) << "step " << step;
    ASSERT_EQ(queue.messages(), model.messages()) << "step " << step;
    ASSERT_EQ(queue.empty(), model.empty()) << "step " << step;
  }
}

}  // namespace
}  // namespace ipc::broker
