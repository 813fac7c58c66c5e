// SPDX-License-Identifier: Apache-2.0
//
// Limits, and holes.

#include "libipc/pull_queue.h"

#include <utility>
#include <variant>

#include "libipc/base/limits.h"

namespace ipc {
namespace {

uint64_t BytesOf(const PullQueue::Waiting& waiting) {
  return waiting.message.payload().size() + kFrameHeaderBytes;
}

}  // namespace

std::vector<PullQueue::Waiting> PullQueue::Push(
    Waiting waiting, const SubscribeOptions& options) {
  if (std::holds_alternative<Latest>(options.policy)) {
    return PushLatest(std::move(waiting));
  }
  std::vector<Waiting> dropped;
  const auto* limits = std::get_if<BestEffort>(&options.policy);
  const bool newest = limits != nullptr && limits->drop == Drop::kNewest;
  if (newest && !empty() &&
      (size() >= limits->depth || bytes_ + BytesOf(waiting) > limits->bytes)) {
    dropped.push_back(std::move(waiting));
    return dropped;
  }
  bytes_ += BytesOf(waiting);
  items_.push_back(std::move(waiting));
  while (limits != nullptr && size() > 1 &&
         (size() > limits->depth || bytes_ > limits->bytes)) {
    dropped.push_back(Take());
  }
  return dropped;
}

std::vector<PullQueue::Waiting> PullQueue::PushLatest(Waiting waiting) {
  std::vector<Waiting> dropped;
  auto [place, added] = places_.try_emplace(waiting.stream.get());
  if (!added) {
    Waiting& before = items_[place->second - taken_];
    bytes_ -= BytesOf(before);
    ++holes_;
    dropped.push_back(std::exchange(before, {}));
  }
  place->second = taken_ + items_.size();
  bytes_ += BytesOf(waiting);
  items_.push_back(std::move(waiting));
  PassHoles();
  while (bytes_ > kBestEffortQueueBytesMax && size() > 1) {
    dropped.push_back(Take());
  }
  if (holes_ <= size()) return dropped;
  std::deque<Waiting> kept;
  taken_ = 0;
  for (Waiting& item : items_) {
    if (item.stream == nullptr) continue;
    places_[item.stream.get()] = kept.size();
    kept.push_back(std::move(item));
  }
  items_ = std::move(kept);
  holes_ = 0;
  return dropped;
}

PullQueue::Waiting PullQueue::Take() {
  Waiting taken = std::move(items_.front());
  items_.pop_front();
  ++taken_;
  bytes_ -= BytesOf(taken);
  if (!places_.empty()) places_.erase(taken.stream.get());
  PassHoles();
  return taken;
}

void PullQueue::Clear() {
  items_.clear();
  places_.clear();
  bytes_ = 0;
  holes_ = 0;
}

void PullQueue::PassHoles() {
  while (!items_.empty() && items_.front().stream == nullptr) {
    items_.pop_front();
    ++taken_;
    --holes_;
  }
}

}  // namespace ipc
