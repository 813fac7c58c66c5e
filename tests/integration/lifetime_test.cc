// SPDX-License-Identifier: Apache-2.0
//
// After a destructor has returned, the handler does not run and will not run
// again; destructors meet running handlers in other threads here.

#include <atomic>
#include <memory>
#include <optional>
#include <string>
#include <thread>

#include "absl/time/clock.h"
#include "gtest/gtest.h"
#include "tests/integration/bus.h"

namespace ipc::test {
namespace {

// Publishes without end from a thread of its own, best effort or not.
class Flood {
 public:
  Flood(Client* client, std::string_view topic) {
    auto publisher = client->AdvertiseRaw(topic);
    EXPECT_OK(publisher);
    thread_ = std::thread([this, publisher = std::make_shared<RawPublisher>(
                                     *std::move(publisher))] {
      while (!stopping_) {
        EXPECT_OK(publisher->Publish("flood"));
      }
    });
  }
  ~Flood() {
    stopping_ = true;
    thread_.join();
  }
  Flood(const Flood&) = delete;
  Flood& operator=(const Flood&) = delete;

 private:
  std::atomic<bool> stopping_ = false;
  std::thread thread_;
};

// What a handler uses, and what must not be used any more.
struct Target {
  std::atomic<bool> alive = true;
  std::atomic<int> runs = 0;

  MessageHandler Handler() {
    return [this](const Message& message) {
      EXPECT_TRUE(alive) << "the handler runs behind its end";
      EXPECT_EQ(message.text(), "flood");
      ++runs;
    };
  }
};

using LifetimeTest = BusTest;

TEST_F(LifetimeTest, NoHandlerRunsBehindTheEndOfItsSubscription) {
  constexpr int kRounds = 200;
  auto writer = Connect("writer");
  auto reader = Connect("reader");
  const Flood flood(writer.get(), "a/b");
  Target forever;
  ASSERT_OK_AND_ASSIGN(
      auto kept, reader->SubscribeRaw("a/*", forever.Handler(), Patient()));
  for (int i = 0; i < kRounds; ++i) {
    auto target = std::make_unique<Target>();
    auto subscription =
        reader->SubscribeRaw("a/b", target->Handler(), Patient());
    ASSERT_OK(subscription);
    // Ends while handlers run, and sometimes before the first one.
    if (i % 2 == 0) {
      ASSERT_TRUE(WaitUntil([&] { return target->runs > 0; }));
    }
    *subscription = RawSubscription();
    target->alive = false;
    const int runs = forever.runs;
    ASSERT_TRUE(WaitUntil([&] { return forever.runs > runs; }));
  }
}

TEST_F(LifetimeTest, NoHandlerRunsBehindTheEndOfItsClient) {
  constexpr int kRounds = 100;
  auto writer = Connect("writer");
  const Flood flood(writer.get(), "a/b");
  for (int i = 0; i < kRounds; ++i) {
    Target target;
    auto reader = Connect("reader");
    auto subscription =
        reader->SubscribeRaw("a/*", target.Handler(), Patient());
    ASSERT_OK(subscription);
    if (i % 2 == 0) {
      ASSERT_TRUE(WaitUntil([&] { return target.runs > 0; }));
    }
    reader = nullptr;
    target.alive = false;
    // The handle may go after its client.
  }
}

TEST_F(LifetimeTest, EndingASubscriptionWaitsForItsRunningHandler) {
  auto writer = Connect("writer");
  auto reader = Connect("reader");
  Shared<bool> entered;
  Shared<bool> let_go;
  std::atomic<bool> left = false;
  ASSERT_OK_AND_ASSIGN(
      auto subscription,
      reader->SubscribeRaw(
          "a/b",
          [&](const Message&) {
            entered.Update([](bool& value) { value = true; });
            EXPECT_TRUE(let_go.WaitUntil([](bool value) { return value; }));
            left = true;
          },
          Patient()));
  ASSERT_OK_AND_ASSIGN(RawPublisher publisher, writer->AdvertiseRaw("a/b"));
  ASSERT_OK(publisher.Publish("message"));
  ASSERT_TRUE(entered.WaitUntil([](bool value) { return value; }));
  std::thread ending([&] {
    subscription = RawSubscription();
    EXPECT_TRUE(left);
  });
  let_go.Update([](bool& value) { value = true; });
  ending.join();
}

TEST_F(LifetimeTest, EndingAClientWaitsForItsRunningHandler) {
  auto writer = Connect("writer");
  auto reader = Connect("reader");
  Shared<bool> entered;
  Shared<bool> let_go;
  std::atomic<bool> left = false;
  ASSERT_OK_AND_ASSIGN(
      auto subscription,
      reader->SubscribeRaw(
          "a/b",
          [&](const Message&) {
            entered.Update([](bool& value) { value = true; });
            EXPECT_TRUE(let_go.WaitUntil([](bool value) { return value; }));
            left = true;
          },
          Patient()));
  ASSERT_OK_AND_ASSIGN(RawPublisher publisher, writer->AdvertiseRaw("a/b"));
  ASSERT_OK(publisher.Publish("message"));
  ASSERT_TRUE(entered.WaitUntil([](bool value) { return value; }));
  std::thread ending([&] {
    reader = nullptr;
    EXPECT_TRUE(left);
  });
  let_go.Update([](bool& value) { value = true; });
  ending.join();
}

// A publisher that waits for room in one thread while its client goes in
// another is let go.
TEST_F(LifetimeTest, CallsThatWaitEndWithTheClient) {
  auto reader = Connect("reader");
  ASSERT_OK_AND_ASSIGN(auto subscription,
                       reader->SubscribeRaw("a/b", Patient()));
  ClientOptions options = Options("writer");
  options.window_bytes = size_t{128} << 10;
  auto writer = Connect(options);
  ASSERT_OK_AND_ASSIGN(RawPublisher publisher, writer->AdvertiseRaw("a/b"));
  const std::string payload(1000, 'x');
  while (publisher.TryPublish(Bytes(payload)).ok()) {
  }
  std::thread waiting([&] {
    EXPECT_CODE(kFailedPrecondition,
                publisher.Publish(Bytes(payload), kPatience));
  });
  std::thread counting([&] {
    EXPECT_CODE(kFailedPrecondition,
                publisher.WaitForSubscribers(5, kPatience));
  });
  writer = nullptr;
  waiting.join();
  counting.join();
}

TEST_F(LifetimeTest, WhatIsAcceptedGoesOutBeforeTheClientsGoodbye) {
  constexpr size_t kMessages = 1000;
  auto reader = Connect("reader");
  Inbox inbox;
  ASSERT_OK_AND_ASSIGN(auto subscription,
                       reader->SubscribeRaw("a/b", inbox.Handler(), Patient()));
  {
    auto writer = Connect("writer");
    ASSERT_OK_AND_ASSIGN(RawPublisher publisher, writer->AdvertiseRaw("a/b"));
    for (size_t i = 0; i < kMessages; ++i) ASSERT_OK(publisher.Publish("x"));
  }
  EXPECT_TRUE(inbox.WaitFor(kMessages));
}

}  // namespace
}  // namespace ipc::test
