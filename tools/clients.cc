// SPDX-License-Identifier: Apache-2.0
//
// ipcctl clients: the programs on the bus. The place to look for a subscriber
// that is slow (QUEUED) or loses messages (DROPPED).

#include <unistd.h>

#include <CLI/CLI.hpp>
#include <cstddef>
#include <deque>
#include <memory>
#include <utility>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"
#include "ipc/client.h"
#include "tools/colour.h"
#include "tools/command.h"
#include "tools/connect.h"
#include "tools/events.h"
#include "tools/human.h"
#include "tools/json.h"
#include "tools/output.h"
#include "tools/stop.h"

namespace ipc::tools {
namespace {

constexpr absl::Duration kAnswerTimeout = absl::Seconds(5);
constexpr absl::Duration kSlice = absl::Milliseconds(50);

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
    "  ipcctl clients --watch                   who comes and goes, and why\n"
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

// From the client's thread to the one that writes.
class Changes {
 public:
  void Add(const PresenceEvent& event) {
    absl::MutexLock lock(&mutex_);
    // Who does not read what we write is left behind at the oldest.
    if (events_.size() >= kChangesMax) events_.pop_front();
    events_.push_back(event);
  }
  std::deque<PresenceEvent> Take() {
    absl::MutexLock lock(&mutex_);
    return std::exchange(events_, {});
  }

 private:
  static constexpr size_t kChangesMax = 100'000;

  absl::Mutex mutex_;
  std::deque<PresenceEvent> events_ ABSL_GUARDED_BY(mutex_);
};

absl::Status WatchClients(const Globals& globals, bool json) {
  Stop stop;  // before the client's thread starts
  Events events;
  Changes changes;
  absl::StatusOr<std::unique_ptr<Client>> client = Connect(globals, &events);
  if (!client.ok()) return client.status();
  absl::StatusOr<ClientWatch> watch = (*client)->WatchClients(
      [&changes](const PresenceEvent& event) { changes.Add(event); });
  if (!watch.ok()) return watch.status();
  Output output(STDOUT_FILENO, &stop);
  const bool colour = UseColour();
  while (!output.closed() && !stop.SleepFor(kSlice)) {
    for (const PresenceEvent& event : changes.Take()) {
      output.Write(json ? PresenceAsJson(event)
                        : PresenceAsLine(event, colour));
    }
    output.Flush();
    ShowNotices(&events);
    output.CheckReader();
    if (!events.refusal().ok()) return events.refusal();
  }
  return output.Finish();
}

}  // namespace

Command MakeClients(CLI::App* app) {
  struct Options {
    bool json = false;
    bool watch = false;
  };
  auto options = std::make_shared<Options>();
  CLI::App* command = app->add_subcommand("clients", kDescription);
  command->add_flag("--json", options->json, "one JSON object a line");
  command->add_flag("--watch", options->watch,
                    "show who comes and goes, and why, until Ctrl-C");
  command->footer(kFooter);
  return {command, [options](const Globals& globals) {
            return options->watch ? WatchClients(globals, options->json)
                                  : RunClients(globals, options->json);
          }};
}

}  // namespace ipc::tools
