// SPDX-License-Identifier: Apache-2.0
//
// See proc_parse.h. One function for each file of /proc, each a loop over
// lines that takes the fields it wants in their order; the fields are numbered
// and named in proc(5).

#include "examples/hostmon/proc_parse.h"

#include <algorithm>
#include <cstddef>
#include <limits>
#include <utility>

#include "examples/hostmon/fields.h"

namespace hostmon {
namespace {

// The unit of /proc/diskstats, whatever the disk's own sectors are.
constexpr uint64_t kSectorBytes = 512;

// `text` as a number that fits T.
template <typename T>
std::optional<T> ParseId(std::string_view text) {
  const std::optional<uint64_t> id = ParseNumber(text);
  if (!id || *id > uint64_t{std::numeric_limits<T>::max()}) return std::nullopt;
  return static_cast<T>(*id);
}

CpuTicks ParseCpuTicks(std::string_view line) {
  CpuTicks ticks;
  ticks.user = TakeNumber(&line);
  ticks.user += TakeNumber(&line);  // niced
  ticks.system = TakeNumber(&line);
  ticks.idle = TakeNumber(&line);
  ticks.iowait = TakeNumber(&line);
  ticks.system += TakeNumber(&line);  // interrupts
  ticks.system += TakeNumber(&line);  // soft interrupts
  ticks.steal = TakeNumber(&line);
  return ticks;
}

DiskReading ParseDisk(std::string_view line) {
  DiskReading disk;
  SkipFields(&line, 2);  // major and minor number
  disk.name = std::string(TakeField(&line));
  disk.reads = TakeNumber(&line);
  SkipFields(&line, 1);  // merged
  disk.read_bytes = TakeNumber(&line) * kSectorBytes;
  SkipFields(&line, 1);  // time spent reading
  disk.writes = TakeNumber(&line);
  SkipFields(&line, 1);  // merged
  disk.written_bytes = TakeNumber(&line) * kSectorBytes;
  SkipFields(&line, 2);  // time spent writing, requests in flight
  disk.busy_milliseconds = TakeNumber(&line);
  return disk;
}

InterfaceReading ParseInterface(std::string_view name,
                                std::string_view counters) {
  InterfaceReading interface;
  interface.name = std::string(TakeField(&name));
  interface.received_bytes = TakeNumber(&counters);
  interface.received_packets = TakeNumber(&counters);
  interface.errors = TakeNumber(&counters);
  interface.dropped = TakeNumber(&counters);
  SkipFields(&counters, 4);  // fifo, frame, compressed, multicast
  interface.sent_bytes = TakeNumber(&counters);
  interface.sent_packets = TakeNumber(&counters);
  interface.errors += TakeNumber(&counters);
  interface.dropped += TakeNumber(&counters);
  return interface;
}

// The figure of MemoryReading that a line of /proc/meminfo is about, if any.
uint64_t* MemoryField(std::string_view key, MemoryReading* memory) {
  if (key == "MemTotal:") return &memory->total_bytes;
  if (key == "MemFree:") return &memory->free_bytes;
  if (key == "MemAvailable:") return &memory->available_bytes;
  if (key == "Cached:") return &memory->cached_bytes;
  if (key == "SwapTotal:") return &memory->swap_total_bytes;
  if (key == "SwapFree:") return &memory->swap_free_bytes;
  return nullptr;
}

bool IsDigit(char c) { return c >= '0' && c <= '9'; }

}  // namespace

CpuReading ParseStat(std::string_view text) {
  CpuReading reading;
  while (!text.empty()) {
    std::string_view line = TakeLine(&text);
    const std::string_view key = TakeField(&line);
    if (!key.starts_with("cpu")) continue;
    if (key == "cpu") {
      reading.all = ParseCpuTicks(line);
    } else if (const auto id = ParseId<uint32_t>(key.substr(3))) {
      reading.cores.push_back({*id, ParseCpuTicks(line)});
    }
  }
  return reading;
}

MemoryReading ParseMeminfo(std::string_view text) {
  MemoryReading memory;
  while (!text.empty()) {
    std::string_view line = TakeLine(&text);
    uint64_t* const field = MemoryField(TakeField(&line), &memory);
    if (field != nullptr) *field = TakeNumber(&line) * 1024;  // told in kB
  }
  return memory;
}

std::vector<DiskReading> ParseDiskstats(std::string_view text) {
  std::vector<DiskReading> disks;
  while (!text.empty()) {
    DiskReading disk = ParseDisk(TakeLine(&text));
    if (disk.name.empty() || disk.reads + disk.writes == 0) continue;
    // The kernel lists the partitions of a disk behind it.
    if (!disks.empty() && IsPartitionOf(disk.name, disks.back().name)) continue;
    disks.push_back(std::move(disk));
  }
  return disks;
}

std::vector<InterfaceReading> ParseNetDev(std::string_view text) {
  std::vector<InterfaceReading> interfaces;
  while (!text.empty()) {
    const std::string_view line = TakeLine(&text);
    const size_t colon = line.find(':');
    if (colon == std::string_view::npos) continue;  // the table's head
    interfaces.push_back(
        ParseInterface(line.substr(0, colon), line.substr(colon + 1)));
  }
  return interfaces;
}

std::optional<ProcessReading> ParsePidStat(std::string_view text) {
  // `pid (name) state ...`, where the name itself may contain ") R (".
  const size_t open = text.find('(');
  const size_t close = text.rfind(')');
  if (open == std::string_view::npos || close == std::string_view::npos ||
      close < open) {
    return std::nullopt;
  }
  std::string_view head = text.substr(0, open);
  const std::optional<int32_t> pid = ParseId<int32_t>(TakeField(&head));
  if (!pid) return std::nullopt;

  ProcessReading process;
  process.pid = *pid;
  process.name = std::string(text.substr(open + 1, close - open - 1));
  std::string_view rest = text.substr(close + 1);
  rest = TakeLine(&rest);
  SkipFields(&rest, 11);  // 3 to 13: state to faults
  process.cpu_ticks = TakeNumber(&rest);
  process.cpu_ticks += TakeNumber(&rest);
  SkipFields(&rest, 6);  // 16 to 21: times of children to timer
  process.start_ticks = TakeNumber(&rest);
  SkipFields(&rest, 1);  // 23: virtual memory
  const std::string_view resident = TakeField(&rest);
  if (resident.empty()) return std::nullopt;
  process.resident_pages = ParseNumber(resident).value_or(0);
  return process;
}

bool IsPartitionOf(std::string_view name, std::string_view disk) {
  if (disk.empty() || !name.starts_with(disk)) return false;
  name.remove_prefix(disk.size());
  if (IsDigit(disk.back())) {
    if (!name.starts_with('p')) return false;
    name.remove_prefix(1);
  }
  return !name.empty() && std::all_of(name.begin(), name.end(), IsDigit);
}

}  // namespace hostmon
