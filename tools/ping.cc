// SPDX-License-Identifier: Apache-2.0
//
// ipcctl ping: round trips through the broker, in the manner of ping(8). They
// measure the broker and the sockets, not another client.

#include <unistd.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <chrono>
#include <cstdint>
#include <memory>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_format.h"
#include "absl/time/time.h"
#include "ipc/client.h"
#include "tools/arguments.h"
#include "tools/command.h"
#include "tools/connect.h"
#include "tools/output.h"
#include "tools/stop.h"
#include "tools/text.h"

namespace ipc::tools {
namespace {

using SteadyClock = std::chrono::steady_clock;

// A ping without an answer by then counts as lost.
constexpr absl::Duration kAnswerTimeout = absl::Seconds(2);

constexpr absl::Duration kIntervalMin = absl::Milliseconds(1);

constexpr char kDescription[] = "Measure the round trip to the broker";

constexpr char kFooter[] =
    "In the manner of ping(8), with a summary at the end. A ping without an\n"
    "answer within 2 seconds is lost.\n"
    "\n"
    "Examples:\n"
    "  ipcctl ping                                until Ctrl-C\n"
    "  ipcctl ping --count 1000 --interval 0.001\n"
    "\n"
    "Exit code 1 if no ping was answered.";

struct PingOptions {
  uint64_t count = 0;  // 0: without end
  absl::Duration interval = absl::Seconds(1);
};

struct Statistics {
  uint64_t sent = 0;
  uint64_t answered = 0;
  absl::Duration shortest = absl::InfiniteDuration();
  absl::Duration longest;
  absl::Duration sum;

  void Add(absl::Duration round_trip);
  std::string Summary() const;
};

void Statistics::Add(absl::Duration round_trip) {
  ++answered;
  shortest = std::min(shortest, round_trip);
  longest = std::max(longest, round_trip);
  sum += round_trip;
}

std::string Statistics::Summary() const {
  const double lost = sent == 0 ? 0
                                : 100.0 * static_cast<double>(sent - answered) /
                                      static_cast<double>(sent);
  std::string summary = absl::StrFormat(
      "--- %d pings, %d answered, %.3g%% lost\n", sent, answered, lost);
  if (answered == 0) return summary;
  const absl::Duration average = sum / static_cast<double>(answered);
  return summary + absl::StrFormat("--- round trip min/avg/max = %s/%s/%s\n",
                                   FormatLatency(shortest),
                                   FormatLatency(average),
                                   FormatLatency(longest));
}

// One line on the next ping.
std::string PingOnce(Client* client, Statistics* statistics) {
  ++statistics->sent;
  const absl::StatusOr<absl::Duration> round_trip =
      client->Ping(kAnswerTimeout);
  if (!round_trip.ok()) {
    return absl::StrFormat("seq=%d no answer: %s\n", statistics->sent,
                           Printable(StatusText(round_trip.status())));
  }
  statistics->Add(*round_trip);
  return absl::StrFormat("seq=%d time=%s\n", statistics->sent,
                         FormatLatency(*round_trip));
}

// Ping k is due at start + k * interval; late ones are not made up for.
absl::Duration UntilNext(SteadyClock::time_point start,
                         absl::Duration interval) {
  const absl::Duration since = absl::FromChrono(SteadyClock::now() - start);
  return interval - since % interval;
}

absl::Status RunPing(const Globals& globals, const PingOptions& options) {
  Stop stop;
  absl::StatusOr<std::unique_ptr<Client>> client = Connect(globals, nullptr);
  if (!client.ok()) return client.status();
  Output output(STDOUT_FILENO, &stop);
  output.Write(absl::StrFormat("pinging the broker at %s\n",
                               Printable(SocketPath(globals))));
  Statistics statistics;
  const SteadyClock::time_point start = SteadyClock::now();
  while (!stop.Requested() && !output.closed()) {
    output.Write(PingOnce(client->get(), &statistics));
    output.Flush();
    if (statistics.sent == options.count) break;
    stop.SleepFor(UntilNext(start, options.interval));
  }
  output.Write(statistics.Summary());
  absl::Status written = output.Finish();
  if (!written.ok()) return written;
  if (statistics.sent == 0 || statistics.answered > 0) return absl::OkStatus();
  return absl::UnavailableError(
      absl::StrFormat("no answer from the broker at %s", SocketPath(globals)));
}

}  // namespace

Command MakePing(CLI::App* app) {
  auto options = std::make_shared<PingOptions>();
  CLI::App* command = app->add_subcommand("ping", kDescription);
  AddCount(command, &options->count,
           "end after N pings; default 0: until Ctrl-C");
  AddSeconds(command, "--interval", kIntervalMin, &options->interval,
             "time from one ping to the next; default 1");
  command->footer(kFooter);
  return {command, [options](const Globals& globals) {
            return RunPing(globals, *options);
          }};
}

}  // namespace ipc::tools
