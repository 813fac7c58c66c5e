// SPDX-License-Identifier: Apache-2.0
//
// Who watches clients is told who is there and what changes, without a gap and
// nothing twice.

#include <memory>
#include <string>
#include <vector>

#include "broker/core/presence.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/unit/frame_client.h"

namespace ipc::broker {
namespace {

using test::BrokerShell;
using test::FrameClient;
using testing::ElementsAre;
using testing::IsEmpty;
using wire::CloseReason;
using wire::FrameKind;

class BrokerPresenceTest : public testing::Test {
 protected:
  BrokerPresenceTest() { watcher_.Greet(); }

  static void Watch(FrameClient* client, bool watch = true) {
    client->Send(wire::WatchClients{watch}, 42);
  }
  // As "number change reason", with a mark for the initial ones; other frames
  // by their kind.
  static std::vector<std::string> Told(FrameClient* client) {
    static constexpr const char* kNames[] = {"?", "came", "lost", "returned",
                                             "went"};
    std::vector<std::string> lines;
    for (const test::Got& got : client->Take()) {
      if (got.header.kind != FrameKind::kPresence) {
        lines.push_back(wire::KindName(got.header.kind));
        continue;
      }
      const auto presence = got.As<wire::Presence>();
      std::string line = presence.name.substr(presence.name.find('-') + 1) +
                         " " + kNames[static_cast<int>(presence.change)] +
                         (presence.initial ? "!" : "");
      if (presence.reason != CloseReason::kUnspecified) {
        line += " " + std::string(wire::CloseReasonName(presence.reason));
      }
      lines.push_back(line);
    }
    return lines;
  }
  absl::StatusCode Answer(FrameClient* client) {
    return client->Only<wire::Result>().code;
  }

  BrokerShell shell_;
  FrameClient watcher_{&shell_, 1};
};

TEST_F(BrokerPresenceTest, ThoseWhoAreThereComeBeforeTheAnswer) {
  FrameClient other(&shell_, 2);
  other.Greet();
  FrameClient lost(&shell_, 3);
  lost.Greet().Lose();
  FrameClient nameless(&shell_, 4);
  Watch(&watcher_);
  EXPECT_THAT(Told(&watcher_),
              ElementsAre("1 came!", "2 came!", "3 lost! lost", "RESULT"));
}

TEST_F(BrokerPresenceTest, EachChangeIsToldOnceWithItsReason) {
  Watch(&watcher_);
  watcher_.Take();
  FrameClient client(&shell_, 2);
  EXPECT_THAT(Told(&watcher_), IsEmpty());
  client.Greet();
  EXPECT_THAT(Told(&watcher_), ElementsAre("2 came"));
  client.Lose(/*process_alive=*/true);
  EXPECT_THAT(Told(&watcher_), ElementsAre("2 lost lost"));
  client.Connect();
  client.Greet();
  EXPECT_THAT(Told(&watcher_), ElementsAre("2 returned"));
  client.Goodbye();
  EXPECT_THAT(Told(&watcher_), ElementsAre("2 went done"));
}

TEST_F(BrokerPresenceTest, AProcessThatDiedHasGoneAtOnceOrWhenItIsKnown) {
  Watch(&watcher_);
  FrameClient client(&shell_, 2);
  client.Greet();
  watcher_.Take();
  client.Lose(/*process_alive=*/false);
  EXPECT_THAT(Told(&watcher_), ElementsAre("2 went lost"));
  FrameClient other(&shell_, 3);
  other.Greet().Lose(/*process_alive=*/true);
  shell_.ProcessExited(other.key());
  EXPECT_THAT(Told(&watcher_),
              ElementsAre("3 came", "3 lost lost", "3 went lost"));
}

TEST_F(BrokerPresenceTest, TheGraceEndsWithTheReasonOfTheLoss) {
  Watch(&watcher_);
  FrameClient client(&shell_, 2);
  client.Greet();
  watcher_.Take();
  client.Send({.kind = FrameKind::kPing, .flags = 8});
  EXPECT_THAT(Told(&watcher_), ElementsAre("2 lost malformed"));
  shell_.Advance(kRecoveryGrace);
  EXPECT_THAT(Told(&watcher_), ElementsAre("2 went malformed"));
}

TEST_F(BrokerPresenceTest, AConnectionInThePlaceOfAnotherIsAReturn) {
  Watch(&watcher_);
  FrameClient old(&shell_, 2);
  old.Greet();
  watcher_.Take();
  FrameClient again(&shell_, 2);
  again.Greet();
  EXPECT_THAT(Told(&watcher_), ElementsAre("2 lost superseded", "2 returned"));
}

TEST_F(BrokerPresenceTest, WhoeverIsOnlyKnownAsAReaderIsNotTold) {
  Watch(&watcher_);
  watcher_.Take();
  FrameClient publisher(&shell_, 2);
  publisher.Greet();
  wire::Open open = test::OpenMessage(1, "a");
  open.readers = {test::SampleReader(0)};
  publisher.Send(open, 1);
  EXPECT_EQ(shell_.broker().state().sessions.size(), 3u);
  EXPECT_THAT(Told(&watcher_), ElementsAre("2 came"));
  Watch(&publisher);
  EXPECT_THAT(Told(&publisher),
              ElementsAre("OPENED", "1 came!", "2 came!", "RESULT"));
  shell_.Advance(kRecoveryGrace);
  EXPECT_EQ(shell_.broker().state().sessions.size(), 2u);
  EXPECT_THAT(Told(&watcher_), IsEmpty());
}

TEST_F(BrokerPresenceTest, AWatchEndsWhenItIsToldToAndWithItsConnection) {
  Watch(&watcher_);
  watcher_.Take();
  Watch(&watcher_, false);
  EXPECT_EQ(Answer(&watcher_), absl::StatusCode::kOk);
  FrameClient client(&shell_, 2);
  client.Greet();
  EXPECT_THAT(Told(&watcher_), IsEmpty());
  Watch(&watcher_);
  watcher_.Take();
  watcher_.Lose();
  EXPECT_THAT(shell_.broker().state().watchers, IsEmpty());
  client.Goodbye();
}

TEST_F(BrokerPresenceTest, WatchingTwiceAndEndingTwiceAreRefused) {
  Watch(&watcher_, false);
  EXPECT_EQ(Answer(&watcher_), absl::StatusCode::kNotFound);
  Watch(&watcher_);
  watcher_.Take();
  Watch(&watcher_);
  EXPECT_EQ(Answer(&watcher_), absl::StatusCode::kAlreadyExists);
}

TEST_F(BrokerPresenceTest, ThereIsALimitOfThoseWhoWatch) {
  std::vector<std::unique_ptr<FrameClient>> clients;
  for (size_t i = 0; i < kWatchersMax; ++i) {
    FrameClient client(&shell_, 2);
    ASSERT_TRUE(client.is_open());
    const broker::Peer peer{.pid = static_cast<int32_t>(5000 + i)};
    const ConnectionId id = *shell_.Connect(peer);
    shell_.Receive(id, test::ControlOf(watcher_.HelloMessage()));
    shell_.Receive(id, test::ControlOf(wire::WatchClients{true}, 1));
    shell_.Take(id);
    client.Lose(/*process_alive=*/false);
  }
  EXPECT_EQ(shell_.broker().state().watchers.size(), kWatchersMax);
  Watch(&watcher_);
  EXPECT_EQ(Answer(&watcher_), absl::StatusCode::kResourceExhausted);
}

TEST_F(BrokerPresenceTest, AskingOverAndOverInOneTurnIsBounded) {
  for (uint8_t number = 2; number < 200; ++number) {
    FrameClient(&shell_, number).Greet();
  }
  watcher_.SetRoom(0);
  const std::string on_and_off = test::ControlOf(wire::WatchClients{true}, 1) +
                                 test::ControlOf(wire::WatchClients{false}, 2);
  std::string buffer;
  while (buffer.size() < size_t{1} << 20) buffer += on_and_off;
  watcher_.Send(buffer);
  ASSERT_FALSE(watcher_.is_open());
  EXPECT_EQ(watcher_.end()->reason, CloseReason::kNotReading);
}

}  // namespace
}  // namespace ipc::broker
