// SPDX-License-Identifier: Apache-2.0
//
// The raw form: the payloads' bytes one after the other and nothing else, for
// other programs and files. Not for a terminal.

#ifndef IPC_TOOLS_RAW_H_
#define IPC_TOOLS_RAW_H_

#include <string>

#include "tools/form.h"
#include "tools/gaps.h"

namespace ipc::tools {

class RawForm : public MessageForm {
 public:
  bool WantsContent() const override { return false; }
  std::string ShowMessage(const Arrival& arrival) override {
    return std::string(arrival.message.text());
  }
  std::string ShowGap(const Gap&) override { return ""; }
};

}  // namespace ipc::tools

#endif  // IPC_TOOLS_RAW_H_
