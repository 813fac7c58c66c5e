// SPDX-License-Identifier: Apache-2.0
//
// Pacing. Waiting for the next message's time and for the runner is one poll.

#include "tests/bench/load.h"

#include <unistd.h>

#include <algorithm>
#include <thread>

#include "tests/bench/clock.h"

namespace ipc::bench {

absl::Status PublishLoad(
    const Work& work, Control& control,
    const std::function<absl::Status(uint64_t number)>& publish) {
  const int64_t step_ns =
      kNsPerSecond / static_cast<int64_t>(std::max<uint64_t>(work.messages, 1));
  constexpr int64_t kLateNsMax = kNsPerSecond / 10;
  if (auto status = control.AwaitGo(); !status.ok()) return status;
  const int64_t start_ns = MonotonicNs();
  int64_t next_ns = start_ns;
  uint64_t number = 0;
  while (true) {
    const int64_t now_ns = MonotonicNs();
    if (control.HasOrder(std::max<int64_t>(next_ns - now_ns, 0))) break;
    if (MonotonicNs() < next_ns) continue;
    if (auto status = publish(number++); !status.ok()) return status;
    next_ns = std::max(next_ns + step_ns, MonotonicNs() - kLateNsMax);
  }
  if (auto status = control.AwaitGo(); !status.ok()) return status;
  control.Done({static_cast<int64_t>(number), MonotonicNs() - start_ns});
  control.AwaitStop();
  return absl::OkStatus();
}

void EndAtStop(Control& control) {
  std::thread([&control] {
    control.AwaitStop();
    _exit(0);
  }).detach();
}

}  // namespace ipc::bench
