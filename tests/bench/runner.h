// SPDX-License-Identifier: Apache-2.0
//
// All measurements: each scenario is calibrated for each contestant, then run
// several times, the contestants in turn within each run, so that what else
// the machine does falls on all of them.

#ifndef IPC_TESTS_BENCH_RUNNER_H_
#define IPC_TESTS_BENCH_RUNNER_H_

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "tests/bench/contestant.h"
#include "tests/bench/scenario.h"
#include "tests/bench/series.h"

namespace ipc::bench {

struct Settings {
  bool full = false;
  bool quick = false;  // only scenarios that are part of it
  uint32_t runs = 3;
  int64_t run_ns = 1'000'000'000;  // about; the calibration's aim
  uint32_t idle_connections = 1000;
  std::string only = "";         // regular expression on Scenario::name
  std::string contestants = "";  // regular expression for whole names
};

// One scenario with one contestant.
struct Outcome {
  Scenario scenario;
  std::string contestant;
  uint64_t messages = 0;       // of each publisher in one run
  std::vector<Series> series;  // one for each metric
  std::string refusal;         // why the contestant cannot do it; empty: it can
  std::string failure;         // empty: it is complete

  bool complete() const { return refusal.empty() && failure.empty(); }
};

// A contestant that could not be measured.
struct Absence {
  std::string contestant;
  std::string reason;
};

struct Results {
  std::vector<Outcome> outcomes;
  std::vector<Absence> absences;
};

// Progress goes to stderr. A failure ends its contestant's part of its
// scenario and nothing else. Errors: kInvalidArgument for a bad expression;
// kInternal if there is no room for temporary files.
absl::StatusOr<Results> RunAll(const Settings& settings);

}  // namespace ipc::bench

#endif  // IPC_TESTS_BENCH_RUNNER_H_
