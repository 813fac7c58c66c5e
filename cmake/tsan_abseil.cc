// SPDX-License-Identifier: Apache-2.0
//
// Tells ThreadSanitizer what absl::Mutex, CondVar, Notification and
// BlockingCounter do. Debian's abseil is built without it, so that each use of
// an absl::Mutex would look like a race. Linked into every program of the
// preset tsan, this file defines the functions that lock and wait, annotates
// them and calls the library's own:
//
//   our code, libabsl -> Mutex::Lock here -> Mutex::Lock in libabsl
//
// Not covered: Await on a mutex held for reading, absl::Barrier.

#include <dlfcn.h>
#include <sanitizer/tsan_interface.h>

#include <cstdio>
#include <cstdlib>

// Other libraries must find these definitions before libabsl's.
#pragma GCC visibility push(default)
#include "absl/base/internal/tsan_mutex_interface.h"
#include "absl/synchronization/blocking_counter.h"
#include "absl/synchronization/mutex.h"
#include "absl/synchronization/notification.h"
#pragma GCC visibility pop

#ifndef ABSL_INTERNAL_HAVE_TSAN_INTERFACE
#error "build with -fsanitize=thread"
#endif

namespace absl {
ABSL_NAMESPACE_BEGIN
namespace {

constexpr unsigned kExclusive = 0;
constexpr unsigned kShared = __tsan_mutex_read_lock;

// libabsl's functions call each other: only the outermost call is annotated.
thread_local int depth = 0;

// `name` is mangled, without the namespace, and with a K in front if const.
template <typename Result, typename... Args>
Result Real(const char* name, Args... args) {
  static void* library = dlopen("libabsl_synchronization.so.20220623",
                                RTLD_LAZY | RTLD_NOLOAD | RTLD_LOCAL);
  const bool is_const = name[0] == 'K';
  char symbol[160];
  std::snprintf(symbol, sizeof(symbol), "_ZN%s4absl7debian3%s",
                is_const ? "K" : "", name + (is_const ? 1 : 0));
  void* function = library == nullptr ? nullptr : dlsym(library, symbol);
  if (function == nullptr) {
    std::fprintf(stderr, "tsan_abseil: no %s: another abseil?\n", symbol);
    std::abort();
  }
  ++depth;
  struct Leave {
    ~Leave() { --depth; }
  } leave;
  return reinterpret_cast<Result (*)(Args...)>(function)(args...);
}

template <typename... Args>
void Acquire(unsigned mode, const char* name, Mutex* mutex, Args... args) {
  if (depth > 0) return Real<void>(name, mutex, args...);
  __tsan_mutex_pre_lock(mutex, mode);
  Real<void>(name, mutex, args...);
  __tsan_mutex_post_lock(mutex, mode, 0);
}

// Acquires the mutex whatever it returns.
template <typename... Args>
bool AcquireWhen(unsigned mode, const char* name, Mutex* mutex, Args... args) {
  if (depth > 0) return Real<bool>(name, mutex, args...);
  __tsan_mutex_pre_lock(mutex, mode);
  const bool result = Real<bool>(name, mutex, args...);
  __tsan_mutex_post_lock(mutex, mode, 0);
  return result;
}

bool TryAcquire(unsigned mode, const char* name, Mutex* mutex) {
  if (depth > 0) return Real<bool>(name, mutex);
  mode |= __tsan_mutex_try_lock;
  __tsan_mutex_pre_lock(mutex, mode);
  const bool locked = Real<bool>(name, mutex);
  if (!locked) mode |= __tsan_mutex_try_lock_failed;
  __tsan_mutex_post_lock(mutex, mode, 0);
  return locked;
}

void Release(unsigned mode, const char* name, Mutex* mutex) {
  if (depth > 0) return Real<void>(name, mutex);
  __tsan_mutex_pre_unlock(mutex, mode);
  Real<void>(name, mutex);
  __tsan_mutex_post_unlock(mutex, mode);
}

// Releases the mutex, waits and acquires it again.
template <typename Result, typename... Args>
Result Wait(const char* name, Mutex* mutex, Args... args) {
  if (depth > 0) return Real<Result>(name, args...);
  __tsan_mutex_pre_unlock(mutex, kExclusive);
  __tsan_mutex_post_unlock(mutex, kExclusive);
  __tsan_mutex_pre_lock(mutex, kExclusive);
  struct Locked {
    Mutex* mutex;
    ~Locked() { __tsan_mutex_post_lock(mutex, kExclusive, 0); }
  } locked{mutex};
  return Real<Result>(name, args...);
}

}  // namespace

Mutex::~Mutex() {
  __tsan_mutex_destroy(this, __tsan_mutex_not_static);
  Real<void>("5MutexD1Ev", this);
}
void Mutex::Lock() { Acquire(kExclusive, "5Mutex4LockEv", this); }
void Mutex::Unlock() { Release(kExclusive, "5Mutex6UnlockEv", this); }
bool Mutex::TryLock() {
  return TryAcquire(kExclusive, "5Mutex7TryLockEv", this);
}
void Mutex::ReaderLock() { Acquire(kShared, "5Mutex10ReaderLockEv", this); }
void Mutex::ReaderUnlock() { Release(kShared, "5Mutex12ReaderUnlockEv", this); }
bool Mutex::ReaderTryLock() {
  return TryAcquire(kShared, "5Mutex13ReaderTryLockEv", this);
}
void Mutex::LockWhen(const Condition& condition) {
  Acquire(kExclusive, "5Mutex8LockWhenERKNS0_9ConditionE", this, &condition);
}
bool Mutex::LockWhenWithTimeout(const Condition& condition, Duration timeout) {
  return AcquireWhen(
      kExclusive, "5Mutex19LockWhenWithTimeoutERKNS0_9ConditionENS0_8DurationE",
      this, &condition, timeout);
}
bool Mutex::LockWhenWithDeadline(const Condition& condition, Time deadline) {
  return AcquireWhen(kExclusive,
                     "5Mutex20LockWhenWithDeadlineERKNS0_9ConditionENS0_4TimeE",
                     this, &condition, deadline);
}
void Mutex::ReaderLockWhen(const Condition& condition) {
  Acquire(kShared, "5Mutex14ReaderLockWhenERKNS0_9ConditionE", this,
          &condition);
}
void Mutex::Await(const Condition& condition) {
  Wait<void>("5Mutex5AwaitERKNS0_9ConditionE", this, this, &condition);
}
bool Mutex::AwaitWithTimeout(const Condition& condition, Duration timeout) {
  return Wait<bool>("5Mutex16AwaitWithTimeoutERKNS0_9ConditionENS0_8DurationE",
                    this, this, &condition, timeout);
}
bool Mutex::AwaitWithDeadline(const Condition& condition, Time deadline) {
  return Wait<bool>("5Mutex17AwaitWithDeadlineERKNS0_9ConditionENS0_4TimeE",
                    this, this, &condition, deadline);
}
void CondVar::Wait(Mutex* mutex) {
  absl::Wait<void>("7CondVar4WaitEPNS0_5MutexE", mutex, this, mutex);
}
bool CondVar::WaitWithTimeout(Mutex* mutex, Duration timeout) {
  return absl::Wait<bool>(
      "7CondVar15WaitWithTimeoutEPNS0_5MutexENS0_8DurationE", mutex, this,
      mutex, timeout);
}
bool CondVar::WaitWithDeadline(Mutex* mutex, Time deadline) {
  return absl::Wait<bool>("7CondVar16WaitWithDeadlineEPNS0_5MutexENS0_4TimeE",
                          mutex, this, mutex, deadline);
}

// Their quick ways are atomics in libabsl, which ThreadSanitizer cannot see.
void Notification::Notify() {
  __tsan_release(&notified_yet_);
  Real<void>("12Notification6NotifyEv", this);
}
void Notification::WaitForNotification() const {
  Real<void>("K12Notification19WaitForNotificationEv", this);
  (void)HasBeenNotified();  // an acquire that ThreadSanitizer sees
}
bool Notification::WaitForNotificationWithTimeout(Duration timeout) const {
  Real<bool>("K12Notification30WaitForNotificationWithTimeoutENS0_8DurationE",
             this, timeout);
  return HasBeenNotified();
}
bool Notification::WaitForNotificationWithDeadline(Time deadline) const {
  Real<bool>("K12Notification31WaitForNotificationWithDeadlineENS0_4TimeE",
             this, deadline);
  return HasBeenNotified();
}

bool BlockingCounter::DecrementCount() {
  __tsan_release(&count_);
  return Real<bool>("15BlockingCounter14DecrementCountEv", this);
}
void BlockingCounter::Wait() {
  Real<void>("15BlockingCounter4WaitEv", this);
  __tsan_acquire(&count_);
}

ABSL_NAMESPACE_END
}  // namespace absl
