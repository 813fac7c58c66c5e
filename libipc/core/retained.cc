// SPDX-License-Identifier: Apache-2.0
//
// Copies of what the log lets go.

#include "libipc/core/retained.h"

namespace ipc::core {

void Retained::Begin(ChannelNumber channel, uint64_t from) {
  size_t index = ToNumber(channel);
  if (index >= values_.size()) values_.resize(index + 1);
  if (values_[index] == nullptr) ++count_;
  values_[index] = std::make_unique<Value>();
  values_[index]->from = from;
}

void Retained::End(ChannelNumber channel) {
  if (Find(ToNumber(channel)) == nullptr) return;
  values_[ToNumber(channel)] = nullptr;
  --count_;
}

bool Retained::Covers(uint32_t channel, uint64_t sequence) const {
  const Value* value = Find(channel);
  return value != nullptr && sequence >= value->from;
}

std::optional<int64_t> Retained::TimeOf(uint32_t channel,
                                        uint64_t sequence) const {
  const Value* value = Find(channel);
  if (value == nullptr || value->sequence != sequence) return std::nullopt;
  std::span<const std::byte> frames = std::as_bytes(std::span(value->frames));
  return wire::LoadHeader(frames.data()).time;
}

void Retained::Keep(const Log& log, std::span<const uint64_t> acknowledged) {
  uint64_t end = log.Releasable(acknowledged);
  for (uint64_t at = log.Normalize(log.head()); at < end; at = log.Next(at)) {
    wire::FrameHeader header = log.HeaderAt(at);
    // Any other has a successor in the log.
    if (header.sequence != acknowledged[header.target] ||
        !Covers(header.target, header.sequence)) {
      continue;
    }
    Value& value = *values_[header.target];
    if (header.fragment == 0) {
      value.frames.clear();
      value.sequence = header.sequence;
      value.number = ++kept_;
      value.descriptors = log.DescriptorsAt(at);
    }
    std::span<const std::byte> frame = log.FrameAt(at);
    value.frames.append(reinterpret_cast<const char*>(frame.data()),
                        frame.size());
    value.end = log.Next(at);
    value.whole = header.fragment == header.last_fragment;
  }
}

Retained::Kept Retained::Next(
    uint64_t after, std::span<const wire::Resend::From> wanted) const {
  Kept next;
  for (const wire::Resend::From& from : wanted) {
    const Value* value = Find(ToNumber(from.channel));
    if (value == nullptr || !value->whole || value->number <= after ||
        value->sequence < from.sequence) {
      continue;
    }
    if (next.number == 0 || value->number < next.number) {
      next = {value->number, value->end, value->frames, value->descriptors};
    }
  }
  return next;
}

}  // namespace ipc::core
