// SPDX-License-Identifier: Apache-2.0
//
// How ipc-broker starts, and how it says that it cannot: one line on stderr and
// exit code 1; 2 for wrong usage.

#include <signal.h>
#include <sys/stat.h>
#include <unistd.h>

#include <string>
#include <thread>
#include <vector>

#include "absl/time/clock.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/integration/bus.h"

namespace ipc::test {
namespace {

using testing::HasSubstr;

constexpr uid_t kNobody = 65534;

class BrokerStartTest : public testing::Test {
 protected:
  ProcessOptions Command(std::vector<std::string> arguments) const {
    arguments.insert(arguments.begin(), IPC_BROKER_BINARY);
    return {.argv = std::move(arguments)};
  }
  Outcome RunBroker(std::vector<std::string> arguments) const {
    return RunProcess(Command(std::move(arguments)));
  }
  // It says why in one line.
  static void ExpectRefusal(const Outcome& outcome, const std::string& reason) {
    EXPECT_EQ(outcome.exit_code, 1);
    EXPECT_EQ(Lines(outcome.err).size(), 1u) << outcome.err;
    EXPECT_THAT(outcome.err, testing::StartsWith("ipc-broker: "));
    EXPECT_THAT(outcome.err, HasSubstr(reason));
    EXPECT_EQ(outcome.out, "");
  }

  const TempDir folder_;
  const std::string path_ = folder_.File("bus.sock");
};

bool IsSocket(const std::string& path) {
  struct stat status = {};
  return lstat(path.c_str(), &status) == 0 && S_ISSOCK(status.st_mode);
}

TEST_F(BrokerStartTest, ReplacesTheSocketOfABrokerThatDied) {
  BrokerProcess broker(IPC_BROKER_BINARY);
  broker.Start();
  broker.Kill();
  EXPECT_TRUE(IsSocket(broker.socket_path()));
  broker.Start();
  EXPECT_OK(Client::Connect(OptionsFor(broker.socket_path(), "client")));
}

TEST_F(BrokerStartTest, LeavesALiveBrokerAlone) {
  BrokerProcess broker(IPC_BROKER_BINARY);
  broker.Start();
  const auto client = Client::Connect(OptionsFor(broker.socket_path(), "it"));
  ASSERT_OK(client);
  ExpectRefusal(RunBroker({"--socket", broker.socket_path()}),
                broker.socket_path());
  EXPECT_OK((*client)->Ping(kPatience));
  EXPECT_EQ((*client)->stats().connections, 1u);
  EXPECT_TRUE(IsSocket(broker.socket_path()));
}

TEST_F(BrokerStartTest, SaysThatTheFolderIsMissing) {
  const std::string path = folder_.File("none/bus.sock");
  ExpectRefusal(RunBroker({"--socket", path}), path);
}

TEST_F(BrokerStartTest, SaysThatThePathIsTooLong) {
  const std::string path = "/tmp/" + std::string(200, 'p');
  ExpectRefusal(RunBroker({"--socket", path}), "107");
}

TEST_F(BrokerStartTest, SaysThatThePathIsAFileAndKeepsIt) {
  folder_.Write("bus.sock", "precious");
  ExpectRefusal(RunBroker({"--socket", path_}), path_);
  EXPECT_EQ(ReadFile(path_), "precious");
}

TEST_F(BrokerStartTest, SaysThatItMayNotWriteThere) {
  ProcessOptions options = Command({"--socket", path_});
  if (geteuid() == 0) options.uid = kNobody;
  ASSERT_EQ(chmod(folder_.path().c_str(), 0500), 0);
  ExpectRefusal(RunProcess(options), path_);
}

TEST_F(BrokerStartTest, SpinsOnlyWithEnoughProcessors) {
  BrokerProcess broker(IPC_BROKER_BINARY);
  broker.AddArgument("--spin=50us");
  broker.Start();
  const auto client = Client::Connect(OptionsFor(broker.socket_path(), "it"));
  ASSERT_OK(client);
  for (int i = 0; i < 100; ++i) EXPECT_OK((*client)->Ping(kPatience));
  EXPECT_EQ(broker.log().find("does not spin") != std::string::npos,
            std::thread::hardware_concurrency() < 4);
}

TEST_F(BrokerStartTest, RefusesWrongUsage) {
  for (const auto& arguments :
       std::vector<std::vector<std::string>>{{"--no-such-option"},
                                             {"word"},
                                             {"--socket"},
                                             {"--log-level", "loud"},
                                             {"--spin", "2ms"},
                                             {"--spin", "-1us"},
                                             {"--message-bytes-max", "1"},
                                             {"--message-bytes-max", "many"}}) {
    const Outcome outcome = RunBroker(arguments);
    EXPECT_EQ(outcome.exit_code, 2) << arguments.front();
    EXPECT_NE(outcome.err, "") << arguments.front();
    EXPECT_EQ(outcome.out, "") << arguments.front();
  }
}

TEST_F(BrokerStartTest, TellsItsVersionAndItsOptions) {
  const Outcome version = RunBroker({"--version"});
  EXPECT_EQ(version.exit_code, 0);
  EXPECT_THAT(version.out,
              testing::MatchesRegex("ipc-broker [0-9]+\\.[0-9]+\\.[0-9]+\n"));
  const Outcome help = RunBroker({"--help"});
  EXPECT_EQ(help.exit_code, 0);
  EXPECT_THAT(help.out, HasSubstr("--socket"));
  EXPECT_EQ(version.err + help.err, "");
}

TEST_F(BrokerStartTest, ReadsItsOptionsFromAFileAndTheCommandLineWins) {
  const std::string config = folder_.Write(
      "broker.conf", "# a comment\nsocket = " + folder_.File("other") +
                         "\nmessage-bytes-max = 4096\n");
  Process broker(Command({"--config", config, "--socket", path_}));
  ASSERT_TRUE(WaitUntil([&] { return Listens(path_); })) << broker.err();
  const auto client = Client::Connect(OptionsFor(path_, "client"));
  ASSERT_OK(client);
  EXPECT_EQ((*client)->broker()->message_bytes_max, 4096u);
  EXPECT_FALSE(IsSocket(folder_.File("other")));
}

TEST_F(BrokerStartTest, RefusesAConfigurationThatIsWrongOrMissing) {
  const std::string unknown_key =
      folder_.Write("unknown", "socket = " + path_ + "\nspeed = 11\n");
  const std::string bad_value =
      folder_.Write("value", "message-bytes-max = plenty\n");
  const std::string missing = folder_.File("missing");
  for (const std::string& config : {unknown_key, bad_value, missing}) {
    const Outcome outcome = RunBroker({"--config", config, "--socket", path_});
    EXPECT_NE(outcome.exit_code, 0) << config;
    EXPECT_NE(outcome.err, "") << config;
  }
  EXPECT_THAT(RunBroker({"--config", unknown_key}).err, HasSubstr("speed"));
  ExpectRefusal(RunBroker({"--config", missing, "--socket", path_}), missing);
}

TEST_F(BrokerStartTest, TheSocketIsPrivateFromItsFirstMomentOn) {
  ProcessOptions options = Command({"--socket", path_});
  options.umask = 0;
  Process broker(options);
  struct stat status = {};
  // As soon as it is there, not a millisecond later.
  const absl::Time deadline = absl::Now() + kPatience;
  while (lstat(path_.c_str(), &status) != 0 && absl::Now() < deadline) {
  }
  EXPECT_EQ(status.st_mode & 07777, 0600u);
  ASSERT_TRUE(WaitUntil([&] { return Listens(path_); })) << broker.err();
  ASSERT_EQ(lstat(path_.c_str(), &status), 0);
  EXPECT_EQ(status.st_mode & 07777, 0600u);
}

TEST_F(BrokerStartTest, TwoThatStartTogetherDoNotTakeEachOthersSocket) {
  constexpr int kRounds = 20;
  for (int i = 0; i < kRounds; ++i) {
    Process first(Command({"--socket", path_}));
    Process second(Command({"--socket", path_}));
    // One of them gives up, and the other serves.
    ASSERT_TRUE(WaitUntil([&] { return first.Running() != second.Running(); }));
    Process& loser = first.Running() ? second : first;
    Process& winner = first.Running() ? first : second;
    EXPECT_EQ(loser.Wait(), 1);
    EXPECT_TRUE(WaitUntil([&] { return Listens(path_); }));
    winner.Signal(SIGTERM);
    EXPECT_EQ(winner.Wait(), 0) << winner.err();
    EXPECT_FALSE(IsSocket(path_));
  }
}

}  // namespace
}  // namespace ipc::test
