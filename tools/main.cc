// SPDX-License-Identifier: Apache-2.0
//
// ipcctl: what an operator sees and does on the bus. This file parses the
// command line, runs the chosen command and turns its outcome into an exit
// code; the commands have a file each (command.h).
//
//   0  done
//   1  failed; one line on stderr says why
//   2  wrong usage; one line on stderr says what

#include <fcntl.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <csignal>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/str_format.h"
#include "tools/command.h"
#include "tools/output.h"

namespace ipc::tools {
namespace {

constexpr int kDone = 0;
constexpr int kFailed = 1;
constexpr int kWrongUsage = 2;

constexpr char kDescription[] =
    "Publishes to, watches and inspects the IPC bus of this host.";

constexpr char kFooter[] =
    "The broker's socket is --socket (before or after the subcommand), else\n"
    "$IPC_SOCKET, else $XDG_RUNTIME_DIR/ipc/bus.sock, else /run/ipc/bus.sock.\n"
    "\n"
    "Examples:\n"
    "  ipcctl topics                           what is there\n"
    "  ipcctl sub 'sensors/**'                 watch it\n"
    "  ipcctl pub test/hello --raw 'hi there'  say something\n"
    "  ipcctl sub --help                       more on a command\n"
    "\n"
    "Exit codes: 0 done, 1 failed (one line on stderr), 2 wrong usage.";

// A descriptor opened later must not become stdout or stderr because the
// caller closed those. Opened the wrong way round: using them is an error.
void OpenStandardDescriptors() {
  for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; ++fd) {
    if (fcntl(fd, F_GETFD) >= 0) continue;
    const int flags = fd == STDIN_FILENO ? O_WRONLY : O_RDONLY;
    [[maybe_unused]] const int opened = open("/dev/null", flags);
  }
}

std::vector<Command> AddCommands(CLI::App* app) {
  return {MakePub(app),    MakeSub(app),  MakeTopics(app), MakeClients(app),
          MakeStatus(app), MakePing(app), MakeVersion(app)};
}

void AddGlobals(CLI::App* app, Globals* globals) {
  app->fallthrough();
  app->require_subcommand(1);
  app->footer(kFooter);
  app->set_version_flag("--version", "ipcctl " + ToolVersion());
  app->add_option("--socket", globals->socket_path, "the broker's socket")
      ->option_text("PATH")
      ->check([](const std::string& path) {
        return path.empty() ? std::string("the path is empty") : std::string();
      });
}

// CLI11 takes "--raw=" for an option whose value comes next, and would eat the
// following option. Returns the first such argument, or null.
const char* FindEmptyValue(int argc, char** argv) {
  for (int i = 1; i < argc; ++i) {
    const std::string_view argument = argv[i];
    if (argument == "--") return nullptr;
    if (argument.substr(0, 2) != "--") continue;
    if (argument.find('=') == argument.size() - 1) return argv[i];
  }
  return nullptr;
}

int WrongUsage(const CLI::App& app, const std::string& what) {
  const std::vector<CLI::App*> chosen = app.get_subcommands();
  const std::string name = chosen.empty() ? "" : chosen[0]->get_name() + " ";
  Complain(absl::StrFormat("%s (see 'ipcctl %s--help')", what, name));
  return kWrongUsage;
}

int Run(const std::vector<Command>& commands, const Globals& globals) {
  for (const Command& command : commands) {
    if (!command.app->parsed()) continue;
    const absl::Status status = command.run(globals);
    if (status.ok()) return kDone;
    Complain(StatusText(status));
    return kFailed;
  }
  return kWrongUsage;
}

int Main(int argc, char** argv) {
  OpenStandardDescriptors();
  // A reader of our output who leaves is an error of write(2), not our death.
  std::signal(SIGPIPE, SIG_IGN);
  CLI::App app(kDescription, "ipcctl");
  Globals globals;
  AddGlobals(&app, &globals);
  const std::vector<Command> commands = AddCommands(&app);
  if (const char* empty = FindEmptyValue(argc, argv); empty != nullptr) {
    return WrongUsage(app, absl::StrFormat("'%s' has no value; write an empty "
                                           "one as a word of its own: ''",
                                           empty));
  }
  try {
    app.parse(argc, argv);
  } catch (const CLI::Success& help) {
    return app.exit(help);
  } catch (const CLI::ParseError& error) {
    return WrongUsage(app, error.what());
  }
  return Run(commands, globals);
}

}  // namespace
}  // namespace ipc::tools

int main(int argc, char** argv) { return ipc::tools::Main(argc, argv); }
