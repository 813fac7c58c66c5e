// SPDX-License-Identifier: Apache-2.0
//
// The socket calls. Descriptors are close-on-exec and sockets non-blocking;
// no call raises SIGPIPE.

#include "libipc/net/unix_socket.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/sockios.h>
#include <poll.h>
#include <string.h>
#include <sys/file.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/un.h>

#include <algorithm>
#include <array>
#include <utility>

#include "absl/strings/str_cat.h"
#include "libipc/base/check.h"
#include "libipc/base/limits.h"
#include "libipc/base/status_macros.h"

namespace ipc::net {
namespace {

// Not in Debian 12's headers; Linux 6.5 has it.
constexpr int kSoPeerPidfd = 77;
// Descriptors that the kernel passes with one message (SCM_MAX_FD).
constexpr size_t kPassedDescriptorsMax = 253;

absl::Status ErrnoStatus(const std::string& what, int error) {
  std::string text = absl::StrCat(what, ": ", strerror(error));
  switch (error) {
    case ENOENT:
    case ENOTDIR:
      return absl::NotFoundError(text);
    case EACCES:
    case EPERM:
    case EROFS:
      return absl::PermissionDeniedError(text);
    case EMFILE:
    case ENFILE:
    case ENOBUFS:
    case ENOMEM:
    case ENOSPC:
      return absl::ResourceExhaustedError(text);
    default:
      return absl::InternalError(text);
  }
}

absl::StatusOr<sockaddr_un> AddressOf(const std::string& path) {
  if (path.empty()) return absl::InvalidArgumentError("socket path is empty");
  if (path.size() > kSocketPathBytesMax) {
    return absl::InvalidArgumentError(
        absl::StrCat("socket path ", path, " has ", path.size(),
                     " bytes; the limit is ", kSocketPathBytesMax));
  }
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  memcpy(address.sun_path, path.c_str(), path.size() + 1);
  return address;
}

absl::StatusOr<Fd> MakeSocket() {
  Fd fd(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (!fd.valid()) return ErrnoStatus("cannot make a socket", errno);
  return fd;
}

// Keeps two starting brokers from taking each other's socket for a stale one.
// Locks the folder itself, so that nothing is left behind.
absl::StatusOr<Fd> LockFolderOf(const std::string& path) {
  size_t slash = path.rfind('/');
  std::string folder = slash == std::string::npos ? "."
                       : slash == 0               ? "/"
                                                  : path.substr(0, slash);
  Fd fd(open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!fd.valid()) {
    return ErrnoStatus(absl::StrCat("cannot open the folder of ", path), errno);
  }
  if (flock(fd.get(), LOCK_EX) != 0) {
    return ErrnoStatus(absl::StrCat("cannot lock the folder of ", path), errno);
  }
  return fd;
}

// OK if the path is free now; `*stale` if a dead process's socket was there.
absl::Status ClearPath(const std::string& path, bool* stale) {
  struct stat status;
  if (lstat(path.c_str(), &status) != 0) {
    if (errno == ENOENT) return absl::OkStatus();
    return ErrnoStatus(absl::StrCat("cannot look at ", path), errno);
  }
  if (!S_ISSOCK(status.st_mode)) {
    return absl::AlreadyExistsError(
        absl::StrCat(path, " exists and is not a socket"));
  }
  absl::StatusOr<Fd> probe = Connect(path);
  if (probe.ok()) {
    return absl::AlreadyExistsError(
        absl::StrCat("another process listens at ", path));
  }
  if (!absl::IsUnavailable(probe.status())) return probe.status();
  if (unlink(path.c_str()) != 0) {
    return ErrnoStatus(absl::StrCat("cannot remove the stale socket ", path),
                       errno);
  }
  *stale = true;
  return absl::OkStatus();
}

// Every descriptor that came with a message.
std::vector<int> DescriptorsOf(const msghdr& message) {
  std::vector<int> fds;
  for (cmsghdr* control = CMSG_FIRSTHDR(&message); control != nullptr;
       control = CMSG_NXTHDR(const_cast<msghdr*>(&message), control)) {
    if (control->cmsg_level != SOL_SOCKET || control->cmsg_type != SCM_RIGHTS) {
      continue;
    }
    size_t count = (control->cmsg_len - CMSG_LEN(0)) / sizeof(int);
    for (size_t i = 0; i < count; ++i) {
      int fd;
      memcpy(&fd, CMSG_DATA(control) + i * sizeof(int), sizeof(fd));
      fds.push_back(fd);
    }
  }
  return fds;
}

// What came beside the bytes. An error ends the connection.
std::string TakeDescriptors(const msghdr& message, std::vector<int>* passed) {
  std::vector<int> fds = DescriptorsOf(message);
  const bool lost = (message.msg_flags & MSG_CTRUNC) != 0;
  if (!lost && (fds.empty() || passed != nullptr)) {
    if (!fds.empty()) *passed = std::move(fds);
    return "";
  }
  for (int fd : fds) close(fd);
  return lost ? "descriptors were passed that this process has no room for"
              : "descriptors were passed; nobody expects any";
}

IoResult Failed(int error) {
  if (error == ETOOMANYREFS) {
    return {
        .state = IoState::kWouldBlock, .bytes = 0, .error = "", .pause = true};
  }
  if (error == EAGAIN || error == EWOULDBLOCK || error == EINTR) {
    return {.state = IoState::kWouldBlock, .bytes = 0, .error = ""};
  }
  return {.state = IoState::kClosed, .bytes = 0, .error = strerror(error)};
}

}  // namespace

absl::StatusOr<Listener> Listener::Make(const std::string& path, mode_t mode) {
  IPC_ASSIGN_OR_RETURN(sockaddr_un address, AddressOf(path));
  IPC_ASSIGN_OR_RETURN(Fd lock, LockFolderOf(path));
  bool stale = false;
  IPC_RETURN_IF_ERROR(ClearPath(path, &stale));
  IPC_ASSIGN_OR_RETURN(Fd fd, MakeSocket());
  // The file comes into being with the right mode, and before listen() nobody
  // can connect.
  mode_t umask_before = umask(static_cast<mode_t>(~mode & 0777));
  int bound = bind(fd.get(), reinterpret_cast<const sockaddr*>(&address),
                   sizeof(address));
  int error = errno;
  umask(umask_before);
  if (bound != 0) {
    return ErrnoStatus(absl::StrCat("cannot bind ", path), error);
  }
  if (listen(fd.get(), SOMAXCONN) != 0) {
    error = errno;
    unlink(path.c_str());
    return ErrnoStatus(absl::StrCat("cannot listen at ", path), error);
  }
  return Listener(std::move(fd), path, stale);
}

Listener::Listener(Fd fd, std::string path, bool replaced_stale)
    : fd_(std::move(fd)),
      path_(std::move(path)),
      replaced_stale_(replaced_stale) {
  struct stat status;
  if (lstat(path_.c_str(), &status) == 0) {
    device_ = status.st_dev;
    inode_ = status.st_ino;
  }
}

Listener::~Listener() {
  struct stat status;
  if (fd_.valid() && lstat(path_.c_str(), &status) == 0 &&
      status.st_dev == device_ && status.st_ino == inode_) {
    unlink(path_.c_str());
  }
}

absl::StatusOr<Fd> Connect(const std::string& path) {
  IPC_ASSIGN_OR_RETURN(sockaddr_un address, AddressOf(path));
  IPC_ASSIGN_OR_RETURN(Fd fd, MakeSocket());
  if (connect(fd.get(), reinterpret_cast<const sockaddr*>(&address),
              sizeof(address)) == 0) {
    return fd;
  }
  int error = errno;
  std::string what = absl::StrCat("cannot connect to ", path);
  if (error == ECONNREFUSED || error == ENOENT || error == EAGAIN ||
      error == ENOTDIR) {
    return absl::UnavailableError(
        absl::StrCat(what, ": ", strerror(error), "; is ipc-broker running?"));
  }
  return ErrnoStatus(what, error);
}

absl::StatusOr<PeerCredentials> PeerOf(int fd) {
  ucred credentials{};
  socklen_t size = sizeof(credentials);
  if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &credentials, &size) != 0) {
    return ErrnoStatus("cannot read the peer's credentials", errno);
  }
  return PeerCredentials{credentials.pid, credentials.uid, credentials.gid};
}

Fd PeerProcess(int fd, int32_t pid) {
  int process = -1;
  socklen_t size = sizeof(process);
  if (getsockopt(fd, SOL_SOCKET, kSoPeerPidfd, &process, &size) == 0) {
    return Fd(process);
  }
  if (errno != ENOPROTOOPT || pid <= 0) return Fd();
  // An older kernel: the number may have been given to another process.
  return Fd(static_cast<int>(syscall(SYS_pidfd_open, pid, 0)));
}

bool IsGone(int32_t pid) {
  if (pid <= 0) return false;  // in a namespace that we do not see
  Fd process(static_cast<int>(syscall(SYS_pidfd_open, pid, 0)));
  if (!process.valid()) return errno == ESRCH;
  pollfd ended{.fd = process.get(), .events = POLLIN, .revents = 0};
  return poll(&ended, 1, 0) == 1;
}

void SetSendBuffer(int fd, int bytes) {
  // The kernel cuts it to net.core.wmem_max.
  setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &bytes, sizeof(bytes));
}

IoResult Receive(int fd, std::span<std::byte> buffer,
                 std::vector<int>* passed) {
  return Receive(fd, {}, buffer, passed);
}

IoResult Receive(int fd, std::span<std::byte> first,
                 std::span<std::byte> second, std::vector<int>* passed) {
  std::array<iovec, 2> vectors{
      iovec{.iov_base = first.data(), .iov_len = first.size()},
      iovec{.iov_base = second.data(), .iov_len = second.size()}};
  const size_t empty = first.empty() ? 1 : 0;
  alignas(cmsghdr)
      std::array<char, CMSG_SPACE(kPassedDescriptorsMax * sizeof(int))>
          control;
  msghdr message{};
  message.msg_iov = vectors.data() + empty;
  message.msg_iovlen = vectors.size() - empty;
  message.msg_control = control.data();
  message.msg_controllen = control.size();
  ssize_t received = recvmsg(fd, &message, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
  if (received < 0) return Failed(errno);
  if (message.msg_controllen != 0 || (message.msg_flags & MSG_CTRUNC) != 0)
      [[unlikely]] {
    std::string error = TakeDescriptors(message, passed);
    if (!error.empty()) {
      return {.state = IoState::kClosed, .bytes = 0, .error = std::move(error)};
    }
  }
  if (received == 0) {
    return {.state = IoState::kClosed, .bytes = 0, .error = ""};
  }
  return {.state = IoState::kDone,
          .bytes = static_cast<size_t>(received),
          .error = ""};
}

IoResult Send(int fd, std::span<const std::span<const std::byte>> segments,
              std::span<const int> passed) {
  constexpr size_t kSegmentsMax = 1024;  // IOV_MAX
  std::array<iovec, kSegmentsMax> vectors;
  size_t count = std::min(segments.size(), kSegmentsMax);
  for (size_t i = 0; i < count; ++i) {
    vectors[i] = {.iov_base = const_cast<std::byte*>(segments[i].data()),
                  .iov_len = segments[i].size()};
  }
  msghdr message{};
  message.msg_iov = vectors.data();
  message.msg_iovlen = count;
  alignas(cmsghdr)
      std::array<char, CMSG_SPACE(kDescriptorsPerMessageMax * sizeof(int))>
          control;
  if (!passed.empty()) [[unlikely]] {
    const size_t bytes = passed.size_bytes();
    IPC_CHECK(passed.size() <= kDescriptorsPerMessageMax);
    control.fill(0);
    message.msg_control = control.data();
    message.msg_controllen = CMSG_SPACE(bytes);
    cmsghdr* header = CMSG_FIRSTHDR(&message);
    header->cmsg_level = SOL_SOCKET;
    header->cmsg_type = SCM_RIGHTS;
    header->cmsg_len = CMSG_LEN(bytes);
    memcpy(CMSG_DATA(header), passed.data(), bytes);
  }
  ssize_t sent = sendmsg(fd, &message, MSG_DONTWAIT | MSG_NOSIGNAL);
  if (sent < 0) return Failed(errno);
  return {
      .state = IoState::kDone, .bytes = static_cast<size_t>(sent), .error = ""};
}

bool HasReadAll(int fd) {
  int bytes = 0;
  return ioctl(fd, SIOCOUTQ, &bytes) == 0 && bytes == 0;
}

}  // namespace ipc::net
