// SPDX-License-Identifier: Apache-2.0
//
// What waits for one subscription: order, sizes and counts, against a plain
// list of frames.

#include "broker/core/queue.h"

#include <gtest/gtest.h>

#include <cstddef>
#include <cstdint>
#include <deque>
#include <random>
#include <span>
#include <string>
#include <string_view>
#include <utility>

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
  EXPECT_EQ(Text(queue.TakeBlock().rest()), Deliver(2) + Deliver(3));
}

TEST(QueueTest, TellsWhetherAPublicationBeganWithTheDroppedFrame) {
  Queue queue;
  Push(&queue, Fragment(1, 0) + Fragment(1, 1) + Abort() + Deliver(2));
  EXPECT_TRUE(queue.DropOldest());
  EXPECT_EQ(queue.messages(), 1u);
  EXPECT_FALSE(queue.DropOldest());
  EXPECT_FALSE(queue.DropOldest());
  EXPECT_EQ(queue.messages(), 1u);
  EXPECT_TRUE(queue.DropOldest());
  EXPECT_TRUE(queue.empty());
  EXPECT_EQ(queue.messages(), 0u);
}

TEST(QueueTest, KeepsGoneInFrontOfWhatIsNotDropped) {
  Queue queue;
  Push(&queue, Deliver(1) + Gone(7) + Deliver(2) + Gone(8) + Deliver(3));
  for (int i = 0; i < 4; ++i) queue.DropOldest();
  EXPECT_EQ(queue.messages(), 1u);
  EXPECT_EQ(queue.bytes(), Deliver(3).size());
  EXPECT_EQ(Text(queue.TakeBlock().rest()), Gone(7) + Gone(8));
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
  EXPECT_EQ(Text(queue.TakeBlock().rest()), Deliver(2, 40'000));
  EXPECT_TRUE(queue.empty());
}

TEST(QueueTest, TakesABlockWithoutWhatWasDroppedOfIt) {
  Queue queue;
  Push(&queue, Deliver(1) + Deliver(2));
  queue.DropOldest();
  Push(&queue, Deliver(3));
  EXPECT_EQ(Text(queue.TakeBlock().rest()), Deliver(2) + Deliver(3));
  EXPECT_EQ(queue.bytes(), 0u);
  EXPECT_EQ(queue.messages(), 0u);
}

TEST(QueueTest, ClearForgetsEverything) {
  Queue queue;
  Push(&queue, Deliver(1, 40'000));
  Push(&queue, Deliver(2, 40'000));
  queue.Clear();
  EXPECT_TRUE(queue.empty());
  EXPECT_EQ(queue.bytes(), 0u);
  EXPECT_EQ(queue.messages(), 0u);
}

// -- Against a list of frames --

struct Model {
  std::string kept;
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
  static bool Begins(const std::string& frame) {
    wire::FrameHeader header = test::HeaderOf(frame);
    return header.kind == FrameKind::kDeliver && header.fragment == 0;
  }
};

std::string RandomFrame(uint64_t sequence, std::mt19937_64* random) {
  switch ((*random)() % 8) {
    case 0:
      return Gone();
    case 1:
      return Fragment(sequence, 0);
    case 2:
      return Fragment(sequence, 1);
    case 3:
      return Deliver(sequence, (*random)() % kFramePayloadBytesMax);
    default:
      return Deliver(sequence, (*random)() % 200);
  }
}

void TakeBlock(Queue* queue, Model* model) {
  const std::string block = Text(queue->TakeBlock().rest());
  ASSERT_FALSE(block.empty());
  std::string expected = std::exchange(model->kept, "");
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
  for (uint64_t step = 1; step <= 20'000; ++step) {
    const uint64_t action = random() % 20;
    if (action < 10) {
      std::string run;
      for (uint64_t i = 0; i <= random() % 4; ++i) {
        model.frames.push_back(RandomFrame(step, &random));
        run += model.frames.back();
      }
      Push(&queue, run);
    } else if (action < 17 && !model.frames.empty()) {
      ASSERT_EQ(queue.DropOldest(), Model::Begins(model.frames.front()));
      if (model.frames.front() == Gone()) model.kept += Gone();
      model.frames.pop_front();
    } else if (action < 19 && !queue.empty()) {
      ASSERT_NO_FATAL_FAILURE(TakeBlock(&queue, &model)) << "step " << step;
    } else if (random() % 50 == 0) {
      queue.Clear();
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
