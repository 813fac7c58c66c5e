// SPDX-License-Identifier: Apache-2.0
//
// The newest of each stream, in the order in which they came.

#include "broker/core/latest_queue.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "tests/unit/frames.h"

namespace ipc::broker {
namespace {

using test::FrameOf;
using testing::ElementsAre;
using testing::IsEmpty;
using wire::FrameKind;

std::string Deliver(uint32_t topic, uint64_t sequence, size_t bytes = 0) {
  return FrameOf(
      {.kind = FrameKind::kDeliver, .target = topic, .sequence = sequence},
      std::string(bytes, 'd'));
}

std::string Fragment(uint32_t topic, uint64_t sequence, uint16_t fragment) {
  return FrameOf({.kind = FrameKind::kDeliver,
                  .target = topic,
                  .sequence = sequence,
                  .fragment = fragment,
                  .last_fragment = 2},
                 "part");
}

class LatestQueueTest : public testing::Test {
 protected:
  LatestQueue::Lost Push(std::string_view frames) {
    return queue_.Push(std::as_bytes(std::span(frames)));
  }
  // "topic:sequence", with ".fragment"; gaps as "topic:first-last reason";
  // "gone".
  std::vector<std::string> TakeOnce() {
    std::vector<std::string> story;
    const std::vector<std::byte> taken = queue_.Take().bytes;
    for (size_t at = 0; at < taken.size();) {
      const wire::FrameHeader header = wire::LoadHeader(taken.data() + at);
      at += header.size;
      std::string line = absl::StrCat(header.target, ":", header.sequence);
      if (header.kind == FrameKind::kGone) line = "gone";
      if (header.kind == FrameKind::kGap) {
        absl::StrAppend(&line, "-", header.time, " ", header.fragment);
      } else if (header.last_fragment != 0) {
        absl::StrAppend(&line, ".", header.fragment);
      }
      story.push_back(line);
    }
    return story;
  }
  std::vector<std::string> Take() {
    std::vector<std::string> story;
    while (!queue_.empty()) {
      for (std::string& line : TakeOnce()) story.push_back(std::move(line));
    }
    EXPECT_EQ(queue_.bytes(), 0u);
    return story;
  }

  LatestQueue queue_{10'000};
};

TEST_F(LatestQueueTest, ANewerOneReplacesAnOlderOne) {
  EXPECT_EQ(Push(Deliver(1, 1)).replaced, 0u);
  EXPECT_EQ(Push(Deliver(1, 2) + Deliver(1, 3)).replaced, 2u);
  EXPECT_THAT(Take(), ElementsAre("1:1-2 6", "1:3"));
}

TEST_F(LatestQueueTest, ANewerOneGoesToTheEnd) {
  Push(Deliver(1, 1) + Deliver(2, 1) + Deliver(3, 1) + Deliver(1, 2));
  EXPECT_THAT(Take(), ElementsAre("2:1", "3:1", "1:1-1 6", "1:2"));
}

TEST_F(LatestQueueTest, PublishersOfOneTopicDoNotReplaceEachOther) {
  for (uint32_t session : {1, 2}) {
    Push(FrameOf({.kind = FrameKind::kDeliver,
                  .target = 1,
                  .session = session,
                  .sequence = 5}));
  }
  EXPECT_THAT(Take(), ElementsAre("1:5", "1:5"));
}

TEST_F(LatestQueueTest, APartReplacesNothingBeforeItIsWhole) {
  Push(Deliver(1, 1) + Fragment(1, 2, 0) + Deliver(2, 1) + Fragment(1, 2, 1));
  EXPECT_THAT(TakeOnce(), ElementsAre("1:1", "1:2.0", "1:2.1", "2:1"));
  Push(Deliver(2, 2) + Fragment(1, 2, 2));
  EXPECT_THAT(Take(), ElementsAre("2:2", "1:2.2"));
}

TEST_F(LatestQueueTest, AWholeMessageInFragmentsReplacesAndIsReplaced) {
  Push(Deliver(1, 1) + Fragment(1, 2, 0) + Fragment(1, 2, 1));
  EXPECT_EQ(Push(Fragment(1, 2, 2)).replaced, 1u);
  EXPECT_EQ(Push(Deliver(1, 3)).replaced, 1u);
  EXPECT_THAT(Take(), ElementsAre("1:1-2 6", "1:3"));
}

TEST_F(LatestQueueTest, TheRestOfAMessageIsReplacedLikeAWholeOne) {
  Push(Fragment(1, 1, 0));
  Take();
  EXPECT_EQ(Push(Fragment(1, 1, 1) + Fragment(1, 1, 2)).replaced, 0u);
  EXPECT_EQ(Push(Deliver(1, 2)).replaced, 1u);
  EXPECT_THAT(Take(), ElementsAre("1:1-1 6", "1:2"));
}

TEST_F(LatestQueueTest, AnAbortTakesThePartBack) {
  Push(Deliver(1, 1) + Fragment(1, 2, 0) + Fragment(2, 1, 0));
  Push(FrameOf({.kind = FrameKind::kAbort, .target = 1, .sequence = 2}));
  Push(FrameOf({.kind = FrameKind::kAbort, .target = 2, .sequence = 1}));
  Push(FrameOf({.kind = FrameKind::kAbort, .target = 3, .sequence = 1}));
  EXPECT_THAT(Take(), ElementsAre("1:1"));
  // It comes again, from its beginning.
  Push(Fragment(1, 2, 0) + Fragment(1, 2, 0) + Fragment(1, 2, 1));
  EXPECT_THAT(Take(), ElementsAre("1:2.0", "1:2.1"));
}

TEST_F(LatestQueueTest, AGapHasItsPlaceBehindWhatWaits) {
  Push(Deliver(1, 1));
  queue_.PushGap(
      {.topic = 1, .first = 2, .last = 2, .reason = wire::GapReason::kRefused});
  queue_.PushGap(
      {.topic = 2, .first = 7, .last = 8, .reason = wire::GapReason::kRefused});
  Push(Deliver(1, 3));
  EXPECT_THAT(Take(), ElementsAre("2:7-8 5", "1:1-1 6", "1:2-2 5", "1:3"));
}

TEST_F(LatestQueueTest, GoneIsBehindTheLastOfItsPublisher) {
  Push(Deliver(1, 1) + FrameOf({.kind = FrameKind::kGone, .session = 9}));
  Push(Deliver(2, 1));
  EXPECT_THAT(Take(), ElementsAre("1:1", "gone", "2:1"));
}

TEST_F(LatestQueueTest, AboveTheLimitTheOldestGo) {
  Push(Deliver(1, 1, 4000) + Deliver(2, 1, 4000));
  Push(FrameOf({.kind = FrameKind::kGone, .session = 9}));
  EXPECT_EQ(Push(Deliver(1, 2, 4000)).replaced, 1u);
  EXPECT_EQ(Push(Deliver(3, 1, 4000)).dropped, 1u);
  EXPECT_LE(queue_.bytes(), 10'000u);
  EXPECT_EQ(Push(Deliver(4, 1, 4000)).dropped, 1u);
  EXPECT_THAT(Take(), ElementsAre("2:1-1 1", "gone", "1:1-1 6", "1:2-2 1",
                                  "3:1", "4:1"));
}

TEST_F(LatestQueueTest, AMessageAboveTheLimitIsLostItself) {
  EXPECT_EQ(Push(Deliver(1, 1, 20'000)).dropped, 1u);
  EXPECT_THAT(Take(), ElementsAre("1:1-1 1"));
}

TEST_F(LatestQueueTest, TheRestOfALostPartIsLeftOut) {
  Push(Fragment(1, 1, 0));
  EXPECT_EQ(Push(Deliver(2, 1, 9950)).dropped, 1u);
  Push(Fragment(1, 1, 1) + Fragment(1, 1, 2) + Deliver(1, 2));
  EXPECT_THAT(Take(), ElementsAre("1:1-1 1", "2:1-1 1", "1:2"));
}

TEST_F(LatestQueueTest, GapsInOnePlaceAreBoundedThoughReasonsAlternate) {
  for (uint64_t i = 1; i <= 1000; i += 2) {
    Push(Deliver(1, i));
    queue_.PushGap({.topic = 1,
                    .first = i + 1,
                    .last = i + 1,
                    .reason = wire::GapReason::kRefused});
  }
  EXPECT_LE(queue_.bytes(), (2 * kGapsPerPlaceMax + 1) * kFrameHeaderBytes);
  EXPECT_EQ(Take().size(), kGapsPerPlaceMax + 2);
}

TEST_F(LatestQueueTest, ClearForgetsEverything) {
  Push(Deliver(1, 1) + Deliver(1, 2) + Fragment(2, 1, 0));
  queue_.Clear();
  EXPECT_TRUE(queue_.empty());
  EXPECT_EQ(queue_.bytes(), 0u);
  Push(Deliver(1, 3));
  EXPECT_THAT(Take(), ElementsAre("1:3"));
}

TEST_F(LatestQueueTest, ItIsEmptyAtFirst) {
  EXPECT_TRUE(queue_.empty());
  EXPECT_THAT(Take(), IsEmpty());
}

}  // namespace
}  // namespace ipc::broker
