// SPDX-License-Identifier: Apache-2.0
//
// How every command reaches the broker, and what it says when it cannot: the
// socket's path and what to do about it, in one line.

#ifndef IPC_TOOLS_CONNECT_H_
#define IPC_TOOLS_CONNECT_H_

#include <memory>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "ipc/client.h"
#include "tools/command.h"
#include "tools/events.h"
#include "tools/stop.h"

namespace ipc::tools {

// The path that is connected to.
std::string SocketPath(const Globals& globals);

// Connects, or fails at once. `events` is borrowed for the client's life; it
// may be null. Errors: those of Client::Connect, with a text for the operator.
absl::StatusOr<std::unique_ptr<Client>> Connect(const Globals& globals,
                                                Events* events);

// Connects, and waits for the broker without a limit while there is none,
// which stderr is told. Errors: kCancelled if `stop` came first.
absl::StatusOr<std::unique_ptr<Client>> ConnectWaiting(const Globals& globals,
                                                       Events* events,
                                                       Stop* stop);

// The waiting part of it, for a client that has lost its broker.
absl::Status WaitForBroker(const Globals& globals, const Client& client,
                           Events* events, Stop* stop);

}  // namespace ipc::tools

#endif  // IPC_TOOLS_CONNECT_H_
