// SPDX-License-Identifier: Apache-2.0
//
// The judge of the chaos test sees what it is there to see.

#include "tests/integration/chaos_check.h"

#include <map>
#include <string>
#include <vector>

#include "absl/strings/str_join.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/support/temp_dir.h"

namespace ipc::test {
namespace {

using testing::HasSubstr;

constexpr uint32_t kPublisher = 7;

// A publisher that has accepted 9 messages on topic 0 and 1 on topic 1.
class ChaosCheckTest : public testing::Test {
 protected:
  ChaosCheckTest() {
    for (int i = 0; i < 9; ++i) Publish(0);
    Publish(1);
    Receive(1, 1, 1);
  }
  void Publish(uint32_t topic) {
    publisher_.Begin(topic);
    publisher_.Accept(topic);
  }
  void Receive(uint32_t topic, uint64_t first, uint64_t last) {
    for (uint64_t i = first; i <= last; ++i) {
      subscriber_.OnMessage(kPublisher, topic, i);
    }
  }
  std::string Check() {
    life_.name = "it";
    life_.book = &subscriber_;
    return absl::StrJoin(
        CheckChaos({{kPublisher, {&publisher_, lived_}}}, life_, &count_),
        "\n");
  }

  TempDir folder_;
  ChaosBook publisher_{folder_.File("publisher")};
  ChaosBook subscriber_{folder_.File("subscriber")};
  SubscriberLife life_;
  bool lived_ = true;
  ChaosCount count_;
};

TEST_F(ChaosCheckTest, ConsecutiveMessagesAreOneEntryAndRight) {
  Receive(0, 1, 9);
  EXPECT_EQ(subscriber_.entries().size(), 2u);
  EXPECT_EQ(Check(), "");
  EXPECT_EQ(count_.messages, 10u);
}

TEST_F(ChaosCheckTest, AHoleIsSeen) {
  Receive(0, 1, 3);
  Receive(0, 5, 9);
  EXPECT_THAT(Check(), HasSubstr("7/0: 4 to 4 missing"));
}

TEST_F(ChaosCheckTest, AMessageThatComesTwiceIsSeen) {
  Receive(0, 1, 5);
  Receive(0, 5, 9);
  EXPECT_THAT(Check(), HasSubstr("7/0: 5 to 9 again, behind 5"));
}

TEST_F(ChaosCheckTest, AnOrderOverTopicsThatIsNotKeptIsSeen) {
  Receive(0, 1, 9);
  subscriber_.OnNumber(kPublisher, 2);
  subscriber_.OnNumber(kPublisher, 1);
  EXPECT_THAT(Check(), HasSubstr("its message 1 behind 2"));
}

TEST_F(ChaosCheckTest, AnEndThatIsMissingIsSeenIfBothHaveLived) {
  Receive(0, 1, 8);
  EXPECT_THAT(Check(), HasSubstr("ends with 8 of 9"));
  lived_ = false;
  EXPECT_EQ(Check(), "");
  lived_ = true;
  life_.lived = false;
  EXPECT_EQ(Check(), "");
}

TEST_F(ChaosCheckTest, ABeginningThatIsMissingIsSeenOnceItIsConfirmed) {
  Receive(0, 4, 9);
  EXPECT_EQ(Check(), "");
  life_.confirmed = {{kPublisher, {3, 0}}};
  EXPECT_EQ(Check(), "");
  life_.confirmed = {{kPublisher, {2, 0}}};
  EXPECT_THAT(Check(), HasSubstr("begins with 4, confirmed at 2"));
}

TEST_F(ChaosCheckTest, AGapHasToNameWhatIsMissingToTheMessage) {
  life_.reliable = false;
  Receive(0, 1, 3);
  subscriber_.OnGap(kPublisher, 0, 4, 5);
  Receive(0, 6, 6);
  EXPECT_THAT(Check(), HasSubstr("ends with 6 of 9"));
  subscriber_.OnGap(kPublisher, 0, 7, 7);
  Receive(0, 9, 9);
  EXPECT_THAT(Check(), HasSubstr("8 to 8 missing, and no gap told"));
}

TEST_F(ChaosCheckTest, AGapOfWhatHasComeIsSeen) {
  life_.reliable = false;
  Receive(0, 1, 5);
  subscriber_.OnGap(kPublisher, 0, 5, 6);
  Receive(0, 7, 9);
  EXPECT_THAT(Check(), HasSubstr("5 to 6 again, behind 5"));
}

TEST_F(ChaosCheckTest, AReliableOneHasNoGaps) {
  Receive(0, 1, 3);
  subscriber_.OnGap(kPublisher, 0, 4, 4);
  Receive(0, 5, 9);
  EXPECT_THAT(Check(), HasSubstr("a reliable one is told a gap"));
}

TEST_F(ChaosCheckTest, WhatWasNeverPublishedIsSeen) {
  Receive(0, 1, 10);
  EXPECT_THAT(Check(), HasSubstr("10 was never published"));
}

}  // namespace
}  // namespace ipc::test
