// SPDX-License-Identifier: Apache-2.0
//
// Copies and ages of messages.

#include "ipc/message.h"

#include "absl/base/attributes.h"
#include "libipc/net/system.h"

namespace ipc {

const Source& Message::source() const {
  static const Source* const kNone = new Source();
  return source_ == nullptr ? *kNone : *source_;
}

absl::Duration Message::Age() const {
  return net::Now() - MonotonicTime::FromNanoseconds(publish_time_ns_);
}

Message Message::Clone() const {
  Message copy = *this;
  copy.owned_ = std::make_shared<const std::string>(text());
  copy.payload_ = std::as_bytes(std::span(*copy.owned_));
  return copy;
}

}  // namespace ipc
