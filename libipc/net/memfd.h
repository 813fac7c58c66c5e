// SPDX-License-Identifier: Apache-2.0
//
// Payloads in memory that two processes share: a file without a name (memfd),
// sealed so that neither its size nor its content can change any more. A reader
// that has seen the seals may map it: no access to it can fail.

#ifndef IPC_LIBIPC_NET_MEMFD_H_
#define IPC_LIBIPC_NET_MEMFD_H_

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>

#include "absl/functional/function_ref.h"
#include "absl/status/statusor.h"
#include "libipc/net/fd.h"

namespace ipc::net {

// A sealed file of `bytes` (1 or more), which `write` fills. Errors:
// kResourceExhausted or kInternal, with the reason.
absl::StatusOr<Fd> MakeSealed(
    size_t bytes, absl::FunctionRef<void(std::span<std::byte>)> write);

// Bytes that can be read as long as `owner` lives.
struct Mapping {
  std::shared_ptr<const void> owner;
  std::span<const std::byte> bytes;
};

// The first `bytes` (1 or more) of a sealed file that somebody else has made.
// Errors: kDataLoss if it is not a file, not sealed or shorter;
// kResourceExhausted if it cannot be mapped.
absl::StatusOr<Mapping> MapSealed(int fd, uint64_t bytes);

}  // namespace ipc::net

#endif  // IPC_LIBIPC_NET_MEMFD_H_
