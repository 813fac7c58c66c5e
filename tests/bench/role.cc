// SPDX-License-Identifier: Apache-2.0
//
// Roles: their command line, and the call of the contestant's code for it.

#include "tests/bench/role.h"

#include <signal.h>
#include <sys/prctl.h>
#include <unistd.h>

#include <memory>
#include <utility>

#include "absl/strings/str_cat.h"

namespace ipc::bench {
namespace {

absl::Status Dispatch(const Contestant& contestant, const RoleCommand& command,
                      Control& control) {
  const std::string& role = command.role;
  const Work& work = command.work;
  if (role == kBrokerRole) return contestant.RunBroker(work, control);
  if (role == kPublisherRole) return contestant.RunPublisher(work, control);
  if (role == kSubscriberRole) return contestant.RunSubscriber(work, control);
  if (role == kPingerRole) return contestant.RunPinger(work, control);
  if (role == kEchoRole) return contestant.RunEcho(work, control);
  if (role == kLoadPublisherRole) {
    return contestant.RunLoadPublisher(work, control);
  }
  if (role == kLoadSubscriberRole) {
    return contestant.RunLoadSubscriber(work, control);
  }
  if (role == kIdleRole) return contestant.RunIdle(work, control);
  if (role == kProberRole) return contestant.RunProber(work, control);
  return absl::InvalidArgumentError("no such role: " + role);
}

absl::Status DispatchByName(const RoleCommand& command, Control& control) {
  for (const auto& contestant : MakeContestants()) {
    if (contestant->name() == command.contestant) {
      return Dispatch(*contestant, command, control);
    }
  }
  return absl::InvalidArgumentError("no such contestant: " +
                                    command.contestant);
}

}  // namespace

absl::StatusOr<Process> StartRole(const RoleCommand& command) {
  const Work& work = command.work;
  ProcessOptions options;
  options.label = absl::StrCat(command.contestant, "'s ", command.role);
  options.argv = {
      "/proc/self/exe",
      "role",
      absl::StrCat("--role=", command.role),
      absl::StrCat("--contestant=", command.contestant),
      absl::StrCat("--address=", work.address),
      absl::StrCat("--folder=", work.folder),
      absl::StrCat("--payload-bytes=", work.payload_bytes),
      absl::StrCat("--messages=", work.messages),
      absl::StrCat("--publishers=", work.publishers),
      absl::StrCat("--subscribers=", work.subscribers),
      absl::StrCat("--index=", work.index),
      absl::StrCat("--connections=", work.connections),
      absl::StrCat("--subscriptions-each=", work.subscriptions_each),
  };
  if (work.best_effort) options.argv.push_back("--best-effort");
  if (work.typed) options.argv.push_back("--typed");
  if (work.memfd) options.argv.push_back("--memfd");
  return Process::Start(options);
}

absl::StatusOr<Broker> StartRoleBroker(const std::string& contestant, Work work,
                                       const std::string& file) {
  work.address = absl::StrCat(work.folder, "/", file);
  Broker broker;
  broker.address = work.address;
  auto process = StartRole({kBrokerRole, contestant, std::move(work)});
  if (!process.ok()) return process.status();
  broker.process = *std::move(process);
  auto ready = AwaitReports({&broker.process}, "ready", broker.process);
  if (!ready.ok()) return ready.status();
  return broker;
}

CLI::App* AddRoleCommand(CLI::App& app, RoleCommand* command) {
  Work& work = command->work;
  CLI::App* role = app.add_subcommand("role");
  role->group("");  // not shown in --help
  role->add_option("--role", command->role)->required();
  role->add_option("--contestant", command->contestant)->required();
  role->add_option("--address", work.address)->required();
  role->add_option("--folder", work.folder);
  role->add_option("--payload-bytes", work.payload_bytes);
  role->add_option("--messages", work.messages);
  role->add_option("--publishers", work.publishers);
  role->add_option("--subscribers", work.subscribers);
  role->add_option("--index", work.index);
  role->add_option("--connections", work.connections);
  role->add_option("--subscriptions-each", work.subscriptions_each);
  role->add_flag("--best-effort", work.best_effort);
  role->add_flag("--typed", work.typed);
  role->add_flag("--memfd", work.memfd);
  return role;
}

int RunRole(const RoleCommand& command) {
  signal(SIGPIPE, SIG_IGN);
  // So that top and perf tell the processes apart (15 characters are kept).
  prctl(PR_SET_NAME, absl::StrCat("b-", command.role).c_str());
  Control control(STDIN_FILENO, STDOUT_FILENO);
  const absl::Status status = DispatchByName(command, control);
  if (status.ok()) return 0;
  control.Failed(status);
  return 1;
}

}  // namespace ipc::bench
