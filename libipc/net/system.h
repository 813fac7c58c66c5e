// SPDX-License-Identifier: Apache-2.0
//
// The two things a core is told and cannot find out: the time, and randomness.

#ifndef IPC_LIBIPC_NET_SYSTEM_H_
#define IPC_LIBIPC_NET_SYSTEM_H_

#include <cstdint>

#include "libipc/base/ids.h"
#include "libipc/base/monotonic_time.h"

namespace ipc::net {

// CLOCK_MONOTONIC.
MonotonicTime Now();

// The same for a caller that asks again and again: what it has read stays the
// time for 2000 ticks of the processor's counter, which is less than 1 us on
// processors of 2 GHz and more. Reading the counter costs 10 ns, the clock 23.
// Where there is no such counter, or it does not tick evenly, it is Now().
class BurstClock {
 public:
  BurstClock();
  MonotonicTime Now();

 private:
  const bool counts_;
  uint64_t ticks_ = 0;
  MonotonicTime last_;
};

// From the kernel's generator.
Token RandomToken();
uint64_t RandomNumber();

}  // namespace ipc::net

#endif  // IPC_LIBIPC_NET_SYSTEM_H_
