// SPDX-License-Identifier: Apache-2.0
//
// Who is first in line, and whose time is up.

#include "broker/core/handshakes.h"

namespace ipc::broker {

void Handshakes::OnConnect(const Connection& connection) {
  ForgetWhoIsDone();
  awaited_.push_back({connection.id, state_.now + kHandshakeTimeout});
  SetTimer();
}

void Handshakes::OnTimer() {
  timer_is_set_ = false;
  while (!awaited_.empty() && awaited_.front().until <= state_.now) {
    if (Connection* connection = Find(awaited_.front())) {
      sessions_.Close(connection, wire::CloseReason::kHandshakeTimeout,
                      "no HELLO in time");
    }
    awaited_.pop_front();
  }
  ForgetWhoIsDone();
  SetTimer();
}

Connection* Handshakes::Find(const Awaited& awaited) const {
  auto found = state_.connections.find(awaited.connection);
  if (found == state_.connections.end()) return nullptr;
  Connection* connection = found->second.get();
  return connection->greeted ? nullptr : connection;
}

void Handshakes::ForgetWhoIsDone() {
  while (!awaited_.empty() && Find(awaited_.front()) == nullptr) {
    awaited_.pop_front();
  }
}

void Handshakes::SetTimer() {
  if (timer_is_set_ || awaited_.empty()) return;
  timer_is_set_ = true;
  state_.timers.Add(
      {.due = awaited_.front().until, .kind = TimerKind::kHandshake});
}

}  // namespace ipc::broker
