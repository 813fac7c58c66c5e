// SPDX-License-Identifier: Apache-2.0
//
// Every connection ends for one reason, and is counted once: by reason, and
// among the last that ended. What the broker tells of itself.

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "broker/core/status.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/unit/frame_client.h"

namespace ipc::broker {
namespace {

using test::BrokerShell;
using test::FrameClient;
using testing::ElementsAre;
using testing::IsEmpty;
using testing::Pair;
using testing::SizeIs;
using testing::UnorderedElementsAre;
using wire::CloseReason;
using wire::FrameKind;

class BrokerStatusTest : public testing::Test {
 protected:
  BrokerStatusTest() { observer_.Greet(); }

  wire::Status Ask(bool recent_ends = true) {
    observer_.Take();
    observer_.Send(wire::GetStatus{recent_ends}, 42);
    const test::Got frame = observer_.OnlyFrame(FrameKind::kStatus);
    EXPECT_EQ(frame.header.sequence, 42u);
    return frame.As<wire::Status>();
  }
  std::map<CloseReason, uint64_t> Ended() {
    std::map<CloseReason, uint64_t> ended;
    for (const wire::Status::Count& count : Ask().ended) {
      EXPECT_TRUE(ended.emplace(count.reason, count.connections).second);
    }
    return ended;
  }

  BrokerShell shell_{
      {.instance = test::SampleToken(0x77), .version = "1.2.3", .pid = 4711}};
  FrameClient observer_{&shell_, 1};
};

TEST_F(BrokerStatusTest, TellsWhoItIsAndHowLongItRuns) {
  shell_.Advance(absl::Seconds(7));
  const wire::Status status = Ask();
  EXPECT_EQ(status.broker_version, "1.2.3");
  EXPECT_EQ(status.instance, test::SampleToken(0x77));
  EXPECT_EQ(status.pid, 4711);
  EXPECT_EQ(status.uptime_ns, 7'000'000'000u);
  EXPECT_THAT(status.ended, IsEmpty());
  EXPECT_THAT(status.recent, IsEmpty());
}

TEST_F(BrokerStatusTest, CountsConnectionsAndAwaitedSessions) {
  FrameClient lost(&shell_, 2);
  lost.Greet().Lose(/*process_alive=*/true);
  FrameClient silent(&shell_, 3);
  wire::Status status = Ask();
  EXPECT_EQ(status.connections, 2u);
  EXPECT_EQ(status.awaited, 1u);
  EXPECT_EQ(status.accepted, 3u);
  lost.Connect();
  lost.Greet();
  status = Ask();
  EXPECT_EQ(status.connections, 3u);
  EXPECT_EQ(status.awaited, 0u);
  // A connection in the place of another that nobody has missed yet.
  lost.Connect();
  lost.Greet();
  lost.Goodbye();
  EXPECT_EQ(Ask().awaited, 0u);
  EXPECT_EQ(shell_.broker().state().sessions.size(), 1u);
}

TEST_F(BrokerStatusTest, EveryEndIsCountedOnceByItsReason) {
  FrameClient done(&shell_, 2);
  done.Greet().Goodbye();
  FrameClient malformed(&shell_, 3);
  malformed.Greet().Send({.kind = FrameKind::kPing, .flags = 8});
  FrameClient violation(&shell_, 4);
  violation.Send({.kind = FrameKind::kPing});
  FrameClient version(&shell_, 5);
  wire::Hello hello = version.HelloMessage();
  hello.version_min = hello.version_max = 99;
  version.Send(hello, 0);
  FrameClient old(&shell_, 6);
  old.Greet();
  FrameClient again(&shell_, 6);
  again.Greet();
  again.Lose(/*process_alive=*/false);
  FrameClient silent(&shell_, 7);
  shell_.Advance(kHandshakeTimeout);
  shell_.broker().OnRefused({.pid = 8}, CloseReason::kNotAllowed, "no",
                            shell_.now());
  shell_.broker().OnRefused({.pid = 9}, CloseReason::kLimit, "full",
                            shell_.now());

  EXPECT_THAT(
      Ended(),
      UnorderedElementsAre(
          Pair(CloseReason::kDone, 1), Pair(CloseReason::kMalformed, 1),
          Pair(CloseReason::kViolation, 1), Pair(CloseReason::kVersion, 1),
          Pair(CloseReason::kSuperseded, 1), Pair(CloseReason::kLost, 1),
          Pair(CloseReason::kHandshakeTimeout, 1),
          Pair(CloseReason::kNotAllowed, 1), Pair(CloseReason::kLimit, 1)));
  const wire::Status status = Ask();
  EXPECT_EQ(status.refused, 2u);
  uint64_t ended = 0;
  for (const wire::Status::Count& count : status.ended) {
    ended += count.connections;
  }
  EXPECT_EQ(status.accepted + status.refused, status.connections + ended);
  EXPECT_THAT(status.recent, SizeIs(ended));
}

TEST_F(BrokerStatusTest, APeerThatDoesNotReadIsCounted) {
  FrameClient deaf(&shell_, 2);
  deaf.Greet().SetRoom(0);
  const std::string hash = wire::Sha256(std::string(kSchemaSetBytesMax, 's'));
  deaf.Send(wire::Schema{hash, std::string(kSchemaSetBytesMax, 's')}, 1);
  for (size_t sent = 0; deaf.is_open() && sent <= kControlQueueBytesMax;
       sent += kSchemaSetBytesMax) {
    deaf.Send(wire::GetSchema{hash}, 2);
  }
  EXPECT_THAT(Ended(), ElementsAre(Pair(CloseReason::kNotReading, 1)));
}

TEST_F(BrokerStatusTest, TheLastEndsTellWhoWhyAndWhen) {
  FrameClient client(&shell_, 2);
  client.Greet().Send(wire::Goodbye{CloseReason::kDone, "all read"}, 0);
  shell_.Advance(absl::Seconds(3));
  const wire::Status status = Ask();
  ASSERT_THAT(status.recent, SizeIs(1));
  const wire::Status::End& end = status.recent[0];
  EXPECT_EQ(end.name, client.name());
  EXPECT_EQ(end.pid, client.peer().pid);
  EXPECT_EQ(end.uid, client.peer().uid);
  EXPECT_EQ(end.reason, CloseReason::kDone);
  EXPECT_EQ(end.text, "all read");
  EXPECT_EQ(end.age_ns, 3'000'000'000u);
  EXPECT_THAT(Ask(/*recent_ends=*/false).recent, IsEmpty());
}

TEST_F(BrokerStatusTest, TheLastEndsAreBoundedAndTheOldestGo) {
  for (size_t i = 0; i < kRecentEndsMax + 3; ++i) {
    FrameClient client(&shell_, 2);
    client.Greet().Send(wire::Goodbye{CloseReason::kDone, std::to_string(i)},
                        0);
  }
  const wire::Status status = Ask();
  ASSERT_THAT(status.recent, SizeIs(kRecentEndsMax));
  EXPECT_EQ(status.recent.front().text, "3");
  EXPECT_EQ(status.recent.back().text, std::to_string(kRecentEndsMax + 2));
}

TEST_F(BrokerStatusTest, WhoeverProbesDoesNotPushOutTheOthers) {
  FrameClient probe(&shell_, 2);
  probe.Lose(/*process_alive=*/true);
  EXPECT_THAT(Ended(), ElementsAre(Pair(CloseReason::kLost, 1)));
  EXPECT_THAT(Ask().recent, IsEmpty());
}

TEST_F(BrokerStatusTest, ALongTextIsCutBetweenTwoCharacters) {
  const std::string e_acute = "\xc3\xa9";
  std::string text = "x";
  while (text.size() <= kEndTextBytesMax) text += e_acute;
  const End end = MakeEnd(CloseReason::kDone, text);
  EXPECT_EQ(end.text, text.substr(0, kEndTextBytesMax - 1));
  FrameClient client(&shell_, 2);
  client.Greet().Send(wire::Goodbye{CloseReason::kDone, text}, 0);
  EXPECT_EQ(Ask().recent.at(0).text, end.text);
}

TEST_F(BrokerStatusTest, CountsWhatWasToldToBeMissingByReason) {
  FrameClient publisher(&shell_, 2);
  FrameClient reader(&shell_, 3);
  publisher.Greet();
  reader.Greet();
  publisher.Open(1, "a");
  EXPECT_THAT(Ask().missing, IsEmpty());
  reader.SubscribeBestEffort(1, "a", 1);
  reader.SubscribeBestEffort(2, "*", 1);
  publisher.Send({.kind = FrameKind::kPublish,
                  .flags = wire::kFlagExpired,
                  .target = 1,
                  .sequence = 1});
  reader.SetRoom(0);
  for (uint64_t i = 2; i <= 5; ++i) publisher.Publish(1, i);
  const std::vector<wire::Status::Missing> missing = Ask().missing;
  ASSERT_EQ(missing.size(), 2u);
  EXPECT_EQ(missing[0].reason, wire::GapReason::kDepth);
  EXPECT_EQ(missing[0].messages, 6u) << "three for each";
  EXPECT_EQ(missing[1].reason, wire::GapReason::kExpired);
  EXPECT_EQ(missing[1].messages, 2u);
}

TEST_F(BrokerStatusTest, CountsMessagesBytesAndResends) {
  FrameClient publisher(&shell_, 2);
  FrameClient reader(&shell_, 3);
  publisher.Greet();
  reader.Greet();
  publisher.Open(1, "a");
  reader.SubscribeBestEffort(1, "a", 10);
  reader.SubscribeBestEffort(2, "*", 10);
  publisher.Publish(1, 1, "12345");
  publisher.Publish(1, 2, "");
  wire::Status status = Ask();
  EXPECT_EQ(status.messages_in, 2u);
  EXPECT_EQ(status.bytes_in, 2 * kFrameHeaderBytes + 5);
  EXPECT_EQ(status.messages_out, 4u);
  EXPECT_EQ(status.bytes_out, 2 * status.bytes_in);
  EXPECT_EQ(status.resends, 0u);
  EXPECT_EQ(status.set_aside, 0u);

  reader.Subscribe(3, "a");
  const auto join = publisher.Only<wire::Join>();
  publisher.Joined(join.reader.reader);
  publisher.Publish(1, 3, "");
  reader.Lose();
  reader.Connect();
  reader.Hello();
  wire::Subscribe again = test::SubscribeMessage(3, "a");
  again.resume = true;
  reader.Send(again, 3);
  EXPECT_EQ(Ask().resends, 1u);
}

}  // namespace
}  // namespace ipc::broker
