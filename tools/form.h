// SPDX-License-Identifier: Apache-2.0
//
// An output form for a stream of messages: how `ipcctl sub` shows what arrives.
// There is one file for each: human.h, json.h, raw.h. Forms turn values into
// bytes and write nothing themselves.

#ifndef IPC_TOOLS_FORM_H_
#define IPC_TOOLS_FORM_H_

#include <string>

#include "absl/time/time.h"
#include "ipc/message.h"
#include "tools/content.h"
#include "tools/gaps.h"

namespace ipc::tools {

// A message and what was found out about it.
struct Arrival {
  const Message& message;  // borrowed
  absl::Duration latency;
  Content content;
};

class MessageForm {
 public:
  virtual ~MessageForm() = default;

  // Whether the form shows Arrival::content; if not, it need not be read.
  virtual bool WantsContent() const { return true; }
  // What to write to stdout for a message.
  virtual std::string ShowMessage(const Arrival& arrival) = 0;
  // What to write to stdout for a gap; empty if this form has no place for it.
  virtual std::string ShowGap(const Gap& gap) = 0;
};

}  // namespace ipc::tools

#endif  // IPC_TOOLS_FORM_H_
