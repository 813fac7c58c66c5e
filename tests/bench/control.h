// SPDX-License-Identifier: Apache-2.0
//
// A role's side of its two pipes to the runner. One line is one report or one
// order; nothing is ever timed by sleeping.
//
//   role -> runner   "ready" | "done" *( " " number ) | "failed " text
//   runner -> role   "go"
//
// The end of the runner's pipe means: stop.

#ifndef IPC_TESTS_BENCH_CONTROL_H_
#define IPC_TESTS_BENCH_CONTROL_H_

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/status.h"

namespace ipc::bench {

class Control {
 public:
  // Both are borrowed.
  Control(int in_fd, int out_fd) : in_fd_(in_fd), out_fd_(out_fd) {}

  void Ready() { Write("ready\n"); }
  // May be called from any thread, once.
  void Done(const std::vector<int64_t>& numbers);
  void Failed(const absl::Status& status);

  // Blocks until the runner says go. Errors: kCancelled if it says stop.
  absl::Status AwaitGo();
  // Waits at most so long; whether the runner has said something that neither
  // AwaitGo nor AwaitStop has taken.
  bool HasOrder(int64_t timeout_ns);
  // Blocks until the runner says stop.
  void AwaitStop();

 private:
  void Write(const std::string& line);
  // The next byte; false at the end.
  bool ReadByte(char* byte);

  int in_fd_;
  int out_fd_;
};

}  // namespace ipc::bench

#endif  // IPC_TESTS_BENCH_CONTROL_H_
