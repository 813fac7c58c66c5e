// SPDX-License-Identifier: Apache-2.0
//
// Child processes. None outlives its Process object, and none outlives the
// test program: the kernel kills it with the thread that started it.
//
//   Process process({.argv = {IPCCTL_BINARY, "version"}});
//   EXPECT_EQ(process.Wait(), 0);
//   EXPECT_EQ(process.out(), "ipcctl 0.1.0\n");
//
// stdout is a pipe, read while somebody waits, so that a line is an event;
// stderr is a file in memory, so that nothing is lost and nobody blocks.

#ifndef IPC_TESTS_SUPPORT_PROCESS_H_
#define IPC_TESTS_SUPPORT_PROCESS_H_

#include <sys/resource.h>
#include <sys/types.h>

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/functional/function_ref.h"
#include "absl/time/time.h"
#include "tests/support/deadline.h"

namespace ipc::test {

struct ProcessOptions {
  std::vector<std::string> argv;  // argv[0] is the path of the program
  // "NAME=value" replaces, "NAME" alone removes; the rest is as it is here.
  std::vector<std::string> environment = {};
  std::string input = {};   // what stdin holds
  bool keep_input = false;  // stdin is a pipe; see WriteLine, CloseInput
  // For root only. The program itself is opened by this user.
  std::optional<uid_t> uid = {};
  std::optional<rlim_t> descriptors_max = {};
  std::optional<mode_t> umask = {};
};

// For one thread. What cannot be done fails the test that runs.
class Process {
 public:
  explicit Process(const ProcessOptions& options);
  // Kills and reaps it.
  ~Process();
  Process(Process&& other) noexcept;
  Process& operator=(Process&& other) noexcept;

  // Of a process that has ended, too.
  pid_t pid() const { return pid_; }
  bool Running();

  void Signal(int signal);
  // SIGSTOP, and waits until it stands still. SIGCONT.
  void Pause();
  void Continue();
  // To stdin (keep_input): a short line, which its pipe takes.
  void WriteLine(std::string_view line);
  void CloseInput();

  // Waits for its end, reading stdout meanwhile. Returns the exit code, or
  // minus the signal that ended it. A process that does not end in time is
  // killed and fails the test.
  int Wait(absl::Duration timeout = kPatience);
  // The next line of stdout without its end; none if stdout ends or the time
  // is up before.
  std::optional<std::string> ReadLine(absl::Duration timeout = kPatience);

  // What has been read of stdout, less the lines taken by ReadLine.
  const std::string& out() const { return out_; }
  // All that was written to stderr so far.
  std::string err() const;

 private:
  void Start(const ProcessOptions& options);
  bool ReadSome(int timeout_milliseconds);
  void Reap();
  void Close();

  pid_t pid_ = -1;
  int pid_fd_ = -1;
  int in_fd_ = -1;
  int out_fd_ = -1;
  int err_fd_ = -1;
  std::optional<int> status_;  // of wait(2), once reaped
  std::string out_;
};

// How a program went that ran to its end.
struct Outcome {
  int exit_code = 0;  // or minus the signal
  std::string out;
  std::string err;
};
Outcome RunProcess(const ProcessOptions& options);

// Runs `body` as `uid` in a forked child and returns what it returns. Call it
// as root and before this process has threads: the child does not exec.
int RunAs(uid_t uid, absl::FunctionRef<int()> body);

std::vector<std::string> Lines(std::string_view text);

}  // namespace ipc::test

#endif  // IPC_TESTS_SUPPORT_PROCESS_H_
