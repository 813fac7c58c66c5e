// SPDX-License-Identifier: Apache-2.0
//
// ipcctl pub and sub: bytes in, bytes and JSON out, and what their exit codes
// promise. docs/ipcctl.md is the contract.

#include <signal.h>
#include <unistd.h>

#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/integration/bus.h"
#include "tests/integration/ipcctl.h"
#include "tests/integration/open_files.h"
#include "tests/support/sample.pb.h"

namespace ipc::test {
namespace {

using nlohmann::json;
using testing::HasSubstr;

const std::string& AllBytes() {
  static const std::string kBytes = [] {
    std::string bytes;
    for (int i = 0; i < 256; ++i) bytes += static_cast<char>(i);
    return bytes + "\n\n";
  }();
  return kBytes;
}

class IpcctlPubTest : public IpcctlTest {
 protected:
  void SetUp() override {
    IpcctlTest::SetUp();
    client_ = Connect("reader");
    ASSERT_OK_AND_ASSIGN(subscription_,
                         client_->SubscribeRaw("a/*", Patient()));
  }
  // What `pub` with these arguments publishes.
  std::string Published(const std::vector<std::string>& arguments,
                        const std::string& input = "") {
    std::vector<std::string> all = {"pub", "a/b"};
    all.insert(all.end(), arguments.begin(), arguments.end());
    ProcessOptions options = Command(all);
    options.input = input;
    Process pub(options);
    const auto message = subscription_.Next(kPatience);
    EXPECT_EQ(pub.Wait(), 0) << pub.err();
    EXPECT_EQ(pub.out() + pub.err(), "");
    if (!message.ok()) return "nothing";
    EXPECT_EQ(message->publisher().name, "ipcctl");
    EXPECT_EQ(message->publisher().pid, pub.pid());
    return std::string(message->text());
  }

  std::unique_ptr<Client> client_;
  RawSubscription subscription_;
};

class IpcctlSubTest : public IpcctlTest {
 protected:
  void SetUp() override {
    IpcctlTest::SetUp();
    client_ = Connect("writer");
  }
  // Starts `sub` and waits until it sees the topic.
  Process StartSub(const std::vector<std::string>& arguments) {
    std::vector<std::string> all = {"sub", "a/*"};
    all.insert(all.end(), arguments.begin(), arguments.end());
    absl::StatusOr<RawPublisher> publisher = client_->AdvertiseRaw("a/b");
    EXPECT_OK(publisher);
    publisher_ = *std::move(publisher);
    Process sub(Command(all));
    EXPECT_OK(publisher_.WaitForSubscribers(1, kPatience)) << sub.err();
    return sub;
  }
  static json ReadJson(Process* process) {
    const std::optional<std::string> line = process->ReadLine();
    EXPECT_TRUE(line) << process->err();
    if (!line) return {};
    json object = json::parse(*line, nullptr, false);
    EXPECT_TRUE(object.is_object()) << *line;
    return object;
  }

  std::unique_ptr<Client> client_;
  RawPublisher publisher_;
};

TEST_F(IpcctlPubTest, PublishesArgumentsFilesAndStdinAsTheyAre) {
  EXPECT_EQ(Published({"--raw", "hi there"}), "hi there");
  EXPECT_EQ(Published({"--raw", ""}), "");
  EXPECT_EQ(Published({"-"}, AllBytes()), AllBytes());
  const std::string file = broker_.folder().Write("payload", AllBytes());
  EXPECT_EQ(Published({"--file", file}), AllBytes());
  const std::string large(3'000'000, 'L');
  EXPECT_TRUE(Published({"-"}, large) == large);
}

TEST_F(IpcctlPubTest, PublishesAsOftenAsToldAndAtTheRate) {
  constexpr int kCount = 500;
  Process pub(Command({"pub", "a/b", "--raw", "x", "--count",
                       std::to_string(kCount), "--rate", "100000"}));
  for (uint64_t i = 1; i <= kCount; ++i) {
    const auto message = subscription_.Next(kPatience);
    ASSERT_OK(message);
    EXPECT_EQ(message->sequence(), i);
  }
  EXPECT_EQ(pub.Wait(), 0) << pub.err();
}

TEST_F(IpcctlPubTest, FailsIfItIsNotAcknowledgedInTime) {
  // Nobody takes the message.
  const Outcome outcome =
      Ipcctl({"pub", "a/b", "--raw", "x", "--timeout", "0.1"});
  ExpectFailure(outcome, 1, "acknowledged");
}

TEST_F(IpcctlPubTest, FailsOnAMissingFileAndOnOneThatIsTooLarge) {
  const std::string missing = broker_.folder().File("missing");
  ExpectFailure(Ipcctl({"pub", "x/y", "--file", missing}), 1, missing);
  const std::string large =
      broker_.folder().Write("large", std::string((16 << 20) + 1, 'x'));
  ExpectFailure(Ipcctl({"pub", "x/y", "--file", large}), 1, "16777216");
}

TEST_F(IpcctlPubTest, EndsOnCtrlCAfterWhatItHasPublishedIsAcknowledged) {
  Process endless(
      Command({"pub", "a/b", "--raw", "x", "--count", "0", "--rate", "1000"}));
  ASSERT_OK(subscription_.Next(kPatience));
  endless.Signal(SIGINT);
  while (endless.Running()) (void)subscription_.Next(absl::Milliseconds(10));
  EXPECT_EQ(endless.Wait(), 0) << endless.err();

  Process counted(Command(
      {"pub", "a/b", "--raw", "x", "--count", "1000000", "--rate", "1000"}));
  ASSERT_OK(subscription_.Next(kPatience));
  counted.Signal(SIGTERM);
  while (counted.Running()) (void)subscription_.Next(absl::Milliseconds(10));
  EXPECT_EQ(counted.Wait(), 1);
  EXPECT_THAT(counted.err(), HasSubstr("of 1000000"));
}

TEST_F(IpcctlPubTest, WaitsForTheBrokerIfTold) {
  EXPECT_EQ(broker_.Terminate(), 0);
  Process pub(Command({"pub", "--wait", "a/b", "--raw", "early"}));
  broker_.Start();
  const auto message = subscription_.Next(kPatience);
  ASSERT_OK(message);
  EXPECT_EQ(message->text(), "early");
  EXPECT_EQ(pub.Wait(), 0) << pub.err();
}

TEST_F(IpcctlSubTest, RawWritesThePayloadsBytesAndNothingElse) {
  Process sub = StartSub({"--raw", "--count", "3"});
  ASSERT_OK(publisher_.Publish(AllBytes()));
  ASSERT_OK(publisher_.Publish(""));
  ASSERT_OK(publisher_.Publish("end"));
  EXPECT_EQ(sub.Wait(), 0) << sub.err();
  EXPECT_EQ(sub.out(), AllBytes() + "end");
  EXPECT_EQ(sub.err(), "");
}

TEST_F(IpcctlSubTest, JsonIsOneValidObjectALine) {
  Process sub = StartSub({"--json", "--count", "3"});
  ASSERT_OK(publisher_.Publish("a \"quoted\"\nline"));
  ASSERT_OK(publisher_.Publish(AllBytes()));
  ASSERT_OK(publisher_.Publish(""));
  const json text = ReadJson(&sub);
  EXPECT_EQ(text["topic"], "a/b");
  EXPECT_EQ(text["publisher"]["name"], "writer");
  EXPECT_EQ(text["publisher"]["pid"], getpid());
  EXPECT_EQ(text["publisher"]["uid"], geteuid());
  EXPECT_EQ(text["publisher"]["gid"], getegid());
  EXPECT_EQ(text["publisher"]["session"].get<std::string>().size(), 32u);
  EXPECT_EQ(text["sequence"], 1);
  EXPECT_GT(text["latency_ns"], 0);
  EXPECT_EQ(text["size"], 15);
  EXPECT_EQ(text["type"], "");
  EXPECT_EQ(text["text"], "a \"quoted\"\nline");
  const json binary = ReadJson(&sub);
  EXPECT_EQ(binary["size"], AllBytes().size());
  EXPECT_THAT(binary["base64"].get<std::string>(),
              testing::StartsWith("AAECAwQF"));
  EXPECT_FALSE(binary.contains("text"));
  EXPECT_EQ(ReadJson(&sub)["size"], 0);
  EXPECT_EQ(sub.Wait(), 0);
  EXPECT_EQ(sub.out() + sub.err(), "");
}

TEST_F(IpcctlSubTest, ATypedMessageIsShownAsItsJson) {
  Process as_json = StartSub({"--json", "--count", "1"});
  Process for_people(Command({"sub", "a/typed", "--count", "1"}));
  ASSERT_OK_AND_ASSIGN(auto publisher, client_->Advertise<Sample>("a/typed"));
  ASSERT_OK(publisher.WaitForSubscribers(2, kPatience));
  Sample sample;
  sample.set_number(uint64_t{1} << 63);
  sample.set_text("caf\xc3\xa9");
  ASSERT_OK(publisher.Publish(sample));
  const json object = ReadJson(&as_json);
  EXPECT_EQ(object["type"], "ipc.test.Sample");
  EXPECT_EQ(object["message"]["number"], "9223372036854775808");
  EXPECT_EQ(object["message"]["text"], "caf\xc3\xa9");
  EXPECT_EQ(as_json.Wait(), 0);
  EXPECT_EQ(for_people.Wait(), 0) << for_people.err();
  EXPECT_THAT(for_people.out(), HasSubstr("a/typed"));
  EXPECT_THAT(for_people.out(),
              HasSubstr("\"number\":\"9223372036854775808\""));
  EXPECT_EQ(Lines(for_people.out()).size(), 1u);
}

TEST_F(IpcctlSubTest, NothingFromTheBusCanSteerTheTerminal) {
  Process sub = StartSub({"--count", "2"});
  ASSERT_OK(publisher_.Publish("\x1b[2J\x07 evil \xc2\x9b \xe2\x80\xae"));
  ASSERT_OK(publisher_.Publish(AllBytes()));
  EXPECT_EQ(sub.Wait(), 0);
  for (char c : sub.out()) {
    EXPECT_TRUE(c == '\n' || (c >= ' ' && c != 127)) << static_cast<int>(c);
  }
  EXPECT_EQ(Lines(sub.out()).size(), 2u);
}

TEST_F(IpcctlSubTest, EndsCleanlyOnASignal) {
  for (int signal : {SIGINT, SIGTERM}) {
    Process sub = StartSub({});
    ASSERT_OK(publisher_.Publish("message"));
    EXPECT_TRUE(sub.ReadLine());
    sub.Signal(signal);
    EXPECT_EQ(sub.Wait(), 0);
    EXPECT_EQ(sub.err(), "");
    ASSERT_TRUE(WaitUntil([&] { return publisher_.subscribers() == 0; }));
  }
}

TEST_F(IpcctlSubTest, ShowsHowManyDescriptorsCameWithAMessage) {
  Process sub = StartSub({"--count", "3"});
  ASSERT_OK(publisher_.Publish("two", AttachmentsOf("x", 2)));
  ASSERT_OK(publisher_.Publish("none"));
  ASSERT_OK(publisher_.Publish("most", AttachmentsOf("x", 16)));
  EXPECT_EQ(sub.Wait(), 0) << sub.err();
  const std::vector<std::string> lines = Lines(sub.out());
  ASSERT_EQ(lines.size(), 3u);
  EXPECT_THAT(lines[0], HasSubstr(" +2fd \"two\""));
  EXPECT_THAT(lines[1], testing::Not(HasSubstr("+")));
  EXPECT_THAT(lines[2], HasSubstr(" +16fd \"most\""));
}

TEST_F(IpcctlSubTest, SaysInJsonHowManyDescriptorsCame) {
  Process sub = StartSub({"--json", "--count", "2"});
  ASSERT_OK(publisher_.Publish("two", AttachmentsOf("x", 2)));
  ASSERT_OK(publisher_.Publish("none"));
  EXPECT_EQ(ReadJson(&sub)["fds"], 2);
  EXPECT_FALSE(ReadJson(&sub).contains("fds"));
}

TEST_F(IpcctlSubTest, AReaderThatLeavesIsNoFailure) {
  Process sub({.argv = {"/bin/sh", "-c",
                        std::string(IPCCTL_BINARY) + " sub 'a/*' --socket " +
                            broker_.socket_path() + " | head -n 1"}});
  ASSERT_OK_AND_ASSIGN(RawPublisher publisher, client_->AdvertiseRaw("a/b"));
  ASSERT_OK(publisher.WaitForSubscribers(1, kPatience));
  ASSERT_OK(publisher.Publish("message"));
  EXPECT_EQ(sub.Wait(), 0);
  EXPECT_EQ(Lines(sub.out()).size(), 1u);
  EXPECT_EQ(sub.err(), "");
}

TEST_F(IpcctlSubTest, GoesOnOverARestartAndTellsIt) {
  Process sub = StartSub({"--json"});
  ASSERT_OK(publisher_.Publish("before"));
  EXPECT_EQ(ReadJson(&sub)["text"], "before");
  EXPECT_EQ(broker_.Terminate(), 0);
  ASSERT_TRUE(WaitUntil([&] { return publisher_.subscribers() == 0; }));
  broker_.Start();
  ASSERT_OK(publisher_.WaitForSubscribers(1, kPatience));
  ASSERT_OK(publisher_.Publish("after"));
  EXPECT_EQ(ReadJson(&sub)["text"], "after");
  sub.Signal(SIGINT);
  EXPECT_EQ(sub.Wait(), 0);
  EXPECT_THAT(sub.err(), HasSubstr("connect"));
}

TEST_F(IpcctlSubTest, WaitsForTheBrokerIfTold) {
  EXPECT_EQ(broker_.Terminate(), 0);
  Process sub(Command({"sub", "--wait", "a/*", "--raw", "--count", "1"}));
  broker_.Start();
  ASSERT_OK_AND_ASSIGN(RawPublisher publisher, client_->AdvertiseRaw("a/b"));
  ASSERT_OK(publisher.WaitForSubscribers(1, kPatience));
  ASSERT_OK(publisher.Publish("there"));
  EXPECT_EQ(sub.Wait(), 0) << sub.err();
  EXPECT_EQ(sub.out(), "there");
}

class IpcctlSlowSubTest : public IpcctlSubTest {
 protected:
  // Stops for a while, and shows all as messages or as gaps for `reason`.
  void ExpectGaps(const std::vector<std::string>& arguments,
                  const std::string& reason);
};

void IpcctlSlowSubTest::ExpectGaps(const std::vector<std::string>& arguments,
                                   const std::string& reason) {
  constexpr uint64_t kMessages = 100'000;
  const std::string payload(200, 'x');
  Process sub = StartSub(arguments);
  ASSERT_OK(publisher_.Publish("first"));
  uint64_t next = 1;
  EXPECT_EQ(ReadJson(&sub)["sequence"], next++);
  sub.Pause();
  for (uint64_t i = 0; i < kMessages; ++i) {
    ASSERT_OK(publisher_.Publish(payload));
  }
  ASSERT_OK(publisher_.Publish("last"));
  ASSERT_OK(client_->Flush(kPatience));
  sub.Continue();
  uint64_t missing = 0;
  while (next <= kMessages + 2 && !HasFailure()) {
    const json object = ReadJson(&sub);
    if (object.contains("gap")) {
      const json& gap = object["gap"];
      EXPECT_EQ(gap["topic"], "a/b");
      EXPECT_EQ(gap["first"], next);
      EXPECT_EQ(gap["reason"], reason);
      missing += gap["missing"].get<uint64_t>();
      next = gap["last"].get<uint64_t>() + 1;
    } else {
      EXPECT_EQ(object["sequence"], next);
      ++next;
    }
  }
  EXPECT_GT(missing, 0u);
  sub.Signal(SIGINT);
  EXPECT_EQ(sub.Wait(), 0);
}

TEST_F(IpcctlSlowSubTest, ShowsWhatItWasTooSlowForAsAGapInItsPlace) {
  ExpectGaps({"--json"}, "depth");
}

TEST_F(IpcctlSlowSubTest, ShowsWhatWasReplacedByANewerOne) {
  ExpectGaps({"--json", "--latest"}, "latest");
}

}  // namespace
}  // namespace ipc::test
