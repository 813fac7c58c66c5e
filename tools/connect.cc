// SPDX-License-Identifier: Apache-2.0
//
// See connect.h.

#include "tools/connect.h"

#include <memory>
#include <string>
#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_format.h"
#include "absl/time/time.h"
#include "ipc/client.h"
#include "ipc/options.h"
#include "tools/command.h"
#include "tools/events.h"
#include "tools/output.h"
#include "tools/stop.h"

namespace ipc::tools {
namespace {

// A broker that accepts and then says nothing is given up after this.
constexpr absl::Duration kConnectTimeout = absl::Seconds(5);

constexpr absl::Duration kPollInterval = absl::Milliseconds(20);

// A broker that is there answers before this; then waiting is not news.
constexpr absl::Duration kQuietWait = absl::Milliseconds(200);

ClientOptions MakeOptions(const Globals& globals, Events* events) {
  ClientOptions options;
  options.name = "ipcctl";
  options.socket_path = globals.socket_path;
  options.if_broker_absent = IfBrokerAbsent::kFail;
  options.connect_timeout = kConnectTimeout;
  if (events != nullptr) options.on_event = events->Handler();
  return options;
}

absl::Status Explain(const absl::Status& status, const std::string& path) {
  const std::string reason = StatusText(status);
  switch (status.code()) {
    case absl::StatusCode::kUnavailable:
      return absl::UnavailableError(
          absl::StrFormat("no broker answers at %s; start ipc-broker, or name "
                          "its socket with --socket or IPC_SOCKET (%s)",
                          path, reason));
    case absl::StatusCode::kDeadlineExceeded:
      return absl::DeadlineExceededError(absl::StrFormat(
          "the broker at %s does not answer; see its log, or restart it (%s)",
          path, reason));
    case absl::StatusCode::kPermissionDenied:
      return absl::PermissionDeniedError(absl::StrFormat(
          "the broker at %s refuses this user; ask its operator, or name "
          "another socket with --socket (%s)",
          path, reason));
    default:
      return absl::Status(
          status.code(),
          absl::StrFormat("cannot connect to %s: %s", path, reason));
  }
}

}  // namespace

std::string SocketPath(const Globals& globals) {
  return globals.socket_path.empty() ? DefaultSocketPath()
                                     : globals.socket_path;
}

absl::StatusOr<std::unique_ptr<Client>> Connect(const Globals& globals,
                                                Events* events) {
  absl::StatusOr<std::unique_ptr<Client>> client =
      Client::Connect(MakeOptions(globals, events));
  if (!client.ok()) return Explain(client.status(), SocketPath(globals));
  return client;
}

absl::StatusOr<std::unique_ptr<Client>> ConnectWaiting(const Globals& globals,
                                                       Events* events,
                                                       Stop* stop) {
  ClientOptions options = MakeOptions(globals, events);
  options.if_broker_absent = IfBrokerAbsent::kLater;
  absl::StatusOr<std::unique_ptr<Client>> client =
      Client::Connect(std::move(options));
  if (!client.ok()) return Explain(client.status(), SocketPath(globals));
  absl::Status status = WaitForBroker(globals, **client, events, stop);
  if (!status.ok()) return status;
  return client;
}

absl::Status WaitForBroker(const Globals& globals, const Client& client,
                           Events* events, Stop* stop) {
  absl::Duration waited;
  while (!client.connected()) {
    if (stop->SleepFor(kPollInterval)) {
      return absl::CancelledError("interrupted while waiting for the broker");
    }
    if (waited < kQuietWait && waited + kPollInterval >= kQuietWait) {
      events->TellWaiting(
          absl::StrFormat("waiting for a broker at %s", SocketPath(globals)));
    }
    waited += kPollInterval;
    if (waited >= kQuietWait) ShowNotices(events);
  }
  return absl::OkStatus();
}

}  // namespace ipc::tools
