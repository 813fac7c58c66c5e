// SPDX-License-Identifier: Apache-2.0
//
// Sets of sequences, and what goes from one to another.

#include "broker/core/share.h"

#include <algorithm>
#include <utility>

namespace ipc::broker {
namespace {

uint64_t LengthOf(const SequenceSpan& span) {
  return span.last - span.first + 1;
}

}  // namespace

void SequenceSet::Add(uint64_t first, uint64_t last) {
  auto next = spans_.upper_bound(first);
  if (next != spans_.begin()) {
    auto before = std::prev(next);
    if (before->second + 1 >= first) {
      first = before->first;
      last = std::max(last, before->second);
      next = spans_.erase(before);
    }
  }
  while (next != spans_.end() && next->first <= last + 1) {
    last = std::max(last, next->second);
    next = spans_.erase(next);
  }
  spans_.emplace(first, last);
}

void SequenceSet::Remove(uint64_t first, uint64_t last) {
  auto span = spans_.upper_bound(first);
  if (span != spans_.begin()) --span;
  while (span != spans_.end() && span->first <= last) {
    auto [begin, end] = *span;
    if (end < first) {
      ++span;
      continue;
    }
    span = spans_.erase(span);
    if (begin < first) spans_.emplace(begin, first - 1);
    if (end > last) spans_.emplace(last + 1, end);
    span = spans_.upper_bound(first);
  }
}

std::vector<SequenceSpan> SequenceSet::TakeUpTo(uint64_t last) {
  std::vector<SequenceSpan> taken;
  for (const auto& [begin, end] : spans_) {
    if (begin > last) break;
    taken.push_back({begin, std::min(end, last)});
  }
  for (const SequenceSpan& span : taken) Remove(span.first, span.last);
  return taken;
}

bool SequenceSet::Contains(uint64_t sequence) const {
  auto next = spans_.upper_bound(sequence);
  return next != spans_.begin() && std::prev(next)->second >= sequence;
}

std::deque<SequenceSpan>::iterator Share::Holding::Find(uint64_t sequence) {
  if (!all.Contains(sequence)) return spans.end();
  return std::find_if(spans.begin(), spans.end(),
                      [sequence](const SequenceSpan& span) {
                        return span.first <= sequence && sequence <= span.last;
                      });
}

void Share::Restart(uint64_t consumed) {
  begin_ = consumed_ = given_ = consumed;
  open_.Clear();
  done_.Clear();
  held_.clear();
  under_way = {};
}

bool Share::Widen(uint64_t consumed) {
  if (consumed >= begin_) return false;
  open_.Add(consumed + 1, begin_);
  if (consumed_ > begin_) done_.Add(begin_ + 1, consumed_);
  begin_ = consumed_ = consumed;
  return true;
}

void Share::Give(uint64_t member, uint64_t first, uint64_t last) {
  if (first > given_) PassOver(first - 1);
  if (!open_.empty()) open_.Remove(first, last);
  given_ = std::max(given_, last);
  Holding& holding = held_[member];
  holding.all.Add(first, last);
  std::deque<SequenceSpan>& spans = holding.spans;
  if (!spans.empty() && spans.back().last + 1 == first) {
    spans.back().last = last;
  } else {
    spans.push_back({first, last});
  }
}

void Share::PassOver(uint64_t last) {
  if (last <= given_) return;
  Done(given_ + 1, last);
  given_ = last;
}

void Share::Drop(uint64_t sequence) {
  if (sequence > given_) {
    PassOver(sequence);
  } else {
    open_.Remove(sequence, sequence);
    Done(sequence, sequence);
  }
}

uint64_t Share::Acknowledge(uint64_t member, uint64_t sequence) {
  auto held = held_.find(member);
  if (held == held_.end()) return 0;
  std::deque<SequenceSpan>& spans = held->second.spans;
  auto reached = held->second.Find(sequence);
  if (reached == spans.end()) return 0;
  const bool counts = !held->second.copies;
  uint64_t count = sequence - reached->first + 1;
  for (auto span = spans.begin(); span != reached; ++span) {
    if (counts) Done(span->first, span->last);
    held->second.all.Remove(span->first, span->last);
    count += LengthOf(*span);
  }
  if (counts) Done(reached->first, sequence);
  held->second.all.Remove(reached->first, sequence);
  reached->first = sequence + 1;
  if (reached->first > reached->last) ++reached;
  spans.erase(spans.begin(), reached);
  if (spans.empty()) held_.erase(held);
  return count;
}

uint64_t Share::GiveBack(uint64_t member, uint64_t received) {
  auto held = held_.find(member);
  if (held == held_.end()) return 0;
  std::deque<SequenceSpan>& spans = held->second.spans;
  const bool counts = !held->second.copies;
  auto from = held->second.Find(received);
  uint64_t count = 0;
  if (from == spans.end()) {
    from = spans.begin();
  } else {
    if (received < from->last) {
      if (counts) open_.Add(received + 1, from->last);
      held->second.all.Remove(received + 1, from->last);
      count += from->last - received;
      from->last = received;
    }
    ++from;
  }
  for (auto span = from; span != spans.end(); ++span) {
    if (counts) open_.Add(span->first, span->last);
    held->second.all.Remove(span->first, span->last);
    count += LengthOf(*span);
  }
  spans.erase(from, spans.end());
  if (spans.empty()) held_.erase(held);
  return count;
}

bool Share::LetGo(uint64_t member) {
  auto held = held_.find(member);
  if (held == held_.end() || held->second.copies) return false;
  held->second.copies = true;
  for (const SequenceSpan& span : held->second.spans) {
    open_.Add(span.first, span.last);
  }
  return true;
}

void Share::LetGoAsDone(uint64_t member) {
  auto held = held_.find(member);
  if (held == held_.end() || held->second.copies) return;
  held->second.copies = true;
  for (const SequenceSpan& span : held->second.spans) {
    Done(span.first, span.last);
  }
}

std::vector<SequenceSpan> Share::GiveUp(uint64_t last) {
  std::vector<SequenceSpan> lost = open_.TakeUpTo(last);
  if (under_way.sequence <= last) under_way = {};
  if (last > given_) {
    lost.push_back({given_ + 1, last});
    given_ = last;
  }
  SequenceSet told;
  for (const SequenceSpan& span : lost) {
    Done(span.first, span.last);
    told.Add(span.first, span.last);
  }
  // Who has a copy was sent it.
  if (lost.empty()) return lost;
  for (const auto& [member, holding] : held_) {
    if (!holding.copies) continue;
    for (const SequenceSpan& span : holding.spans) {
      told.Remove(span.first, span.last);
    }
  }
  return told.TakeUpTo(last);
}

uint64_t Share::HeldBy(uint64_t member) const {
  auto held = held_.find(member);
  if (held == held_.end()) return 0;
  uint64_t count = 0;
  for (const SequenceSpan& span : held->second.spans) count += LengthOf(span);
  return count;
}

void Share::Done(uint64_t first, uint64_t last) {
  done_.Add(first, last);
  if (done_.first() > consumed_ + 1) return;
  consumed_ = std::max(consumed_, done_.first_last());
  done_.Remove(done_.first(), consumed_);
}

}  // namespace ipc::broker
