// SPDX-License-Identifier: Apache-2.0
//
// The descriptors that publishers have handed over, by their SHA-256. Bounded
// in bytes; the one that was added first goes first.

#ifndef IPC_BROKER_CORE_SCHEMA_STORE_H_
#define IPC_BROKER_CORE_SCHEMA_STORE_H_

#include <cstddef>
#include <deque>
#include <string>
#include <string_view>

#include "absl/container/flat_hash_map.h"
#include "absl/status/status.h"

namespace ipc::broker {

class SchemaStore {
 public:
  explicit SchemaStore(size_t bytes_max) : bytes_max_(bytes_max) {}

  bool Has(const std::string& hash) const { return sets_.contains(hash); }
  // Null if it is not here. Valid until the next Add.
  const std::string* Find(const std::string& hash) const;
  // Errors: kInvalidArgument if `hash` is not that of `set`;
  // kResourceExhausted if the set is above kSchemaSetBytesMax.
  absl::Status Add(const std::string& hash, std::string set);

 private:
  size_t bytes_max_;
  size_t bytes_ = 0;
  absl::flat_hash_map<std::string, std::string> sets_;
  std::deque<std::string> order_;
};

}  // namespace ipc::broker

#endif  // IPC_BROKER_CORE_SCHEMA_STORE_H_
