// SPDX-License-Identifier: Apache-2.0
//
// A message type's descriptors as they travel.

#ifndef IPC_LIBIPC_SCHEMA_H_
#define IPC_LIBIPC_SCHEMA_H_

#include <string>

#include "absl/status/statusor.h"
#include "google/protobuf/descriptor.h"
#include "libipc/wire/sha256.h"

namespace ipc {

// The serialized FileDescriptorSet of `type`'s file and all it imports, each
// behind its imports. The same type gives the same bytes in every program.
// Errors: kResourceExhausted above kSchemaSetBytesMax.
absl::StatusOr<std::string> SchemaOf(const google::protobuf::Descriptor& type);

}  // namespace ipc

#endif  // IPC_LIBIPC_SCHEMA_H_
