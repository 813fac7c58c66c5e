// SPDX-License-Identifier: Apache-2.0
//
// What a subscription has lost and is to be told at one place of its stream:
// GAP frames, one behind the other, and GONE frames among them at theirs.
// Losses of one stream that lie next to each other, for one reason, make one
// frame.
//
// It remembers the last loss of each stream beyond that place, so that a
// message in fragments counts once, and the rest of one that is lost already is
// not sent.
//
// Invariant: a stream has at most kGapsPerPlaceMax GAP frames in one place.

#ifndef IPC_BROKER_CORE_LOSSES_H_
#define IPC_BROKER_CORE_LOSSES_H_

#include <cstddef>
#include <cstdint>
#include <span>
#include <utility>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "libipc/wire/frame.h"

namespace ipc::broker {

// Adds a loss behind others of its stream in one place: to the last of them if
// it can be. Else there are too many for that.
void AppendGap(const wire::Gap& gap, std::vector<wire::Gap>* gaps);

class Losses {
 public:
  // Nothing to be told at this place.
  bool empty() const { return frames_.empty(); }

  // Some were told at an earlier place.
  bool remembers() const { return !streams_.empty(); }

  // Returns how many of them it had not been told of before.
  uint64_t Add(const wire::Gap& gap);
  // A GONE. Its publisher's streams are forgotten.
  void AddGone(std::span<const std::byte> frame);

  // Whether a publication (a header of DELIVER) is known to be lost.
  bool Knows(const wire::FrameHeader& header) const;

  // What is to be told here. What comes later belongs to another place.
  std::vector<std::byte> Take();
  void Clear();

 private:
  struct Stream {
    uint64_t last = 0;   // lost
    uint64_t place = 0;  // in which it has frames ...
    size_t at = 0;       // ... the last of them
    uint32_t frames = 0;
  };

  static uint64_t KeyOf(uint32_t topic, uint32_t session) {
    return uint64_t{session} << 32 | topic;
  }
  // Whether `gap` has become part of the stream's last frame.
  bool Merge(const wire::Gap& gap, Stream* stream);

  std::vector<std::byte> frames_;
  uint64_t place_ = 1;
  // As many as the subscription has streams, at the most.
  absl::flat_hash_map<uint64_t, Stream> streams_;
};

}  // namespace ipc::broker

#endif  // IPC_BROKER_CORE_LOSSES_H_
