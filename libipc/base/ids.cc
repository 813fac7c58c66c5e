// SPDX-License-Identifier: Apache-2.0
//
// Text and byte forms of ids.

#include "libipc/base/ids.h"

#include <algorithm>

namespace ipc {

std::string ToHex(const Token& token) {
  static constexpr char kDigits[] = "0123456789abcdef";
  std::string text;
  text.reserve(2 * token.bytes.size());
  for (uint8_t byte : token.bytes) {
    text += kDigits[byte >> 4];
    text += kDigits[byte & 15];
  }
  return text;
}

std::string ToBytes(const Token& token) {
  return {token.bytes.begin(), token.bytes.end()};
}

bool TokenFromBytes(std::string_view bytes, Token* token) {
  if (bytes.size() != token->bytes.size()) return false;
  std::transform(bytes.begin(), bytes.end(), token->bytes.begin(),
                 [](char c) { return static_cast<uint8_t>(c); });
  return true;
}

}  // namespace ipc
