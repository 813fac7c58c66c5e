// SPDX-License-Identifier: Apache-2.0
//
// A file descriptor with an owner.

#ifndef IPC_LIBIPC_NET_FD_H_
#define IPC_LIBIPC_NET_FD_H_

#include <unistd.h>

#include <utility>

namespace ipc::net {

class Fd {
 public:
  Fd() = default;
  explicit Fd(int fd) : fd_(fd) {}
  Fd(Fd&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
  Fd& operator=(Fd&& other) noexcept {
    if (this != &other) {
      Reset();
      fd_ = std::exchange(other.fd_, -1);
    }
    return *this;
  }
  ~Fd() { Reset(); }

  int get() const { return fd_; }
  bool valid() const { return fd_ >= 0; }
  // It is the caller's from now on.
  int Release() { return std::exchange(fd_, -1); }
  void Reset() {
    if (fd_ >= 0) close(fd_);
    fd_ = -1;
  }

 private:
  int fd_ = -1;
};

}  // namespace ipc::net

#endif  // IPC_LIBIPC_NET_FD_H_
