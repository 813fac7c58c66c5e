// SPDX-License-Identifier: Apache-2.0
//
// A member of a group takes what comes, in whatever order, and acknowledges in
// that order, also what it has of an earlier connection.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
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

class ReceivingGroupTest : public testing::Test {
 protected:
  ReceivingGroupTest() {
    wire::Subscribe request = test::SubscribeMessage(99, "t");
    request.group = "g";
    subscription_ = receiving_.Add(request);
    subscription_->confirmed = true;
    receiving_.OnSelect(subscription_->id);
    Announce(7);
  }

  void Announce(uint32_t topic) {
    wire::Announce announce;
    announce.topic_id = TopicId{topic};
    announce.session_number = SessionNumber{3};
    announce.session = {.token = test::SampleToken(1), .pid = 10, .uid = 20};
    announce.channel = ChannelNumber{5};
    announce.topic = "t";
    announce.ack_bytes = 1 << 20;
    receiving_.OnAnnounce(announce);
  }
  std::optional<Delivery> Deliver(uint64_t sequence, uint32_t topic = 7) {
    bytes_ = test::FrameOf({.kind = FrameKind::kDeliver,
                            .target = topic,
                            .session = 3,
                            .sequence = sequence});
    wire::Frame frame;
    frame.header = test::HeaderOf(bytes_);
    frame.bytes = std::as_writable_bytes(std::span(bytes_));
    return receiving_.OnDeliver(frame, now_);
  }
  void Consume(uint64_t sequence) {
    receiving_.OnConsumed(subscription_, stream_, sequence, 0, now_);
  }
  std::vector<uint64_t> Acks() {
    std::string control;
    receiving_.AppendAcks(&control);
    std::vector<uint64_t> acks;
    for (size_t at = 0; at < control.size();) {
      const wire::FrameHeader header =
          test::HeaderOf(std::string_view(control).substr(at));
      if (header.kind == FrameKind::kAck) acks.push_back(header.sequence);
      at += header.size;
    }
    return acks;
  }
  wire::Subscribe Again() {
    std::string control;
    receiving_.AppendSubscribe(subscription_, &control);
    wire::Subscribe subscribe;
    EXPECT_TRUE(wire::Parse(std::string_view(control).substr(kFrameHeaderBytes),
                            &subscribe));
    return subscribe;
  }

  Receiving receiving_;
  Receiving::Subscription* subscription_ = nullptr;
  std::shared_ptr<Stream> stream_;
  MonotonicTime now_ = MonotonicTime::FromNanoseconds(1000);
  std::string bytes_;
};

TEST_F(ReceivingGroupTest, HolesAndWhatIsPassedOnAreTakenAsTheyCome) {
  for (uint64_t sequence : {4u, 9u, 2u, 3u, 12u}) {
    std::optional<Delivery> delivery = Deliver(sequence);
    ASSERT_TRUE(delivery.has_value()) << sequence;
    EXPECT_EQ(delivery->first_missing, 0u);
    receiving_.OnConsumed(*delivery, now_);
  }
  EXPECT_THAT(Acks(), ElementsAre(12));
}

TEST_F(ReceivingGroupTest, AcknowledgementsFollowTheOrderOfArrival) {
  for (uint64_t sequence : {9u, 2u, 3u}) ASSERT_TRUE(Deliver(sequence));
  stream_ = receiving_.last_stream();
  Consume(9);
  EXPECT_THAT(Acks(), ElementsAre(9));
  Consume(2);
  EXPECT_THAT(Acks(), ElementsAre(2));
}

TEST_F(ReceivingGroupTest, WhatItsGroupLosesChangesNoPosition) {
  ASSERT_TRUE(Deliver(9));
  stream_ = receiving_.last_stream();
  wire::FrameHeader gap =
      wire::GapHeader({.topic = 7,
                       .session = 3,
                       .first = 2,
                       .last = 30,
                       .reason = wire::GapReason::kStalled});
  const std::optional<Missed> missed = receiving_.OnGap(gap, now_);
  ASSERT_TRUE(missed.has_value());
  EXPECT_EQ(missed->first, 2u);
  EXPECT_EQ(missed->last, 30u);
  EXPECT_EQ(missed->first_missing, 0u);
  EXPECT_THAT(Acks(), IsEmpty());
  Consume(9);
  EXPECT_THAT(Acks(), ElementsAre(9));
}

TEST_F(ReceivingGroupTest, ItSaysHowFarItHasReceivedAndConsumed) {
  for (uint64_t sequence : {9u, 2u, 3u}) ASSERT_TRUE(Deliver(sequence));
  stream_ = receiving_.last_stream();
  Consume(9);
  receiving_.OnDisconnected();
  const wire::Subscribe again = Again();
  EXPECT_EQ(again.group, "g");
  ASSERT_EQ(again.positions.size(), 1u);
  EXPECT_EQ(again.positions[0].sequence, 9u);
  EXPECT_EQ(again.positions[0].received, 3u);
}

TEST_F(ReceivingGroupTest, WhatItHasOfAnEarlierConnectionIsAcknowledged) {
  ASSERT_TRUE(Deliver(9));
  ASSERT_TRUE(Deliver(2));
  stream_ = receiving_.last_stream();
  receiving_.OnDisconnected();
  Consume(9);
  EXPECT_THAT(Acks(), IsEmpty());  // there are no numbers for it
  Announce(8);
  EXPECT_THAT(Acks(), ElementsAre(9));
  Consume(2);
  EXPECT_THAT(Acks(), ElementsAre(2));
}

TEST_F(ReceivingGroupTest, WhatAnotherBrokerGivesOutAgainIsNotAcknowledged) {
  ASSERT_TRUE(Deliver(9));
  stream_ = receiving_.last_stream();
  receiving_.OnDisconnected();
  receiving_.OnNewSession();
  EXPECT_THAT(Again().positions, IsEmpty());
  receiving_.OnSelect(subscription_->id);
  Announce(8);
  ASSERT_TRUE(Deliver(9, 8));
  Consume(9);  // the old one
  EXPECT_THAT(Acks(), IsEmpty());
}

}  // namespace
}  // namespace ipc::core
