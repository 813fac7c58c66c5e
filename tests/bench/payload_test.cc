// SPDX-License-Identifier: Apache-2.0

#include "tests/bench/payload.h"

#include <gtest/gtest.h>

#include <cstddef>

namespace ipc::bench {
namespace {

TEST(SequenceCheckTest, EachPublisherCountsForItself) {
  SequenceCheck check(8, /*gaps_allowed=*/false);
  for (uint64_t sequence : {MakeSequence(0, 0), MakeSequence(7, 0),
                            MakeSequence(7, 1), MakeSequence(0, 1)}) {
    check.OnSequence(sequence);
  }
  EXPECT_TRUE(check.Finish().ok());
  EXPECT_EQ(check.received(), 4u);
  EXPECT_EQ(check.last_publisher(), 0u);
  EXPECT_EQ(check.received_of(7), 2u);
}

TEST(SequenceCheckTest, AMissingMessageIsDataLoss) {
  SequenceCheck check(8, /*gaps_allowed=*/false);
  check.OnSequence(MakeSequence(1, 0));
  check.OnSequence(MakeSequence(1, 2));
  EXPECT_FALSE(check.faultless());
  EXPECT_EQ(check.Finish().code(), absl::StatusCode::kDataLoss);
}

TEST(SequenceCheckTest, ARepeatedMessageIsDataLossEvenWithGapsAllowed) {
  SequenceCheck check(8, /*gaps_allowed=*/true);
  check.OnSequence(0);
  check.OnSequence(2);
  EXPECT_TRUE(check.Finish().ok());
  check.OnSequence(2);
  EXPECT_EQ(check.Finish().code(), absl::StatusCode::kDataLoss);
}

TEST(SequenceCheckTest, ATruncatedPayloadIsDataLoss) {
  SequenceCheck check(16, /*gaps_allowed=*/false);
  const std::byte payload[8] = {};
  check.OnPayload(payload);
  EXPECT_EQ(check.received(), 0u);
  EXPECT_EQ(check.Finish().code(), absl::StatusCode::kDataLoss);
}

}  // namespace
}  // namespace ipc::bench
