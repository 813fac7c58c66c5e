// SPDX-License-Identifier: Apache-2.0
//
// See stop.h. A signal stays pending in the kernel until Notice() reads it, so
// that Requested() and every wait see it, in whatever order they come.

#include "tools/stop.h"

#include <poll.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include <csignal>
#include <ctime>

#include "absl/time/time.h"

namespace ipc::tools {

Stop::Stop() {
  sigset_t signals;
  sigemptyset(&signals);
  sigaddset(&signals, SIGINT);
  sigaddset(&signals, SIGTERM);
  pthread_sigmask(SIG_BLOCK, &signals, &previous_mask_);
  signal_fd_ = signalfd(-1, &signals, SFD_CLOEXEC | SFD_NONBLOCK);
  if (signal_fd_ < 0) pthread_sigmask(SIG_SETMASK, &previous_mask_, nullptr);
}

Stop::~Stop() {
  if (signal_fd_ >= 0) close(signal_fd_);
  pthread_sigmask(SIG_SETMASK, &previous_mask_, nullptr);
}

bool Stop::Requested() {
  if (!requested_) WaitFor(-1, 0, absl::ZeroDuration());
  return requested_;
}

bool Stop::SleepFor(absl::Duration duration) {
  if (Requested() || duration <= absl::ZeroDuration()) return requested_;
  WaitFor(-1, 0, duration);
  return requested_;
}

bool Stop::WaitFor(int fd, short events, absl::Duration timeout) {
  // poll(2) passes over negative descriptors.
  pollfd polled[] = {{fd, events, 0},
                     {requested_ ? -1 : signal_fd_, POLLIN, 0}};
  timespec limit = absl::ToTimespec(timeout);
  const bool for_ever = timeout == absl::InfiniteDuration();
  if (ppoll(polled, 2, for_ever ? nullptr : &limit, nullptr) <= 0) return false;
  if (polled[1].revents != 0) Notice();
  return polled[0].revents != 0;
}

void Stop::Notice() {
  signalfd_siginfo info;
  while (read(signal_fd_, &info, sizeof(info)) > 0) {
  }
  requested_ = true;
  // The next one ends the process, however long the clean end takes.
  pthread_sigmask(SIG_SETMASK, &previous_mask_, nullptr);
}

}  // namespace ipc::tools
