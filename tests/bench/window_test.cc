// SPDX-License-Identifier: Apache-2.0

#include "tests/bench/window.h"

#include <gtest/gtest.h>
#include <stdlib.h>

#include <filesystem>
#include <thread>

namespace ipc::bench {
namespace {

class WindowTest : public testing::Test {
 protected:
  WindowTest() {
    folder_ = testing::TempDir() + "/ipc-window-XXXXXX";
    EXPECT_NE(mkdtemp(folder_.data()), nullptr);
  }
  ~WindowTest() override { std::filesystem::remove_all(folder_); }

  // As another process would.
  std::unique_ptr<Window> Open(uint32_t subscribers, uint64_t messages) {
    auto window = Window::Open(folder_, subscribers, messages);
    EXPECT_TRUE(window.ok()) << window.status();
    return *std::move(window);
  }

 private:
  std::string folder_;
};

TEST_F(WindowTest, TheSlowestSubscriberDecides) {
  const auto publisher = Open(2, 4);
  const auto subscriber = Open(2, 4);
  EXPECT_TRUE(publisher->HasRoom(0, 3));
  EXPECT_FALSE(publisher->HasRoom(0, 4));
  subscriber->OnReceived(0, 0, 4);
  EXPECT_FALSE(publisher->HasRoom(0, 4));
  subscriber->OnReceived(1, 0, 1);
  EXPECT_TRUE(publisher->HasRoom(0, 4));
  EXPECT_FALSE(publisher->HasRoom(0, 5));
}

TEST_F(WindowTest, PublishersDoNotShareTheirs) {
  const auto window = Open(1, 4);
  window->OnReceived(0, 1, 4);
  EXPECT_FALSE(Open(1, 4)->HasRoom(0, 4));
  EXPECT_TRUE(Open(1, 4)->HasRoom(1, 4));
}

TEST_F(WindowTest, APublisherThatWaitsIsWoken) {
  const auto publisher = Open(1, 8);
  const auto subscriber = Open(1, 8);
  std::thread reader([&] {
    for (uint64_t count = 1; count <= 8; ++count) {
      subscriber->OnReceived(0, 0, count);
    }
  });
  EXPECT_TRUE(publisher->AwaitRoom(0, 15).ok());
  reader.join();
}

TEST_F(WindowTest, MoreSubscribersThanItHasRoomForAreRefused) {
  EXPECT_EQ(Window::Open("/", kSubscribersMax + 1, 1).status().code(),
            absl::StatusCode::kInvalidArgument);
}

}  // namespace
}  // namespace ipc::bench
