// SPDX-License-Identifier: Apache-2.0
//
// Bulk that passes beside a round trip: so many messages each second, evenly,
// until the runner has enough.

#ifndef IPC_TESTS_BENCH_LOAD_H_
#define IPC_TESTS_BENCH_LOAD_H_

#include <cstdint>
#include <functional>

#include "absl/status/status.h"
#include "tests/bench/contestant.h"
#include "tests/bench/control.h"

namespace ipc::bench {

// Calls `publish` with 0, 1, ... at `work.messages` a second from the runner's
// go to its next go, then reports Done(calls, elapsed_ns). Who is late sends
// the next at once, and does not catch up on more than a tenth of a second.
absl::Status PublishLoad(
    const Work& work, Control& control,
    const std::function<absl::Status(uint64_t number)>& publish);

// Ends the process, from a thread of its own, when the runner says stop: for a
// role whose main thread blocks in receiving.
void EndAtStop(Control& control);

}  // namespace ipc::bench

#endif  // IPC_TESTS_BENCH_LOAD_H_
