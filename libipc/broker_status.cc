// SPDX-License-Identifier: Apache-2.0
//
// The broker's status, from the wire to the program.

#include "ipc/broker_status.h"

#include <string>

#include "ipc/client.h"
#include "libipc/base/status_macros.h"
#include "libipc/client_impl.h"

namespace ipc {
namespace {

CloseReason ReasonOf(wire::CloseReason reason) {
  return static_cast<CloseReason>(reason);
}
static_assert(static_cast<uint8_t>(CloseReason::kInternal) + 1 ==
              wire::kCloseReasonCount);

absl::Duration DurationOf(uint64_t nanoseconds) {
  return absl::Nanoseconds(static_cast<int64_t>(nanoseconds));
}

BrokerStatus StatusOf(const wire::Status& from) {
  BrokerStatus status{.version = from.broker_version,
                      .instance = ToHex(from.instance),
                      .pid = from.pid,
                      .uptime = DurationOf(from.uptime_ns),
                      .connections = from.connections,
                      .awaited = from.awaited,
                      .accepted = from.accepted,
                      .refused = from.refused,
                      .ended = {},
                      .messages_in = from.messages_in,
                      .bytes_in = from.bytes_in,
                      .messages_out = from.messages_out,
                      .bytes_out = from.bytes_out,
                      .resends = from.resends,
                      .set_aside = from.set_aside,
                      .missing = {},
                      .recent = {}};
  for (const wire::Status::Count& count : from.ended) {
    status.ended.push_back({ReasonOf(count.reason), count.connections});
  }
  for (const wire::Status::Missing& missing : from.missing) {
    status.missing.push_back(
        {static_cast<GapReason>(missing.reason), missing.messages});
  }
  for (const wire::Status::End& end : from.recent) {
    status.recent.push_back({.name = end.name,
                             .pid = end.pid,
                             .uid = end.uid,
                             .reason = ReasonOf(end.reason),
                             .text = end.text,
                             .age = DurationOf(end.age_ns)});
  }
  return status;
}

}  // namespace

std::string_view CloseReasonName(CloseReason reason) {
  return wire::CloseReasonName(static_cast<wire::CloseReason>(reason));
}

absl::StatusOr<BrokerStatus> Client::Status(absl::Duration timeout) {
  IPC_ASSIGN_OR_RETURN(
      std::string payload,
      impl_->Call(wire::FrameKind::kGetStatus,
                  wire::Encode(wire::GetStatus{.recent_ends = true}),
                  wire::FrameKind::kStatus, timeout));
  wire::Status status;
  if (!wire::Parse(payload, &status)) {
    return absl::DataLossError("the broker's status is invalid");
  }
  return StatusOf(status);
}

}  // namespace ipc
