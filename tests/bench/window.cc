// SPDX-License-Identifier: Apache-2.0
//
// A mapped file and one futex. A new file's bytes are 0, which is the counts'
// and the futex's beginning.

#include "tests/bench/window.h"

#include <fcntl.h>
#include <linux/futex.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <climits>

#include "absl/strings/str_cat.h"
#include "tests/bench/clock.h"
#include "tests/bench/socket.h"

namespace ipc::bench {
namespace {

// std::atomic::wait knows only threads of one process.
void FutexWait(std::atomic<uint32_t>& word, uint32_t expected) {
  const timespec timeout = {1, 0};
  syscall(SYS_futex, &word, FUTEX_WAIT, expected, &timeout, nullptr, 0);
}

void FutexWakeAll(std::atomic<uint32_t>& word) {
  syscall(SYS_futex, &word, FUTEX_WAKE, INT_MAX, nullptr, nullptr, 0);
}

}  // namespace

absl::StatusOr<std::unique_ptr<Window>> Window::Open(const std::string& folder,
                                                     uint32_t subscribers,
                                                     uint64_t messages) {
  if (subscribers > kSubscribersMax) {
    return absl::InvalidArgumentError("too many subscribers for a window");
  }
  const std::string path = absl::StrCat(folder, "/window");
  Fd fd(open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600));
  if (!fd.valid() || ftruncate(fd.get(), sizeof(Shared)) != 0) {
    return ErrnoStatus(path);
  }
  void* memory = mmap(nullptr, sizeof(Shared), PROT_READ | PROT_WRITE,
                      MAP_SHARED, fd.get(), 0);
  if (memory == MAP_FAILED) return ErrnoStatus("mmap");
  return std::unique_ptr<Window>(new Window(static_cast<Shared*>(memory),
                                            subscribers,
                                            std::max<uint64_t>(messages, 1)));
}

Window::Window(Shared* shared, uint32_t subscribers, uint64_t messages)
    : shared_(shared),
      subscribers_(subscribers),
      messages_(messages),
      wake_step_(std::max<uint64_t>(messages / 4, 1)) {}

Window::~Window() { munmap(shared_, sizeof(Shared)); }

bool Window::HasRoom(uint32_t publisher, uint64_t number) {
  if (number - received_ < messages_) return true;
  uint64_t least = UINT64_MAX;
  for (uint32_t s = 0; s < subscribers_; ++s) {
    least = std::min(least, shared_->counts[s][publisher].value.load());
  }
  received_ = least;
  return number - received_ < messages_;
}

absl::Status Window::AwaitRoom(uint32_t publisher, uint64_t number) {
  const int64_t deadline_ns = MonotonicNs() + kStepNsMax;
  while (true) {
    const uint32_t wakes = shared_->wakes.load();
    if (HasRoom(publisher, number)) return absl::OkStatus();
    if (MonotonicNs() > deadline_ns) {
      return absl::DeadlineExceededError(
          absl::StrCat("message ", number, " waits, ", received_,
                       " have come: some are lost"));
    }
    FutexWait(shared_->wakes, wakes);
  }
}

void Window::OnReceived(uint32_t subscriber, uint32_t publisher,
                        uint64_t count) {
  shared_->counts[subscriber][publisher].value.store(count);
  if (count % wake_step_ != 0) return;
  shared_->wakes.fetch_add(1);
  FutexWakeAll(shared_->wakes);
}

}  // namespace ipc::bench
