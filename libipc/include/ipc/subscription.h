// SPDX-License-Identifier: Apache-2.0
//
// Subscribing: a handle on one pattern.

#ifndef IPC_LIBIPC_INCLUDE_IPC_SUBSCRIPTION_H_
#define IPC_LIBIPC_INCLUDE_IPC_SUBSCRIPTION_H_

#include <functional>
#include <memory>
#include <string_view>
#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "ipc/export.h"
#include "ipc/message.h"

namespace ipc {

class ClientImpl;
class SubscriptionImpl;

// Runs on the client's I/O thread (or in Process()), one message at a time,
// and may call anything, the destructor of its own subscription included. The
// message is consumed when the handler returns, unless the subscription
// acknowledges by hand. A slow handler holds up the other subscriptions of its
// client.
using MessageHandler = std::function<void(const Message&)>;

// A subscription lives as long as this handle. Move-only. After the
// destructor returns, the handler is not running and will not run again,
// unless it is the handler itself that destroys the handle.
class IPC_EXPORT RawSubscription {
 public:
  RawSubscription() = default;
  RawSubscription(std::shared_ptr<ClientImpl> client,
                  std::shared_ptr<SubscriptionImpl> impl);
  RawSubscription(RawSubscription&&) noexcept;
  RawSubscription& operator=(RawSubscription&&) noexcept;
  ~RawSubscription();

  // The pull form: the next message, waiting up to `timeout` for it. The
  // message is consumed when this returns, unless the subscription
  // acknowledges by hand. From any thread, also several; in a handler or with a
  // manual loop it does the client's I/O while it waits. Errors:
  // kDeadlineExceeded; kFailedPrecondition if the subscription has a handler,
  // the handle is empty or the client is gone; otherwise the broker's refusal.
  absl::StatusOr<Message> Next(absl::Duration timeout);

  std::string_view pattern() const;

 private:
  std::shared_ptr<ClientImpl> client_;
  std::shared_ptr<SubscriptionImpl> impl_;
};

// A message and its parsed content.
template <typename T>
struct Received {
  T value;
  Message message;
};

// The typed pull form. A payload that T cannot parse is consumed and returned
// as kDataLoss.
template <typename T>
class Subscription {
 public:
  Subscription() = default;
  explicit Subscription(RawSubscription raw) : raw_(std::move(raw)) {}

  // See RawSubscription::Next. Errors: also kDataLoss.
  absl::StatusOr<Received<T>> Next(absl::Duration timeout) {
    absl::StatusOr<Message> message = raw_.Next(timeout);
    if (!message.ok()) return message.status();
    Received<T> received;
    received.message = *std::move(message);
    if (!received.value.ParseFromArray(
            received.message.payload().data(),
            static_cast<int>(received.message.payload().size()))) {
      // The program never sees it.
      received.message.Acknowledge().IgnoreError();
      return absl::DataLossError("payload is not a valid message of its type");
    }
    return received;
  }
  std::string_view pattern() const { return raw_.pattern(); }

 private:
  RawSubscription raw_;
};

}  // namespace ipc

#endif  // IPC_LIBIPC_INCLUDE_IPC_SUBSCRIPTION_H_
