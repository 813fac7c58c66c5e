// SPDX-License-Identifier: Apache-2.0
//
// What scripted runs share: a world with a broker in it, quick ways to start
// publishers and readers, and the checks at the end.

#ifndef IPC_TESTS_SIM_WORLD_TEST_H_
#define IPC_TESTS_SIM_WORLD_TEST_H_

#include <cstddef>
#include <string>

#include "gtest/gtest.h"
#include "tests/sim/world.h"

namespace ipc::sim {

class WorldTest : public testing::Test {
 protected:
  static constexpr size_t kWindow = 128 * 1024;

  explicit WorldTest(const WorldOptions& options = {.keep_trace = true})
      : world_(options) {
    world_.StartBroker(/*restarted=*/false);
    world_.Run(kStartHold);
  }

  ~WorldTest() override {
    if (!world_.broker_up()) return;
    world_.Quiesce(absl::Seconds(30));
    EXPECT_EQ(world_.history().failure(), "");
    for (const std::string& line : world_.trace()) {
      if (!world_.history().ok()) ADD_FAILURE() << line;
    }
  }

  Client& at(int process) { return world_.client(process); }

  int StartPublisher(const std::string& topic, size_t window = kWindow,
                     bool retain_last = false) {
    int process = world_.AddClient(window);
    at(process).Advertise(topic, retain_last);
    world_.Connect(process);
    world_.Settle();
    return process;
  }
  // A client without a topic or a subscription.
  int StartClient() {
    int process = world_.AddClient(kWindow);
    world_.Connect(process);
    world_.Settle();
    return process;
  }
  // One that consumes when it is told to.
  SubscriptionId Read(int process, const std::string& pattern) {
    SubscriptionId id =
        at(process).Subscribe({.pattern = pattern, .pull = true});
    world_.Settle();
    return id;
  }

  void Publish(int process, const std::string& topic, int count,
               size_t bytes = 10) {
    for (int i = 0; i < count; ++i) {
      EXPECT_TRUE(at(process).Publish(topic, bytes, world_.now()));
    }
    at(process).Send();
  }
  void Consume(int process, int count) {
    for (int i = 0; i < count; ++i) {
      EXPECT_TRUE(at(process).ConsumeOne(world_.now()));
    }
  }
  void ConsumeAll(int process) {
    while (at(process).ConsumeOne(world_.now())) {
    }
  }
  // The connection is lost with all that is under way.
  void Lose(int process) {
    world_.Cut(process, 0, 0);
    world_.Settle();
  }
  void Return(int process) {
    EXPECT_TRUE(world_.Connect(process));
    world_.Settle();
  }
  void KillBroker() {
    world_.KillBroker();
    world_.Settle();
  }
  void ReplaceBroker() {
    KillBroker();
    world_.StartBroker(/*restarted=*/true);
  }
  void Pass(absl::Duration time) { world_.Run(time); }

  World world_;
};

}  // namespace ipc::sim

#endif  // IPC_TESTS_SIM_WORLD_TEST_H_
