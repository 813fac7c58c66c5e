// SPDX-License-Identifier: Apache-2.0
//
// Keeps the books on one stream whose messages are numbered 1, 2, 3, ...: what
// has not come, what has come twice, and what has come late. It starts at the
// first number it is told, since a viewer may join at any time. Exact for any
// order of arrival.
//
//   told 5 6 9 7 7 10    lost 1 (8), twice 1 (7), disordered 1 (7)

#ifndef IPC_EXAMPLES_HOSTMON_NUMBER_LEDGER_H_
#define IPC_EXAMPLES_HOSTMON_NUMBER_LEDGER_H_

#include <cstdint>
#include <map>

namespace hostmon {

class NumberLedger {
 public:
  // The next message of the stream has arrived.
  void OnNumber(uint64_t number);

  // Numbers between the lowest and the highest seen that have not come.
  uint64_t lost() const { return lost_; }
  // Messages whose number had come before.
  uint64_t twice() const { return twice_; }
  // Messages that came after one with a higher number, not counted in twice.
  uint64_t disordered() const { return disordered_; }

 private:
  // Marks first..last as missing, if there is anything in it.
  void AddMissing(uint64_t first, uint64_t last);
  // If `number` is missing, it is so no longer.
  bool TakeMissing(uint64_t number);

  bool started_ = false;
  uint64_t lowest_ = 0;
  uint64_t highest_ = 0;
  std::map<uint64_t, uint64_t> missing_;  // ranges: first -> last
  uint64_t lost_ = 0;
  uint64_t twice_ = 0;
  uint64_t disordered_ = 0;
};

}  // namespace hostmon

#endif  // IPC_EXAMPLES_HOSTMON_NUMBER_LEDGER_H_
