// SPDX-License-Identifier: Apache-2.0
//
// Cuts the kernel's text tables into lines, fields and numbers. Each Take
// function moves its argument behind what it returns; at the end of the text
// they return nothing for ever. Nothing here fails: a caller that cares
// whether a field was there asks whether it is empty.

#ifndef IPC_EXAMPLES_HOSTMON_FIELDS_H_
#define IPC_EXAMPLES_HOSTMON_FIELDS_H_

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace hostmon {

// The text up to the next end of line, which is dropped.
std::string_view TakeLine(std::string_view* text);

// The next run of bytes that are neither space nor tab.
std::string_view TakeField(std::string_view* line);

// Drops `count` fields.
void SkipFields(std::string_view* line, int count);

// The number that the whole of `field` is, in decimal, if it is one and fits.
std::optional<uint64_t> ParseNumber(std::string_view field);

// The next field as a number; 0 if it is missing or anything else.
uint64_t TakeNumber(std::string_view* line);

// `name` with every byte that is not printable ASCII turned into '?', since
// kernel names may hold any bytes and protobuf strings must be UTF-8.
std::string Printable(std::string_view name);

}  // namespace hostmon

#endif  // IPC_EXAMPLES_HOSTMON_FIELDS_H_
