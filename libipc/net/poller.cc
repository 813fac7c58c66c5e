// SPDX-License-Identifier: Apache-2.0
//
// The epoll calls.

#include "libipc/net/poller.h"

#include <errno.h>
#include <string.h>
#include <sys/epoll.h>
#include <time.h>

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "libipc/base/check.h"
#include "libipc/net/system.h"

namespace ipc::net {
namespace {

constexpr size_t kEventsPerWait = 64;

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
  return Poller(std::move(fd));
}

Poller::Poller(Fd fd) : fd_(std::move(fd)), raw_(kEventsPerWait) {}
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

std::span<const PollEvent> Poller::Wait(MonotonicTime deadline) {
  timespec timeout{};
  timespec* timeout_or_null = nullptr;
  if (!deadline.IsNever()) {
    int64_t rest = std::max<int64_t>(
        0, deadline == MonotonicTime()
               ? 0
               : deadline.nanoseconds() - Now().nanoseconds());
    timeout.tv_sec = rest / 1'000'000'000;
    timeout.tv_nsec = rest % 1'000'000'000;
    timeout_or_null = &timeout;
  }
  int count =
      epoll_pwait2(fd_.get(), raw_.data(), static_cast<int>(raw_.size()),
                   timeout_or_null, nullptr);
  events_.clear();
  for (int i = 0; i < count; ++i) {
    const epoll_event& raw = raw_[static_cast<size_t>(i)];
    events_.push_back(
        {.key = raw.data.u64,
         .readable = (raw.events & (EPOLLIN | EPOLLHUP | EPOLLERR)) != 0,
         .writable = (raw.events & (EPOLLOUT | EPOLLERR)) != 0});
  }
  return events_;
}

}  // namespace ipc::net
