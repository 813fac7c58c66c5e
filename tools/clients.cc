// SPDX-License-Identifier: Apache-2.0
//
// ipcctl clients: the programs on the bus. The place to look for a subscriber
// that is slow (QUEUED) or loses messages (DROPPED).

#include <unistd.h>

#include <CLI/CLI.hpp>
#include <memory>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "ipc/client.h"
#include "tools/colour.h"
#include "tools/command.h"
#include "tools/connect.h"
#include "tools/human.h"
#include "tools/json.h"
#include "tools/output.h"

namespace ipc::tools {
namespace {

constexpr absl::Duration kAnswerTimeout = absl::Seconds(5);

constexpr char kDescription[] =
    "List the programs on the bus, and which are slow";

constexpr char kFooter[] =
    "In the order in which they came. IN and OUT are messages from and to the\n"
    "client, QUEUED the bytes that wait in the broker for it, DROPPED the\n"
    "messages that it was too slow for. A client is \"awaited\" when its\n"
    "connection was lost and its process may come back. The list includes "
    "this\n"
    "command itself. A line \"slow: ...\" below it names a reliable "
    "subscription\n"
    "that has consumed nothing for half of its stall timeout, or all of it "
    "(\"set\n"
    "aside\": its publishers no longer wait for it).\n"
    "\n"
    "Examples:\n"
    "  ipcctl clients\n"
    "  ipcctl clients --json | jq -r 'select(.queued_bytes > 0).name'\n"
    "  ipcctl clients --json | jq -c 'select(.slow != [])'";

absl::Status RunClients(const Globals& globals, bool json) {
  absl::StatusOr<std::unique_ptr<Client>> client = Connect(globals, nullptr);
  if (!client.ok()) return client.status();
  const absl::StatusOr<std::vector<ClientInfo>> clients =
      (*client)->ListClients(kAnswerTimeout);
  if (!clients.ok()) return clients.status();
  Output output(STDOUT_FILENO, nullptr);
  output.Write(json ? ClientsAsJson(*clients)
                    : ClientsAsTable(*clients, UseColour()));
  return output.Finish();
}

}  // namespace

Command MakeClients(CLI::App* app) {
  auto json = std::make_shared<bool>(false);
  CLI::App* command = app->add_subcommand("clients", kDescription);
  command->add_flag("--json", *json, "one JSON object a line");
  command->footer(kFooter);
  return {command, [json](const Globals& globals) {
            return RunClients(globals, *json);
          }};
}

}  // namespace ipc::tools
