// SPDX-License-Identifier: Apache-2.0
//
// The few colours of the human form, and when they are used. Colour only
// repeats what the text says.

#ifndef IPC_TOOLS_COLOUR_H_
#define IPC_TOOLS_COLOUR_H_

#include <string>
#include <string_view>

namespace ipc::tools {

enum class Colour { kBold, kDim, kYellow };

// `text` between the terminal's codes for `colour`, or as it is if not `on`.
std::string Coloured(std::string_view text, Colour colour, bool on);

// Whether results may be coloured: stdout is a terminal that can, and the user
// has not set NO_COLOR (https://no-color.org).
bool UseColour();

}  // namespace ipc::tools

#endif  // IPC_TOOLS_COLOUR_H_
