// SPDX-License-Identifier: Apache-2.0
//
// The calls on descriptors.

#include "libipc/net/descriptors.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <span>
#include <string>
#include <string_view>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "libipc/base/limits.h"
#include "libipc/base/status_macros.h"

namespace ipc::net {
namespace {

absl::Status DuplicateAll(std::span<const int> fds, std::vector<Fd>* made) {
  for (int fd : fds) {
    IPC_ASSIGN_OR_RETURN(Fd duplicate, Duplicate(fd));
    made->push_back(std::move(duplicate));
  }
  return absl::OkStatus();
}

Descriptors OwnAll(std::vector<Fd> made) {
  std::vector<int> fds;
  for (Fd& fd : made) fds.push_back(fd.Release());
  return Own(std::move(fds));
}

}  // namespace

Descriptors Own(std::vector<int> fds, std::shared_ptr<size_t> held) {
  if (fds.empty()) return nullptr;
  if (held != nullptr) *held += fds.size();
  auto close_all = [held = std::move(held)](const std::vector<int>* owned) {
    for (int fd : *owned) close(fd);
    if (held != nullptr) *held -= owned->size();
    delete owned;
  };
  return Descriptors(new std::vector<int>(std::move(fds)),
                     std::move(close_all));
}

absl::StatusOr<Fd> Duplicate(int fd) {
  Fd duplicate(fcntl(fd, F_DUPFD_CLOEXEC, 0));
  if (duplicate.valid()) return duplicate;
  std::string text =
      absl::StrCat("cannot duplicate descriptor ", fd, ": ", strerror(errno));
  if (errno == EBADF) return absl::InvalidArgumentError(text);
  return absl::ResourceExhaustedError(text);
}

absl::StatusOr<Descriptors> InFront(Fd first, const Descriptors& others) {
  std::vector<Fd> made;
  made.push_back(std::move(first));
  if (others != nullptr) {
    if (others->size() >= kDescriptorsPerMessageMax) {
      return absl::ResourceExhaustedError("too many descriptors");
    }
    IPC_RETURN_IF_ERROR(DuplicateAll(*others, &made));
  }
  return OwnAll(std::move(made));
}

absl::StatusOr<Descriptors> Append(const Descriptors& others, Fd last) {
  std::vector<Fd> made;
  if (others != nullptr) IPC_RETURN_IF_ERROR(DuplicateAll(*others, &made));
  made.push_back(std::move(last));
  return OwnAll(std::move(made));
}

absl::StatusOr<Descriptors> Behind(const Descriptors& all) {
  std::vector<Fd> made;
  IPC_RETURN_IF_ERROR(DuplicateAll(std::span(*all).subspan(1), &made));
  return OwnAll(std::move(made));
}

bool IsUnixSocket(int fd) {
  int domain = 0;
  socklen_t size = sizeof(domain);
  return getsockopt(fd, SOL_SOCKET, SO_DOMAIN, &domain, &size) == 0 &&
         domain == AF_UNIX;
}

bool IsIoUring(int fd) {
  constexpr std::string_view kName = "anon_inode:[io_uring]";
  std::array<char, kName.size()> name;
  const std::string path = absl::StrCat("/proc/self/fd/", fd);
  const ssize_t size = readlink(path.c_str(), name.data(), name.size());
  return size == static_cast<ssize_t>(kName.size()) &&
         std::string_view(name.data(), name.size()) == kName;
}

}  // namespace ipc::net
