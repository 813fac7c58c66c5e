// SPDX-License-Identifier: Apache-2.0
//
// What is common to both forms of a client's coming and going.

#ifndef IPC_TOOLS_PRESENCE_H_
#define IPC_TOOLS_PRESENCE_H_

#include <string>

#include "ipc/presence.h"

namespace ipc::tools {

// "came", "lost", "returned" or "went".
inline std::string ChangeName(PresenceEvent::Change change) {
  switch (change) {
    case PresenceEvent::Change::kCame:
      return "came";
    case PresenceEvent::Change::kLost:
      return "lost";
    case PresenceEvent::Change::kReturned:
      return "returned";
    case PresenceEvent::Change::kWent:
      return "went";
  }
  return "";
}

// Whether the event has a reason.
inline bool HasReason(const PresenceEvent& event) {
  return event.change == PresenceEvent::Change::kLost ||
         event.change == PresenceEvent::Change::kWent;
}

}  // namespace ipc::tools

#endif  // IPC_TOOLS_PRESENCE_H_
