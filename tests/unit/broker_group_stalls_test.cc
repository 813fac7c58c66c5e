// SPDX-License-Identifier: Apache-2.0
//
// Members of a group that consume nothing: their share is passed on, and when
// nobody is there for it, the group is set aside and told what it misses.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "broker/core/group.h"
#include "tests/unit/broker_shell.h"
#include "tests/unit/frame_client.h"

namespace ipc::broker {
namespace {

using test::FrameClient;
using test::Got;
using test::SequencesOf;
using testing::ElementsAre;
using testing::IsEmpty;
using testing::Pair;
using wire::FrameKind;

constexpr absl::Duration kTimeout = absl::Seconds(8);

BrokerOptions Options() {
  BrokerOptions options;
  options.stall_timeout = kTimeout;
  return options;
}

class BrokerGroupStallsTest : public testing::Test {
 protected:
  BrokerGroupStallsTest()
      : shell_(Options()),
        publisher_(&shell_, 1),
        first_(&shell_, 2),
        second_(&shell_, 3) {
    for (FrameClient* client : {&publisher_, &first_, &second_}) {
      client->Greet();
    }
    shell_.Advance(kStartHold);
    publisher_.Open(1, "t");
    publisher_.Take();
    Enter(&first_);
    publisher_.Joined(publisher_.Only<wire::Join>().reader.reader);
    first_.Take();
  }

  void Enter(FrameClient* client, bool resume = false,
             std::vector<wire::Position> positions = {}) {
    wire::Subscribe subscribe = test::SubscribeMessage(7, "t");
    subscribe.group = "g";
    subscribe.resume = resume;
    subscribe.positions = std::move(positions);
    client->Send(subscribe, 7);
  }
  void EnterSecond() {
    Enter(&second_);
    second_.Take();
    publisher_.Take();
  }
  void Publish(uint64_t first, uint64_t last) {
    for (uint64_t i = first; i <= last; ++i) publisher_.Publish(1, i);
  }
  void Resend(ReaderId reader, uint64_t first, uint64_t last) {
    for (uint64_t i = first; i <= last; ++i) publisher_.Resend(1, i, reader);
    publisher_.ResendEnd(reader);
  }
  std::pair<ReaderId, uint64_t> AskedFrom() {
    const auto resend = publisher_.Only<wire::Resend>();
    if (resend.channels.size() != 1) return {};
    return {resend.reader.reader, resend.channels[0].sequence};
  }
  static std::vector<Got> DeliveredTo(FrameClient* client) {
    return client->TakeOf(FrameKind::kDeliver);
  }
  uint64_t Acknowledged() {
    shell_.Advance(kAcknowledgeDelay);
    const std::vector<uint64_t> acks =
        SequencesOf(publisher_.Take(), FrameKind::kAck);
    return acks.empty() ? 0 : acks.back();
  }
  // First and last sequence of each notice.
  static std::vector<std::pair<uint64_t, uint64_t>> Gaps(
      const std::vector<Got>& frames, wire::GapReason reason) {
    std::vector<std::pair<uint64_t, uint64_t>> gaps;
    for (const Got& frame : frames) {
      wire::Gap gap;
      if (!wire::ParseGap(frame.header, &gap)) continue;
      EXPECT_EQ(gap.reason, reason);
      gaps.emplace_back(gap.first, gap.last);
    }
    return gaps;
  }
  static std::vector<std::pair<uint64_t, uint64_t>> Stalled(
      const std::vector<Got>& frames) {
    return Gaps(frames, wire::GapReason::kStalled);
  }

  test::BrokerShell shell_;
  FrameClient publisher_;
  FrameClient first_;
  FrameClient second_;
};

TEST_F(BrokerGroupStallsTest, AMemberThatStallsPassesItsShareOn) {
  EnterSecond();
  Publish(1, 4);
  EXPECT_THAT(SequencesOf(DeliveredTo(&first_), FrameKind::kDeliver),
              ElementsAre(1, 3));
  second_.Ack(DeliveredTo(&second_).back());
  shell_.Advance(kTimeout * 2);
  auto [reader, from] = AskedFrom();
  EXPECT_EQ(from, 1u);
  Resend(reader, 1, 4);
  const std::vector<Got> passed_on = DeliveredTo(&second_);
  EXPECT_THAT(SequencesOf(passed_on, FrameKind::kDeliver), ElementsAre(1, 3));
  second_.Ack(passed_on.back());
  EXPECT_EQ(Acknowledged(), 4u);
  EXPECT_EQ(shell_.broker().state().counters.set_aside, 1u);
}

TEST_F(BrokerGroupStallsTest, ItIsGivenNothingBeforeItHasConsumedAll) {
  EnterSecond();
  Publish(1, 4);
  const std::vector<Got> held = DeliveredTo(&first_);
  second_.Ack(DeliveredTo(&second_).back());
  shell_.Advance(kTimeout * 2);
  Resend(AskedFrom().first, 1, 4);
  publisher_.Take();
  first_.Ack(held[0]);
  Publish(5, 6);
  EXPECT_THAT(DeliveredTo(&first_), IsEmpty());
  // Of copies, which mean nothing to the publisher.
  first_.Ack(held[1]);
  EXPECT_EQ(Acknowledged(), 0u);
  Publish(7, 7);
  EXPECT_THAT(SequencesOf(DeliveredTo(&first_), FrameKind::kDeliver),
              ElementsAre(7));
}

TEST_F(BrokerGroupStallsTest, WhenAllHaveStalledThePublisherGoesOn) {
  EnterSecond();
  Publish(1, 2);
  const Got held = DeliveredTo(&second_).back();
  first_.Take();
  shell_.Advance(kTimeout * 2);
  EXPECT_EQ(Acknowledged(), 2u);
  Publish(3, 9);
  EXPECT_EQ(Acknowledged(), 9u);
  // What has been given to them they have. The oldest is told the rest, when
  // one of them goes on.
  EXPECT_THAT(DeliveredTo(&first_), IsEmpty());
  second_.Ack(held);
  EXPECT_THAT(Stalled(first_.Take()), ElementsAre(Pair(3, 9)));
  Publish(10, 10);
  const std::vector<Got> next = DeliveredTo(&second_);
  EXPECT_THAT(SequencesOf(next, FrameKind::kDeliver), ElementsAre(10));
  EXPECT_EQ(Acknowledged(), 0u);
  second_.Ack(next.back());
  EXPECT_EQ(Acknowledged(), 10u);
}

TEST_F(BrokerGroupStallsTest, AMemberThatComesEndsIt) {
  Publish(1, 1);
  first_.Take();
  shell_.Advance(kTimeout * 2);
  Publish(2, 3);
  EXPECT_EQ(Acknowledged(), 3u);
  Enter(&second_);
  EXPECT_THAT(Stalled(first_.Take()), ElementsAre(Pair(2, 3)));
  Publish(4, 4);
  EXPECT_THAT(SequencesOf(DeliveredTo(&second_), FrameKind::kDeliver),
              ElementsAre(4));
}

TEST_F(BrokerGroupStallsTest, WhatNobodyTookBeforeItIsLostAndTold) {
  EnterSecond();
  Publish(1, 4);
  first_.Take();
  second_.Take();
  first_.Goodbye();
  // 1 and 3 are on their way to the second one.
  EXPECT_EQ(AskedFrom().second, 1u);
  shell_.Advance(kTimeout * 2);
  EXPECT_EQ(Acknowledged(), 4u);
  EXPECT_THAT(Stalled(second_.Take()), ElementsAre(Pair(1, 1), Pair(3, 3)));
}

TEST_F(BrokerGroupStallsTest, AMemberThatComesBackAndConsumesNothingStalls) {
  Publish(1, 1);
  first_.Take();
  first_.Lose(/*process_alive=*/true);
  first_.Connect();
  first_.Hello();
  Enter(&first_, /*resume=*/true,
        {{.session = publisher_.key(),
          .channel = ChannelNumber{1},
          .sequence = 0,
          .received = 1}});
  first_.Resumed();
  Resend(AskedFrom().first, 1, 1);
  EXPECT_THAT(DeliveredTo(&first_), IsEmpty()) << "it has it";
  EXPECT_EQ(Acknowledged(), 0u);
  shell_.Advance(kTimeout * 2);
  EXPECT_EQ(Acknowledged(), 1u);
}

TEST_F(BrokerGroupStallsTest, TheCopiesOfOneThatComesBackAreNotAskedFor) {
  EnterSecond();
  Publish(1, 2);
  first_.Take();
  second_.Take();
  shell_.Advance(kTimeout * 2);
  EXPECT_EQ(Acknowledged(), 2u);
  first_.Lose(/*process_alive=*/true);
  first_.Connect();
  first_.Hello();
  Enter(&first_, /*resume=*/true);
  first_.Resumed();
  publisher_.Take();
  Publish(3, 3);
  EXPECT_THAT(SequencesOf(DeliveredTo(&first_), FrameKind::kDeliver),
              ElementsAre(3))
      << "it lost with its connection what it had to consume first";
}

TEST_F(BrokerGroupStallsTest, OneMemberIsToldWhatIsRefused) {
  EnterSecond();
  for (uint32_t i = 0; i <= 0xffff; ++i) {
    publisher_.Send(test::FragmentOf(1, 1, static_cast<uint16_t>(i), 0xffff));
  }
  EXPECT_THAT(Gaps(first_.Take(), wire::GapReason::kRefused),
              ElementsAre(Pair(1, 1)));
  EXPECT_THAT(Gaps(second_.Take(), wire::GapReason::kRefused), IsEmpty());
  EXPECT_EQ(Acknowledged(), 1u);
}

}  // namespace
}  // namespace ipc::broker
