// SPDX-License-Identifier: Apache-2.0
//
// Duplicates, holes, fragments and acknowledgements.

#include "libipc/core/receiving.h"

#include <algorithm>

#include "libipc/base/limits.h"

namespace ipc::core {

Receiving::Subscription* Receiving::Add(wire::Subscribe request) {
  SubscriptionId id{++last_id_};
  auto made = std::make_unique<Subscription>();
  made->id = id;
  made->request = std::move(request);
  made->request.subscription = id;
  return subscriptions_.emplace(id, std::move(made)).first->second.get();
}

void Receiving::Remove(SubscriptionId id) {
  auto found = subscriptions_.find(id);
  if (found == subscriptions_.end()) return;
  if (selected_ == found->second.get()) selected_ = nullptr;
  cached_stream_ = nullptr;
  subscriptions_.erase(found);
}

Receiving::Subscription* Receiving::Find(SubscriptionId id) {
  auto found = subscriptions_.find(id);
  return found == subscriptions_.end() ? nullptr : found->second.get();
}

void Receiving::AppendSubscribe(Subscription* subscription,
                                std::string* control) {
  wire::Subscribe request = subscription->request;
  request.resume = subscription->confirmed;
  for (const auto& [key, stream] : subscription->streams) {
    if (request.positions.size() == kPositionsPerSubscriptionMax) break;
    // Nothing whole has come: it is entitled to what its publisher knows.
    if (stream->received == 0) continue;
    request.positions.push_back(
        {.session = key.first,
         .channel = key.second,
         .sequence = stream->consumed,
         .received = subscription->grouped() ? stream->received : 0});
  }
  wire::AppendControl(request, ToNumber(subscription->id), control);
}

void Receiving::OnSelect(SubscriptionId id) {
  selected_ = Find(id);
  cached_stream_ = nullptr;
}

void Receiving::OnDisconnected() {
  selected_ = nullptr;
  cached_stream_ = nullptr;
  announced_.clear();
  sessions_.clear();
  acknowledge_at_ = MonotonicTime::Never();
  for (auto& [id, subscription] : subscriptions_) {
    subscription->by_wire.clear();
    subscription->to_acknowledge.clear();
    for (auto& [key, stream] : subscription->streams) {
      stream->Unlist();
      stream->on_wire = false;
      DropAssembly(stream.get());
    }
  }
}

void Receiving::OnNewSession() {
  for (auto& [id, subscription] : subscriptions_) {
    if (subscription->grouped()) subscription->streams.clear();
  }
}

void Receiving::OnAnnounce(wire::Announce announce) {
  sessions_[announce.session_number] = announce.session;
  if (announce.topic_id == TopicId{0}) return;
  uint64_t key =
      WireKey(ToNumber(announce.topic_id), ToNumber(announce.session_number));
  auto& known = announced_[key];
  if (known != nullptr && *known == announce) return;
  bool changed = known != nullptr;
  known = std::make_shared<const wire::Announce>(std::move(announce));
  if (changed) Rename(key);
  Resume(key, known);
}

// A group gets nothing a second time: what it has of an earlier connection is
// acknowledged from here on.
void Receiving::Resume(uint64_t key,
                       const std::shared_ptr<const wire::Announce>& source) {
  for (auto& [id, subscription] : subscriptions_) {
    if (!subscription->grouped()) continue;
    auto found = subscription->streams.find({source->session, source->channel});
    if (found == subscription->streams.end() || found->second->on_wire) {
      continue;
    }
    Bind(source, found->second.get());
    subscription->by_wire[key] = found->second.get();
    List(subscription.get(), found->second, MonotonicTime());
  }
}

void Receiving::Bind(const std::shared_ptr<const wire::Announce>& source,
                     Stream* stream) {
  stream->source = source;
  stream->shell = nullptr;
  stream->on_wire = true;
}

// The publisher has opened the topic anew, with another type or channel.
void Receiving::Rename(uint64_t key) {
  cached_stream_ = nullptr;
  for (auto& [id, subscription] : subscriptions_) {
    auto stream = subscription->by_wire.find(key);
    if (stream == subscription->by_wire.end()) continue;
    stream->second->on_wire = false;
    stream->second->Unlist();
    std::erase_if(subscription->to_acknowledge,
                  [&](const std::shared_ptr<Stream>& listed) {
                    return listed.get() == stream->second;
                  });
    subscription->by_wire.erase(stream);
  }
}

Stream* Receiving::StreamOf(const wire::FrameHeader& header) {
  uint64_t key = WireKey(header.target, header.session);
  if (cached_stream_ != nullptr && key == cached_wire_) return cached_stream_;
  Stream*& stream = selected_->by_wire[key];
  if (stream == nullptr) {
    auto announced = announced_.find(key);
    if (announced == announced_.end()) {
      selected_->by_wire.erase(key);
      return nullptr;
    }
    const wire::Announce& source = *announced->second;
    std::shared_ptr<Stream>& owned =
        selected_->streams[{source.session, source.channel}];
    if (owned == nullptr) {
      owned = std::make_shared<Stream>();
      if (!selected_->reliable()) {
        owned->acknowledge_at_bytes = Stream::kNotCounted;
      }
    }
    Bind(announced->second, owned.get());
    stream = owned.get();
  }
  cached_wire_ = key;
  cached_stream_ = stream;
  cached_owner_ =
      selected_->streams.at({stream->source->session, stream->source->channel});
  return stream;
}

std::optional<Delivery> Receiving::OnOtherDeliver(const wire::Frame& frame,
                                                  MonotonicTime now) {
  const wire::FrameHeader& header = frame.header;
  if (selected_ == nullptr) return std::nullopt;
  Stream* stream = StreamOf(header);
  if (stream == nullptr) return std::nullopt;
  const bool grouped = selected_->grouped();
  if (header.sequence <= stream->received && !grouped) [[unlikely]] {
    if (header.fragment == header.last_fragment) ++duplicates_;
    // Our acknowledgement was lost with a connection.
    if (selected_->reliable()) List(selected_, cached_owner_, now);
    return std::nullopt;
  }
  std::span<const std::byte> payload = frame.payload();
  if (header.last_fragment != 0) [[unlikely]] {
    payload = Assemble(stream, frame);
    if (payload.empty()) return std::nullopt;
  }
  Delivery delivery{.stream = stream,
                    .sequence = header.sequence,
                    .time_ns = header.time,
                    .payload = payload,
                    .first_missing = 0,
                    .has_descriptors = header.last_fragment == 0
                                           ? header.descriptors != 0
                                           : assembled_ != nullptr};
  if (header.sequence != stream->received + 1 && stream->received != 0 &&
      !grouped) {
    delivery.first_missing = stream->received + 1;
  }
  stream->received = header.sequence;
  return delivery;
}

bool Receiving::IsNextFragment(Stream* stream,
                               const wire::FrameHeader& header) {
  if (header.fragment == 0) {
    if (stream->assembly == nullptr) {
      stream->assembly = std::make_shared<Assembly>();
    }
    stream->assembly->Clear();
    stream->assembly_sequence = header.sequence;
    stream->next_fragment = 0;
  }
  // Else the rest of something whose beginning we did not get.
  return header.sequence == stream->assembly_sequence &&
         header.fragment == stream->next_fragment;
}

std::shared_ptr<Assembly> Receiving::AssemblyFor(
    const wire::FrameHeader& header) {
  if (header.kind != wire::FrameKind::kDeliver || header.last_fragment == 0 ||
      header.extension != 0 || header.descriptors != 0 ||
      selected_ == nullptr) {
    return nullptr;
  }
  Stream* stream = StreamOf(header);
  if (stream == nullptr ||
      (header.sequence <= stream->received && !selected_->grouped()) ||
      !IsNextFragment(stream, header)) {
    return nullptr;
  }
  return stream->assembly;
}

// The whole payload behind the last fragment; empty before it.
std::span<const std::byte> Receiving::Assemble(Stream* stream,
                                               const wire::Frame& frame) {
  const wire::FrameHeader& header = frame.header;
  if (!IsNextFragment(stream, header)) return {};
  if (header.fragment == 0) stream->assembly_descriptors = frame.descriptors;
  ++stream->next_fragment;
  stream->assembly->Append(frame.payload());
  if (header.fragment != header.last_fragment) return {};
  stream->next_fragment = 0;
  stream->assembly_sequence = 0;
  assembled_ = std::move(stream->assembly_descriptors);
  return stream->assembly->bytes();
}

void Receiving::OnAbort(const wire::FrameHeader& header) {
  if (selected_ == nullptr) return;
  Stream* stream = StreamOf(header);
  if (stream == nullptr || stream->assembly_sequence != header.sequence) {
    return;
  }
  DropAssembly(stream);
}

void Receiving::DropAssembly(Stream* stream) {
  stream->assembly = nullptr;
  stream->assembly_descriptors = nullptr;
  stream->assembly_sequence = 0;
  stream->next_fragment = 0;
}

std::optional<Missed> Receiving::OnGap(const wire::FrameHeader& header,
                                       MonotonicTime now) {
  wire::Gap gap;
  if (selected_ == nullptr || !wire::ParseGap(header, &gap)) {
    return std::nullopt;
  }
  Stream* stream = StreamOf(header);
  if (stream == nullptr) return std::nullopt;
  if (selected_->grouped()) {
    // Its group's: neither received nor to be acknowledged by it.
    return Missed{.stream = stream,
                  .first = gap.first,
                  .last = gap.last,
                  .reason = gap.reason,
                  .first_missing = 0};
  }
  if (gap.last <= stream->received) {
    if (selected_->reliable()) List(selected_, cached_owner_, now);
    return std::nullopt;
  }
  const uint64_t next = stream->received + 1;
  Missed missed{.stream = stream,
                .first = std::max(gap.first, next),
                .last = gap.last,
                .reason = gap.reason,
                .first_missing = 0};
  if (missed.first != next && stream->received != 0) {
    missed.first_missing = next;
  }
  if (stream->assembly_sequence <= gap.last) {
    DropAssembly(stream);
  }
  if (!stream->missing.empty() &&
      stream->missing.back().last == stream->received) {
    stream->missing.back().last = gap.last;
  } else {
    stream->missing.push_back({stream->received, gap.last});
  }
  stream->received = gap.last;
  PassMissing(stream);
  if (selected_->reliable() && stream->missing.empty()) {
    List(selected_, cached_owner_, now);
  }
  return missed;
}

void Receiving::PassMissing(Stream* stream) {
  auto next = stream->missing.begin();
  while (next != stream->missing.end() && next->behind <= stream->consumed) {
    stream->consumed = std::max(stream->consumed, next->last);
    ++next;
  }
  stream->missing.erase(stream->missing.begin(), next);
}

void Receiving::OnGone(SessionNumber session) {
  auto key = sessions_.find(session);
  if (selected_ == nullptr || key == sessions_.end()) return;
  cached_stream_ = nullptr;
  auto& streams = selected_->streams;
  auto first = streams.lower_bound({key->second, ChannelNumber{0}});
  while (first != streams.end() && first->first.first == key->second) {
    Stream* stream = first->second.get();
    absl::erase_if(selected_->by_wire, [stream](const auto& entry) {
      return entry.second == stream;
    });
    std::erase(selected_->to_acknowledge, first->second);
    stream->on_wire = false;
    first = streams.erase(first);
  }
}

void Receiving::OnConsumed(Subscription* subscription,
                           const std::shared_ptr<Stream>& stream,
                           uint64_t sequence, size_t bytes, MonotonicTime now) {
  stream->consumed =
      subscription->grouped() ? sequence : std::max(stream->consumed, sequence);
  if (!stream->missing.empty()) PassMissing(stream.get());
  if (!subscription->reliable()) return;
  stream->unacknowledged_bytes += bytes + kFrameHeaderBytes;
  List(subscription, stream, now);
}

void Receiving::OnMuchConsumed(Stream* stream, MonotonicTime now) {
  // The handler may have given the subscription up or seen the connection go.
  if (stream == cached_stream_) List(selected_, cached_owner_, now);
}

void Receiving::OnHandedOver(const Delivery& delivery) {
  delivery.stream->handed_over.push_back(
      {.sequence = delivery.sequence, .bytes = delivery.payload.size()});
}

void Receiving::OnAcknowledged(Subscription* subscription,
                               const std::shared_ptr<Stream>& stream,
                               uint64_t sequence, MonotonicTime now) {
  std::deque<Stream::HandedOver>& handed_over = stream->handed_over;
  // In the order in which they came, which need not be that of the sequences.
  auto found = subscription->grouped()
                   ? std::find_if(handed_over.begin(), handed_over.end(),
                                  [sequence](const Stream::HandedOver& item) {
                                    return item.sequence == sequence;
                                  })
                   : std::lower_bound(
                         handed_over.begin(), handed_over.end(), sequence,
                         [](const Stream::HandedOver& item, uint64_t wanted) {
                           return item.sequence < wanted;
                         });
  // Else it is acknowledged already.
  if (found != handed_over.end() && found->sequence == sequence) {
    found->acknowledged = true;
  }
  while (!handed_over.empty() && handed_over.front().acknowledged) {
    OnConsumed(subscription, stream, handed_over.front().sequence,
               handed_over.front().bytes, now);
    handed_over.pop_front();
  }
}

void Receiving::List(Subscription* subscription,
                     const std::shared_ptr<Stream>& stream, MonotonicTime now) {
  if (!stream->on_wire) return;
  if (stream->acknowledge_at_bytes == Stream::kUnlisted) {
    stream->acknowledge_at_bytes =
        std::max<uint64_t>(stream->source->ack_bytes, 1);
    subscription->to_acknowledge.push_back(stream);
    acknowledge_at_ = std::min(acknowledge_at_, now + kAcknowledgeDelay);
  }
  if (stream->unacknowledged_bytes >= stream->acknowledge_at_bytes) {
    acknowledge_at_ = now;
  }
}

void Receiving::AppendAcks(std::string* control) {
  acknowledge_at_ = MonotonicTime::Never();
  for (auto& [id, subscription] : subscriptions_) {
    if (subscription->to_acknowledge.empty()) continue;
    wire::AppendFrame(
        {.kind = wire::FrameKind::kSelect, .target = ToNumber(id)}, "",
        control);
    for (const std::shared_ptr<Stream>& stream : subscription->to_acknowledge) {
      stream->Unlist();
      wire::AppendFrame({.kind = wire::FrameKind::kAck,
                         .target = ToNumber(stream->source->topic_id),
                         .session = ToNumber(stream->source->session_number),
                         .sequence = stream->consumed},
                        "", control);
    }
    subscription->to_acknowledge.clear();
  }
}

}  // namespace ipc::core
