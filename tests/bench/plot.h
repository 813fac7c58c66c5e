// SPDX-License-Identifier: Apache-2.0
//
// Bar charts as SVG, for documents: horizontal bars in groups on a logarithmic
// axis, each with its name at its left and its figure at its end, so that no
// colour has to be looked up. Readable on light and dark pages.
//
//   Title
//   64 B
//     bus    |=========|---|  6.7 M
//     redis  |====|-|  1.1 M
//            100 k    1 M
//            axis

#ifndef IPC_TESTS_BENCH_PLOT_H_
#define IPC_TESTS_BENCH_PLOT_H_

#include <string>
#include <vector>

namespace ipc::bench {

// What a bar stands for, which is its colour.
enum class BarRole { kMain, kPeer, kLimit };

struct Bar {
  std::string label;
  BarRole role = BarRole::kPeer;
  double value = 0;  // 0: no bar, only the text
  // A thin line on the bar, for a spread; equal: none.
  double low = 0;
  double high = 0;
  std::string text;
};

struct BarGroup {
  std::string title;
  std::vector<Bar> bars;
};

struct Plot {
  std::string title;
  std::string axis;  // its label; that it is logarithmic is added
  std::vector<BarGroup> groups;
  std::string footer;
};

// Where positive values lie on a logarithmic axis.
class LogScale {
 public:
  // The smallest value lies clearly right of the axis's beginning, the largest
  // at its end. Not positive, or in the wrong order: some valid scale.
  LogScale(double smallest, double largest);

  // 0 at the beginning, 1 at the end; values outside are moved to these.
  double At(double value) const;
  // Powers of ten on the axis; where there are less than two, also 2 and 5
  // times such.
  std::vector<double> Ticks() const;

 private:
  double begin_;  // logarithms
  double end_;
};

// A whole file, with a line break at its end.
std::string FormatSvg(const Plot& plot);

}  // namespace ipc::bench

#endif  // IPC_TESTS_BENCH_PLOT_H_
