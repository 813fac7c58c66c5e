// SPDX-License-Identifier: Apache-2.0
//
// Subscribing through libipc: patterns, the pull form, typed messages, best
// effort, handles.

#include <algorithm>
#include <memory>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/integration/bus.h"
#include "tests/support/sample.pb.h"

namespace ipc::test {
namespace {

using testing::HasSubstr;

class SubscribeTest : public BusTest {
 protected:
  void SetUp() override {
    BusTest::SetUp();
    ClientOptions options = Options("reader");
    options.on_event = log_.Handler();
    reader_ = Connect(options);
    writer_ = Connect("writer");
  }
  void Publish(std::string_view topic, std::string_view payload) {
    ASSERT_OK_AND_ASSIGN(RawPublisher publisher, writer_->AdvertiseRaw(topic));
    ASSERT_OK(publisher.Publish(payload));
    ASSERT_OK(writer_->Flush(kPatience));
  }
  // Publishes ten to a subscription that takes none before all are there, and
  // returns which it is handed then.
  std::vector<uint64_t> TakenOfTen(const SubscribeOptions& options);

  EventLog log_;
  std::unique_ptr<Client> reader_;
  std::unique_ptr<Client> writer_;
};

TEST_F(SubscribeTest, PatternsChooseTopics) {
  Inbox one_segment;
  Inbox any;
  Inbox tail;
  Inbox exact;
  ASSERT_OK_AND_ASSIGN(
      auto s1, reader_->SubscribeRaw("a/*", one_segment.Handler(), Patient()));
  ASSERT_OK_AND_ASSIGN(auto s2,
                       reader_->SubscribeRaw("**", any.Handler(), Patient()));
  ASSERT_OK_AND_ASSIGN(
      auto s3, reader_->SubscribeRaw("**/c", tail.Handler(), Patient()));
  ASSERT_OK_AND_ASSIGN(
      auto s4, reader_->SubscribeRaw("a/b/c", exact.Handler(), Patient()));
  EXPECT_EQ(s3.pattern(), "**/c");
  for (const char* topic : {"a", "a/b", "a/b/c", "b", "c"}) {
    Publish(topic, topic);
  }
  using Texts = std::vector<std::string>;
  EXPECT_EQ(one_segment.Texts(), (Texts{"a/b"}));
  EXPECT_EQ(any.Texts(), (Texts{"a", "a/b", "a/b/c", "b", "c"}));
  EXPECT_EQ(tail.Texts(), (Texts{"a/b/c", "c"}));
  EXPECT_EQ(exact.Texts(), (Texts{"a/b/c"}));
}

TEST_F(SubscribeTest, OverlappingSubscriptionsOfOneClientEachGetAll) {
  constexpr int kMessages = 1000;
  Inbox first;
  Inbox second;
  ASSERT_OK_AND_ASSIGN(
      auto s1, reader_->SubscribeRaw("a/*", first.Handler(), Patient()));
  ASSERT_OK_AND_ASSIGN(
      auto s2, reader_->SubscribeRaw("**", second.Handler(), Patient()));
  ASSERT_OK_AND_ASSIGN(auto pulled, reader_->SubscribeRaw("a/*", Patient()));
  ASSERT_OK_AND_ASSIGN(RawPublisher publisher, writer_->AdvertiseRaw("a/b"));
  std::vector<std::string> texts;
  for (int i = 0; i < kMessages; ++i) {
    texts.push_back(absl::StrCat(i));
    ASSERT_OK(publisher.Publish(texts.back()));
  }
  for (int i = 0; i < kMessages; ++i) {
    ASSERT_OK_AND_ASSIGN(const Message message, pulled.Next(kPatience));
    EXPECT_EQ(message.text(), texts[i]);
  }
  ASSERT_OK(writer_->Flush(kPatience));
  EXPECT_EQ(first.Texts(), texts);
  EXPECT_EQ(second.Texts(), texts);
  EXPECT_EQ(reader_->stats().received, 3u * kMessages);
  EXPECT_EQ(reader_->stats().missing, 0u);
}

TEST_F(SubscribeTest, BadPatternsAreRefused) {
  for (const std::string& pattern :
       {std::string(), std::string("/a"), std::string("a/"), std::string("a b"),
        std::string("a/b*"), std::string(256, 'p'),
        std::string("**/a/**/b/**/c/**/d/**")}) {
    EXPECT_CODE(kInvalidArgument, reader_->SubscribeRaw(pattern, Patient()))
        << pattern;
  }
}

TEST_F(SubscribeTest, ALimitThatTheBrokerDoesNotGrantIsItsRefusal) {
  SubscribeOptions options;
  options.policy = BestEffort{.depth = 0};
  const auto none = reader_->SubscribeRaw("a/*", Patient(options));
  EXPECT_CODE(kInvalidArgument, none);
  EXPECT_THAT(std::string(none.status().message()), HasSubstr("depth"));
  options.policy = BestEffort{.bytes = uint64_t{1} << 40};
  EXPECT_CODE(kInvalidArgument, reader_->SubscribeRaw("a/*", Patient(options)));
  // Nobody waits for this answer: it comes as an event.
  options.confirm_timeout = absl::ZeroDuration();
  ASSERT_OK_AND_ASSIGN(auto later, reader_->SubscribeRaw("a/*", options));
  ASSERT_TRUE(log_.WaitFor(Event::Kind::kRefused));
  const Event refused = log_.Of(Event::Kind::kRefused).front();
  EXPECT_EQ(refused.name, "a/*");
  EXPECT_CODE(kInvalidArgument, refused.status);
  EXPECT_CODE(kInvalidArgument, later.Next(kPatience));
}

TEST_F(SubscribeTest, NextSaysWhenNothingCame) {
  ASSERT_OK_AND_ASSIGN(auto subscription,
                       reader_->SubscribeRaw("a/*", Patient()));
  EXPECT_CODE(kDeadlineExceeded, subscription.Next(absl::ZeroDuration()));
  EXPECT_CODE(kDeadlineExceeded, subscription.Next(absl::Milliseconds(20)));
  Publish("b/c", "not for it");
  EXPECT_CODE(kDeadlineExceeded, subscription.Next(absl::ZeroDuration()));
}

TEST_F(SubscribeTest, NextIsNotForSubscriptionsWithAHandler) {
  ASSERT_OK_AND_ASSIGN(auto subscription,
                       reader_->SubscribeRaw(
                           "a/*", [](const Message&) {}, Patient()));
  EXPECT_CODE(kFailedPrecondition, subscription.Next(kPatience));
  RawSubscription empty;
  EXPECT_CODE(kFailedPrecondition, empty.Next(kPatience));
  EXPECT_EQ(empty.pattern(), "");
}

TEST_F(SubscribeTest, SeveralThreadsMayTakeFromOneSubscription) {
  constexpr int kThreads = 4;
  constexpr int kMessages = 20'000;
  ASSERT_OK_AND_ASSIGN(auto subscription,
                       reader_->SubscribeRaw("a/b", Patient()));
  ASSERT_OK_AND_ASSIGN(RawPublisher publisher, writer_->AdvertiseRaw("a/b"));
  std::vector<std::vector<uint64_t>> taken(kThreads);
  std::vector<std::thread> threads;
  for (int thread = 0; thread < kThreads; ++thread) {
    threads.emplace_back([&, thread] {
      for (;;) {
        const auto message = subscription.Next(kPatience);
        ASSERT_OK(message);
        if (message->text() == "end") return;
        taken[thread].push_back(message->sequence());
      }
    });
  }
  for (int i = 0; i < kMessages; ++i) ASSERT_OK(publisher.Publish("message"));
  for (int i = 0; i < kThreads; ++i) ASSERT_OK(publisher.Publish("end"));
  for (std::thread& thread : threads) thread.join();
  EXPECT_OK(writer_->Flush(kPatience));
  std::vector<uint64_t> all;
  for (const auto& numbers : taken) {
    EXPECT_TRUE(std::is_sorted(numbers.begin(), numbers.end()));
    all.insert(all.end(), numbers.begin(), numbers.end());
  }
  std::sort(all.begin(), all.end());
  ASSERT_EQ(all.size(), static_cast<size_t>(kMessages));
  for (size_t i = 0; i < all.size(); ++i) ASSERT_EQ(all[i], i + 1);
}

TEST_F(SubscribeTest, AThreadThatWaitsInNextIsToldWhenTheClientGoes) {
  ASSERT_OK_AND_ASSIGN(auto subscription,
                       reader_->SubscribeRaw("a/b", Patient()));
  std::thread waiting(
      [&] { EXPECT_CODE(kFailedPrecondition, subscription.Next(kPatience)); });
  reader_ = nullptr;
  waiting.join();
  EXPECT_CODE(kFailedPrecondition, subscription.Next(kPatience));
}

TEST_F(SubscribeTest, TypedMessagesComeParsedInBothForms) {
  Shared<std::vector<std::string>> texts;
  ASSERT_OK_AND_ASSIGN(
      auto both,
      reader_->Subscribe<Sample>(
          "a/*",
          [&](const Sample& sample, const Message& message) {
            texts.Update([&](auto& all) {
              all.push_back(absl::StrCat(sample.text(), " on ",
                                         std::string(message.topic())));
            });
          },
          Patient()));
  ASSERT_OK_AND_ASSIGN(auto one, reader_->Subscribe<Sample>(
                                     "a/*",
                                     [&](const Sample& sample) {
                                       texts.Update([&](auto& all) {
                                         all.push_back(sample.text());
                                       });
                                     },
                                     Patient()));
  ASSERT_OK_AND_ASSIGN(auto pulled,
                       reader_->Subscribe<Sample>("*/b", Patient()));
  ASSERT_OK_AND_ASSIGN(auto publisher, writer_->Advertise<Sample>("a/b"));
  Sample sample;
  sample.set_text("hello");
  ASSERT_OK(publisher.Publish(sample));
  ASSERT_OK_AND_ASSIGN(const auto received, pulled.Next(kPatience));
  EXPECT_EQ(received.value.text(), "hello");
  EXPECT_EQ(received.message.source().type_name, "ipc.test.Sample");
  EXPECT_EQ(received.message.source().schema_hash.size(), 32u);
  ASSERT_TRUE(texts.WaitUntil([](const auto& all) { return all.size() == 2; }));
  EXPECT_THAT(texts.Get(),
              testing::UnorderedElementsAre("hello on a/b", "hello"));
}

TEST_F(SubscribeTest, APayloadThatDoesNotParseIsToldAndTheNextOneComes) {
  Shared<std::vector<std::string>> texts;
  ASSERT_OK_AND_ASSIGN(auto handled, reader_->Subscribe<Sample>(
                                         "a/*",
                                         [&](const Sample& sample) {
                                           texts.Update([&](auto& all) {
                                             all.push_back(sample.text());
                                           });
                                         },
                                         Patient()));
  ASSERT_OK_AND_ASSIGN(auto pulled,
                       reader_->Subscribe<Sample>("a/*", Patient()));
  ASSERT_OK_AND_ASSIGN(RawPublisher publisher, writer_->AdvertiseRaw("a/b"));
  ASSERT_OK(publisher.Publish("\xff\xff\xff no protobuf"));
  Sample sample;
  sample.set_text("fine");
  ASSERT_OK(publisher.Publish(sample));
  EXPECT_CODE(kDataLoss, pulled.Next(kPatience));
  ASSERT_OK_AND_ASSIGN(const auto received, pulled.Next(kPatience));
  EXPECT_EQ(received.value.text(), "fine");
  ASSERT_OK(writer_->Flush(kPatience));
  EXPECT_EQ(texts.Get(), std::vector<std::string>{"fine"});
  ASSERT_TRUE(log_.WaitFor(Event::Kind::kRefused));
  const Event refused = log_.Of(Event::Kind::kRefused).front();
  EXPECT_EQ(refused.name, "a/b");
  EXPECT_CODE(kDataLoss, refused.status);
}

TEST_F(SubscribeTest, BestEffortDropsTheOldestAndNamesThem) {
  constexpr uint64_t kMessages = 1000;
  constexpr uint64_t kDepth = 10;
  SubscribeOptions options;
  options.policy = BestEffort{.depth = kDepth};
  ASSERT_OK_AND_ASSIGN(auto subscription,
                       reader_->SubscribeRaw("a/b", Patient(options)));
  ASSERT_OK_AND_ASSIGN(RawPublisher publisher, writer_->AdvertiseRaw("a/b"));
  for (uint64_t i = 0; i < kMessages; ++i) ASSERT_OK(publisher.Publish("x"));
  ASSERT_OK(writer_->Flush(kPatience));
  // All of them have reached the subscription or were dropped on the way.
  EXPECT_TRUE(WaitUntil([&] {
    const auto clients = writer_->ListClients(kPatience);
    return clients.ok() &&
           reader_->stats().received + clients->front().dropped == kMessages;
  }));
  std::vector<uint64_t> taken;
  for (;;) {
    const auto message = subscription.Next(absl::ZeroDuration());
    if (!message.ok()) break;
    taken.push_back(message->sequence());
  }
  ASSERT_EQ(taken.size(), kDepth);
  for (uint64_t i = 0; i < kDepth; ++i) {
    EXPECT_EQ(taken[i], kMessages - kDepth + i + 1);
  }
  // Told before the message behind it was to be had.
  std::vector<Event> gaps = log_.Of(Event::Kind::kGap);
  std::sort(gaps.begin(), gaps.end(),
            [](const Event& a, const Event& b) { return a.first < b.first; });
  uint64_t expected = 1;
  for (const Event& gap : gaps) {
    EXPECT_EQ(gap.name, "a/b");
    EXPECT_EQ(gap.source.topic, "a/b");
    EXPECT_EQ(gap.source.publisher.name, "writer");
    EXPECT_EQ(gap.first, expected);
    expected = gap.last + 1;
  }
  EXPECT_EQ(expected, taken.front());
}

std::vector<uint64_t> SubscribeTest::TakenOfTen(
    const SubscribeOptions& options) {
  auto subscription = reader_->SubscribeRaw("a/b", Patient(options));
  EXPECT_OK(subscription.status());
  auto publisher = writer_->AdvertiseRaw("a/b");
  EXPECT_OK(publisher.status());
  for (int i = 0; i < 10; ++i) EXPECT_OK(publisher->Publish("x"));
  EXPECT_TRUE(WaitUntil([&] { return reader_->stats().received == 10; }));
  std::vector<uint64_t> taken;
  for (;;) {
    // The first may have to wait until a gap is told.
    const auto message =
        subscription->Next(taken.empty() ? kPatience : absl::ZeroDuration());
    if (!message.ok()) return taken;
    taken.push_back(message->sequence());
  }
}

TEST_F(SubscribeTest, DropNewestKeepsWhatWaitsAndNamesTheRest) {
  EXPECT_EQ(
      TakenOfTen({.policy = BestEffort{.depth = 3, .drop = Drop::kNewest}}),
      (std::vector<uint64_t>{1, 2, 3}));
  ASSERT_TRUE(log_.WaitFor(Event::Kind::kGap));
  uint64_t next = 4;
  EXPECT_TRUE(WaitUntil([&] { return reader_->stats().missing == 7; }));
  for (const Event& gap : log_.Of(Event::Kind::kGap)) {
    EXPECT_EQ(gap.first, next);
    EXPECT_EQ(gap.reason, GapReason::kDepth);
    next = gap.last + 1;
  }
  EXPECT_EQ(next, 11u);
}

TEST_F(SubscribeTest, LatestKeepsTheNewestAndNamesWhatItReplaced) {
  EXPECT_EQ(TakenOfTen({.policy = Latest{}}), (std::vector<uint64_t>{10}));
  uint64_t next = 1;
  for (const Event& gap : log_.Of(Event::Kind::kGap)) {
    EXPECT_EQ(gap.first, next);
    EXPECT_EQ(gap.reason, GapReason::kLatest);
    next = gap.last + 1;
  }
  EXPECT_EQ(next, 10u);
}

TEST_F(SubscribeTest, GapsThatNobodyWantsAreCountedOnly) {
  EXPECT_EQ(TakenOfTen({.policy = Latest{}, .report_gaps = false}),
            (std::vector<uint64_t>{10}));
  EXPECT_TRUE(log_.Of(Event::Kind::kGap).empty());
  EXPECT_TRUE(WaitUntil([&] { return reader_->stats().missing == 9; }));
}

TEST_F(SubscribeTest, BestEffortThatKeepsUpMissesNothing) {
  Inbox inbox;
  SubscribeOptions options;
  options.policy = BestEffort{};
  ASSERT_OK_AND_ASSIGN(
      auto subscription,
      reader_->SubscribeRaw("a/b", inbox.Handler(), Patient(options)));
  ASSERT_OK_AND_ASSIGN(RawPublisher publisher, writer_->AdvertiseRaw("a/b"));
  for (int i = 0; i < 1000; ++i) ASSERT_OK(publisher.Publish("x"));
  EXPECT_TRUE(inbox.WaitFor(1000));
  EXPECT_TRUE(log_.Of(Event::Kind::kGap).empty());
}

TEST_F(SubscribeTest, AMessageThatWasTakenOwnsItsPayload) {
  ASSERT_OK_AND_ASSIGN(auto subscription,
                       reader_->SubscribeRaw("a/b", Patient()));
  Publish("a/c", "other");
  ASSERT_OK_AND_ASSIGN(RawPublisher publisher, writer_->AdvertiseRaw("a/b"));
  ASSERT_OK(publisher.Publish("kept"));
  ASSERT_OK_AND_ASSIGN(const Message message, subscription.Next(kPatience));
  const std::vector<Message> copies(1, message);
  subscription = RawSubscription();
  reader_ = nullptr;
  EXPECT_EQ(message.text(), "kept");
  EXPECT_EQ(copies[0].text(), "kept");
  EXPECT_EQ(copies[0].publisher().name, "writer");
}

}  // namespace
}  // namespace ipc::test
