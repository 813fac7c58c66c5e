// SPDX-License-Identifier: Apache-2.0
//
// The clock of a burst follows the clock.

#include "libipc/net/system.h"

#include <gtest/gtest.h>

namespace ipc::net {
namespace {

TEST(BurstClockTest, IsNeverAheadOfTheClockAndNeverGoesBack) {
  BurstClock clock;
  MonotonicTime last = clock.Now();
  for (int i = 0; i < 100'000; ++i) {
    const MonotonicTime now = clock.Now();
    ASSERT_LE(last, now);
    ASSERT_LE(now, Now());
    last = now;
  }
}

TEST(BurstClockTest, GoesOnAfterAPause) {
  BurstClock clock;
  const MonotonicTime begin = clock.Now();
  // 2000 ticks of the slowest counter there is.
  while (Now() < begin + absl::Milliseconds(2)) {
  }
  EXPECT_GE(clock.Now(), begin + absl::Milliseconds(2));
}

}  // namespace
}  // namespace ipc::net
