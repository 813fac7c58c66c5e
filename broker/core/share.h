// SPDX-License-Identifier: Apache-2.0
//
// How the publications of one channel are shared out among the members of a
// group. Each sequence is in one of these places:
//
//   consumed   up to `consumed()`, and in `done_` above it
//   held       given to a member, which has not acknowledged it
//   open       given back: a member ended or did not receive it
//   to come    above `given()`
//
// A member holds its share in the order in which it was given, and consumes it
// in that order: an acknowledgement covers all that was given before. That is
// the order of the sequences but for what is passed on.
//
// Members are named by a number, 1 or more.

#ifndef IPC_BROKER_CORE_SHARE_H_
#define IPC_BROKER_CORE_SHARE_H_

#include <cstdint>
#include <deque>

#include "absl/container/btree_map.h"

namespace ipc::broker {

// As few spans as possible.
class SequenceSet {
 public:
  void Add(uint64_t first, uint64_t last);
  void Remove(uint64_t first, uint64_t last);
  void Clear() { spans_.clear(); }

  bool Contains(uint64_t sequence) const;
  bool empty() const { return spans_.empty(); }
  // The lowest, and the last of those that follow it without a hole. Not when
  // it is empty.
  uint64_t first() const { return spans_.begin()->first; }
  uint64_t first_last() const { return spans_.begin()->second; }

 private:
  absl::btree_map<uint64_t, uint64_t> spans_;  // first to last
};

class Share {
 public:
  // What is above `consumed` is to come.
  explicit Share(uint64_t consumed) { Restart(consumed); }
  void Restart(uint64_t consumed);
  // What is above `consumed` and was never to come is open. False if that is
  // nothing.
  bool Widen(uint64_t consumed);

  uint64_t consumed() const { return consumed_; }
  uint64_t given() const { return given_; }
  // Everything below it is consumed or held.
  uint64_t first_wanted() const {
    return open_.empty() ? given_ + 1 : open_.first();
  }
  bool Wants(uint64_t sequence) const {
    return sequence > given_ || open_.Contains(sequence);
  }

  // All of these must be wanted. What they leave out above `given` does not
  // exist.
  void Give(uint64_t member, uint64_t first, uint64_t last);
  // What is to come up to `last` does not exist.
  void PassOver(uint64_t last);
  // The member has consumed its share as far as `sequence`. Returns how many
  // that are; none if it does not hold `sequence`.
  uint64_t Acknowledge(uint64_t member, uint64_t sequence);
  // The member keeps its share as far as `received`, or nothing if it does not
  // hold that. Returns how many are open for that.
  uint64_t GiveBack(uint64_t member, uint64_t received);
  uint64_t HeldBy(uint64_t member) const;

  // The member that gets the fragments of a publication, until the last one.
  struct UnderWay {
    uint64_t member = 0;  // 0: none is
    uint64_t sequence = 0;
  };
  UnderWay under_way;

 private:
  struct Span {
    uint64_t first = 0;
    uint64_t last = 0;
  };

  void Done(uint64_t first, uint64_t last);

  uint64_t begin_ = 0;  // nothing up to it was ever to come
  uint64_t consumed_ = 0;
  uint64_t given_ = 0;
  SequenceSet open_;
  SequenceSet done_;
  absl::btree_map<uint64_t, std::deque<Span>> held_;  // by member; not empty
};

}  // namespace ipc::broker

#endif  // IPC_BROKER_CORE_SHARE_H_
