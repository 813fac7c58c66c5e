// SPDX-License-Identifier: Apache-2.0
//
// The digest is libmd's.

#include "libipc/wire/sha256.h"

#include <sha256.h>

#include <cstdint>

namespace ipc::wire {

std::string Sha256(std::string_view bytes) {
  SHA256_CTX context;
  SHA256Init(&context);
  SHA256Update(&context, reinterpret_cast<const uint8_t*>(bytes.data()),
               bytes.size());
  std::string digest(kSha256Bytes, '\0');
  SHA256Final(reinterpret_cast<uint8_t*>(digest.data()), &context);
  return digest;
}

}  // namespace ipc::wire
