// SPDX-License-Identifier: Apache-2.0
//
// Calibration and repetition. The number of messages is found by trying: few,
// then as many more as the last try says would fill the time, until a try was
// long enough to be believed. Each try and each run has its own folder, broker
// and processes.

#include "tests/bench/runner.h"

#include <algorithm>
#include <cstdio>
#include <memory>
#include <regex>

#include "absl/strings/str_cat.h"
#include "tests/bench/clock.h"
#include "tests/bench/folder.h"
#include "tests/bench/measure.h"

namespace ipc::bench {
namespace {

absl::StatusOr<Sample> MeasureInFolder(const Contestant& contestant,
                                       const Scenario& scenario,
                                       const Effort& effort) {
  auto folder = TemporaryFolder::Make();
  if (!folder.ok()) return folder.status();
  return Measure(contestant, scenario, effort, (*folder)->path());
}

// A try shorter than this share of a run is too short to extrapolate from.
constexpr double kTryShareMin = 0.2;
// One try is at most so many times as long as the one before.
constexpr double kGrowthMax = 50;

uint64_t FirstTry(const Scenario& scenario) {
  if (scenario.kind == Kind::kRoundTrip) return 50;
  constexpr uint64_t kBytes = 8 << 20;
  // Some make a hundred system calls for a message to eight.
  return std::clamp<uint64_t>(kBytes / scenario.payload_bytes, 16, 5'000);
}

// The messages that one run of about `run_ns` needs.
absl::StatusOr<uint64_t> Calibrate(const Contestant& contestant,
                                   const Scenario& scenario, int64_t run_ns) {
  Effort effort;
  effort.messages = FirstTry(scenario);
  while (true) {
    auto sample = MeasureInFolder(contestant, scenario, effort);
    if (!sample.ok()) return sample.status();
    const double share =
        static_cast<double>(std::max<int64_t>(sample->elapsed_ns, 1)) /
        static_cast<double>(run_ns);
    const double factor = std::min(1 / share, kGrowthMax);
    const double messages = static_cast<double>(effort.messages) * factor;
    effort.messages = std::max<uint64_t>(static_cast<uint64_t>(messages), 1);
    if (share >= kTryShareMin) return effort.messages;
  }
}

void AddSample(const Sample& sample, Outcome* outcome) {
  if (outcome->series.empty()) {
    for (const Metric& metric : sample.metrics) {
      outcome->series.push_back({metric.name, metric.unit, {}});
    }
  }
  for (size_t i = 0; i < sample.metrics.size(); ++i) {
    outcome->series[i].values.push_back(sample.metrics[i].value);
  }
}

void Tell(const std::string& line) {
  std::fprintf(stderr, "%s\n", line.c_str());
}

void Fail(const absl::Status& status, Outcome* outcome) {
  const std::string text(status.message());
  if (absl::IsResourceExhausted(status)) {
    outcome->refusal = text;
    return Tell(absl::StrCat("  cannot: ", outcome->contestant, ": ", text));
  }
  outcome->failure = text;
  Tell(absl::StrCat("  FAILED: ", outcome->contestant, ": ", outcome->failure));
}

void CalibrateInto(const Contestant& contestant, const Settings& settings,
                   Outcome* outcome) {
  const Scenario& scenario = outcome->scenario;
  if (scenario.kind == Kind::kIdle || scenario.kind == Kind::kCrowd) return;
  // A crowd takes long to come, and is to change nothing.
  auto messages = Calibrate(contestant, Alone(scenario), settings.run_ns);
  if (!messages.ok()) return Fail(messages.status(), outcome);
  outcome->messages = *messages;
}

void RunOnce(const Contestant& contestant, const Settings& settings,
             Outcome* outcome) {
  const Effort effort = {outcome->messages, settings.idle_connections};
  auto sample = MeasureInFolder(contestant, outcome->scenario, effort);
  if (!sample.ok()) return Fail(sample.status(), outcome);
  AddSample(*sample, outcome);
  const Metric& metric = sample->metrics.front();
  Tell(absl::StrCat("  ", outcome->contestant, ": ", HumanNumber(metric.value),
                    " ", metric.name));
}

using Contestants = std::vector<std::unique_ptr<Contestant>>;

void RunScenario(const Scenario& scenario, const Contestants& contestants,
                 const Settings& settings, std::vector<Outcome>* outcomes) {
  std::vector<Outcome> mine(contestants.size());
  Tell(scenario.name);
  const auto runs = [&](size_t i) {
    return contestants[i]->Concerns(scenario) && mine[i].complete();
  };
  for (size_t i = 0; i < contestants.size(); ++i) {
    mine[i].scenario = scenario;
    mine[i].contestant = contestants[i]->name();
    mine[i].refusal = contestants[i]->Refuses(scenario);
    if (runs(i)) CalibrateInto(*contestants[i], settings, &mine[i]);
  }
  for (uint32_t run = 0; run < settings.runs; ++run) {
    for (size_t i = 0; i < contestants.size(); ++i) {
      if (runs(i)) RunOnce(*contestants[i], settings, &mine[i]);
    }
  }
  for (size_t i = 0; i < contestants.size(); ++i) {
    if (contestants[i]->Concerns(scenario)) {
      outcomes->push_back(std::move(mine[i]));
    }
  }
}

// Takes out, and tells of, those that are missing.
std::vector<Absence> TakeAbsences(Contestants* contestants) {
  std::vector<Absence> absences;
  for (const auto& contestant : *contestants) {
    const std::string reason = contestant->Missing();
    if (reason.empty()) continue;
    absences.push_back({contestant->name(), reason});
    Tell(absl::StrCat("MISSING: ", contestant->name(), ": ", reason));
  }
  std::erase_if(*contestants,
                [](const auto& c) { return !c->Missing().empty(); });
  return absences;
}

}  // namespace

absl::StatusOr<Results> RunAll(const Settings& settings) {
  Results results;
  try {  // std::regex has no other way to tell a bad expression
    const std::regex only(settings.only);
    const std::regex names(settings.contestants);
    Contestants contestants = MakeContestants();
    std::erase_if(contestants, [&](const auto& contestant) {
      return !settings.contestants.empty() &&
             !std::regex_match(contestant->name(), names);
    });
    results.absences = TakeAbsences(&contestants);
    for (const Scenario& scenario : AllScenarios()) {
      if (settings.quick && !scenario.quick) continue;
      if (!std::regex_search(scenario.name, only)) continue;
      RunScenario(scenario, contestants, settings, &results.outcomes);
    }
  } catch (const std::regex_error& error) {
    return absl::InvalidArgumentError(
        absl::StrCat("bad regular expression: ", error.what()));
  }
  if (results.outcomes.empty()) {
    std::string names;
    for (const Scenario& scenario : AllScenarios()) {
      absl::StrAppend(&names, " ", scenario.name);
    }
    return absl::NotFoundError(
        absl::StrCat("nothing matches; the scenarios are", names));
  }
  return results;
}

}  // namespace ipc::bench
