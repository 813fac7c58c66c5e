// SPDX-License-Identifier: Apache-2.0
//
// What clients that do nothing leave behind in the broker's core: no timers,
// however many come at once. What they cost in bytes is measured with the real
// broker (many_clients_test.cc).

#include <gtest/gtest.h>

#include <memory>
#include <vector>

#include "libipc/base/limits.h"
#include "tests/unit/broker_shell.h"
#include "tests/unit/frame_client.h"

namespace ipc::broker {
namespace {

using test::FrameClient;

constexpr absl::Duration kStep = absl::Milliseconds(100);

class BrokerIdleTest : public testing::Test {
 protected:
  // Not in the first moments, in which a broker awaits others.
  void SetUp() override { shell_.Advance(kStartHold); }

  FrameClient* Connect() {
    clients_.push_back(std::make_unique<FrameClient>(
        &shell_, static_cast<uint8_t>(clients_.size() + 1)));
    return clients_.back().get();
  }
  MonotonicTime NextDeadline() { return shell_.broker().NextDeadline(); }

  test::BrokerShell shell_;
  std::vector<std::unique_ptr<FrameClient>> clients_;
};

TEST_F(BrokerIdleTest, OneTimerServesAllThatSayHello) {
  const MonotonicTime first = shell_.now() + kHandshakeTimeout;
  for (int i = 0; i < 20; ++i) {
    Connect()->Greet();
    shell_.Advance(kStep);
    EXPECT_EQ(NextDeadline(), first);
  }
  shell_.Advance(first - shell_.now());
  EXPECT_TRUE(NextDeadline().IsNever());
}

TEST_F(BrokerIdleTest, EachHasItsOwnTimeToSayHello) {
  std::vector<FrameClient*> silent;
  for (int i = 0; i < 5; ++i) {
    Connect()->Greet();
    silent.push_back(Connect());
    Connect()->Lose();
    shell_.Advance(kStep);
  }
  shell_.Advance(kHandshakeTimeout - 5 * kStep - absl::Nanoseconds(1));
  for (size_t i = 0; i < silent.size(); ++i) {
    EXPECT_TRUE(silent[i]->is_open()) << i;
    shell_.Advance(absl::Nanoseconds(1));
    ASSERT_FALSE(silent[i]->is_open()) << i;
    EXPECT_EQ(silent[i]->end()->reason, wire::CloseReason::kHandshakeTimeout);
    shell_.Advance(kStep - absl::Nanoseconds(1));
  }
  EXPECT_TRUE(NextDeadline().IsNever());
}

TEST_F(BrokerIdleTest, ASubscriptionThatIsConfirmedAtOnceLeavesNoTimer) {
  FrameClient* reader = &Connect()->Greet();
  shell_.Advance(kHandshakeTimeout);
  reader->Subscribe(1, "t");
  EXPECT_EQ(reader->Only<wire::Result>().code, absl::StatusCode::kOk);
  EXPECT_TRUE(NextDeadline().IsNever());
}

// Its publisher is asked first, and may not answer.
TEST_F(BrokerIdleTest, ASubscriptionThatWaitsForAPublisherHasOne) {
  Connect()->Greet().Open(1, "t");
  FrameClient* reader = &Connect()->Greet();
  shell_.Advance(kHandshakeTimeout);
  reader->Subscribe(1, "t");
  EXPECT_TRUE(reader->TakeOf(wire::FrameKind::kResult).empty());
  EXPECT_EQ(NextDeadline(), shell_.now() + kJoinTimeout);
  shell_.Advance(kJoinTimeout);
  EXPECT_EQ(reader->Only<wire::Result>().code, absl::StatusCode::kOk);
}

}  // namespace
}  // namespace ipc::broker
