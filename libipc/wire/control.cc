// SPDX-License-Identifier: Apache-2.0
//
// Where control messages meet protobuf; those for operators do in
// control_status.cc.

#include "libipc/wire/control.h"

#include "ipc/v1/control.pb.h"
#include "libipc/wire/control_proto.h"
#include "libipc/wire/sha256.h"

namespace ipc::wire {
namespace {

namespace pb = ::ipc::v1;

bool IsHashOrEmpty(std::string_view hash) {
  return hash.empty() || hash.size() == kSha256Bytes;
}

void SetReader(const Reader& reader, pb::Reader* proto) {
  SetKey(reader.session, proto);
  proto->set_subscription(ToNumber(reader.subscription));
  proto->set_reader(ToNumber(reader.reader));
  proto->set_from(reader.from);
}

bool GetReader(const pb::Reader& proto, Reader* reader) {
  reader->subscription = SubscriptionId{proto.subscription()};
  reader->reader = ReaderId{proto.reader()};
  reader->from = proto.from();
  return GetKey(proto, &reader->session) && proto.subscription() != 0;
}

template <typename Readers>
bool GetReaders(const Readers& protos, std::vector<Reader>* readers) {
  readers->resize(static_cast<size_t>(protos.size()));
  for (int i = 0; i < protos.size(); ++i) {
    if (!GetReader(protos[i], &(*readers)[static_cast<size_t>(i)])) {
      return false;
    }
  }
  return true;
}

}  // namespace

std::string_view CloseReasonName(CloseReason reason) {
  switch (reason) {
    case CloseReason::kUnspecified:
      return "unspecified";
    case CloseReason::kDone:
      return "done";
    case CloseReason::kShutdown:
      return "shutdown";
    case CloseReason::kMalformed:
      return "malformed";
    case CloseReason::kViolation:
      return "violation";
    case CloseReason::kVersion:
      return "version";
    case CloseReason::kNotAllowed:
      return "not-allowed";
    case CloseReason::kLimit:
      return "limit";
    case CloseReason::kHandshakeTimeout:
      return "handshake-timeout";
    case CloseReason::kNotReading:
      return "not-reading";
    case CloseReason::kSuperseded:
      return "superseded";
    case CloseReason::kLost:
      return "lost";
    case CloseReason::kInternal:
      return "internal";
  }
  return "unspecified";
}

std::string Encode(const Hello& message) {
  pb::Hello proto;
  proto.set_version_min(message.version_min);
  proto.set_version_max(message.version_max);
  proto.set_token(ToBytes(message.token));
  proto.set_name(message.name);
  proto.set_features(message.features);
  proto.set_window_bytes(message.window_bytes);
  if (!message.previous_instance.IsZero()) {
    proto.set_previous_instance(ToBytes(message.previous_instance));
  }
  return proto.SerializeAsString();
}

bool Parse(std::string_view payload, Hello* message) {
  auto proto = ParseProto<pb::Hello>(payload);
  if (!proto || !TokenFromBytes(proto->token(), &message->token)) return false;
  if (!proto->previous_instance().empty() &&
      !TokenFromBytes(proto->previous_instance(),
                      &message->previous_instance)) {
    return false;
  }
  if (proto->previous_instance().empty()) message->previous_instance = {};
  message->version_min = proto->version_min();
  message->version_max = proto->version_max();
  message->name = proto->name();
  message->features = proto->features();
  message->window_bytes = proto->window_bytes();
  return true;
}

std::string Encode(const Welcome& message) {
  pb::Welcome proto;
  proto.set_version(message.version);
  proto.set_features(message.features);
  proto.set_instance(ToBytes(message.instance));
  proto.set_session_number(ToNumber(message.session_number));
  proto.set_broker_version(message.broker_version);
  proto.set_message_bytes_max(message.message_bytes_max);
  return proto.SerializeAsString();
}

bool Parse(std::string_view payload, Welcome* message) {
  auto proto = ParseProto<pb::Welcome>(payload);
  if (!proto || proto->session_number() == 0 ||
      !TokenFromBytes(proto->instance(), &message->instance)) {
    return false;
  }
  message->version = proto->version();
  message->features = proto->features();
  message->session_number = SessionNumber{proto->session_number()};
  message->broker_version = proto->broker_version();
  message->message_bytes_max = proto->message_bytes_max();
  return true;
}

std::string Encode(const Goodbye& message) {
  pb::Goodbye proto;
  proto.set_reason(static_cast<pb::CloseReason>(message.reason));
  proto.set_text(message.text);
  return proto.SerializeAsString();
}

bool Parse(std::string_view payload, Goodbye* message) {
  auto proto = ParseProto<pb::Goodbye>(payload);
  if (!proto) return false;
  message->reason = ReasonOf(proto->reason());
  message->text = proto->text();
  return true;
}

std::string Encode(const Result& message) {
  pb::Result proto;
  proto.set_code(static_cast<uint32_t>(message.code));
  proto.set_text(message.text);
  return proto.SerializeAsString();
}

bool Parse(std::string_view payload, Result* message) {
  auto proto = ParseProto<pb::Result>(payload);
  if (!proto) return false;
  message->code =
      proto->code() <= static_cast<uint32_t>(absl::StatusCode::kUnauthenticated)
          ? static_cast<absl::StatusCode>(proto->code())
          : absl::StatusCode::kInternal;
  message->text = proto->text();
  return true;
}

std::string Encode(const Open& message) {
  pb::Open proto;
  proto.set_channel(ToNumber(message.channel));
  proto.set_topic(message.topic);
  proto.set_type_name(message.type_name);
  proto.set_schema_hash(message.schema_hash);
  proto.set_first_sequence(message.first_sequence);
  proto.set_next_sequence(message.next_sequence);
  proto.set_readers_known(message.readers_known);
  proto.set_retain_last(message.retain_last);
  for (const Reader& reader : message.readers) {
    SetReader(reader, proto.add_readers());
  }
  return proto.SerializeAsString();
}

bool Parse(std::string_view payload, Open* message) {
  auto proto = ParseProto<pb::Open>(payload);
  if (!proto || proto->channel() == 0 || proto->first_sequence() == 0 ||
      proto->next_sequence() < proto->first_sequence() ||
      proto->next_sequence() > kSequenceMax ||
      !IsHashOrEmpty(proto->schema_hash()) ||
      !GetReaders(proto->readers(), &message->readers)) {
    return false;
  }
  message->channel = ChannelNumber{proto->channel()};
  message->topic = proto->topic();
  message->type_name = proto->type_name();
  message->schema_hash = proto->schema_hash();
  message->first_sequence = proto->first_sequence();
  message->next_sequence = proto->next_sequence();
  message->readers_known = proto->readers_known();
  message->retain_last = proto->retain_last();
  return true;
}

std::string Encode(const Opened& message) {
  pb::Opened proto;
  proto.set_channel(ToNumber(message.channel));
  for (const Reader& reader : message.readers) {
    SetReader(reader, proto.add_readers());
  }
  proto.set_subscriptions(message.subscriptions);
  proto.set_send_schema(message.send_schema);
  return proto.SerializeAsString();
}

bool Parse(std::string_view payload, Opened* message) {
  auto proto = ParseProto<pb::Opened>(payload);
  if (!proto || proto->channel() == 0 ||
      !GetReaders(proto->readers(), &message->readers)) {
    return false;
  }
  message->channel = ChannelNumber{proto->channel()};
  message->subscriptions = proto->subscriptions();
  message->send_schema = proto->send_schema();
  return true;
}

std::string Encode(const Subscribe& message) {
  pb::Subscribe proto;
  proto.set_subscription(ToNumber(message.subscription));
  proto.set_pattern(message.pattern);
  proto.set_policy(static_cast<pb::Policy>(message.policy));
  proto.set_depth(message.depth);
  proto.set_bytes(message.bytes);
  proto.set_resume(message.resume);
  proto.set_drop_newest(message.drop_newest);
  for (const Position& position : message.positions) {
    pb::Position* added = proto.add_positions();
    SetKey(position.session, added);
    added->set_channel(ToNumber(position.channel));
    added->set_sequence(position.sequence);
    added->set_received(position.received);
  }
  proto.set_stall_timeout_ms(
      static_cast<uint32_t>(absl::ToInt64Milliseconds(message.stall_timeout)));
  proto.set_group(message.group);
  return proto.SerializeAsString();
}

bool Parse(std::string_view payload, Subscribe* message) {
  auto proto = ParseProto<pb::Subscribe>(payload);
  if (!proto || proto->subscription() == 0 ||
      proto->policy() < pb::POLICY_RELIABLE ||
      proto->policy() > pb::POLICY_LATEST ||
      (proto->drop_newest() && proto->policy() != pb::POLICY_BEST_EFFORT)) {
    return false;
  }
  message->subscription = SubscriptionId{proto->subscription()};
  message->pattern = proto->pattern();
  message->policy = static_cast<Policy>(proto->policy());
  message->depth = proto->depth();
  message->bytes = proto->bytes();
  message->resume = proto->resume();
  message->stall_timeout = absl::Milliseconds(proto->stall_timeout_ms());
  message->drop_newest = proto->drop_newest();
  message->positions.clear();
  for (const pb::Position& from : proto->positions()) {
    Position position;
    if (!GetKey(from, &position.session) || from.channel() == 0) return false;
    position.channel = ChannelNumber{from.channel()};
    position.sequence = from.sequence();
    position.received = from.received();
    message->positions.push_back(position);
  }
  message->group = proto->group();
  return true;
}

std::string Encode(const Announce& message) {
  pb::Announce proto;
  proto.set_topic_id(ToNumber(message.topic_id));
  proto.set_topic(message.topic);
  proto.set_type_name(message.type_name);
  proto.set_schema_hash(message.schema_hash);
  proto.set_session_number(ToNumber(message.session_number));
  SetKey(message.session, &proto);
  proto.set_name(message.name);
  proto.set_gid(message.gid);
  proto.set_channel(ToNumber(message.channel));
  proto.set_ack_bytes(message.ack_bytes);
  return proto.SerializeAsString();
}

bool Parse(std::string_view payload, Announce* message) {
  auto proto = ParseProto<pb::Announce>(payload);
  if (!proto || proto->session_number() == 0 ||
      !IsHashOrEmpty(proto->schema_hash()) ||
      !GetKey(*proto, &message->session)) {
    return false;
  }
  message->topic_id = TopicId{proto->topic_id()};
  message->topic = proto->topic();
  message->type_name = proto->type_name();
  message->schema_hash = proto->schema_hash();
  message->session_number = SessionNumber{proto->session_number()};
  message->name = proto->name();
  message->gid = proto->gid();
  message->channel = ChannelNumber{proto->channel()};
  message->ack_bytes = proto->ack_bytes();
  return true;
}

std::string Encode(const Join& message) {
  pb::Join proto;
  SetReader(message.reader, proto.mutable_reader());
  for (ChannelNumber channel : message.channels) {
    proto.add_channels(ToNumber(channel));
  }
  proto.set_transient(message.transient);
  return proto.SerializeAsString();
}

bool Parse(std::string_view payload, Join* message) {
  auto proto = ParseProto<pb::Join>(payload);
  if (!proto || !GetReader(proto->reader(), &message->reader)) return false;
  message->channels.clear();
  for (uint32_t channel : proto->channels()) {
    if (channel == 0) return false;
    message->channels.push_back(ChannelNumber{channel});
  }
  message->transient = proto->transient();
  return true;
}

std::string Encode(const Resend& message) {
  pb::Resend proto;
  SetReader(message.reader, proto.mutable_reader());
  for (const Resend::From& from : message.channels) {
    pb::Resend::From* added = proto.add_channels();
    added->set_channel(ToNumber(from.channel));
    added->set_sequence(from.sequence);
    added->set_last_value(from.last_value);
  }
  return proto.SerializeAsString();
}

bool Parse(std::string_view payload, Resend* message) {
  auto proto = ParseProto<pb::Resend>(payload);
  if (!proto || !GetReader(proto->reader(), &message->reader)) return false;
  message->channels.clear();
  for (const pb::Resend::From& from : proto->channels()) {
    if (from.channel() == 0) return false;
    message->channels.push_back(
        {ChannelNumber{from.channel()}, from.sequence(), from.last_value()});
  }
  return true;
}

std::string Encode(const Schema& message) {
  pb::Schema proto;
  proto.set_hash(message.hash);
  proto.set_file_descriptor_set(message.file_descriptor_set);
  return proto.SerializeAsString();
}

bool Parse(std::string_view payload, Schema* message) {
  auto proto = ParseProto<pb::Schema>(payload);
  if (!proto || proto->hash().size() != kSha256Bytes) return false;
  message->hash = proto->hash();
  message->file_descriptor_set = proto->file_descriptor_set();
  return true;
}

std::string Encode(const GetSchema& message) {
  pb::GetSchema proto;
  proto.set_hash(message.hash);
  return proto.SerializeAsString();
}

bool Parse(std::string_view payload, GetSchema* message) {
  auto proto = ParseProto<pb::GetSchema>(payload);
  if (!proto || proto->hash().size() != kSha256Bytes) return false;
  message->hash = proto->hash();
  return true;
}

std::string Encode(const ListTopics& message) {
  pb::ListTopics proto;
  proto.set_after(message.after);
  return proto.SerializeAsString();
}

bool Parse(std::string_view payload, ListTopics* message) {
  auto proto = ParseProto<pb::ListTopics>(payload);
  if (!proto) return false;
  message->after = proto->after();
  return true;
}

std::string Encode(const Topics& message) {
  pb::Topics proto;
  for (const Topics::Topic& topic : message.topics) {
    pb::Topics::Topic* added = proto.add_topics();
    added->set_topic(topic.topic);
    added->set_type_name(topic.type_name);
    added->set_publishers(topic.publishers);
    added->set_subscriptions(topic.subscriptions);
    added->set_messages(topic.messages);
    added->set_bytes(topic.bytes);
  }
  proto.set_more(message.more);
  return proto.SerializeAsString();
}

bool Parse(std::string_view payload, Topics* message) {
  auto proto = ParseProto<pb::Topics>(payload);
  if (!proto) return false;
  message->topics.clear();
  for (const pb::Topics::Topic& topic : proto->topics()) {
    message->topics.push_back({.topic = topic.topic(),
                               .type_name = topic.type_name(),
                               .publishers = topic.publishers(),
                               .subscriptions = topic.subscriptions(),
                               .messages = topic.messages(),
                               .bytes = topic.bytes()});
  }
  message->more = proto->more();
  return true;
}

std::string Encode(const ListClients& message) {
  pb::ListClients proto;
  proto.set_after(ToNumber(message.after));
  return proto.SerializeAsString();
}

bool Parse(std::string_view payload, ListClients* message) {
  auto proto = ParseProto<pb::ListClients>(payload);
  if (!proto) return false;
  message->after = SessionNumber{proto->after()};
  return true;
}

std::string Encode(const Clients& message) {
  pb::Clients proto;
  for (const Clients::Client& client : message.clients) {
    pb::Clients::Client* added = proto.add_clients();
    added->set_name(client.name);
    SetKey(client.session, added);
    added->set_session_number(ToNumber(client.session_number));
    added->set_gid(client.gid);
    added->set_connected(client.connected);
    added->set_publications(client.publications);
    added->set_subscriptions(client.subscriptions);
    added->set_messages_in(client.messages_in);
    added->set_messages_out(client.messages_out);
    added->set_queued_bytes(client.queued_bytes);
    added->set_dropped(client.dropped);
    for (const Clients::Slow& slow : client.slow) {
      pb::Clients::Slow* item = added->add_slow();
      item->set_subscription(ToNumber(slow.subscription));
      item->set_pattern(slow.pattern);
      item->set_messages(slow.messages);
      item->set_idle_ms(
          static_cast<uint64_t>(absl::ToInt64Milliseconds(slow.idle)));
      item->set_set_aside(slow.set_aside);
    }
  }
  proto.set_more(message.more);
  return proto.SerializeAsString();
}

bool Parse(std::string_view payload, Clients* message) {
  auto proto = ParseProto<pb::Clients>(payload);
  if (!proto) return false;
  message->clients.clear();
  for (const pb::Clients::Client& from : proto->clients()) {
    Clients::Client client{
        .name = from.name(),
        .session = {},
        .session_number = SessionNumber{from.session_number()},
        .gid = from.gid(),
        .connected = from.connected(),
        .publications = from.publications(),
        .subscriptions = from.subscriptions(),
        .messages_in = from.messages_in(),
        .messages_out = from.messages_out(),
        .queued_bytes = from.queued_bytes(),
        .dropped = from.dropped(),
        .slow = {}};
    for (const pb::Clients::Slow& slow : from.slow()) {
      client.slow.push_back(
          {.subscription = SubscriptionId{slow.subscription()},
           .pattern = slow.pattern(),
           .messages = slow.messages(),
           .idle = absl::Milliseconds(slow.idle_ms()),
           .set_aside = slow.set_aside()});
    }
    if (!GetKey(from, &client.session) || from.session_number() == 0) {
      return false;
    }
    message->clients.push_back(std::move(client));
  }
  message->more = proto->more();
  return true;
}

}  // namespace ipc::wire
