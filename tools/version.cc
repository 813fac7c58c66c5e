// SPDX-License-Identifier: Apache-2.0
//
// ipcctl version: the version of this tool and, if one answers, the broker's.
// No broker is no failure here: the question for the tool's own version must
// not depend on one.

#include <unistd.h>

#include <CLI/CLI.hpp>
#include <memory>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_format.h"
#include "ipc/client.h"
#include "tools/command.h"
#include "tools/connect.h"
#include "tools/output.h"
#include "tools/text.h"

// Set by the build.
#ifndef IPC_VERSION
#define IPC_VERSION "unknown"
#endif

namespace ipc::tools {
namespace {

constexpr char kDescription[] = "Show the versions of ipcctl and of the broker";

constexpr char kFooter[] =
    "Of the broker, if one answers: version, wire protocol and instance, "
    "which\n"
    "is new at every start of it.\n"
    "\n"
    "Example:\n"
    "  ipcctl version --socket /run/ipc/bus.sock";

absl::StatusOr<BrokerInfo> AskBroker(const Globals& globals) {
  absl::StatusOr<std::unique_ptr<Client>> client = Connect(globals, nullptr);
  if (!client.ok()) return client.status();
  return (*client)->broker();
}

std::string BrokerLine(const Globals& globals) {
  const absl::StatusOr<BrokerInfo> broker = AskBroker(globals);
  if (!broker.ok()) {
    return absl::StrFormat("broker unknown: %s\n",
                           Printable(StatusText(broker.status())));
  }
  return absl::StrFormat("broker %s, protocol %d, instance %s, at %s\n",
                         Printable(broker->version), broker->protocol_version,
                         Printable(broker->instance),
                         Printable(SocketPath(globals)));
}

absl::Status RunVersion(const Globals& globals) {
  Output output(STDOUT_FILENO, nullptr);
  output.Write(absl::StrFormat("ipcctl %s\n", ToolVersion()));
  output.Write(BrokerLine(globals));
  return output.Finish();
}

}  // namespace

Command MakeVersion(CLI::App* app) {
  CLI::App* command = app->add_subcommand("version", kDescription);
  command->footer(kFooter);
  return {command, RunVersion};
}

std::string ToolVersion() { return IPC_VERSION; }

}  // namespace ipc::tools
