// SPDX-License-Identifier: Apache-2.0
//
// A client's publishing side: channels and their answers, the gate in front of
// the log, acknowledgements, and what a reconnect tells. The order of the
// stream is in publishing_stream_test.cc.

#include "libipc/core/publishing.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdint>
#include <string>
#include <vector>

#include "tests/support/control_samples.h"
#include "tests/unit/broker_end.h"
#include "tests/unit/frames.h"

namespace ipc::core {
namespace {

using absl::StatusCode;
using test::BrokerEnd;
using test::Got;
using testing::ElementsAre;
using testing::IsEmpty;
using wire::FrameKind;

class PublishingTest : public testing::Test {
 protected:
  static constexpr size_t kWindow = 100'000;

  ChannelNumber Open(const std::string& topic, const ChannelType& type = {}) {
    absl::StatusOr<ChannelNumber> number = publishing_.Open(topic, type);
    EXPECT_TRUE(number.ok());
    return number.value_or(ChannelNumber{0});
  }
  void Opened(ChannelNumber number, std::vector<wire::Reader> readers = {},
              uint32_t subscriptions = 0) {
    wire::Opened opened;
    opened.channel = number;
    opened.readers = std::move(readers);
    opened.subscriptions = subscriptions;
    EXPECT_TRUE(publishing_.OnOpened(opened));
  }
  void Refused(ChannelNumber number) {
    std::string topic;
    EXPECT_TRUE(publishing_.OnRefusedOpen(
        kOpenRequestBit | ToNumber(number),
        absl::PermissionDeniedError("not yours"), &topic));
    EXPECT_EQ(topic, publishing_.topic(number));
  }
  bool Publish(ChannelNumber number, size_t bytes = 10) {
    std::vector<std::span<std::byte>> parts;
    return publishing_.TryAppend(number, bytes, 0, &parts);
  }
  std::vector<Got> Sent() { return BrokerEnd::Drain(&publishing_); }
  // All that goes out, as "kind target:sequence".
  std::vector<std::string> Lines() { return test::LinesOf(Sent()); }
  void Reconnect() {
    publishing_.OnDisconnected();
    publishing_.OnConnected();
  }

  Publishing publishing_{kWindow};
};

// -- Channels --

TEST_F(PublishingTest, ChannelsAreNumberedFromOne) {
  EXPECT_EQ(Open("a"), ChannelNumber{1});
  EXPECT_EQ(Open("b"), ChannelNumber{2});
  EXPECT_EQ(publishing_.topic(ChannelNumber{2}), "b");
}

TEST_F(PublishingTest, HandlesOnOneTopicShareAChannel) {
  EXPECT_EQ(Open("a"), Open("a"));
  publishing_.OnConnected();
  EXPECT_THAT(Lines(), ElementsAre("OPEN"));
}

TEST_F(PublishingTest, OneTopicHasOneType) {
  Open("a", {.type_name = "acme.A", .schema_hash = "", .schema = ""});
  const auto other = publishing_.Open(
      "a", {.type_name = "acme.B", .schema_hash = "", .schema = ""});
  EXPECT_EQ(other.status().code(), StatusCode::kInvalidArgument);
  publishing_.OnConnected();
  Opened(ChannelNumber{1});
  publishing_.Release(ChannelNumber{1});
  EXPECT_TRUE(
      publishing_
          .Open("a", {.type_name = "acme.B", .schema_hash = "", .schema = ""})
          .ok());
}

TEST_F(PublishingTest, OpenSaysWhatTheChannelIs) {
  publishing_.OnConnected();
  const std::string hash(32, 'h');
  Open("a", {.type_name = "acme.A", .schema_hash = hash, .schema = "set"});
  const std::vector<Got> frames = Sent();
  ASSERT_EQ(frames.size(), 1u);
  EXPECT_EQ(frames[0].header.sequence, kOpenRequestBit | 1);
  const auto open = frames[0].As<wire::Open>();
  EXPECT_EQ(open.channel, ChannelNumber{1});
  EXPECT_EQ(open.topic, "a");
  EXPECT_EQ(open.type_name, "acme.A");
  EXPECT_EQ(open.schema_hash, hash);
  EXPECT_EQ(open.first_sequence, 1u);
  EXPECT_EQ(open.next_sequence, 1u);
  EXPECT_FALSE(open.readers_known);
  EXPECT_THAT(open.readers, IsEmpty());
}

TEST_F(PublishingTest, NothingIsSentWithoutAConnection) {
  Open("a");
  Publish(ChannelNumber{1});
  EXPECT_THAT(Sent(), IsEmpty());
  EXPECT_FALSE(publishing_.HasUnsent());
}

TEST_F(PublishingTest, TheStatusIsTheBrokersAnswer) {
  const ChannelNumber a = Open("a");
  const ChannelNumber b = Open("b");
  EXPECT_EQ(publishing_.ChannelStatus(a).code(), StatusCode::kUnavailable);
  EXPECT_EQ(publishing_.Refusal(a).code(), StatusCode::kOk);
  publishing_.OnConnected();
  EXPECT_EQ(publishing_.ChannelStatus(a).code(), StatusCode::kUnavailable);
  Opened(a);
  Refused(b);
  EXPECT_EQ(publishing_.ChannelStatus(a).code(), StatusCode::kOk);
  EXPECT_EQ(publishing_.ChannelStatus(b).code(), StatusCode::kPermissionDenied);
  EXPECT_EQ(publishing_.Refusal(b).code(), StatusCode::kPermissionDenied);
}

TEST_F(PublishingTest, AnswersToNothingAreFalse) {
  const ChannelNumber a = Open("a");
  std::string topic;
  wire::Opened opened;
  for (uint32_t number : {0u, 2u, 0xffffffffu}) {
    opened.channel = ChannelNumber{number};
    EXPECT_FALSE(publishing_.OnOpened(opened));
    EXPECT_FALSE(publishing_.OnMatches(ChannelNumber{number}, 1));
    EXPECT_FALSE(publishing_.OnAck(ChannelNumber{number}, 1));
    EXPECT_FALSE(publishing_.OnRefusedOpen(kOpenRequestBit | number,
                                           absl::InternalError(""), &topic));
  }
  EXPECT_FALSE(publishing_.OnRefusedOpen(1, absl::InternalError(""), &topic));
  publishing_.OnConnected();
  Opened(a);
  opened.channel = a;
  EXPECT_FALSE(publishing_.OnOpened(opened));  // twice
  EXPECT_FALSE(publishing_.OnRefusedOpen(kOpenRequestBit | ToNumber(a),
                                         absl::InternalError(""), &topic));
}

TEST_F(PublishingTest, DescriptorsAreSentWhenTheBrokerLacksThem) {
  publishing_.OnConnected();
  const std::string hash(32, 'h');
  Open("a", {.type_name = "acme.A", .schema_hash = hash, .schema = "set"});
  Sent();
  wire::Opened opened;
  opened.channel = ChannelNumber{1};
  opened.send_schema = true;
  publishing_.OnOpened(opened);
  const std::vector<Got> frames = Sent();
  ASSERT_EQ(frames.size(), 1u);
  EXPECT_EQ(frames[0].As<wire::Schema>().hash, hash);
  EXPECT_EQ(frames[0].As<wire::Schema>().file_descriptor_set, "set");
}

TEST_F(PublishingTest, CountsSubscriptionsAsTold) {
  const ChannelNumber a = Open("a");
  publishing_.OnConnected();
  Opened(a, {}, 3);
  EXPECT_EQ(publishing_.subscriptions(a), 3u);
  EXPECT_TRUE(publishing_.OnMatches(a, 5));
  EXPECT_EQ(publishing_.subscriptions(a), 5u);
  publishing_.OnDisconnected();
  EXPECT_EQ(publishing_.subscriptions(a), 0u);
}

// -- Closing --

TEST_F(PublishingTest, AChannelIsClosedWithItsLastHandle) {
  const ChannelNumber a = Open("a");
  Open("a");
  publishing_.OnConnected();
  Opened(a);
  Sent();
  publishing_.Release(a);
  EXPECT_THAT(Lines(), IsEmpty());
  publishing_.Release(a);
  EXPECT_THAT(Lines(), ElementsAre("CLOSE 1:0"));
}

TEST_F(PublishingTest, AChannelStaysOpenUntilAllIsAcknowledged) {
  const ChannelNumber a = Open("a");
  publishing_.OnConnected();
  Opened(a);
  Publish(a);
  Publish(a);
  publishing_.Release(a);
  EXPECT_THAT(Lines(), ElementsAre("OPEN", "PUBLISH 1:1", "PUBLISH 1:2"));
  publishing_.OnAck(a, 1);
  EXPECT_THAT(Lines(), IsEmpty());
  publishing_.OnAck(a, 2);
  EXPECT_THAT(Lines(), ElementsAre("CLOSE 1:0"));
}

TEST_F(PublishingTest, AReleasedChannelIsClosedWhenItsOpenedComes) {
  const ChannelNumber a = Open("a");
  publishing_.OnConnected();
  publishing_.Release(a);
  EXPECT_THAT(Lines(), ElementsAre("OPEN"));
  Opened(a);
  EXPECT_THAT(Lines(), ElementsAre("CLOSE 1:0"));
}

TEST_F(PublishingTest, AReleasedChannelIsOpenedAgainForWhatItOwes) {
  const ChannelNumber a = Open("a");
  publishing_.OnConnected();
  Opened(a);
  Publish(a);
  Sent();
  publishing_.Release(a);
  Reconnect();
  EXPECT_THAT(Lines(), ElementsAre("OPEN"));
  Opened(a);
  publishing_.OnAck(a, 1);
  EXPECT_THAT(Lines(), ElementsAre("CLOSE 1:0"));
  Reconnect();
  EXPECT_THAT(Lines(), IsEmpty());
}

TEST_F(PublishingTest, AClosedChannelGoesOnWithItsSequences) {
  const ChannelNumber a = Open("a");
  publishing_.OnConnected();
  Opened(a);
  Publish(a);
  Sent();
  publishing_.OnAck(a, 1);
  publishing_.Release(a);
  Sent();
  EXPECT_EQ(Open("a"), a);
  Publish(a);
  const std::vector<Got> frames = Sent();
  ASSERT_EQ(frames.size(), 1u);
  EXPECT_EQ(frames[0].As<wire::Open>().first_sequence, 2u);
  EXPECT_EQ(frames[0].As<wire::Open>().next_sequence, 2u);
  Opened(a);
  EXPECT_THAT(Lines(), ElementsAre("PUBLISH 1:2"));
}

// -- The gate --

TEST_F(PublishingTest, NothingIsPublishedBeforeOpened) {
  publishing_.OnConnected();
  const ChannelNumber a = Open("a");
  Publish(a);
  EXPECT_THAT(Lines(), ElementsAre("OPEN"));
  Opened(a);
  EXPECT_THAT(Lines(), ElementsAre("PUBLISH 1:1"));
}

TEST_F(PublishingTest, NothingOvertakesWhatWaitsForItsOpened) {
  publishing_.OnConnected();
  const ChannelNumber a = Open("a");
  Opened(a);
  const ChannelNumber b = Open("b");
  Publish(a);
  Publish(b);
  Publish(a);
  EXPECT_THAT(Lines(), ElementsAre("OPEN", "OPEN", "PUBLISH 1:1"));
  Publish(a);
  EXPECT_THAT(Lines(), IsEmpty());
  Opened(b);
  EXPECT_THAT(Lines(),
              ElementsAre("PUBLISH 2:1", "PUBLISH 1:2", "PUBLISH 1:3"));
}

TEST_F(PublishingTest, WhatARefusedChannelHasPublishedIsLeftOut) {
  publishing_.OnConnected();
  const ChannelNumber a = Open("a");
  const ChannelNumber b = Open("b");
  Publish(b);
  Publish(a);
  Publish(b);
  Publish(b);
  Publish(a);
  Sent();
  Opened(a);
  Refused(b);
  EXPECT_THAT(Lines(), ElementsAre("PUBLISH 1:1", "PUBLISH 1:2"));
  publishing_.OnAck(a, 2);
  publishing_.Trim();
  EXPECT_TRUE(publishing_.log().empty());
  EXPECT_TRUE(publishing_.IsAcknowledged(publishing_.Accepted()));
}

TEST_F(PublishingTest, TheLogIsFreedOfARefusedChannelAlone) {
  publishing_.OnConnected();
  const ChannelNumber a = Open("a");
  Publish(a);
  Sent();
  Refused(a);
  EXPECT_THAT(Lines(), IsEmpty());
  publishing_.Trim();
  EXPECT_TRUE(publishing_.log().empty());
  EXPECT_FALSE(publishing_.HasUnsent());
}

TEST_F(PublishingTest, ARefusedChannelMayBeAskedForAgain) {
  publishing_.OnConnected();
  const ChannelNumber a = Open("a");
  Publish(a);
  Sent();
  Refused(a);
  Sent();
  EXPECT_EQ(Open("a"), a);
  Publish(a);
  const std::vector<Got> frames = Sent();
  ASSERT_EQ(frames.size(), 1u);
  EXPECT_EQ(frames[0].As<wire::Open>().first_sequence, 2u);
  EXPECT_EQ(frames[0].As<wire::Open>().next_sequence, 2u);
  Opened(a);
  EXPECT_THAT(Lines(), ElementsAre("PUBLISH 1:2"));
}

TEST_F(PublishingTest, AskedForAgainItStillLeavesOutWhatWasRefused) {
  publishing_.OnConnected();
  const ChannelNumber a = Open("a");
  const ChannelNumber b = Open("b");
  Publish(a);  // waits for OPENED, and all behind it with it
  Publish(b);
  Sent();
  Refused(b);
  EXPECT_EQ(Open("b"), b);
  Publish(b);
  const std::vector<Got> frames = Sent();
  ASSERT_EQ(frames.size(), 1u);
  EXPECT_EQ(frames[0].As<wire::Open>().first_sequence, 2u);
  EXPECT_EQ(frames[0].As<wire::Open>().next_sequence, 2u);
  Opened(b);
  Opened(a);
  EXPECT_THAT(Lines(), ElementsAre("PUBLISH 1:1", "PUBLISH 2:2"));
}

// -- Acknowledgement and room --

TEST_F(PublishingTest, AcknowledgedMeansAllThatWasAccepted) {
  const ChannelNumber a = Open("a");
  const ChannelNumber b = Open("b");
  publishing_.OnConnected();
  Opened(a);
  Opened(b);
  EXPECT_TRUE(publishing_.IsAcknowledged(publishing_.Accepted()));
  Publish(a);
  Publish(b);
  Publish(b);
  const std::vector<uint64_t> accepted = publishing_.Accepted();
  EXPECT_THAT(accepted, ElementsAre(0, 1, 2));
  Sent();
  Publish(a);
  EXPECT_TRUE(publishing_.OnAck(b, 2));
  EXPECT_FALSE(publishing_.IsAcknowledged(accepted));
  EXPECT_TRUE(publishing_.OnAck(a, 1));
  EXPECT_TRUE(publishing_.IsAcknowledged(accepted));
  EXPECT_FALSE(publishing_.IsAcknowledged(publishing_.Accepted()));
  EXPECT_EQ(publishing_.published(), 4u);
}

TEST_F(PublishingTest, WhatWasNeverPublishedIsNotAcknowledged) {
  const ChannelNumber a = Open("a");
  publishing_.OnConnected();
  Opened(a);
  Publish(a);
  EXPECT_FALSE(publishing_.OnAck(a, 2));
  EXPECT_FALSE(publishing_.IsAcknowledged(publishing_.Accepted()));
}

TEST_F(PublishingTest, AnOldAcknowledgementTakesNothingBack) {
  const ChannelNumber a = Open("a");
  publishing_.OnConnected();
  Opened(a);
  Publish(a);
  Publish(a);
  Sent();
  publishing_.OnAck(a, 2);
  publishing_.OnAck(a, 1);
  EXPECT_TRUE(publishing_.IsAcknowledged(publishing_.Accepted()));
}

TEST_F(PublishingTest, AFullWindowHasRoomAgainAfterAcknowledgement) {
  const ChannelNumber a = Open("a");
  publishing_.OnConnected();
  Opened(a);
  uint64_t published = 0;
  while (Publish(a, 1000)) ++published;
  EXPECT_GT(published, kWindow / 1100);
  EXPECT_FALSE(publishing_.HasRoom(1000));
  Sent();
  publishing_.OnAck(a, published);
  publishing_.Trim();
  EXPECT_TRUE(publishing_.HasRoom(1000));
  EXPECT_TRUE(Publish(a, 1000));
}

// Whoever waits for room must get it when HasRoom says so.
TEST_F(PublishingTest, WhatHasRoomIsTaken) {
  for (size_t bytes : {size_t{0}, size_t{1000}, size_t{20'000},
                       size_t{kFramePayloadBytesMax}, size_t{150'000}}) {
    Publishing publishing(1 << 20);
    const ChannelNumber a = *publishing.Open("a", {});
    publishing.OnConnected();
    wire::Opened opened;
    opened.channel = a;
    publishing.OnOpened(opened);
    std::vector<std::span<std::byte>> parts;
    uint64_t acknowledged = 0;
    uint64_t published = 0;
    for (int i = 0; i < 2000; ++i) {
      const bool room = publishing.HasRoom(bytes);
      const bool taken = publishing.TryAppend(a, bytes, 0, &parts);
      ASSERT_TRUE(taken || !room) << bytes << " step " << i;
      published += taken ? 1 : 0;
      BrokerEnd::Drain(&publishing);
      if (!taken) publishing.OnAck(a, acknowledged = published - 1);
      publishing.Trim();
    }
  }
}

// -- Reconnecting --

TEST_F(PublishingTest, OpenTellsWhatIsKeptAndWhatWasSent) {
  const ChannelNumber a = Open("a");
  const ChannelNumber b = Open("b");
  publishing_.OnConnected();
  Opened(a);
  Opened(b);
  for (int i = 0; i < 4; ++i) Publish(a);
  Publish(b);
  Sent();
  publishing_.OnAck(a, 2);
  Publish(a);
  Publish(b);
  Reconnect();
  std::vector<Got> frames = Sent();
  ASSERT_EQ(frames.size(), 2u);
  EXPECT_EQ(frames[0].As<wire::Open>().first_sequence, 3u);
  EXPECT_EQ(frames[0].As<wire::Open>().next_sequence, 5u);
  EXPECT_EQ(frames[1].As<wire::Open>().first_sequence, 1u);
  EXPECT_EQ(frames[1].As<wire::Open>().next_sequence, 2u);
  Opened(b);
  EXPECT_THAT(Lines(), IsEmpty());
  Opened(a);
  EXPECT_THAT(Lines(), ElementsAre("PUBLISH 1:5", "PUBLISH 2:2"));
}

TEST_F(PublishingTest, OpenHandsTheReadersBack) {
  const ChannelNumber a = Open("a");
  publishing_.OnConnected();
  wire::Reader reader = test::SampleReader(1);
  reader.from = 1;
  Opened(a, {reader});
  Publish(a);
  Publish(a);
  Sent();
  publishing_.OnAck(a, 1);
  Reconnect();
  const std::vector<Got> frames = Sent();
  const auto open = frames.at(0).As<wire::Open>();
  EXPECT_TRUE(open.readers_known);
  ASSERT_EQ(open.readers.size(), 1u);
  EXPECT_EQ(open.readers[0].session, reader.session);
  EXPECT_EQ(open.readers[0].subscription, reader.subscription);
  EXPECT_EQ(open.readers[0].from, 1u);
}

TEST_F(PublishingTest, OpenedReplacesTheReaders) {
  const ChannelNumber a = Open("a");
  publishing_.OnConnected();
  Opened(a, {test::SampleReader(1), test::SampleReader(2)});
  Reconnect();
  Opened(a, {test::SampleReader(3)});
  Sent();
  Reconnect();
  const std::vector<Got> frames = Sent();
  const auto open = frames.at(0).As<wire::Open>();
  ASSERT_EQ(open.readers.size(), 1u);
  EXPECT_EQ(open.readers[0].subscription, test::SampleReader(3).subscription);
}

TEST_F(PublishingTest, ARefusedChannelIsNotOpenedAgain) {
  const ChannelNumber a = Open("a");
  publishing_.OnConnected();
  Refused(a);
  Reconnect();
  EXPECT_THAT(Lines(), IsEmpty());
}

TEST_F(PublishingTest, ControlFramesDieWithTheConnection) {
  publishing_.OnConnected();
  Open("a");
  *publishing_.control() += test::FrameOf({.kind = FrameKind::kPing});
  publishing_.OnDisconnected();
  EXPECT_THAT(Lines(), IsEmpty());
  publishing_.OnConnected();
  EXPECT_THAT(Lines(), ElementsAre("OPEN"));
}

}  // namespace
}  // namespace ipc::core
