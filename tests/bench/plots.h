// SPDX-License-Identifier: Apache-2.0
//
// Which figures become pictures: throughput one to one and one to eight, and
// round trips, of all contestants.

#ifndef IPC_TESTS_BENCH_PLOTS_H_
#define IPC_TESTS_BENCH_PLOTS_H_

#include <string>
#include <vector>

#include "absl/status/status.h"
#include "tests/bench/machine.h"
#include "tests/bench/plot.h"
#include "tests/bench/runner.h"

namespace ipc::bench {

struct PlotFile {
  std::string name;  // "throughput-1-1.svg"
  Plot plot;
};

// Those of which something was measured.
std::vector<PlotFile> MakePlots(const Machine& machine, const Results& results);

// Writes them into `folder`, which it makes. Errors: kInternal.
absl::Status WritePlots(const std::string& folder,
                        const std::vector<PlotFile>& files);

}  // namespace ipc::bench

#endif  // IPC_TESTS_BENCH_PLOTS_H_
