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

void LatestQueue::DropPart(Part* part) {
  bytes_ -= part->bytes.size();
  *part = {};
}

void LatestQueue::Erase(Items::iterator item) {
  bytes_ -= (item->second.before.size() + item->second.after.size()) *
                kFrameHeaderBytes +
            item->second.message.bytes.size() + item->second.part.bytes.size();
  if (item->second.stream != 0) ages_.erase(item->second.stream);
  items_.erase(item);
}

LatestQueue::Lost LatestQueue::Push(std::span<const std::byte> run) {
  Lost lost;
  while (!run.empty()) {
    const wire::FrameHeader header = wire::LoadHeader(run.data());
    PushFrame(header, run.first(header.size), &lost);
    run = run.subspan(header.size);
  }
  while (bytes_ > bytes_max_) DropOldest(&lost);
  return lost;
}

void LatestQueue::PushFrame(const wire::FrameHeader& header,
                            std::span<const std::byte> frame, Lost* lost) {
  const uint64_t stream = StreamOf(header.target, header.session);
  switch (header.kind) {
    case wire::FrameKind::kDeliver:
      if (header.last_fragment != 0) {
        PushFragment(header, frame, lost);
      } else {
        bytes_ += frame.size();
        Replace(ItemOf(stream), {{frame.begin(), frame.end()}, header.sequence},
                lost);
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
                               std::span<const std::byte> frame, Lost* lost) {
  const bool begins = header.fragment == 0;
  if (!begins && told_.Knows(header)) return;
  Item* item = ItemOf(StreamOf(header.target, header.session));
  // It begins anew, or its beginning has left and the rest of another has not
  // come.
  if (begins || item->part.sequence != header.sequence) DropPart(&item->part);
  item->part.sequence = header.sequence;
  Append(frame, &item->part.bytes);
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
}

std::vector<std::byte> LatestQueue::Take() {
  if (!told_.empty()) return told_.Take();
  std::vector<std::byte> taken;
  const auto tell = [&taken](const std::vector<wire::Gap>& gaps) {
    for (const wire::Gap& gap : gaps) {
      const size_t at = taken.size();
      taken.resize(at + kFrameHeaderBytes);
      wire::StoreHeader(wire::GapHeader(gap), taken.data() + at);
    }
  };
  const auto add = [&taken](const std::vector<std::byte>& bytes) {
    taken.insert(taken.end(), bytes.begin(), bytes.end());
  };
  do {
    auto first = items_.begin();
    const Item& item = first->second;
    tell(item.before);
    add(item.message.bytes);
    tell(item.after);
    add(item.part.bytes);
    Erase(first);
  } while (!items_.empty() && taken.size() < kTakeBytes);
  return taken;
}

}  // namespace ipc::broker
