// SPDX-License-Identifier: Apache-2.0
//
// Reading /proc. A fact that is not there is left empty: the benchmark also
// runs in containers that hide some.

#include "tests/bench/machine.h"

#include <sys/resource.h>
#include <sys/utsname.h>
#include <unistd.h>

#include <fstream>

#include "absl/strings/str_cat.h"

namespace ipc::bench {
namespace {

// The first word of the file, or nothing.
std::string FirstWord(const std::string& path) {
  std::ifstream file(path);
  std::string word;
  file >> word;
  return word;
}

// The value of the first line "key<blanks>: value" of the file.
std::string FindValue(const std::string& path, const std::string& key) {
  std::ifstream file(path);
  std::string line;
  while (std::getline(file, line)) {
    const size_t colon = line.find(':');
    if (line.rfind(key, 0) != 0 || colon == std::string::npos) continue;
    const size_t start = line.find_first_not_of(" \t", colon + 1);
    return start == std::string::npos ? "" : line.substr(start);
  }
  return "";
}

}  // namespace

Machine ReadMachine() {
  Machine machine;
  machine.cpu = FindValue("/proc/cpuinfo", "model name");
  machine.cores = sysconf(_SC_NPROCESSORS_ONLN);
  utsname names;
  if (uname(&names) == 0) machine.kernel = names.release;
  const std::string wmem_max = FirstWord("/proc/sys/net/core/wmem_max");
  if (!wmem_max.empty()) machine.wmem_max = std::stoll(wmem_max);
  machine.load = FirstWord("/proc/loadavg");
  return machine;
}

absl::StatusOr<MemoryUse> ReadMemory(pid_t pid) {
  std::ifstream file(absl::StrCat("/proc/", pid, "/smaps_rollup"));
  MemoryUse use;
  std::string line;
  std::getline(file, line);  // the range of addresses
  if (!file) {
    return absl::NotFoundError(
        absl::StrCat("cannot read the memory of process ", pid));
  }
  std::string key;
  int64_t kib;
  std::string unit;
  while (file >> key >> kib >> unit) {
    if (key == "Rss:") use.rss = kib * 1024;
    if (key == "Pss:") use.pss = kib * 1024;
    if (key == "Private_Dirty:") use.private_dirty = kib * 1024;
  }
  return use;
}

void RaiseDescriptorLimit() {
  rlimit limit;
  if (getrlimit(RLIMIT_NOFILE, &limit) != 0) return;
  limit.rlim_cur = limit.rlim_max;
  (void)setrlimit(RLIMIT_NOFILE, &limit);
}

uint64_t DescriptorLimit() {
  rlimit limit = {};
  (void)getrlimit(RLIMIT_NOFILE, &limit);
  return limit.rlim_max;
}

}  // namespace ipc::bench
