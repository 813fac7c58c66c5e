// SPDX-License-Identifier: Apache-2.0
//
// SOCK_STREAM sockets of the Unix domain: listening at a path, connecting to
// it, who is at the other end, and non-blocking I/O.

#ifndef IPC_LIBIPC_NET_UNIX_SOCKET_H_
#define IPC_LIBIPC_NET_UNIX_SOCKET_H_

#include <sys/stat.h>

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "libipc/net/fd.h"

namespace ipc::net {

// The longest path that fits sockaddr_un, its final NUL not counted.
inline constexpr size_t kSocketPathBytesMax = 107;

// A socket that listens at a path and removes it in the end, if it is still
// its own.
class Listener {
 public:
  // Replaces the socket of a process that has died. The socket has mode
  // `mode` before anybody can connect. Errors: kInvalidArgument for a path
  // that is empty or too long, kAlreadyExists if somebody listens there or it
  // is not a socket, kNotFound if the folder is missing, kPermissionDenied,
  // kInternal; each with path and reason.
  static absl::StatusOr<Listener> Make(const std::string& path, mode_t mode);
  Listener(Listener&&) = default;
  Listener& operator=(Listener&&) = default;
  ~Listener();

  int fd() const { return fd_.get(); }
  // A dead process's socket stood at the path.
  bool replaced_stale() const { return replaced_stale_; }

 private:
  Listener(Fd fd, std::string path, bool replaced_stale);

  Fd fd_;
  std::string path_;
  dev_t device_ = 0;
  ino_t inode_ = 0;
  bool replaced_stale_ = false;
};

// Connects without waiting. Errors: kUnavailable if nobody listens at `path`,
// kInvalidArgument, kPermissionDenied, kResourceExhausted.
absl::StatusOr<Fd> Connect(const std::string& path);

struct PeerCredentials {
  int32_t pid = 0;
  uint32_t uid = 0;
  uint32_t gid = 0;
};
absl::StatusOr<PeerCredentials> PeerOf(int fd);

// A descriptor of the process that connected `fd`; it becomes readable when
// the process ends. Invalid if the process is gone already.
Fd PeerProcess(int fd, int32_t pid);

// Whether no process has this number, or one that has ended. False in doubt.
bool IsGone(int32_t pid);

// Room for as many bytes in flight as the system allows, up to `bytes`.
void SetSendBuffer(int fd, int bytes);

enum class IoState { kDone, kWouldBlock, kClosed };
struct IoResult {
  IoState state = IoState::kDone;
  size_t bytes = 0;
  std::string error;  // kClosed: empty for an orderly end
  // kWouldBlock: there is room, but the kernel passes no more descriptors now.
  bool pause = false;
};

// One recvmsg. Descriptors that come along are moved to `*passed`, which owns
// nothing; without it they are closed and end the connection.
IoResult Receive(int fd, std::span<std::byte> buffer,
                 std::vector<int>* passed = nullptr);
// The same, into `first` and what is more into `second`.
IoResult Receive(int fd, std::span<std::byte> first,
                 std::span<std::byte> second, std::vector<int>* passed);
// One sendmsg of up to IOV_MAX segments. `passed` go with the first byte; if
// any bytes were taken, so were they.
IoResult Send(int fd, std::span<const std::span<const std::byte>> segments,
              std::span<const int> passed = {});
// Whether the peer has read all that was sent to it.
bool HasReadAll(int fd);

}  // namespace ipc::net

#endif  // IPC_LIBIPC_NET_UNIX_SOCKET_H_
