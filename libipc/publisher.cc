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

RawPublisher::RawPublisher(std::shared_ptr<ClientImpl> client, uint32_t channel)
    : client_(std::move(client)), channel_(channel) {}

RawPublisher::RawPublisher(RawPublisher&&) noexcept = default;

RawPublisher& RawPublisher::operator=(RawPublisher&& other) noexcept {
  std::swap(client_, other.client_);
  std::swap(channel_, other.channel_);
  return *this;
}

RawPublisher::~RawPublisher() {
  if (client_ != nullptr) client_->ReleaseChannel(channel_);
}

absl::Status RawPublisher::Publish(std::span<const std::byte> payload) {
  if (client_ == nullptr) return Empty();
  return client_->Publish(channel_, payload, client_->publish_timeout());
}

absl::Status RawPublisher::Publish(std::span<const std::byte> payload,
                                   absl::Duration timeout) {
  if (client_ == nullptr) return Empty();
  return client_->Publish(channel_, payload, timeout);
}

absl::Status RawPublisher::Publish(std::string_view payload) {
  return Publish(Bytes(payload));
}

absl::Status RawPublisher::Publish(
    const google::protobuf::MessageLite& message) {
  if (client_ == nullptr) return Empty();
  return client_->Publish(channel_, message, client_->publish_timeout());
}

absl::Status RawPublisher::Publish(const google::protobuf::MessageLite& message,
                                   absl::Duration timeout) {
  if (client_ == nullptr) return Empty();
  return client_->Publish(channel_, message, timeout);
}

absl::Status RawPublisher::Publish(std::span<const std::byte> payload,
                                   const Attachments& attachments,
                                   std::optional<absl::Duration> timeout) {
  if (client_ == nullptr) return Empty();
  return client_->Publish(channel_, payload,
                          timeout.value_or(client_->publish_timeout()),
                          attachments.shared());
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
  return client_->Publish(channel_, message,
                          timeout.value_or(client_->publish_timeout()),
                          attachments.shared());
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
