// SPDX-License-Identifier: Apache-2.0
//
// The epoll calls.

#include "libipc/net/poller.h"

#include <errno.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/timerfd.h>

#include <utility>

#include "absl/strings/str_cat.h"
#include "libipc/base/check.h"

namespace ipc::net {
namespace {

constexpr size_t kEventsPerWait = 64;
constexpr uint64_t kTimerKey = ~uint64_t{0};
// A timer that fires for nothing wakes the process; this much later is worth
// setting it anew.
constexpr int64_t kMuchLaterNanoseconds = 500'000;

uint32_t EpollMask(Interest interest) {
  switch (interest) {
    case Interest::kNothing:
      return 0;
    case Interest::kRead:
      return EPOLLIN;
    case Interest::kWrite:
      return EPOLLOUT;
    case Interest::kReadWrite:
      return EPOLLIN | EPOLLOUT;
  }
  return 0;
}

}  // namespace

absl::StatusOr<Poller> Poller::Make() {
  Fd fd(epoll_create1(EPOLL_CLOEXEC));
  if (!fd.valid()) {
    return absl::ResourceExhaustedError(
        absl::StrCat("cannot make an epoll: ", strerror(errno)));
  }
  Fd timer(timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC));
  if (!timer.valid()) {
    return absl::ResourceExhaustedError(
        absl::StrCat("cannot make a timerfd: ", strerror(errno)));
  }
  int timer_fd = timer.get();
  Poller poller(std::move(fd), std::move(timer));
  absl::Status added = poller.Add(timer_fd, kTimerKey, Interest::kRead);
  if (!added.ok()) return added;
  return poller;
}

Poller::Poller(Fd fd, Fd timer)
    : fd_(std::move(fd)), timer_(std::move(timer)), raw_(kEventsPerWait) {}
Poller::Poller(Poller&&) noexcept = default;
Poller& Poller::operator=(Poller&&) noexcept = default;
Poller::~Poller() = default;

absl::Status Poller::Add(int fd, uint64_t key, Interest interest) {
  epoll_event event{.events = EpollMask(interest), .data = {.u64 = key}};
  if (epoll_ctl(fd_.get(), EPOLL_CTL_ADD, fd, &event) != 0) {
    return absl::ResourceExhaustedError(
        absl::StrCat("cannot watch a descriptor: ", strerror(errno)));
  }
  return absl::OkStatus();
}

void Poller::Modify(int fd, uint64_t key, Interest interest) {
  epoll_event event{.events = EpollMask(interest), .data = {.u64 = key}};
  IPC_CHECK(epoll_ctl(fd_.get(), EPOLL_CTL_MOD, fd, &event) == 0);
}

void Poller::Remove(int fd) {
  IPC_CHECK(epoll_ctl(fd_.get(), EPOLL_CTL_DEL, fd, nullptr) == 0);
}

void Poller::SetTimer(MonotonicTime deadline) {
  timer_at_ = deadline;
  timer_fired_ = false;
  itimerspec setting{};  // all zero: not set, and no longer readable
  if (!deadline.IsNever()) {
    setting.it_value.tv_sec = deadline.nanoseconds() / 1'000'000'000;
    setting.it_value.tv_nsec = deadline.nanoseconds() % 1'000'000'000;
  }
  IPC_CHECK(
      timerfd_settime(timer_.get(), TFD_TIMER_ABSTIME, &setting, nullptr) == 0);
}

bool Poller::IsMuchLater(MonotonicTime deadline) const {
  return !timer_at_.IsNever() && !deadline.IsNever() &&
         deadline.NanosecondsSince(timer_at_) >= kMuchLaterNanoseconds;
}

std::span<const PollEvent> Poller::Wait(MonotonicTime deadline) {
  bool waits = deadline != MonotonicTime();
  if (waits &&
      (timer_fired_ || deadline < timer_at_ || IsMuchLater(deadline))) {
    SetTimer(deadline);
  }
  int count = epoll_wait(fd_.get(), raw_.data(), static_cast<int>(raw_.size()),
                         waits ? -1 : 0);
  events_.clear();
  for (int i = 0; i < count; ++i) {
    const epoll_event& raw = raw_[static_cast<size_t>(i)];
    if (raw.data.u64 == kTimerKey) {
      timer_at_ = MonotonicTime::Never();
      timer_fired_ = true;  // disarmed only if nothing sets it anew
      continue;
    }
    events_.push_back(
        {.key = raw.data.u64,
         .readable = (raw.events & (EPOLLIN | EPOLLHUP | EPOLLERR)) != 0,
         .writable = (raw.events & (EPOLLOUT | EPOLLERR)) != 0});
  }
  return events_;
}

}  // namespace ipc::net
