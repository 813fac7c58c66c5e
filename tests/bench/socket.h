// SPDX-License-Identifier: Apache-2.0
//
// Small helpers over Unix stream sockets and descriptors. On purpose none of
// libipc's: the relay must not share the code that it is compared with.

#ifndef IPC_TESTS_BENCH_SOCKET_H_
#define IPC_TESTS_BENCH_SOCKET_H_

#include <cstddef>
#include <string>
#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace ipc::bench {

// Closes what it holds. Move-only.
class Fd {
 public:
  Fd() = default;
  explicit Fd(int fd) : fd_(fd) {}
  Fd(Fd&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
  Fd& operator=(Fd&& other) noexcept;
  ~Fd() { Close(); }

  int get() const { return fd_; }
  bool valid() const { return fd_ >= 0; }
  void Close();

 private:
  int fd_ = -1;
};

// kInternal with `what` and the text of errno.
absl::Status ErrnoStatus(const std::string& what);

absl::StatusOr<Fd> ListenUnix(const std::string& path);
absl::StatusOr<Fd> ConnectUnix(const std::string& path);

// SO_SNDBUF as large as the kernel allows, at most 4 MiB: what the bus does.
void EnlargeSendBuffer(int fd);

// Blocking, all of it. Errors: kUnavailable at the end of the stream;
// kInternal otherwise.
absl::Status SendAll(int fd, const void* data, size_t size);
absl::Status ReceiveAll(int fd, void* data, size_t size);

}  // namespace ipc::bench

#endif  // IPC_TESTS_BENCH_SOCKET_H_
