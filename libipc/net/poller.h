// SPDX-License-Identifier: Apache-2.0
//
// epoll, level-triggered. Each descriptor is added with a key that comes back
// with its events.
//
// Deadlines are kept by one timerfd that is set only when a deadline comes
// before the one it is set for, or much later: a timeout for each wait would
// program the timer each time, which costs a virtual machine more than the wait
// itself.

#ifndef IPC_LIBIPC_NET_POLLER_H_
#define IPC_LIBIPC_NET_POLLER_H_

#include <cstdint>
#include <span>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "libipc/base/monotonic_time.h"
#include "libipc/net/fd.h"

struct epoll_event;

namespace ipc::net {

struct PollEvent {
  uint64_t key = 0;
  bool readable = false;  // also: the peer is gone
  bool writable = false;
};

enum class Interest { kNothing, kRead, kWrite, kReadWrite };

class Poller {
 public:
  static absl::StatusOr<Poller> Make();
  Poller(Poller&&) noexcept;
  Poller& operator=(Poller&&) noexcept;
  ~Poller();

  // Errors: kResourceExhausted if the kernel has no room for it.
  absl::Status Add(int fd, uint64_t key, Interest interest);
  // `fd` must have been added. May be called from any thread.
  void Modify(int fd, uint64_t key, Interest interest);
  void Remove(int fd);

  // Waits for events until `deadline`; returns none when it passes, when a
  // signal came, or now and then for no reason. MonotonicTime() does not wait.
  // Valid until the next call.
  std::span<const PollEvent> Wait(MonotonicTime deadline);

  // Is readable when Wait has something to return.
  int fd() const { return fd_.get(); }

 private:
  Poller(Fd fd, Fd timer);
  void SetTimer(MonotonicTime deadline);
  bool IsMuchLater(MonotonicTime deadline) const;

  Fd fd_;
  Fd timer_;
  MonotonicTime timer_at_ = MonotonicTime::Never();  // not set
  bool timer_fired_ = false;  // readable until it is set anew
  std::vector<epoll_event> raw_;
  std::vector<PollEvent> events_;
};

}  // namespace ipc::net

#endif  // IPC_LIBIPC_NET_POLLER_H_
