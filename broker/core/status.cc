// SPDX-License-Identifier: Apache-2.0
//
// Counting ends, keeping the last of them, and telling.

#include "broker/core/status.h"

#include <utility>

namespace ipc::broker {
namespace {

uint64_t NanosecondsFrom(MonotonicTime from, MonotonicTime to) {
  return static_cast<uint64_t>(to.NanosecondsSince(from));
}

std::string NameOf(const Connection& connection) {
  return connection.session == nullptr ? "" : connection.session->name;
}

}  // namespace

End MakeEnd(wire::CloseReason reason, std::string_view text) {
  size_t size = text.size();
  if (size > kEndTextBytesMax) {
    size = kEndTextBytesMax;
    // Not within a character: the text must stay UTF-8.
    while (size > 0 && (static_cast<uint8_t>(text[size]) & 0xc0) == 0x80) {
      --size;
    }
  }
  return {reason, std::string(text.substr(0, size))};
}

void Status::Count(const End& end) {
  ++state_.counters.ended[static_cast<size_t>(end.reason)];
}

void Status::Record(std::string name, const Peer& peer, const End& end) {
  Count(end);
  state_.recent_ends.push_back({std::move(name), peer, end, state_.now});
  if (state_.recent_ends.size() > kRecentEndsMax) {
    state_.recent_ends.pop_front();
  }
}

void Status::OnClosed(const Connection& connection) {
  Record(NameOf(connection), connection.peer, *connection.end);
}

void Status::OnLost(const Connection& connection) {
  // Whoever probes whether somebody listens must not push out the others.
  if (connection.greeted) {
    OnClosed(connection);
  } else {
    Count(*connection.end);
  }
}

void Status::OnGetStatus(Session* session, const wire::GetStatus& get,
                         uint64_t request) {
  const Counters& counters = state_.counters;
  wire::Status status{
      .broker_version = state_.version,
      .instance = state_.instance,
      .pid = state_.pid,
      .uptime_ns = NanosecondsFrom(state_.started, state_.now),
      .connections = static_cast<uint32_t>(state_.connections.size()),
      .awaited =
          static_cast<uint32_t>(state_.sessions.size() - state_.group_sessions -
                                state_.connected_sessions),
      .accepted = counters.accepted,
      .refused = counters.refused,
      .ended = {},
      .messages_in = counters.messages_in,
      .bytes_in = counters.bytes_in,
      .messages_out = counters.messages_out,
      .bytes_out = counters.bytes_out,
      .resends = counters.resends,
      .set_aside = counters.set_aside,
      .recent = {},
      .missing = {}};
  for (size_t i = 0; i < counters.ended.size(); ++i) {
    if (counters.ended[i] == 0) continue;
    status.ended.push_back(
        {static_cast<wire::CloseReason>(i), counters.ended[i]});
  }
  for (size_t i = 0; i < counters.missing.size(); ++i) {
    if (counters.missing[i] == 0) continue;
    status.missing.push_back(
        {static_cast<wire::GapReason>(i), counters.missing[i]});
  }
  if (get.recent_ends) {
    for (const RecentEnd& recent : state_.recent_ends) {
      status.recent.push_back(
          {.name = recent.name,
           .pid = recent.peer.pid,
           .uid = recent.peer.uid,
           .reason = recent.end.reason,
           .text = recent.end.text,
           .age_ns = NanosecondsFrom(recent.when, state_.now)});
    }
  }
  state_.SendControl(session->connection, status, request);
}

}  // namespace ipc::broker
