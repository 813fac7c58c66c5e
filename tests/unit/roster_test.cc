// SPDX-License-Identifier: Apache-2.0
//
// What a program that watches clients is told, over reconnects and brokers
// that die.

#include "libipc/core/roster.h"

#include <string>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "libipc/base/limits.h"
#include "tests/support/control_samples.h"
#include "tests/unit/frames.h"

namespace ipc::core {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;
using testing::UnorderedElementsAre;
using wire::CloseReason;
using wire::PresenceChange;

class RosterTest : public testing::Test {
 protected:
  RosterTest() {
    roster_.Watch(nullptr);
    Connect(1);
  }

  void Connect(uint8_t broker) {
    roster_.OnConnected(test::SampleToken(broker), &control_);
  }
  // Everybody who is there, and the answer.
  void Snapshot(const std::vector<uint8_t>& clients) {
    for (uint8_t client : clients) {
      Tell(PresenceChange::kCame, client, /*initial=*/true);
    }
    roster_.OnWatched();
    roster_.OnTime(now_);
  }
  void Tell(PresenceChange change, uint8_t client, bool initial = false) {
    wire::Presence presence;
    presence.change = change;
    presence.initial = initial;
    presence.name = std::to_string(client);
    presence.session = {test::SampleToken(client), 100 + client, 500};
    presence.session_number = SessionNumber{client};
    presence.reason = CloseReason::kLost;
    roster_.OnPresence(presence);
  }
  void Pass(absl::Duration duration) {
    now_ = now_ + duration;
    roster_.OnTime(now_);
  }
  // As "name change", with a mark for the initial ones.
  std::vector<std::string> Changes() {
    static constexpr const char* kNames[] = {"?", "came", "lost", "returned",
                                             "went"};
    std::vector<std::string> lines;
    for (const wire::Presence& change : roster_.TakeChanges()) {
      lines.push_back(change.name + " " +
                      kNames[static_cast<int>(change.change)] +
                      (change.initial ? "!" : ""));
    }
    return lines;
  }

  Roster roster_;
  std::string control_;
  MonotonicTime now_ = MonotonicTime::FromNanoseconds(1'000'000'000);
};

TEST_F(RosterTest, EverybodyIsThereAtFirstAndThenChangesCome) {
  Snapshot({1, 2});
  EXPECT_THAT(Changes(), ElementsAre("1 came!", "2 came!"));
  Tell(PresenceChange::kCame, 3);
  Tell(PresenceChange::kLost, 1);
  Tell(PresenceChange::kReturned, 1);
  Tell(PresenceChange::kWent, 2);
  EXPECT_THAT(Changes(),
              ElementsAre("3 came", "1 lost", "1 returned", "2 went"));
}

TEST_F(RosterTest, ItAsksOnEachConnectionForAsLongAsItIsWanted) {
  EXPECT_EQ(test::HeaderOf(control_).kind, wire::FrameKind::kWatchClients);
  control_.clear();
  roster_.OnDisconnected();
  Connect(1);
  EXPECT_EQ(control_, test::ControlOf(wire::WatchClients{true}, kWatchRequest));
  control_.clear();
  roster_.Unwatch(&control_);
  EXPECT_EQ(control_, test::ControlOf(wire::WatchClients{false}, 0));
  control_.clear();
  roster_.OnDisconnected();
  Connect(1);
  EXPECT_EQ(control_, "");
  Tell(PresenceChange::kCame, 1);
  EXPECT_THAT(Changes(), IsEmpty());
}

TEST_F(RosterTest, AfterALostConnectionOnlyDifferencesAreTold) {
  Snapshot({1, 2, 3});
  Changes();
  roster_.OnDisconnected();
  Connect(1);
  Tell(PresenceChange::kLost, 3, /*initial=*/true);
  Snapshot({1, 4});
  // The same broker knows that 2 has gone.
  EXPECT_THAT(Changes(), ElementsAre("3 lost", "4 came", "2 went"));
  EXPECT_TRUE(roster_.NextDeadline().IsNever());
}

TEST_F(RosterTest, ARestartIsNoStormOfChanges) {
  Snapshot({1, 2, 3});
  Changes();
  roster_.OnDisconnected();
  Connect(2);
  Snapshot({1});
  EXPECT_THAT(Changes(), IsEmpty());
  Pass(kRecoveryGrace / 2);
  Tell(PresenceChange::kCame, 2);
  Pass(kRecoveryGrace / 2 - absl::Nanoseconds(1));
  EXPECT_THAT(Changes(), IsEmpty());
  Pass(absl::Nanoseconds(1));
  EXPECT_THAT(Changes(), ElementsAre("3 went"));
  EXPECT_TRUE(roster_.NextDeadline().IsNever());
}

TEST_F(RosterTest, WhoIsGivenUpWentForAReasonThatNobodyKnows) {
  Snapshot({1});
  Changes();
  roster_.OnDisconnected();
  Connect(1);
  Snapshot({});
  const std::vector<wire::Presence> changes = roster_.TakeChanges();
  ASSERT_EQ(changes.size(), 1u);
  EXPECT_EQ(changes[0].change, PresenceChange::kWent);
  EXPECT_EQ(changes[0].reason, CloseReason::kUnspecified);
}

TEST_F(RosterTest, ALossDuringTheHoldBeginsItAnew) {
  Snapshot({1, 2});
  Changes();
  roster_.OnDisconnected();
  Connect(2);
  Snapshot({1});
  Pass(kRecoveryGrace / 2);
  roster_.OnDisconnected();
  EXPECT_TRUE(roster_.NextDeadline().IsNever());
  Pass(kRecoveryGrace);
  Connect(2);
  Snapshot({1});
  EXPECT_THAT(Changes(), IsEmpty());
  Pass(kRecoveryGrace);
  EXPECT_THAT(Changes(), ElementsAre("2 went"));
}

TEST_F(RosterTest, WhoGoesDuringTheHoldIsToldOnce) {
  Snapshot({1, 2});
  Changes();
  roster_.OnDisconnected();
  Connect(2);
  Snapshot({1});
  Tell(PresenceChange::kCame, 2);
  Tell(PresenceChange::kWent, 2);
  Pass(kRecoveryGrace);
  EXPECT_THAT(Changes(), ElementsAre("2 went"));
}

TEST_F(RosterTest, WhatIsKnownIsTheBeginningOfALaterWatch) {
  Snapshot({1, 2});
  Tell(PresenceChange::kLost, 2);
  std::vector<std::string> there;
  for (const wire::Presence& presence : roster_.There()) {
    EXPECT_TRUE(presence.initial);
    there.push_back(presence.name +
                    (presence.change == PresenceChange::kLost ? " lost" : ""));
  }
  EXPECT_THAT(there, UnorderedElementsAre("1", "2 lost"));
}

TEST_F(RosterTest, WhatALaterVersionTellsIsPassedOver) {
  Snapshot({});
  Tell(PresenceChange::kUnspecified, 1);
  Tell(PresenceChange::kWent, 2);
  EXPECT_THAT(Changes(), IsEmpty());
}

}  // namespace
}  // namespace ipc::core
