// SPDX-License-Identifier: Apache-2.0
//
// Promise 1: every subscriber sees the messages of one publisher in the order
// in which they were published, over all its topics; and all of them, once.

#include <deque>
#include <string>

#include "gtest/gtest.h"
#include "tests/integration/bus.h"
#include "tests/integration/traffic.h"
#include "tests/support/seed.h"

namespace ipc::test {
namespace {

using OrderTest = BusTest;

TEST_F(OrderTest, FourSubscribersGetAMillionMessagesOfFourPublishersInOrder) {
  SCOPED_TRACE(SeedNote());
  constexpr uint32_t kPublishers = 4;
  constexpr uint32_t kSubscribers = 4;
  constexpr uint64_t kMessages = kSanitized ? 100'000 : 1'000'000;
  std::deque<TrafficSubscriber> subscribers;
  for (uint32_t i = 0; i < kSubscribers; ++i) {
    subscribers.emplace_back(broker_.socket_path(), "load/**",
                             SubscriberPlan{.publishers = kPublishers});
  }
  std::deque<TrafficPublisher> publishers;
  for (uint32_t i = 0; i < kPublishers; ++i) {
    publishers.emplace_back(PublisherPlan{.socket_path = broker_.socket_path(),
                                          .number = i,
                                          .subscribers = kSubscribers,
                                          .bytes_max = 64,
                                          .count = kMessages / kPublishers,
                                          .seed = Seed() + i});
  }
  if (HasFailure()) return;
  for (TrafficPublisher& publisher : publishers) publisher.Start();
  for (TrafficSubscriber& subscriber : subscribers) {
    EXPECT_EQ(subscriber.Finish(), "");
    EXPECT_EQ(subscriber.received(), kMessages);
  }
}

TEST_F(OrderTest, SubscribersOfSomeTopicsGetTheirShareInOrder) {
  constexpr int kRounds = 20'000;
  Inbox both;
  Inbox one;
  auto reader = Connect("reader");
  ASSERT_OK_AND_ASSIGN(auto all,
                       reader->SubscribeRaw("a/**", both.Handler(), Patient()));
  ASSERT_OK_AND_ASSIGN(auto some,
                       reader->SubscribeRaw("a/2", one.Handler(), Patient()));
  auto writer = Connect("writer");
  ASSERT_OK_AND_ASSIGN(RawPublisher first, writer->AdvertiseRaw("a/1"));
  ASSERT_OK_AND_ASSIGN(RawPublisher second, writer->AdvertiseRaw("a/2"));
  std::vector<std::string> all_texts;
  std::vector<std::string> second_texts;
  for (int i = 0; i < kRounds; ++i) {
    all_texts.push_back(std::to_string(2 * i));
    ASSERT_OK(first.Publish(all_texts.back()));
    all_texts.push_back(std::to_string(2 * i + 1));
    second_texts.push_back(all_texts.back());
    ASSERT_OK(second.Publish(all_texts.back()));
  }
  ASSERT_OK(writer->Flush(kPatience));
  EXPECT_EQ(both.Texts(), all_texts);
  EXPECT_EQ(one.Texts(), second_texts);
}

}  // namespace
}  // namespace ipc::test
