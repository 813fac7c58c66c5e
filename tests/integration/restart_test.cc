// SPDX-License-Identifier: Apache-2.0
//
// Promises 1 to 3 while the broker dies and comes back at random moments under
// load: nothing is lost, nothing comes twice, nothing is out of order, and no
// gap is told.

#include <poll.h>
#include <signal.h>

#include <deque>
#include <random>

#include "gtest/gtest.h"
#include "tests/integration/bus.h"
#include "tests/integration/traffic.h"
#include "tests/support/seed.h"

namespace ipc::test {
namespace {

constexpr uint32_t kPublishers = 4;
constexpr uint32_t kSubscribers = 4;

struct RestartPlan {
  int restarts = 20;
  int signal = SIGKILL;
  size_t bytes_min = sizeof(Stamp);
  size_t bytes_max = 2000;
  uint64_t progress_max = 5000;  // deliveries between a start and the next end
};

class RestartTest : public BusTest {
 protected:
  void StartTraffic(const RestartPlan& plan);
  void EndBroker(int signal);
  // Half of the moments are found by the time since the start, so that they
  // fall into the recovery; the other half by what has arrived since.
  void AwaitMoment(const RestartPlan& plan);
  void RunRestarts(const RestartPlan& plan);
  uint64_t Received() const;

  std::mt19937_64 random_{Seed()};
  std::deque<TrafficSubscriber> subscribers_;
  std::deque<TrafficPublisher> publishers_;
};

void RestartTest::StartTraffic(const RestartPlan& plan) {
  using Form = SubscriberPlan::Form;
  for (uint32_t i = 0; i < kSubscribers; ++i) {
    subscribers_.emplace_back(
        broker_.socket_path(), "load/**",
        SubscriberPlan{.publishers = kPublishers,
                       .form = i % 2 == 0 ? Form::kHandler : Form::kPull});
  }
  for (uint32_t i = 0; i < kPublishers; ++i) {
    // A small window is full most of the time.
    const size_t window = i % 2 == 0 ? size_t{128} << 10 : size_t{4} << 20;
    publishers_.emplace_back(PublisherPlan{.socket_path = broker_.socket_path(),
                                           .number = i,
                                           .subscribers = kSubscribers,
                                           .window_bytes = window,
                                           .bytes_min = plan.bytes_min,
                                           .bytes_max = plan.bytes_max,
                                           .seed = random_()});
  }
  if (HasFailure()) return;
  for (TrafficPublisher& publisher : publishers_) publisher.Start();
}

uint64_t RestartTest::Received() const {
  uint64_t received = 0;
  for (const TrafficSubscriber& subscriber : subscribers_) {
    received += subscriber.received();
  }
  return received;
}

void RestartTest::AwaitMoment(const RestartPlan& plan) {
  if (random_() % 2 == 0) {
    constexpr uint64_t kMillisecondsMax = 20;
    poll(nullptr, 0, static_cast<int>(random_() % kMillisecondsMax));
    return;
  }
  const uint64_t goal = Received() + random_() % plan.progress_max;
  EXPECT_TRUE(WaitUntil([&] { return Received() >= goal; }))
      << "nothing arrives any more: " << Received() << " of " << goal;
}

void RestartTest::EndBroker(int signal) {
  if (signal == SIGKILL) {
    broker_.Kill();
  } else {
    EXPECT_EQ(broker_.Terminate(signal), 0);
  }
}

void RestartTest::RunRestarts(const RestartPlan& plan) {
  SCOPED_TRACE(SeedNote());
  StartTraffic(plan);
  for (int i = 0; i < plan.restarts && !HasFailure(); ++i) {
    AwaitMoment(plan);
    EndBroker(plan.signal);
    broker_.Start();
  }
  for (TrafficPublisher& publisher : publishers_) publisher.Finish();
  uint64_t published = 0;
  for (const TrafficPublisher& publisher : publishers_) {
    published += publisher.published();
  }
  for (TrafficSubscriber& subscriber : subscribers_) {
    EXPECT_EQ(subscriber.Finish(), "");
    EXPECT_EQ(subscriber.received(), published);
  }
}

TEST_F(RestartTest, NothingIsLostOrComesTwiceWhenTheBrokerIsKilled) {
  RunRestarts({});
}

TEST_F(RestartTest, NothingIsLostOrComesTwiceWhenTheBrokerIsTerminated) {
  RunRestarts({.signal = SIGTERM});
}

TEST_F(RestartTest, LargeMessagesSurviveTheBrokersDeath) {
  RunRestarts({.bytes_min = size_t{200} << 10,
               .bytes_max = size_t{1} << 20,
               .progress_max = 100});
}

// The broker dies again before anybody can have recovered.
TEST_F(RestartTest, ABrokerThatDiesAtItsStartAgainAndAgainCostsNothing) {
  SCOPED_TRACE(SeedNote());
  StartTraffic({});
  AwaitMoment({});
  for (int i = 0; i < 20 && !HasFailure(); ++i) {
    broker_.Kill();
    broker_.Start();
  }
  for (TrafficPublisher& publisher : publishers_) publisher.Finish();
  for (TrafficSubscriber& subscriber : subscribers_) {
    EXPECT_EQ(subscriber.Finish(), "");
  }
}

}  // namespace
}  // namespace ipc::test
