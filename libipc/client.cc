// SPDX-License-Identifier: Apache-2.0
//
// The public face of the client.

#include "ipc/client.h"

#include <memory>
#include <string>
#include <utility>

#include "libipc/base/socket_path.h"
#include "libipc/base/status_macros.h"
#include "libipc/client_impl.h"
#include "libipc/net/system.h"
#include "libipc/schema.h"

namespace ipc {

std::string DefaultSocketPath() { return DefaultSocketPathOf(); }

absl::StatusOr<std::unique_ptr<Client>> Client::Connect(ClientOptions options) {
  IPC_ASSIGN_OR_RETURN(std::shared_ptr<ClientImpl> impl,
                       ClientImpl::Make(std::move(options)));
  std::unique_ptr<Client> client(new Client(impl));
  IPC_RETURN_IF_ERROR(impl->Start());
  return client;
}

Client::Client(std::shared_ptr<ClientImpl> impl) : impl_(std::move(impl)) {}

Client::~Client() { impl_->Stop(); }

absl::StatusOr<RawPublisher> Client::Advertise(
    std::string_view topic, const google::protobuf::Descriptor& type,
    const PublisherOptions& options) {
  core::ChannelType channel;
  channel.type_name = type.full_name();
  channel.retain_last = options.retain_last;
  channel.time_to_live = options.time_to_live;
  if (options.share_schema) {
    IPC_ASSIGN_OR_RETURN(channel.schema, SchemaOf(type));
    channel.schema_hash = wire::Sha256(channel.schema);
  }
  IPC_ASSIGN_OR_RETURN(uint32_t number, impl_->OpenChannel(topic, channel));
  return RawPublisher(impl_, number, options.memfd_threshold);
}

absl::StatusOr<RawPublisher> Client::AdvertiseRaw(
    std::string_view topic, const PublisherOptions& options) {
  IPC_ASSIGN_OR_RETURN(
      uint32_t number,
      impl_->OpenChannel(topic, {.retain_last = options.retain_last,
                                 .time_to_live = options.time_to_live}));
  return RawPublisher(impl_, number, options.memfd_threshold);
}

absl::StatusOr<RawSubscription> Client::SubscribeRaw(
    std::string_view pattern, MessageHandler handler,
    const SubscribeOptions& options) {
  IPC_ASSIGN_OR_RETURN(std::shared_ptr<SubscriptionImpl> subscription,
                       impl_->Subscribe(pattern, std::move(handler), options));
  return RawSubscription(impl_, std::move(subscription));
}

absl::StatusOr<RawSubscription> Client::SubscribeRaw(
    std::string_view pattern, const SubscribeOptions& options) {
  return SubscribeRaw(pattern, nullptr, options);
}

absl::Status Client::Flush(absl::Duration timeout) {
  return impl_->Flush(timeout);
}

absl::Status Client::Drain(absl::Duration timeout) {
  // A handler may destroy this object.
  std::shared_ptr<ClientImpl> impl = impl_;
  return impl->Drain(timeout);
}

bool Client::connected() const { return impl_->connected(); }

ClientStats Client::stats() const { return impl_->stats(); }

absl::StatusOr<BrokerInfo> Client::broker() const { return impl_->broker(); }

absl::StatusOr<absl::Duration> Client::Ping(absl::Duration timeout) {
  MonotonicTime before = net::Now();
  absl::StatusOr<std::string> answer =
      impl_->Call(wire::FrameKind::kPing, "", wire::FrameKind::kPong, timeout);
  if (!answer.ok()) return answer.status();
  return net::Now() - before;
}

absl::StatusOr<std::vector<TopicInfo>> Client::ListTopics(
    absl::Duration timeout) {
  std::vector<TopicInfo> topics;
  wire::ListTopics request;
  wire::Topics page;
  do {
    IPC_ASSIGN_OR_RETURN(
        std::string payload,
        impl_->Call(wire::FrameKind::kListTopics, wire::Encode(request),
                    wire::FrameKind::kTopics, timeout));
    page = {};
    if (!wire::Parse(payload, &page)) {
      return absl::DataLossError("the broker's list of topics is invalid");
    }
    for (const wire::Topics::Topic& from : page.topics) {
      topics.push_back({.topic = from.topic,
                        .type_name = from.type_name,
                        .publishers = from.publishers,
                        .subscriptions = from.subscriptions,
                        .messages = from.messages,
                        .bytes = from.bytes});
      request.after = from.topic;
    }
  } while (page.more && !page.topics.empty());
  return topics;
}

absl::StatusOr<std::vector<ClientInfo>> Client::ListClients(
    absl::Duration timeout) {
  std::vector<ClientInfo> clients;
  wire::ListClients request;
  wire::Clients page;
  do {
    IPC_ASSIGN_OR_RETURN(
        std::string payload,
        impl_->Call(wire::FrameKind::kListClients, wire::Encode(request),
                    wire::FrameKind::kClients, timeout));
    page = {};
    if (!wire::Parse(payload, &page)) {
      return absl::DataLossError("the broker's list of clients is invalid");
    }
    for (const wire::Clients::Client& from : page.clients) {
      ClientInfo& client = clients.emplace_back();
      client = {.name = from.name,
                .session = ToHex(from.session.token),
                .pid = from.session.pid,
                .uid = from.session.uid,
                .gid = from.gid,
                .connected = from.connected,
                .publications = from.publications,
                .subscriptions = from.subscriptions,
                .messages_in = from.messages_in,
                .messages_out = from.messages_out,
                .queued_bytes = from.queued_bytes,
                .dropped = from.dropped,
                .slow = {}};
      for (const wire::Clients::Slow& slow : from.slow) {
        client.slow.push_back({.pattern = slow.pattern,
                               .messages = slow.messages,
                               .idle = slow.idle,
                               .set_aside = slow.set_aside});
      }
      request.after = from.session_number;
    }
  } while (page.more && !page.clients.empty());
  return clients;
}

absl::StatusOr<std::string> Client::FetchSchema(std::string_view hash,
                                                absl::Duration timeout) {
  if (hash.size() != wire::kSha256Bytes) {
    return absl::InvalidArgumentError("a schema's hash has 32 bytes");
  }
  IPC_ASSIGN_OR_RETURN(
      std::string payload,
      impl_->Call(wire::FrameKind::kGetSchema,
                  wire::Encode(wire::GetSchema{std::string(hash)}),
                  wire::FrameKind::kSchema, timeout));
  wire::Schema schema;
  if (!wire::Parse(payload, &schema)) {
    return absl::DataLossError("the broker's descriptors are invalid");
  }
  return std::move(schema.file_descriptor_set);
}

int Client::fd() const { return impl_->fd(); }

absl::Time Client::NextDeadline() const {
  MonotonicTime deadline = impl_->NextDeadline();
  if (deadline.IsNever()) return absl::InfiniteFuture();
  return absl::Now() + (deadline - net::Now());
}

absl::Status Client::Process() {
  // A handler may destroy this object.
  std::shared_ptr<ClientImpl> impl = impl_;
  return impl->Process();
}

void Client::TellBadPayload(ClientImpl* impl, const Message& message) {
  impl->TellBadPayload(message);
}

}  // namespace ipc
