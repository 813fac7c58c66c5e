// SPDX-License-Identifier: Apache-2.0
//
// Waiting for events without sleeping, where that pays: waking a process that
// sleeps takes longer than all the broker does for a small message. It costs a
// CPU for as long as it lasts, so it is done only while events come so fast
// that most of it is not in vain.

#ifndef IPC_BROKER_SPIN_H_
#define IPC_BROKER_SPIN_H_

#include <algorithm>

#include "absl/time/time.h"
#include "libipc/base/monotonic_time.h"

namespace ipc::broker {

// Fewer CPUs, and who spins keeps those from running that it waits for.
inline constexpr unsigned kSpinCpusMin = 4;
inline constexpr absl::Duration kSpinMax = absl::Milliseconds(1);

class Spin {
 public:
  // At most so long at a time; 0: never.
  explicit Spin(absl::Duration longest) : longest_(longest) {}

  // Returns the first events that `wait(deadline)` has, or none when
  // `deadline` has passed. As Poller::Wait does, it must return at once for
  // MonotonicTime(). `now()` tells the time.
  template <typename Wait, typename Now>
  auto Await(MonotonicTime deadline, Wait wait, Now now) {
    if (longest_ <= absl::ZeroDuration()) return wait(deadline);
    const MonotonicTime start = now();
    decltype(wait(deadline)) events;
    if (last_was_short_) {
      const MonotonicTime end = std::min(start + longest_, deadline);
      do {
        events = wait(MonotonicTime());
      } while (events.empty() && now() < end);
    }
    if (events.empty()) events = wait(deadline);
    last_was_short_ = !events.empty() && now() - start <= longest_;
    return events;
  }

 private:
  const absl::Duration longest_;
  bool last_was_short_ = false;
};

}  // namespace ipc::broker

#endif  // IPC_BROKER_SPIN_H_
