// SPDX-License-Identifier: Apache-2.0
//
// Waiting.

#include "libipc/base/mutex.h"

#include <chrono>

namespace ipc {

bool Mutex::Await(absl::FunctionRef<bool()> ready, MonotonicTime deadline) {
  if (ready()) return true;
  WakeReady();  // this releases the mutex, too
  Waiter waiter{.ready = ready, .woken = {}, .wake = false};
  waiters_.push_back(&waiter);
  std::unique_lock<std::mutex> lock(mutex_, std::adopt_lock);
  auto woken = [&waiter] { return waiter.wake; };
  bool done = false;
  bool in_time = true;
  while (!done && in_time) {
    waiter.wake = false;
    if (deadline.IsNever()) {
      waiter.woken.wait(lock, woken);
    } else {
      // libstdc++'s steady clock is CLOCK_MONOTONIC.
      std::chrono::steady_clock::time_point until{
          std::chrono::nanoseconds(deadline.nanoseconds())};
      in_time = waiter.woken.wait_until(lock, until, woken);
    }
    // Another waiter may have been quicker to take what was there.
    done = ready();
  }
  lock.release();  // the caller holds it
  std::erase(waiters_, &waiter);
  return done;
}

void Mutex::WakeReady() {
  for (Waiter* waiter : waiters_) {
    if (waiter->wake || !waiter->ready()) continue;
    waiter->wake = true;
    waiter->woken.notify_one();
  }
}

}  // namespace ipc
