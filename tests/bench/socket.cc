// SPDX-License-Identifier: Apache-2.0
//
// Unix stream sockets: plain system calls and their errors as absl::Status.

#include "tests/bench/socket.h"

#include <errno.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cstring>

#include "absl/strings/str_cat.h"

namespace ipc::bench {
namespace {

constexpr int kSendBufferBytesMax = 4 << 20;
constexpr int kBacklog = 128;

absl::Status MakeAddress(const std::string& path, sockaddr_un* address) {
  *address = {};
  address->sun_family = AF_UNIX;
  if (path.size() >= sizeof(address->sun_path)) {
    return absl::InvalidArgumentError(
        absl::StrCat("socket path is too long: ", path));
  }
  std::memcpy(address->sun_path, path.data(), path.size());
  return absl::OkStatus();
}

}  // namespace

Fd& Fd::operator=(Fd&& other) noexcept {
  if (this != &other) {
    Close();
    fd_ = std::exchange(other.fd_, -1);
  }
  return *this;
}

void Fd::Close() {
  if (fd_ >= 0) close(fd_);
  fd_ = -1;
}

absl::Status ErrnoStatus(const std::string& what) {
  return absl::InternalError(absl::StrCat(what, ": ", std::strerror(errno)));
}

absl::StatusOr<Fd> ListenUnix(const std::string& path) {
  sockaddr_un address;
  if (auto status = MakeAddress(path, &address); !status.ok()) return status;
  Fd fd(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (!fd.valid()) return ErrnoStatus("socket");
  if (bind(fd.get(), reinterpret_cast<sockaddr*>(&address), sizeof(address)) !=
          0 ||
      listen(fd.get(), kBacklog) != 0) {
    return ErrnoStatus("cannot listen on " + path);
  }
  return fd;
}

absl::StatusOr<Fd> ConnectUnix(const std::string& path) {
  sockaddr_un address;
  if (auto status = MakeAddress(path, &address); !status.ok()) return status;
  Fd fd(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  if (!fd.valid()) return ErrnoStatus("socket");
  if (connect(fd.get(), reinterpret_cast<sockaddr*>(&address),
              sizeof(address)) != 0) {
    return ErrnoStatus("cannot connect to " + path);
  }
  return fd;
}

void EnlargeSendBuffer(int fd) {
  // The kernel cuts it down to net.core.wmem_max by itself.
  const int bytes = kSendBufferBytesMax;
  (void)setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &bytes, sizeof(bytes));
}

absl::Status SendAll(int fd, const void* data, size_t size) {
  const char* next = static_cast<const char*>(data);
  while (size > 0) {
    const ssize_t sent = send(fd, next, size, MSG_NOSIGNAL);
    if (sent < 0 && errno == EINTR) continue;
    if (sent < 0) return ErrnoStatus("send");
    next += sent;
    size -= static_cast<size_t>(sent);
  }
  return absl::OkStatus();
}

absl::Status ReceiveAll(int fd, void* data, size_t size) {
  char* next = static_cast<char*>(data);
  while (size > 0) {
    const ssize_t received = recv(fd, next, size, 0);
    if (received < 0 && errno == EINTR) continue;
    if (received < 0) return ErrnoStatus("recv");
    if (received == 0) return absl::UnavailableError("the peer has closed");
    next += received;
    size -= static_cast<size_t>(received);
  }
  return absl::OkStatus();
}

}  // namespace ipc::bench
