// SPDX-License-Identifier: Apache-2.0
//
// A role's reports and orders: blocking reads and writes of short lines. A
// line is shorter than PIPE_BUF, so that one write is one line.

#include "tests/bench/control.h"

#include <errno.h>
#include <poll.h>
#include <time.h>
#include <unistd.h>

#include "absl/strings/str_cat.h"
#include "tests/bench/clock.h"

namespace ipc::bench {
namespace {

constexpr size_t kTextBytesMax = 1000;

}  // namespace

void Control::Done(const std::vector<int64_t>& numbers) {
  std::string line = "done";
  for (int64_t number : numbers) absl::StrAppend(&line, " ", number);
  Write(line + "\n");
}

void Control::Failed(const absl::Status& status) {
  std::string text = status.ToString().substr(0, kTextBytesMax);
  for (char& c : text) {
    if (c == '\n') c = ' ';
  }
  Write(absl::StrCat("failed ", text, "\n"));
}

absl::Status Control::AwaitGo() {
  char byte;
  while (ReadByte(&byte)) {
    if (byte == '\n') return absl::OkStatus();
  }
  return absl::CancelledError("stopped before the start");
}

bool Control::HasOrder(int64_t timeout_ns) {
  pollfd order = {in_fd_, POLLIN, 0};
  const timespec timeout = {timeout_ns / kNsPerSecond,
                            timeout_ns % kNsPerSecond};
  return ppoll(&order, 1, &timeout, nullptr) > 0;
}

void Control::AwaitStop() {
  char byte;
  while (ReadByte(&byte)) {
  }
}

void Control::Write(const std::string& line) {
  // When the runner is gone there is nobody to tell.
  (void)!write(out_fd_, line.data(), line.size());
}

bool Control::ReadByte(char* byte) {
  ssize_t size;
  do {
    size = read(in_fd_, byte, 1);
  } while (size < 0 && errno == EINTR);
  return size == 1;
}

}  // namespace ipc::bench
