// SPDX-License-Identifier: Apache-2.0
//
// The crowd with a real broker, in small.

#include "tests/bench/crowd.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <optional>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "tests/support/broker_process.h"

namespace ipc::bench {
namespace {

std::string Topic(size_t client, uint32_t n) {
  return absl::StrCat("topic/", client, "/", n);
}

std::string FirstTopic(size_t, uint32_t) { return Topic(0, 0); }

class CrowdTest : public testing::Test {
 protected:
  void SetUp() override {
    broker_.Start();
    auto crowd = Crowd::Make(broker_.socket_path());
    ASSERT_TRUE(crowd.ok());
    crowd_.emplace(*std::move(crowd));
    ASSERT_TRUE(crowd_->Connect(50).ok());
  }

  test::BrokerProcess broker_{IPC_BROKER_BINARY};
  std::optional<Crowd> crowd_;
};

TEST_F(CrowdTest, AllThatItAsksForIsAnswered) {
  const size_t before = broker_.Descriptors();
  EXPECT_TRUE(crowd_->Connect(40).ok());
  EXPECT_EQ(broker_.Descriptors(), before + 40);
  EXPECT_TRUE(crowd_->Open({0, 20}, 300, Topic).ok());
  EXPECT_TRUE(crowd_->Open({0, 20}, 300, Topic).ok());
  EXPECT_TRUE(crowd_->Subscribe({10, 50}, 20, Topic).ok());
  // Each is joined with a publisher, also one that comes later.
  EXPECT_TRUE(crowd_->Subscribe({50, 90}, 20, FirstTopic).ok());
  EXPECT_TRUE(crowd_->Open({40, 50}, 20, Topic).ok());
}

TEST_F(CrowdTest, WhatIsRefusedIsAnError) {
  const absl::Status refused = crowd_->Open({0, 1}, 2, FirstTopic);
  EXPECT_EQ(refused.code(), absl::StatusCode::kAlreadyExists) << refused;
}

TEST_F(CrowdTest, ServesUntilItIsStopped) {
  int fds[2];
  ASSERT_EQ(pipe(fds), 0);
  close(fds[1]);
  EXPECT_TRUE(crowd_->Serve(fds[0]).ok());
  close(fds[0]);
}

TEST_F(CrowdTest, TheBrokersEndIsAnError) {
  broker_.Terminate();
  int fds[2];
  ASSERT_EQ(pipe(fds), 0);
  const absl::Status ended = crowd_->Serve(fds[0]);
  EXPECT_EQ(ended.code(), absl::StatusCode::kUnavailable) << ended;
  close(fds[0]);
  close(fds[1]);
}

}  // namespace
}  // namespace ipc::bench
