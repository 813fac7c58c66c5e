// SPDX-License-Identifier: Apache-2.0
//
// The codec of what operators ask for: status and presence.

#include "ipc/v1/control.pb.h"
#include "libipc/wire/control.h"
#include "libipc/wire/control_proto.h"

namespace ipc::wire {

namespace pb = ::ipc::v1;

std::string Encode(const GetStatus& message) {
  pb::GetStatus proto;
  proto.set_recent_ends(message.recent_ends);
  return proto.SerializeAsString();
}

bool Parse(std::string_view payload, GetStatus* message) {
  auto proto = ParseProto<pb::GetStatus>(payload);
  if (!proto) return false;
  message->recent_ends = proto->recent_ends();
  return true;
}

std::string Encode(const Status& message) {
  pb::Status proto;
  proto.set_broker_version(message.broker_version);
  proto.set_instance(ToBytes(message.instance));
  proto.set_pid(message.pid);
  proto.set_uptime_ns(message.uptime_ns);
  proto.set_connections(message.connections);
  proto.set_awaited(message.awaited);
  proto.set_accepted(message.accepted);
  proto.set_refused(message.refused);
  for (const Status::Count& count : message.ended) {
    pb::Status::Count* added = proto.add_ended();
    added->set_reason(static_cast<pb::CloseReason>(count.reason));
    added->set_connections(count.connections);
  }
  proto.set_messages_in(message.messages_in);
  proto.set_bytes_in(message.bytes_in);
  proto.set_messages_out(message.messages_out);
  proto.set_bytes_out(message.bytes_out);
  proto.set_resends(message.resends);
  proto.set_set_aside(message.set_aside);
  for (const Status::End& end : message.recent) {
    pb::Status::End* added = proto.add_recent();
    added->set_name(end.name);
    added->set_pid(end.pid);
    added->set_uid(end.uid);
    added->set_reason(static_cast<pb::CloseReason>(end.reason));
    added->set_text(end.text);
    added->set_age_ns(end.age_ns);
  }
  for (const Status::Missing& missing : message.missing) {
    pb::Status::Missing* added = proto.add_missing();
    added->set_reason(static_cast<uint32_t>(missing.reason));
    added->set_messages(missing.messages);
  }
  return proto.SerializeAsString();
}

bool Parse(std::string_view payload, Status* message) {
  auto proto = ParseProto<pb::Status>(payload);
  if (!proto || !TokenFromBytes(proto->instance(), &message->instance)) {
    return false;
  }
  message->broker_version = proto->broker_version();
  message->pid = proto->pid();
  message->uptime_ns = proto->uptime_ns();
  message->connections = proto->connections();
  message->awaited = proto->awaited();
  message->accepted = proto->accepted();
  message->refused = proto->refused();
  message->ended.clear();
  for (const pb::Status::Count& from : proto->ended()) {
    message->ended.push_back({ReasonOf(from.reason()), from.connections()});
  }
  message->messages_in = proto->messages_in();
  message->bytes_in = proto->bytes_in();
  message->messages_out = proto->messages_out();
  message->bytes_out = proto->bytes_out();
  message->resends = proto->resends();
  message->set_aside = proto->set_aside();
  message->recent.clear();
  for (const pb::Status::End& from : proto->recent()) {
    message->recent.push_back({.name = from.name(),
                               .pid = from.pid(),
                               .uid = from.uid(),
                               .reason = ReasonOf(from.reason()),
                               .text = from.text(),
                               .age_ns = from.age_ns()});
  }
  message->missing.clear();
  for (const pb::Status::Missing& from : proto->missing()) {
    const bool known = from.reason() < kGapReasons;
    message->missing.push_back({known ? static_cast<GapReason>(from.reason())
                                      : GapReason::kUnspecified,
                                from.messages()});
  }
  return true;
}

std::string Encode(const WatchClients& message) {
  pb::WatchClients proto;
  proto.set_watch(message.watch);
  return proto.SerializeAsString();
}

bool Parse(std::string_view payload, WatchClients* message) {
  auto proto = ParseProto<pb::WatchClients>(payload);
  if (!proto) return false;
  message->watch = proto->watch();
  return true;
}

std::string Encode(const Presence& message) {
  pb::Presence proto;
  proto.set_change(static_cast<pb::PresenceChange>(message.change));
  proto.set_initial(message.initial);
  proto.set_name(message.name);
  SetKey(message.session, &proto);
  proto.set_session_number(ToNumber(message.session_number));
  proto.set_gid(message.gid);
  proto.set_reason(static_cast<pb::CloseReason>(message.reason));
  proto.set_text(message.text);
  return proto.SerializeAsString();
}

bool Parse(std::string_view payload, Presence* message) {
  auto proto = ParseProto<pb::Presence>(payload);
  if (!proto || proto->session_number() == 0 ||
      !GetKey(*proto, &message->session)) {
    return false;
  }
  message->change = pb::PresenceChange_IsValid(proto->change())
                        ? static_cast<PresenceChange>(proto->change())
                        : PresenceChange::kUnspecified;
  message->initial = proto->initial();
  message->name = proto->name();
  message->session_number = SessionNumber{proto->session_number()};
  message->gid = proto->gid();
  message->reason = ReasonOf(proto->reason());
  message->text = proto->text();
  return true;
}

}  // namespace ipc::wire
