// SPDX-License-Identifier: Apache-2.0
//
// SHA-256 (FIPS 180-4), by which descriptors are named.

#ifndef IPC_LIBIPC_WIRE_SHA256_H_
#define IPC_LIBIPC_WIRE_SHA256_H_

#include <cstddef>
#include <string>
#include <string_view>

namespace ipc::wire {

inline constexpr size_t kSha256Bytes = 32;

// The 32 bytes of the digest.
std::string Sha256(std::string_view bytes);

}  // namespace ipc::wire

#endif  // IPC_LIBIPC_WIRE_SHA256_H_
