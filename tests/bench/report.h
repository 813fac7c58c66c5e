// SPDX-License-Identifier: Apache-2.0
//
// The outcomes as tables for people: plain text, or Markdown for
// docs/performance.md. Every figure is a median with its smallest and largest
// run; "of relay" is the share of the limit that is reached, "of best peer" is
// measured by the best of the peers at the same work.

#ifndef IPC_TESTS_BENCH_REPORT_H_
#define IPC_TESTS_BENCH_REPORT_H_

#include <string>
#include <vector>

#include "tests/bench/machine.h"
#include "tests/bench/runner.h"

namespace ipc::bench {

enum class TableForm { kText, kMarkdown };

// Ends with a line break.
std::string FormatReport(const Machine& machine, const Settings& settings,
                         const Results& results, TableForm form);

}  // namespace ipc::bench

#endif  // IPC_TESTS_BENCH_REPORT_H_
