// SPDX-License-Identifier: Apache-2.0
//
// A random run: clients that come, go, publish, subscribe and dawdle, on links
// that split, stall and break, around a broker that is killed and restarted.
// Each seed first draws what kind of run it is (which faults exist, how large
// windows, queues and sockets are), so that rare combinations get runs of
// their own.
//
// Within the contract: whoever is alive is back within the recovery grace, and
// nobody stalls for as long as the broker waits for a JOIN to be answered.

#ifndef IPC_TESTS_SIM_CHAOS_H_
#define IPC_TESTS_SIM_CHAOS_H_

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "tests/sim/world.h"

namespace ipc::sim {

struct ChaosResult {
  uint64_t hash = 0;
  std::string failure;  // empty: none
  std::deque<std::string> trace;
  uint64_t accepted = 0;
  uint64_t handled = 0;
  uint64_t gaps = 0;
  uint64_t expired = 0;
  uint64_t untold = 0;
  uint64_t broker_deaths = 0;
};

struct ChaosOptions {
  uint64_t seed = 1;
  bool keep_trace = false;
  bool print_trace = false;
  World::Fault fault;  // planted
  // A run in which readers stall and nothing else goes wrong.
  bool stalls = false;
};

ChaosResult RunChaos(const ChaosOptions& options);

}  // namespace ipc::sim

#endif  // IPC_TESTS_SIM_CHAOS_H_
