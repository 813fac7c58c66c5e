// SPDX-License-Identifier: Apache-2.0
//
// See view_line.h. One Append function for each kind, in the order in which
// they stand in the line.

#include "examples/hostmon/view_line.h"

#include "absl/strings/str_format.h"

namespace hostmon {
namespace {

constexpr double kMegabyte = 1e6;
constexpr double kGibibyte = 1024.0 * 1024 * 1024;

void Append(const v1::Cpu& cpu, std::string* line) {
  if (cpu.number() == 0) return;
  absl::StrAppendFormat(line, "  cpu %3.0f%%", cpu.busy_percent());
}

void Append(const v1::Memory& memory, std::string* line) {
  if (memory.number() == 0) return;
  const double total = static_cast<double>(memory.total_bytes());
  const double free = static_cast<double>(memory.available_bytes());
  absl::StrAppendFormat(line, "  mem %.1f/%.1f GiB", (total - free) / kGibibyte,
                        total / kGibibyte);
}

void Append(const v1::Disks& disks, std::string* line) {
  if (disks.number() == 0) return;
  double read = 0;
  double written = 0;
  for (const v1::Disk& disk : disks.disks()) {
    read += disk.read_bytes_per_second();
    written += disk.written_bytes_per_second();
  }
  absl::StrAppendFormat(line, "  disk r %.1f w %.1f MB/s", read / kMegabyte,
                        written / kMegabyte);
}

void Append(const v1::Network& network, std::string* line) {
  if (network.number() == 0) return;
  double received = 0;
  double sent = 0;
  for (const v1::Interface& interface : network.interfaces()) {
    if (interface.name() == "lo") continue;
    received += interface.received_bytes_per_second();
    sent += interface.sent_bytes_per_second();
  }
  absl::StrAppendFormat(line, "  net in %.1f out %.1f MB/s",
                        received / kMegabyte, sent / kMegabyte);
}

void Append(const v1::Processes& processes, std::string* line) {
  if (processes.top().empty()) return;
  const v1::Process& busiest = processes.top(0);
  absl::StrAppendFormat(line, "  top %s %.0f%%", busiest.name(),
                        busiest.cpu_percent());
}

}  // namespace

std::string ViewLine(const std::string& host, const HostState& state) {
  std::string line = host;
  std::apply([&line](const auto&... kinds) { (Append(kinds, &line), ...); },
             state);
  return line;
}

}  // namespace hostmon
