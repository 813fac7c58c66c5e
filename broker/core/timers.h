// SPDX-License-Identifier: Apache-2.0
//
// What the core wants to be woken for. A timer names its subject by number
// and is not cancelled: whoever handles it looks whether it still matters.

#ifndef IPC_BROKER_CORE_TIMERS_H_
#define IPC_BROKER_CORE_TIMERS_H_

#include <cstdint>
#include <optional>

#include "absl/container/btree_set.h"
#include "libipc/base/monotonic_time.h"

namespace ipc::broker {

enum class TimerKind : uint8_t {
  kHandshake,    // subject: none
  kGrace,        // subject: session
  kAwaited,      // subject: session, detail: subscription
  kJoin,         // subject: session, detail: subscription
  kAcknowledge,  // subject: session
  kStall,        // subject: session, detail: subscription
  kHold,         // subject: none
};

struct Timer {
  MonotonicTime due;
  TimerKind kind{};
  uint64_t subject = 0;
  uint32_t detail = 0;

  auto operator<=>(const Timer&) const = default;
};

class Timers {
 public:
  void Add(const Timer& timer) { timers_.insert(timer); }

  MonotonicTime Next() const {
    return timers_.empty() ? MonotonicTime::Never() : timers_.begin()->due;
  }

  // The earliest timer that is due.
  std::optional<Timer> TakeDue(MonotonicTime now) {
    if (timers_.empty() || timers_.begin()->due > now) return std::nullopt;
    Timer timer = *timers_.begin();
    timers_.erase(timers_.begin());
    return timer;
  }

 private:
  absl::btree_set<Timer> timers_;
};

}  // namespace ipc::broker

#endif  // IPC_BROKER_CORE_TIMERS_H_
