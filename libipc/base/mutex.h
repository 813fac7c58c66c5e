// SPDX-License-Identifier: Apache-2.0
//
// A mutex with conditions: a waiter names what it waits for, and whoever
// unlocks looks whether that has come about. std::mutex underneath, because
// Debian builds absl::Mutex with its deadlock detection on, at 100 ns a lock.

#ifndef IPC_LIBIPC_BASE_MUTEX_H_
#define IPC_LIBIPC_BASE_MUTEX_H_

#include <condition_variable>
#include <mutex>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/functional/function_ref.h"
#include "libipc/base/monotonic_time.h"

namespace ipc {

class ABSL_LOCKABLE Mutex {
 public:
  Mutex() = default;
  Mutex(const Mutex&) = delete;
  Mutex& operator=(const Mutex&) = delete;

  void Lock() ABSL_EXCLUSIVE_LOCK_FUNCTION() { mutex_.lock(); }
  void Unlock() ABSL_UNLOCK_FUNCTION() {
    if (!waiters_.empty()) [[unlikely]] {
      WakeReady();
    }
    mutex_.unlock();
  }

  // Releases the mutex until `ready` holds or the deadline has passed, and
  // returns ready(). `ready` is called with the mutex held, by any thread that
  // unlocks it: it must be quick and lock nothing.
  bool Await(absl::FunctionRef<bool()> ready,
             MonotonicTime deadline = MonotonicTime::Never())
      ABSL_SHARED_LOCKS_REQUIRED(this);

 private:
  struct Waiter {
    absl::FunctionRef<bool()> ready;
    std::condition_variable woken;
    bool wake = false;
  };
  void WakeReady();

  std::mutex mutex_;
  std::vector<Waiter*> waiters_;  // guarded by mutex_
};

class ABSL_SCOPED_LOCKABLE MutexLock {
 public:
  explicit MutexLock(Mutex* mutex) ABSL_EXCLUSIVE_LOCK_FUNCTION(mutex)
      : mutex_(*mutex) {
    mutex_.Lock();
  }
  ~MutexLock() ABSL_UNLOCK_FUNCTION() { mutex_.Unlock(); }
  MutexLock(const MutexLock&) = delete;
  MutexLock& operator=(const MutexLock&) = delete;

 private:
  Mutex& mutex_;
};

}  // namespace ipc

#endif  // IPC_LIBIPC_BASE_MUTEX_H_
