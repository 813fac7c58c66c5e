// SPDX-License-Identifier: Apache-2.0
//
// Turns readings of /proc into messages: two readings and the time between
// them in, shares and rates out. Pure; this is the only file that knows both
// the kernel's units and those of hostmon.proto.
//
// A counter that has gone backwards (a new interface of an old name, the
// kernel's iowait) counts as not moved; what was not there before starts at
// zero. `number` is left to the publisher.

#ifndef IPC_EXAMPLES_HOSTMON_MESSAGES_H_
#define IPC_EXAMPLES_HOSTMON_MESSAGES_H_

#include <cstddef>
#include <cstdint>
#include <map>
#include <vector>

#include "absl/time/time.h"
#include "examples/hostmon/hostmon.pb.h"
#include "examples/hostmon/proc_parse.h"

namespace hostmon {

// By process id.
using ProcessTable = std::map<int32_t, ProcessReading>;

// Everything read from /proc at one time.
struct Readings {
  CpuReading cpu;
  MemoryReading memory;
  std::vector<DiskReading> disks;
  std::vector<InterfaceReading> interfaces;
  ProcessTable processes;
};

struct ProcessOptions {
  size_t top = 10;  // processes told, at the most
  uint64_t ticks_per_second = 100;
  uint64_t page_bytes = 4096;
};

// `elapsed` is the time between the two; without any, all rates are 0.
v1::Cpu MakeCpu(const CpuReading& before, const CpuReading& now,
                absl::Duration elapsed);

v1::Memory MakeMemory(const MemoryReading& now);

v1::Disks MakeDisks(const std::vector<DiskReading>& before,
                    const std::vector<DiskReading>& now,
                    absl::Duration elapsed);

v1::Network MakeNetwork(const std::vector<InterfaceReading>& before,
                        const std::vector<InterfaceReading>& now,
                        absl::Duration elapsed);

v1::Processes MakeProcesses(const ProcessTable& before, const ProcessTable& now,
                            absl::Duration elapsed,
                            const ProcessOptions& options);

}  // namespace hostmon

#endif  // IPC_EXAMPLES_HOSTMON_MESSAGES_H_
