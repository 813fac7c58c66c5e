// SPDX-License-Identifier: Apache-2.0
//
// What ipcctl writes: results to stdout through an Output, everything said to
// the operator to stderr through Complain().
//
// An Output gathers bytes and writes them in one piece at Flush() or when many
// have come together. It knows the three ways in which stdout ends: the reader
// has left (`ipcctl sub ... | head`), which is no failure; an error such as a
// full disk, which is one; and a reader that does not read although the
// operator wants to stop, who is waited for only briefly.

#ifndef IPC_TOOLS_OUTPUT_H_
#define IPC_TOOLS_OUTPUT_H_

#include <cstddef>
#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "tools/stop.h"

namespace ipc::tools {

// For one thread.
class Output {
 public:
  // Writes to `fd`, which stays the caller's. `stop` is borrowed and may be
  // null; with it, a signal ends a write that blocks.
  Output(int fd, Stop* stop) : fd_(fd), stop_(stop) {}
  Output(const Output&) = delete;
  Output& operator=(const Output&) = delete;

  // Takes `bytes`. May block and write, as Flush.
  void Write(std::string_view bytes);
  // Writes what was taken. Does nothing once closed().
  void Flush();
  // Whether nothing more can be written.
  bool closed() const { return closed_; }
  // Notices a reader that has left without writing to it: closed() then.
  void CheckReader();
  // Flushes. Errors: kUnavailable if the output was not taken; a reader that
  // has left is none.
  absl::Status Finish();

 private:
  bool WaitUntilWritable();
  void Fail(int error);

  int fd_;
  Stop* stop_;
  std::string pending_;
  bool closed_ = false;
  absl::Status status_;
};

// One line on stderr: "ipcctl: `text`", with anything that could steer a
// terminal escaped.
void Complain(std::string_view text);

// The text of `status`, never empty.
std::string StatusText(const absl::Status& status);

}  // namespace ipc::tools

#endif  // IPC_TOOLS_OUTPUT_H_
