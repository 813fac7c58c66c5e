// SPDX-License-Identifier: Apache-2.0
//
// ipcctl topics: the topics that the broker knows, and who uses them.

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
    "List the topics, their types and who uses them";

constexpr char kFooter[] =
    "In the order of their names. MESSAGES and BYTES were routed since the\n"
    "broker started.\n"
    "\n"
    "Examples:\n"
    "  ipcctl topics\n"
    "  ipcctl topics --json | jq -r 'select(.subscriptions == 0).topic'";

absl::Status RunTopics(const Globals& globals, bool json) {
  absl::StatusOr<std::unique_ptr<Client>> client = Connect(globals, nullptr);
  if (!client.ok()) return client.status();
  const absl::StatusOr<std::vector<TopicInfo>> topics =
      (*client)->ListTopics(kAnswerTimeout);
  if (!topics.ok()) return topics.status();
  Output output(STDOUT_FILENO, nullptr);
  output.Write(json ? TopicsAsJson(*topics)
                    : TopicsAsTable(*topics, UseColour()));
  return output.Finish();
}

}  // namespace

Command MakeTopics(CLI::App* app) {
  auto json = std::make_shared<bool>(false);
  CLI::App* command = app->add_subcommand("topics", kDescription);
  command->add_flag("--json", *json, "one JSON object a line");
  command->footer(kFooter);
  return {command,
          [json](const Globals& globals) { return RunTopics(globals, *json); }};
}

}  // namespace ipc::tools
