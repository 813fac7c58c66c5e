// SPDX-License-Identifier: Apache-2.0
//
// Descriptors in the broker's core, which never looks at them: who holds them,
// how many, and how long.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <memory>
#include <vector>

#include "libipc/base/limits.h"
#include "tests/unit/broker_shell.h"
#include "tests/unit/frame_client.h"

namespace ipc::broker {
namespace {

using test::FrameClient;
using wire::FrameKind;

class BrokerDescriptorsTest : public testing::Test {
 protected:
  static constexpr size_t kEach = kDescriptorsPerMessageMax;
  static constexpr size_t kFit = kDescriptorsPerQueueMax / kEach;

  BrokerDescriptorsTest() : writer_(&shell_, 1), reader_(&shell_, 2) {
    writer_.Greet();
    reader_.Greet();
    writer_.Open(1, "t");
  }
  // Descriptors that came for the next frame of the writer.
  void Pass() {
    auto passed = std::make_shared<std::vector<int>>(kEach);
    shell_.broker().OnDescriptors(writer_.id(), passed);
    passed_.push_back(passed);
  }
  // Publications 1 to `count`, each with all descriptors that it may have.
  void Publish(uint64_t count) {
    for (uint64_t sequence = 1; sequence <= count; ++sequence) {
      Pass();
      writer_.Send(test::FrameOf({.kind = FrameKind::kPublish,
                                  .descriptors = kEach,
                                  .target = 1,
                                  .sequence = sequence}));
    }
  }
  void SubscribeDeaf(bool drop_newest) {
    wire::Subscribe subscribe = test::SubscribeMessage(1, "t");
    subscribe.policy = wire::Policy::kBestEffort;
    subscribe.depth = 1000;
    subscribe.bytes = 1 << 20;
    subscribe.drop_newest = drop_newest;
    reader_.Send(subscribe, 1);
    reader_.Take();
    reader_.SetRoom(0);
  }
  size_t Held() const {
    size_t held = 0;
    for (const auto& passed : passed_) {
      if (!passed.expired()) held += kEach;
    }
    return held;
  }
  // Sequences of what the reader gets when it reads.
  std::vector<uint64_t> Received() {
    reader_.SetRoom(test::BrokerShell::kEndless);
    std::vector<uint64_t> received;
    for (const test::Got& got : reader_.TakeOf(FrameKind::kDeliver)) {
      received.push_back(got.header.sequence);
    }
    return received;
  }

  test::BrokerShell shell_;
  FrameClient writer_;
  FrameClient reader_;
  std::vector<std::weak_ptr<std::vector<int>>> passed_;
};

TEST_F(BrokerDescriptorsTest, ABoundedQueueHolds64) {
  SubscribeDeaf(/*drop_newest=*/false);
  Publish(kFit);
  EXPECT_EQ(Held(), kDescriptorsPerQueueMax);
  EXPECT_EQ(Received(), std::vector<uint64_t>({1, 2, 3, 4}));
  EXPECT_EQ(Held(), 0u);
}

TEST_F(BrokerDescriptorsTest, OneMoreTakesThePlaceOfTheOldest) {
  SubscribeDeaf(/*drop_newest=*/false);
  Publish(kFit + 1);
  EXPECT_EQ(Held(), kDescriptorsPerQueueMax);
  EXPECT_EQ(Received(), std::vector<uint64_t>({2, 3, 4, 5}));
  EXPECT_EQ(Held(), 0u);
}

TEST_F(BrokerDescriptorsTest, OneMoreIsDroppedWhereTheNewestAre) {
  SubscribeDeaf(/*drop_newest=*/true);
  Publish(kFit + 1);
  EXPECT_EQ(Held(), kDescriptorsPerQueueMax);
  EXPECT_EQ(Received(), std::vector<uint64_t>({1, 2, 3, 4}));
  EXPECT_EQ(Held(), 0u);
}

// Those of a frame that is not there in full are the connection's.
TEST_F(BrokerDescriptorsTest, AConnectionThatEndsLetsGoOfThem) {
  Pass();
  const std::string frame = test::FrameOf({.kind = FrameKind::kPublish,
                                           .descriptors = kEach,
                                           .target = 1,
                                           .sequence = 1});
  writer_.Send(std::string_view(frame).substr(0, 20));
  EXPECT_EQ(Held(), kEach);
  writer_.Lose();
  EXPECT_EQ(Held(), 0u);
}

// And none is kept when it has ended by what they came with.
TEST_F(BrokerDescriptorsTest, ThoseOfNoFrameEndTheConnectionAndAreNotKept) {
  Pass();
  writer_.Send({.kind = FrameKind::kPing, .sequence = 1});
  EXPECT_FALSE(writer_.is_open());
  ASSERT_NE(writer_.end(), nullptr);
  EXPECT_EQ(writer_.end()->reason, wire::CloseReason::kMalformed);
  EXPECT_EQ(Held(), 0u);
}

}  // namespace
}  // namespace ipc::broker
