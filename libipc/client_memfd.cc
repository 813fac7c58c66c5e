// SPDX-License-Identifier: Apache-2.0
//
// Messages whose payload is in a memfd. The broker passes the file on and does
// not look into it, so whoever takes the message has to. What is not as it must
// be is passed over, told as missing and as refused, and counts as consumed: it
// will not be better the next time.

#include <memory>
#include <optional>
#include <utility>

#include "absl/strings/str_cat.h"
#include "libipc/client_impl.h"
#include "libipc/net/descriptors.h"

namespace ipc {

absl::Status ClientImpl::TakeMemfd(const wire::Frame& frame,
                                   net::Mapping* mapping,
                                   Attachments* attachments) const {
  // CheckHeader has seen to it that these are there.
  if (frame.descriptors == nullptr) {
    return absl::DataLossError("its payload was not passed with it");
  }
  const uint64_t bytes = wire::MemfdBytes(frame);
  const uint64_t bytes_max = session_.welcome().message_bytes_max;
  if (bytes > bytes_max) {
    return absl::DataLossError(absl::StrCat(
        "its payload has ", bytes, " bytes; the limit is ", bytes_max));
  }
  auto mapped = net::MapSealed(frame.descriptors->front(), bytes);
  if (!mapped.ok()) return mapped.status();
  absl::StatusOr<Descriptors> others = net::Behind(frame.descriptors);
  if (!others.ok()) return others.status();
  *mapping = *std::move(mapped);
  *attachments = Attachments(*std::move(others));
  return absl::OkStatus();
}

// Always set aside: what owns its payload may wait.
void ClientImpl::DeliverMemfd(const wire::Frame& frame) {
  if (current_ == nullptr) return;
  net::Mapping mapping;
  Attachments attachments;
  absl::Status status = TakeMemfd(frame, &mapping, &attachments);
  if (!status.ok()) {
    PassUnreadable(frame, status);
    return;
  }
  core::Receiving& receiving = session_.receiving();
  std::optional<core::Delivery> delivery = receiving.OnDeliver(frame, now_);
  if (!delivery.has_value()) return;
  ++received_;
  delivery->payload = mapping.bytes;
  if (current_->manual()) receiving.OnHandedOver(*delivery);
  std::unique_ptr<Event> gap;
  if (delivery->first_missing != 0) {
    gap = GapOf(delivery->stream, delivery->first_missing,
                delivery->sequence - 1, wire::GapReason::kUnspecified);
  }
  Message message = MessageOf(*delivery);
  message.SetOwner(std::move(mapping.owner));
  message.SetAttachments(std::move(attachments));
  SetAside(std::move(message), receiving.last_stream(), std::move(gap));
}

void ClientImpl::PassUnreadable(const wire::Frame& frame,
                                const absl::Status& status) {
  core::Receiving& receiving = session_.receiving();
  core::Receiving::Subscription* subscription = receiving.selected();
  const wire::FrameHeader& header = frame.header;
  if (subscription == nullptr) return;
  if (subscription->grouped()) {
    // A member acknowledges what it was sent, and a gap is not.
    std::optional<core::Delivery> delivery = receiving.OnDeliver(frame, now_);
    if (!delivery.has_value()) return;
    receiving.OnConsumed(subscription, receiving.last_stream(), header.sequence,
                         0, now_);
  }
  OnGap(wire::GapHeader({.topic = header.target,
                         .session = header.session,
                         .first = header.sequence,
                         .last = header.sequence}));
  Event event;
  event.kind = Event::Kind::kRefused;
  event.name = current_->pattern;
  event.status = absl::DataLossError(
      absl::StrCat("message ", header.sequence, ": ", status.message()));
  events_.push_back(std::move(event));
}

}  // namespace ipc
