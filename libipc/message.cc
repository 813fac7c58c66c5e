// SPDX-License-Identifier: Apache-2.0
//
// Copies, ages and acknowledgements of messages.

#include "ipc/message.h"

#include "absl/strings/str_cat.h"
#include "libipc/base/status_macros.h"
#include "libipc/client_impl.h"
#include "libipc/net/descriptors.h"
#include "libipc/net/system.h"

namespace ipc {

const Source& Message::source() const {
  static const Source* const kNone = new Source();
  return source_ == nullptr ? *kNone : *source_;
}

absl::Duration Message::Age() const {
  return net::Now() - MonotonicTime::FromNanoseconds(publish_time_ns_);
}

absl::Status AckToken::Acknowledge() const {
  if (origin_ == nullptr) {
    return absl::InvalidArgumentError(
        "no subscription has handed this message over");
  }
  std::shared_ptr<ClientImpl> client = origin_->client.lock();
  std::shared_ptr<SubscriptionImpl> subscription = origin_->subscription.lock();
  if (client == nullptr || subscription == nullptr) {
    return absl::FailedPreconditionError("the subscription has ended");
  }
  if (!subscription->manual()) {
    return absl::FailedPreconditionError(
        "the subscription acknowledges automatically");
  }
  std::shared_ptr<core::Stream> stream = origin_->stream.lock();
  // Its publisher is gone: nobody waits for the acknowledgement.
  if (stream == nullptr) return absl::OkStatus();
  return client->Acknowledge(subscription, std::move(stream), sequence_);
}

absl::StatusOr<int> Message::TakeFd(size_t index) const {
  if (index >= fds().size()) {
    return absl::InvalidArgumentError(
        absl::StrCat("descriptor ", index, " of ", fds().size(),
                     "; the first is descriptor 0"));
  }
  IPC_ASSIGN_OR_RETURN(net::Fd taken, net::Duplicate(fds()[index]));
  return taken.Release();
}

Message Message::Clone() const {
  Message copy = *this;
  if (owner_ != nullptr) return copy;  // shares it
  auto owned = std::make_shared<const std::string>(text());
  copy.payload_ = std::as_bytes(std::span(*owned));
  copy.owner_ = std::move(owned);
  return copy;
}

}  // namespace ipc
