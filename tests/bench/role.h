// SPDX-License-Identifier: Apache-2.0
//
// The hidden subcommand `bench role ...`: this program as one process of a
// measurement. Its command line is written and read here, nowhere else.

#ifndef IPC_TESTS_BENCH_ROLE_H_
#define IPC_TESTS_BENCH_ROLE_H_

#include <string>
#include <vector>

#include "CLI/CLI.hpp"
#include "tests/bench/contestant.h"
#include "tests/bench/process.h"

namespace ipc::bench {

struct RoleCommand {
  std::string role;
  std::string contestant;
  Work work;
};

// The roles' names.
inline constexpr char kBrokerRole[] = "broker";
inline constexpr char kPublisherRole[] = "publisher";
inline constexpr char kSubscriberRole[] = "subscriber";
inline constexpr char kPingerRole[] = "pinger";
inline constexpr char kEchoRole[] = "echo";
inline constexpr char kLoadPublisherRole[] = "load-publisher";
inline constexpr char kLoadSubscriberRole[] = "load-subscriber";
inline constexpr char kIdleRole[] = "idle";
inline constexpr char kProberRole[] = "prober";

// Starts this program in a role.
absl::StatusOr<Process> StartRole(const RoleCommand& command);

// A contestant's broker that is this program in kBrokerRole, as soon as it is
// ready. Its address is `file` in the work's folder.
absl::StatusOr<Broker> StartRoleBroker(const std::string& contestant, Work work,
                                       const std::string& file);

// Adds the subcommand; `command` is borrowed and filled by parsing.
CLI::App* AddRoleCommand(CLI::App& app, RoleCommand* command);

// Runs the role; the exit status of this process.
int RunRole(const RoleCommand& command);

}  // namespace ipc::bench

#endif  // IPC_TESTS_BENCH_ROLE_H_
