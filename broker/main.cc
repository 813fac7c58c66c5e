// SPDX-License-Identifier: Apache-2.0
//
// ipc-broker: options, signals, exit codes. Runs in the foreground; exits 0
// after SIGTERM or SIGINT, 1 if it cannot start, 2 for wrong usage.

#include <signal.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <string>
#include <thread>

#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "broker/log.h"
#include "broker/server.h"
#include "broker/spin.h"
#include "google/protobuf/stubs/logging.h"
#include "libipc/base/socket_path.h"
#include "libipc/net/fd.h"

namespace ipc::broker {
namespace {

constexpr int kExitCannotStart = 1;
constexpr int kExitUsage = 2;

struct Arguments {
  std::string socket_path;
  std::string log_level = "info";
  uint64_t message_bytes_max = kMessageBytesMaxDefault;
  std::string stall_timeout = absl::FormatDuration(kStallTimeoutDefault);
  std::string drain_timeout = absl::FormatDuration(kDrainTimeoutDefault);
  std::string spin = "0";
};

// What is wrong with a time on the command line; empty if nothing is.
std::string CheckTime(const std::string& text, absl::Duration min,
                      absl::Duration max) {
  absl::Duration time;
  if (absl::ParseDuration(text, &time) && time >= min && time <= max) return "";
  return absl::StrCat("'", text, "' is no time like 500ms or 2s, from ",
                      absl::FormatDuration(min), " to ",
                      absl::FormatDuration(max));
}

void Declare(CLI::App* app, Arguments* arguments) {
  app->add_option("--socket", arguments->socket_path,
                  "Path of the socket to listen at [default: $IPC_SOCKET, "
                  "$XDG_RUNTIME_DIR/ipc/bus.sock, /run/ipc/bus.sock]");
  app->set_config("--config", "",
                  "File of `option = value` lines, named as the long options "
                  "here; the command line wins");
  app->add_option("--log-level", arguments->log_level,
                  "error, warning, info or debug")
      ->check(CLI::IsMember({"error", "warning", "info", "debug"}))
      ->capture_default_str();
  app->add_option("--message-bytes-max", arguments->message_bytes_max,
                  "Largest payload of one message, in bytes")
      ->check(CLI::Range(uint64_t{1024}, kMessageBytesMaxLimit))
      ->capture_default_str();
  app->add_option("--stall-timeout", arguments->stall_timeout,
                  "How long a reliable subscription may consume nothing while "
                  "messages wait, before its publishers go on without it; "
                  "100ms to 1h")
      ->check([](const std::string& text) {
        return CheckTime(text, kStallTimeoutMin, kStallTimeoutMax);
      })
      ->capture_default_str();
  app->add_option("--drain-timeout", arguments->drain_timeout,
                  "At the end, how long to wait until what was sent is "
                  "consumed; 0 to 60s")
      ->check([](const std::string& text) {
        return CheckTime(text, absl::ZeroDuration(), kDrainTimeoutMax);
      })
      ->capture_default_str();
  app->add_option("--spin", arguments->spin,
                  "While messages come fast, how long to look for the next "
                  "one without sleeping: faster answers for the time of a "
                  "CPU; 0 to 1ms, try 50us. Has no effect with fewer than 4 "
                  "CPUs")
      ->check([](const std::string& text) {
        return CheckTime(text, absl::ZeroDuration(), kSpinMax);
      })
      ->capture_default_str();
  app->set_version_flag("--version", std::string("ipc-broker ") + IPC_VERSION);
  app->allow_config_extras(false);
}

// Blocks the signals that end us, from before any socket exists, and makes
// them readable.
net::Fd StopSignals() {
  sigset_t signals;
  sigemptyset(&signals);
  sigaddset(&signals, SIGTERM);
  sigaddset(&signals, SIGINT);
  sigprocmask(SIG_BLOCK, &signals, nullptr);
  signal(SIGPIPE, SIG_IGN);
  return net::Fd(signalfd(-1, &signals, SFD_CLOEXEC | SFD_NONBLOCK));
}

// A descriptor for each client.
void RaiseDescriptorLimit() {
  rlimit limit;
  if (getrlimit(RLIMIT_NOFILE, &limit) != 0) return;
  limit.rlim_cur = limit.rlim_max;
  setrlimit(RLIMIT_NOFILE, &limit);
}

// With few CPUs the broker would keep those from running that it waits for.
absl::Duration AllowedSpin(absl::Duration wanted, Log* log) {
  const unsigned cpus = std::thread::hardware_concurrency();
  if (wanted <= absl::ZeroDuration() || cpus >= kSpinCpusMin) return wanted;
  log->Warning(absl::StrCat("does not spin: it may use ", cpus,
                            " CPUs, and at least ", kSpinCpusMin,
                            " are needed for that"));
  return absl::ZeroDuration();
}

int Run(const Arguments& arguments) {
  Log log(ParseLogLevel(arguments.log_level).value_or(LogLevel::kInfo));
  // Nothing but our own log, which never blocks, writes to stderr.
  google::protobuf::SetLogHandler(nullptr);
  net::Fd stop = StopSignals();
  RaiseDescriptorLimit();
  std::string path = arguments.socket_path.empty() ? DefaultSocketPathOf()
                                                   : arguments.socket_path;
  ServerOptions options{.socket_path = path,
                        .message_bytes_max = arguments.message_bytes_max};
  absl::ParseDuration(arguments.stall_timeout, &options.stall_timeout);
  absl::ParseDuration(arguments.drain_timeout, &options.drain_timeout);
  absl::ParseDuration(arguments.spin, &options.spin);
  options.spin = AllowedSpin(options.spin, &log);
  absl::StatusOr<std::unique_ptr<Server>> server = Server::Make(options, &log);
  if (!server.ok() || !stop.valid()) {
    std::fprintf(stderr, "ipc-broker: %s\n",
                 server.ok() ? "cannot make a signalfd"
                             : std::string(server.status().message()).c_str());
    return kExitCannotStart;
  }
  log.Info(absl::StrCat("version ", IPC_VERSION, " listens at ", path));
  (*server)->Run(stop.get());
  return EXIT_SUCCESS;
}

int Main(int argc, char** argv) {
  CLI::App app(
      "The broker of the bus: listens on a Unix socket and passes messages "
      "between the programs that connect. Ends on SIGTERM or SIGINT.");
  Arguments arguments;
  Declare(&app, &arguments);
  try {
    app.parse(argc, argv);
  } catch (const CLI::FileError& error) {
    std::fprintf(stderr, "ipc-broker: %s\n", error.what());
    return kExitCannotStart;
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? EXIT_SUCCESS : kExitUsage;
  }
  return Run(arguments);
}

}  // namespace
}  // namespace ipc::broker

int main(int argc, char** argv) { return ipc::broker::Main(argc, argv); }
