// SPDX-License-Identifier: Apache-2.0
//
// Samples the machine: reads /proc, remembers the readings, and makes messages
// of the difference to those before. This is the thin shell around
// proc_parse.h and messages.h; all I/O and the clock are here.

#ifndef IPC_EXAMPLES_HOSTMON_SAMPLER_H_
#define IPC_EXAMPLES_HOSTMON_SAMPLER_H_

#include <chrono>
#include <string>

#include "examples/hostmon/hostmon.pb.h"
#include "examples/hostmon/messages.h"

namespace hostmon {

// One sample of the machine; the `number` fields are not set.
struct Sample {
  v1::Cpu cpu;
  v1::Memory memory;
  v1::Disks disks;
  v1::Network network;
  v1::Processes processes;
};

struct SamplerOptions {
  std::string proc = "/proc";  // where to read
  size_t top = 10;             // processes told, at the most
};

// Not thread-safe.
class Sampler {
 public:
  // Reads /proc once, so that the first sample has something to compare with.
  explicit Sampler(SamplerOptions options = {});

  // The machine since the sample before. Takes some 10 us for each process
  // that runs. What cannot be read is empty.
  Sample Take();

 private:
  using Clock = std::chrono::steady_clock;

  const std::string proc_;
  const ProcessOptions process_options_;
  Clock::time_point read_at_;
  Readings before_;
};

}  // namespace hostmon

#endif  // IPC_EXAMPLES_HOSTMON_SAMPLER_H_
