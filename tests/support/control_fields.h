// SPDX-License-Identifier: Apache-2.0
//
// Compares control messages: `Same(a, b)` is true when all fields are equal.
// The product never needs that, so it stands here. Each overload of Fields
// names every member in a structured binding: a member added to a struct stops
// this file from compiling until it is compared too.
//
// Header only: the support library links nothing of the product.

#ifndef IPC_TESTS_SUPPORT_CONTROL_FIELDS_H_
#define IPC_TESTS_SUPPORT_CONTROL_FIELDS_H_

#include <algorithm>
#include <cstddef>
#include <tuple>
#include <type_traits>
#include <utility>
#include <vector>

#include "libipc/wire/control.h"

namespace ipc::test {

// All message types. REFUSED is a Result too, behind another kind.
using ControlMessages =
    std::tuple<wire::Hello, wire::Welcome, wire::Goodbye, wire::Result,
               wire::Open, wire::Opened, wire::Subscribe, wire::Announce,
               wire::Join, wire::Resend, wire::Schema, wire::GetSchema,
               wire::ListTopics, wire::Topics, wire::ListClients, wire::Clients,
               wire::GetStatus, wire::Status, wire::WatchClients,
               wire::Presence>;

// Calls `visit(std::type_identity<Message>())` for the message that frames of
// this kind carry; false for a kind without one.
template <typename Visit, size_t kIndex = 0>
bool VisitControl(wire::FrameKind kind, const Visit& visit) {
  if constexpr (kIndex == std::tuple_size_v<ControlMessages>) {
    return false;
  } else {
    using Message = std::tuple_element_t<kIndex, ControlMessages>;
    const bool matches =
        kind == Message::kKind || (kind == wire::FrameKind::kRefused &&
                                   std::is_same_v<Message, wire::Result>);
    if (!matches) return VisitControl<Visit, kIndex + 1>(kind, visit);
    visit(std::type_identity<Message>());
    return true;
  }
}

inline auto Fields(const wire::Hello& m) {
  const auto& [version_min, version_max, token, name, features, window,
               previous] = m;
  return std::tie(version_min, version_max, token, name, features, window,
                  previous);
}

inline auto Fields(const wire::Welcome& m) {
  const auto& [version, features, instance, number, broker_version, max] = m;
  return std::tie(version, features, instance, number, broker_version, max);
}

inline auto Fields(const wire::Goodbye& m) {
  const auto& [reason, text] = m;
  return std::tie(reason, text);
}

inline auto Fields(const wire::Result& m) {
  const auto& [code, text] = m;
  return std::tie(code, text);
}

inline auto Fields(const wire::Reader& m) {
  const auto& [session, subscription, reader, from] = m;
  return std::tie(session, subscription, reader, from);
}

inline auto Fields(const wire::Open& m) {
  const auto& [channel, topic, type_name, hash, first, next, known, readers,
               retain] = m;
  return std::tie(channel, topic, type_name, hash, first, next, known, readers,
                  retain);
}

inline auto Fields(const wire::Opened& m) {
  const auto& [channel, readers, subscriptions, send_schema] = m;
  return std::tie(channel, readers, subscriptions, send_schema);
}

inline auto Fields(const wire::Position& m) {
  const auto& [session, channel, sequence, received] = m;
  return std::tie(session, channel, sequence, received);
}

inline auto Fields(const wire::Subscribe& m) {
  const auto& [subscription, pattern, policy, depth, bytes, resume, positions,
               stall_timeout, drop_newest, group] = m;
  return std::tie(subscription, pattern, policy, depth, bytes, resume,
                  positions, stall_timeout, drop_newest, group);
}

inline auto Fields(const wire::Announce& m) {
  const auto& [topic_id, topic, type_name, hash, number, session, name, gid,
               channel, ack_bytes] = m;
  return std::tie(topic_id, topic, type_name, hash, number, session, name, gid,
                  channel, ack_bytes);
}

inline auto Fields(const wire::Join& m) {
  const auto& [reader, channels, transient] = m;
  return std::tie(reader, channels, transient);
}

inline auto Fields(const wire::Resend::From& m) {
  const auto& [channel, sequence, last_value] = m;
  return std::tie(channel, sequence, last_value);
}

inline auto Fields(const wire::Resend& m) {
  const auto& [reader, channels] = m;
  return std::tie(reader, channels);
}

inline auto Fields(const wire::Schema& m) {
  const auto& [hash, set] = m;
  return std::tie(hash, set);
}

inline auto Fields(const wire::GetSchema& m) {
  const auto& [hash] = m;
  return std::tie(hash);
}

inline auto Fields(const wire::ListTopics& m) {
  const auto& [after] = m;
  return std::tie(after);
}

inline auto Fields(const wire::Topics::Topic& m) {
  const auto& [topic, type_name, publishers, subscriptions, messages, bytes] =
      m;
  return std::tie(topic, type_name, publishers, subscriptions, messages, bytes);
}

inline auto Fields(const wire::Topics& m) {
  const auto& [topics, more] = m;
  return std::tie(topics, more);
}

inline auto Fields(const wire::ListClients& m) {
  const auto& [after] = m;
  return std::tie(after);
}

inline auto Fields(const wire::Clients::Slow& m) {
  const auto& [subscription, pattern, messages, idle, set_aside] = m;
  return std::tie(subscription, pattern, messages, idle, set_aside);
}

inline auto Fields(const wire::Clients::Client& m) {
  const auto& [name, session, number, gid, connected, publications,
               subscriptions, messages_in, messages_out, queued, dropped,
               slow] = m;
  return std::tie(name, session, number, gid, connected, publications,
                  subscriptions, messages_in, messages_out, queued, dropped,
                  slow);
}

inline auto Fields(const wire::Clients& m) {
  const auto& [clients, more] = m;
  return std::tie(clients, more);
}

inline auto Fields(const wire::GetStatus& m) {
  const auto& [recent_ends] = m;
  return std::tie(recent_ends);
}

inline auto Fields(const wire::Status::Count& m) {
  const auto& [reason, connections] = m;
  return std::tie(reason, connections);
}

inline auto Fields(const wire::Status::End& m) {
  const auto& [name, pid, uid, reason, text, age] = m;
  return std::tie(name, pid, uid, reason, text, age);
}

inline auto Fields(const wire::Status::Missing& m) {
  const auto& [reason, messages] = m;
  return std::tie(reason, messages);
}

inline auto Fields(const wire::Status& m) {
  const auto& [version, instance, pid, uptime, connections, awaited, accepted,
               refused, ended, messages_in, bytes_in, messages_out, bytes_out,
               resends, set_aside, recent, missing] = m;
  return std::tie(version, instance, pid, uptime, connections, awaited,
                  accepted, refused, ended, messages_in, bytes_in, messages_out,
                  bytes_out, resends, set_aside, recent, missing);
}

inline auto Fields(const wire::WatchClients& m) {
  const auto& [watch] = m;
  return std::tie(watch);
}

inline auto Fields(const wire::Presence& m) {
  const auto& [change, initial, name, session, number, gid, reason, text] = m;
  return std::tie(change, initial, name, session, number, gid, reason, text);
}

template <typename T>
bool Same(const T& a, const T& b);

template <typename T>
bool Same(const std::vector<T>& a, const std::vector<T>& b) {
  return std::equal(a.begin(), a.end(), b.begin(), b.end(),
                    [](const T& x, const T& y) { return Same(x, y); });
}

template <typename Tuple, size_t... kIndex>
bool SameTuple(const Tuple& a, const Tuple& b, std::index_sequence<kIndex...>) {
  return (Same(std::get<kIndex>(a), std::get<kIndex>(b)) && ...);
}

template <typename T>
bool Same(const T& a, const T& b) {
  if constexpr (requires { Fields(a); }) {
    using Tuple = decltype(Fields(a));
    return SameTuple(Fields(a), Fields(b),
                     std::make_index_sequence<std::tuple_size_v<Tuple>>());
  } else {
    return a == b;
  }
}

}  // namespace ipc::test

#endif  // IPC_TESTS_SUPPORT_CONTROL_FIELDS_H_
