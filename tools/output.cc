// SPDX-License-Identifier: Apache-2.0
//
// See output.h. write(2) by hand and not stdio: only so can a signal end a
// write to a reader that has stopped reading, and EPIPE be told from ENOSPC.

#include "tools/output.h"

#include <poll.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <climits>
#include <cstring>
#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "absl/strings/str_format.h"
#include "absl/time/time.h"
#include "tools/text.h"

namespace ipc::tools {
namespace {

constexpr size_t kPendingBytesMax = 64 * 1024;

// How long a reader who does not read is waited for after a signal.
constexpr absl::Duration kReaderGrace = absl::Seconds(1);

}  // namespace

void Output::Write(std::string_view bytes) {
  if (closed_) return;
  pending_.append(bytes);
  if (pending_.size() >= kPendingBytesMax) Flush();
}

void Output::Flush() {
  size_t written = 0;
  while (!closed_ && written < pending_.size()) {
    if (!WaitUntilWritable()) break;
    // A pipe that poll(2) calls writable takes PIPE_BUF bytes without
    // blocking, so that the wait above is the only one.
    const size_t size = std::min<size_t>(pending_.size() - written, PIPE_BUF);
    const ssize_t result = write(fd_, pending_.data() + written, size);
    if (result >= 0) {
      written += static_cast<size_t>(result);
    } else if (errno != EINTR && errno != EAGAIN) {
      Fail(errno);
    }
  }
  pending_.clear();
}

bool Output::WaitUntilWritable() {
  if (stop_ == nullptr) {
    pollfd polled = {fd_, POLLOUT, 0};
    poll(&polled, 1, -1);
    return true;
  }
  while (!stop_->Requested()) {
    if (stop_->WaitFor(fd_, POLLOUT, absl::InfiniteDuration())) return true;
  }
  closed_ = !stop_->WaitFor(fd_, POLLOUT, kReaderGrace);
  return !closed_;
}

void Output::Fail(int error) {
  closed_ = true;
  if (error == EPIPE) return;
  status_ = absl::UnavailableError(
      absl::StrFormat("cannot write the output: %s", std::strerror(error)));
}

void Output::CheckReader() {
  pollfd polled = {fd_, 0, 0};
  if (poll(&polled, 1, 0) <= 0) return;
  if ((polled.revents & (POLLERR | POLLHUP)) != 0) closed_ = true;
}

absl::Status Output::Finish() {
  Flush();
  return status_;
}

void Complain(std::string_view text) {
  const std::string line = absl::StrFormat("ipcctl: %s\n", Printable(text));
  // One write for the whole line, so that it is not torn. Nobody is left to
  // be told if stderr itself fails.
  [[maybe_unused]] const ssize_t result =
      write(STDERR_FILENO, line.data(), line.size());
}

std::string StatusText(const absl::Status& status) {
  if (!status.message().empty()) return std::string(status.message());
  return absl::StatusCodeToString(status.code());
}

}  // namespace ipc::tools
