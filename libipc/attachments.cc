// SPDX-License-Identifier: Apache-2.0
//
// Duplicating what is attached.

#include "ipc/attachments.h"

#include "absl/strings/str_cat.h"
#include "libipc/base/limits.h"
#include "libipc/base/status_macros.h"
#include "libipc/net/descriptors.h"

namespace ipc {

static_assert(Attachments::kSizeMax == kDescriptorsPerMessageMax);

// What others may share is not changed: it is duplicated, too.
absl::Status Attachments::AttachFd(int fd) {
  if (size() == kSizeMax) {
    return absl::ResourceExhaustedError(absl::StrCat(
        "a message has at most ", kSizeMax, " descriptors, and has them"));
  }
  IPC_ASSIGN_OR_RETURN(net::Fd added, net::Duplicate(fd));
  if (net::IsUnixSocket(fd) || net::IsIoUring(fd)) {
    return absl::InvalidArgumentError(absl::StrCat(
        "descriptor ", fd,
        " is a socket of the Unix domain or a ring of io_uring: these are not "
        "passed"));
  }
  IPC_ASSIGN_OR_RETURN(fds_, net::Append(fds_, std::move(added)));
  return absl::OkStatus();
}

}  // namespace ipc
