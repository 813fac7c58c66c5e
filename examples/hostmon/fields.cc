// SPDX-License-Identifier: Apache-2.0
//
// See fields.h. Only std::string_view and from_chars: no allocation, no locale
// and no exception, whatever the text.

#include "examples/hostmon/fields.h"

#include <algorithm>
#include <charconv>
#include <cstddef>

namespace hostmon {

std::string_view TakeLine(std::string_view* text) {
  const size_t end = std::min(text->find('\n'), text->size());
  const std::string_view line = text->substr(0, end);
  text->remove_prefix(std::min(end + 1, text->size()));
  return line;
}

std::string_view TakeField(std::string_view* line) {
  const size_t begin = std::min(line->find_first_not_of(" \t"), line->size());
  line->remove_prefix(begin);
  const size_t end = std::min(line->find_first_of(" \t"), line->size());
  const std::string_view field = line->substr(0, end);
  line->remove_prefix(end);
  return field;
}

void SkipFields(std::string_view* line, int count) {
  for (; count > 0; --count) TakeField(line);
}

std::optional<uint64_t> ParseNumber(std::string_view field) {
  uint64_t number = 0;
  const char* const end = field.data() + field.size();
  const auto [stop, error] = std::from_chars(field.data(), end, number);
  if (error != std::errc() || stop != end) return std::nullopt;
  return number;
}

uint64_t TakeNumber(std::string_view* line) {
  return ParseNumber(TakeField(line)).value_or(0);
}

std::string Printable(std::string_view name) {
  std::string text(name);
  for (char& c : text) {
    if (c < ' ' || c > '~') c = '?';
  }
  return text;
}

}  // namespace hostmon
