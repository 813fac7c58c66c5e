// SPDX-License-Identifier: Apache-2.0
//
// Tells when something happens to the broker's socket file, so that a client
// reconnects at once when a broker comes back. Best effort: without it the
// client's backoff serves.

#ifndef IPC_LIBIPC_SOCKET_WATCH_H_
#define IPC_LIBIPC_SOCKET_WATCH_H_

#include <string>

#include "libipc/net/fd.h"

namespace ipc {

class SocketWatch {
 public:
  explicit SocketWatch(const std::string& socket_path);

  // Readable when something happened; -1 if there is no inotify to be had.
  int fd() const { return fd_.get(); }
  // Watches the folder if it does not yet and can.
  void Watch();
  // Takes what happened; true if the socket file came or changed.
  bool TakeEvents();

 private:
  std::string folder_;
  std::string name_;
  net::Fd fd_;
  bool watching_ = false;
};

}  // namespace ipc

#endif  // IPC_LIBIPC_SOCKET_WATCH_H_
