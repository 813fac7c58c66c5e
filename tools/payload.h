// SPDX-License-Identifier: Apache-2.0
//
// Reads what `ipcctl pub` publishes from a file or from stdin, and can be
// interrupted while a pipe or a person at a terminal keeps it waiting.

#ifndef IPC_TOOLS_PAYLOAD_H_
#define IPC_TOOLS_PAYLOAD_H_

#include <cstdint>
#include <string>
#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "tools/stop.h"

namespace ipc::tools {

// An open file or stdin. Movable; closes what it has opened.
class PayloadSource {
 public:
  // Errors: kNotFound, with the path and the reason, if it cannot be opened.
  static absl::StatusOr<PayloadSource> Open(const std::string& path);
  static PayloadSource Stdin() { return PayloadSource(0, "stdin"); }

  PayloadSource(PayloadSource&& other) noexcept;
  PayloadSource& operator=(PayloadSource&&) = delete;
  ~PayloadSource();

  // Reads to the end, but at most `bytes_max` + 1 bytes: one too many, so that
  // whoever takes the payload sees that it is too large. Errors: kDataLoss if
  // it cannot be read; kCancelled if `stop` came first.
  absl::StatusOr<std::string> Read(uint64_t bytes_max, Stop* stop);

 private:
  PayloadSource(int fd, std::string name) : fd_(fd), name_(std::move(name)) {}

  int fd_;
  std::string name_;  // for error messages
};

}  // namespace ipc::tools

#endif  // IPC_TOOLS_PAYLOAD_H_
