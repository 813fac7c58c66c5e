// SPDX-License-Identifier: Apache-2.0
//
// A child process of the runner: a role of the benchmark with two control
// pipes (control.h), or a broker that is a program of its own.
//
// A child never outlives the runner (PR_SET_PDEATHSIG), nor its Process: the
// destructor kills it by its pid.

#ifndef IPC_TESTS_BENCH_PROCESS_H_
#define IPC_TESTS_BENCH_PROCESS_H_

#include <signal.h>
#include <sys/types.h>

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "tests/bench/socket.h"

namespace ipc::bench {

struct ProcessOptions {
  std::string label;                     // for error texts
  std::vector<std::string> argv;         // argv[0] is searched in PATH
  std::vector<std::string> environment;  // NAME=value, added to ours
  // Whether stdin and stdout are the control pipes; else stdin is /dev/null
  // and stdout goes where stderr goes.
  bool control_pipes = true;
  int stop_signal = SIGTERM;  // asks it to end, where no pipe does
  std::string log;            // a file for stderr; empty: it is the runner's
};

// One line from a role.
struct Report {
  std::string word;  // "ready" or "done"
  std::vector<int64_t> numbers;
};

class Process {
 public:
  Process() = default;
  static absl::StatusOr<Process> Start(const ProcessOptions& options);
  Process(Process&& other) noexcept;
  Process& operator=(Process&& other) noexcept;
  ~Process() { Kill(); }

  const std::string& label() const { return label_; }
  pid_t pid() const { return pid_; }
  // Readable when the process has ended.
  int pid_fd() const { return pid_fd_.get(); }
  // Readable when there may be a report.
  int output_fd() const { return output_.get(); }

  absl::Status SendGo();
  // Reads what is there and returns the first report that is complete; none
  // yet: nullopt. Errors: kAborted with what the role said, or that it ended.
  absl::StatusOr<std::optional<Report>> ReadReport();

  // How it ended, if it has or does within the time; else nothing.
  std::string DescribeEnd(int timeout_ms) const;

  // Closes the control pipe, or sends its signal where there is none or
  // `terminate` says so, and waits for the end. Errors: kAborted if it ended
  // in any other way than asked; kDeadlineExceeded (then it is killed).
  absl::Status Stop(bool terminate = false);
  // At once. Also reaps.
  void Kill();

 private:
  // The wait status of an ended process; nullopt if it has not ended by then.
  std::optional<int> Reap(int timeout_ms);

  std::string label_;
  pid_t pid_ = -1;
  int stop_signal_ = SIGTERM;
  Fd pid_fd_;
  Fd input_;
  Fd output_;
  std::string received_;
};

// `status`, or, if the broker has ended, that: it is why the rest failed.
absl::Status BlameBroker(const absl::Status& status, const Process& broker);

// Waits until each of `roles` has sent one report, which must be `word`, and
// returns them in the same order. Errors: kAborted if a role fails or ends, or
// `broker` ends; kDeadlineExceeded after kStepNsMax.
absl::StatusOr<std::vector<Report>> AwaitReports(
    const std::vector<Process*>& roles, const std::string& word,
    const Process& broker);

}  // namespace ipc::bench

#endif  // IPC_TESTS_BENCH_PROCESS_H_
