// SPDX-License-Identifier: Apache-2.0
//
// How long the program runs: until SIGINT or SIGTERM, or for a given time. The
// signals are blocked and waited for, so there is no signal handler, and a
// loop on an absolute schedule is one line:
//
//   for (auto tick = Clock::now(); !lifetime.EndsBefore(tick); tick += period)
//
// The first signal asks for a clean end; a second one ends the process at
// once, as usual, should the clean end take too long.

#ifndef IPC_EXAMPLES_HOSTMON_LIFETIME_H_
#define IPC_EXAMPLES_HOSTMON_LIFETIME_H_

#include <signal.h>

#include <chrono>

namespace hostmon {

// Make one at the start of main, before any thread: threads made later, those
// of an ipc::Client too, inherit the blocked signals.
class Lifetime {
 public:
  using Clock = std::chrono::steady_clock;

  Lifetime();
  Lifetime(const Lifetime&) = delete;
  Lifetime& operator=(const Lifetime&) = delete;

  // Ends it `seconds` from now; 0 does nothing.
  void EndAfter(double seconds);

  // Waits until `time`, and says true at once when the program shall end.
  bool EndsBefore(Clock::time_point time);

 private:
  // Waits for a signal until `time`; returns whether one came.
  bool WaitForSignal(Clock::time_point time);

  sigset_t signals_;
  bool ended_ = false;
  Clock::time_point end_ = Clock::time_point::max();
};

}  // namespace hostmon

#endif  // IPC_EXAMPLES_HOSTMON_LIFETIME_H_
