// SPDX-License-Identifier: Apache-2.0
//
// JSON by hand: it is only written, and its shape is fixed. A field's value is
// already JSON when it comes to Object().

#include "tests/bench/json.h"

#include <cmath>
#include <cstdio>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"

namespace ipc::bench {
namespace {

using Fields = std::vector<std::pair<std::string, std::string>>;

std::string Quote(const std::string& text) {
  std::string quoted = "\"";
  for (char c : text) {
    if (c == '"' || c == '\\') quoted.push_back('\\');
    // What is told in here is one line of text; other controls are dropped.
    if (static_cast<unsigned char>(c) >= 0x20) quoted.push_back(c);
  }
  return quoted + "\"";
}

std::string QuoteOrNull(const std::string& text) {
  return text.empty() ? "null" : Quote(text);
}

std::string Number(double value) {
  if (!std::isfinite(value)) return "null";
  char text[64];
  std::snprintf(text, sizeof(text), "%.17g", value);
  return text;
}

std::string Object(const Fields& fields) {
  std::vector<std::string> parts;
  for (const auto& [name, value] : fields) {
    parts.push_back(absl::StrCat(Quote(name), ": ", value));
  }
  return absl::StrCat("{", absl::StrJoin(parts, ", "), "}");
}

std::string Array(const std::vector<std::string>& values) {
  return absl::StrCat("[", absl::StrJoin(values, ", "), "]");
}

std::string SeriesJson(const Series& series) {
  std::vector<std::string> values;
  for (double value : series.values) values.push_back(Number(value));
  return Object({{"name", Quote(series.name)},
                 {"unit", Quote(series.unit)},
                 {"median", Number(series.Median())},
                 {"min", Number(series.Min())},
                 {"max", Number(series.Max())},
                 {"values", Array(values)}});
}

std::string OutcomeJson(const Outcome& outcome) {
  std::vector<std::string> metrics;
  for (const Series& series : outcome.series) {
    metrics.push_back(SeriesJson(series));
  }
  const Scenario& scenario = outcome.scenario;
  return Object({{"scenario", Quote(scenario.name)},
                 {"contestant", Quote(outcome.contestant)},
                 {"payload_bytes", absl::StrCat(scenario.payload_bytes)},
                 {"publishers", absl::StrCat(scenario.publishers)},
                 {"subscribers", absl::StrCat(scenario.subscribers)},
                 {"messages", absl::StrCat(outcome.messages)},
                 {"refusal", QuoteOrNull(outcome.refusal)},
                 {"failure", QuoteOrNull(outcome.failure)},
                 {"metrics", Array(metrics)}});
}

}  // namespace

std::string FormatJson(const Machine& machine, const Settings& settings,
                       const Results& results) {
  std::vector<std::string> outcomes;
  outcomes.reserve(results.outcomes.size());
  for (const Outcome& outcome : results.outcomes) {
    outcomes.push_back(OutcomeJson(outcome));
  }
  std::vector<std::string> absences;
  for (const Absence& absence : results.absences) {
    absences.push_back(Object({{"contestant", Quote(absence.contestant)},
                               {"reason", Quote(absence.reason)}}));
  }
  return Object(
             {{"machine", Object({{"cpu", Quote(machine.cpu)},
                                  {"cores", absl::StrCat(machine.cores)},
                                  {"kernel", Quote(machine.kernel)},
                                  {"wmem_max", absl::StrCat(machine.wmem_max)},
                                  {"load", Quote(machine.load)}})},
              {"settings", Object({{"full", settings.full ? "true" : "false"},
                                   {"quick", settings.quick ? "true" : "false"},
                                   {"runs", absl::StrCat(settings.runs)},
                                   {"run_ns", absl::StrCat(settings.run_ns)},
                                   {"idle_connections",
                                    absl::StrCat(settings.idle_connections)}})},
              {"missing", Array(absences)},
              {"results", Array(outcomes)}}) +
         "\n";
}

}  // namespace ipc::bench
