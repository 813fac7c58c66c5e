// SPDX-License-Identifier: Apache-2.0
//
// Replacing, and what is above the limit.

#include "broker/core/latest_queue.h"

#include <utility>

#include "libipc/base/check.h"
#include "libipc/base/limits.h"

namespace ipc::broker {
namespace {

// As much as leaves in one send.
constexpr size_t kTakeBytes = 64 * 1024;

uint64_t StreamOf(uint32_t topic, uint32_t session) {
  return uint64_t{session} << 32 | topic;
}

wire::Gap GapAt(uint64_t stream, uint64_t sequence, wire::GapReason reason) {
  return {.topic = static_cast<uint32_t>(stream),
          .session = static_cast<uint32_t>(stream >> 32),
          .first = sequence,
          .last = sequence,
          .reason = reason};
}

}  // namespace

LatestQueue::Item* LatestQueue::ItemOf(uint64_t stream) {
  auto [age, added] = ages_.try_emplace(stream);
  if (added) {
    age->second = ++last_;
    items_[age->second].stream = stream;
  }
  return &items_.find(age->second)->second;
}

void LatestQueue::Append(std::span<const std::byte> bytes,
                         std::vector<std::byte>* to) {
  to->insert(to->end(), bytes.begin(), bytes.end());
  bytes_ += bytes.size();
}

void LatestQueue::AddGap(const wire::Gap& gap, std::vector<wire::Gap>* to) {
  const size_t before = to->size();
  AppendGap(gap, to);
  bytes_ += (to->size() - before) * kFrameHeaderBytes;
}

void LatestQueue::Attach(const Descriptors& descriptors, Part* part) {
  if (descriptors == nullptr) return;
  descriptors_ += descriptors->size();
  part->descriptors = descriptors;
}

void LatestQueue::Detach(Part* part) {
  if (part->descriptors == nullptr) return;
  descriptors_ -= part->descriptors->size();
  part->descriptors = nullptr;
}

void LatestQueue::DropPart(Part* part) {
  Detach(part);
  bytes_ -= part->bytes.size();
  *part = {};
}

void LatestQueue::Erase(Items::iterator item) {
  Detach(&item->second.message);
  Detach(&item->second.part);
  bytes_ -= (item->second.before.size() + item->second.after.size()) *
                kFrameHeaderBytes +
            item->second.message.bytes.size() + item->second.part.bytes.size();
  if (item->second.stream != 0) ages_.erase(item->second.stream);
  items_.erase(item);
}

LatestQueue::Lost LatestQueue::Push(std::span<const std::byte> run,
                                    const Descriptors& descriptors) {
  Lost lost;
  while (!run.empty()) {
    const wire::FrameHeader header = wire::LoadHeader(run.data());
    PushFrame(header, run.first(header.size), descriptors, &lost);
    run = run.subspan(header.size);
  }
  while (bytes_ > bytes_max_ || descriptors_ > kDescriptorsPerQueueMax) {
    DropOldest(&lost);
  }
  return lost;
}

void LatestQueue::PushFrame(const wire::FrameHeader& header,
                            std::span<const std::byte> frame,
                            const Descriptors& descriptors, Lost* lost) {
  const uint64_t stream = StreamOf(header.target, header.session);
  switch (header.kind) {
    case wire::FrameKind::kDeliver:
      if (header.last_fragment != 0) {
        PushFragment(header, frame, descriptors, lost);
      } else {
        Part message{{frame.begin(), frame.end()}, header.sequence};
        Attach(descriptors, &message);
        bytes_ += frame.size();
        Replace(ItemOf(stream), std::move(message), lost);
      }
      break;
    case wire::FrameKind::kAbort: {
      auto age = ages_.find(stream);
      if (age == ages_.end()) break;
      auto item = items_.find(age->second);
      DropPart(&item->second.part);
      const Item& rest = item->second;
      if (rest.before.empty() && rest.message.sequence == 0) Erase(item);
      break;
    }
    case wire::FrameKind::kGone:
      Append(frame, &items_[++last_].message.bytes);
      break;
    default:
      break;
  }
}

void LatestQueue::PushFragment(const wire::FrameHeader& header,
                               std::span<const std::byte> frame,
                               const Descriptors& descriptors, Lost* lost) {
  const bool begins = header.fragment == 0;
  if (!begins && told_.Knows(header)) return;
  Item* item = ItemOf(StreamOf(header.target, header.session));
  // It begins anew, or its beginning has left and the rest of another has not
  // come.
  if (begins || item->part.sequence != header.sequence) DropPart(&item->part);
  item->part.sequence = header.sequence;
  Append(frame, &item->part.bytes);
  Attach(descriptors, &item->part);
  if (header.fragment == header.last_fragment) {
    Replace(item, std::exchange(item->part, {}), lost);
  }
}

// The bytes of `message` are counted already.
void LatestQueue::Replace(Item* item, Part message, Lost* lost) {
  if (item->message.sequence != 0) {
    // One that comes again (its publisher was away) is not lost by that.
    if (item->message.sequence != message.sequence) {
      AddGap(
          GapAt(item->stream, item->message.sequence, wire::GapReason::kLatest),
          &item->before);
      ++lost->replaced;
    }
    DropPart(&item->message);
    for (const wire::Gap& gap : item->after) {
      bytes_ -= kFrameHeaderBytes;
      AddGap(gap, &item->before);
    }
    item->after.clear();
  }
  item->message = std::move(message);
  uint64_t& age = ages_.find(item->stream)->second;
  if (age == last_) return;
  Item moved = std::move(*item);
  items_.erase(age);
  age = ++last_;
  items_.emplace(age, std::move(moved));
}

void LatestQueue::PushGap(const wire::Gap& gap) {
  Item* item = ItemOf(StreamOf(gap.topic, gap.session));
  if (item->part.sequence != 0 && item->part.sequence <= gap.last) {
    DropPart(&item->part);
  }
  AddGap(gap, item->message.sequence == 0 ? &item->before : &item->after);
}

// One message, or all that cannot be dropped in front of the next.
void LatestQueue::DropOldest(Lost* lost) {
  auto first = items_.begin();
  IPC_CHECK(first != items_.end());
  Item& item = first->second;
  if (item.stream == 0) {
    told_.AddGone(item.message.bytes);
    Erase(first);
    return;
  }
  const auto tell = [this](std::vector<wire::Gap>* gaps) {
    for (const wire::Gap& gap : *gaps) told_.Add(gap);
    bytes_ -= gaps->size() * kFrameHeaderBytes;
    gaps->clear();
  };
  Part& part = item.message.sequence != 0 ? item.message : item.part;
  tell(&item.before);
  if (part.sequence != 0) {
    lost->dropped +=
        told_.Add(GapAt(item.stream, part.sequence, wire::GapReason::kDepth));
    DropPart(&part);
  }
  tell(&item.after);
  if (item.part.sequence == 0) Erase(first);
}

void LatestQueue::Clear() {
  items_.clear();
  ages_.clear();
  told_.Clear();
  bytes_ = 0;
  descriptors_ = 0;
}

Block LatestQueue::Take() {
  if (!told_.empty()) return {told_.Take()};
  Block taken;
  std::vector<std::byte>& bytes = taken.bytes;
  do {
    auto first = items_.begin();
    Item& item = first->second;
    Tell(&item.before, &bytes);
    for (Part* part : {&item.message, &item.part}) {
      if (part->descriptors != nullptr) {
        // They pass with the first byte of a block.
        if (!bytes.empty()) return taken;
        taken.descriptors = part->descriptors;
        Detach(part);
      }
      bytes.insert(bytes.end(), part->bytes.begin(), part->bytes.end());
      DropPart(part);
      if (part == &item.message) Tell(&item.after, &bytes);
    }
    Erase(first);
  } while (!items_.empty() && bytes.size() < kTakeBytes);
  return taken;
}

// Moves them behind `bytes` as frames.
void LatestQueue::Tell(std::vector<wire::Gap>* gaps,
                       std::vector<std::byte>* bytes) {
  for (const wire::Gap& gap : *gaps) {
    const size_t at = bytes->size();
    bytes->resize(at + kFrameHeaderBytes);
    wire::StoreHeader(wire::GapHeader(gap), bytes->data() + at);
  }
  bytes_ -= gaps->size() * kFrameHeaderBytes;
  gaps->clear();
}

}  // namespace ipc::broker
