// SPDX-License-Identifier: Apache-2.0
//
// Which clients come to the bus and leave it, and why.
//
//   auto watch = client->WatchClients([](const ipc::PresenceEvent& event) {
//     if (event.change == ipc::PresenceEvent::Change::kWent) {
//       Restart(event.name, event.reason);
//     }
//   });

#ifndef IPC_LIBIPC_INCLUDE_IPC_PRESENCE_H_
#define IPC_LIBIPC_INCLUDE_IPC_PRESENCE_H_

#include <sys/types.h>

#include <functional>
#include <memory>
#include <string>

#include "ipc/broker_status.h"
#include "ipc/export.h"

namespace ipc {

class ClientImpl;
class WatchImpl;

struct PresenceEvent {
  enum class Change {
    kCame,      // it is on the bus
    kLost,      // its connection has ended; it may come back for 5 seconds
    kReturned,  // after kLost
    kWent,      // it is gone for good; kLost may have come before
  };
  Change change = Change::kCame;
  // It is so already when watching begins: kCame or kLost.
  bool initial = false;

  // Who. A client is the same if `session`, `pid` and `uid` are.
  std::string name;
  std::string session;  // 32 hex digits
  pid_t pid = 0;
  uid_t uid = 0;
  gid_t gid = 0;

  // kLost, kWent: why its connection ended. kDone: it has finished. kLost: its
  // process has died, or it may come back. kUnspecified: it went while this
  // client had no connection.
  CloseReason reason = CloseReason::kUnspecified;
  std::string text;  // for people
};

// Runs as a MessageHandler does: on the client's I/O thread (or in Process()),
// one at a time, and may call anything, the destructor of its own watch
// included.
using PresenceHandler = std::function<void(const PresenceEvent&)>;

// A watch lasts as long as this handle. Move-only. After the destructor
// returns, the handler is not running and will not run again, unless it is the
// handler itself that destroys the handle.
class IPC_EXPORT ClientWatch {
 public:
  ClientWatch() = default;
  ClientWatch(std::shared_ptr<ClientImpl> client,
              std::shared_ptr<WatchImpl> impl);
  ClientWatch(ClientWatch&&) noexcept;
  ClientWatch& operator=(ClientWatch&&) noexcept;
  ~ClientWatch();

 private:
  std::shared_ptr<ClientImpl> client_;
  std::shared_ptr<WatchImpl> impl_;
};

}  // namespace ipc

#endif  // IPC_LIBIPC_INCLUDE_IPC_PRESENCE_H_
