// SPDX-License-Identifier: Apache-2.0
//
// Merging.

#include "broker/core/losses.h"

#include <algorithm>

#include "libipc/base/limits.h"

namespace ipc::broker {

namespace {

// Makes `gap` part of `*last`, one of `gaps` in one place, if that can be.
bool Join(const wire::Gap& gap, size_t gaps, wire::Gap* last) {
  if (last->reason != gap.reason || gap.first > last->last + 1) {
    if (gaps < kGapsPerPlaceMax) return false;
    last->reason = wire::GapReason::kUnspecified;
  }
  last->last = std::max(last->last, gap.last);
  return true;
}

}  // namespace

void AppendGap(const wire::Gap& gap, std::vector<wire::Gap>* gaps) {
  if (gaps->empty() || !Join(gap, gaps->size(), &gaps->back())) {
    gaps->push_back(gap);
  }
}

uint64_t Losses::Add(const wire::Gap& gap) {
  Stream& stream = streams_[KeyOf(gap.topic, gap.session)];
  const uint64_t known = std::max(stream.last, gap.first - 1);
  if (gap.last <= known) return 0;
  stream.last = gap.last;
  if (stream.place != place_) {
    stream.place = place_;
    stream.frames = 0;
  }
  if (!Merge(gap, &stream)) {
    stream.at = frames_.size();
    ++stream.frames;
    frames_.resize(frames_.size() + kFrameHeaderBytes);
    wire::StoreHeader(wire::GapHeader(gap), frames_.data() + stream.at);
  }
  return gap.last - known;
}

bool Losses::Merge(const wire::Gap& gap, Stream* stream) {
  if (stream->frames == 0) return false;
  std::byte* frame = frames_.data() + stream->at;
  wire::FrameHeader header = wire::LoadHeader(frame);
  wire::Gap last;
  wire::ParseGap(header, &last);
  if (!Join(gap, stream->frames, &last)) return false;
  wire::StoreHeader(wire::GapHeader(last), frame);
  return true;
}

void Losses::AddGone(std::span<const std::byte> frame) {
  const uint32_t session = wire::LoadHeader(frame.data()).session;
  frames_.insert(frames_.end(), frame.begin(), frame.end());
  absl::erase_if(streams_, [session](const auto& stream) {
    return stream.first >> 32 == session;
  });
}

bool Losses::Knows(const wire::FrameHeader& header) const {
  if (streams_.empty()) return false;
  auto stream = streams_.find(KeyOf(header.target, header.session));
  return stream != streams_.end() && header.sequence <= stream->second.last;
}

std::vector<std::byte> Losses::Take() {
  ++place_;
  return std::exchange(frames_, {});
}

void Losses::Clear() {
  frames_.clear();
  streams_.clear();
}

}  // namespace ipc::broker
