// SPDX-License-Identifier: Apache-2.0
//
// What tests of core::Receiving share: a subscription, a publisher, and short
// ways to let frames come in.

#ifndef IPC_TESTS_UNIT_RECEIVING_TEST_H_
#define IPC_TESTS_UNIT_RECEIVING_TEST_H_

#include <gtest/gtest.h>

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <tuple>
#include <vector>

#include "libipc/core/receiving.h"
#include "tests/support/control_samples.h"
#include "tests/unit/frames.h"

namespace ipc::core {

inline constexpr uint64_t kAckBytes = 1000;

class ReceivingTest : public testing::Test {
 protected:
  // What an application is handed: sequence, payload, first one missing.
  using Handed = std::tuple<uint64_t, std::string, uint64_t>;
  // A decoded acknowledgement: subscription, topic id, session, sequence.
  using Ack = std::tuple<uint32_t, uint32_t, uint32_t, uint64_t>;

  ReceivingTest() {
    subscription_ = Add("a/*");
    receiving_.OnSelect(subscription_->id);
    Announce(7, 3);
  }

  Receiving::Subscription* Add(const std::string& pattern,
                               wire::Policy policy = wire::Policy::kReliable) {
    wire::Subscribe request = test::SubscribeMessage(99, pattern);
    request.policy = policy;
    return receiving_.Add(request);
  }

  // Topic id `topic` of session number `session` stands for channel 5 of the
  // publisher with this token.
  void Announce(uint32_t topic, uint32_t session, uint8_t token = 1,
                uint32_t channel = 5) {
    wire::Announce announce;
    announce.topic_id = TopicId{topic};
    announce.session_number = SessionNumber{session};
    announce.session = Key(token);
    announce.channel = ChannelNumber{channel};
    announce.topic = "a/b";
    announce.ack_bytes = kAckBytes;
    receiving_.OnAnnounce(announce);
  }
  static SessionKey Key(uint8_t token) {
    return {.token = test::SampleToken(token), .pid = 10, .uid = 20};
  }

  std::optional<Delivery> Deliver(const wire::FrameHeader& header,
                                  const std::string& payload) {
    bytes_ = test::FrameOf(header, payload);
    wire::Frame frame;
    frame.header = test::HeaderOf(bytes_);
    frame.bytes = std::as_writable_bytes(std::span(bytes_));
    return receiving_.OnDeliver(frame, now_);
  }
  // Hands over and consumes at once, as a handler does.
  std::vector<Handed> Handle(uint64_t sequence, const std::string& payload = "",
                             uint16_t fragment = 0, uint16_t last = 0) {
    std::optional<Delivery> delivery =
        Deliver({.kind = wire::FrameKind::kDeliver,
                 .target = topic_,
                 .session = session_,
                 .sequence = sequence,
                 .time = 9,
                 .fragment = fragment,
                 .last_fragment = last},
                payload);
    if (!delivery.has_value()) return {};
    EXPECT_EQ(delivery->time_ns, 9);
    const std::string handed(
        reinterpret_cast<const char*>(delivery->payload.data()),
        delivery->payload.size());
    const Handed result{delivery->sequence, handed, delivery->first_missing};
    receiving_.OnConsumed(*delivery, now_);
    return {result};
  }
  // What is told missing: first, last, why, first of a hole before it.
  using Missing = std::tuple<uint64_t, uint64_t, wire::GapReason, uint64_t>;
  static constexpr wire::GapReason kDepth = wire::GapReason::kDepth;
  std::vector<Missing> Gap(uint64_t first, uint64_t last,
                           wire::GapReason reason = kDepth) {
    const wire::Gap gap{topic_, session_, first, last, reason};
    std::optional<Missed> missed = receiving_.OnGap(wire::GapHeader(gap), now_);
    if (!missed.has_value()) return {};
    return {
        {missed->first, missed->last, missed->reason, missed->first_missing}};
  }
  static std::string Full(char c) {
    return std::string(kFramePayloadBytesMax, c);
  }

  // All that is to be acknowledged now.
  std::vector<Ack> Acks() {
    std::string control;
    receiving_.AppendAcks(&control);
    EXPECT_TRUE(receiving_.acknowledge_at().IsNever());
    std::vector<Ack> acks;
    uint32_t selected = 0;
    for (size_t at = 0; at < control.size(); at += kFrameHeaderBytes) {
      const wire::FrameHeader header =
          test::HeaderOf(std::string_view(control).substr(at));
      if (header.kind == wire::FrameKind::kSelect) {
        selected = header.target;
      } else {
        EXPECT_EQ(header.kind, wire::FrameKind::kAck);
        acks.emplace_back(selected, header.target, header.session,
                          header.sequence);
      }
    }
    return acks;
  }
  wire::Subscribe Subscribe() {
    std::string control;
    receiving_.AppendSubscribe(subscription_, &control);
    wire::Subscribe subscribe;
    EXPECT_EQ(test::HeaderOf(control).sequence, ToNumber(subscription_->id));
    EXPECT_TRUE(wire::Parse(control.substr(kFrameHeaderBytes), &subscribe));
    return subscribe;
  }

  Receiving receiving_;
  Receiving::Subscription* subscription_;
  MonotonicTime now_ = MonotonicTime::FromNanoseconds(1'000'000'000);
  uint32_t topic_ = 7;
  uint32_t session_ = 3;
  std::string bytes_;  // of the last frame
};

}  // namespace ipc::core

#endif  // IPC_TESTS_UNIT_RECEIVING_TEST_H_
