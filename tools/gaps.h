// SPDX-License-Identifier: Apache-2.0
//
// The gaps that were told and not shown yet, kept as sets of intervals.
//
// The client tells a gap when it learns of it, which may be while older
// messages of the same stream still wait to be shown. A gap is therefore held
// back until the message behind it comes, or until nothing waits any more.
// Neighbouring gaps are joined, so that a reader who falls behind for hours
// costs one interval and not one for each message.
//
// Invariant: within a stream, intervals are disjoint, and those of one reason
// do not touch.

#ifndef IPC_TOOLS_GAPS_H_
#define IPC_TOOLS_GAPS_H_

#include <cstdint>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "ipc/message.h"
#include "ipc/options.h"

namespace ipc::tools {

// The messages `first`..`last` of one publisher on one topic are missing, for
// one reason.
struct Gap {
  Source source;
  uint64_t first = 0;
  uint64_t last = 0;
  GapReason reason = GapReason::kUnspecified;

  uint64_t missing() const { return last - first + 1; }
};

// Not thread-safe.
class GapSet {
 public:
  // Ignores a gap that ends before it starts.
  void Add(const Gap& gap);
  bool empty() const { return streams_.empty(); }
  // The gaps before `message` in its stream, in order. O(1) when empty.
  std::vector<Gap> TakeBefore(const Message& message);
  // All of them, ordered by stream and sequence.
  std::vector<Gap> TakeAll();

 private:
  // By publisher session and topic.
  using Stream = std::pair<std::string, std::string>;
  using Intervals = std::map<uint64_t, Gap>;  // by Gap::first

  std::map<Stream, Intervals> streams_;
};

}  // namespace ipc::tools

#endif  // IPC_TOOLS_GAPS_H_
