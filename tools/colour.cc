// SPDX-License-Identifier: Apache-2.0
//
// See colour.h.

#include "tools/colour.h"

#include <unistd.h>

#include <cstdlib>
#include <string>
#include <string_view>

namespace ipc::tools {
namespace {

// The codes of ECMA-48, "select graphic rendition".
std::string_view Code(Colour colour) {
  switch (colour) {
    case Colour::kBold:
      return "\x1b[1m";
    case Colour::kDim:
      return "\x1b[2m";
    case Colour::kYellow:
      return "\x1b[33m";
  }
  return "";
}

}  // namespace

std::string Coloured(std::string_view text, Colour colour, bool on) {
  if (!on) return std::string(text);
  return std::string(Code(colour)).append(text).append("\x1b[0m");
}

bool UseColour() {
  const char* no_color = std::getenv("NO_COLOR");
  if (no_color != nullptr && *no_color != '\0') return false;
  const char* term = std::getenv("TERM");
  if (term == nullptr || std::string_view(term) == "dumb") return false;
  return isatty(STDOUT_FILENO) == 1;
}

}  // namespace ipc::tools
