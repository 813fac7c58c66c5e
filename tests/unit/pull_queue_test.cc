// SPDX-License-Identifier: Apache-2.0
//
// What waits for Next, and what has to go for what comes.

#include "libipc/pull_queue.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

namespace ipc {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

class PullQueueTest : public testing::Test {
 protected:
  // Returns the sequences of what had to go.
  std::vector<uint64_t> Push(int stream, uint64_t sequence, size_t bytes = 10) {
    auto& known = streams_[stream];
    if (known == nullptr) known = std::make_shared<core::Stream>();
    const std::vector<std::byte> payload(bytes);
    Message message =
        Message(std::make_shared<Source>(), sequence, 0, payload).Clone();
    std::vector<uint64_t> dropped;
    for (const PullQueue::Waiting& waiting :
         queue_.Push({std::move(message), known}, options_)) {
      dropped.push_back(waiting.message.sequence());
    }
    return dropped;
  }
  std::vector<uint64_t> TakeAll() {
    std::vector<uint64_t> taken;
    while (!queue_.empty()) taken.push_back(queue_.Take().message.sequence());
    EXPECT_EQ(queue_.size(), 0u);
    return taken;
  }

  PullQueue queue_;
  SubscribeOptions options_;
  std::map<int, std::shared_ptr<core::Stream>> streams_;
};

TEST_F(PullQueueTest, AReliableOneHasNoLimit) {
  for (uint64_t i = 1; i <= 3; ++i) EXPECT_THAT(Push(1, i), IsEmpty());
  EXPECT_THAT(TakeAll(), ElementsAre(1, 2, 3));
}

TEST_F(PullQueueTest, TheOldestGoes) {
  options_.policy = BestEffort{.depth = 2};
  EXPECT_THAT(Push(1, 1), IsEmpty());
  EXPECT_THAT(Push(1, 2), IsEmpty());
  EXPECT_THAT(Push(1, 3), ElementsAre(1));
  EXPECT_THAT(TakeAll(), ElementsAre(2, 3));
}

TEST_F(PullQueueTest, TheNewestGoes) {
  options_.policy = BestEffort{.depth = 2, .drop = Drop::kNewest};
  EXPECT_THAT(Push(1, 1), IsEmpty());
  EXPECT_THAT(Push(1, 2), IsEmpty());
  EXPECT_THAT(Push(1, 3), ElementsAre(3));
  EXPECT_EQ(queue_.Take().message.sequence(), 1u);
  EXPECT_THAT(Push(1, 4), IsEmpty());
  EXPECT_THAT(TakeAll(), ElementsAre(2, 4));
}

TEST_F(PullQueueTest, BytesAreALimitToo) {
  options_.policy = BestEffort{.depth = 100, .bytes = 100};
  EXPECT_THAT(Push(1, 1), IsEmpty());
  EXPECT_THAT(Push(1, 2), IsEmpty());
  EXPECT_THAT(Push(1, 3), ElementsAre(1));
  // One alone always fits: it has come so far.
  EXPECT_THAT(Push(1, 4, 1000), ElementsAre(2, 3));
  options_.policy =
      BestEffort{.depth = 100, .bytes = 100, .drop = Drop::kNewest};
  EXPECT_THAT(Push(1, 5), ElementsAre(5));
  EXPECT_THAT(TakeAll(), ElementsAre(4));
  EXPECT_THAT(Push(1, 6, 1000), IsEmpty());
}

TEST_F(PullQueueTest, TheLatestOfEachStreamWaits) {
  options_.policy = Latest{};
  EXPECT_THAT(Push(1, 1), IsEmpty());
  EXPECT_THAT(Push(2, 11), IsEmpty());
  EXPECT_THAT(Push(3, 21), IsEmpty());
  EXPECT_THAT(Push(2, 12), ElementsAre(11));
  EXPECT_EQ(queue_.size(), 3u);
  EXPECT_THAT(TakeAll(), ElementsAre(1, 21, 12));
  EXPECT_THAT(Push(2, 13), IsEmpty());
  EXPECT_THAT(TakeAll(), ElementsAre(13));
}

TEST_F(PullQueueTest, TheLatestReplacesThousandsOfTimes) {
  options_.policy = Latest{};
  // Stream 0 stays in front of all holes.
  Push(0, 0);
  for (uint64_t i = 1; i <= 10'000; ++i) {
    EXPECT_EQ(Push(1 + static_cast<int>(i % 7), i).size(), i > 7 ? 1u : 0u);
  }
  EXPECT_EQ(queue_.size(), 8u);
  EXPECT_THAT(TakeAll(),
              ElementsAre(0, 9994, 9995, 9996, 9997, 9998, 9999, 10'000));
}

}  // namespace
}  // namespace ipc
