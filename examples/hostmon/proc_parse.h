// SPDX-License-Identifier: Apache-2.0
//
// Reads the text of files in /proc: a string in, a struct out, no I/O. The
// format of each file is in proc(5).
//
// Whatever the text, nothing here fails or throws: a line that cannot be
// understood is left out, and a number that is missing or odd is 0. So a
// kernel older or newer than expected costs a figure, not the program.

#ifndef IPC_EXAMPLES_HOSTMON_PROC_PARSE_H_
#define IPC_EXAMPLES_HOSTMON_PROC_PARSE_H_

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace hostmon {

// What a core has done since boot, in clock ticks (sysconf(_SC_CLK_TCK)).
struct CpuTicks {
  uint64_t user = 0;    // niced programs and guests included
  uint64_t system = 0;  // interrupts included
  uint64_t idle = 0;
  uint64_t iowait = 0;
  uint64_t steal = 0;  // taken by other virtual machines
};

struct CoreReading {
  uint32_t id = 0;
  CpuTicks ticks;
};

struct CpuReading {
  CpuTicks all;  // all cores together
  std::vector<CoreReading> cores;
};

struct MemoryReading {
  uint64_t total_bytes = 0;
  uint64_t available_bytes = 0;
  uint64_t free_bytes = 0;
  uint64_t cached_bytes = 0;
  uint64_t swap_total_bytes = 0;
  uint64_t swap_free_bytes = 0;
};

// What a disk has done since boot.
struct DiskReading {
  std::string name;
  uint64_t reads = 0;
  uint64_t writes = 0;
  uint64_t read_bytes = 0;
  uint64_t written_bytes = 0;
  uint64_t busy_milliseconds = 0;
};

// What a network interface has done since it exists.
struct InterfaceReading {
  std::string name;
  uint64_t received_bytes = 0;
  uint64_t received_packets = 0;
  uint64_t sent_bytes = 0;
  uint64_t sent_packets = 0;
  uint64_t errors = 0;   // both directions
  uint64_t dropped = 0;  // both directions
};

struct ProcessReading {
  int32_t pid = 0;
  std::string name;          // any bytes, blanks and parentheses included
  uint64_t cpu_ticks = 0;    // user and system, all threads, since its start
  uint64_t start_ticks = 0;  // after boot; with `pid` it names the process
  uint64_t resident_pages = 0;
};

// /proc/stat
CpuReading ParseStat(std::string_view text);

// /proc/meminfo
MemoryReading ParseMeminfo(std::string_view text);

// /proc/diskstats: whole disks that have done any input or output.
std::vector<DiskReading> ParseDiskstats(std::string_view text);

// /proc/net/dev
std::vector<InterfaceReading> ParseNetDev(std::string_view text);

// /proc/[pid]/stat: nothing unless the line is complete up to the memory.
std::optional<ProcessReading> ParsePidStat(std::string_view text);

// Whether the kernel would call a partition of `disk` `name`: "sda1" of "sda",
// "nvme0n1p2" of "nvme0n1", but not "dm-10" of "dm-1".
bool IsPartitionOf(std::string_view name, std::string_view disk);

}  // namespace hostmon

#endif  // IPC_EXAMPLES_HOSTMON_PROC_PARSE_H_
