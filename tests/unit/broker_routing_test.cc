// SPDX-License-Identifier: Apache-2.0
//
// From PUBLISH to DELIVER: who gets what, behind which ANNOUNCE, with which
// bytes, in how many segments, and what best effort drops.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdint>
#include <numeric>
#include <set>
#include <string>
#include <vector>

#include "tests/unit/broker_shell.h"
#include "tests/unit/frame_client.h"

namespace ipc::broker {
namespace {

using test::FragmentOf;
using test::FrameClient;
using test::Got;
using test::KindsOf;
using test::PublishOf;
using test::SequencesOf;
using testing::ElementsAre;
using testing::IsEmpty;
using wire::FrameKind;

class BrokerRoutingTest : public testing::Test {
 protected:
  BrokerRoutingTest()
      : publisher_(&shell_, 1), reader_(&shell_, 2), other_(&shell_, 3) {
    publisher_.Greet();
    reader_.Greet();
    other_.Greet();
  }

  // A reliable subscription whose publishers are all `publisher_`.
  void Read(FrameClient* reader, uint32_t id, std::string_view pattern) {
    reader->Subscribe(id, pattern);
    for (const Got& join : publisher_.TakeOf(FrameKind::kJoin)) {
      publisher_.Joined(join.As<wire::Join>().reader.reader);
    }
  }
  std::vector<uint64_t> Delivered(FrameClient* reader) {
    return SequencesOf(reader->Take(), FrameKind::kDeliver);
  }

  test::BrokerShell shell_;
  FrameClient publisher_;
  FrameClient reader_;
  FrameClient other_;
};

// -- Who gets what --

TEST_F(BrokerRoutingTest, EveryMatchingSubscriptionGetsTheMessage) {
  publisher_.Open(1, "a/b");
  Read(&reader_, 1, "a/b");
  Read(&reader_, 2, "a/*");
  Read(&reader_, 3, "a");
  Read(&other_, 1, "**");
  reader_.Take();
  publisher_.Publish(1, 1, "x");
  std::vector<uint32_t> subscriptions;
  for (const Got& frame : reader_.TakeOf(FrameKind::kDeliver)) {
    subscriptions.push_back(ToNumber(frame.subscription));
    EXPECT_EQ(frame.payload(), "x");
  }
  EXPECT_THAT(subscriptions, ElementsAre(1, 2));
  EXPECT_THAT(Delivered(&other_), ElementsAre(1));
  EXPECT_THAT(publisher_.TakeOf(FrameKind::kDeliver), IsEmpty());
}

TEST_F(BrokerRoutingTest, AClientMayReadWhatItPublishes) {
  publisher_.Open(1, "t");
  Read(&publisher_, 1, "t");
  publisher_.Publish(1, 1);
  EXPECT_THAT(Delivered(&publisher_), ElementsAre(1));
}

TEST_F(BrokerRoutingTest, AChannelReachesSubscriptionsMadeBeforeIt) {
  Read(&reader_, 1, "t");
  publisher_.Open(1, "t");
  publisher_.Publish(1, 1);
  EXPECT_THAT(Delivered(&reader_), ElementsAre(1));
}

TEST_F(BrokerRoutingTest, OrderHoldsOverTheTopicsOfAPublisher) {
  publisher_.Open(1, "a");
  publisher_.Open(2, "b");
  Read(&reader_, 1, "*");
  reader_.Take();
  publisher_.Send(PublishOf(1, 1) + PublishOf(2, 1) + PublishOf(2, 2) +
                  PublishOf(1, 2));
  std::vector<std::pair<uint32_t, uint64_t>> order;
  for (const Got& frame : reader_.TakeOf(FrameKind::kDeliver)) {
    order.emplace_back(frame.header.target, frame.header.sequence);
  }
  ASSERT_EQ(order.size(), 4u);
  const uint32_t a = order[0].first;
  const uint32_t b = order[1].first;
  EXPECT_NE(a, b);
  EXPECT_THAT(order, ElementsAre(std::pair(a, 1u), std::pair(b, 1u),
                                 std::pair(b, 2u), std::pair(a, 2u)));
}

// -- ANNOUNCE --

TEST_F(BrokerRoutingTest, AnnounceComesBeforeTheFirstDeliver) {
  wire::Open open = test::OpenMessage(4, "a/b");
  open.type_name = "acme.B";
  open.schema_hash = std::string(32, 'h');
  publisher_.Send(open, 1);
  Read(&reader_, 1, "a/*");
  publisher_.Publish(4, 1);
  const std::vector<Got> frames = reader_.Take();
  ASSERT_THAT(KindsOf(frames),
              ElementsAre("RESULT", "ANNOUNCE", "SELECT", "DELIVER"));
  const auto announce = frames[1].As<wire::Announce>();
  EXPECT_EQ(ToNumber(announce.topic_id), frames[3].header.target);
  EXPECT_EQ(ToNumber(announce.session_number), frames[3].header.session);
  EXPECT_EQ(announce.topic, "a/b");
  EXPECT_EQ(announce.type_name, "acme.B");
  EXPECT_EQ(announce.schema_hash, open.schema_hash);
  EXPECT_EQ(announce.session, publisher_.key());
  EXPECT_EQ(announce.session_number, publisher_.number());
  EXPECT_EQ(announce.name, publisher_.name());
  EXPECT_EQ(announce.gid, publisher_.peer().gid);
  EXPECT_EQ(announce.channel, ChannelNumber{4});
  EXPECT_EQ(announce.ack_bytes, (1u << 20) / kAcknowledgeShareOfWindow);
}

TEST_F(BrokerRoutingTest, AnnounceComesFirstThoughDataWaits) {
  publisher_.Open(1, "a");
  Read(&reader_, 1, "**");
  reader_.Take();
  reader_.SetRoom(0);
  publisher_.Publish(1, 1);
  publisher_.Open(2, "b");
  publisher_.Publish(2, 1);
  reader_.SetRoom(test::BrokerShell::kEndless);
  EXPECT_THAT(KindsOf(reader_.Take()),
              ElementsAre("ANNOUNCE", "SELECT", "DELIVER", "DELIVER"));
}

TEST_F(BrokerRoutingTest, WindowsAreClampedBeforeTheirShareIsAnnounced) {
  const std::vector<std::pair<uint64_t, uint64_t>> windows = {
      {0, kWindowBytesMin},
      {kWindowBytesMin, kWindowBytesMin},
      {kWindowBytesMax, kWindowBytesMax},
      {~uint64_t{0}, kWindowBytesMax}};
  Read(&reader_, 1, "t");
  reader_.Take();
  for (const auto& [told, taken] : windows) {
    FrameClient client(&shell_, 9);
    wire::Hello hello = client.HelloMessage();
    hello.window_bytes = told;
    client.Send(hello, 0);
    client.Resumed();
    client.Open(1, "t");
    EXPECT_EQ(reader_.Only<wire::Announce>().ack_bytes,
              taken / kAcknowledgeShareOfWindow);
    client.Goodbye();
    reader_.Take();
  }
}

// -- Bytes --

TEST_F(BrokerRoutingTest, DeliverIsPublishButForKindTargetAndSession) {
  publisher_.Open(5, "t");
  Read(&reader_, 1, "t");
  reader_.Take();
  const std::string published = test::FrameOf({.kind = FrameKind::kPublish,
                                               .target = 5,
                                               .session = 0xabcd,
                                               .sequence = 1,
                                               .time = -77,
                                               .extension = 4},
                                              "extra and a payload");
  publisher_.Send(published);
  const Got deliver = reader_.OnlyFrame(FrameKind::kDeliver);
  EXPECT_EQ(deliver.header.session, ToNumber(publisher_.number()));
  wire::FrameHeader header = deliver.header;
  header.kind = FrameKind::kPublish;
  header.target = 5;
  header.session = 0xabcd;
  EXPECT_EQ(header, test::HeaderOf(published));
  EXPECT_EQ(deliver.bytes.substr(kFrameHeaderBytes),
            published.substr(kFrameHeaderBytes));
}

TEST_F(BrokerRoutingTest, TakesAStreamThatComesByteByByte) {
  publisher_.Open(1, "t");
  Read(&reader_, 1, "t");
  reader_.Take();
  const std::string stream =
      PublishOf(1, 1, "one") + PublishOf(1, 2) + PublishOf(1, 3, "three");
  for (char byte : stream) publisher_.Send(std::string_view(&byte, 1));
  const std::vector<Got> frames = reader_.TakeOf(FrameKind::kDeliver);
  EXPECT_THAT(SequencesOf(frames, FrameKind::kDeliver), ElementsAre(1, 2, 3));
  EXPECT_EQ(frames[0].payload(), "one");
  EXPECT_EQ(frames[2].payload(), "three");
}

// -- Runs --

TEST_F(BrokerRoutingTest, ConsecutiveMessagesLeaveInOneSegment) {
  publisher_.Open(1, "t");
  Read(&reader_, 1, "t");
  Read(&other_, 1, "t");
  shell_.TakeGathered(reader_.id());
  shell_.TakeGathered(other_.id());
  std::string stream;
  for (uint64_t i = 1; i <= 100; ++i) stream += PublishOf(1, i, "payload");
  publisher_.Send(stream);
  for (FrameClient* client : {&reader_, &other_}) {
    EXPECT_THAT(shell_.TakeGathered(client->id()),
                ElementsAre(ElementsAre(kFrameHeaderBytes, stream.size())));
    EXPECT_EQ(Delivered(client).size(), 100u);
  }
}

TEST_F(BrokerRoutingTest, AChannelsChangeEndsARunForItsReaderOnly) {
  publisher_.Open(1, "a");
  publisher_.Open(2, "b");
  Read(&reader_, 1, "**");
  Read(&other_, 1, "a");
  shell_.TakeGathered(reader_.id());
  shell_.TakeGathered(other_.id());
  const std::string a = PublishOf(1, 1) + PublishOf(1, 2);
  const std::string b = PublishOf(2, 1, "x");
  publisher_.Send(a + b + PublishOf(1, 3));
  // The reader of both gets one run, as the frames lie behind each other.
  EXPECT_THAT(shell_.TakeGathered(reader_.id()),
              ElementsAre(ElementsAre(40, a.size() + b.size() + 40)));
  EXPECT_THAT(shell_.TakeGathered(other_.id()),
              ElementsAre(ElementsAre(40, a.size(), 40)));
}

TEST_F(BrokerRoutingTest, AnotherFrameBetweenMessagesKeepsTheirOrder) {
  publisher_.Open(1, "t");
  Read(&publisher_, 1, "t");
  publisher_.Take();
  publisher_.Send(
      PublishOf(1, 1) +
      test::FrameOf({.kind = FrameKind::kUnsubscribe, .target = 1}) +
      PublishOf(1, 2));
  EXPECT_THAT(Delivered(&publisher_), IsEmpty());
  Read(&reader_, 1, "t");
  publisher_.Send(PublishOf(1, 3) + test::FrameOf({.kind = FrameKind::kPing}) +
                  PublishOf(1, 4));
  EXPECT_THAT(Delivered(&reader_), ElementsAre(3, 4));
}

// -- Fragments --

TEST_F(BrokerRoutingTest, FragmentsPassAsTheyCome) {
  publisher_.Open(1, "t");
  Read(&reader_, 1, "t");
  reader_.Take();
  for (uint16_t i = 0; i <= 3; ++i) {
    publisher_.Send(FragmentOf(1, 1, i, 3));
    const Got frame = reader_.OnlyFrame(FrameKind::kDeliver);
    EXPECT_EQ(frame.header.fragment, i);
    EXPECT_EQ(frame.header.last_fragment, 3u);
    EXPECT_EQ(frame.header.sequence, 1u);
  }
  publisher_.Publish(1, 2);
  EXPECT_THAT(Delivered(&reader_), ElementsAre(2));
}

TEST_F(BrokerRoutingTest, FragmentsOfTwoChannelsMayAlternate) {
  publisher_.Open(1, "a");
  publisher_.Open(2, "b");
  Read(&reader_, 1, "*");
  reader_.Take();
  publisher_.Send(FragmentOf(1, 1, 0, 1));
  publisher_.Send(FragmentOf(2, 1, 0, 1));
  publisher_.Send(FragmentOf(1, 1, 1, 1));
  publisher_.Send(FragmentOf(2, 1, 1, 1));
  EXPECT_EQ(Delivered(&reader_).size(), 4u);
  EXPECT_TRUE(publisher_.is_open());
}

TEST_F(BrokerRoutingTest, AReaderThatComesInTheMiddleGetsTheNextMessage) {
  publisher_.Open(1, "t");
  publisher_.Send(FragmentOf(1, 1, 0, 2));
  Read(&reader_, 1, "t");
  publisher_.Send(FragmentOf(1, 1, 1, 2));
  publisher_.Send(FragmentOf(1, 1, 2, 2));
  publisher_.Publish(1, 2);
  // The rest of the first is of no use to it, but passes; a subscriber knows.
  const std::vector<Got> frames = reader_.TakeOf(FrameKind::kDeliver);
  for (const Got& frame : frames) {
    EXPECT_TRUE(frame.header.sequence == 2 || frame.header.fragment > 0);
  }
  EXPECT_EQ(frames.back().header.sequence, 2u);
}

TEST_F(BrokerRoutingTest, APublisherThatDiesInTheMiddleLeavesAnAbort) {
  publisher_.Open(1, "t");
  Read(&reader_, 1, "t");
  publisher_.Publish(1, 1);
  publisher_.Send(FragmentOf(1, 2, 0, 2));
  reader_.Take();
  publisher_.Lose(/*process_alive=*/false);
  const std::vector<Got> frames = reader_.Take();
  ASSERT_THAT(KindsOf(frames), ElementsAre("ABORT", "GONE"));
  EXPECT_EQ(frames[0].header.sequence, 2u);
  EXPECT_EQ(frames[0].header.session, ToNumber(publisher_.number()));
  EXPECT_EQ(frames[0].subscription, SubscriptionId{1});
}

TEST_F(BrokerRoutingTest, APublisherThatDiesBetweenMessagesLeavesNoAbort) {
  publisher_.Open(1, "t");
  Read(&reader_, 1, "t");
  publisher_.Publish(1, 1);
  reader_.Take();
  publisher_.Lose(/*process_alive=*/false);
  EXPECT_THAT(KindsOf(reader_.Take()), ElementsAre("GONE"));
}

// -- Best effort --

TEST_F(BrokerRoutingTest, BestEffortKeepsTheNewestMessages) {
  publisher_.Open(1, "t");
  reader_.SubscribeBestEffort(1, "t", 3);
  reader_.Take();
  reader_.SetRoom(0);
  for (uint64_t i = 1; i <= 10; ++i) publisher_.Publish(1, i);
  reader_.SetRoom(test::BrokerShell::kEndless);
  EXPECT_THAT(Delivered(&reader_), ElementsAre(8, 9, 10));
}

TEST_F(BrokerRoutingTest, BestEffortIsBoundedInBytes) {
  publisher_.Open(1, "t");
  reader_.SubscribeBestEffort(1, "t", 1000, /*bytes=*/3 * 50);
  reader_.Take();
  reader_.SetRoom(0);
  for (uint64_t i = 1; i <= 10; ++i) publisher_.Publish(1, i, "0123456789");
  reader_.SetRoom(test::BrokerShell::kEndless);
  EXPECT_THAT(Delivered(&reader_), ElementsAre(8, 9, 10));
}

TEST_F(BrokerRoutingTest, AMessageAboveTheBytesOfBestEffortIsDroppedItself) {
  publisher_.Open(1, "t");
  reader_.SubscribeBestEffort(1, "t", 1000, /*bytes=*/45);
  reader_.Take();
  reader_.SetRoom(0);
  publisher_.Publish(1, 1);
  publisher_.Publish(1, 2, "0123456789");
  reader_.SetRoom(test::BrokerShell::kEndless);
  EXPECT_THAT(Delivered(&reader_), IsEmpty());
}

TEST_F(BrokerRoutingTest, WhatASocketTakesAtOnceIsNeverDropped) {
  publisher_.Open(1, "t");
  reader_.SubscribeBestEffort(1, "t", 1, /*bytes=*/1);
  reader_.Take();
  std::string stream;
  for (uint64_t i = 1; i <= 10; ++i) stream += PublishOf(1, i, "0123456789");
  publisher_.Send(stream);
  EXPECT_EQ(Delivered(&reader_).size(), 10u);
}

TEST_F(BrokerRoutingTest, ABestEffortReaderSlowsNobody) {
  publisher_.Open(1, "t");
  reader_.SubscribeBestEffort(1, "t", 3);
  Read(&other_, 1, "t");
  other_.Take();
  reader_.SetRoom(0);
  for (uint64_t i = 1; i <= 10; ++i) publisher_.Publish(1, i);
  std::vector<uint64_t> all(10);
  std::iota(all.begin(), all.end(), 1);
  EXPECT_EQ(Delivered(&other_), all);
}

TEST_F(BrokerRoutingTest, TheRestOfACutMessageIsNotDropped) {
  publisher_.Open(1, "t");
  reader_.SubscribeBestEffort(1, "t", 1);
  reader_.Take();
  reader_.SetRoom(kFrameHeaderBytes + 20);  // SELECT and half a header
  for (uint64_t i = 1; i <= 5; ++i) publisher_.Publish(1, i);
  reader_.SetRoom(test::BrokerShell::kEndless);
  EXPECT_THAT(Delivered(&reader_), ElementsAre(1, 5));
}

TEST_F(BrokerRoutingTest, BestEffortKeepsItsDepthThoughAllCameInOneRead) {
  publisher_.Open(1, "t");
  reader_.SubscribeBestEffort(1, "t", 3);
  reader_.Take();
  reader_.SetRoom(0);
  std::string stream;
  for (uint64_t i = 1; i <= 10; ++i) stream += PublishOf(1, i);
  publisher_.Send(stream);
  reader_.SetRoom(test::BrokerShell::kEndless);
  EXPECT_THAT(Delivered(&reader_), ElementsAre(8, 9, 10));
}

}  // namespace
}  // namespace ipc::broker
