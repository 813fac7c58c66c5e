// SPDX-License-Identifier: Apache-2.0
//
// Listening at a path, connecting to it, and who is at the other end; each
// error with the code that says what to do about it.

#include "libipc/net/unix_socket.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstring>
#include <filesystem>
#include <functional>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "tests/support/status_testing.h"
#include "tests/support/temp_dir.h"

namespace ipc::net {
namespace {

using testing::HasSubstr;

class UnixSocketTest : public testing::Test {
 protected:
  UnixSocketTest() : path_(dir_.File("bus.sock")) {}

  Listener Listen(mode_t mode = 0600) {
    absl::StatusOr<Listener> listener = Listener::Make(path_, mode);
    EXPECT_OK(listener);
    return *std::move(listener);
  }
  // A socket that a process has left behind.
  void LeaveStaleSocket() {
    Fd fd(socket(AF_UNIX, SOCK_STREAM, 0));
    BindTo(fd);
  }
  void BindTo(const Fd& fd) {
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    std::strncpy(address.sun_path, path_.c_str(), sizeof(address.sun_path) - 1);
    ASSERT_EQ(bind(fd.get(), reinterpret_cast<const sockaddr*>(&address),
                   sizeof(address)),
              0);
  }
  mode_t ModeOfSocket() const {
    struct stat status;
    EXPECT_EQ(lstat(path_.c_str(), &status), 0);
    EXPECT_TRUE(S_ISSOCK(status.st_mode));
    return status.st_mode & 07777;
  }
  bool Exists() const {
    return std::filesystem::exists(std::filesystem::symlink_status(path_));
  }

  test::TempDir dir_;
  std::string path_;
};

// Runs `check` as a user that may do nothing special; its result is whether it
// held.
bool HoldsForNobody(const std::function<bool()>& check) {
  const pid_t child = fork();
  if (child == 0) {
    const bool is_nobody = geteuid() != 0 || setuid(65534) == 0;
    _exit(is_nobody && check() ? 0 : 1);
  }
  int status = 0;
  return waitpid(child, &status, 0) == child && WIFEXITED(status) &&
         WEXITSTATUS(status) == 0;
}

// -- Listening --

TEST_F(UnixSocketTest, ListensAtThePath) {
  Listener listener = Listen();
  EXPECT_FALSE(listener.replaced_stale());
  ASSERT_OK_AND_ASSIGN(const Fd client, Connect(path_));
  const Fd accepted(accept(listener.fd(), nullptr, nullptr));
  EXPECT_TRUE(accepted.valid());
}

TEST_F(UnixSocketTest, DescriptorsAreNotInheritedAndDoNotBlock) {
  Listener listener = Listen();
  ASSERT_OK_AND_ASSIGN(const Fd client, Connect(path_));
  for (int fd : {listener.fd(), client.get()}) {
    EXPECT_NE(fcntl(fd, F_GETFD) & FD_CLOEXEC, 0);
    EXPECT_NE(fcntl(fd, F_GETFL) & O_NONBLOCK, 0);
  }
}

TEST_F(UnixSocketTest, TheSocketHasItsModeWhateverTheUmaskIs) {
  for (mode_t mode : {0600u, 0660u, 0666u}) {
    for (mode_t mask : {0u, 022u, 0777u}) {
      const mode_t before = umask(mask);
      const Listener listener = Listen(mode);
      EXPECT_EQ(ModeOfSocket(), mode);
      EXPECT_EQ(umask(before), mask);
    }
  }
}

TEST_F(UnixSocketTest, ReplacesTheSocketOfADeadProcess) {
  LeaveStaleSocket();
  Listener listener = Listen();
  EXPECT_TRUE(listener.replaced_stale());
  EXPECT_OK(Connect(path_));
}

TEST_F(UnixSocketTest, LeavesALiveListenerAlone) {
  Listener first = Listen();
  const auto second = Listener::Make(path_, 0600);
  EXPECT_CODE(kAlreadyExists, second);
  EXPECT_THAT(std::string(second.status().message()),
              HasSubstr("another process listens at " + path_));
  EXPECT_OK(Connect(path_));
}

TEST_F(UnixSocketTest, LeavesWhatIsNoSocketAlone) {
  dir_.Write("bus.sock", "precious");
  EXPECT_CODE(kAlreadyExists, Listener::Make(path_, 0600));
  EXPECT_EQ(test::ReadFile(path_), "precious");
  std::filesystem::remove(path_);
  std::filesystem::create_directory(path_);
  EXPECT_CODE(kAlreadyExists, Listener::Make(path_, 0600));
  std::filesystem::remove(path_);
  std::filesystem::create_symlink(dir_.File("elsewhere"), path_);
  EXPECT_CODE(kAlreadyExists, Listener::Make(path_, 0600));
  EXPECT_TRUE(Exists());
}

TEST_F(UnixSocketTest, AMissingFolderIsNotFound) {
  const auto missing = Listener::Make(dir_.File("no/bus.sock"), 0600);
  EXPECT_CODE(kNotFound, missing);
  EXPECT_THAT(std::string(missing.status().message()),
              HasSubstr(dir_.File("no/bus.sock")));
  dir_.Write("file", "");
  EXPECT_CODE(kNotFound, Listener::Make(dir_.File("file/bus.sock"), 0600));
}

TEST_F(UnixSocketTest, APathMayBeAsLongAsItFitsAndNoLonger) {
  std::string longest = dir_.File("");
  longest.resize(kSocketPathBytesMax, 'x');
  EXPECT_OK(Listener::Make(longest, 0600));
  EXPECT_CODE(kInvalidArgument, Listener::Make(longest + "x", 0600));
  EXPECT_CODE(kInvalidArgument, Connect(longest + "x"));
  EXPECT_CODE(kInvalidArgument, Listener::Make("", 0600));
  EXPECT_CODE(kInvalidArgument, Connect(""));
}

TEST_F(UnixSocketTest, APathWithoutAFolderIsInTheWorkingFolder) {
  const std::filesystem::path before = std::filesystem::current_path();
  std::filesystem::current_path(dir_.path());
  {
    const auto listener = Listener::Make("bus.sock", 0600);
    EXPECT_OK(listener);
    EXPECT_TRUE(Exists());
    EXPECT_OK(Connect("bus.sock"));
  }
  EXPECT_FALSE(Exists());
  std::filesystem::current_path(before);
}

TEST_F(UnixSocketTest, AFolderThatMayNotBeWrittenIsPermissionDenied) {
  std::filesystem::permissions(dir_.path(), std::filesystem::perms(0555));
  EXPECT_TRUE(HoldsForNobody([this] {
    return absl::IsPermissionDenied(Listener::Make(path_, 0600).status());
  }));
  std::filesystem::permissions(dir_.path(), std::filesystem::perms(0700));
}

// -- The end of a listener --

TEST_F(UnixSocketTest, RemovesItsSocketInTheEnd) {
  { const Listener listener = Listen(); }
  EXPECT_FALSE(Exists());
  { const Listener listener = Listen(); }
  EXPECT_FALSE(Exists());
}

TEST_F(UnixSocketTest, AMovedListenerRemovesNothing) {
  Listener listener = Listen();
  { const Listener moved = std::move(listener); }
  EXPECT_FALSE(Exists());
  Listener next = Listen();
  // NOLINTNEXTLINE(bugprone-use-after-move): what is left of it is tested.
  { Listener gone = std::move(listener); }
  EXPECT_TRUE(Exists());
}

TEST_F(UnixSocketTest, LeavesTheSocketOfItsSuccessor) {
  std::optional<Listener> first = Listen();
  std::filesystem::rename(path_, dir_.File("aside"));
  const Listener second = Listen();
  first.reset();
  EXPECT_TRUE(Exists());
  EXPECT_OK(Connect(path_));
}

// -- Connecting --

TEST_F(UnixSocketTest, NobodyThereIsUnavailable) {
  EXPECT_CODE(kUnavailable, Connect(path_));
  EXPECT_CODE(kUnavailable, Connect(dir_.File("no/bus.sock")));
  dir_.Write("file", "");
  EXPECT_CODE(kUnavailable, Connect(dir_.File("file")));
  EXPECT_CODE(kUnavailable, Connect(dir_.File("file/bus.sock")));
  LeaveStaleSocket();
  const auto stale = Connect(path_);
  EXPECT_CODE(kUnavailable, stale);
  EXPECT_THAT(std::string(stale.status().message()), HasSubstr(path_));
}

TEST_F(UnixSocketTest, AFullBacklogIsUnavailable) {
  const Fd listener(socket(AF_UNIX, SOCK_STREAM, 0));
  BindTo(listener);
  ASSERT_EQ(listen(listener.get(), 0), 0);
  std::vector<Fd> clients;
  absl::StatusOr<Fd> client = Connect(path_);
  while (client.ok() && clients.size() < 100) {
    clients.push_back(*std::move(client));
    client = Connect(path_);
  }
  EXPECT_CODE(kUnavailable, client);
}

TEST_F(UnixSocketTest, ASocketThatMayNotBeUsedIsPermissionDenied) {
  Listener listener = Listen(0600);
  std::filesystem::permissions(dir_.path(), std::filesystem::perms(0755));
  if (geteuid() == 0) {
    EXPECT_TRUE(HoldsForNobody(
        [this] { return absl::IsPermissionDenied(Connect(path_).status()); }));
  } else {
    ASSERT_EQ(chmod(path_.c_str(), 0), 0);
    EXPECT_CODE(kPermissionDenied, Connect(path_));
  }
}

// -- Peers --

TEST_F(UnixSocketTest, ThePeerIsThisProcess) {
  Listener listener = Listen();
  ASSERT_OK_AND_ASSIGN(const Fd client, Connect(path_));
  const Fd accepted(accept(listener.fd(), nullptr, nullptr));
  for (int fd : {client.get(), accepted.get()}) {
    ASSERT_OK_AND_ASSIGN(const PeerCredentials peer, PeerOf(fd));
    EXPECT_EQ(peer.pid, getpid());
    EXPECT_EQ(peer.uid, geteuid());
    EXPECT_EQ(peer.gid, getegid());
  }
}

TEST_F(UnixSocketTest, WhatIsNoSocketHasNoPeer) {
  EXPECT_CODE(kInternal, PeerOf(-1));
  EXPECT_FALSE(PeerProcess(-1, 0).valid());
}

// A process that connects and lives until it is told to end.
class Child {
 public:
  explicit Child(const std::string& path) {
    EXPECT_EQ(pipe2(pipe_, O_CLOEXEC), 0);
    pid_ = fork();
    if (pid_ == 0) {
      close(pipe_[1]);
      const absl::StatusOr<Fd> socket = Connect(path);
      char byte;
      _exit(socket.ok() && read(pipe_[0], &byte, 1) == 0 ? 0 : 1);
    }
    close(pipe_[0]);
  }
  ~Child() {
    if (pid_ != 0) End();
  }
  pid_t pid() const { return pid_; }
  // Returns when it has ended, with its status still to be fetched.
  void LetEnd() {
    close(pipe_[1]);
    siginfo_t info;
    EXPECT_EQ(waitid(P_PID, static_cast<id_t>(pid_), &info, WEXITED | WNOWAIT),
              0);
    told_ = true;
  }
  void End() {
    if (!told_) LetEnd();
    int status = 0;
    EXPECT_EQ(waitpid(pid_, &status, 0), pid_);
    EXPECT_TRUE(WIFEXITED(status) && WEXITSTATUS(status) == 0);
    pid_ = 0;
  }

 private:
  int pipe_[2] = {-1, -1};
  pid_t pid_ = 0;
  bool told_ = false;
};

bool IsReadable(int fd) {
  pollfd poll_fd{.fd = fd, .events = POLLIN, .revents = 0};
  return poll(&poll_fd, 1, 0) == 1;
}

Fd AcceptFrom(const Listener& listener) {
  pollfd poll_fd{.fd = listener.fd(), .events = POLLIN, .revents = 0};
  EXPECT_EQ(poll(&poll_fd, 1, 10'000), 1);
  return Fd(accept(listener.fd(), nullptr, nullptr));
}

TEST_F(UnixSocketTest, ThePeersProcessTellsOfItsEnd) {
  const Listener listener = Listen();
  Child child(path_);
  const Fd accepted = AcceptFrom(listener);
  ASSERT_OK_AND_ASSIGN(const PeerCredentials peer, PeerOf(accepted.get()));
  EXPECT_EQ(peer.pid, child.pid());
  const Fd process = PeerProcess(accepted.get(), peer.pid);
  ASSERT_TRUE(process.valid());
  EXPECT_FALSE(IsReadable(process.get()));
  child.LetEnd();
  EXPECT_TRUE(IsReadable(process.get()));
}

TEST_F(UnixSocketTest, AProcessThatEndedBeforeIsKnownToBeGone) {
  const Listener listener = Listen();
  Child child(path_);
  const Fd accepted = AcceptFrom(listener);
  const pid_t pid = child.pid();
  child.End();
  // Some kernels still give a descriptor.
  const Fd process = PeerProcess(accepted.get(), pid);
  EXPECT_TRUE(!process.valid() || IsReadable(process.get()));
}

TEST_F(UnixSocketTest, AProcessIsGoneWhenItHasEnded) {
  EXPECT_FALSE(IsGone(getpid()));
  EXPECT_FALSE(IsGone(0));
  EXPECT_FALSE(IsGone(-1));
  const Listener listener = Listen();
  Child child(path_);
  const pid_t pid = child.pid();
  EXPECT_FALSE(IsGone(pid));
  child.LetEnd();
  EXPECT_TRUE(IsGone(pid));
  child.End();
  EXPECT_TRUE(IsGone(pid));
}

}  // namespace
}  // namespace ipc::net
