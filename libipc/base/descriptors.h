// SPDX-License-Identifier: Apache-2.0
//
// File descriptors on their way with a message. Whoever makes them gives them a
// deleter that closes them, so that they are closed once, when the last of
// those that refer to them lets go. The core passes them on and never looks.

#ifndef IPC_LIBIPC_BASE_DESCRIPTORS_H_
#define IPC_LIBIPC_BASE_DESCRIPTORS_H_

#include <memory>
#include <vector>

namespace ipc {

// Null: none. Else at least one.
using Descriptors = std::shared_ptr<const std::vector<int>>;

}  // namespace ipc

#endif  // IPC_LIBIPC_BASE_DESCRIPTORS_H_
