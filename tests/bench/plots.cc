// SPDX-License-Identifier: Apache-2.0
//
// From outcomes to bars. A scenario is a group; a contestant without figures
// keeps its row and says why.

#include "tests/bench/plots.h"

#include <filesystem>
#include <system_error>

#include "absl/strings/str_cat.h"
#include "tests/bench/contestant.h"
#include "tests/bench/file.h"

namespace ipc::bench {
namespace {

BarRole RoleOf(const std::string& contestant) {
  if (contestant == kSubject) return BarRole::kMain;
  return contestant == kReference ? BarRole::kLimit : BarRole::kPeer;
}

Bar MakeBar(const Outcome& outcome) {
  Bar bar;
  bar.label = outcome.contestant;
  bar.role = RoleOf(outcome.contestant);
  if (!outcome.complete()) {
    bar.text = outcome.refusal.empty() ? "failed" : "cannot do this";
    return bar;
  }
  const Series& first = outcome.series[0];
  bar.value = first.Median();
  if (outcome.scenario.kind == Kind::kRoundTrip) {
    bar.low = first.Median();
    bar.high = outcome.series[1].Median();
    bar.text = absl::StrCat(HumanNumber(bar.low), " / ", HumanNumber(bar.high));
  } else {
    bar.low = first.Min();
    bar.high = first.Max();
    bar.text = HumanNumber(bar.value);
  }
  return bar;
}

// Adds what `wanted` says of the outcomes, a group for each scenario.
template <typename Wanted>
void AddGroups(const Results& results, Wanted wanted, Plot* plot) {
  std::string last;
  for (const Outcome& outcome : results.outcomes) {
    const Scenario& scenario = outcome.scenario;
    if (!wanted(scenario)) continue;
    if (scenario.name != last) plot->groups.push_back({scenario.title, {}});
    last = scenario.name;
    plot->groups.back().bars.push_back(MakeBar(outcome));
  }
}

std::string Footer(const Machine& machine, const Results& results) {
  std::string text =
      absl::StrCat(machine.cpu, ", ", machine.cores, " cores, Linux ",
                   machine.kernel, "; medians.");
  for (const Absence& absence : results.absences) {
    absl::StrAppend(&text, " Not measured: ", absence.contestant, ".");
  }
  return text;
}

Plot ThroughputPlot(const Results& results, uint32_t subscribers) {
  Plot plot;
  plot.title = absl::StrCat("Throughput, one publisher, ", subscribers,
                            subscribers == 1 ? " subscriber" : " subscribers");
  plot.axis =
      "messages that every subscriber has received, each second; "
      "the line is the spread";
  AddGroups(
      results,
      [&](const Scenario& scenario) {
        constexpr uint64_t kKiB = 1024;
        const uint64_t bytes = scenario.payload_bytes;
        return scenario.kind == Kind::kThroughput && scenario.publishers == 1 &&
               scenario.subscribers == subscribers && !scenario.best_effort &&
               !scenario.typed && !scenario.memfd && !scenario.crowded() &&
               (bytes == 64 || bytes == kKiB || bytes == 256 * kKiB);
      },
      &plot);
  return plot;
}

Plot RoundTripPlot(const Results& results) {
  Plot plot;
  plot.title = "Round trip over the broker and back: p50 / p99";
  plot.axis = "microseconds, less is better; the line ends at p99";
  AddGroups(
      results,
      [](const Scenario& scenario) {
        return scenario.kind == Kind::kRoundTrip && !scenario.crowded();
      },
      &plot);
  return plot;
}

}  // namespace

std::vector<PlotFile> MakePlots(const Machine& machine,
                                const Results& results) {
  std::vector<PlotFile> files = {
      {"throughput-1-1.svg", ThroughputPlot(results, 1)},
      {"throughput-1-8.svg", ThroughputPlot(results, 8)},
      {"round-trip.svg", RoundTripPlot(results)}};
  std::erase_if(files, [](const PlotFile& f) { return f.plot.groups.empty(); });
  for (PlotFile& file : files) file.plot.footer = Footer(machine, results);
  return files;
}

absl::Status WritePlots(const std::string& folder,
                        const std::vector<PlotFile>& files) {
  std::error_code ignored;  // writing tells
  std::filesystem::create_directories(folder, ignored);
  for (const PlotFile& file : files) {
    auto status =
        WriteFile(absl::StrCat(folder, "/", file.name), FormatSvg(file.plot));
    if (!status.ok()) return status;
  }
  return absl::OkStatus();
}

}  // namespace ipc::bench
