// SPDX-License-Identifier: Apache-2.0
//
// A client hears at once when the broker's socket appears, and of nothing else.

#include "libipc/socket_watch.h"

#include <gtest/gtest.h>
#include <poll.h>
#include <sys/stat.h>

#include <filesystem>
#include <string>

#include "libipc/net/unix_socket.h"
#include "tests/support/temp_dir.h"

namespace ipc {
namespace {

class SocketWatchTest : public testing::Test {
 protected:
  static bool IsReadable(const SocketWatch& watch) {
    pollfd poll_fd{.fd = watch.fd(), .events = POLLIN, .revents = 0};
    return poll(&poll_fd, 1, 0) == 1;
  }

  test::TempDir dir_;
  std::string path_ = dir_.File("bus.sock");
};

TEST_F(SocketWatchTest, HearsNothingWhileNothingHappens) {
  SocketWatch watch(path_);
  watch.Watch();
  EXPECT_FALSE(IsReadable(watch));
  EXPECT_FALSE(watch.TakeEvents());
}

TEST_F(SocketWatchTest, HearsOfANewSocket) {
  SocketWatch watch(path_);
  watch.Watch();
  const auto listener = net::Listener::Make(path_, 0600);
  ASSERT_TRUE(listener.ok());
  EXPECT_TRUE(IsReadable(watch));
  EXPECT_TRUE(watch.TakeEvents());
  EXPECT_FALSE(IsReadable(watch));
  EXPECT_FALSE(watch.TakeEvents());
}

TEST_F(SocketWatchTest, HearsOfAFileThatIsMovedThere) {
  dir_.Write("aside", "");
  SocketWatch watch(path_);
  watch.Watch();
  std::filesystem::rename(dir_.File("aside"), path_);
  EXPECT_TRUE(watch.TakeEvents());
}

TEST_F(SocketWatchTest, HearsOfAChangeOfItsMode) {
  dir_.Write("bus.sock", "");
  SocketWatch watch(path_);
  watch.Watch();
  ASSERT_EQ(chmod(path_.c_str(), 0640), 0);
  EXPECT_TRUE(watch.TakeEvents());
}

TEST_F(SocketWatchTest, OtherFilesAreNoneOfItsBusiness) {
  SocketWatch watch(path_);
  watch.Watch();
  for (const char* name : {"bus.sock2", "bus", "xbus.sock"}) {
    dir_.Write(name, "");
  }
  EXPECT_TRUE(IsReadable(watch));
  EXPECT_FALSE(watch.TakeEvents());
  EXPECT_FALSE(IsReadable(watch));
}

TEST_F(SocketWatchTest, FindsItsOwnAmongManyEvents) {
  SocketWatch watch(path_);
  watch.Watch();
  for (int i = 0; i < 200; ++i) {
    dir_.Write("other" + std::to_string(i), "");
    if (i == 100) dir_.Write("bus.sock", "");
  }
  EXPECT_TRUE(watch.TakeEvents());
  EXPECT_FALSE(IsReadable(watch));
}

TEST_F(SocketWatchTest, WatchingTwiceHearsOnce) {
  SocketWatch watch(path_);
  watch.Watch();
  watch.Watch();
  dir_.Write("bus.sock", "");
  EXPECT_TRUE(watch.TakeEvents());
  EXPECT_FALSE(watch.TakeEvents());
}

TEST_F(SocketWatchTest, AFolderMayComeLater) {
  SocketWatch watch(dir_.File("ipc/bus.sock"));
  watch.Watch();
  std::filesystem::create_directory(dir_.File("ipc"));
  dir_.Write("ipc/bus.sock", "");
  EXPECT_FALSE(watch.TakeEvents());
  watch.Watch();
  std::filesystem::remove(dir_.File("ipc/bus.sock"));
  dir_.Write("ipc/bus.sock", "");
  EXPECT_TRUE(watch.TakeEvents());
}

TEST_F(SocketWatchTest, AFolderMayGoAndComeBack) {
  std::filesystem::create_directory(dir_.File("ipc"));
  SocketWatch watch(dir_.File("ipc/bus.sock"));
  watch.Watch();
  std::filesystem::remove(dir_.File("ipc"));
  EXPECT_FALSE(watch.TakeEvents());
  std::filesystem::create_directory(dir_.File("ipc"));
  watch.Watch();
  dir_.Write("ipc/bus.sock", "");
  EXPECT_TRUE(watch.TakeEvents());
}

TEST_F(SocketWatchTest, APathWithoutAFolderIsInTheWorkingFolder) {
  const std::filesystem::path before = std::filesystem::current_path();
  std::filesystem::current_path(dir_.path());
  SocketWatch watch("bus.sock");
  watch.Watch();
  dir_.Write("bus.sock", "");
  EXPECT_TRUE(watch.TakeEvents());
  std::filesystem::current_path(before);
}

TEST_F(SocketWatchTest, AWatchMayBeMoved) {
  SocketWatch watch(path_);
  watch.Watch();
  SocketWatch moved = std::move(watch);
  dir_.Write("bus.sock", "");
  EXPECT_TRUE(moved.TakeEvents());
}

}  // namespace
}  // namespace ipc
