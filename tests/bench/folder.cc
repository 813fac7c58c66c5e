// SPDX-License-Identifier: Apache-2.0
//
// A signal's handler may not remove files. So the signals are blocked, and a
// thread waits for them; children unblock them (process.cc).

#include "tests/bench/folder.h"

#include <signal.h>
#include <stdlib.h>
#include <unistd.h>

#include <filesystem>
#include <mutex>
#include <system_error>
#include <thread>

#include "tests/bench/socket.h"

namespace ipc::bench {
namespace {

// What the thread has to remove. Empty: nothing.
struct Current {
  std::mutex mutex;
  std::string path;
};

// Never destroyed: the thread may outlive main.
Current& TheCurrent() {
  static Current& current = *new Current;
  return current;
}

void Remove(const std::string& path) {
  std::error_code ignored;
  std::filesystem::remove_all(path, ignored);
}

}  // namespace

absl::StatusOr<std::unique_ptr<TemporaryFolder>> TemporaryFolder::Make() {
  std::error_code error;
  const auto parent = std::filesystem::temp_directory_path(error);
  std::string path = (parent / "ipc-bench-XXXXXX").string();
  const std::lock_guard lock(TheCurrent().mutex);
  if (error || mkdtemp(path.data()) == nullptr) {
    return ErrnoStatus("cannot make a folder like " + path);
  }
  TheCurrent().path = path;
  return std::unique_ptr<TemporaryFolder>(new TemporaryFolder(path));
}

TemporaryFolder::~TemporaryFolder() {
  const std::lock_guard lock(TheCurrent().mutex);
  TheCurrent().path.clear();
  Remove(path_);
}

void RemoveFolderOnSignals() {
  sigset_t ends;
  sigemptyset(&ends);
  for (int signal : {SIGINT, SIGTERM, SIGHUP}) sigaddset(&ends, signal);
  pthread_sigmask(SIG_BLOCK, &ends, nullptr);
  std::thread([ends] {
    int signal = 0;
    if (sigwait(&ends, &signal) != 0) return;
    const std::lock_guard lock(TheCurrent().mutex);
    if (!TheCurrent().path.empty()) Remove(TheCurrent().path);
    _exit(128 + signal);
  }).detach();
}

}  // namespace ipc::bench
