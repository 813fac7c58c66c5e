// SPDX-License-Identifier: Apache-2.0
//
// What one client may ask of a broker. Each limit has its own refusal, which
// names it; what is at the limit is taken, and the connection goes on.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdint>
#include <string>
#include <vector>

#include "libipc/base/limits.h"
#include "libipc/wire/sha256.h"
#include "tests/unit/broker_shell.h"
#include "tests/unit/frame_client.h"

namespace ipc::broker {
namespace {

using absl::StatusCode;
using test::FragmentOf;
using test::FrameClient;
using test::Got;
using test::KindsOf;
using test::OpenMessage;
using test::SubscribeMessage;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using wire::FrameKind;

class BrokerLimitsTest : public testing::Test {
 protected:
  BrokerLimitsTest() : client_(&shell_, 1), other_(&shell_, 2) {
    client_.Greet();
    other_.Greet();
  }
  ~BrokerLimitsTest() override {
    EXPECT_TRUE(client_.is_open());
    EXPECT_TRUE(other_.is_open());
  }

  // The answer to request 9 is a refusal with this code, which names `limit`.
  template <typename Message>
  void ExpectRefused(const Message& message, StatusCode code,
                     const std::string& limit) {
    client_.Send(message, 9);
    const std::vector<Got> frames = client_.Take();
    ASSERT_THAT(KindsOf(frames), ElementsAre("RESULT"));
    EXPECT_EQ(frames[0].header.sequence, 9u);
    const auto result = frames[0].As<wire::Result>();
    EXPECT_EQ(result.code, code) << result.text;
    EXPECT_THAT(result.text, HasSubstr(limit));
  }
  void ExpectOpened(const wire::Open& open) {
    client_.Send(open, 9);
    EXPECT_EQ(client_.Only<wire::Opened>().channel, open.channel);
  }
  void ExpectSubscribed(const wire::Subscribe& subscribe) {
    client_.Send(subscribe, 9);
    EXPECT_EQ(client_.Only<wire::Result>().code, StatusCode::kOk);
  }
  wire::Subscribe BestEffort(uint32_t id, uint32_t depth, uint64_t bytes) {
    wire::Subscribe subscribe = SubscribeMessage(id, "t");
    subscribe.policy = wire::Policy::kBestEffort;
    subscribe.depth = depth;
    subscribe.bytes = bytes;
    return subscribe;
  }

  test::BrokerShell shell_;
  FrameClient client_;
  FrameClient other_;
};

// -- Channels --

TEST_F(BrokerLimitsTest, BoundsTheNumberOfAChannel) {
  ExpectOpened(OpenMessage(kChannelsPerSessionMax, "last"));
  ExpectRefused(OpenMessage(kChannelsPerSessionMax + 1, "beyond"),
                StatusCode::kResourceExhausted, "65536 channels");
  ExpectRefused(OpenMessage(0xffffffff, "far"), StatusCode::kResourceExhausted,
                "65536 channels");
}

TEST_F(BrokerLimitsTest, TakesAsManyChannelsAsThereAreNumbers) {
  for (uint32_t i = 1; i <= kChannelsPerSessionMax; ++i) {
    client_.Open(i, "t/" + std::to_string(i));
  }
  EXPECT_EQ(client_.TakeOf(FrameKind::kOpened).size(), kChannelsPerSessionMax);
  ExpectRefused(OpenMessage(kChannelsPerSessionMax + 1, "more"),
                StatusCode::kResourceExhausted, "65536 channels");
}

TEST_F(BrokerLimitsTest, BoundsTheLengthOfATopic) {
  ExpectOpened(OpenMessage(1, std::string(kTopicBytesMax, 't')));
  ExpectRefused(OpenMessage(2, std::string(kTopicBytesMax + 1, 't')),
                StatusCode::kInvalidArgument, "the limit is 255");
}

TEST_F(BrokerLimitsTest, BoundsTheSegmentsOfATopic) {
  std::string topic = "s";
  for (int i = 1; i < kTopicSegmentsMax; ++i) topic += "/s";
  ExpectOpened(OpenMessage(1, topic));
  ExpectRefused(OpenMessage(2, topic + "/s"), StatusCode::kInvalidArgument,
                "more than 32 segments");
}

TEST_F(BrokerLimitsTest, RefusesWhatIsNoTopic) {
  for (const char* topic : {"", "a//b", "a b", "a/*", "**", "$ipc/clients"}) {
    SCOPED_TRACE(topic);
    ExpectRefused(OpenMessage(1, topic), StatusCode::kInvalidArgument, "topic");
  }
}

TEST_F(BrokerLimitsTest, BoundsTheNameOfAType) {
  wire::Open open = OpenMessage(1, "t");
  open.type_name = std::string(kTypeNameBytesMax + 1, 'n');
  ExpectRefused(open, StatusCode::kInvalidArgument, "the limit is 512");
  open.type_name.pop_back();
  ExpectOpened(open);
}

TEST_F(BrokerLimitsTest, BoundsTheReadersThatAPublisherTells) {
  wire::Open open = OpenMessage(1, "t");
  open.readers_known = true;
  open.readers.resize(kReadersPerChannelMax + 1);
  for (wire::Reader& reader : open.readers) {
    reader.subscription = SubscriptionId{1};
  }
  ExpectRefused(open, StatusCode::kResourceExhausted, "the limit is 65536");
  open.readers.pop_back();
  ExpectOpened(open);
}

// -- Subscriptions --

TEST_F(BrokerLimitsTest, BoundsTheSubscriptions) {
  for (uint32_t i = 1; i <= kSubscriptionsPerSessionMax; ++i) {
    client_.Subscribe(i, "t");
  }
  EXPECT_EQ(client_.TakeOf(FrameKind::kResult).size(),
            kSubscriptionsPerSessionMax);
  ExpectRefused(SubscribeMessage(kSubscriptionsPerSessionMax + 1, "t"),
                StatusCode::kResourceExhausted,
                "the limit is 65536 subscriptions");
  client_.Send({.kind = FrameKind::kUnsubscribe, .target = 1});
  client_.Take();
  ExpectSubscribed(SubscribeMessage(kSubscriptionsPerSessionMax + 1, "t"));
}

TEST_F(BrokerLimitsTest, BoundsTheLengthOfAPattern) {
  ExpectSubscribed(SubscribeMessage(1, std::string(kTopicBytesMax, 't')));
  ExpectRefused(SubscribeMessage(2, std::string(kTopicBytesMax + 1, 't')),
                StatusCode::kInvalidArgument, "the limit is 255");
}

TEST_F(BrokerLimitsTest, BoundsTheDoubleStarsOfAPattern) {
  ExpectSubscribed(SubscribeMessage(1, "**/a/**/a/**/a/**"));
  ExpectRefused(SubscribeMessage(2, "**/a/**/a/**/a/**/a/**"),
                StatusCode::kInvalidArgument, "more than 4 '**'");
}

TEST_F(BrokerLimitsTest, RefusesWhatIsNoPattern) {
  for (const char* pattern : {"", "a//b", "a b", "a*", "/"}) {
    SCOPED_TRACE(pattern);
    ExpectRefused(SubscribeMessage(1, pattern), StatusCode::kInvalidArgument,
                  "pattern");
  }
}

TEST_F(BrokerLimitsTest, BoundsThePositions) {
  wire::Subscribe subscribe = SubscribeMessage(1, "t");
  subscribe.resume = true;
  for (uint32_t i = 1; i <= kPositionsPerSubscriptionMax + 1; ++i) {
    subscribe.positions.push_back(
        {.session = {}, .channel = ChannelNumber{i}, .sequence = 1});
  }
  ExpectRefused(subscribe, StatusCode::kResourceExhausted,
                "16385 positions; the limit is 16384");
  subscribe.positions.pop_back();
  ExpectSubscribed(subscribe);
}

TEST_F(BrokerLimitsTest, BoundsTheDepthOfABestEffortSubscription) {
  ExpectRefused(BestEffort(1, 0, 1000), StatusCode::kInvalidArgument,
                "1 to 10000000 are allowed");
  ExpectRefused(BestEffort(1, kBestEffortDepthMax + 1, 1000),
                StatusCode::kInvalidArgument, "1 to 10000000 are allowed");
  ExpectSubscribed(BestEffort(1, 1, 1000));
  ExpectSubscribed(BestEffort(2, kBestEffortDepthMax, 1000));
}

TEST_F(BrokerLimitsTest, BoundsTheBytesOfABestEffortSubscription) {
  ExpectRefused(BestEffort(1, 1, 0), StatusCode::kInvalidArgument,
                "1 to 67108864 are allowed");
  ExpectRefused(BestEffort(1, 1, kBestEffortQueueBytesMax + 1),
                StatusCode::kInvalidArgument, "1 to 67108864 are allowed");
  ExpectSubscribed(BestEffort(1, 1, 1));
  ExpectSubscribed(BestEffort(2, 1, kBestEffortQueueBytesMax));
}

TEST_F(BrokerLimitsTest, ARefusedSubscriptionIsNone) {
  client_.Send(BestEffort(1, 0, 1000), 9);
  client_.Take();
  other_.Open(1, "t");
  EXPECT_EQ(other_.Only<wire::Opened>().subscriptions, 0u);
}

// -- Messages --

class BrokerMessageSizeTest : public testing::Test {
 protected:
  static constexpr uint64_t kLimit = 3 * uint64_t{kFramePayloadBytesMax};

  BrokerMessageSizeTest() : BrokerMessageSizeTest(kLimit) {}
  explicit BrokerMessageSizeTest(uint64_t limit)
      : shell_(Options(limit)), publisher_(&shell_, 1), reader_(&shell_, 2) {
    publisher_.Greet();
    publisher_.Open(1, "t");
    reader_.Greet();
    reader_.SubscribeBestEffort(1, "t", 1000, kBestEffortQueueBytesMax);
    publisher_.Take();
    reader_.Take();
  }

  static BrokerOptions Options(uint64_t limit) {
    BrokerOptions options;
    options.message_bytes_max = limit;
    return options;
  }

  void ExpectRefused(uint64_t sequence) {
    const Got refused = publisher_.OnlyFrame(FrameKind::kRefused);
    EXPECT_EQ(refused.header.target, 1u);
    EXPECT_EQ(refused.header.sequence, sequence);
    const auto result = refused.As<wire::Result>();
    EXPECT_EQ(result.code, StatusCode::kInvalidArgument);
    EXPECT_THAT(result.text, HasSubstr("limit of 196608 bytes"));
  }

  test::BrokerShell shell_;
  FrameClient publisher_;
  FrameClient reader_;
};

TEST_F(BrokerMessageSizeTest, TakesAMessageOfTheLimit) {
  for (uint16_t i = 0; i <= 2; ++i) {
    publisher_.Send(test::FrameOf({.kind = FrameKind::kPublish,
                                   .target = 1,
                                   .sequence = 1,
                                   .fragment = i,
                                   .last_fragment = 2},
                                  std::string(kFramePayloadBytesMax, 'm')));
  }
  EXPECT_THAT(reader_.TakeOf(FrameKind::kDeliver).size(), 3);
  EXPECT_THAT(publisher_.TakeOf(FrameKind::kRefused), IsEmpty());
}

TEST_F(BrokerMessageSizeTest, RefusesALargerOneOnceAndGoesOn) {
  for (uint16_t i = 0; i <= 4; ++i) publisher_.Send(FragmentOf(1, 1, i, 4));
  ExpectRefused(1);
  wire::Gap gap;
  ASSERT_TRUE(wire::ParseGap(reader_.OnlyFrame(FrameKind::kGap).header, &gap));
  EXPECT_EQ(gap.first, 1u);
  EXPECT_EQ(gap.last, 1u);
  EXPECT_EQ(gap.reason, wire::GapReason::kRefused);
  publisher_.Publish(1, 2, "next");
  EXPECT_EQ(reader_.OnlyFrame(FrameKind::kDeliver).header.sequence, 2u);
  EXPECT_TRUE(publisher_.is_open());
}

TEST_F(BrokerMessageSizeTest, RefusesAMessageOneByteAboveAtItsLastFragment) {
  for (uint16_t i = 0; i <= 2; ++i) publisher_.Send(FragmentOf(1, 1, i, 3));
  EXPECT_EQ(reader_.TakeOf(FrameKind::kDeliver).size(), 3u);
  publisher_.Send(test::FrameOf({.kind = FrameKind::kPublish,
                                 .target = 1,
                                 .sequence = 1,
                                 .fragment = 3,
                                 .last_fragment = 3},
                                "x"));
  ExpectRefused(1);
  // What the reader has of it is taken back.
  const Got abort = reader_.OnlyFrame(FrameKind::kAbort);
  EXPECT_EQ(abort.header.sequence, 1u);
  publisher_.Publish(1, 2, "next");
  EXPECT_EQ(reader_.OnlyFrame(FrameKind::kDeliver).header.sequence, 2u);
}

TEST_F(BrokerMessageSizeTest, AcknowledgesWhatItRefusedWhenNobodyReads) {
  for (uint16_t i = 0; i <= 4; ++i) publisher_.Send(FragmentOf(1, 1, i, 4));
  shell_.Advance(kStartHold);
  EXPECT_THAT(test::SequencesOf(publisher_.Take(), FrameKind::kAck),
              ElementsAre(1));
}

class BrokerSmallMessageSizeTest : public BrokerMessageSizeTest {
 protected:
  BrokerSmallMessageSizeTest() : BrokerMessageSizeTest(1000) {}
};

TEST_F(BrokerSmallMessageSizeTest, BoundsAMessageInOneFrame) {
  publisher_.Publish(1, 1, std::string(1000, 'm'));
  EXPECT_EQ(reader_.OnlyFrame(FrameKind::kDeliver).header.sequence, 1u);
  publisher_.Publish(1, 2, std::string(1001, 'm'));
  EXPECT_EQ(publisher_.OnlyFrame(FrameKind::kRefused).header.sequence, 2u);
  publisher_.Publish(1, 3, "next");
  EXPECT_EQ(reader_.OnlyFrame(FrameKind::kDeliver).header.sequence, 3u);
}

// -- Descriptors --

TEST_F(BrokerLimitsTest, BoundsADescriptorSet) {
  wire::Schema schema;
  schema.file_descriptor_set = std::string(kSchemaSetBytesMax + 1, 's');
  schema.hash = wire::Sha256(schema.file_descriptor_set);
  ExpectRefused(schema, StatusCode::kResourceExhausted, "the limit is 786432");
  schema.file_descriptor_set.pop_back();
  schema.hash = wire::Sha256(schema.file_descriptor_set);
  client_.Send(schema, 9);
  EXPECT_EQ(client_.Only<wire::Result>().code, StatusCode::kOk);
}

TEST_F(BrokerLimitsTest, RefusesADescriptorSetUnderAWrongHash) {
  wire::Schema schema;
  schema.file_descriptor_set = "one";
  schema.hash = wire::Sha256("another");
  ExpectRefused(schema, StatusCode::kInvalidArgument, "SHA-256");
}

TEST_F(BrokerLimitsTest, BoundsTheDescriptorsOfAllPublishers) {
  std::vector<std::string> hashes;
  for (size_t i = 0; i <= kSchemaBytesMax / kSchemaSetBytesMax; ++i) {
    wire::Schema schema;
    schema.file_descriptor_set =
        std::to_string(i) + std::string(kSchemaSetBytesMax - 10, 's');
    schema.hash = wire::Sha256(schema.file_descriptor_set);
    hashes.push_back(schema.hash);
    client_.Send(schema, 9);
  }
  client_.Take();
  ExpectRefused(wire::GetSchema{hashes.front()}, StatusCode::kNotFound,
                "no publisher");
  client_.Send(wire::GetSchema{hashes.back()}, 9);
  EXPECT_EQ(client_.Only<wire::Schema>().hash, hashes.back());
}

// -- Unread control frames --

TEST_F(BrokerLimitsTest, EndsAConnectionThatLetsControlFramesPileUp) {
  FrameClient deaf(&shell_, 3);
  deaf.Greet();
  deaf.SetRoom(0);
  // A first frame waits on its way to the socket; the rest piles up.
  const size_t frames_max = kControlQueueBytesMax / kFrameHeaderBytes;
  std::string pings;
  for (int i = 0; i < 1000; ++i) {
    pings += test::FrameOf({.kind = FrameKind::kPing});
  }
  for (size_t sent = 0; sent + 1000 <= frames_max; sent += 1000) {
    deaf.Send(pings);
  }
  EXPECT_TRUE(deaf.is_open());
  deaf.Send(pings);
  deaf.Send(pings);
  EXPECT_FALSE(deaf.is_open());
  ASSERT_NE(deaf.end(), nullptr);
  EXPECT_EQ(deaf.end()->reason, wire::CloseReason::kNotReading);
}

}  // namespace
}  // namespace ipc::broker
