// SPDX-License-Identifier: Apache-2.0
//
// See number_ledger.h. Invariant: every number between lowest_ and highest_
// has either come or is in exactly one range of missing_, and lost_ is the
// length of all ranges.

#include "examples/hostmon/number_ledger.h"

#include <iterator>

namespace hostmon {

void NumberLedger::OnNumber(uint64_t number) {
  if (!started_) {
    started_ = true;
    lowest_ = highest_ = number;
  } else if (number > highest_) {
    AddMissing(highest_ + 1, number - 1);
    highest_ = number;
  } else if (number < lowest_) {
    AddMissing(number + 1, lowest_ - 1);
    lowest_ = number;
    ++disordered_;
  } else if (TakeMissing(number)) {
    ++disordered_;
  } else {
    ++twice_;
  }
}

void NumberLedger::AddMissing(uint64_t first, uint64_t last) {
  if (first > last) return;
  missing_[first] = last;
  lost_ += last - first + 1;
}

bool NumberLedger::TakeMissing(uint64_t number) {
  auto range = missing_.upper_bound(number);
  if (range == missing_.begin()) return false;
  --range;
  const auto [first, last] = *range;
  if (number > last) return false;
  missing_.erase(range);
  lost_ -= last - first + 1;
  AddMissing(first, number - 1);
  AddMissing(number + 1, last);
  return true;
}

}  // namespace hostmon
