// SPDX-License-Identifier: Apache-2.0
//
// Runs ipcctl against the broker of a test.

#ifndef IPC_TESTS_INTEGRATION_IPCCTL_H_
#define IPC_TESTS_INTEGRATION_IPCCTL_H_

#include <string>
#include <utility>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/integration/bus.h"
#include "tests/support/process.h"

namespace ipc::test {

class IpcctlTest : public BusTest {
 protected:
  ProcessOptions Command(std::vector<std::string> arguments) const {
    arguments.insert(arguments.begin(),
                     {IPCCTL_BINARY, "--socket", broker_.socket_path()});
    return {.argv = std::move(arguments)};
  }
  Outcome Ipcctl(std::vector<std::string> arguments,
                 std::string input = "") const {
    ProcessOptions options = Command(std::move(arguments));
    options.input = std::move(input);
    return RunProcess(options);
  }

  // Failed, for the reason given in one line on stderr.
  static void ExpectFailure(const Outcome& outcome, int exit_code,
                            const std::string& reason) {
    EXPECT_EQ(outcome.exit_code, exit_code);
    EXPECT_EQ(Lines(outcome.err).size(), 1u) << outcome.err;
    EXPECT_THAT(outcome.err, testing::StartsWith("ipcctl: "));
    EXPECT_THAT(outcome.err, testing::HasSubstr(reason));
  }
  static void ExpectDone(const Outcome& outcome) {
    EXPECT_EQ(outcome.exit_code, 0);
    EXPECT_EQ(outcome.err, "");
  }
};

}  // namespace ipc::test

#endif  // IPC_TESTS_INTEGRATION_IPCCTL_H_
