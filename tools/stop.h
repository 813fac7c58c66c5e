// SPDX-License-Identifier: Apache-2.0
//
// Ctrl-C and SIGTERM as something to wait for, next to other descriptors.
//
// A Stop blocks both signals in its thread, and in every thread started after
// it, and reads them from a signalfd: there is no signal handler and no global
// state, and a signal that comes between a check and a wait is not lost. Make
// it before the client starts its thread.
//
// Invariant: the first signal only asks for a clean end; from the moment in
// which it was noticed, a second one ends the process at once, as usual.

#ifndef IPC_TOOLS_STOP_H_
#define IPC_TOOLS_STOP_H_

#include <csignal>

#include "absl/time/time.h"

namespace ipc::tools {

// For one thread: the one that made it.
class Stop {
 public:
  // If the system has no descriptor left, signals keep their usual effect.
  Stop();
  ~Stop();
  Stop(const Stop&) = delete;
  Stop& operator=(const Stop&) = delete;

  // Whether a signal has come. Does not block.
  bool Requested();

  // Sleeps, but no longer than until a signal comes. Returns Requested().
  bool SleepFor(absl::Duration duration);

  // Waits until poll(2) tells something of `fd` (`events`, or an error), for
  // `timeout` at the most. Returns whether it did. A signal that comes while
  // it waits ends the wait; one that came before does not.
  bool WaitFor(int fd, short events, absl::Duration timeout);

 private:
  void Notice();

  int signal_fd_ = -1;
  sigset_t previous_mask_;
  bool requested_ = false;
};

}  // namespace ipc::tools

#endif  // IPC_TOOLS_STOP_H_
