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

// From the kernel's generator.
Token RandomToken();
uint64_t RandomNumber();

}  // namespace ipc::net

#endif  // IPC_LIBIPC_NET_SYSTEM_H_
