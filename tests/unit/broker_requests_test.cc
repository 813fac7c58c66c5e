// SPDX-License-Identifier: Apache-2.0
//
// Every request has its own answer, with its own number: channels,
// subscriptions, descriptors, and the lists for operators.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdint>
#include <string>
#include <vector>

#include "absl/strings/str_format.h"
#include "libipc/base/limits.h"
#include "libipc/wire/sha256.h"
#include "tests/unit/broker_shell.h"
#include "tests/unit/frame_client.h"

namespace ipc::broker {
namespace {

using absl::StatusCode;
using test::FrameClient;
using test::Got;
using test::KindsOf;
using test::OpenMessage;
using test::SequencesOf;
using test::SubscribeMessage;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using wire::FrameKind;

class BrokerRequestsTest : public testing::Test {
 protected:
  BrokerRequestsTest() : client_(&shell_, 1), other_(&shell_, 2) {
    client_.Greet();
    other_.Greet();
  }

  // The one frame that `client` has got is RESULT of `request`.
  wire::Result ResultOf(FrameClient* client, uint64_t request) {
    const Got frame = client->OnlyFrame(FrameKind::kResult);
    EXPECT_EQ(frame.header.sequence, request);
    return frame.As<wire::Result>();
  }

  test::BrokerShell shell_;
  FrameClient client_;
  FrameClient other_;
};

// -- Channels --

TEST_F(BrokerRequestsTest, OpenIsAnsweredWithWhatIsThere) {
  other_.Subscribe(1, "t");
  other_.SubscribeBestEffort(2, "*", 10);
  other_.Subscribe(3, "u");
  client_.Send(OpenMessage(7, "t"), 42);
  const Got frame = client_.OnlyFrame(FrameKind::kOpened);
  EXPECT_EQ(frame.header.sequence, 42u);
  const auto opened = frame.As<wire::Opened>();
  EXPECT_EQ(opened.channel, ChannelNumber{7});
  EXPECT_EQ(opened.subscriptions, 2u);
  ASSERT_EQ(opened.readers.size(), 1u);  // the reliable one
  EXPECT_EQ(opened.readers[0].session, other_.key());
  EXPECT_EQ(opened.readers[0].subscription, SubscriptionId{1});
  EXPECT_NE(opened.readers[0].reader, ReaderId{0});
  EXPECT_EQ(opened.readers[0].from, 1u);
  EXPECT_FALSE(opened.send_schema);
}

TEST_F(BrokerRequestsTest, OpenOfAChannelThatIsOpenIsRefused) {
  client_.Open(1, "t");
  client_.Take();
  for (const char* topic : {"t", "u"}) {
    client_.Open(1, topic);
    const auto result = ResultOf(&client_, 101);
    EXPECT_EQ(result.code, StatusCode::kAlreadyExists);
    EXPECT_THAT(result.text, HasSubstr("channel 1 is open on topic t"));
  }
}

TEST_F(BrokerRequestsTest, OpenOfATopicTwiceByOneClientIsRefused) {
  client_.Open(1, "t");
  client_.Take();
  client_.Open(2, "t");
  const auto result = ResultOf(&client_, 102);
  EXPECT_EQ(result.code, StatusCode::kAlreadyExists);
  EXPECT_THAT(result.text, HasSubstr("topic t is open on channel 1"));
  other_.Open(2, "t");
  EXPECT_EQ(KindsOf(other_.Take()), std::vector<std::string>({"OPENED"}));
}

TEST_F(BrokerRequestsTest, ARefusedOpenOpensNothing) {
  client_.Open(1, "not a topic");
  client_.Take();
  client_.Publish(1, 1);
  EXPECT_FALSE(client_.is_open());
  EXPECT_TRUE(shell_.broker().state().topics.published().empty());
}

TEST_F(BrokerRequestsTest, CloseIsAnsweredAndFreesTopicAndNumber) {
  client_.Open(1, "t");
  client_.Take();
  client_.Send({.kind = FrameKind::kClose, .target = 1, .sequence = 8});
  EXPECT_EQ(ResultOf(&client_, 8).code, StatusCode::kOk);
  EXPECT_TRUE(shell_.broker().state().topics.published().empty());
  client_.Open(1, "u");
  EXPECT_THAT(KindsOf(client_.Take()), ElementsAre("OPENED"));
  client_.Open(2, "t");
  EXPECT_THAT(KindsOf(client_.Take()), ElementsAre("OPENED"));
}

TEST_F(BrokerRequestsTest, CloseOfWhatIsNotOpenIsRefused) {
  for (uint32_t channel : {0u, 1u, 0xffffffffu}) {
    client_.Send({.kind = FrameKind::kClose, .target = channel, .sequence = 8});
    EXPECT_EQ(ResultOf(&client_, 8).code, StatusCode::kNotFound);
  }
}

TEST_F(BrokerRequestsTest, PublishBehindCloseIsAViolation) {
  client_.Open(1, "t");
  client_.Send({.kind = FrameKind::kClose, .target = 1, .sequence = 8});
  client_.Publish(1, 1);
  ASSERT_NE(client_.end(), nullptr);
  EXPECT_EQ(client_.end()->reason, wire::CloseReason::kViolation);
  EXPECT_THAT(client_.end()->text, HasSubstr("channel 1, which is not open"));
}

TEST_F(BrokerRequestsTest, ASequenceOutOfOrderIsAViolation) {
  for (uint64_t sequence : {0u, 1u, 3u}) {
    FrameClient client(&shell_, 9);
    client.Greet();
    client.Open(1, "t");
    client.Publish(1, 1);
    client.Publish(1, sequence);
    ASSERT_NE(client.end(), nullptr) << sequence;
    EXPECT_THAT(client.end()->text, HasSubstr("expected 2 fragment 0"));
    client.Lose(false);
  }
}

TEST_F(BrokerRequestsTest, AFragmentOutOfOrderIsAViolation) {
  for (const auto& [sequence, fragment] :
       std::vector<std::pair<uint64_t, uint16_t>>{
           {1, 0}, {1, 2}, {2, 0}, {2, 1}}) {
    FrameClient client(&shell_, 9);
    client.Greet();
    client.Open(1, "t");
    client.Send(test::FragmentOf(1, 1, 0, 3));
    client.Send(test::FragmentOf(1, sequence, fragment, 3));
    ASSERT_NE(client.end(), nullptr) << sequence << " " << fragment;
    EXPECT_THAT(client.end()->text, HasSubstr("expected 1 fragment 1"));
    client.Lose(false);
  }
}

TEST_F(BrokerRequestsTest, AChannelMayBeginAtAnySequence) {
  wire::Open open = OpenMessage(1, "t");
  open.first_sequence = open.next_sequence = 1000;
  client_.Send(open, 9);
  client_.Publish(1, 1000);
  EXPECT_TRUE(client_.is_open());
}

// -- Subscriptions --

TEST_F(BrokerRequestsTest, SubscribeIsAnsweredAtOnceWithoutPublishers) {
  client_.Send(SubscribeMessage(1, "t"), 42);
  EXPECT_EQ(ResultOf(&client_, 42).code, StatusCode::kOk);
}

TEST_F(BrokerRequestsTest, SubscribeWithAUsedNumberIsRefused) {
  client_.Subscribe(1, "t");
  client_.Take();
  client_.Subscribe(1, "u");
  EXPECT_EQ(ResultOf(&client_, 1).code, StatusCode::kAlreadyExists);
  other_.Open(1, "t");
  EXPECT_EQ(other_.Only<wire::Opened>().subscriptions, 1u);
}

TEST_F(BrokerRequestsTest, UnsubscribeIsAnsweredAndFreesTheNumber) {
  client_.Subscribe(1, "t");
  client_.Take();
  client_.Send({.kind = FrameKind::kUnsubscribe, .target = 1, .sequence = 8});
  EXPECT_EQ(ResultOf(&client_, 8).code, StatusCode::kOk);
  client_.Subscribe(1, "u");
  EXPECT_EQ(ResultOf(&client_, 1).code, StatusCode::kOk);
}

TEST_F(BrokerRequestsTest, UnsubscribeFromWhatIsNotMadeIsRefused) {
  for (uint32_t id : {0u, 1u, 0xffffffffu}) {
    client_.Send({.kind = FrameKind::kUnsubscribe, .target = id});
    EXPECT_EQ(ResultOf(&client_, 0).code, StatusCode::kNotFound);
  }
}

TEST_F(BrokerRequestsTest, OneClientsNumbersAreNotAnothers) {
  client_.Subscribe(1, "t");
  client_.Open(1, "t");
  client_.Take();
  other_.Send({.kind = FrameKind::kUnsubscribe, .target = 1, .sequence = 8});
  EXPECT_EQ(ResultOf(&other_, 8).code, StatusCode::kNotFound);
  other_.Send({.kind = FrameKind::kClose, .target = 1, .sequence = 9});
  EXPECT_EQ(ResultOf(&other_, 9).code, StatusCode::kNotFound);
  EXPECT_THAT(client_.Take(), IsEmpty());
}

TEST_F(BrokerRequestsTest, NothingIsDeliveredBehindUnsubscribe) {
  client_.Open(1, "t");
  client_.Subscribe(1, "t");
  client_.Joined(client_.Only<wire::Join>().reader.reader);
  client_.Publish(1, 1);
  EXPECT_THAT(SequencesOf(client_.Take(), FrameKind::kDeliver), ElementsAre(1));
  client_.Send({.kind = FrameKind::kUnsubscribe, .target = 1, .sequence = 8});
  client_.Publish(1, 2);
  EXPECT_THAT(client_.TakeOf(FrameKind::kDeliver), IsEmpty());
}

// -- MATCHES --

TEST_F(BrokerRequestsTest, PublishersHearHowManySubscriptionsMatch) {
  client_.Open(1, "a/b");
  client_.Open(2, "c");
  client_.Take();
  auto matches = [this] {
    std::vector<std::pair<uint32_t, uint64_t>> told;
    for (const Got& frame : client_.TakeOf(FrameKind::kMatches)) {
      told.emplace_back(frame.header.target, frame.header.sequence);
    }
    return told;
  };
  other_.SubscribeBestEffort(1, "a/*", 1);
  EXPECT_THAT(matches(), ElementsAre(std::pair(1u, 1u)));
  other_.Subscribe(2, "**");
  EXPECT_THAT(matches(), ElementsAre(std::pair(1u, 2u), std::pair(2u, 1u)));
  other_.Send({.kind = FrameKind::kUnsubscribe, .target = 1});
  EXPECT_THAT(matches(), ElementsAre(std::pair(1u, 1u)));
  other_.Goodbye();
  EXPECT_THAT(matches(), ElementsAre(std::pair(1u, 0u), std::pair(2u, 0u)));
}

// -- Descriptors --

TEST_F(BrokerRequestsTest, DescriptorsAreAskedForOnceAndHandedOut) {
  wire::Schema schema;
  schema.file_descriptor_set = "a set";
  schema.hash = wire::Sha256("a set");
  wire::Open open = OpenMessage(1, "t");
  open.schema_hash = schema.hash;
  client_.Send(open, 1);
  EXPECT_TRUE(client_.Only<wire::Opened>().send_schema);
  other_.Send(wire::GetSchema{schema.hash}, 5);
  EXPECT_EQ(ResultOf(&other_, 5).code, StatusCode::kNotFound);
  client_.Send(schema, 2);
  EXPECT_EQ(ResultOf(&client_, 2).code, StatusCode::kOk);
  other_.Send(wire::GetSchema{schema.hash}, 6);
  const Got frame = other_.OnlyFrame(FrameKind::kSchema);
  EXPECT_EQ(frame.header.sequence, 6u);
  EXPECT_EQ(frame.As<wire::Schema>().file_descriptor_set, "a set");
  other_.Send(open, 7);
  EXPECT_FALSE(other_.Only<wire::Opened>().send_schema);
}

// -- Lists --

TEST_F(BrokerRequestsTest, TopicsAreListedWithWhatPassed) {
  wire::Open open = OpenMessage(1, "b");
  open.type_name = "acme.B";
  client_.Send(open, 1);
  client_.Open(2, "a");
  other_.Open(1, "b");
  other_.SubscribeBestEffort(1, "b", 10);
  client_.Publish(1, 1, "12345");
  client_.Publish(1, 2, "1");
  other_.Publish(1, 1, "123");
  client_.Take();
  client_.Send(wire::ListTopics{}, 42);
  const Got frame = client_.OnlyFrame(FrameKind::kTopics);
  EXPECT_EQ(frame.header.sequence, 42u);
  const auto topics = frame.As<wire::Topics>();
  EXPECT_FALSE(topics.more);
  ASSERT_EQ(topics.topics.size(), 2u);
  EXPECT_EQ(topics.topics[0].topic, "a");
  EXPECT_EQ(topics.topics[0].messages, 0u);
  EXPECT_EQ(topics.topics[1].topic, "b");
  EXPECT_EQ(topics.topics[1].type_name, "acme.B");
  EXPECT_EQ(topics.topics[1].publishers, 2u);
  EXPECT_EQ(topics.topics[1].subscriptions, 1u);
  EXPECT_EQ(topics.topics[1].messages, 3u);
  EXPECT_EQ(topics.topics[1].bytes, 9u);
}

TEST_F(BrokerRequestsTest, ATopicKeepsTheCountsOfPublishersThatLeft) {
  client_.Open(1, "t");
  other_.Open(1, "t");
  client_.Publish(1, 1, "12345");
  client_.Send({.kind = FrameKind::kClose, .target = 1});
  other_.Take();
  other_.Send(wire::ListTopics{}, 1);
  const auto topics = other_.Only<wire::Topics>();
  ASSERT_EQ(topics.topics.size(), 1u);
  EXPECT_EQ(topics.topics[0].publishers, 1u);
  EXPECT_EQ(topics.topics[0].messages, 1u);
  EXPECT_EQ(topics.topics[0].bytes, 5u);
}

TEST_F(BrokerRequestsTest, AFragmentedMessageCountsOnceWithAllItsBytes) {
  client_.Open(1, "t");
  client_.Send(test::FragmentOf(1, 1, 0, 1));
  client_.Send(test::FragmentOf(1, 1, 1, 1));
  client_.Take();
  client_.Send(wire::ListTopics{}, 1);
  const auto topics = client_.Only<wire::Topics>();
  EXPECT_EQ(topics.topics[0].messages, 1u);
  EXPECT_EQ(topics.topics[0].bytes, kFramePayloadBytesMax + 10);
}

TEST_F(BrokerRequestsTest, TopicsComeInPages) {
  std::vector<std::string> names;
  for (uint32_t i = 0; i < 2 * kListPageItems + 1; ++i) {
    names.push_back(absl::StrFormat("t/%04d", i));
    client_.Open(i + 1, names.back());
  }
  client_.Take();
  std::vector<std::string> listed;
  std::vector<size_t> pages;
  wire::ListTopics list;
  for (bool more = true; more;) {
    client_.Send(list, 1);
    const auto topics = client_.Only<wire::Topics>();
    for (const wire::Topics::Topic& topic : topics.topics) {
      listed.push_back(topic.topic);
    }
    pages.push_back(topics.topics.size());
    list.after = listed.back();
    more = topics.more;
  }
  EXPECT_THAT(pages, ElementsAre(kListPageItems, kListPageItems, 1));
  EXPECT_EQ(listed, names);
  client_.Send(list, 1);
  EXPECT_THAT(client_.Only<wire::Topics>().topics, IsEmpty());
}

TEST_F(BrokerRequestsTest, AFullPageIsTheLastOneIfNothingFollows) {
  for (uint32_t i = 1; i <= kListPageItems; ++i) {
    client_.Open(i, absl::StrFormat("t/%04d", i));
  }
  client_.Take();
  client_.Send(wire::ListTopics{}, 1);
  const auto topics = client_.Only<wire::Topics>();
  EXPECT_EQ(topics.topics.size(), kListPageItems);
  EXPECT_FALSE(topics.more);
}

TEST_F(BrokerRequestsTest, APageEndsBehindAClientWithVeryManySubscriptions) {
  static_assert(kSubscriptionsPerSessionMax >= kListPageSteps);
  for (uint32_t i = 1; i <= kListPageSteps; ++i) {
    client_.SubscribeBestEffort(i, "t", 10);
  }
  other_.Take();
  other_.Send(wire::ListClients{}, 1);
  auto page = other_.Only<wire::Clients>();
  EXPECT_TRUE(page.more);
  ASSERT_EQ(page.clients.size(), 1u);
  EXPECT_EQ(page.clients[0].subscriptions, kListPageSteps);
  wire::ListClients list;
  list.after = page.clients[0].session_number;
  other_.Send(list, 2);
  page = other_.Only<wire::Clients>();
  EXPECT_FALSE(page.more);
  EXPECT_EQ(page.clients.size(), 1u);
}

TEST_F(BrokerRequestsTest, ClientsAreListedWithWhatTheyDo) {
  client_.Open(1, "t");
  client_.Open(2, "u");
  other_.SubscribeBestEffort(1, "t", 2);
  other_.SetRoom(0);
  for (uint64_t i = 1; i <= 5; ++i) client_.Publish(1, i, "12345");
  client_.Take();
  client_.Send(wire::ListClients{}, 42);
  const Got frame = client_.OnlyFrame(FrameKind::kClients);
  EXPECT_EQ(frame.header.sequence, 42u);
  const auto clients = frame.As<wire::Clients>();
  EXPECT_FALSE(clients.more);
  ASSERT_EQ(clients.clients.size(), 2u);
  const wire::Clients::Client& publisher = clients.clients[0];
  EXPECT_EQ(publisher.name, client_.name());
  EXPECT_EQ(publisher.session, client_.key());
  EXPECT_EQ(publisher.session_number, client_.number());
  EXPECT_EQ(publisher.gid, client_.peer().gid);
  EXPECT_TRUE(publisher.connected);
  EXPECT_EQ(publisher.publications, 2u);
  EXPECT_EQ(publisher.subscriptions, 0u);
  EXPECT_EQ(publisher.messages_in, 5u);
  EXPECT_EQ(publisher.messages_out, 0u);
  const wire::Clients::Client& reader = clients.clients[1];
  EXPECT_EQ(reader.subscriptions, 1u);
  EXPECT_EQ(reader.messages_in, 0u);
  EXPECT_EQ(reader.messages_out, 5u);
  EXPECT_EQ(reader.queued_bytes, 2 * (kFrameHeaderBytes + 5));
  EXPECT_EQ(reader.dropped, 3u);
}

TEST_F(BrokerRequestsTest, AnAwaitedClientIsListedAsNotConnected) {
  other_.Lose();
  client_.Send(wire::ListClients{.after = client_.number()}, 1);
  const auto clients = client_.Only<wire::Clients>();
  ASSERT_EQ(clients.clients.size(), 1u);
  EXPECT_EQ(clients.clients[0].session, other_.key());
  EXPECT_FALSE(clients.clients[0].connected);
}

TEST_F(BrokerRequestsTest, ClientsComeInPages) {
  for (size_t i = 2; i < kListPageItems + 3; ++i) {
    const auto id = shell_.Connect({.pid = static_cast<int32_t>(i)});
    shell_.Receive(*id, test::ControlOf(client_.HelloMessage()));
  }
  client_.Send(wire::ListClients{}, 1);
  auto clients = client_.Only<wire::Clients>();
  EXPECT_EQ(clients.clients.size(), kListPageItems);
  EXPECT_TRUE(clients.more);
  client_.Send(
      wire::ListClients{.after = clients.clients.back().session_number}, 1);
  clients = client_.Only<wire::Clients>();
  EXPECT_EQ(clients.clients.size(), 3u);
  EXPECT_FALSE(clients.more);
}

}  // namespace
}  // namespace ipc::broker
