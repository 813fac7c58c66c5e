// SPDX-License-Identifier: Apache-2.0
//
// Acknowledgement by hand with the real broker: the publisher's log keeps what
// is not acknowledged, whoever acknowledges it, from wherever.

#include <string>
#include <thread>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/integration/bus.h"

namespace ipc::test {
namespace {

using absl::StatusCode;

constexpr absl::Duration kShortly = absl::Milliseconds(50);

SubscribeOptions Manual() {
  return Patient({.acknowledge = Acknowledge::kManual});
}

class ManualAcknowledgeTest : public BusTest {
 protected:
  void SetUp() override {
    BusTest::SetUp();
    writer_ = Connect("writer");
    reader_ = Connect("reader");
    ASSERT_OK_AND_ASSIGN(publisher_, writer_->AdvertiseRaw("jobs"));
  }
  void Publish(int count) {
    for (int i = 0; i < count; ++i) ASSERT_OK(publisher_.Publish("job"));
  }
  StatusCode Flushed(absl::Duration timeout) {
    return writer_->Flush(timeout).code();
  }

  std::unique_ptr<Client> writer_;
  std::unique_ptr<Client> reader_;
  RawPublisher publisher_;
};

TEST_F(ManualAcknowledgeTest, FlushWaitsForIt) {
  ASSERT_OK_AND_ASSIGN(auto subscription,
                       reader_->SubscribeRaw("jobs", Manual()));
  Publish(2);
  ASSERT_OK_AND_ASSIGN(Message first, subscription.Next(kPatience));
  ASSERT_OK_AND_ASSIGN(Message second, subscription.Next(kPatience));
  ASSERT_OK(second.Acknowledge());
  EXPECT_EQ(Flushed(kShortly), StatusCode::kDeadlineExceeded);
  ASSERT_OK(first.Acknowledge());
  EXPECT_EQ(Flushed(kPatience), StatusCode::kOk);
  ASSERT_OK(first.Acknowledge());  // a second time
}

TEST_F(ManualAcknowledgeTest, AnyThreadMayInAnyOrder) {
  constexpr size_t kMessages = 2000;
  Shared<std::vector<AckToken>> tokens;
  ASSERT_OK_AND_ASSIGN(auto subscription,
                       reader_->SubscribeRaw(
                           "jobs",
                           [&](const Message& message) {
                             tokens.Update([&](auto& all) {
                               all.push_back(message.ack_token());
                             });
                           },
                           Manual()));
  Publish(kMessages);
  ASSERT_TRUE(tokens.WaitUntil(
      [](const auto& all) { return all.size() == kMessages; }));
  const std::vector<AckToken> all = tokens.Get();
  std::vector<std::thread> workers;
  for (size_t worker = 0; worker < 4; ++worker) {
    workers.emplace_back([&all, worker] {
      for (size_t i = kMessages; i-- > 0;) {
        if (i % 4 == worker) {
          EXPECT_OK(all[i].Acknowledge());
        }
      }
    });
  }
  for (std::thread& worker : workers) worker.join();
  EXPECT_EQ(Flushed(kPatience), StatusCode::kOk);
}

TEST_F(ManualAcknowledgeTest, AHandlerMay) {
  ASSERT_OK_AND_ASSIGN(
      auto subscription,
      reader_->SubscribeRaw(
          "jobs",
          [](const Message& message) { EXPECT_OK(message.Acknowledge()); },
          Manual()));
  Publish(100);
  EXPECT_EQ(Flushed(kPatience), StatusCode::kOk);
}

TEST_F(ManualAcknowledgeTest, NothingComesTwiceFromARestartedBroker) {
  Inbox inbox;
  ASSERT_OK_AND_ASSIGN(
      auto subscription,
      reader_->SubscribeRaw("jobs", inbox.Handler(), Manual()));
  Publish(3);
  ASSERT_TRUE(inbox.WaitFor(3));
  ASSERT_OK(inbox.Get()[0].Acknowledge());
  broker_.Kill();
  ASSERT_OK(inbox.Get()[2].Acknowledge());  // while there is no broker
  broker_.Start();
  ASSERT_TRUE(
      WaitUntil([&] { return writer_->connected() && reader_->connected(); }));
  Publish(1);
  ASSERT_TRUE(inbox.WaitFor(4));
  EXPECT_EQ(Flushed(kShortly), StatusCode::kDeadlineExceeded);
  ASSERT_OK(inbox.Get()[1].Acknowledge());
  ASSERT_OK(inbox.Get()[3].Acknowledge());
  EXPECT_EQ(Flushed(kPatience), StatusCode::kOk);
  EXPECT_EQ(inbox.Get().size(), 4u);
  EXPECT_EQ(reader_->stats().missing, 0u);
}

TEST_F(ManualAcknowledgeTest, WhatIsNotAcknowledgedWaitsForNobodyWhoIsGone) {
  ASSERT_OK_AND_ASSIGN(auto subscription,
                       reader_->SubscribeRaw("jobs", Manual()));
  Publish(1);
  ASSERT_OK_AND_ASSIGN(Message message, subscription.Next(kPatience));
  EXPECT_EQ(Flushed(kShortly), StatusCode::kDeadlineExceeded);
  subscription = RawSubscription();
  EXPECT_EQ(Flushed(kPatience), StatusCode::kOk);
  EXPECT_EQ(message.Acknowledge().code(), StatusCode::kFailedPrecondition);
  reader_.reset();
  EXPECT_EQ(message.Acknowledge().code(), StatusCode::kFailedPrecondition);
}

TEST_F(ManualAcknowledgeTest, AFullWindowWaitsForTheNextAcknowledgement) {
  ASSERT_OK_AND_ASSIGN(auto subscription,
                       reader_->SubscribeRaw("jobs", Manual()));
  const std::string large(1 << 20, 'x');
  int published = 0;
  while (publisher_.TryPublish(Bytes(large)).ok()) ++published;
  ASSERT_GT(published, 1);
  std::vector<Message> messages;
  for (int i = 0; i < published; ++i) {
    ASSERT_OK_AND_ASSIGN(Message message, subscription.Next(kPatience));
    messages.push_back(std::move(message));
  }
  EXPECT_EQ(publisher_.TryPublish(Bytes(large)).code(),
            StatusCode::kResourceExhausted);
  for (const Message& message : messages) ASSERT_OK(message.Acknowledge());
  ASSERT_OK(publisher_.Publish(Bytes(large)));
}

TEST_F(ManualAcknowledgeTest, WhatCannotBeAcknowledgedIsAnError) {
  EXPECT_EQ(Message().Acknowledge().code(), StatusCode::kInvalidArgument);
  EXPECT_EQ(AckToken().Acknowledge().code(), StatusCode::kInvalidArgument);
  EXPECT_EQ(reader_
                ->SubscribeRaw("jobs", {.policy = BestEffort{},
                                        .acknowledge = Acknowledge::kManual})
                .status()
                .code(),
            StatusCode::kInvalidArgument);
  ASSERT_OK_AND_ASSIGN(auto automatic,
                       reader_->SubscribeRaw("jobs", Patient()));
  Publish(1);
  ASSERT_OK_AND_ASSIGN(Message message, automatic.Next(kPatience));
  EXPECT_EQ(message.Acknowledge().code(), StatusCode::kFailedPrecondition);
}

}  // namespace
}  // namespace ipc::test
