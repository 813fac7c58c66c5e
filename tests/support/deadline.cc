// SPDX-License-Identifier: Apache-2.0
//
// See deadline.h.

#include "tests/support/deadline.h"

#include <poll.h>

#include <chrono>

namespace ipc::test {

bool WaitUntil(absl::FunctionRef<bool()> condition, absl::Duration timeout) {
  constexpr int kStepMilliseconds = 1;
  const auto deadline =
      std::chrono::steady_clock::now() + absl::ToChronoNanoseconds(timeout);
  while (!condition()) {
    if (std::chrono::steady_clock::now() >= deadline) return condition();
    poll(nullptr, 0, kStepMilliseconds);
  }
  return true;
}

}  // namespace ipc::test
