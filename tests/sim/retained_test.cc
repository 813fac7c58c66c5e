// SPDX-License-Identifier: Apache-2.0
//
// Last values: trap 7 of the design, and what else could hand one out twice,
// too late, out of order or not at all. Each a short script; the checks of
// History stand behind all of them.

#include "gtest/gtest.h"
#include "tests/sim/world_test.h"

namespace ipc::sim {
namespace {

constexpr absl::Duration kShort = absl::Milliseconds(50);
constexpr absl::Duration kLong = absl::Seconds(2);
static_assert(kShort < kJoinTimeout && kJoinTimeout < kLong &&
              kLong < kRecoveryGrace);

class RetainedTest : public WorldTest {
 protected:
  using WorldTest::WorldTest;

  int StartRetaining(const std::string& topic, size_t window = kWindow) {
    return StartPublisher(topic, window, /*retain_last=*/true);
  }
  SubscriptionId ReadBestEffort(int process, const std::string& pattern) {
    SubscriptionId id = at(process).Subscribe(
        {.pattern = pattern, .reliable = false, .depth = 100});
    world_.Settle();
    return id;
  }
};

TEST_F(RetainedTest, ANewReaderGetsTheLastValueAndThenWhatFollows) {
  int publisher = StartRetaining("t");
  Publish(publisher, "t", 3);
  world_.Settle();
  int reader = StartClient();
  SubscriptionId id = Read(reader, "t");
  SubscriptionId best_effort = ReadBestEffort(reader, "t");
  EXPECT_EQ(at(reader).waiting(), 1u);
  EXPECT_EQ(at(reader).handled(best_effort), 1u);
  Publish(publisher, "t", 2);
  world_.Settle();
  ConsumeAll(reader);
  EXPECT_EQ(at(reader).handled(id), 3u);
  EXPECT_EQ(at(reader).handled(best_effort), 3u);
}

TEST_F(RetainedTest, WhereNothingWasPublishedThereIsNoValue) {
  int publisher = StartRetaining("t");
  int reader = StartClient();
  Read(reader, "t");
  ReadBestEffort(reader, "t");
  EXPECT_EQ(at(reader).waiting(), 0u);
  Publish(publisher, "t", 1);
  world_.Settle();
  EXPECT_EQ(at(reader).waiting(), 1u);
}

TEST_F(RetainedTest, NobodyWhoWasThereGetsItASecondTime) {
  int publisher = StartRetaining("t");
  int first = StartClient();
  SubscriptionId id = Read(first, "t");
  Publish(publisher, "t", 3);
  world_.Settle();
  ConsumeAll(first);
  Read(StartClient(), "t");
  EXPECT_EQ(at(first).waiting(), 0u);
  EXPECT_EQ(at(first).handled(id), 3u);
}

TEST_F(RetainedTest, SeveralValuesComeInTheOrderInWhichTheyWerePublished) {
  int publisher = StartRetaining("z");
  for (const char* topic : {"a", "m"}) {
    at(publisher).Advertise(topic, /*retain_last=*/true);
  }
  int holder = StartClient();
  Read(holder, "m");  // and does not consume: "m" and what follows stay in
                      // the log
  world_.Settle();
  Publish(publisher, "z", 2);
  Publish(publisher, "m", 2);
  Publish(publisher, "a", 2);
  world_.Settle();
  Pass(kShort);
  int reader = StartClient();
  SubscriptionId id = Read(reader, "**");
  EXPECT_EQ(at(reader).waiting(), 3u);
  ConsumeAll(reader);  // History looks at the order
  EXPECT_EQ(at(reader).handled(id), 3u);
}

// -- 7. The last value told to a restarted broker.

TEST_F(RetainedTest, AReaderThatHasSeenItDoesNotGetItFromARestartedBroker) {
  int publisher = StartRetaining("t");
  int consumer = StartClient();
  SubscriptionId consumed = Read(consumer, "t");
  int holder = StartClient();
  Read(holder, "t");
  int casual = StartClient();
  SubscriptionId best_effort = ReadBestEffort(casual, "t");
  Publish(publisher, "t", 3);
  world_.Settle();
  ConsumeAll(consumer);
  Pass(kShort);
  ReplaceBroker();
  for (int process : {consumer, publisher, casual, holder}) Return(process);
  Pass(kLong);
  EXPECT_EQ(at(consumer).waiting(), 0u);
  EXPECT_EQ(at(consumer).handled(consumed), 3u);
  EXPECT_EQ(at(casual).handled(best_effort), 3u);
  EXPECT_EQ(at(holder).waiting(), 3u);
  // But one that is new to it does.
  int reader = StartClient();
  Read(reader, "t");
  EXPECT_EQ(at(reader).waiting(), 1u);
}

TEST_F(RetainedTest, AReaderThatIsNewWhileThePublisherIsAwayGetsItLater) {
  int publisher = StartRetaining("t");
  Publish(publisher, "t", 3);
  Pass(kShort);
  ReplaceBroker();
  int reader = StartClient();
  Read(reader, "t");
  SubscriptionId best_effort = ReadBestEffort(reader, "t");
  Pass(kLong);
  EXPECT_EQ(at(reader).waiting(), 0u);
  Return(publisher);
  EXPECT_EQ(at(reader).waiting(), 1u);
  EXPECT_EQ(at(reader).handled(best_effort), 1u);
}

TEST_F(RetainedTest, AConfirmedReaderGetsWhatIsSentBeforeItsValueIsAskedFor) {
  int publisher = StartRetaining("t");
  Publish(publisher, "t", 3);
  Pass(kShort);
  ReplaceBroker();
  int reader = StartClient();
  SubscriptionId id = Read(reader, "t");
  Pass(kLong);
  EXPECT_TRUE(at(reader).Confirmed(id));
  Publish(publisher, "t", 2);  // accepted behind the confirmation
  Return(publisher);
  ConsumeAll(reader);
  EXPECT_GE(at(reader).handled(id), 2u);
}

TEST_F(RetainedTest, AValueThatIsLostWithTheReadersConnectionIsSentAgain) {
  int publisher = StartRetaining("t");
  Publish(publisher, "t", 3);
  Pass(kShort);
  int reader = StartClient();
  world_.Stall(reader, Direction::kDown, kLong);
  Read(reader, "t");
  EXPECT_EQ(at(reader).waiting(), 0u);
  world_.Unstall(reader);
  Lose(reader);
  Return(reader);
  EXPECT_EQ(at(reader).waiting(), 1u);
}

TEST_F(RetainedTest, AConfirmedReaderThatNeverGotItIsToldByTheNextBroker) {
  int publisher = StartRetaining("t");
  Publish(publisher, "t", 3);
  Pass(kShort);
  int reader = StartClient();
  // Small enough for the confirmation, too small for the value.
  Publish(publisher, "t", 1, 60'000);
  Pass(kShort);
  Lose(reader);
  world_.set_pipe_bytes({1000});
  Return(reader);
  world_.Settle();
  SubscriptionId id = at(reader).Subscribe({.pattern = "t", .pull = true});
  for (int i = 0; i < 3; ++i) {
    for (ConnectionId link : world_.links()) world_.MoveUp(link, 100'000);
    for (ConnectionId link : world_.links()) world_.MoveDown(link, 1000);
  }
  EXPECT_TRUE(at(reader).Confirmed(id));
  EXPECT_EQ(at(reader).waiting(), 0u);
  world_.set_pipe_bytes({256 * 1024});
  KillBroker();
  world_.StartBroker(/*restarted=*/true);
  Return(publisher);
  Return(reader);
  Pass(kShort);
  EXPECT_EQ(at(reader).waiting(), 1u);
}

// -- A JOIN that is answered late, twice, or in the middle of something.

TEST_F(RetainedTest, AJoinThatIsAnsweredTooLateIsMadeUpForByAResend) {
  int publisher = StartRetaining("t");
  Publish(publisher, "t", 3);
  Pass(kShort);
  world_.Stall(publisher, Direction::kDown, kLong);
  int reader = StartClient();
  SubscriptionId id = Read(reader, "t");
  SubscriptionId best_effort = ReadBestEffort(reader, "t");
  Pass(kJoinTimeout);
  EXPECT_TRUE(at(reader).Confirmed(id));
  Publish(publisher, "t", 1);
  world_.Settle();
  EXPECT_EQ(at(reader).waiting(), 0u);
  EXPECT_EQ(at(reader).handled(best_effort), 1u);
  world_.Unstall(publisher);
  world_.Settle();
  Publish(publisher, "t", 1);
  world_.Settle();
  ConsumeAll(reader);
  EXPECT_EQ(at(reader).handled(id), 2u);
  EXPECT_EQ(at(reader).handled(best_effort), 2u);
}

TEST_F(RetainedTest, BestEffortThatComesBackGetsItIfOrderAllows) {
  int publisher = StartRetaining("a");
  at(publisher).Advertise("b", /*retain_last=*/true);
  int reader = StartClient();
  SubscriptionId one = ReadBestEffort(reader, "a");
  SubscriptionId both = ReadBestEffort(reader, "*");
  Publish(publisher, "a", 1);
  Publish(publisher, "b", 1);
  world_.Settle();
  Lose(reader);
  Publish(publisher, "a", 2);
  world_.Settle();
  Return(reader);
  EXPECT_EQ(at(reader).handled(one), 2u);
  EXPECT_EQ(at(reader).handled(both), 2u);
  // And from a new broker.
  KillBroker();
  Publish(publisher, "a", 1);
  world_.StartBroker(/*restarted=*/true);
  Return(reader);
  Return(publisher);
  EXPECT_EQ(at(reader).handled(one), 3u);
}

TEST_F(RetainedTest, OfTwoAnswersTheLastCounts) {
  int publisher = StartRetaining("t");
  Publish(publisher, "t", 3);
  Pass(kShort);
  int reader = StartClient();
  world_.Stall(publisher, Direction::kUp, kShort);
  SubscriptionId id = Read(reader, "t");
  SubscriptionId best_effort = ReadBestEffort(reader, "t");
  Publish(publisher, "t", 2);  // behind the first answer
  Lose(reader);
  Return(reader);
  world_.Unstall(publisher);
  world_.Settle();
  ConsumeAll(reader);
  // 5, and not 3 with a hole behind it.
  EXPECT_EQ(at(reader).handled(id), 1u);
  EXPECT_EQ(at(reader).handled(best_effort), 1u);
}

TEST_F(RetainedTest, APublisherThatIsLostBetweenValueAndMarkIsAskedAgain) {
  int publisher = StartRetaining("t");
  Publish(publisher, "t", 1, 60'000);
  Pass(kShort);
  int reader = StartClient();
  world_.Stall(publisher, Direction::kUp, kShort);
  SubscriptionId id = Read(reader, "t");
  world_.Cut(publisher, kFrameHeaderBytes + 60'000, 0);
  world_.Unstall(publisher);
  world_.Settle();
  EXPECT_FALSE(at(reader).Confirmed(id));
  Return(publisher);
  EXPECT_TRUE(at(reader).Confirmed(id));
  Publish(publisher, "t", 1);
  world_.Settle();
  ConsumeAll(reader);
  EXPECT_EQ(at(reader).handled(id), 2u);
}

TEST_F(RetainedTest, AReleasedTopicHasNoLastValue) {
  int publisher = StartRetaining("t");
  int holder = StartClient();
  Read(holder, "t");  // keeps the log full
  Publish(publisher, "t", 2);
  world_.Settle();
  at(publisher).Release("t");
  int reader = StartClient();
  Read(reader, "t");
  EXPECT_EQ(at(reader).waiting(), 0u);
  at(publisher).Advertise("t", /*retain_last=*/true);
  Read(reader, "*");
  EXPECT_EQ(at(reader).waiting(), 0u);
  Publish(publisher, "t", 1);
  world_.Settle();
  Read(StartClient(), "t");
  EXPECT_EQ(at(reader).waiting(), 2u);
}

class LargeValueTest : public RetainedTest {
 protected:
  static constexpr size_t kBytes = 5 * kFramePayloadBytesMax;

  LargeValueTest()
      : RetainedTest({.pipe_bytes = {100'000}, .keep_trace = true}) {
    publisher_ = StartRetaining("t", 4 * kBytes);
  }
  // Some fragments have come to the broker, and one is cut.
  void SendAPart() {
    for (int i = 0; i < 2; ++i) {
      for (ConnectionId id : world_.links()) world_.MoveUp(id, 100'000);
      for (ConnectionId id : world_.links()) world_.MoveDown(id, 100'000);
      at(publisher_).Send();
    }
  }

  int publisher_ = 0;
};

TEST_F(LargeValueTest, IsHandedOutWhole) {
  Publish(publisher_, "t", 1, kBytes);
  world_.Settle();
  Pass(kShort);
  int reader = StartClient();
  SubscriptionId id = Read(reader, "t");
  ConsumeAll(reader);
  EXPECT_EQ(at(reader).handled(id), 1u);
}

TEST_F(LargeValueTest, OneThatIsUnderWayIsWaitedFor) {
  Publish(publisher_, "t", 1);
  world_.Settle();
  int reader = StartClient();
  int casual = StartClient();
  Publish(publisher_, "t", 1, kBytes);
  SendAPart();
  SubscriptionId id = Read(reader, "t");
  SubscriptionId best_effort = ReadBestEffort(casual, "t");
  ConsumeAll(reader);
  Publish(publisher_, "t", 1);
  world_.Settle();
  ConsumeAll(reader);
  // 2 and 3; 1 and 3 would have a hole between them.
  EXPECT_EQ(at(reader).handled(id), 2u);
  EXPECT_EQ(at(casual).handled(best_effort), 2u);
}

class SmallQueueTest : public RetainedTest {
 protected:
  SmallQueueTest()
      : RetainedTest({.pipe_bytes = {100'000},
                      .reliable_queue_bytes_max = 1,
                      .keep_trace = true}) {}
};

TEST_F(SmallQueueTest, ValuesThatDoNotFitComeWhenThereIsRoom) {
  int publisher = StartRetaining("a");
  for (const char* topic : {"b", "c"}) {
    at(publisher).Advertise(topic, /*retain_last=*/true);
  }
  world_.Settle();
  for (const char* topic : {"a", "b", "c"}) {
    Publish(publisher, topic, 2, 60'000);
    world_.Settle();
    Pass(kShort);
  }
  int reader = StartClient();
  world_.Stall(reader, Direction::kDown, kShort);
  SubscriptionId id = Read(reader, "*");
  Publish(publisher, "a", 1);
  world_.Settle();
  Pass(kShort);
  world_.Settle();
  EXPECT_TRUE(at(reader).Confirmed(id));
  ConsumeAll(reader);
  EXPECT_EQ(at(reader).handled(id), 4u);
}

}  // namespace
}  // namespace ipc::sim
