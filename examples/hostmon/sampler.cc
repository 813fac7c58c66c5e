// SPDX-License-Identifier: Apache-2.0
//
// See sampler.h. Files of /proc are small and made at each read, so they are
// read in one go. A process may end between the listing and the read: then its
// file is empty, does not parse, and the process is left out.

#include "examples/hostmon/sampler.h"

#include <fcntl.h>
#include <unistd.h>

#include <array>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <optional>
#include <system_error>
#include <utility>

#include "absl/time/time.h"
#include "examples/hostmon/fields.h"
#include "examples/hostmon/proc_parse.h"

namespace hostmon {
namespace {

// The file's text; empty if it cannot be read.
std::string ReadFile(const std::string& path) {
  std::string text;
  const int fd = open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (fd < 0) return text;
  std::array<char, 16384> buffer;
  ssize_t count = 0;
  while ((count = read(fd, buffer.data(), buffer.size())) > 0) {
    text.append(buffer.data(), static_cast<size_t>(count));
  }
  close(fd);
  return text;
}

ProcessTable ReadProcesses(const std::string& proc) {
  ProcessTable processes;
  std::error_code error;
  std::filesystem::directory_iterator entry(proc, error);
  for (; !error && entry != std::filesystem::directory_iterator();
       entry.increment(error)) {
    if (!ParseNumber(entry->path().filename().native())) continue;
    std::optional<ProcessReading> process =
        ParsePidStat(ReadFile(entry->path().native() + "/stat"));
    if (!process) continue;
    const int32_t pid = process->pid;
    processes[pid] = *std::move(process);
  }
  return processes;
}

Readings Read(const std::string& proc) {
  Readings readings;
  readings.cpu = ParseStat(ReadFile(proc + "/stat"));
  readings.memory = ParseMeminfo(ReadFile(proc + "/meminfo"));
  readings.disks = ParseDiskstats(ReadFile(proc + "/diskstats"));
  readings.interfaces = ParseNetDev(ReadFile(proc + "/net/dev"));
  readings.processes = ReadProcesses(proc);
  return readings;
}

ProcessOptions MakeProcessOptions(size_t top) {
  ProcessOptions options;
  options.top = top;
  const int64_t ticks = sysconf(_SC_CLK_TCK);
  if (ticks > 0) options.ticks_per_second = static_cast<uint64_t>(ticks);
  const int64_t page = sysconf(_SC_PAGESIZE);
  if (page > 0) options.page_bytes = static_cast<uint64_t>(page);
  return options;
}

}  // namespace

Sampler::Sampler(SamplerOptions options)
    : proc_(std::move(options.proc)),
      process_options_(MakeProcessOptions(options.top)),
      read_at_(Clock::now()),
      before_(Read(proc_)) {}

Sample Sampler::Take() {
  const Clock::time_point read_at = Clock::now();
  const absl::Duration elapsed = absl::FromChrono(read_at - read_at_);
  Readings now = Read(proc_);

  Sample sample;
  sample.cpu = MakeCpu(before_.cpu, now.cpu, elapsed);
  sample.memory = MakeMemory(now.memory);
  sample.disks = MakeDisks(before_.disks, now.disks, elapsed);
  sample.network = MakeNetwork(before_.interfaces, now.interfaces, elapsed);
  sample.processes = MakeProcesses(before_.processes, now.processes, elapsed,
                                   process_options_);
  read_at_ = read_at;
  before_ = std::move(now);
  return sample;
}

}  // namespace hostmon
