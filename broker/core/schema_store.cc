// SPDX-License-Identifier: Apache-2.0
//
// Checks what it is given: a wrong set under a right hash would be shown to
// everybody who reads that type.

#include "broker/core/schema_store.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "libipc/base/limits.h"
#include "libipc/wire/sha256.h"

namespace ipc::broker {

const std::string* SchemaStore::Find(const std::string& hash) const {
  auto found = sets_.find(hash);
  return found == sets_.end() ? nullptr : &found->second;
}

absl::Status SchemaStore::Add(const std::string& hash, std::string set) {
  if (set.size() > kSchemaSetBytesMax) {
    return absl::ResourceExhaustedError(
        absl::StrCat("descriptor set has ", set.size(), " bytes; the limit is ",
                     kSchemaSetBytesMax));
  }
  if (wire::Sha256(set) != hash) {
    return absl::InvalidArgumentError(
        "descriptor set does not have the SHA-256 it was sent under");
  }
  if (Has(hash)) return absl::OkStatus();
  bytes_ += set.size();
  order_.push_back(hash);
  sets_[hash] = std::move(set);
  while (bytes_ > bytes_max_) {
    auto oldest = sets_.find(order_.front());
    bytes_ -= oldest->second.size();
    sets_.erase(oldest);
    order_.pop_front();
  }
  return absl::OkStatus();
}

}  // namespace ipc::broker
