// SPDX-License-Identifier: Apache-2.0
//
// The form for people: aligned columns, units, colour where the terminal has
// it, and never a byte from a stranger that could steer the terminal.
//
//   sensors/imu  imu-driver[4711]  uid=1000  #42  38.1us  56B  {"x":1.5}
//   -- 3 messages missing (depth): #43..#45 of sensors/imu from
//   imu-driver[4711]

#ifndef IPC_TOOLS_HUMAN_H_
#define IPC_TOOLS_HUMAN_H_

#include <array>
#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include "ipc/client.h"
#include "tools/form.h"
#include "tools/gaps.h"
#include "tools/table.h"

namespace ipc::tools {

// Columns grow with what they have held, up to a limit, so that a stream is
// aligned although its end is not known.
class HumanForm : public MessageForm {
 public:
  explicit HumanForm(bool colour) : colour_(colour) {}

  std::string ShowMessage(const Arrival& arrival) override;
  std::string ShowGap(const Gap& gap) override;

 private:
  static constexpr size_t kColumns = 6;

  std::string Cell(size_t column, std::string_view text, Align align);

  bool colour_;
  std::array<size_t, kColumns> widths_ = {0, 0, 8, 5, 6, 6};
};

// The text of a gap's line, without colour and line end.
std::string DescribeGap(const Gap& gap);

// With a line of titles.
std::string TopicsAsTable(const std::vector<TopicInfo>& topics, bool colour);
std::string ClientsAsTable(const std::vector<ClientInfo>& clients, bool colour);
// One line for each change.
std::string PresenceAsLine(const PresenceEvent& event, bool colour);
// A line for each part, and a table of the last ends if there are any.
std::string StatusAsText(const BrokerStatus& status, bool colour);

}  // namespace ipc::tools

#endif  // IPC_TOOLS_HUMAN_H_
