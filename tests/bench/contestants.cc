// SPDX-License-Identifier: Apache-2.0
//
// The list of contestants, in the order in which they run and are printed.

#include "tests/bench/contestant.h"

namespace ipc::bench {

std::vector<std::unique_ptr<Contestant>> MakeContestants() {
  std::vector<std::unique_ptr<Contestant>> all;
  all.push_back(MakeBus());
  all.push_back(MakeRelay());
  return all;
}

}  // namespace ipc::bench
