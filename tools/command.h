// SPDX-License-Identifier: Apache-2.0
//
// What the commands share with main.cc. Each command has a file of its own,
// which declares its arguments and runs it:
//
//   MakeX(app)        adds the subcommand, with its options and its help
//   command.run(...)  is called if the user chose it
//
// A command writes its results to stdout and returns a status; main.cc turns
// one that is not OK into the one line on stderr and exit code 1. Wrong usage
// is found while the command line is parsed (exit code 2), and so before
// anything was done.

#ifndef IPC_TOOLS_COMMAND_H_
#define IPC_TOOLS_COMMAND_H_

#include <CLI/CLI.hpp>
#include <functional>
#include <string>

#include "absl/status/status.h"

namespace ipc::tools {

// The options in front of the subcommand.
struct Globals {
  std::string socket_path;  // empty: the library's default
};

struct Command {
  const CLI::App* app = nullptr;  // owned by its parent app
  std::function<absl::Status(const Globals&)> run;
};

Command MakePub(CLI::App* app);
Command MakeSub(CLI::App* app);
Command MakeTopics(CLI::App* app);
Command MakeClients(CLI::App* app);
Command MakeStatus(CLI::App* app);
Command MakePing(CLI::App* app);
Command MakeVersion(CLI::App* app);

// The version of this tool and of the library that it was built with.
std::string ToolVersion();

}  // namespace ipc::tools

#endif  // IPC_TOOLS_COMMAND_H_
