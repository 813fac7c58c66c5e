// SPDX-License-Identifier: Apache-2.0
//
// Timers come back in the order of their times, each once, and not early.

#include "broker/core/timers.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <optional>
#include <random>
#include <vector>

#include "tests/support/seed.h"

namespace ipc::broker {
namespace {

MonotonicTime At(int64_t nanoseconds) {
  return MonotonicTime::FromNanoseconds(nanoseconds);
}

TEST(TimersTest, NothingIsEverDueWithoutTimers) {
  Timers timers;
  EXPECT_TRUE(timers.Next().IsNever());
  EXPECT_EQ(timers.TakeDue(At(1'000'000)), std::nullopt);
}

TEST(TimersTest, ATimerIsDueAtItsTimeAndNotBefore) {
  Timers timers;
  const Timer timer{.due = At(10), .kind = TimerKind::kGrace, .subject = 3};
  timers.Add(timer);
  EXPECT_EQ(timers.Next(), At(10));
  EXPECT_EQ(timers.TakeDue(At(9)), std::nullopt);
  EXPECT_EQ(timers.TakeDue(At(10)), timer);
  EXPECT_TRUE(timers.Next().IsNever());
}

TEST(TimersTest, TheEarliestComesFirst) {
  Timers timers;
  for (int64_t due : {30, 10, 20}) timers.Add({.due = At(due)});
  EXPECT_EQ(timers.TakeDue(At(100))->due, At(10));
  EXPECT_EQ(timers.TakeDue(At(100))->due, At(20));
  EXPECT_EQ(timers.TakeDue(At(100))->due, At(30));
}

TEST(TimersTest, TimersOfOneTimeAreAllKept) {
  Timers timers;
  const Timer first{.due = At(5), .kind = TimerKind::kHandshake, .subject = 1};
  const Timer second{.due = At(5), .kind = TimerKind::kJoin, .subject = 1};
  const Timer third{
      .due = At(5), .kind = TimerKind::kJoin, .subject = 1, .detail = 9};
  for (const Timer& timer : {third, first, second}) timers.Add(timer);
  EXPECT_EQ(timers.TakeDue(At(5)), first);
  EXPECT_EQ(timers.TakeDue(At(5)), second);
  EXPECT_EQ(timers.TakeDue(At(5)), third);
  EXPECT_EQ(timers.TakeDue(At(5)), std::nullopt);
}

TEST(TimersTest, ATimerAtTheEndOfTimeIsNotDueBefore) {
  Timers timers;
  timers.Add({.due = MonotonicTime::Never()});
  EXPECT_EQ(timers.TakeDue(At(1) + absl::Hours(24 * 365)), std::nullopt);
}

TEST(TimersTest, RandomTimersComeSorted) {
  SCOPED_TRACE(test::SeedNote());
  std::mt19937_64 random(test::Seed());
  Timers timers;
  std::vector<int64_t> added;
  for (uint64_t i = 0; i < 1000; ++i) {
    added.push_back(static_cast<int64_t>(random() % 500));
    timers.Add({.due = At(added.back()), .subject = i});
  }
  std::sort(added.begin(), added.end());
  for (int64_t due : added) {
    EXPECT_EQ(timers.Next(), At(due));
    EXPECT_EQ(timers.TakeDue(At(due - 1)), std::nullopt);
    ASSERT_TRUE(timers.TakeDue(At(due)).has_value());
  }
  EXPECT_TRUE(timers.Next().IsNever());
}

}  // namespace
}  // namespace ipc::broker
