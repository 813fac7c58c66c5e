// SPDX-License-Identifier: Apache-2.0
//
// Load that knows whether it arrived: publishers that stamp what they publish
// (tests/support/stamp.h), each with a client and a thread of its own, and
// subscribers that keep a ledger.
//
//   TrafficSubscriber subscriber(path, "load/**", {.publishers = 1});
//   TrafficPublisher publisher({.socket_path = path, .subscribers = 1});
//   publisher.Start();
//   ...
//   publisher.Finish();
//   EXPECT_EQ(subscriber.Finish(), "");

#ifndef IPC_TESTS_INTEGRATION_TRAFFIC_H_
#define IPC_TESTS_INTEGRATION_TRAFFIC_H_

#include <atomic>
#include <cstdint>
#include <limits>
#include <memory>
#include <random>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "ipc/client.h"
#include "tests/support/deadline.h"
#include "tests/support/stamp.h"

namespace ipc::test {

struct PublisherPlan {
  std::string socket_path;
  uint32_t number = 0;       // its topics are load/<number>/<0, 1, ...>
  uint32_t topics = 3;       // each message goes to one, at random
  uint32_t subscribers = 1;  // on each topic, waited for before the first one
  size_t window_bytes = size_t{4} << 20;
  size_t bytes_min = sizeof(Stamp);  // of a payload, at random
  size_t bytes_max = 256;
  // It ends by itself after so many, the last one included.
  uint64_t count = std::numeric_limits<uint64_t>::max();
  uint64_t seed = 0;
};

class TrafficPublisher {
 public:
  // Connects and opens its topics; waits for the subscribers.
  explicit TrafficPublisher(const PublisherPlan& plan);
  ~TrafficPublisher();
  TrafficPublisher(const TrafficPublisher&) = delete;
  TrafficPublisher& operator=(const TrafficPublisher&) = delete;

  void Start();
  // Publishes the last message unless `count` has done so, and waits until all
  // is acknowledged. What goes wrong fails the test.
  void Finish();

  // Accepted so far.
  uint64_t published() const { return published_; }

 private:
  void Open();
  void Run();
  absl::Status PublishOne(bool last);

  const PublisherPlan plan_;
  std::mt19937_64 random_;
  std::unique_ptr<Client> client_;
  std::vector<RawPublisher> topics_;
  std::string payload_;
  std::atomic<bool> stopping_ = false;
  std::atomic<uint64_t> published_ = 0;
  std::thread thread_;
};

struct SubscriberPlan {
  enum class Form { kHandler, kPull };

  size_t publishers = 1;  // whose last messages end it
  Form form = Form::kHandler;
};

class TrafficSubscriber {
 public:
  // Subscribes, reliably.
  TrafficSubscriber(const std::string& socket_path, std::string_view pattern,
                    const SubscriberPlan& plan);
  ~TrafficSubscriber();
  TrafficSubscriber(const TrafficSubscriber&) = delete;
  TrafficSubscriber& operator=(const TrafficSubscriber&) = delete;

  uint64_t received() const { return received_; }
  // Messages that came again on the wire, and were dropped.
  uint64_t duplicates() const { return client_->stats().duplicates; }

  // Waits for every publisher's last message and ends the subscription.
  // Returns what is wrong with what came, gaps included; empty if nothing is.
  std::string Finish();

 private:
  void Open(const std::string& socket_path, std::string_view pattern);
  void OnMessage(const Message& message);
  void Pull();

  const SubscriberPlan plan_;
  Ledger ledger_;
  std::atomic<uint64_t> received_ = 0;
  std::atomic<uint64_t> gaps_ = 0;
  Shared<bool> done_;
  std::unique_ptr<Client> client_;
  RawSubscription subscription_;
  std::thread puller_;
};

}  // namespace ipc::test

#endif  // IPC_TESTS_INTEGRATION_TRAFFIC_H_
