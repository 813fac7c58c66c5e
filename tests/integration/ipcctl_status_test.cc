// SPDX-License-Identifier: Apache-2.0
//
// Why connections ended, as operators see it: Client::Status and
// `ipcctl status`.

#include <signal.h>
#include <unistd.h>

#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/integration/ipcctl.h"
#include "tests/support/raw_peer.h"

namespace ipc::test {
namespace {

using nlohmann::json;
using testing::HasSubstr;
using testing::MatchesRegex;
using testing::StartsWith;

class IpcctlStatusTest : public IpcctlTest {
 protected:
  void SetUp() override {
    IpcctlTest::SetUp();
    client_ = Connect("client");
  }

  // Waits until a connection has ended for `reason`, and returns the last.
  EndedConnection WaitForEnd(CloseReason reason) {
    EndedConnection found;
    EXPECT_TRUE(WaitUntil([&] {
      const auto status = client_->Status(kPatience);
      if (!status.ok()) return false;
      for (const EndedConnection& end : status->recent) {
        if (end.reason == reason) found = end;
      }
      return found.reason == reason;
    })) << CloseReasonName(reason);
    return found;
  }

  std::unique_ptr<Client> client_;
};

TEST_F(IpcctlStatusTest, EveryEndIsToldWithItsReason) {
  Connect("done").reset();
  EXPECT_EQ(WaitForEnd(CloseReason::kDone).name, "done");

  RawPeer broken(broker_.socket_path());
  ASSERT_TRUE(broken.Greet("broken"));
  ASSERT_TRUE(broken.Send(Encode({.kind = kRawPing, .flags = 4})));
  ASSERT_TRUE(broken.WaitForEnd());
  EndedConnection end = WaitForEnd(CloseReason::kMalformed);
  EXPECT_EQ(end.name, "broken");
  EXPECT_EQ(end.pid, getpid());
  EXPECT_EQ(end.uid, getuid());
  EXPECT_EQ(end.text, broken.goodbye_text());
  EXPECT_LT(end.age, kPatience);

  auto lost = std::make_unique<RawPeer>(broker_.socket_path());
  ASSERT_TRUE(lost->Greet("lost"));
  lost = nullptr;
  EXPECT_EQ(WaitForEnd(CloseReason::kLost).name, "lost");

  ASSERT_OK_AND_ASSIGN(const BrokerStatus status, client_->Status(kPatience));
  EXPECT_EQ(status.pid, broker_.pid());
  EXPECT_EQ(status.connections, 1u);
  // The processes of both are this one, and live.
  EXPECT_EQ(status.awaited, 2u);
  EXPECT_EQ(status.refused, 0u);
  uint64_t ended = 0;
  for (const BrokerStatus::Count& count : status.ended) {
    ended += count.connections;
  }
  EXPECT_EQ(status.accepted, status.connections + ended);
}

TEST_F(IpcctlStatusTest, AKilledProcessIsLost) {
  Process ping(Command({"ping", "--interval", "0.001"}));
  ASSERT_TRUE(ping.ReadLine());
  ASSERT_TRUE(ping.ReadLine());
  ping.Signal(SIGKILL);
  const EndedConnection end = WaitForEnd(CloseReason::kLost);
  EXPECT_EQ(end.name, "ipcctl");
  EXPECT_EQ(end.pid, ping.pid());
}

TEST_F(IpcctlStatusTest, ShowsCountersAndTheLastEnds) {
  ASSERT_OK_AND_ASSIGN(RawPublisher publisher, client_->AdvertiseRaw("a"));
  ASSERT_OK(publisher.Publish("12345"));
  ASSERT_OK(client_->Flush(kPatience));
  Connect("done").reset();
  WaitForEnd(CloseReason::kDone);

  const Outcome text = Ipcctl({"status"});
  ExpectDone(text);
  const std::vector<std::string> lines = Lines(text.out);
  ASSERT_EQ(lines.size(), 9u) << text.out;
  EXPECT_THAT(lines[0], StartsWith("broker "));
  EXPECT_THAT(lines[0], HasSubstr("pid " + std::to_string(broker_.pid())));
  EXPECT_THAT(lines[1], HasSubstr("2 now, 0 awaited"));
  // Lost is whoever looked whether the broker listens.
  EXPECT_THAT(lines[2], MatchesRegex("ended +done 1, lost 1"));
  EXPECT_THAT(lines[3], HasSubstr("1 in (45 bytes), 0 out (0 bytes)"));
  EXPECT_THAT(lines[4], HasSubstr("0 resends, 0 set aside"));
  EXPECT_THAT(lines[5], MatchesRegex("missing +none"));
  EXPECT_THAT(lines[7], MatchesRegex(" *ENDED +REASON +NAME +PID +UID +TEXT"));
  EXPECT_THAT(lines[8], MatchesRegex(" *[0-9]+s ago +done +done +[0-9]+ .*"));
}

TEST_F(IpcctlStatusTest, JsonHasItAllInOneLine) {
  Connect("done").reset();
  WaitForEnd(CloseReason::kDone);
  const Outcome outcome = Ipcctl({"status", "--json"});
  ExpectDone(outcome);
  ASSERT_EQ(Lines(outcome.out).size(), 1u);
  const json object = json::parse(outcome.out, nullptr, false);
  ASSERT_TRUE(object.is_object()) << outcome.out;
  for (const char* field :
       {"version", "instance", "pid", "uptime_ns", "connections", "awaited",
        "accepted", "refused", "ended", "messages_in", "bytes_in",
        "messages_out", "bytes_out", "resends", "set_aside", "missing",
        "recent"}) {
    EXPECT_TRUE(object.contains(field)) << field;
  }
  EXPECT_EQ(object["ended"], json({{"done", 1}, {"lost", 1}}));
  EXPECT_EQ(object["missing"], json::object());
  ASSERT_EQ(object["recent"].size(), 1u);
  EXPECT_EQ(object["recent"][0].value("name", ""), "done");
  EXPECT_EQ(object["recent"][0].value("reason", ""), "done");
}

TEST_F(IpcctlStatusTest, ATextFromTheBusCannotSteerTheTerminal) {
  RawPeer hostile(broker_.socket_path());
  ASSERT_TRUE(hostile.Greet("hostile"));
  ASSERT_TRUE(hostile.Send(
      Encode({.kind = kRawGoodbye, .payload = BytesField(2, "\x1b[2Jx")})));
  ASSERT_TRUE(hostile.WaitForEnd());
  WaitForEnd(CloseReason::kDone);
  const Outcome outcome = Ipcctl({"status"});
  ExpectDone(outcome);
  EXPECT_EQ(outcome.out.find('\x1b'), std::string::npos);
  EXPECT_THAT(outcome.out, HasSubstr("\\x1b[2Jx"));
}

}  // namespace
}  // namespace ipc::test
