// SPDX-License-Identifier: Apache-2.0
//
// See process.h. Between fork and exec only async-signal-safe calls are made:
// the test program has threads.

#include "tests/support/process.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <utility>

#include "absl/time/clock.h"
#include "gtest/gtest.h"

namespace ipc::test {
namespace {

constexpr int kExecFailed = 127;
constexpr unsigned kCloseRangeOnExec = 1u << 2;  // CLOSE_RANGE_CLOEXEC

int Milliseconds(absl::Time deadline) {
  const absl::Duration rest = deadline - absl::Now();
  return static_cast<int>(
      std::max<int64_t>(0, absl::ToInt64Milliseconds(rest) + 1));
}

// "NAME=value" and "NAME" both name NAME.
std::string_view NameOf(std::string_view entry) {
  return entry.substr(0, entry.find('='));
}

std::vector<std::string> Environment(const std::vector<std::string>& changes) {
  std::vector<std::string> environment;
  for (char** entry = environ; *entry != nullptr; ++entry) {
    const bool changed = std::any_of(changes.begin(), changes.end(),
                                     [entry](const std::string& change) {
                                       return NameOf(change) == NameOf(*entry);
                                     });
    if (!changed) environment.emplace_back(*entry);
  }
  for (const std::string& change : changes) {
    if (change.find('=') != change.npos) environment.push_back(change);
  }
  return environment;
}

std::vector<char*> Pointers(std::vector<std::string>& strings) {
  std::vector<char*> pointers;
  pointers.reserve(strings.size() + 1);
  for (std::string& text : strings) pointers.push_back(text.data());
  pointers.push_back(nullptr);
  return pointers;
}

int MakeInput(const std::string& input) {
  const int fd = memfd_create("stdin", MFD_CLOEXEC);
  if (write(fd, input.data(), input.size()) !=
      static_cast<ssize_t>(input.size())) {
    ADD_FAILURE() << "cannot write the input: " << strerror(errno);
  }
  lseek(fd, 0, SEEK_SET);
  return fd;
}

// Everything that the child needs, made before fork.
struct Child {
  int program;
  char* const* argv;
  char* const* environment;
  int in_fd;
  int out_fd;
  int err_fd;
  pid_t parent;
};

bool BecomeUser(uid_t uid) {
  return setgroups(0, nullptr) == 0 && setgid(uid) == 0 && setuid(uid) == 0;
}

// Changing the user forgets it: so it comes last.
bool DieWithParent(pid_t parent) {
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  return getppid() == parent;
}

[[noreturn]] void RunChild(const Child& child, const ProcessOptions& options) {
  sigset_t none;
  sigemptyset(&none);
  sigprocmask(SIG_SETMASK, &none, nullptr);
  dup2(child.in_fd, STDIN_FILENO);
  dup2(child.out_fd, STDOUT_FILENO);
  dup2(child.err_fd, STDERR_FILENO);
  if (options.umask) umask(*options.umask);
  if (options.descriptors_max) {
    const rlimit limit = {*options.descriptors_max, *options.descriptors_max};
    setrlimit(RLIMIT_NOFILE, &limit);
  }
  // What we have inherited ourselves is none of the child's business.
  syscall(SYS_close_range, STDERR_FILENO + 1, ~0u, kCloseRangeOnExec);
  if (options.uid && !BecomeUser(*options.uid)) _exit(kExecFailed);
  if (!DieWithParent(child.parent)) _exit(kExecFailed);
  // By descriptor: another user may not reach the path.
  syscall(SYS_execveat, child.program, "", child.argv, child.environment,
          AT_EMPTY_PATH);
  _exit(kExecFailed);
}

int ExitCodeOf(int status) {
  return WIFSIGNALED(status) ? -WTERMSIG(status) : WEXITSTATUS(status);
}

}  // namespace

Process::Process(const ProcessOptions& options) { Start(options); }

void Process::Start(const ProcessOptions& options) {
  std::vector<std::string> arguments = options.argv;
  std::vector<std::string> environment = Environment(options.environment);
  const std::vector<char*> argv = Pointers(arguments);
  const std::vector<char*> envp = Pointers(environment);
  std::array<int, 2> in = {-1, -1};
  std::array<int, 2> out = {-1, -1};
  if (options.keep_input) {
    EXPECT_EQ(pipe2(in.data(), O_CLOEXEC), 0) << strerror(errno);
  } else {
    in[0] = MakeInput(options.input);
  }
  EXPECT_EQ(pipe2(out.data(), O_CLOEXEC), 0) << strerror(errno);
  err_fd_ = memfd_create("stderr", MFD_CLOEXEC);
  const int program = open(argv[0], O_PATH | O_CLOEXEC);
  EXPECT_GE(program, 0) << argv[0] << ": " << strerror(errno);
  const Child child = {program, argv.data(), envp.data(), in[0],
                       out[1],  err_fd_,     getpid()};
  pid_ = fork();
  if (pid_ == 0) RunChild(child, options);
  close(program);
  close(in[0]);
  close(out[1]);
  in_fd_ = in[1];
  out_fd_ = out[0];
  if (pid_ < 0) {
    ADD_FAILURE() << "cannot fork: " << strerror(errno);
    return;
  }
  // By number: glibc 2.36 declares pidfd_open for C only.
  pid_fd_ = static_cast<int>(syscall(SYS_pidfd_open, pid_, 0));
  EXPECT_GE(pid_fd_, 0) << strerror(errno);
}

Process::~Process() { Close(); }

Process::Process(Process&& other) noexcept { *this = std::move(other); }

Process& Process::operator=(Process&& other) noexcept {
  if (this == &other) return *this;
  Close();
  pid_ = std::exchange(other.pid_, -1);
  pid_fd_ = std::exchange(other.pid_fd_, -1);
  in_fd_ = std::exchange(other.in_fd_, -1);
  out_fd_ = std::exchange(other.out_fd_, -1);
  err_fd_ = std::exchange(other.err_fd_, -1);
  status_ = std::exchange(other.status_, std::nullopt);
  out_ = std::exchange(other.out_, {});
  return *this;
}

void Process::Close() {
  if (pid_ > 0 && !status_) {
    kill(pid_, SIGKILL);
    Reap();
  }
  for (int* fd : {&pid_fd_, &in_fd_, &out_fd_, &err_fd_}) {
    if (*fd >= 0) close(*fd);
    *fd = -1;
  }
}

void Process::Reap() {
  int status = 0;
  while (waitpid(pid_, &status, 0) < 0 && errno == EINTR) {
  }
  status_ = status;
}

bool Process::Running() {
  if (pid_ < 0 || status_) return false;
  pollfd ended = {pid_fd_, POLLIN, 0};
  return poll(&ended, 1, 0) == 0;
}

void Process::Signal(int signal) {
  EXPECT_TRUE(Running()) << "process " << pid_ << " has ended already";
  if (!status_) kill(pid_, signal);
}

void Process::Pause() {
  Signal(SIGSTOP);
  siginfo_t info = {};
  EXPECT_EQ(waitid(P_PID, static_cast<id_t>(pid_), &info, WSTOPPED | WEXITED),
            0);
  EXPECT_EQ(info.si_code, CLD_STOPPED);
}

void Process::Continue() { Signal(SIGCONT); }

void Process::WriteLine(std::string_view line) {
  const std::string bytes = std::string(line) + "\n";
  EXPECT_EQ(write(in_fd_, bytes.data(), bytes.size()),
            static_cast<ssize_t>(bytes.size()));
}

void Process::CloseInput() {
  if (in_fd_ >= 0) close(in_fd_);
  in_fd_ = -1;
}

// Whether more may come.
bool Process::ReadSome(int timeout_milliseconds) {
  std::array<pollfd, 2> fds = {
      {{out_fd_, POLLIN, 0}, {status_ ? -1 : pid_fd_, POLLIN, 0}}};
  poll(fds.data(), fds.size(), timeout_milliseconds);
  if (fds[0].revents == 0) return true;
  std::array<char, 65536> buffer;
  const ssize_t size = read(out_fd_, buffer.data(), buffer.size());
  if (size > 0) {
    out_.append(buffer.data(), static_cast<size_t>(size));
    return true;
  }
  close(out_fd_);
  out_fd_ = -1;
  return false;
}

int Process::Wait(absl::Duration timeout) {
  const absl::Time deadline = absl::Now() + timeout;
  while (Running()) {
    if (absl::Now() >= deadline) {
      ADD_FAILURE() << "process " << pid_ << " did not end in "
                    << absl::FormatDuration(timeout);
      kill(pid_, SIGKILL);
      break;
    }
    ReadSome(Milliseconds(deadline));
  }
  if (pid_ > 0 && !status_) Reap();
  while (out_fd_ >= 0) {
    pollfd more = {out_fd_, POLLIN, 0};
    // A grandchild may hold the other end.
    if (poll(&more, 1, 0) == 0) break;
    ReadSome(0);
  }
  return ExitCodeOf(status_.value_or(0));
}

std::optional<std::string> Process::ReadLine(absl::Duration timeout) {
  const absl::Time deadline = absl::Now() + timeout;
  bool more = out_fd_ >= 0;
  for (;;) {
    const size_t end = out_.find('\n');
    if (end != out_.npos) {
      std::string line = out_.substr(0, end);
      out_.erase(0, end + 1);
      return line;
    }
    if (!more || absl::Now() >= deadline) return std::nullopt;
    more = ReadSome(Milliseconds(deadline)) && out_fd_ >= 0;
  }
}

std::string Process::err() const {
  std::string text;
  std::array<char, 4096> buffer;
  for (;;) {
    const ssize_t size = pread(err_fd_, buffer.data(), buffer.size(),
                               static_cast<off_t>(text.size()));
    if (size <= 0) return text;
    text.append(buffer.data(), static_cast<size_t>(size));
  }
}

Outcome RunProcess(const ProcessOptions& options) {
  Process process(options);
  const int exit_code = process.Wait();
  return {exit_code, process.out(), process.err()};
}

int RunAs(uid_t uid, absl::FunctionRef<int()> body) {
  fflush(nullptr);
  const pid_t parent = getpid();
  const pid_t pid = fork();
  if (pid == 0) {
    if (!BecomeUser(uid) || !DieWithParent(parent)) _exit(kExecFailed);
    _exit(body());
  }
  int status = 0;
  EXPECT_EQ(waitpid(pid, &status, 0), pid);
  return ExitCodeOf(status);
}

std::vector<std::string> Lines(std::string_view text) {
  std::vector<std::string> lines;
  while (!text.empty()) {
    const size_t end = text.find('\n');
    lines.emplace_back(text.substr(0, end));
    text.remove_prefix(end == text.npos ? text.size() : end + 1);
  }
  return lines;
}

}  // namespace ipc::test
