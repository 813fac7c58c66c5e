// SPDX-License-Identifier: Apache-2.0
//
// The public face of publishing.

#include "ipc/publisher.h"

#include "libipc/client_impl.h"

namespace ipc {
namespace {

absl::Status Empty() {
  return absl::FailedPreconditionError("this publisher handle is empty");
}

std::span<const std::byte> Bytes(std::string_view text) {
  return std::as_bytes(std::span(text.data(), text.size()));
}

}  // namespace

RawPublisher::RawPublisher(std::shared_ptr<ClientImpl> client, uint32_t channel,
                           size_t memfd_threshold)
    : client_(std::move(client)),
      channel_(channel),
      memfd_threshold_(memfd_threshold) {}

RawPublisher::RawPublisher(RawPublisher&&) noexcept = default;

RawPublisher& RawPublisher::operator=(RawPublisher&& other) noexcept {
  std::swap(client_, other.client_);
  std::swap(channel_, other.channel_);
  std::swap(memfd_threshold_, other.memfd_threshold_);
  return *this;
}

RawPublisher::~RawPublisher() {
  if (client_ != nullptr) client_->ReleaseChannel(channel_);
}

template <typename Payload>
absl::Status RawPublisher::Send(const Payload& payload, size_t payload_bytes,
                                const Attachments& attachments,
                                absl::Duration timeout) {
  if (payload_bytes >= memfd_threshold_ && payload_bytes > 0) [[unlikely]] {
    return client_->PublishMemfd(channel_, payload, timeout,
                                 attachments.shared());
  }
  return client_->Publish(channel_, payload, timeout, attachments.shared());
}

absl::Status RawPublisher::Publish(std::span<const std::byte> payload) {
  return Publish(payload, Attachments());
}

absl::Status RawPublisher::Publish(std::span<const std::byte> payload,
                                   absl::Duration timeout) {
  return Publish(payload, Attachments(), timeout);
}

absl::Status RawPublisher::Publish(std::string_view payload) {
  return Publish(Bytes(payload));
}

absl::Status RawPublisher::Publish(
    const google::protobuf::MessageLite& message) {
  return Publish(message, Attachments());
}

absl::Status RawPublisher::Publish(const google::protobuf::MessageLite& message,
                                   absl::Duration timeout) {
  return Publish(message, Attachments(), timeout);
}

absl::Status RawPublisher::Publish(std::span<const std::byte> payload,
                                   const Attachments& attachments,
                                   std::optional<absl::Duration> timeout) {
  if (client_ == nullptr) return Empty();
  return Send(payload, payload.size(), attachments,
              timeout.value_or(client_->publish_timeout()));
}

absl::Status RawPublisher::Publish(std::string_view payload,
                                   const Attachments& attachments,
                                   std::optional<absl::Duration> timeout) {
  return Publish(Bytes(payload), attachments, timeout);
}

absl::Status RawPublisher::Publish(const google::protobuf::MessageLite& message,
                                   const Attachments& attachments,
                                   std::optional<absl::Duration> timeout) {
  if (client_ == nullptr) return Empty();
  return Send(message, UsesMemfd() ? message.ByteSizeLong() : 0, attachments,
              timeout.value_or(client_->publish_timeout()));
}

absl::Status RawPublisher::TryPublish(std::span<const std::byte> payload) {
  return Publish(payload, absl::ZeroDuration());
}

absl::Status RawPublisher::TryPublish(
    const google::protobuf::MessageLite& message) {
  return Publish(message, absl::ZeroDuration());
}

absl::Status RawPublisher::WaitForSubscribers(uint32_t count,
                                              absl::Duration timeout) {
  if (client_ == nullptr) return Empty();
  return client_->WaitForSubscribers(channel_, count, timeout);
}

uint32_t RawPublisher::subscribers() const {
  return client_ == nullptr ? 0 : client_->subscribers(channel_);
}

std::string_view RawPublisher::topic() const {
  return client_ == nullptr ? std::string_view() : client_->topic(channel_);
}

}  // namespace ipc
