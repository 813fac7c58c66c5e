// SPDX-License-Identifier: Apache-2.0
//
// See board.h. The books of ended publisher sessions are kept: they are small,
// and the summary is over all of them.

#include "examples/hostmon/board.h"

namespace hostmon {

void Board::OnGap(const ipc::Event& gap) {
  absl::MutexLock lock(&mutex_);
  missing_ += gap.last - gap.first + 1;
}

std::vector<std::string> Board::Lines() const {
  absl::MutexLock lock(&mutex_);
  std::vector<std::string> lines;
  for (const auto& [host, state] : hosts_) {
    lines.push_back(ViewLine(host, state));
  }
  return lines;
}

std::string Board::Summary() const {
  absl::MutexLock lock(&mutex_);
  std::string summary;
  const auto add = [&summary](std::string_view key, uint64_t count) {
    if (!summary.empty()) summary += ' ';
    summary += std::string(key) + "=" + std::to_string(count);
  };

  for (const std::string_view kind :
       {kKind<v1::Cpu>, kKind<v1::Memory>, kKind<v1::Disks>, kKind<v1::Network>,
        kKind<v1::Processes>}) {
    const auto found = received_.find(kind);
    add(kind, found == received_.end() ? 0 : found->second);
  }
  uint64_t lost = 0;
  uint64_t twice = 0;
  uint64_t disordered = 0;
  for (const auto& [stream, ledger] : ledgers_) {
    lost += ledger.lost();
    twice += ledger.twice();
    disordered += ledger.disordered();
  }
  add("lost", lost);
  add("twice", twice);
  add("disordered", disordered);
  add("gaps", missing_);
  return summary;
}

}  // namespace hostmon
