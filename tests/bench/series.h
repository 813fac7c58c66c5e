// SPDX-License-Identifier: Apache-2.0
//
// The same figure from several runs. What is told is the median; the smallest
// and the largest show how far to trust it.

#ifndef IPC_TESTS_BENCH_SERIES_H_
#define IPC_TESTS_BENCH_SERIES_H_

#include <string>
#include <vector>

namespace ipc::bench {

struct Series {
  std::string name;
  std::string unit;
  std::vector<double> values;  // in the order of the runs

  // All three are 0 without values.
  double Median() const;
  double Min() const;
  double Max() const;
};

// Three significant digits with a metric prefix: 8.12 M, 812 k, 52.1.
std::string HumanNumber(double value);

}  // namespace ipc::bench

#endif  // IPC_TESTS_BENCH_SERIES_H_
