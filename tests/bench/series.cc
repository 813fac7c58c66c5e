// SPDX-License-Identifier: Apache-2.0
//
// Medians and the text of numbers.

#include "tests/bench/series.h"

#include <algorithm>
#include <cmath>
#include <cstdio>

namespace ipc::bench {

double Series::Median() const {
  if (values.empty()) return 0;
  std::vector<double> sorted = values;
  std::sort(sorted.begin(), sorted.end());
  const size_t middle = sorted.size() / 2;
  if (sorted.size() % 2 == 1) return sorted[middle];
  return (sorted[middle - 1] + sorted[middle]) / 2;
}

double Series::Min() const {
  return values.empty() ? 0 : *std::min_element(values.begin(), values.end());
}

double Series::Max() const {
  return values.empty() ? 0 : *std::max_element(values.begin(), values.end());
}

std::string HumanNumber(double value) {
  const char* prefix = "";
  if (std::abs(value) >= 999'500) {
    value /= 1e6;
    prefix = " M";
  } else if (std::abs(value) >= 9'995) {
    value /= 1e3;
    prefix = " k";
  }
  const double size = std::abs(value);
  const int decimals = size >= 99.95 ? 0 : size >= 9.995 ? 1 : 2;
  char text[32];
  std::snprintf(text, sizeof(text), "%.*f%s", decimals, value, prefix);
  return text;
}

}  // namespace ipc::bench
