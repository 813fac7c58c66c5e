// SPDX-License-Identifier: Apache-2.0
//
// How a broker is: what it has counted since it started, and why connections
// ended. Client::Status asks for it; `ipcctl status` shows it.

#ifndef IPC_LIBIPC_INCLUDE_IPC_BROKER_STATUS_H_
#define IPC_LIBIPC_INCLUDE_IPC_BROKER_STATUS_H_

#include <sys/types.h>

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "absl/time/time.h"
#include "ipc/export.h"
#include "ipc/options.h"

namespace ipc {

// Why a connection ended. The list is closed, and the numbers are those of the
// protocol.
enum class CloseReason : uint8_t {
  kUnspecified = 0,        // not known here
  kDone = 1,               // the client has finished
  kShutdown = 2,           // the broker has ended
  kMalformed = 3,          // the client sent bytes that are no frame
  kViolation = 4,          // ... or a frame that is not allowed in this state
  kVersion = 5,            // no common protocol version
  kNotAllowed = 6,         // this user may not connect
  kLimit = 7,              // a limit of the broker
  kHandshakeTimedOut = 8,  // it connected and said nothing
  kNotReading = 9,         // answers and notices piled up unread
  kSuperseded = 10,        // the same client connected again
  kLost = 11,              // without a goodbye; its process may have died
  kInternal = 12,          // the broker's own fault
};
// "done", "handshake-timeout", ...
IPC_EXPORT std::string_view CloseReasonName(CloseReason reason);

// A connection that has ended.
struct EndedConnection {
  std::string name;  // empty: it ended before it said one
  pid_t pid = 0;
  uid_t uid = 0;
  CloseReason reason = CloseReason::kUnspecified;
  std::string text;  // for people: what was wrong; the client's own with kDone
  absl::Duration age;
};

struct BrokerStatus {
  struct Count {
    CloseReason reason = CloseReason::kUnspecified;
    uint64_t connections = 0;
  };
  struct Missing {
    GapReason reason = GapReason::kUnspecified;
    uint64_t messages = 0;
  };

  std::string version;
  std::string instance;  // 32 hex digits, new at every broker start
  pid_t pid = 0;
  absl::Duration uptime;

  uint32_t connections = 0;  // now, the one that asks included
  uint32_t awaited = 0;  // clients whose connection was lost, and may come back

  // -- Since it started
  uint64_t accepted = 0;     // connections
  uint64_t refused = 0;      // connections, before anything was read
  std::vector<Count> ended;  // connections, by reason; only those that occurred
  uint64_t messages_in = 0;  // from publishers
  uint64_t bytes_in = 0;     // their payloads and headers
  uint64_t messages_out = 0;  // to subscriptions, those sent again included
  uint64_t bytes_out = 0;
  uint64_t resends = 0;    // publishers were asked to send again
  uint64_t set_aside = 0;  // times that a reliable subscription had stalled
  // Messages that subscriptions were told to be missing, each once for each of
  // them, by reason; only those that occurred.
  std::vector<Missing> missing;

  // The last connections that ended, at most 64, the oldest first. Without
  // those that came and went without a word.
  std::vector<EndedConnection> recent;
};

}  // namespace ipc

#endif  // IPC_LIBIPC_INCLUDE_IPC_BROKER_STATUS_H_
