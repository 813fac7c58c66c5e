// SPDX-License-Identifier: Apache-2.0
//
// Publishing through libipc: the window and its limits, Flush, counting
// subscribers, handles.

#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/integration/bus.h"
#include "tests/support/sample.pb.h"

namespace ipc::test {
namespace {

using testing::HasSubstr;

constexpr size_t kSmallWindow = size_t{128} << 10;
constexpr absl::Duration kShortly = absl::Milliseconds(50);

class PublishTest : public BusTest {
 protected:
  void SetUp() override {
    BusTest::SetUp();
    reader_ = Connect("reader");
    ClientOptions options = Options("writer");
    options.window_bytes = kSmallWindow;
    writer_ = Connect(options);
  }
  // A subscription that consumes only what the test takes.
  RawSubscription SubscribePull(std::string_view pattern) {
    absl::StatusOr<RawSubscription> subscription =
        reader_->SubscribeRaw(pattern, Patient());
    EXPECT_OK(subscription);
    return *std::move(subscription);
  }
  RawPublisher Advertise(std::string_view topic) {
    absl::StatusOr<RawPublisher> publisher = writer_->AdvertiseRaw(topic);
    EXPECT_OK(publisher);
    return *std::move(publisher);
  }
  // Returns how many messages of 1000 bytes it took.
  static int FillWindow(RawPublisher* publisher) {
    int count = 0;
    const std::string payload(1000, 'w');
    while (publisher->TryPublish(Bytes(payload)).ok()) ++count;
    return count;
  }

  std::unique_ptr<Client> reader_;
  std::unique_ptr<Client> writer_;
};

TEST_F(PublishTest, TryPublishTellsAFullWindowAndItsSize) {
  RawSubscription subscription = SubscribePull("a/b");
  RawPublisher publisher = Advertise("a/b");
  const int accepted = FillWindow(&publisher);
  EXPECT_GT(accepted, 100);
  EXPECT_LT(accepted, 132);
  const absl::Status status =
      publisher.TryPublish(Bytes(std::string(1000, 'x')));
  EXPECT_CODE(kResourceExhausted, status);
  EXPECT_THAT(std::string(status.message()),
              HasSubstr(absl::StrCat(kSmallWindow)));
  // Everything that was accepted arrives, and nothing else.
  for (int i = 1; i <= accepted; ++i) {
    ASSERT_OK_AND_ASSIGN(const Message message, subscription.Next(kPatience));
    EXPECT_EQ(message.sequence(), static_cast<uint64_t>(i));
  }
  ASSERT_OK(writer_->Flush(kPatience));
  ASSERT_OK(publisher.Publish("next"));
  EXPECT_EQ(subscription.Next(kPatience)->text(), "next");
}

TEST_F(PublishTest, PublishWaitsForRoomNoLongerThanItsTime) {
  RawSubscription subscription = SubscribePull("a/b");
  RawPublisher publisher = Advertise("a/b");
  const int accepted = FillWindow(&publisher);
  const std::string payload(1000, 'x');
  const absl::Time start = absl::Now();
  EXPECT_CODE(kDeadlineExceeded, publisher.Publish(Bytes(payload), kShortly));
  EXPECT_GE(absl::Now() - start, kShortly);
  EXPECT_CODE(kResourceExhausted,
              publisher.Publish(Bytes(payload), absl::ZeroDuration()));
  // What was refused has no number.
  for (int i = 0; i < accepted; ++i) ASSERT_OK(subscription.Next(kPatience));
  ASSERT_OK(publisher.Publish(Bytes(payload), kPatience));
  EXPECT_EQ(subscription.Next(kPatience)->sequence(),
            static_cast<uint64_t>(accepted) + 1);
}

TEST_F(PublishTest, PublishWakesAsSoonAsThereIsRoom) {
  RawSubscription subscription = SubscribePull("a/b");
  RawPublisher publisher = Advertise("a/b");
  const int accepted = FillWindow(&publisher);
  std::thread waiting([&] {
    EXPECT_OK(publisher.Publish(Bytes(std::string(1000, 'x')), kPatience));
  });
  for (int i = 0; i <= accepted; ++i) EXPECT_OK(subscription.Next(kPatience));
  waiting.join();
}

TEST_F(PublishTest, TheClientsOwnTimeCountsWhereTheCallNamesNone) {
  ClientOptions options = Options("impatient");
  options.window_bytes = kSmallWindow;
  options.publish_timeout = kShortly;
  auto impatient = Connect(options);
  RawSubscription subscription = SubscribePull("a/b");
  ASSERT_OK_AND_ASSIGN(RawPublisher publisher, impatient->AdvertiseRaw("a/b"));
  FillWindow(&publisher);
  EXPECT_CODE(kDeadlineExceeded, publisher.Publish(std::string(1000, 'x')));
}

TEST_F(PublishTest, WithoutASubscriberNothingHoldsThePublisher) {
  RawPublisher publisher = Advertise("a/b");
  const std::string payload(10'000, 'x');
  for (int i = 0; i < 1000; ++i) ASSERT_OK(publisher.Publish(payload));
  EXPECT_OK(writer_->Flush(kPatience));
  EXPECT_EQ(writer_->stats().published, 1000u);
  EXPECT_EQ(writer_->stats().unacknowledged_bytes, 0u);
}

TEST_F(PublishTest, FlushWaitsUntilEverySubscriptionHasConsumedAll) {
  RawSubscription first = SubscribePull("a/b");
  RawSubscription second = SubscribePull("a/*");
  RawPublisher publisher = Advertise("a/b");
  ASSERT_OK(publisher.Publish("payload"));
  EXPECT_CODE(kDeadlineExceeded, writer_->Flush(kShortly));
  ASSERT_OK(first.Next(kPatience));
  EXPECT_CODE(kDeadlineExceeded, writer_->Flush(kShortly));
  EXPECT_GT(writer_->stats().unacknowledged_bytes, 0u);
  ASSERT_OK(second.Next(kPatience));
  EXPECT_OK(writer_->Flush(kPatience));
  EXPECT_EQ(writer_->stats().unacknowledged_bytes, 0u);
}

TEST_F(PublishTest, ASubscriptionThatEndsReleasesWhatItHeld) {
  std::optional<RawSubscription> subscription = SubscribePull("a/b");
  RawPublisher publisher = Advertise("a/b");
  FillWindow(&publisher);
  EXPECT_CODE(kDeadlineExceeded, writer_->Flush(kShortly));
  subscription.reset();
  EXPECT_OK(writer_->Flush(kPatience));
}

TEST_F(PublishTest, ASubscribersEndReleasesWhatItHeld) {
  RawSubscription subscription = SubscribePull("a/b");
  RawPublisher publisher = Advertise("a/b");
  FillWindow(&publisher);
  EXPECT_CODE(kDeadlineExceeded, writer_->Flush(kShortly));
  reader_ = nullptr;
  EXPECT_OK(writer_->Flush(kPatience));
}

TEST_F(PublishTest, SubscribersAreCountedAsTheyComeAndGo) {
  RawPublisher publisher = Advertise("a/b");
  EXPECT_EQ(publisher.subscribers(), 0u);
  EXPECT_OK(publisher.WaitForSubscribers(0, absl::ZeroDuration()));
  EXPECT_CODE(kDeadlineExceeded, publisher.WaitForSubscribers(1, kShortly));
  std::optional<RawSubscription> exact = SubscribePull("a/b");
  EXPECT_OK(publisher.WaitForSubscribers(1, kPatience));
  SubscribeOptions options;
  options.policy = BestEffort{};
  ASSERT_OK_AND_ASSIGN(auto best_effort,
                       writer_->SubscribeRaw("**", Patient(options)));
  EXPECT_OK(publisher.WaitForSubscribers(2, kPatience));
  RawSubscription elsewhere = SubscribePull("b/**");
  EXPECT_EQ(publisher.subscribers(), 2u);
  exact.reset();
  EXPECT_TRUE(WaitUntil([&] { return publisher.subscribers() == 1; }));
  // A second publisher of the topic counts the same.
  ASSERT_OK_AND_ASSIGN(RawPublisher other, reader_->AdvertiseRaw("a/b"));
  EXPECT_OK(other.WaitForSubscribers(1, kPatience));
}

TEST_F(PublishTest, TheFirstMessageBehindWaitForSubscribersArrives) {
  for (int i = 0; i < 20; ++i) {
    const std::string topic = absl::StrCat("round/", i);
    RawPublisher publisher = Advertise(topic);
    RawSubscription subscription;
    std::thread late([&] { subscription = SubscribePull(topic); });
    EXPECT_OK(publisher.WaitForSubscribers(1, kPatience));
    EXPECT_OK(publisher.Publish(topic));
    late.join();
    const auto message = subscription.Next(kPatience);
    ASSERT_OK(message);
    EXPECT_EQ(message->text(), topic);
  }
}

TEST_F(PublishTest, TwoHandlesOnOneTopicShareOneStream) {
  RawSubscription subscription = SubscribePull("a/b");
  std::optional<RawPublisher> first = Advertise("a/b");
  RawPublisher second = Advertise("a/b");
  EXPECT_EQ(first->topic(), "a/b");
  EXPECT_EQ(second.topic(), "a/b");
  ASSERT_OK(first->Publish("1"));
  ASSERT_OK(second.Publish("2"));
  first.reset();
  ASSERT_OK(second.Publish("3"));
  for (uint64_t i = 1; i <= 3; ++i) {
    ASSERT_OK_AND_ASSIGN(const Message message, subscription.Next(kPatience));
    EXPECT_EQ(message.sequence(), i);
    EXPECT_EQ(message.text(), absl::StrCat(i));
  }
  ASSERT_OK_AND_ASSIGN(const auto topics, writer_->ListTopics(kPatience));
  ASSERT_EQ(topics.size(), 1u);
  EXPECT_EQ(topics[0].publishers, 1u);
}

TEST_F(PublishTest, ATopicThatIsGivenBackIsGoneAndMayBeTakenAgain) {
  {
    RawPublisher publisher = Advertise("a/b");
    ASSERT_OK(publisher.Publish("once"));
    ASSERT_OK(writer_->Flush(kPatience));
  }
  EXPECT_TRUE(WaitUntil([&] {
    const auto topics = writer_->ListTopics(kPatience);
    return topics.ok() && topics->empty();
  }));
  RawSubscription subscription = SubscribePull("a/b");
  ASSERT_OK_AND_ASSIGN(auto again, writer_->Advertise<Sample>("a/b"));
  ASSERT_OK(again.Publish(Sample()));
  const auto message = subscription.Next(kPatience);
  ASSERT_OK(message);
  EXPECT_EQ(message->source().type_name, "ipc.test.Sample");
}

TEST_F(PublishTest, ATopicGivenBackWithUnreadMessagesDeliversThemFirst) {
  RawSubscription subscription = SubscribePull("a/b");
  {
    RawPublisher publisher = Advertise("a/b");
    ASSERT_OK(publisher.Publish("one"));
    ASSERT_OK(publisher.Publish("two"));
  }
  EXPECT_EQ(subscription.Next(kPatience)->text(), "one");
  EXPECT_EQ(subscription.Next(kPatience)->text(), "two");
  EXPECT_OK(writer_->Flush(kPatience));
}

TEST_F(PublishTest, ATopicHasOneTypeInOneClient) {
  ASSERT_OK_AND_ASSIGN(auto sample, writer_->Advertise<Sample>("a/b"));
  const auto other = writer_->Advertise<Other>("a/b");
  EXPECT_CODE(kInvalidArgument, other);
  EXPECT_THAT(std::string(other.status().message()),
              HasSubstr("ipc.test.Sample"));
  EXPECT_CODE(kInvalidArgument, writer_->AdvertiseRaw("a/b"));
  EXPECT_OK(writer_->Advertise<Sample>("a/b"));
  EXPECT_OK(writer_->Advertise<Other>("a/c"));
}

TEST_F(PublishTest, APublisherThatOutlivesItsClientSaysSo) {
  RawPublisher publisher = Advertise("a/b");
  Publisher<Sample> typed = *writer_->Advertise<Sample>("a/c");
  writer_ = nullptr;
  EXPECT_CODE(kFailedPrecondition, publisher.Publish("too late"));
  EXPECT_CODE(kFailedPrecondition, publisher.TryPublish(Bytes("too late")));
  EXPECT_CODE(kFailedPrecondition, typed.Publish(Sample()));
  EXPECT_CODE(kFailedPrecondition,
              publisher.WaitForSubscribers(1, absl::Milliseconds(1)));
  EXPECT_EQ(publisher.topic(), "a/b");
}

TEST_F(PublishTest, AnEmptyOrMovedHandleSaysSo) {
  RawPublisher empty;
  EXPECT_CODE(kFailedPrecondition, empty.Publish("x"));
  EXPECT_CODE(kFailedPrecondition, empty.TryPublish(Bytes("x")));
  EXPECT_CODE(kFailedPrecondition, empty.WaitForSubscribers(1, kPatience));
  EXPECT_EQ(empty.topic(), "");
  EXPECT_EQ(empty.subscribers(), 0u);
  RawPublisher publisher = Advertise("a/b");
  RawPublisher moved = std::move(publisher);
  EXPECT_OK(moved.Publish("x"));
  EXPECT_OK(writer_->Flush(kPatience));
}

TEST_F(PublishTest, ThreadsMayShareOnePublisher) {
  constexpr int kThreads = 4;
  constexpr int kMessages = 5000;
  Inbox inbox;
  ASSERT_OK_AND_ASSIGN(
      auto subscription,
      reader_->SubscribeRaw("a/b", inbox.Handler(), Patient()));
  RawPublisher publisher = Advertise("a/b");
  std::vector<std::thread> threads;
  for (int thread = 0; thread < kThreads; ++thread) {
    threads.emplace_back([&publisher, thread] {
      for (int i = 0; i < kMessages; ++i) {
        EXPECT_OK(publisher.Publish(absl::StrCat(thread, " ", i)));
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  ASSERT_OK(writer_->Flush(kPatience));
  // Each thread's messages are in the order of its calls.
  std::vector<int> next(kThreads);
  const std::vector<Message> messages = inbox.Get();
  ASSERT_EQ(messages.size(), static_cast<size_t>(kThreads) * kMessages);
  for (size_t i = 0; i < messages.size(); ++i) {
    EXPECT_EQ(messages[i].sequence(), i + 1);
    const int thread = messages[i].text().front() - '0';
    EXPECT_EQ(messages[i].text(), absl::StrCat(thread, " ", next[thread]++));
  }
}

TEST_F(PublishTest, TheTimeOfPublishingTravelsWithTheMessage) {
  RawSubscription subscription = SubscribePull("a/b");
  RawPublisher publisher = Advertise("a/b");
  const absl::Time before = absl::Now();
  ASSERT_OK(publisher.Publish("now"));
  const auto message = subscription.Next(kPatience);
  ASSERT_OK(message);
  EXPECT_GT(message->publish_time(), absl::ZeroDuration());
  EXPECT_GE(message->Age(), absl::ZeroDuration());
  EXPECT_LE(message->Age(), absl::Now() - before + absl::Milliseconds(1));
}

}  // namespace
}  // namespace ipc::test
