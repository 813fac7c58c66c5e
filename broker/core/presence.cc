// SPDX-License-Identifier: Apache-2.0
//
// One frame for each change, made once and sent to all who watch.

#include "broker/core/presence.h"

#include <string>

#include "absl/strings/str_cat.h"

namespace ipc::broker {
namespace {

using wire::PresenceChange;

wire::Presence Describe(const Session& session, PresenceChange change) {
  wire::Presence presence{.change = change,
                          .name = session.name,
                          .session = session.key,
                          .session_number = session.number,
                          .gid = session.gid,
                          .text = {}};
  if (change == PresenceChange::kLost || change == PresenceChange::kWent) {
    presence.reason = session.end->reason;
    presence.text = session.end->text;
  }
  return presence;
}

// Others are known from what publishers tell of their readers alone.
bool IsClient(const Session& session) { return !session.name.empty(); }

}  // namespace

absl::Status Presence::OnWatchClients(Connection* connection,
                                      const wire::WatchClients& watch) {
  if (!watch.watch) {
    if (!connection->watches) {
      return absl::NotFoundError("this connection does not watch clients");
    }
    Forget(connection);
    return absl::OkStatus();
  }
  if (connection->watches) {
    return absl::AlreadyExistsError("this connection watches clients already");
  }
  if (state_.watchers.size() >= kWatchersMax) {
    return absl::ResourceExhaustedError(
        absl::StrCat("the limit is ", kWatchersMax, " that watch clients"));
  }
  for (const auto& [number, session] : state_.sessions) {
    if (!IsClient(*session)) continue;
    wire::Presence presence = Describe(*session, session->connection == nullptr
                                                     ? PresenceChange::kLost
                                                     : PresenceChange::kCame);
    presence.initial = true;
    state_.SendControl(connection, presence);
  }
  connection->watches = true;
  state_.watchers.push_back(connection);
  return absl::OkStatus();
}

void Presence::Forget(Connection* connection) {
  if (!connection->watches) return;
  connection->watches = false;
  std::erase(state_.watchers, connection);
}

void Presence::OnCame(const Session& session) {
  Tell(session, PresenceChange::kCame);
}

void Presence::OnReturned(const Session& session) {
  Tell(session, PresenceChange::kReturned);
}

void Presence::OnLost(const Session& session) {
  Tell(session, PresenceChange::kLost);
}

void Presence::OnWent(const Session& session) {
  Tell(session, PresenceChange::kWent);
}

void Presence::Tell(const Session& session, PresenceChange change) {
  if (state_.watchers.empty() || !IsClient(session)) return;
  std::string frame;
  wire::AppendControl(Describe(session, change), 0, &frame);
  for (Connection* watcher : state_.watchers) state_.Send(watcher, frame);
}

}  // namespace ipc::broker
