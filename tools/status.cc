// SPDX-License-Identifier: Apache-2.0
//
// ipcctl status: what the broker has counted, and why connections ended.

#include "absl/status/status.h"

#include <unistd.h>

#include <CLI/CLI.hpp>
#include <memory>

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
    "Show what the broker has counted, and why connections ended";

constexpr char kFooter[] =
    "Everything is since the broker started. The table has the last 64\n"
    "connections that ended, the oldest first, with the reason and what was\n"
    "wrong. \"awaited\" are clients whose connection was lost and whose "
    "process\n"
    "may come back. \"missing\" are messages that subscriptions were told to "
    "be\n"
    "missing, by reason.\n"
    "\n"
    "Examples:\n"
    "  ipcctl status\n"
    "  ipcctl status --json | jq .ended\n"
    "  ipcctl status --json | jq -c '.recent[] | select(.reason != \"done\")'";

absl::Status RunStatus(const Globals& globals, bool json) {
  absl::StatusOr<std::unique_ptr<Client>> client = Connect(globals, nullptr);
  if (!client.ok()) return client.status();
  const absl::StatusOr<BrokerStatus> status = (*client)->Status(kAnswerTimeout);
  if (!status.ok()) return status.status();
  Output output(STDOUT_FILENO, nullptr);
  output.Write(json ? StatusAsJson(*status)
                    : StatusAsText(*status, UseColour()));
  return output.Finish();
}

}  // namespace

Command MakeStatus(CLI::App* app) {
  auto json = std::make_shared<bool>(false);
  CLI::App* command = app->add_subcommand("status", kDescription);
  command->add_flag("--json", *json, "one JSON object");
  command->footer(kFooter);
  return {command,
          [json](const Globals& globals) { return RunStatus(globals, *json); }};
}

}  // namespace ipc::tools
