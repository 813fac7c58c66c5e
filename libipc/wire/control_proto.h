// SPDX-License-Identifier: Apache-2.0
//
// What the codec files share. Nobody else includes protobuf's messages.

#ifndef IPC_LIBIPC_WIRE_CONTROL_PROTO_H_
#define IPC_LIBIPC_WIRE_CONTROL_PROTO_H_

#include <cstddef>
#include <limits>
#include <optional>
#include <string_view>

#include "ipc/v1/control.pb.h"
#include "libipc/base/ids.h"
#include "libipc/wire/control.h"

namespace ipc::wire {

template <typename Proto>
std::optional<Proto> ParseProto(std::string_view payload) {
  Proto proto;
  if (payload.size() > static_cast<size_t>(std::numeric_limits<int>::max()) ||
      !proto.ParseFromArray(payload.data(), static_cast<int>(payload.size()))) {
    return std::nullopt;
  }
  return proto;
}

template <typename Proto>
void SetKey(const SessionKey& key, Proto* proto) {
  proto->set_token(ToBytes(key.token));
  proto->set_pid(key.pid);
  proto->set_uid(key.uid);
}

template <typename Proto>
bool GetKey(const Proto& proto, SessionKey* key) {
  key->pid = proto.pid();
  key->uid = proto.uid();
  return TokenFromBytes(proto.token(), &key->token);
}

// A reason from a newer peer is no fault of ours or theirs.
inline CloseReason ReasonOf(::ipc::v1::CloseReason reason) {
  return ::ipc::v1::CloseReason_IsValid(reason)
             ? static_cast<CloseReason>(reason)
             : CloseReason::kUnspecified;
}

}  // namespace ipc::wire

#endif  // IPC_LIBIPC_WIRE_CONTROL_PROTO_H_
