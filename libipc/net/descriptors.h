// SPDX-License-Identifier: Apache-2.0
//
// Descriptors that are passed with messages: owning, duplicating and telling
// them apart.

#ifndef IPC_LIBIPC_NET_DESCRIPTORS_H_
#define IPC_LIBIPC_NET_DESCRIPTORS_H_

#include <cstddef>
#include <memory>
#include <vector>

#include "absl/status/statusor.h"
#include "libipc/base/descriptors.h"
#include "libipc/net/fd.h"

namespace ipc::net {

// Closes them when the last copy of what is returned is gone; null for none.
// `*held`, if given, counts them as long as they are open.
Descriptors Own(std::vector<int> fds, std::shared_ptr<size_t> held = nullptr);

// A duplicate for this process alone (close-on-exec). Errors: kInvalidArgument
// if `fd` is not open, kResourceExhausted if the process has no room.
absl::StatusOr<Fd> Duplicate(int fd);

// `first`, and behind it duplicates of `others` (may be null). Errors:
// kResourceExhausted if these are too many for a message, or the process has
// no room.
absl::StatusOr<Descriptors> InFront(Fd first, const Descriptors& others);
// Duplicates of `others` (may be null), and behind them `last`.
absl::StatusOr<Descriptors> Append(const Descriptors& others, Fd last);
// Duplicates of all but the first; null if there are no others.
absl::StatusOr<Descriptors> Behind(const Descriptors& all);

// A socket of the Unix domain: it could hold descriptors itself, in rings.
bool IsUnixSocket(int fd);
// A ring of io_uring: the kernel passes none.
bool IsIoUring(int fd);

}  // namespace ipc::net

#endif  // IPC_LIBIPC_NET_DESCRIPTORS_H_
