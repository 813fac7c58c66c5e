// SPDX-License-Identifier: Apache-2.0
//
// Arguments that several commands take, checked as strictly as the bus checks
// them. CLI11's own conversions are not used for numbers: they read "010" as 8
// and wrap "-1" round to the largest number there is.
//
// Each adds an argument that stores its value in `*target`, which must live as
// long as `app`. A bad value is wrong usage.

#ifndef IPC_TOOLS_ARGUMENTS_H_
#define IPC_TOOLS_ARGUMENTS_H_

#include <CLI/CLI.hpp>
#include <cstdint>
#include <string>

#include "absl/time/time.h"

namespace ipc::tools {

// A required topic, or pattern, as the first positional argument.
void AddTopic(CLI::App* app, std::string* target);
void AddPattern(CLI::App* app, std::string* target);

// --count N: a decimal number, 0 included.
void AddCount(CLI::App* app, uint64_t* target, const std::string& help);

// `name` SECONDS: a finite decimal number, fractions allowed, of at least
// `min`. The default is what `*target` holds.
void AddSeconds(CLI::App* app, const std::string& name, absl::Duration min,
                absl::Duration* target, const std::string& help);

// --rate HZ: a finite number greater than zero.
void AddRate(CLI::App* app, double* target, const std::string& help);

}  // namespace ipc::tools

#endif  // IPC_TOOLS_ARGUMENTS_H_
