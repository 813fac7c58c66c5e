// SPDX-License-Identifier: Apache-2.0
//
// See lifetime.h. sigtimedwait is told how long to wait, not until when, and
// other signals cut it short: so it runs in a loop against the clock.

#include "examples/hostmon/lifetime.h"

#include <algorithm>
#include <ctime>

namespace hostmon {
namespace {

timespec ToTimespec(std::chrono::nanoseconds time) {
  const auto seconds = std::chrono::duration_cast<std::chrono::seconds>(time);
  timespec result{};
  result.tv_sec = seconds.count();
  result.tv_nsec = (time - seconds).count();
  return result;
}

}  // namespace

Lifetime::Lifetime() {
  sigemptyset(&signals_);
  sigaddset(&signals_, SIGINT);
  sigaddset(&signals_, SIGTERM);
  pthread_sigmask(SIG_BLOCK, &signals_, nullptr);
}

void Lifetime::EndAfter(double seconds) {
  if (seconds <= 0) return;
  end_ = Clock::now() + std::chrono::duration_cast<Clock::duration>(
                            std::chrono::duration<double>(seconds));
}

bool Lifetime::EndsBefore(Clock::time_point time) {
  if (ended_) return true;
  if (WaitForSignal(std::min(time, end_))) {
    ended_ = true;
    pthread_sigmask(SIG_UNBLOCK, &signals_, nullptr);
  }
  ended_ = ended_ || Clock::now() >= end_;
  return ended_;
}

bool Lifetime::WaitForSignal(Clock::time_point time) {
  while (true) {
    const Clock::duration left = time - Clock::now();
    const timespec wait = ToTimespec(std::max(left, Clock::duration::zero()));
    if (sigtimedwait(&signals_, nullptr, &wait) > 0) return true;
    if (Clock::now() >= time) return false;
  }
}

}  // namespace hostmon
