// SPDX-License-Identifier: Apache-2.0
//
// bench: measures the bus beside its peers and the limit of the machine.
//
//   bench                      every scenario, a quarter of an hour
//   bench --quick              a few of them, under two minutes
//   bench --full               longer and more often, for published figures
//   bench --only 'round-trip'  some scenarios
//   bench --json               one JSON object
//   bench --markdown           the tables of docs/performance.md
//   bench --plots docs/plots   also pictures, as SVG
//
// Results go to stdout, progress to stderr. Exit status: 0 if every
// measurement is complete, 1 if one FAILED, 2 for bad arguments.

#include <signal.h>

#include <algorithm>
#include <cstdio>
#include <string>
#include <vector>

#include "CLI/CLI.hpp"
#include "tests/bench/clock.h"
#include "tests/bench/folder.h"
#include "tests/bench/json.h"
#include "tests/bench/machine.h"
#include "tests/bench/plots.h"
#include "tests/bench/report.h"
#include "tests/bench/role.h"
#include "tests/bench/runner.h"

namespace ipc::bench {
namespace {

struct CommandLine {
  Settings settings;
  bool full = false;
  bool quick = false;
  bool json = false;
  bool markdown = false;
  std::string plots;  // a folder; empty: none
  uint32_t runs = 0;  // 0: as --quick or --full says
};

void AddOptions(CLI::App& app, CommandLine* line) {
  auto* quick =
      app.add_flag("--quick", line->quick, "few scenarios, 3 short runs each");
  app.add_flag("--full", line->full, "runs of 2 s, 5 of each; default: 1 s, 3")
      ->excludes(quick);
  app.add_option("--runs", line->runs, "how often each is measured")
      ->check(CLI::Range(1, 1000));
  app.add_option("--only", line->settings.only,
                 "scenarios whose name has a match of this regular expression");
  app.add_option("--contestants", line->settings.contestants,
                 "contestants, by such an expression for whole names");
  auto* json = app.add_flag("--json", line->json, "one JSON object");
  app.add_flag("--markdown", line->markdown, "Markdown tables")->excludes(json);
  app.add_option("--plots", line->plots, "a folder for SVG pictures");
}

Settings MakeSettings(const CommandLine& line) {
  Settings settings = line.settings;
  settings.full = line.full;
  settings.quick = line.quick;
  settings.runs = line.runs > 0 ? line.runs : line.full ? 5 : 3;
  settings.run_ns = line.full    ? 2 * kNsPerSecond
                    : line.quick ? kNsPerSecond * 3 / 10
                                 : kNsPerSecond;
  settings.idle_connections = line.full ? 3000 : 1000;
  return settings;
}

int RunBench(const CommandLine& line) {
  signal(SIGPIPE, SIG_IGN);
  RaiseDescriptorLimit();
  RemoveFolderOnSignals();
  const Settings settings = MakeSettings(line);
  const Machine machine = ReadMachine();
  auto results = RunAll(settings);
  if (!results.ok()) {
    std::fprintf(stderr, "bench: %s\n",
                 std::string(results.status().message()).c_str());
    return 2;
  }
  const TableForm form =
      line.markdown ? TableForm::kMarkdown : TableForm::kText;
  const std::string text =
      line.json ? FormatJson(machine, settings, *results)
                : FormatReport(machine, settings, *results, form);
  std::fputs(text.c_str(), stdout);
  if (!line.plots.empty()) {
    auto status = WritePlots(line.plots, MakePlots(machine, *results));
    if (!status.ok()) {
      std::fprintf(stderr, "bench: %s\n",
                   std::string(status.message()).c_str());
      return 2;
    }
  }
  return std::any_of(results->outcomes.begin(), results->outcomes.end(),
                     [](const Outcome& o) { return !o.failure.empty(); })
             ? 1
             : 0;
}

}  // namespace
}  // namespace ipc::bench

int main(int argc, char** argv) {
  CLI::App app("Measures the message bus beside its peers and the limit.");
  ipc::bench::CommandLine line;
  ipc::bench::RoleCommand role;
  ipc::bench::AddOptions(app, &line);
  const CLI::App* role_command = ipc::bench::AddRoleCommand(app, &role);
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? 0 : 2;
  }
  if (role_command->parsed()) return ipc::bench::RunRole(role);
  return ipc::bench::RunBench(line);
}
