// SPDX-License-Identifier: Apache-2.0
//
// Publishing: a handle on one topic.

#ifndef IPC_LIBIPC_INCLUDE_IPC_PUBLISHER_H_
#define IPC_LIBIPC_INCLUDE_IPC_PUBLISHER_H_

#include <cstddef>
#include <cstdint>
#include <limits>
#include <memory>
#include <optional>
#include <span>
#include <string_view>
#include <utility>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "google/protobuf/message_lite.h"
#include "ipc/attachments.h"
#include "ipc/export.h"

namespace ipc {

class ClientImpl;

// Publishes bytes, or any protobuf message, on one topic. Move-only; get one
// from Client::Advertise. Every call may be made from any thread and from a
// handler. It may outlive its Client: calls then return kFailedPrecondition.
//
// A publication is *accepted* when the call returns OK: it is in the client's
// log and stays there until every reliable subscription that matched it has
// consumed it, over all reconnects and broker restarts. It is lost if this
// process ends before that; Client::Flush waits for it.
class IPC_EXPORT RawPublisher {
 public:
  RawPublisher() = default;
  RawPublisher(std::shared_ptr<ClientImpl> client, uint32_t channel,
               size_t memfd_threshold);
  RawPublisher(RawPublisher&&) noexcept;
  RawPublisher& operator=(RawPublisher&&) noexcept;
  // Gives the topic back once what was accepted is acknowledged. Does not
  // block.
  ~RawPublisher();

  // Appends one message to the log; waits up to `timeout` (default:
  // ClientOptions::publish_timeout) while the window is full. Usually sends
  // nothing itself; the first message after a pause goes out in this call.
  // Errors:
  //   kInvalidArgument    larger than the message size limit (16 MiB unless
  //                       the broker says otherwise), or not serializable
  //   kDeadlineExceeded   the window stayed full; nothing was accepted
  //   kFailedPrecondition the client is gone or this handle is empty
  //   other               the broker refused the topic; its own code
  absl::Status Publish(std::span<const std::byte> payload);
  absl::Status Publish(std::span<const std::byte> payload,
                       absl::Duration timeout);
  absl::Status Publish(std::string_view payload);
  absl::Status Publish(const google::protobuf::MessageLite& message);
  absl::Status Publish(const google::protobuf::MessageLite& message,
                       absl::Duration timeout);

  // As Publish, with descriptors, which the library keeps open until the
  // message is acknowledged. 64 of them may be in the client's log; while there
  // is no room for these, it waits as for a full window. `timeout` of nothing:
  // ClientOptions::publish_timeout; of zero: it does not wait
  // (kResourceExhausted).
  absl::Status Publish(std::span<const std::byte> payload,
                       const Attachments& attachments,
                       std::optional<absl::Duration> timeout = std::nullopt);
  absl::Status Publish(std::string_view payload, const Attachments& attachments,
                       std::optional<absl::Duration> timeout = std::nullopt);
  absl::Status Publish(const google::protobuf::MessageLite& message,
                       const Attachments& attachments,
                       std::optional<absl::Duration> timeout = std::nullopt);

  // As Publish, but never waits. Errors: kResourceExhausted while the window
  // is full; nothing was accepted.
  absl::Status TryPublish(std::span<const std::byte> payload);
  absl::Status TryPublish(const google::protobuf::MessageLite& message);

  // Waits until at least `count` subscriptions match this topic. Count 0
  // returns at once. Errors: kDeadlineExceeded, kFailedPrecondition.
  absl::Status WaitForSubscribers(uint32_t count, absl::Duration timeout);
  // Subscriptions that match now, as last told by the broker.
  uint32_t subscribers() const;

  std::string_view topic() const;

 private:
  template <typename Payload>
  absl::Status Send(const Payload& payload, size_t payload_bytes,
                    const Attachments& attachments, absl::Duration timeout);
  // Whether the message's size has to be known beforehand.
  bool UsesMemfd() const {
    return memfd_threshold_ != std::numeric_limits<size_t>::max();
  }

  std::shared_ptr<ClientImpl> client_;
  uint32_t channel_ = 0;
  size_t memfd_threshold_ = std::numeric_limits<size_t>::max();
};

// Publishes messages of type T (a generated protobuf class).
template <typename T>
class Publisher {
 public:
  Publisher() = default;
  explicit Publisher(RawPublisher raw) : raw_(std::move(raw)) {}

  // See RawPublisher.
  absl::Status Publish(const T& message) { return raw_.Publish(message); }
  absl::Status Publish(const T& message, absl::Duration timeout) {
    return raw_.Publish(message, timeout);
  }
  absl::Status Publish(const T& message, const Attachments& attachments,
                       std::optional<absl::Duration> timeout = std::nullopt) {
    return raw_.Publish(message, attachments, timeout);
  }
  absl::Status TryPublish(const T& message) { return raw_.TryPublish(message); }
  absl::Status WaitForSubscribers(uint32_t count, absl::Duration timeout) {
    return raw_.WaitForSubscribers(count, timeout);
  }
  uint32_t subscribers() const { return raw_.subscribers(); }
  std::string_view topic() const { return raw_.topic(); }

 private:
  RawPublisher raw_;
};

}  // namespace ipc

#endif  // IPC_LIBIPC_INCLUDE_IPC_PUBLISHER_H_
