// SPDX-License-Identifier: Apache-2.0
//
// See broker_process.h. What it uses is read from /proc.

#include "tests/support/broker_process.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <system_error>
#include <utility>

#include "absl/strings/str_cat.h"
#include "gtest/gtest.h"

namespace ipc::test {
namespace {

constexpr size_t kLogBytesShown = 8192;

std::string Tail(const std::string& log) {
  return log.size() <= kLogBytesShown
             ? log
             : "..." + log.substr(log.size() - kLogBytesShown);
}

}  // namespace

bool Listens(const std::string& socket_path) {
  sockaddr_un address = {};
  address.sun_family = AF_UNIX;
  socket_path.copy(address.sun_path, sizeof(address.sun_path) - 1);
  const int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  const bool connected =
      connect(fd, reinterpret_cast<sockaddr*>(&address), sizeof(address)) == 0;
  close(fd);
  return connected;
}

BrokerProcess::~BrokerProcess() {
  if (!process_) return;
  ExpectRunning();
  if (testing::Test::HasFailure()) {
    std::fprintf(stderr, "the broker's log:\n%s\n", Tail(log()).c_str());
  }
}

void BrokerProcess::AddArgument(std::string argument) {
  arguments_.push_back(std::move(argument));
}

void BrokerProcess::set_uid(uid_t uid) {
  uid_ = uid;
  EXPECT_EQ(chown(folder_.path().c_str(), uid, uid), 0) << strerror(errno);
}

void BrokerProcess::Start() {
  ProcessOptions options;
  options.argv = {binary_, "--socket", socket_path_};
  // Tests stop readers, and machines are slow: nobody is set aside unasked.
  if (std::none_of(arguments_.begin(), arguments_.end(),
                   [](const std::string& argument) {
                     return argument.starts_with("--stall-timeout");
                   })) {
    options.argv.emplace_back("--stall-timeout=1h");
  }
  options.argv.insert(options.argv.end(), arguments_.begin(), arguments_.end());
  options.descriptors_max = descriptors_max_;
  options.uid = uid_;
  process_.emplace(options);
  const bool listens =
      WaitUntil([this] { return !Running() || Listens(socket_path_); });
  ASSERT_TRUE(listens && Running()) << "no broker: " << log();
}

void BrokerProcess::ExpectRunning() {
  if (Running()) return;
  const int exit_code = process_->Wait();
  ADD_FAILURE() << "the broker ended by itself: " << exit_code;
  std::fprintf(stderr, "the broker's log:\n%s\n", Tail(log()).c_str());
}

void BrokerProcess::Kill() {
  ExpectRunning();
  process_->Signal(SIGKILL);
  EXPECT_EQ(process_->Wait(), -SIGKILL);
  process_.reset();
}

int BrokerProcess::Terminate(int signal) {
  ExpectRunning();
  process_->Signal(signal);
  const int exit_code = process_->Wait();
  process_.reset();
  return exit_code;
}

uint64_t BrokerProcess::MemoryBytes() const {
  std::ifstream status(absl::StrCat("/proc/", pid(), "/status"));
  std::string word;
  while (status >> word) {
    uint64_t kibibytes = 0;
    if (word == "VmRSS:" && status >> kibibytes) return kibibytes * 1024;
  }
  ADD_FAILURE() << "no VmRSS of process " << pid();
  return 0;
}

size_t BrokerProcess::Descriptors() const {
  std::error_code error;
  const std::filesystem::directory_iterator entries(
      absl::StrCat("/proc/", pid(), "/fd"), error);
  EXPECT_FALSE(error) << error.message();
  return static_cast<size_t>(std::distance(begin(entries), end(entries)));
}

}  // namespace ipc::test
