// SPDX-License-Identifier: Apache-2.0
//
// Where the broker's socket is when nobody says: the same for both sides.

#ifndef IPC_LIBIPC_BASE_SOCKET_PATH_H_
#define IPC_LIBIPC_BASE_SOCKET_PATH_H_

#include <string>

namespace ipc {

// $IPC_SOCKET, else $XDG_RUNTIME_DIR/ipc/bus.sock, else /run/ipc/bus.sock. The
// environment is not trusted in a set-user-id program.
std::string DefaultSocketPathOf();

}  // namespace ipc

#endif  // IPC_LIBIPC_BASE_SOCKET_PATH_H_
