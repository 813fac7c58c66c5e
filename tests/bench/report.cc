// SPDX-License-Identifier: Apache-2.0
//
// Tables are built as rows of cells first and printed in one of two forms.
// One row is one scenario with one contestant, so that a seventh contestant
// makes a table longer and not wider.

#include "tests/bench/report.h"

#include <algorithm>
#include <cstdio>

#include "absl/strings/str_cat.h"
#include "tests/bench/contestant.h"

namespace ipc::bench {
namespace {

using Row = std::vector<std::string>;

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

// The reference's outcome for the same work, whatever the policy of the
// subscriptions: it has none. Null if there is none.
const Outcome* FindReference(const std::vector<Outcome>& outcomes,
                             const Outcome& outcome) {
  for (const Outcome& other : outcomes) {
    if (other.contestant == kReference && other.failure.empty() &&
        other.scenario.kind == outcome.scenario.kind &&
        other.scenario.payload_bytes == outcome.scenario.payload_bytes &&
        other.scenario.subscribers == outcome.scenario.subscribers) {
      return &other;
    }
  }
  return nullptr;
}

// The share of the limit for metric `index`; 1 is the limit itself.
std::string Ratio(const std::vector<Outcome>& outcomes, const Outcome& outcome,
                  size_t index) {
  const Outcome* reference = FindReference(outcomes, outcome);
  if (reference == nullptr) return "-";
  const double limit = reference->series[index].Median();
  if (limit <= 0) return "-";
  return Fixed(outcome.series[index].Median() / limit, 2);
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
          Ratio(all, outcome, 0)};
}

Row RoundTripRow(const std::vector<Outcome>& all, const Outcome& outcome) {
  return {WithSpread(outcome.series[0]), WithSpread(outcome.series[1]),
          WithSpread(outcome.series[2]), Ratio(all, outcome, 0),
          Ratio(all, outcome, 1)};
}

Row IdleRow(const std::vector<Outcome>&, const Outcome& outcome) {
  return {WithSpread(outcome.series[0]), WithSpread(outcome.series[1]),
          WithSpread(outcome.series[2])};
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
        "GB/s", "delivered", "of relay"},
       &ThroughputRow},
      {Kind::kRoundTrip,
       "Round trip A -> broker -> B -> broker -> A, in microseconds",
       {"work", "contestant", "p50 (min .. max)", "p99 (min .. max)",
        "p99.9 (min .. max)", "p50 / relay", "p99 / relay"},
       &RoundTripRow},
      {Kind::kIdle,
       "Idle connections: growth of the broker for each, in bytes",
       {"work", "contestant", "RSS (min .. max)", "PSS (min .. max)",
        "private dirty (min .. max)"},
       &IdleRow},
  };
}

Table MakeTable(const std::vector<Outcome>& outcomes, const TableKind& kind) {
  Table table = {kind.title, kind.header, {}};
  for (const Outcome& outcome : outcomes) {
    if (outcome.scenario.kind != kind.kind) continue;
    Row row = {outcome.scenario.title, outcome.contestant};
    const Row figures =
        outcome.failure.empty() ? kind.row(outcomes, outcome) : Row{"FAILED"};
    row.insert(row.end(), figures.begin(), figures.end());
    row.resize(table.header.size());
    table.rows.push_back(std::move(row));
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
  for (size_t i = 0; i < row.size(); ++i) {
    const std::string cell = Pad(row[i], widths[i], /*left=*/i < 2);
    absl::StrAppend(&line, markdown ? " " : "  ", cell, markdown ? " |" : "");
  }
  return line + "\n";
}

std::string MarkdownRule(const std::vector<size_t>& widths) {
  std::string line = "|";
  for (size_t i = 0; i < widths.size(); ++i) {
    const std::string dashes(widths[i] + 1, '-');
    absl::StrAppend(&line, i < 2 ? dashes + "-" : dashes + ":", "|");
  }
  return line + "\n";
}

std::string FormatTable(const Table& table, TableForm form) {
  std::vector<size_t> widths;
  for (size_t i = 0; i < table.header.size(); ++i) {
    widths.push_back(table.header[i].size());
    for (const Row& row : table.rows) {
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
                         const std::vector<Outcome>& outcomes, TableForm form) {
  std::string text = FormatMachine(machine, settings);
  for (const TableKind& kind : TableKinds()) {
    const Table table = MakeTable(outcomes, kind);
    if (!table.rows.empty()) absl::StrAppend(&text, FormatTable(table, form));
  }
  for (const Outcome& outcome : outcomes) {
    if (outcome.failure.empty()) continue;
    absl::StrAppend(&text, "FAILED: ", outcome.scenario.name, ", ",
                    outcome.contestant, ": ", outcome.failure, "\n");
  }
  return text;
}

}  // namespace ipc::bench
