// SPDX-License-Identifier: Apache-2.0
//
// The way from the client's I/O thread, which tells events, to the main
// thread, which is the only one that writes.
//
//   I/O thread:  On(event)  -->  [ gaps | notices | refusal ]  -->  main thread
//
// Everything held is bounded: gaps by joining them (gaps.h), notices by
// forgetting the oldest.

#ifndef IPC_TOOLS_EVENTS_H_
#define IPC_TOOLS_EVENTS_H_

#include <deque>
#include <functional>
#include <string>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/synchronization/mutex.h"
#include "ipc/message.h"
#include "ipc/options.h"
#include "tools/gaps.h"

namespace ipc::tools {

// Thread-safe. Must outlive the client that was given its Handler().
class Events {
 public:
  // For ClientOptions::on_event.
  std::function<void(const Event&)> Handler();

  // See GapSet.
  std::vector<Gap> TakeGapsBefore(const Message& message);
  std::vector<Gap> TakeGaps();

  // What there is to say on the connection: that it was lost (once for each
  // reason), and that one that was missed is there. The first is no news.
  std::vector<std::string> TakeNotices();
  // Adds a notice of the main thread's own: that it waits for a connection.
  void TellWaiting(const std::string& notice);

  // The first refusal of a topic, subscription or publication; else OK.
  absl::Status refusal() const;

 private:
  void On(const Event& event);
  void AddLoss(const std::string& notice) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void AddNotice(const std::string& notice)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  mutable absl::Mutex mutex_;
  GapSet gaps_ ABSL_GUARDED_BY(mutex_);
  std::deque<std::string> notices_ ABSL_GUARDED_BY(mutex_);
  std::string last_loss_ ABSL_GUARDED_BY(mutex_);
  bool awaited_ ABSL_GUARDED_BY(mutex_) = false;
  absl::Status refusal_ ABSL_GUARDED_BY(mutex_);
};

// Says the notices on stderr.
void ShowNotices(Events* events);

}  // namespace ipc::tools

#endif  // IPC_TOOLS_EVENTS_H_
