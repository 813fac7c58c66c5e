// SPDX-License-Identifier: Apache-2.0
//
// See payload.h.

#include "tools/payload.h"

#include <fcntl.h>
#include <poll.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string>
#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_format.h"
#include "absl/time/time.h"
#include "tools/stop.h"

namespace ipc::tools {
namespace {

constexpr uint64_t kChunkBytes = 64 * 1024;

}  // namespace

absl::StatusOr<PayloadSource> PayloadSource::Open(const std::string& path) {
  // O_NONBLOCK: a named pipe without a writer must not hold us here, where no
  // signal is heard; Read() waits for it.
  const int fd = open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK);
  if (fd < 0) {
    return absl::NotFoundError(
        absl::StrFormat("cannot open '%s': %s", path, std::strerror(errno)));
  }
  return PayloadSource(fd, "'" + path + "'");
}

PayloadSource::PayloadSource(PayloadSource&& other) noexcept
    : fd_(std::exchange(other.fd_, -1)), name_(std::move(other.name_)) {}

PayloadSource::~PayloadSource() {
  if (fd_ > STDERR_FILENO) close(fd_);
}

absl::StatusOr<std::string> PayloadSource::Read(uint64_t bytes_max,
                                                Stop* stop) {
  std::string payload;
  while (payload.size() <= bytes_max) {
    if (stop->Requested()) {
      return absl::CancelledError(
          absl::StrFormat("interrupted while reading %s", name_));
    }
    if (!stop->WaitFor(fd_, POLLIN, absl::InfiniteDuration())) continue;
    const size_t old_size = payload.size();
    payload.resize(old_size + std::min(kChunkBytes, bytes_max + 1 - old_size));
    const ssize_t result =
        read(fd_, payload.data() + old_size, payload.size() - old_size);
    const int error = errno;
    payload.resize(old_size +
                   static_cast<size_t>(std::max<ssize_t>(result, 0)));
    if (result == 0) break;
    if (result < 0 && error != EAGAIN && error != EINTR) {
      return absl::DataLossError(
          absl::StrFormat("cannot read %s: %s", name_, std::strerror(error)));
    }
  }
  return payload;
}

}  // namespace ipc::tools
