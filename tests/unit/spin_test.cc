// SPDX-License-Identifier: Apache-2.0
//
// When the broker waits without sleeping.

#include "broker/spin.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <optional>
#include <vector>

namespace ipc::broker {
namespace {

// A clock that goes on with each look at the events, and a poller with one
// event at a given time.
class SpinTest : public testing::Test {
 protected:
  std::vector<int> Await(absl::Duration until_event, absl::Duration deadline) {
    event_at_ = now_ + until_event;
    looks_ = sleeps_ = 0;
    return spin_->Await(
        now_ + deadline, [this](MonotonicTime until) { return Wait(until); },
        [this] { return now_; });
  }

  std::vector<int> Wait(MonotonicTime until) {
    if (until == MonotonicTime()) {
      ++looks_;
      now_ = now_ + absl::Microseconds(1);
    } else {
      ++sleeps_;
      now_ = std::max(now_, std::min(until, event_at_));
    }
    return event_at_ <= now_ ? std::vector<int>{1} : std::vector<int>();
  }

  std::optional<Spin> spin_{absl::Microseconds(50)};
  MonotonicTime now_ = MonotonicTime::FromNanoseconds(1'000'000'000);
  MonotonicTime event_at_;
  int looks_ = 0;
  int sleeps_ = 0;
};

TEST_F(SpinTest, SleepsUntilEventsComeFast) {
  EXPECT_EQ(Await(absl::Microseconds(40), absl::Seconds(1)).size(), 1u);
  EXPECT_EQ(sleeps_, 1);
  EXPECT_EQ(Await(absl::Microseconds(40), absl::Seconds(1)).size(), 1u);
  EXPECT_EQ(sleeps_, 0);
  EXPECT_GT(looks_, 1);
}

TEST_F(SpinTest, SpinsOnceInVainAndThenSleeps) {
  Await(absl::Microseconds(40), absl::Seconds(1));
  EXPECT_EQ(Await(absl::Seconds(1), absl::Seconds(2)).size(), 1u);
  EXPECT_GE(looks_, 50);
  EXPECT_LE(looks_, 51);
  EXPECT_EQ(sleeps_, 1);
  EXPECT_EQ(Await(absl::Microseconds(40), absl::Seconds(1)).size(), 1u);
  EXPECT_EQ(looks_, 0);
  EXPECT_EQ(sleeps_, 1);
}

TEST_F(SpinTest, ReturnsAtItsDeadline) {
  Await(absl::Microseconds(40), absl::Seconds(1));
  const MonotonicTime start = now_;
  EXPECT_TRUE(Await(absl::Seconds(1), absl::Microseconds(20)).empty());
  EXPECT_LE(now_ - start, absl::Microseconds(21));
  EXPECT_TRUE(Await(absl::Seconds(1), absl::Microseconds(80)).empty());
  EXPECT_EQ(looks_, 0);  // nothing came the last time
}

TEST_F(SpinTest, IsOffByZero) {
  spin_.emplace(absl::ZeroDuration());
  for (int i = 0; i < 3; ++i) {
    EXPECT_EQ(Await(absl::Microseconds(1), absl::Seconds(1)).size(), 1u);
    EXPECT_EQ(looks_, 0);
    EXPECT_EQ(sleeps_, 1);
  }
}

}  // namespace
}  // namespace ipc::broker
