// SPDX-License-Identifier: Apache-2.0
//
// Making, sealing, checking and mapping.

#include "libipc/net/memfd.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/vfs.h>

#include <string>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"

namespace ipc::net {
namespace {

constexpr int kSeals = F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE;

absl::Status Failed(const char* what) {
  const std::string text = absl::StrCat(what, ": ", strerror(errno));
  return errno == EMFILE || errno == ENFILE || errno == ENOMEM ||
                 errno == ENOSPC
             ? absl::ResourceExhaustedError(text)
             : absl::InternalError(text);
}

}  // namespace

absl::StatusOr<Fd> MakeSealed(
    size_t bytes, absl::FunctionRef<void(std::span<std::byte>)> write) {
  Fd fd(memfd_create("ipc-message", MFD_CLOEXEC | MFD_ALLOW_SEALING));
  if (!fd.valid()) return Failed("cannot make a memfd");
  // Takes the memory, so that writing to it cannot fail.
  if (fallocate(fd.get(), 0, 0, static_cast<off_t>(bytes)) != 0) {
    return Failed("cannot make a memfd large enough");
  }
  void* place =
      mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd.get(), 0);
  if (place == MAP_FAILED) return Failed("cannot map a memfd");
  write({static_cast<std::byte*>(place), bytes});
  munmap(place, bytes);
  if (fcntl(fd.get(), F_ADD_SEALS, kSeals) != 0) {
    return Failed("cannot seal a memfd");
  }
  return fd;
}

absl::StatusOr<Mapping> MapSealed(int fd, uint64_t bytes) {
  struct stat status;
  if (fstat(fd, &status) != 0 || !S_ISREG(status.st_mode)) {
    return absl::DataLossError("its payload is not in a file");
  }
  // One of huge pages faults where there are none left.
  struct statfs system;
  if (fstatfs(fd, &system) != 0 || system.f_type != TMPFS_MAGIC) {
    return absl::DataLossError("its payload is not in a memfd of usual pages");
  }
  const int seals = fcntl(fd, F_GET_SEALS);
  if (seals < 0 || (seals & kSeals) != kSeals) {
    return absl::DataLossError("its payload is in a file that is not sealed");
  }
  if (bytes == 0 || static_cast<uint64_t>(status.st_size) < bytes) {
    return absl::DataLossError(absl::StrCat(
        "its payload of ", bytes, " bytes is in a file of ", status.st_size));
  }
  // Private, because older kernels do not map a sealed file otherwise.
  void* place = mmap(nullptr, bytes, PROT_READ, MAP_PRIVATE, fd, 0);
  if (place == MAP_FAILED) return Failed("cannot map its payload");
  return Mapping{.owner = std::shared_ptr<const void>(
                     place, [bytes](void* mapped) { munmap(mapped, bytes); }),
                 .bytes = {static_cast<const std::byte*>(place),
                           static_cast<size_t>(bytes)}};
}

}  // namespace ipc::net
