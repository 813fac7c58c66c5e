// SPDX-License-Identifier: Apache-2.0
//
// Why connections ended, and how the broker is: for operators.

#ifndef IPC_BROKER_CORE_STATUS_H_
#define IPC_BROKER_CORE_STATUS_H_

#include <cstdint>
#include <string>
#include <string_view>

#include "broker/core/state.h"

namespace ipc::broker {

// Keeps of `text`, which a client may have written, what there is room for.
End MakeEnd(wire::CloseReason reason, std::string_view text);

class Status {
 public:
  explicit Status(State* state) : state_(*state) {}

  // A connection ended, or never came about. Once for each.
  void Record(std::string name, const Peer& peer, const End& end);
  // The broker has decided to end a connection.
  void OnClosed(const Connection& connection);
  // The socket of a connection is gone without a word.
  void OnLost(const Connection& connection);
  // Answers STATUS.
  void OnGetStatus(Session* session, const wire::GetStatus& get,
                   uint64_t request);

 private:
  void Count(const End& end);

  State& state_;
};

}  // namespace ipc::broker

#endif  // IPC_BROKER_CORE_STATUS_H_
