// SPDX-License-Identifier: Apache-2.0
//
// See messages.h. Every figure goes through one of three helpers: Moved (by
// how much a counter has grown), Percent and PerSecond, which are total.

#include "examples/hostmon/messages.h"

#include <algorithm>
#include <string>

#include "examples/hostmon/fields.h"

namespace hostmon {
namespace {

double Moved(uint64_t before, uint64_t now) {
  return now > before ? static_cast<double>(now - before) : 0;
}

double Percent(double part, double whole) {
  return whole > 0 ? 100 * part / whole : 0;
}

double PerSecond(double amount, absl::Duration elapsed) {
  const double seconds = absl::ToDoubleSeconds(elapsed);
  return seconds > 0 ? amount / seconds : 0;
}

// What one core, or all of them, did between two readings, in ticks.
struct CpuUse {
  CpuUse(const CpuTicks& before, const CpuTicks& now)
      : user(Moved(before.user, now.user)),
        system(Moved(before.system, now.system)),
        iowait(Moved(before.iowait, now.iowait)),
        busy(user + system + Moved(before.steal, now.steal)),
        total(busy + iowait + Moved(before.idle, now.idle)) {}
  double user;
  double system;
  double iowait;
  double busy;
  double total;
};

CpuTicks TicksOf(const CpuReading& reading, uint32_t core) {
  for (const CoreReading& candidate : reading.cores) {
    if (candidate.id == core) return candidate.ticks;
  }
  return {};
}

// The reading of the same name, or zeros.
template <typename Reading>
Reading Find(const std::vector<Reading>& readings, const std::string& name) {
  for (const Reading& candidate : readings) {
    if (candidate.name == name) return candidate;
  }
  return {};
}

v1::Disk MakeDisk(const DiskReading& before, const DiskReading& now,
                  absl::Duration elapsed) {
  v1::Disk disk;
  disk.set_name(Printable(now.name));
  disk.set_reads_per_second(PerSecond(Moved(before.reads, now.reads), elapsed));
  disk.set_writes_per_second(
      PerSecond(Moved(before.writes, now.writes), elapsed));
  disk.set_read_bytes_per_second(
      PerSecond(Moved(before.read_bytes, now.read_bytes), elapsed));
  disk.set_written_bytes_per_second(
      PerSecond(Moved(before.written_bytes, now.written_bytes), elapsed));
  // The kernel counts in milliseconds and may be one ahead of our clock.
  disk.set_busy_percent(std::min(
      100.0, Percent(Moved(before.busy_milliseconds, now.busy_milliseconds),
                     absl::ToDoubleMilliseconds(elapsed))));
  return disk;
}

v1::Interface MakeInterface(const InterfaceReading& before,
                            const InterfaceReading& now,
                            absl::Duration elapsed) {
  v1::Interface interface;
  interface.set_name(Printable(now.name));
  interface.set_received_bytes_per_second(
      PerSecond(Moved(before.received_bytes, now.received_bytes), elapsed));
  interface.set_sent_bytes_per_second(
      PerSecond(Moved(before.sent_bytes, now.sent_bytes), elapsed));
  interface.set_received_packets_per_second(
      PerSecond(Moved(before.received_packets, now.received_packets), elapsed));
  interface.set_sent_packets_per_second(
      PerSecond(Moved(before.sent_packets, now.sent_packets), elapsed));
  interface.set_errors(now.errors);
  interface.set_dropped(now.dropped);
  return interface;
}

// Ticks the process has used since `before`, all of its own if it is new or
// has taken over the id of one that ended.
double TicksUsed(const ProcessTable& before, const ProcessReading& now) {
  const auto found = before.find(now.pid);
  if (found == before.end() || found->second.start_ticks != now.start_ticks) {
    return Moved(0, now.cpu_ticks);
  }
  return Moved(found->second.cpu_ticks, now.cpu_ticks);
}

struct RankedProcess {
  double ticks_used = 0;
  const ProcessReading* reading = nullptr;
};

bool RanksHigher(const RankedProcess& a, const RankedProcess& b) {
  if (a.ticks_used != b.ticks_used) return a.ticks_used > b.ticks_used;
  if (a.reading->resident_pages != b.reading->resident_pages) {
    return a.reading->resident_pages > b.reading->resident_pages;
  }
  return a.reading->pid < b.reading->pid;
}

// The first `top` processes by rank.
std::vector<RankedProcess> Rank(const ProcessTable& before,
                                const ProcessTable& now, size_t top) {
  std::vector<RankedProcess> ranked;
  ranked.reserve(now.size());
  for (const auto& [pid, reading] : now) {
    ranked.push_back({TicksUsed(before, reading), &reading});
  }
  const size_t kept = std::min(top, ranked.size());
  std::partial_sort(ranked.begin(),
                    ranked.begin() + static_cast<std::ptrdiff_t>(kept),
                    ranked.end(), RanksHigher);
  ranked.resize(kept);
  return ranked;
}

}  // namespace

v1::Cpu MakeCpu(const CpuReading& before, const CpuReading& now,
                absl::Duration elapsed) {
  v1::Cpu cpu;
  cpu.set_interval_seconds(absl::ToDoubleSeconds(elapsed));
  const CpuUse all(before.all, now.all);
  cpu.set_busy_percent(Percent(all.busy, all.total));
  cpu.set_user_percent(Percent(all.user, all.total));
  cpu.set_system_percent(Percent(all.system, all.total));
  cpu.set_iowait_percent(Percent(all.iowait, all.total));
  for (const CoreReading& reading : now.cores) {
    const CpuUse use(TicksOf(before, reading.id), reading.ticks);
    v1::Core* core = cpu.add_cores();
    core->set_id(reading.id);
    core->set_busy_percent(Percent(use.busy, use.total));
  }
  return cpu;
}

v1::Memory MakeMemory(const MemoryReading& now) {
  v1::Memory memory;
  memory.set_total_bytes(now.total_bytes);
  memory.set_available_bytes(now.available_bytes);
  memory.set_free_bytes(now.free_bytes);
  memory.set_cached_bytes(now.cached_bytes);
  memory.set_swap_total_bytes(now.swap_total_bytes);
  memory.set_swap_free_bytes(now.swap_free_bytes);
  return memory;
}

v1::Disks MakeDisks(const std::vector<DiskReading>& before,
                    const std::vector<DiskReading>& now,
                    absl::Duration elapsed) {
  v1::Disks disks;
  disks.set_interval_seconds(absl::ToDoubleSeconds(elapsed));
  for (const DiskReading& disk : now) {
    *disks.add_disks() = MakeDisk(Find(before, disk.name), disk, elapsed);
  }
  return disks;
}

v1::Network MakeNetwork(const std::vector<InterfaceReading>& before,
                        const std::vector<InterfaceReading>& now,
                        absl::Duration elapsed) {
  v1::Network network;
  network.set_interval_seconds(absl::ToDoubleSeconds(elapsed));
  for (const InterfaceReading& interface : now) {
    *network.add_interfaces() =
        MakeInterface(Find(before, interface.name), interface, elapsed);
  }
  return network;
}

v1::Processes MakeProcesses(const ProcessTable& before, const ProcessTable& now,
                            absl::Duration elapsed,
                            const ProcessOptions& options) {
  v1::Processes processes;
  processes.set_interval_seconds(absl::ToDoubleSeconds(elapsed));
  processes.set_total(static_cast<uint32_t>(now.size()));
  const double core_ticks = static_cast<double>(options.ticks_per_second) *
                            absl::ToDoubleSeconds(elapsed);
  for (const RankedProcess& ranked : Rank(before, now, options.top)) {
    v1::Process* process = processes.add_top();
    process->set_pid(ranked.reading->pid);
    process->set_name(Printable(ranked.reading->name));
    process->set_cpu_percent(Percent(ranked.ticks_used, core_ticks));
    process->set_resident_bytes(ranked.reading->resident_pages *
                                options.page_bytes);
  }
  return processes;
}

}  // namespace hostmon
