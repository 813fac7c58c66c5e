// SPDX-License-Identifier: Apache-2.0
//
// Acknowledgement by hand, in the core: in any order, the consumed position
// is what is acknowledged without a hole before it.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdint>
#include <string>
#include <vector>

#include "libipc/core/receiving.h"
#include "tests/support/control_samples.h"
#include "tests/unit/frames.h"

namespace ipc::core {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;
using wire::FrameKind;

class ManualAcknowledgeTest : public testing::Test {
 protected:
  ManualAcknowledgeTest() {
    subscription_ = receiving_.Add(test::SubscribeMessage(99, "a/*"));
    Connect();
  }

  void Connect() {
    receiving_.OnSelect(subscription_->id);
    wire::Announce announce;
    announce.topic_id = TopicId{7};
    announce.session_number = SessionNumber{3};
    announce.session = {.token = test::SampleToken(1), .pid = 10, .uid = 20};
    announce.channel = ChannelNumber{5};
    announce.topic = "a/b";
    announce.ack_bytes = 1000;
    receiving_.OnAnnounce(announce);
  }
  // Whether the message is handed over.
  bool Deliver(uint64_t sequence, const std::string& payload = "x") {
    std::string bytes = test::FrameOf({.kind = FrameKind::kDeliver,
                                       .target = 7,
                                       .session = 3,
                                       .sequence = sequence},
                                      payload);
    wire::Frame frame;
    frame.header = test::HeaderOf(bytes);
    frame.bytes = std::as_writable_bytes(std::span(bytes));
    std::optional<Delivery> delivery = receiving_.OnDeliver(frame, now_);
    if (!delivery.has_value()) return false;
    receiving_.OnHandedOver(*delivery);
    stream_ = receiving_.last_stream();
    return true;
  }
  void Acknowledge(uint64_t sequence) {
    receiving_.OnAcknowledged(subscription_, stream_, sequence, now_);
  }
  std::vector<uint64_t> Acks() {
    std::string control;
    receiving_.AppendAcks(&control);
    std::vector<uint64_t> acks;
    for (size_t at = 0; at < control.size(); at += kFrameHeaderBytes) {
      const auto header = test::HeaderOf(std::string_view(control).substr(at));
      if (header.kind == FrameKind::kAck) acks.push_back(header.sequence);
    }
    return acks;
  }
  uint64_t ToldPosition() {
    std::string control;
    receiving_.AppendSubscribe(subscription_, &control);
    wire::Subscribe subscribe;
    EXPECT_TRUE(wire::Parse(control.substr(kFrameHeaderBytes), &subscribe));
    return subscribe.positions.at(0).sequence;
  }

  Receiving receiving_;
  Receiving::Subscription* subscription_ = nullptr;
  std::shared_ptr<Stream> stream_;
  MonotonicTime now_ = MonotonicTime::FromNanoseconds(1'000'000'000);
};

TEST_F(ManualAcknowledgeTest, NothingIsConsumedByBeingHandedOver) {
  for (uint64_t sequence : {1, 2, 3}) EXPECT_TRUE(Deliver(sequence));
  EXPECT_TRUE(receiving_.acknowledge_at().IsNever());
  EXPECT_THAT(Acks(), IsEmpty());
  EXPECT_EQ(stream_->consumed, 0u);
}

TEST_F(ManualAcknowledgeTest, InAnyOrderItIsConsumedUpToTheFirstHole) {
  for (uint64_t sequence : {1, 2, 3, 4}) Deliver(sequence);
  Acknowledge(2);
  Acknowledge(4);
  EXPECT_THAT(Acks(), IsEmpty());
  Acknowledge(1);
  EXPECT_THAT(Acks(), ElementsAre(2));
  Acknowledge(3);
  EXPECT_THAT(Acks(), ElementsAre(4));
  EXPECT_TRUE(stream_->handed_over.empty());
}

TEST_F(ManualAcknowledgeTest, ASecondTimeDoesNothing) {
  for (uint64_t sequence : {1, 2}) Deliver(sequence);
  Acknowledge(1);
  EXPECT_THAT(Acks(), ElementsAre(1));
  Acknowledge(1);
  Acknowledge(1);
  EXPECT_THAT(Acks(), IsEmpty());
  Acknowledge(2);
  EXPECT_THAT(Acks(), ElementsAre(2));
}

TEST_F(ManualAcknowledgeTest, WhatNobodyWasHandedIsNoHole) {
  Deliver(5);
  Deliver(8);  // 6 and 7 are missing
  Acknowledge(8);
  Acknowledge(6);
  EXPECT_THAT(Acks(), IsEmpty());
  Acknowledge(5);
  EXPECT_THAT(Acks(), ElementsAre(8));
}

TEST_F(ManualAcknowledgeTest, MuchIsAcknowledgedAtOnce) {
  for (uint64_t sequence : {1, 2}) Deliver(sequence, std::string(600, 'x'));
  Acknowledge(2);
  EXPECT_TRUE(receiving_.acknowledge_at().IsNever());
  Acknowledge(1);
  EXPECT_EQ(receiving_.acknowledge_at(), now_);
}

TEST_F(ManualAcknowledgeTest, WhatWasHandedOverIsNotHandedOverByTheNextBroker) {
  for (uint64_t sequence : {1, 2, 3}) Deliver(sequence);
  Acknowledge(1);
  Acknowledge(3);
  receiving_.OnDisconnected();
  EXPECT_EQ(ToldPosition(), 1u);
  Connect();
  EXPECT_FALSE(Deliver(2));
  EXPECT_FALSE(Deliver(3));
  EXPECT_THAT(Acks(), ElementsAre(1));
  Acknowledge(2);
  EXPECT_THAT(Acks(), ElementsAre(3));
}

TEST_F(ManualAcknowledgeTest, WhatIsAcknowledgedMeanwhileIsTold) {
  for (uint64_t sequence : {1, 2, 3}) Deliver(sequence);
  receiving_.OnDisconnected();
  Acknowledge(1);
  Acknowledge(2);
  EXPECT_EQ(ToldPosition(), 2u);
  Connect();
  // Not acknowledged before the numbers of this connection are known.
  Acknowledge(3);
  EXPECT_THAT(Acks(), IsEmpty());
  EXPECT_FALSE(Deliver(3));
  EXPECT_THAT(Acks(), ElementsAre(3));
}

TEST_F(ManualAcknowledgeTest, AfterItsPublisherIsGoneItMeansNothing) {
  Deliver(1);
  receiving_.OnGone(SessionNumber{3});
  Acknowledge(1);
  EXPECT_THAT(Acks(), IsEmpty());
}

}  // namespace
}  // namespace ipc::core
