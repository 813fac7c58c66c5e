// SPDX-License-Identifier: Apache-2.0
//
// The outcomes as one JSON object, for programs that compare runs of different
// days. Nothing is rounded or left out: every run's value is there.

#ifndef IPC_TESTS_BENCH_JSON_H_
#define IPC_TESTS_BENCH_JSON_H_

#include <string>
#include <vector>

#include "tests/bench/machine.h"
#include "tests/bench/runner.h"

namespace ipc::bench {

// One line, with its line break.
//   {"machine": {...}, "settings": {...},
//    "missing": [{"contestant": "...", "reason": "..."}],
//    "results": [{"scenario": "...", "contestant": "...", "payload_bytes": n,
//    "publishers": n, "subscribers": n, "messages": n,
//    "refusal": null or "...", "failure": null or "...",
//    "metrics": [{"name": "...", "unit": "...", "median": x, "min": x,
//    "max": x, "values": [x, ...]}]}]}
std::string FormatJson(const Machine& machine, const Settings& settings,
                       const Results& results);

}  // namespace ipc::bench

#endif  // IPC_TESTS_BENCH_JSON_H_
