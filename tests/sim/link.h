// SPDX-License-Identifier: Apache-2.0
//
// One simulated connection: two pipes, and who still holds an end of it. As
// with a Unix socket, both ends notice a break by what they send next or when
// they have read the rest; bytes under way may or may not get through.

#ifndef IPC_TESTS_SIM_LINK_H_
#define IPC_TESTS_SIM_LINK_H_

#include <cstdint>

#include "libipc/base/ids.h"
#include "libipc/base/monotonic_time.h"
#include "tests/sim/pipe.h"

namespace ipc::sim {

struct Link {
  ConnectionId id{};
  int process = 0;
  Pipe up;    // client to broker
  Pipe down;  // broker to client

  bool client_holds = true;
  bool broker_holds = true;
  bool accepted = false;  // the broker knows of it
  bool broken = false;    // nothing more can be written
  bool stuffed = false;   // the broker waits for room

  // Nothing moves before.
  MonotonicTime up_stalled_until;
  MonotonicTime down_stalled_until;
};

}  // namespace ipc::sim

#endif  // IPC_TESTS_SIM_LINK_H_
