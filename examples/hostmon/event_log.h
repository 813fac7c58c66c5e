// SPDX-License-Identifier: Apache-2.0
//
// Tells on stderr what happens to a client between its calls: connections
// lost and found, messages missing, requests refused. There is nothing else to
// do about any of them: the client reconnects, subscribes and sends again by
// itself.

#ifndef IPC_EXAMPLES_HOSTMON_EVENT_LOG_H_
#define IPC_EXAMPLES_HOSTMON_EVENT_LOG_H_

#include <string>
#include <string_view>

#include "ipc/options.h"

namespace hostmon {

// `event` in one line, without the end of line.
std::string ToLine(const ipc::Event& event);

// Writes "<program>: <event>" to stderr.
void LogEvent(std::string_view program, const ipc::Event& event);

}  // namespace hostmon

#endif  // IPC_EXAMPLES_HOSTMON_EVENT_LOG_H_
