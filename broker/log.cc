// SPDX-License-Identifier: Apache-2.0
//
// A library is not used here because none writes without ever blocking and
// without a thread of its own.

#include "broker/log.h"

#include <poll.h>
#include <unistd.h>

#include <array>

#include "absl/strings/str_cat.h"

namespace ipc::broker {
namespace {

constexpr std::array<std::string_view, 4> kNames = {"error", "warning", "info",
                                                    "debug"};
// A pipe that polls as writable takes this much without blocking (PIPE_BUF is
// 4096).
constexpr size_t kLineBytesMax = 2048;

}  // namespace

std::optional<LogLevel> ParseLogLevel(std::string_view name) {
  for (size_t i = 0; i < kNames.size(); ++i) {
    if (kNames[i] == name) return static_cast<LogLevel>(i);
  }
  return std::nullopt;
}

void Log::Write(LogLevel level, std::string_view text) {
  if (level > level_) return;
  if (dropped_ != 0 &&
      WriteLine(LogLevel::kWarning,
                absl::StrCat(dropped_, " lines of this log were dropped"))) {
    dropped_ = 0;
  }
  if (dropped_ != 0 || !WriteLine(level, text)) ++dropped_;
}

bool Log::WriteLine(LogLevel level, std::string_view text) {
  std::string_view name = kNames[static_cast<size_t>(level)];
  std::string line = absl::StrCat(
      "ipc-broker: ", absl::string_view(name.data(), name.size()), ": ");
  // Some of the text comes from peers.
  for (char c : text.substr(0, kLineBytesMax)) {
    line += (c >= ' ' && c != 127) ? c : '?';
  }
  line += '\n';
  pollfd stderr_fd{.fd = STDERR_FILENO, .events = POLLOUT, .revents = 0};
  if (poll(&stderr_fd, 1, 0) != 1 || (stderr_fd.revents & POLLOUT) == 0) {
    return false;
  }
  return write(STDERR_FILENO, line.data(), line.size()) ==
         static_cast<ssize_t>(line.size());
}

}  // namespace ipc::broker
