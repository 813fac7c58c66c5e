// SPDX-License-Identifier: Apache-2.0
//
// Facts from /proc: what machine this is, without which no figure means
// anything, and how much memory a process uses.

#ifndef IPC_TESTS_BENCH_MACHINE_H_
#define IPC_TESTS_BENCH_MACHINE_H_

#include <sys/types.h>

#include <cstdint>
#include <string>

#include "absl/status/statusor.h"

namespace ipc::bench {

struct Machine {
  std::string cpu;
  int64_t cores = 0;  // online
  std::string kernel;
  int64_t wmem_max = 0;  // limits SO_SNDBUF; bytes
  std::string load;      // runnable processes, the last minute's mean
};

Machine ReadMachine();

// In bytes.
struct MemoryUse {
  int64_t rss = 0;
  int64_t pss = 0;
  int64_t private_dirty = 0;
};

// From /proc/<pid>/smaps_rollup. Errors: kNotFound if it cannot be read.
absl::StatusOr<MemoryUse> ReadMemory(pid_t pid);

// As many descriptors as the hard limit allows, for us and our children.
void RaiseDescriptorLimit();
// How many that is.
uint64_t DescriptorLimit();

}  // namespace ipc::bench

#endif  // IPC_TESTS_BENCH_MACHINE_H_
