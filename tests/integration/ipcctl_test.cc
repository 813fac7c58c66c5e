// SPDX-License-Identifier: Apache-2.0
//
// What holds for all of ipcctl's commands, and those that list and measure:
// topics, clients, ping, version. docs/ipcctl.md is the contract.

#include "tests/integration/ipcctl.h"

#include <signal.h>
#include <unistd.h>

#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/integration/bus.h"
#include "tests/support/sample.pb.h"

namespace ipc::test {
namespace {

using nlohmann::json;
using testing::HasSubstr;
using testing::MatchesRegex;

const std::vector<std::vector<std::string>>& AllCommands() {
  static const std::vector<std::vector<std::string>> kCommands = {
      {"pub", "a/b", "--raw", "x"},
      {"sub", "a/*"},
      {"topics"},
      {"clients"},
      {"status"},
      {"ping"}};
  return kCommands;
}

TEST_F(IpcctlTest, WithoutABrokerACommandFailsAtOnceAndNamesThePath) {
  EXPECT_EQ(broker_.Terminate(), 0);
  for (const auto& command : AllCommands()) {
    const Outcome outcome = Ipcctl(command);
    ExpectFailure(outcome, 1, broker_.socket_path());
    EXPECT_EQ(outcome.out, "") << command.front();
  }
}

TEST_F(IpcctlTest, WrongUsageIsExitCode2AndOneLine) {
  const std::vector<std::vector<std::string>> commands = {
      {},
      {"dance"},
      {"topics", "--no-such-option"},
      {"pub"},
      {"pub", "a/b"},
      {"pub", "a/b", "--raw", "x", "--file", "y"},
      {"pub", "a//b", "--raw", "x"},
      {"pub", "a/*", "--raw", "x"},
      {"pub", "a/b", "--raw", "x", "--count", "-1"},
      {"pub", "a/b", "--raw", "x", "--rate", "0"},
      {"pub", "a/b", "--raw="},
      {"sub"},
      {"sub", ""},
      {"sub", "a b"},
      {"sub", "a/*", "--json", "--raw"},
      {"sub", "a/*", "--count", "many"},
      {"ping", "--interval", "0"},
      {"ping", "--count", "1e3"}};
  for (const auto& command : commands) {
    const Outcome outcome = Ipcctl(command);
    ExpectFailure(outcome, 2, "");
    EXPECT_EQ(outcome.out, "");
  }
}

TEST_F(IpcctlTest, EveryCommandHasHelpWithExamples) {
  EXPECT_THAT(Ipcctl({"--help"}).out, HasSubstr("Examples:"));
  for (const auto& command : AllCommands()) {
    const Outcome outcome = Ipcctl({command.front(), "--help"});
    ExpectDone(outcome);
    EXPECT_THAT(outcome.out, HasSubstr("Example")) << command.front();
  }
}

TEST_F(IpcctlTest, TheSocketMayStandBehindTheCommandOrInTheEnvironment) {
  ExpectDone(RunProcess(
      {.argv = {IPCCTL_BINARY, "topics", "--socket", broker_.socket_path()}}));
  ExpectDone(
      RunProcess({.argv = {IPCCTL_BINARY, "topics"},
                  .environment = {"IPC_SOCKET=" + broker_.socket_path()}}));
  const Outcome outcome =
      RunProcess({.argv = {IPCCTL_BINARY, "topics"},
                  .environment = {"IPC_SOCKET", "XDG_RUNTIME_DIR=/nowhere"}});
  ExpectFailure(outcome, 1, "/nowhere/ipc/bus.sock");
}

TEST_F(IpcctlTest, VersionTellsItsOwnAndTheBrokers) {
  const Outcome outcome = Ipcctl({"version"});
  ExpectDone(outcome);
  const std::vector<std::string> lines = Lines(outcome.out);
  ASSERT_EQ(lines.size(), 2u);
  EXPECT_THAT(lines[0], MatchesRegex("ipcctl [0-9]+\\.[0-9]+\\.[0-9]+"));
  EXPECT_THAT(lines[1],
              MatchesRegex("broker [0-9]+\\.[0-9]+\\.[0-9]+, protocol "
                           "1, instance [0-9a-f]{32}, at .*"));
  EXPECT_THAT(lines[1], HasSubstr(broker_.socket_path()));
}

TEST_F(IpcctlTest, VersionWithoutABrokerIsNoFailure) {
  EXPECT_EQ(broker_.Terminate(), 0);
  const Outcome outcome = Ipcctl({"version"});
  ExpectDone(outcome);
  EXPECT_EQ(Lines(outcome.out).size(), 2u);
}

TEST_F(IpcctlTest, PingMeasuresAndSumsUp) {
  const Outcome outcome =
      Ipcctl({"ping", "--count", "3", "--interval", "0.001"});
  ExpectDone(outcome);
  const std::vector<std::string> lines = Lines(outcome.out);
  ASSERT_EQ(lines.size(), 6u) << outcome.out;
  EXPECT_THAT(lines[0], HasSubstr(broker_.socket_path()));
  EXPECT_THAT(lines[1], MatchesRegex("seq=1 time=[0-9.]+(ns|us|ms|s)"));
  EXPECT_THAT(lines[3], MatchesRegex("seq=3 time=[0-9.]+(ns|us|ms|s)"));
  EXPECT_EQ(lines[4], "--- 3 pings, 3 answered, 0% lost");
  EXPECT_THAT(lines[5], HasSubstr("min/avg/max"));
}

TEST_F(IpcctlTest, PingEndsCleanlyOnCtrlC) {
  Process ping(Command({"ping", "--interval", "0.001"}));
  ASSERT_TRUE(ping.ReadLine());
  ASSERT_TRUE(ping.ReadLine());
  ping.Signal(SIGINT);
  EXPECT_EQ(ping.Wait(), 0);
  EXPECT_THAT(ping.out(), HasSubstr("min/avg/max"));
  EXPECT_EQ(ping.err(), "");
}

TEST_F(IpcctlTest, TopicsListsTypesAndCounts) {
  auto client = Connect("client");
  ASSERT_OK_AND_ASSIGN(RawPublisher raw, client->AdvertiseRaw("b/raw"));
  ASSERT_OK_AND_ASSIGN(auto typed, client->Advertise<Sample>("a/typed"));
  ASSERT_OK_AND_ASSIGN(auto subscription,
                       client->SubscribeRaw(
                           "b/*", [](const Message&) {}, Patient()));
  ASSERT_OK(raw.Publish("12345"));
  ASSERT_OK(raw.Publish("67890"));
  ASSERT_OK(client->Flush(kPatience));

  const Outcome table = Ipcctl({"topics"});
  ExpectDone(table);
  const std::vector<std::string> lines = Lines(table.out);
  ASSERT_EQ(lines.size(), 3u) << table.out;
  EXPECT_THAT(lines[0], MatchesRegex("TOPIC +TYPE +PUBLISHERS +SUBSCRIPTIONS "
                                     "+MESSAGES +BYTES"));
  EXPECT_THAT(lines[1],
              MatchesRegex("a/typed +ipc\\.test\\.Sample +1 +0 +0 +0"));
  EXPECT_THAT(lines[2], MatchesRegex("b/raw +- +1 +1 +2 +10"));

  const Outcome as_json = Ipcctl({"topics", "--json"});
  ExpectDone(as_json);
  const std::vector<std::string> objects = Lines(as_json.out);
  ASSERT_EQ(objects.size(), 2u);
  const json expected = {{"topic", "b/raw"}, {"type", ""},
                         {"publishers", 1},  {"subscriptions", 1},
                         {"messages", 2},    {"bytes", 10}};
  EXPECT_EQ(json::parse(objects[1], nullptr, false), expected);
}

TEST_F(IpcctlTest, ClientsListsEverybodyAndItself) {
  auto client = Connect("client");
  const Outcome table = Ipcctl({"clients"});
  ExpectDone(table);
  const std::vector<std::string> lines = Lines(table.out);
  ASSERT_EQ(lines.size(), 3u) << table.out;
  EXPECT_THAT(lines[0], HasSubstr("NAME"));
  EXPECT_THAT(lines[1], HasSubstr(std::to_string(getpid())));
  EXPECT_THAT(lines[2], HasSubstr("ipcctl"));

  const Outcome as_json = Ipcctl({"clients", "--json"});
  ExpectDone(as_json);
  const std::vector<std::string> objects = Lines(as_json.out);
  ASSERT_EQ(objects.size(), 2u);
  const json first = json::parse(objects[0], nullptr, false);
  ASSERT_TRUE(first.is_object()) << objects[0];
  EXPECT_EQ(first.value("name", ""), "client");
  EXPECT_EQ(first.value("pid", 0), getpid());
  EXPECT_TRUE(first.value("connected", false));
  for (const char* field :
       {"session", "uid", "gid", "publications", "subscriptions", "messages_in",
        "messages_out", "queued_bytes", "dropped"}) {
    EXPECT_TRUE(first.contains(field)) << field;
  }
}

TEST_F(IpcctlTest, AnEmptyBusHasAnEmptyList) {
  EXPECT_EQ(Lines(Ipcctl({"topics"}).out).size(), 1u);
  const Outcome outcome = Ipcctl({"topics", "--json"});
  ExpectDone(outcome);
  EXPECT_EQ(outcome.out, "");
}

TEST_F(IpcctlTest, AListLongerThanOnePageIsComplete) {
  constexpr size_t kTopics = 1500;
  auto client = Connect("client");
  std::vector<RawPublisher> publishers;
  for (size_t i = 0; i < kTopics; ++i) {
    ASSERT_OK_AND_ASSIGN(RawPublisher publisher,
                         client->AdvertiseRaw("t/" + std::to_string(i)));
    publishers.push_back(std::move(publisher));
  }
  const Outcome outcome = Ipcctl({"topics", "--json"});
  ExpectDone(outcome);
  EXPECT_EQ(Lines(outcome.out).size(), kTopics);
}

TEST_F(IpcctlTest, AFullDiskIsAFailure) {
  if (access("/dev/full", W_OK) != 0) GTEST_SKIP() << "there is no /dev/full";
  ProcessOptions options = {
      .argv = {"/bin/sh", "-c",
               std::string(IPCCTL_BINARY) + " topics --socket " +
                   broker_.socket_path() + " > /dev/full"}};
  ExpectFailure(RunProcess(options), 1, "space");
}

}  // namespace
}  // namespace ipc::test
