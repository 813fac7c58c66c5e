// SPDX-License-Identifier: Apache-2.0
//
// Reads any message without its .proto: publishers hand their descriptors to
// the broker, and a decoder asks for them.

#ifndef IPC_LIBIPC_INCLUDE_IPC_DECODER_H_
#define IPC_LIBIPC_INCLUDE_IPC_DECODER_H_

#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "google/protobuf/message.h"
#include "ipc/client.h"
#include "ipc/export.h"
#include "ipc/message.h"

namespace ipc {

// Not thread-safe. `client` is borrowed and must outlive it. Descriptors are
// asked for once and kept.
class IPC_EXPORT Decoder {
 public:
  explicit Decoder(Client* client);
  ~Decoder();
  Decoder(const Decoder&) = delete;
  Decoder& operator=(const Decoder&) = delete;

  // The message, parsed. Belongs to the decoder and is valid until the next
  // call. May ask the broker, waiting up to `timeout`.
  // Errors: kNotFound if the publisher shared no descriptor; kDataLoss if the
  // payload does not parse; those of Client::FetchSchema.
  absl::StatusOr<const google::protobuf::Message*> Decode(
      const Message& message, absl::Duration timeout = absl::Seconds(5));

  // The message as one line of JSON (protobuf's JSON mapping). Errors: as
  // Decode.
  absl::StatusOr<std::string> ToJson(const Message& message,
                                     absl::Duration timeout = absl::Seconds(5));

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace ipc

#endif  // IPC_LIBIPC_INCLUDE_IPC_DECODER_H_
