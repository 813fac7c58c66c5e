// SPDX-License-Identifier: Apache-2.0
//
// Tables are built as rows of cells first and printed in one of two forms.
// One row is one scenario with one contestant, so that a seventh contestant
// makes a table longer and not wider.

#include "tests/bench/report.h"

#include <algorithm>
#include <cstdio>

#include "absl/strings/str_cat.h"
#include "tests/bench/compare.h"

namespace ipc::bench {
namespace {

// A row with fewer cells than its table's header says in its last one why it
// has no figures.
using Row = std::vector<std::string>;
// The first columns, which say what a row is of.
constexpr size_t kLabels = 2;

struct Table {
  std::string title;
  Row header;
  std::vector<Row> rows;
};

std::string Fixed(double value, int decimals) {
  char text[64];
  std::snprintf(text, sizeof(text), "%.*f", decimals, value);
  return text;
}

std::string Spread(const Series& series) {
  return absl::StrCat(HumanNumber(series.Min()), " .. ",
                      HumanNumber(series.Max()));
}

std::string WithSpread(const Series& series) {
  return absl::StrCat(HumanNumber(series.Median()), " (", Spread(series), ")");
}

// A metric of an outcome as a multiple of that of `other`.
std::string Ratio(const Outcome& outcome, const Outcome* other, size_t metric) {
  if (other == nullptr) return "-";
  const double whole = other->series[metric].Median();
  if (whole <= 0) return "-";
  return Fixed(outcome.series[metric].Median() / whole, 2);
}

Row ThroughputRow(const std::vector<Outcome>& all, const Outcome& outcome) {
  const Series& rate = outcome.series[0];
  const Scenario& scenario = outcome.scenario;
  const double deliveries = rate.Median() * scenario.subscribers;
  const double bytes = deliveries * static_cast<double>(scenario.payload_bytes);
  return {HumanNumber(rate.Median()),
          Spread(rate),
          HumanNumber(deliveries),
          Fixed(bytes / 1e9, 2),
          Fixed(outcome.series[1].Median() * 100, 1) + " %",
          HumanNumber(outcome.series[2].Median()),
          Ratio(outcome, FindReference(all, scenario), 0),
          Ratio(outcome, FindBestPeer(all, scenario, 0), 0)};
}

Row RoundTripRow(const std::vector<Outcome>& all, const Outcome& outcome) {
  const Scenario& scenario = outcome.scenario;
  const Outcome* relay = FindReference(all, scenario);
  return {WithSpread(outcome.series[0]),
          WithSpread(outcome.series[1]),
          WithSpread(outcome.series[2]),
          Ratio(outcome, relay, 0),
          Ratio(outcome, relay, 1),
          Ratio(outcome, FindBestPeer(all, scenario, 0), 0),
          Ratio(outcome, FindBestPeer(all, scenario, 1), 1)};
}

Row IdleRow(const std::vector<Outcome>&, const Outcome& outcome) {
  return {WithSpread(outcome.series[0]), WithSpread(outcome.series[1]),
          WithSpread(outcome.series[2])};
}

Row CrowdRow(const std::vector<Outcome>&, const Outcome& outcome) {
  Row row;
  for (const Series& series : outcome.series) row.push_back(WithSpread(series));
  return row;
}

struct TableKind {
  Kind kind;
  const char* title;
  Row header;
  Row (*row)(const std::vector<Outcome>&, const Outcome&);
};

std::vector<TableKind> TableKinds() {
  return {
      {Kind::kThroughput,
       "Throughput: messages that every subscriber has received, each second",
       {"work", "contestant", "messages/s", "min .. max", "deliveries/s",
        "GB/s", "delivered", "publisher CPU, ns", "of relay", "of best peer"},
       &ThroughputRow},
      {Kind::kRoundTrip,
       "Round trip A -> broker -> B -> broker -> A, in microseconds",
       {"work", "contestant", "p50 (min .. max)", "p99 (min .. max)",
        "p99.9 (min .. max)", "p50 / relay", "p99 / relay", "p50 / best peer",
        "p99 / best peer"},
       &RoundTripRow},
      {Kind::kIdle,
       "Memory: what the broker grows by for each that is idle, in bytes",
       {"idle", "contestant", "RSS (min .. max)", "PSS (min .. max)",
        "private dirty (min .. max)"},
       &IdleRow},
      {Kind::kCrowd,
       "A crowd that comes and keeps still, an operator who looks at it with "
       "ipcctl, and a prober",
       {"crowd", "contestant", "settled, s", "connections/s", "subscriptions/s",
        "topics/s", "broker's RSS, bytes", "status, ms", "clients, ms",
        "topics, ms", "longest ping before, ms", "longest ping, ms"},
       &CrowdRow},
  };
}

// Stands in a row instead of its figures. A failure's text may be long; it
// follows the tables.
std::string WhyNone(const Outcome& outcome) {
  return outcome.refusal.empty() ? "FAILED"
                                 : absl::StrCat("cannot: ", outcome.refusal);
}

Table MakeTable(const std::vector<Outcome>& outcomes, const TableKind& kind) {
  Table table = {kind.title, kind.header, {}};
  for (const Outcome& outcome : outcomes) {
    if (outcome.scenario.kind != kind.kind) continue;
    Row row = {outcome.scenario.title, outcome.contestant};
    const Row figures = outcome.complete() ? kind.row(outcomes, outcome)
                                           : Row{WhyNone(outcome)};
    row.insert(row.end(), figures.begin(), figures.end());
    table.rows.push_back(std::move(row));
  }
  return table;
}

struct Compared {
  const char* metric;
  const char* label;
};
constexpr Compared kCompared[] = {{"messages_per_second", "messages/s"},
                                  {"p50", "p50, us"},
                                  {"p99", "p99, us"}};

// A row for each figure of the work that is compared: alone, and in a crowd.
Table MakeComparison(const std::vector<Outcome>& outcomes) {
  Table table = {
      "The same work alone and in a crowd that is idle on the same broker",
      {"work", "figure", "alone (min .. max)", "in the crowd (min .. max)",
       "crowd / alone (min .. max)"},
      {}};
  for (const Outcome& outcome : outcomes) {
    if (!outcome.scenario.crowded() || !outcome.complete()) continue;
    for (const Compared& compared : kCompared) {
      const std::string name = compared.metric;
      const Series* crowd = FindSeries(outcome, name);
      const Series* alone = FindSeries(outcome, name + kAloneSuffix);
      const Series* ratio = FindSeries(outcome, name + kRatioSuffix);
      if (crowd == nullptr || alone == nullptr || ratio == nullptr) continue;
      table.rows.push_back({outcome.scenario.title, compared.label,
                            WithSpread(*alone), WithSpread(*crowd),
                            WithSpread(*ratio)});
    }
  }
  return table;
}

std::string Pad(const std::string& text, size_t width, bool left) {
  const std::string blanks(width - std::min(width, text.size()), ' ');
  return left ? text + blanks : blanks + text;
}

std::string FormatRow(const Row& row, const std::vector<size_t>& widths,
                      TableForm form) {
  const bool markdown = form == TableForm::kMarkdown;
  std::string line = markdown ? "|" : "";
  const bool figures = row.size() == widths.size();
  for (size_t i = 0; i < widths.size(); ++i) {
    if (i >= row.size() && !markdown) break;
    const std::string cell = Pad(i < row.size() ? row[i] : "", widths[i],
                                 /*left=*/i < kLabels || !figures);
    absl::StrAppend(&line, markdown ? " " : "  ", cell, markdown ? " |" : "");
  }
  return line + "\n";
}

std::string MarkdownRule(const std::vector<size_t>& widths) {
  std::string line = "|";
  for (size_t i = 0; i < widths.size(); ++i) {
    const std::string dashes(widths[i] + 1, '-');
    absl::StrAppend(&line, i < kLabels ? dashes + "-" : dashes + ":", "|");
  }
  return line + "\n";
}

std::string FormatTable(const Table& table, TableForm form) {
  std::vector<size_t> widths;
  for (size_t i = 0; i < table.header.size(); ++i) {
    widths.push_back(table.header[i].size());
    for (const Row& row : table.rows) {
      // What stands instead of figures may be wider than its column.
      if (i >= kLabels && row.size() < table.header.size()) continue;
      widths[i] = std::max(widths[i], row[i].size());
    }
  }
  const bool markdown = form == TableForm::kMarkdown;
  std::string text = absl::StrCat(markdown ? "### " : "", table.title, "\n\n",
                                  FormatRow(table.header, widths, form));
  if (markdown) absl::StrAppend(&text, MarkdownRule(widths));
  for (const Row& row : table.rows) {
    absl::StrAppend(&text, FormatRow(row, widths, form));
  }
  return text + "\n";
}

std::string FormatMachine(const Machine& machine, const Settings& settings) {
  return absl::StrCat("Machine: ", machine.cpu, ", ", machine.cores,
                      " cores, Linux ", machine.kernel, ", wmem_max ",
                      machine.wmem_max, ", load before ", machine.load,
                      ".\nRuns: ", settings.runs, " of about ",
                      Fixed(static_cast<double>(settings.run_ns) * 1e-9, 0),
                      " s; each figure is the median.\n\n");
}

}  // namespace

std::string FormatReport(const Machine& machine, const Settings& settings,
                         const Results& results, TableForm form) {
  std::string text = FormatMachine(machine, settings);
  for (const TableKind& kind : TableKinds()) {
    const Table table = MakeTable(results.outcomes, kind);
    if (!table.rows.empty()) absl::StrAppend(&text, FormatTable(table, form));
  }
  const Table comparison = MakeComparison(results.outcomes);
  if (!comparison.rows.empty()) {
    absl::StrAppend(&text, FormatTable(comparison, form));
  }
  for (const Absence& absence : results.absences) {
    absl::StrAppend(&text, "MISSING: ", absence.contestant, ": ",
                    absence.reason, "\n");
  }
  for (const Outcome& outcome : results.outcomes) {
    if (outcome.failure.empty()) continue;
    absl::StrAppend(&text, "FAILED: ", outcome.scenario.name, ", ",
                    outcome.contestant, ": ", outcome.failure, "\n");
  }
  return text;
}

}  // namespace ipc::bench
