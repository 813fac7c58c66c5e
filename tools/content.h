// SPDX-License-Identifier: Apache-2.0
//
// What is in a message, as far as it can be read without a .proto:
//
//   publisher shared its descriptors   -> kJson
//   else, or if that fails: text       -> kText
//   anything else                      -> kBytes
//
// The payload itself stays in the message.

#ifndef IPC_TOOLS_CONTENT_H_
#define IPC_TOOLS_CONTENT_H_

#include <map>
#include <string>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "ipc/client.h"
#include "ipc/decoder.h"
#include "ipc/message.h"

namespace ipc::tools {

struct Content {
  enum class Kind { kJson, kText, kBytes };
  Kind kind = Kind::kBytes;
  std::string json;     // kJson: one line
  std::string problem;  // why a message with descriptors is not kJson
};

// Not thread-safe. `client` is borrowed and must outlive it.
class ContentReader {
 public:
  explicit ContentReader(Client* client) : decoder_(client) {}

  // May ask the broker for descriptors, and wait for them for a short while;
  // after a failure it does not ask again at once.
  Content Read(const Message& message);

 private:
  struct Failure {
    std::string problem;
    absl::Time retry;
  };

  absl::StatusOr<std::string> ToJson(const Message& message);

  Decoder decoder_;
  std::map<std::string, Failure> failures_;  // by schema hash
};

}  // namespace ipc::tools

#endif  // IPC_TOOLS_CONTENT_H_
