// SPDX-License-Identifier: Apache-2.0
//
// Time as the cores know it: a point on CLOCK_MONOTONIC that somebody else has
// read and tells them.

#ifndef IPC_LIBIPC_BASE_MONOTONIC_TIME_H_
#define IPC_LIBIPC_BASE_MONOTONIC_TIME_H_

#include <compare>
#include <cstdint>
#include <limits>

#include "absl/time/time.h"

namespace ipc {

class MonotonicTime {
 public:
  constexpr MonotonicTime() = default;
  static constexpr MonotonicTime FromNanoseconds(int64_t nanoseconds) {
    MonotonicTime time;
    time.nanoseconds_ = nanoseconds;
    return time;
  }
  static constexpr MonotonicTime Never() {
    return FromNanoseconds(std::numeric_limits<int64_t>::max());
  }

  constexpr int64_t nanoseconds() const { return nanoseconds_; }
  constexpr bool IsNever() const { return *this == Never(); }
  constexpr auto operator<=>(const MonotonicTime&) const = default;

  // Saturates at Never().
  MonotonicTime operator+(absl::Duration duration) const {
    int64_t delta = absl::ToInt64Nanoseconds(duration);
    if (IsNever() ||
        (delta > 0 &&
         nanoseconds_ > std::numeric_limits<int64_t>::max() - delta)) {
      return Never();
    }
    return FromNanoseconds(nanoseconds_ + delta);
  }
  absl::Duration operator-(MonotonicTime other) const {
    if (IsNever()) return absl::InfiniteDuration();
    return absl::Nanoseconds(nanoseconds_ - other.nanoseconds_);
  }
  // For what is done for each message: absl::Duration divides. Neither time
  // may be Never().
  constexpr int64_t NanosecondsSince(MonotonicTime earlier) const {
    return nanoseconds_ - earlier.nanoseconds_;
  }

 private:
  int64_t nanoseconds_ = 0;
};

}  // namespace ipc

#endif  // IPC_LIBIPC_BASE_MONOTONIC_TIME_H_
