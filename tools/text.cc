// SPDX-License-Identifier: Apache-2.0
//
// See text.h. The UTF-8 decoder refuses what RFC 3629 refuses: overlong forms,
// surrogates and anything above U+10FFFF.

#include "tools/text.h"

#include <cstddef>
#include <string>
#include <string_view>

#include "absl/strings/str_format.h"
#include "absl/time/time.h"

namespace ipc::tools {
namespace {

struct CodePoint {
  char32_t value = 0;
  size_t size = 0;  // bytes; 0: malformed
};

unsigned char ByteAt(std::string_view text, size_t index) {
  return static_cast<unsigned char>(text[index]);
}

// What the first byte of a code point says of it.
CodePoint Lead(unsigned char byte) {
  if (byte < 0x80) return {byte, 1};
  if (byte >= 0xc2 && byte <= 0xdf) return {byte & 0x1fu, 2};
  if (byte >= 0xe0 && byte <= 0xef) return {byte & 0x0fu, 3};
  if (byte >= 0xf0 && byte <= 0xf4) return {byte & 0x07u, 4};
  return {};
}

// The first code point of `text`, which is not empty.
CodePoint Decode(std::string_view text) {
  CodePoint point = Lead(ByteAt(text, 0));
  if (point.size > text.size()) return {};
  for (size_t i = 1; i < point.size; ++i) {
    const unsigned char byte = ByteAt(text, i);
    if ((byte & 0xc0) != 0x80) return {};
    point.value = (point.value << 6) | (byte & 0x3fu);
  }
  if (point.size == 3 && point.value < 0x800) return {};
  if (point.size == 4 && point.value < 0x10000) return {};
  if (point.value >= 0xd800 && point.value <= 0xdfff) return {};
  return point.value > 0x10ffff ? CodePoint{} : point;
}

bool Within(char32_t value, char32_t first, char32_t last) {
  return value >= first && value <= last;
}

bool IsPrintable(CodePoint point) {
  if (point.size == 0) return false;
  const char32_t value = point.value;
  if (value < 0x20 || Within(value, 0x7f, 0x9f)) return false;
  if (value == 0x61c || value == 0xfeff) return false;
  return !Within(value, 0x200b, 0x200f) && !Within(value, 0x2028, 0x202e) &&
         !Within(value, 0x2060, 0x206f);
}

// How a line end or a tab is written in C; null for anything else.
const char* CEscape(char c) {
  switch (c) {
    case '\n':
      return "\\n";
    case '\r':
      return "\\r";
    case '\t':
      return "\\t";
    default:
      return nullptr;
  }
}

std::string LeftOut(size_t shown, size_t size) {
  if (shown == size) return "";
  return absl::StrFormat(" ... (+%d bytes)", size - shown);
}

// Appends the code point at the front of `text` and returns its size.
size_t AppendPrintable(std::string_view text, std::string* out) {
  const CodePoint point = Decode(text);
  if (!IsPrintable(point)) {
    out->append(absl::StrFormat("\\x%02x", ByteAt(text, 0)));
    return 1;
  }
  out->append(text.substr(0, point.size));
  return point.size;
}

}  // namespace

std::string Printable(std::string_view text) {
  std::string out;
  out.reserve(text.size());
  while (!text.empty()) text.remove_prefix(AppendPrintable(text, &out));
  return out;
}

bool IsText(std::string_view bytes) {
  while (!bytes.empty()) {
    const CodePoint point = Decode(bytes);
    if (!IsPrintable(point) && CEscape(bytes[0]) == nullptr) return false;
    bytes.remove_prefix(point.size);
  }
  return true;
}

std::string Quoted(std::string_view text, size_t bytes_max) {
  std::string out = "\"";
  size_t at = 0;
  while (at < text.size() && at < bytes_max) {
    const char c = text[at];
    if (const char* escape = CEscape(c); escape != nullptr) {
      out.append(escape);
      ++at;
      continue;
    }
    if (c == '"' || c == '\\') out.push_back('\\');
    at += AppendPrintable(text.substr(at), &out);
  }
  return out + "\"" + LeftOut(at, text.size());
}

std::string HexPreview(std::string_view bytes, size_t bytes_max) {
  std::string out;
  size_t at = 0;
  for (; at < bytes.size() && at < bytes_max; ++at) {
    if (at > 0) out.push_back(' ');
    out.append(absl::StrFormat("%02x", ByteAt(bytes, at)));
  }
  return out + LeftOut(at, bytes.size());
}

size_t DisplayWidth(std::string_view text) {
  size_t width = 0;
  for (size_t i = 0; i < text.size(); ++i) {
    if ((ByteAt(text, i) & 0xc0) != 0x80) ++width;
  }
  return width;
}

std::string FormatLatency(absl::Duration duration) {
  const absl::Duration size = absl::AbsDuration(duration);
  double value = absl::ToDoubleSeconds(duration);
  const char* unit = "s";
  if (size < absl::Milliseconds(1)) {
    value = absl::ToDoubleMicroseconds(duration);
    unit = "us";
  } else if (size < absl::Seconds(1)) {
    value = absl::ToDoubleMilliseconds(duration);
    unit = "ms";
  }
  const double shown = value < 0 ? -value : value;
  const int digits = shown < 10 ? 2 : shown < 100 ? 1 : 0;
  return absl::StrFormat("%.*f%s", digits, value, unit);
}

}  // namespace ipc::tools
