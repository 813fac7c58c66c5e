// SPDX-License-Identifier: Apache-2.0
//
// Flow control for peers that have none: they drop what a subscriber is too
// slow for, or keep all of it in memory. The subscribers' counts stand in a
// file that all processes of a measurement map, so that the peer's own broker
// pays nothing for it:
//
//   publisher p  may send its message n while  n - min over s of count[s][p]
//                is less than the window
//   subscriber s stores count[s][p] with each message, and wakes publishers
//                whenever a quarter of a window has come

#ifndef IPC_TESTS_BENCH_WINDOW_H_
#define IPC_TESTS_BENCH_WINDOW_H_

#include <atomic>
#include <cstdint>
#include <memory>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "tests/bench/payload.h"

namespace ipc::bench {

inline constexpr uint32_t kSubscribersMax = 8;

class Window {
 public:
  // Makes the file in `folder` where it is not yet. `messages`: of each
  // publisher.
  static absl::StatusOr<std::unique_ptr<Window>> Open(const std::string& folder,
                                                      uint32_t subscribers,
                                                      uint64_t messages);
  Window(const Window&) = delete;
  Window& operator=(const Window&) = delete;
  ~Window();

  // A publisher's side: whether message `number` may be sent, and waiting until
  // it may. Errors: kDeadlineExceeded after kStepNsMax.
  bool HasRoom(uint32_t publisher, uint64_t number);
  absl::Status AwaitRoom(uint32_t publisher, uint64_t number);

  // A subscriber's side: so many of a publisher's messages have come.
  void OnReceived(uint32_t subscriber, uint32_t publisher, uint64_t count);

 private:
  // One for each pair, so that no two processes write the same cache line.
  struct alignas(64) Count {
    std::atomic<uint64_t> value;
  };
  struct Shared {
    alignas(64) std::atomic<uint32_t> wakes;  // a futex
    Count counts[kSubscribersMax][kPublishersMax];
  };

  Window(Shared* shared, uint32_t subscribers, uint64_t messages);

  Shared* const shared_;
  const uint32_t subscribers_;
  const uint64_t messages_;
  const uint64_t wake_step_;
  uint64_t received_ = 0;  // the least count that was last seen
};

}  // namespace ipc::bench

#endif  // IPC_TESTS_BENCH_WINDOW_H_
