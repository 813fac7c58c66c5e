// SPDX-License-Identifier: Apache-2.0
//
// How tests wait: for an event, with a deadline that only a fault reaches.
//
//   Shared<std::vector<int>> numbers;              // some thread adds to it
//   ASSERT_TRUE(numbers.WaitUntil([](auto& n) { return n.size() == 3; }));
//
// What another process does (its memory, its descriptors) sends no event; for
// that, and for counters too hot for a mutex, WaitUntil looks again and again.

#ifndef IPC_TESTS_SUPPORT_DEADLINE_H_
#define IPC_TESTS_SUPPORT_DEADLINE_H_

#include <chrono>
#include <condition_variable>
#include <mutex>
#include <utility>

#include "absl/functional/function_ref.h"
#include "absl/time/time.h"

namespace ipc::test {

// Far more than anything needs, on a busy machine and with a sanitizer too.
inline constexpr absl::Duration kPatience = absl::Seconds(60);

// Memory and speed mean little in such a build.
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
inline constexpr bool kSanitized = true;
#elif defined(__has_feature)
inline constexpr bool kSanitized =
    __has_feature(address_sanitizer) || __has_feature(thread_sanitizer);
#else
inline constexpr bool kSanitized = false;
#endif

// Evaluates `condition` every millisecond or two until it is true or the time
// is up; returns its last value.
bool WaitUntil(absl::FunctionRef<bool()> condition,
               absl::Duration timeout = kPatience);

// A value that threads share, and can wait for.
template <typename T>
class Shared {
 public:
  // Calls change(T&) and wakes whoever waits.
  template <typename Change>
  void Update(Change change) {
    {
      std::lock_guard<std::mutex> lock(mutex_);
      change(value_);
    }
    changed_.notify_all();
  }

  T Get() const {
    std::lock_guard<std::mutex> lock(mutex_);
    return value_;
  }

  // Waits for condition(const T&); false if the time is up before.
  template <typename Condition>
  bool WaitUntil(Condition condition,
                 absl::Duration timeout = kPatience) const {
    std::unique_lock<std::mutex> lock(mutex_);
    return changed_.wait_for(lock, absl::ToChronoNanoseconds(timeout),
                             [&] { return condition(std::as_const(value_)); });
  }

 private:
  mutable std::mutex mutex_;
  mutable std::condition_variable changed_;
  T value_{};
};

}  // namespace ipc::test

#endif  // IPC_TESTS_SUPPORT_DEADLINE_H_
