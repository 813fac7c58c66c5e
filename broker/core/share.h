// SPDX-License-Identifier: Apache-2.0
//
// How the publications of one channel are shared out among the members of a
// group. Each sequence is in one of these places:
//
//   consumed   up to `consumed()`, and in `done_` above it
//   held       given to a member, which has not acknowledged it
//   open       given back: a member ended, did not receive it or has stalled
//   to come    above `given()`
//
// A member that has stalled may still acknowledge what it was given. Those are
// its copies: they are in another place already.
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
#include <vector>

#include "absl/container/btree_map.h"

namespace ipc::broker {

struct SequenceSpan {
  uint64_t first = 0;
  uint64_t last = 0;
};

// As few spans as possible.
class SequenceSet {
 public:
  void Add(uint64_t first, uint64_t last);
  void Remove(uint64_t first, uint64_t last);
  // Moves out what is not above `last`.
  std::vector<SequenceSpan> TakeUpTo(uint64_t last);
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
  // It must be wanted, and nobody gets it.
  void Drop(uint64_t sequence);
  // The member has consumed its share, or its copies, as far as `sequence`.
  // Returns how many that are; none if it does not hold `sequence`.
  uint64_t Acknowledge(uint64_t member, uint64_t sequence);
  // The member keeps its share as far as `received`, or nothing if it does not
  // hold that. Returns how many are open for that.
  uint64_t GiveBack(uint64_t member, uint64_t received);
  // What the member holds is copies from here on, and open. Returns whether
  // there was something.
  bool LetGo(uint64_t member);
  // The same, but it is done with: nobody else is there for it.
  void LetGoAsDone(uint64_t member);
  // Nobody gets what is wanted and not above `last`. Returns it.
  std::vector<SequenceSpan> GiveUp(uint64_t last);
  // With copies.
  uint64_t HeldBy(uint64_t member) const;

  // The member that gets the fragments of a publication, until the last one.
  struct UnderWay {
    uint64_t member = 0;  // 0: none is
    uint64_t sequence = 0;
  };
  UnderWay under_way;

 private:
  struct Holding {
    std::deque<SequenceSpan> spans;  // not empty; in the order of giving
    SequenceSet all;                 // the same, to be found in
    bool copies = false;

    // The span with `sequence` in it, or the end. A sequence that is not here
    // costs little, so that ACKs that mean nothing do.
    std::deque<SequenceSpan>::iterator Find(uint64_t sequence);
  };

  void Done(uint64_t first, uint64_t last);

  uint64_t begin_ = 0;  // nothing up to it was ever to come
  uint64_t consumed_ = 0;
  uint64_t given_ = 0;
  SequenceSet open_;
  SequenceSet done_;
  absl::btree_map<uint64_t, Holding> held_;  // by member
};

}  // namespace ipc::broker

#endif  // IPC_BROKER_CORE_SHARE_H_
