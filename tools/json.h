// SPDX-License-Identifier: Apache-2.0
//
// The JSON form: one object a line, for jq and for programs. The fields are a
// promise to scripts and are listed in docs/ipcctl.md: add, do not rename.
//
// Pure ASCII, whatever strangers put into names and payloads, and therefore
// harmless on a terminal too.

#ifndef IPC_TOOLS_JSON_H_
#define IPC_TOOLS_JSON_H_

#include <string>
#include <vector>

#include "ipc/client.h"
#include "tools/form.h"
#include "tools/gaps.h"

namespace ipc::tools {

class JsonForm : public MessageForm {
 public:
  std::string ShowMessage(const Arrival& arrival) override;
  std::string ShowGap(const Gap& gap) override;
};

// One line for each.
std::string TopicsAsJson(const std::vector<TopicInfo>& topics);
std::string ClientsAsJson(const std::vector<ClientInfo>& clients);
// One line.
std::string StatusAsJson(const BrokerStatus& status);
std::string PresenceAsJson(const PresenceEvent& event);

}  // namespace ipc::tools

#endif  // IPC_TOOLS_JSON_H_
