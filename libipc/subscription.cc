// SPDX-License-Identifier: Apache-2.0
//
// The public face of subscribing.

#include "ipc/subscription.h"

#include "libipc/client_impl.h"

namespace ipc {

RawSubscription::RawSubscription(std::shared_ptr<ClientImpl> client,
                                 std::shared_ptr<SubscriptionImpl> impl)
    : client_(std::move(client)), impl_(std::move(impl)) {}

RawSubscription::RawSubscription(RawSubscription&&) noexcept = default;

RawSubscription& RawSubscription::operator=(RawSubscription&& other) noexcept {
  std::swap(client_, other.client_);
  std::swap(impl_, other.impl_);
  return *this;
}

RawSubscription::~RawSubscription() {
  if (impl_ != nullptr) client_->Unsubscribe(impl_);
}

absl::StatusOr<Message> RawSubscription::Next(absl::Duration timeout) {
  if (impl_ == nullptr) {
    return absl::FailedPreconditionError("this subscription handle is empty");
  }
  return client_->Next(impl_, timeout);
}

std::string_view RawSubscription::pattern() const {
  return impl_ == nullptr ? std::string_view() : impl_->pattern;
}

}  // namespace ipc
