// SPDX-License-Identifier: Apache-2.0
//
// What the viewer knows: the latest message of each kind from each host, and
// the books on everything that came.
//
//   handlers (the client's thread) -> On -> [ Board ] -> Lines, Summary <- main
//
// Thread-safe. One lock, held for a copy of a message or the making of a text,
// never for I/O: a handler that waits holds up the client.

#ifndef IPC_EXAMPLES_HOSTMON_BOARD_H_
#define IPC_EXAMPLES_HOSTMON_BOARD_H_

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <tuple>
#include <utility>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"
#include "examples/hostmon/number_ledger.h"
#include "examples/hostmon/topics.h"
#include "examples/hostmon/view_line.h"
#include "ipc/message.h"
#include "ipc/options.h"

namespace hostmon {

class Board {
 public:
  // A message has arrived; T is one of the types in HostState.
  template <typename T>
  void OnMessage(const T& value, const ipc::Message& message) {
    absl::MutexLock lock(&mutex_);
    std::get<T>(hosts_[std::string(HostOf(message.topic()))]) = value;
    ++received_[kKind<T>];
    LedgerOf(message).OnNumber(value.number());
  }

  // The client has been told of a gap.
  void OnGap(const ipc::Event& gap);

  // One line for each host, in the order of their names.
  std::vector<std::string> Lines() const;

  // "cpu=9 memory=9 disks=9 network=9 processes=9 lost=0 twice=0 disordered=0
  // gaps=0", in one line: messages received of each kind; faults that their
  // numbers show; messages that the client was told are missing.
  std::string Summary() const;

 private:
  // Each publisher session numbers the messages of each of its topics.
  NumberLedger& LedgerOf(const ipc::Message& message)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    return ledgers_[{message.publisher().session,
                     std::string(message.topic())}];
  }

  mutable absl::Mutex mutex_;
  std::map<std::string, HostState> hosts_ ABSL_GUARDED_BY(mutex_);
  std::map<std::string_view, uint64_t> received_ ABSL_GUARDED_BY(mutex_);
  // By session and topic.
  std::map<std::pair<std::string, std::string>, NumberLedger> ledgers_
      ABSL_GUARDED_BY(mutex_);
  uint64_t missing_ ABSL_GUARDED_BY(mutex_) = 0;
};

}  // namespace hostmon

#endif  // IPC_EXAMPLES_HOSTMON_BOARD_H_
