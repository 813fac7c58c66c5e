// SPDX-License-Identifier: Apache-2.0
//
// Bytes that strangers chose, made fit for a person's terminal: pure functions.
//
// A code point is *printable* here when it is valid UTF-8, no control character
// (C0, DEL, C1) and none of the invisible ones that turn the direction of text
// or break lines, with which a name could pass itself off as another.

#ifndef IPC_TOOLS_TEXT_H_
#define IPC_TOOLS_TEXT_H_

#include <cstddef>
#include <string>
#include <string_view>

#include "absl/time/time.h"

namespace ipc::tools {

// `text` with every byte that is not part of a printable code point as \xNN.
std::string Printable(std::string_view text);

// Whether `bytes` are text: printable code points, tabs and line ends only.
bool IsText(std::string_view bytes);

// The first `bytes_max` bytes of `text`, quoted, with line ends, tabs, quotes
// and backslashes escaped as in C, and a note on how many bytes are left out.
std::string Quoted(std::string_view text, size_t bytes_max);

// The first `bytes_max` bytes in hexadecimal, and how many are left out.
std::string HexPreview(std::string_view bytes, size_t bytes_max);

// How many columns printable `text` takes, one for each code point.
size_t DisplayWidth(std::string_view text);

// With about three digits and its unit: "38.1us", "1.23ms", "2.05s".
std::string FormatLatency(absl::Duration duration);

}  // namespace ipc::tools

#endif  // IPC_TOOLS_TEXT_H_
