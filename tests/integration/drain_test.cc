// SPDX-License-Identifier: Apache-2.0
//
// A client that leaves in good order: nothing that it has accepted is lost,
// nothing new begins, and nobody waits for it.

#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "absl/synchronization/notification.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/integration/bus.h"

namespace ipc::test {
namespace {

using testing::HasSubstr;
using testing::SizeIs;

class DrainTest : public BusTest {
 protected:
  void SetUp() override {
    BusTest::SetUp();
    client_ = Connect("leaving");
    other_ = Connect("other");
  }
  // Whether the bus has forgotten it.
  bool HasLeft() {
    return WaitUntil([&] {
      const auto clients = other_->ListClients(kPatience);
      return clients.ok() && clients->size() == 1;
    });
  }

  std::unique_ptr<Client> client_;
  std::unique_ptr<Client> other_;
};

TEST_F(DrainTest, EverythingAcceptedIsConsumedBeforeTheGoodbye) {
  constexpr size_t kMessages = 5000;
  Inbox inbox;
  ASSERT_OK_AND_ASSIGN(auto subscription,
                       other_->SubscribeRaw("a", inbox.Handler(), Patient()));
  ASSERT_OK_AND_ASSIGN(RawPublisher publisher, client_->AdvertiseRaw("a"));
  for (size_t i = 0; i < kMessages; ++i) ASSERT_OK(publisher.Publish("x"));
  ASSERT_OK(client_->Drain(kPatience));
  EXPECT_THAT(inbox.Get(), SizeIs(kMessages));
  EXPECT_FALSE(client_->connected());
  EXPECT_EQ(client_->stats().unacknowledged_bytes, 0u);
  EXPECT_TRUE(HasLeft());
  ASSERT_OK_AND_ASSIGN(const BrokerStatus status, other_->Status(kPatience));
  ASSERT_FALSE(status.recent.empty());
  EXPECT_EQ(status.recent.back().name, "leaving");
  EXPECT_EQ(status.recent.back().reason, CloseReason::kDone);
  EXPECT_OK(client_->Drain(absl::ZeroDuration()));
}

TEST_F(DrainTest, NothingNewBegins) {
  ASSERT_OK_AND_ASSIGN(RawPublisher publisher, client_->AdvertiseRaw("a"));
  ASSERT_OK_AND_ASSIGN(RawSubscription pull,
                       client_->SubscribeRaw("b", Patient()));
  ASSERT_OK(client_->Drain(kPatience));
  EXPECT_CODE(kFailedPrecondition, publisher.Publish("x"));
  EXPECT_CODE(kFailedPrecondition, publisher.TryPublish(Bytes("x")));
  EXPECT_CODE(kFailedPrecondition, client_->AdvertiseRaw("b").status());
  EXPECT_CODE(kFailedPrecondition,
              client_->SubscribeRaw("c", Patient()).status());
  EXPECT_CODE(kFailedPrecondition, pull.Next(kPatience).status());
  EXPECT_CODE(kFailedPrecondition,
              client_->WatchClients([](const PresenceEvent&) {}).status());
  EXPECT_THAT(std::string(publisher.Publish("x").message()),
              HasSubstr("draining"));
}

TEST_F(DrainTest, WhatIsLeftIsCountedAndAnotherCallGoesOnWaiting) {
  ASSERT_OK_AND_ASSIGN(auto reader, other_->SubscribeRaw("a", Patient()));
  ASSERT_OK_AND_ASSIGN(RawPublisher publisher, client_->AdvertiseRaw("a"));
  for (int i = 0; i < 3; ++i) ASSERT_OK(publisher.Publish("x"));
  // The message of Next is consumed; the other two are not.
  ASSERT_OK(reader.Next(kPatience).status());
  absl::Status status = client_->Drain(absl::Milliseconds(100));
  EXPECT_CODE(kDeadlineExceeded, status);
  EXPECT_THAT(std::string(status.message()),
              testing::AnyOf(HasSubstr("2 messages"), HasSubstr("3 messages")));
  EXPECT_CODE(kFailedPrecondition, publisher.Publish("x"));
  ASSERT_OK(reader.Next(kPatience).status());
  ASSERT_OK(reader.Next(kPatience).status());
  EXPECT_OK(client_->Drain(kPatience));
  EXPECT_TRUE(HasLeft());
}

TEST_F(DrainTest, WhoWaitsForRoomIsToldAtOnce) {
  ASSERT_OK_AND_ASSIGN(auto reader, other_->SubscribeRaw("a", Patient()));
  ASSERT_OK_AND_ASSIGN(RawPublisher publisher, client_->AdvertiseRaw("a"));
  const std::string payload(32 * 1024, 'x');
  while (publisher.TryPublish(Bytes(payload)).ok()) {
  }
  std::thread waiting([&] {
    EXPECT_CODE(kFailedPrecondition,
                publisher.Publish(Bytes(payload), kPatience));
  });
  EXPECT_CODE(kDeadlineExceeded, client_->Drain(absl::Milliseconds(50)));
  waiting.join();
}

TEST_F(DrainTest, AHandlerThatRunsIsWaitedForAndItsMessageAcknowledged) {
  absl::Notification begun;
  absl::Notification go_on;
  ASSERT_OK_AND_ASSIGN(auto subscription, client_->SubscribeRaw(
                                              "a",
                                              [&](const Message&) {
                                                begun.Notify();
                                                go_on.WaitForNotification();
                                              },
                                              Patient()));
  ASSERT_OK_AND_ASSIGN(RawPublisher publisher, other_->AdvertiseRaw("a"));
  ASSERT_OK(publisher.Publish("x"));
  begun.WaitForNotification();
  absl::Status status = client_->Drain(absl::Milliseconds(50));
  EXPECT_CODE(kDeadlineExceeded, status);
  EXPECT_THAT(std::string(status.message()), HasSubstr("handler is running"));
  EXPECT_CODE(kDeadlineExceeded, other_->Flush(absl::Milliseconds(50)));
  go_on.Notify();
  EXPECT_OK(client_->Drain(kPatience));
  EXPECT_OK(other_->Flush(kPatience));
  EXPECT_TRUE(HasLeft());
}

TEST_F(DrainTest, AnIdleSubscriptionHoldsNobodyUpMeanwhile) {
  ASSERT_OK_AND_ASSIGN(auto reader, other_->SubscribeRaw("out", Patient()));
  ASSERT_OK_AND_ASSIGN(
      auto idle, client_->SubscribeRaw(
                     "in", [](const Message&) { ADD_FAILURE(); }, Patient()));
  ASSERT_OK_AND_ASSIGN(RawPublisher out, client_->AdvertiseRaw("out"));
  ASSERT_OK_AND_ASSIGN(RawPublisher in, other_->AdvertiseRaw("in"));
  ASSERT_OK(out.Publish("not taken yet"));
  EXPECT_CODE(kDeadlineExceeded, client_->Drain(absl::Milliseconds(50)));
  ASSERT_OK(in.Publish("for nobody"));
  EXPECT_OK(other_->Flush(kPatience));
  ASSERT_OK(reader.Next(kPatience).status());
  EXPECT_OK(client_->Drain(kPatience));
}

TEST_F(DrainTest, WhatWaitsForNextIsGivenUpAndHoldsNobodyUp) {
  ASSERT_OK_AND_ASSIGN(auto pull, client_->SubscribeRaw("a", Patient()));
  ASSERT_OK_AND_ASSIGN(RawPublisher publisher, other_->AdvertiseRaw("a"));
  ASSERT_OK(publisher.Publish("1"));
  ASSERT_OK(publisher.Publish("2"));
  ASSERT_OK(pull.Next(kPatience).status());
  EXPECT_OK(client_->Drain(kPatience));
  EXPECT_OK(other_->Flush(kPatience));
  EXPECT_CODE(kFailedPrecondition, pull.Next(kPatience).status());
}

TEST_F(DrainTest, AHandlerMayDrainItsClient) {
  Inbox inbox;
  ASSERT_OK_AND_ASSIGN(
      auto answers, other_->SubscribeRaw("answer", inbox.Handler(), Patient()));
  ASSERT_OK_AND_ASSIGN(RawPublisher answer, client_->AdvertiseRaw("answer"));
  ASSERT_OK_AND_ASSIGN(auto questions,
                       client_->SubscribeRaw(
                           "question",
                           [&](const Message&) {
                             EXPECT_OK(answer.Publish("the last"));
                             EXPECT_OK(client_->Drain(kPatience));
                             EXPECT_EQ(inbox.Get().size(), 1u);
                             // The rest comes when this has returned.
                             EXPECT_TRUE(client_->connected());
                           },
                           Patient()));
  ASSERT_OK_AND_ASSIGN(RawPublisher question, other_->AdvertiseRaw("question"));
  ASSERT_OK(question.Publish("?"));
  EXPECT_OK(other_->Flush(kPatience));
  EXPECT_TRUE(HasLeft());
  // The bus hears the goodbye before the client is through with it.
  EXPECT_OK(client_->Drain(kPatience));
  EXPECT_FALSE(client_->connected());
}

TEST_F(DrainTest, AManualLoopIsTurnedByTheCall) {
  ClientOptions options = Options("manual");
  options.manual_loop = true;
  client_ = Connect(options);
  Inbox inbox;
  ASSERT_OK_AND_ASSIGN(auto subscription,
                       other_->SubscribeRaw("a", inbox.Handler(), Patient()));
  ASSERT_OK_AND_ASSIGN(RawPublisher publisher, client_->AdvertiseRaw("a"));
  ASSERT_OK(publisher.Publish("x"));
  ASSERT_OK(client_->Drain(kPatience));
  EXPECT_THAT(inbox.Get(), SizeIs(1));
  EXPECT_TRUE(HasLeft());
  EXPECT_OK(client_->Process());
}

TEST_F(DrainTest, ItWaitsForABrokerThatIsAway) {
  Inbox inbox;
  ASSERT_OK_AND_ASSIGN(auto subscription,
                       other_->SubscribeRaw("a", inbox.Handler(), Patient()));
  ASSERT_OK_AND_ASSIGN(RawPublisher publisher, client_->AdvertiseRaw("a"));
  broker_.Kill();
  ASSERT_OK(publisher.Publish("x"));
  EXPECT_CODE(kDeadlineExceeded, client_->Drain(absl::Milliseconds(50)));
  broker_.Start();
  EXPECT_OK(client_->Drain(kPatience));
  EXPECT_THAT(inbox.Get(), SizeIs(1));
  EXPECT_TRUE(HasLeft());
}

}  // namespace
}  // namespace ipc::test
