// SPDX-License-Identifier: Apache-2.0
//
// Starting, hearing and ending child processes. Between fork and exec only
// async-signal-safe calls are made; all strings are ready before it.

#include "tests/bench/process.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "tests/bench/clock.h"

namespace ipc::bench {
namespace {

constexpr int kStopMsMax = 10'000;
// A client may notice the broker's death before the runner does.
constexpr int kBlameMsMax = 200;
constexpr int kExecFailed = 127;

struct Pipe {
  Fd read;
  Fd write;
};

absl::StatusOr<Pipe> MakePipe() {
  int fds[2];
  if (pipe2(fds, O_CLOEXEC) != 0) return ErrnoStatus("pipe");
  return Pipe{Fd(fds[0]), Fd(fds[1])};
}

std::vector<char*> Pointers(std::vector<std::string>& strings) {
  std::vector<char*> pointers;
  pointers.reserve(strings.size() + 1);
  for (std::string& text : strings) pointers.push_back(text.data());
  pointers.push_back(nullptr);
  return pointers;
}

std::vector<std::string> Environment(const std::vector<std::string>& added) {
  std::vector<std::string> all = added;  // the first of a name is taken
  for (char** entry = environ; *entry != nullptr; ++entry) {
    all.push_back(*entry);
  }
  return all;
}

// A child's first three descriptors.
struct Streams {
  int in;
  int out;
  int error;
};

[[noreturn]] void RunChild(char* const* argv, char* const* environment,
                           const Streams& streams, pid_t parent) {
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  if (getppid() != parent) _exit(kExecFailed);  // it died before the prctl
  signal(SIGPIPE, SIG_DFL);
  sigset_t none;  // the runner blocks some
  sigemptyset(&none);
  sigprocmask(SIG_SETMASK, &none, nullptr);
  dup2(streams.in, STDIN_FILENO);
  dup2(streams.out, STDOUT_FILENO);
  dup2(streams.error, STDERR_FILENO);
  execvpe(argv[0], argv, environment);
  _exit(kExecFailed);
}

// By number: glibc 2.36 declares pidfd_open for C only.
Fd OpenPidFd(pid_t pid) {
  return Fd(static_cast<int>(syscall(SYS_pidfd_open, pid, 0)));
}

std::string EndText(int status) {
  if (WIFSIGNALED(status)) {
    return absl::StrCat("was killed by signal ", WTERMSIG(status));
  }
  if (WEXITSTATUS(status) == kExecFailed) return "could not be started";
  return absl::StrCat("ended with status ", WEXITSTATUS(status));
}

absl::StatusOr<Report> ParseReport(const std::string& line) {
  if (absl::StartsWith(line, "failed ")) {
    return absl::AbortedError(line.substr(7));
  }
  Report report;
  for (const std::string& part :
       std::vector<std::string>(absl::StrSplit(line, ' '))) {
    int64_t number = 0;
    if (report.word.empty()) {
      report.word = part;
    } else if (absl::SimpleAtoi(part, &number)) {
      report.numbers.push_back(number);
    } else {
      return absl::AbortedError("reported nonsense: " + line);
    }
  }
  return report;
}

// As Process::ReadReport, but any other word is an error.
absl::StatusOr<std::optional<Report>> HearReport(Process& role,
                                                 const std::string& word) {
  auto report = role.ReadReport();
  if (report.ok() && report->has_value() && (*report)->word != word) {
    return absl::AbortedError(absl::StrCat("the ", role.label(), " reported ",
                                           (*report)->word, " instead of ",
                                           word));
  }
  return report;
}

}  // namespace

absl::StatusOr<Process> Process::Start(const ProcessOptions& options) {
  auto to_child = MakePipe();
  if (!to_child.ok()) return to_child.status();
  auto from_child = MakePipe();
  if (!from_child.ok()) return from_child.status();
  Fd null(open("/dev/null", O_RDONLY | O_CLOEXEC));
  std::vector<std::string> arguments = options.argv;
  std::vector<std::string> environment = Environment(options.environment);
  const std::vector<char*> argv = Pointers(arguments);
  const std::vector<char*> envp = Pointers(environment);
  const bool control = options.control_pipes;
  Fd log;
  if (!options.log.empty()) {
    log = Fd(open(options.log.c_str(), O_WRONLY | O_CREAT | O_CLOEXEC, 0600));
    if (!log.valid()) return ErrnoStatus(options.log);
  }
  const int error = log.valid() ? log.get() : STDERR_FILENO;
  const Streams streams = {control ? to_child->read.get() : null.get(),
                           control ? from_child->write.get() : error, error};
  const pid_t parent = getpid();
  const pid_t pid = fork();
  if (pid < 0) return ErrnoStatus("fork");
  if (pid == 0) {
    RunChild(argv.data(), envp.data(), streams, parent);
  }
  Process process;
  process.label_ = options.label;
  process.stop_signal_ = options.stop_signal;
  process.pid_ = pid;
  process.pid_fd_ = OpenPidFd(pid);
  if (!process.pid_fd_.valid()) return ErrnoStatus("pidfd_open");
  if (control) {
    process.input_ = std::move(to_child->write);
    process.output_ = std::move(from_child->read);
    fcntl(process.output_.get(), F_SETFL, O_NONBLOCK);
  }
  return process;
}

Process::Process(Process&& other) noexcept { *this = std::move(other); }

Process& Process::operator=(Process&& other) noexcept {
  if (this == &other) return *this;
  Kill();
  label_ = std::move(other.label_);
  pid_ = std::exchange(other.pid_, -1);
  stop_signal_ = other.stop_signal_;
  pid_fd_ = std::move(other.pid_fd_);
  input_ = std::move(other.input_);
  output_ = std::move(other.output_);
  received_ = std::move(other.received_);
  return *this;
}

absl::Status Process::SendGo() {
  if (write(input_.get(), "go\n", 3) == 3) return absl::OkStatus();
  return ErrnoStatus("cannot start the " + label_);
}

absl::StatusOr<std::optional<Report>> Process::ReadReport() {
  char buffer[4096];
  const ssize_t size = read(output_.get(), buffer, sizeof(buffer));
  if (size > 0) received_.append(buffer, static_cast<size_t>(size));
  const size_t end = received_.find('\n');
  if (end == std::string::npos) {
    if (size != 0) return std::nullopt;
    const std::optional<int> status = Reap(kStopMsMax);
    return absl::AbortedError(absl::StrCat(
        "the ", label_, " ",
        status.has_value() ? EndText(*status) : "closed its output"));
  }
  auto report = ParseReport(received_.substr(0, end));
  received_.erase(0, end + 1);
  if (report.ok()) return *std::move(report);
  return absl::AbortedError(
      absl::StrCat("the ", label_, ": ", report.status().message()));
}

absl::Status Process::Stop(bool terminate) {
  if (pid_ < 0) return absl::OkStatus();
  terminate = terminate || !input_.valid();
  if (terminate) kill(pid_, stop_signal_);
  input_.Close();
  const std::optional<int> status = Reap(kStopMsMax);
  if (!status.has_value()) {
    Kill();
    return absl::DeadlineExceededError(
        absl::StrCat("the ", label_, " did not end when asked to"));
  }
  if (*status == 0) return absl::OkStatus();
  if (terminate && WIFSIGNALED(*status) && WTERMSIG(*status) == stop_signal_) {
    return absl::OkStatus();
  }
  return absl::AbortedError(
      absl::StrCat("the ", label_, " ", EndText(*status)));
}

void Process::Kill() {
  if (pid_ < 0) return;
  kill(pid_, SIGKILL);
  (void)Reap(-1);
}

std::optional<int> Process::Reap(int timeout_ms) {
  if (pid_ < 0) return std::nullopt;
  pollfd ended = {pid_fd_.get(), POLLIN, 0};
  if (poll(&ended, 1, timeout_ms) == 0) return std::nullopt;
  int status = 0;
  while (waitpid(pid_, &status, 0) < 0 && errno == EINTR) {
  }
  pid_ = -1;
  return status;
}

std::string Process::DescribeEnd(int timeout_ms) const {
  if (pid_ < 0) return "";
  pollfd ended = {pid_fd_.get(), POLLIN, 0};
  if (poll(&ended, 1, timeout_ms) <= 0) return "";
  siginfo_t info = {};
  // WNOWAIT: the end stays there for Stop or Kill to reap.
  if (waitid(P_PID, static_cast<id_t>(pid_), &info, WEXITED | WNOWAIT) != 0) {
    return "";
  }
  const bool exited = info.si_code == CLD_EXITED;
  return absl::StrCat(
      label_, " ",
      EndText(exited ? W_EXITCODE(info.si_status, 0) : info.si_status));
}

absl::Status BlameBroker(const absl::Status& status, const Process& broker) {
  const std::string end = broker.DescribeEnd(kBlameMsMax);
  if (end.empty()) return status;
  return absl::AbortedError(absl::StrCat(
      "the ", end, " (then: ", std::string(status.message()), ")"));
}

absl::StatusOr<std::vector<Report>> AwaitReports(
    const std::vector<Process*>& roles, const std::string& word,
    const Process& broker) {
  const int64_t deadline_ns = MonotonicNs() + kStepNsMax;
  std::vector<Report> reports(roles.size());
  std::vector<pollfd> fds = {{broker.pid_fd(), POLLIN, 0}};
  for (const Process* role : roles) {
    fds.push_back({role->output_fd(), POLLIN, 0});
  }
  for (size_t left = roles.size(); left > 0;) {
    const int64_t left_ms = (deadline_ns - MonotonicNs()) / 1'000'000;
    if (left_ms <= 0 ||
        poll(fds.data(), fds.size(), static_cast<int>(left_ms)) == 0) {
      return absl::DeadlineExceededError(
          absl::StrCat(left, " of ", roles.size(), " processes, the ",
                       roles.front()->label(), " or its like, did not report ",
                       word, " in time"));
    }
    if (fds[0].revents != 0) {
      return BlameBroker(absl::AbortedError("no reports came"), broker);
    }
    for (size_t i = 0; i < roles.size(); ++i) {
      if (fds[i + 1].revents == 0) continue;
      auto report = HearReport(*roles[i], word);
      if (!report.ok()) return BlameBroker(report.status(), broker);
      if (!report->has_value()) continue;
      reports[i] = **std::move(report);
      fds[i + 1].fd = -1;  // poll passes over it
      --left;
    }
  }
  return reports;
}

}  // namespace ipc::bench
