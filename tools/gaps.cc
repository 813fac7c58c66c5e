// SPDX-License-Identifier: Apache-2.0
//
// See gaps.h.

#include "tools/gaps.h"

#include <algorithm>
#include <cstdint>
#include <iterator>
#include <string>
#include <utility>
#include <vector>

#include "ipc/message.h"

namespace ipc::tools {
namespace {

// Whether two gaps of one stream overlap or touch, for one reason; `left`
// starts first.
bool Join(const Gap& left, const Gap& right) {
  if (left.reason != right.reason) return false;
  return right.first <= left.last || right.first - left.last == 1;
}

}  // namespace

void GapSet::Add(const Gap& gap) {
  if (gap.last < gap.first) return;
  Intervals& gaps = streams_[{gap.source.publisher.session, gap.source.topic}];
  Gap joined = gap;
  auto next = gaps.upper_bound(gap.first);
  if (next != gaps.begin() && Join(std::prev(next)->second, gap)) {
    --next;
    joined.first = next->second.first;
  }
  while (next != gaps.end() && Join(joined, next->second)) {
    joined.last = std::max(joined.last, next->second.last);
    next = gaps.erase(next);
  }
  gaps.emplace_hint(next, joined.first, joined);
}

std::vector<Gap> GapSet::TakeBefore(const Message& message) {
  std::vector<Gap> taken;
  if (streams_.empty()) return taken;
  const auto stream = streams_.find(
      {message.publisher().session, std::string(message.topic())});
  if (stream == streams_.end()) return taken;
  Intervals& gaps = stream->second;
  while (!gaps.empty() && gaps.begin()->first < message.sequence()) {
    taken.push_back(std::move(gaps.begin()->second));
    gaps.erase(gaps.begin());
  }
  if (gaps.empty()) streams_.erase(stream);
  return taken;
}

std::vector<Gap> GapSet::TakeAll() {
  std::vector<Gap> taken;
  for (auto& [stream, gaps] : streams_) {
    for (auto& [first, gap] : gaps) taken.push_back(std::move(gap));
  }
  streams_.clear();
  return taken;
}

}  // namespace ipc::tools
