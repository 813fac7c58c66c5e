// SPDX-License-Identifier: Apache-2.0
//
// Last values with the real broker: a new subscription gets what was published
// last and then what follows, also from a broker that knows nothing.

#include <signal.h>

#include <string>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/integration/bus.h"
#include "tests/integration/ipcctl.h"

namespace ipc::test {
namespace {

using absl::StatusCode;
using testing::ElementsAre;

class RetainedTest : public BusTest {
 protected:
  void SetUp() override {
    BusTest::SetUp();
    writer_ = Connect("writer");
    ASSERT_OK_AND_ASSIGN(publisher_,
                         writer_->AdvertiseRaw("mode", {.retain_last = true}));
  }

  std::unique_ptr<Client> writer_;
  RawPublisher publisher_;
};

TEST_F(RetainedTest, ANewSubscriptionGetsTheLastValueFirst) {
  for (const char* mode : {"night", "dawn", "day"}) {
    ASSERT_OK(publisher_.Publish(mode));
  }
  ASSERT_OK(writer_->Flush(kPatience));
  Inbox reliable;
  Inbox best_effort;
  auto reader = Connect("reader");
  ASSERT_OK_AND_ASSIGN(
      auto first, reader->SubscribeRaw("mode", reliable.Handler(), Patient()));
  ASSERT_OK_AND_ASSIGN(auto second,
                       reader->SubscribeRaw("*", best_effort.Handler(),
                                            Patient({.policy = BestEffort{}})));
  ASSERT_TRUE(reliable.WaitFor(1));
  ASSERT_TRUE(best_effort.WaitFor(1));
  ASSERT_OK(publisher_.Publish("dusk"));
  ASSERT_TRUE(reliable.WaitFor(2));
  ASSERT_TRUE(best_effort.WaitFor(2));
  EXPECT_THAT(reliable.Texts(), ElementsAre("day", "dusk"));
  EXPECT_THAT(best_effort.Texts(), ElementsAre("day", "dusk"));
  EXPECT_EQ(reliable.Get().front().sequence(), 3u);
  EXPECT_EQ(reader->stats().missing, 0u);
}

TEST_F(RetainedTest, ItIsToldToABrokerThatWasKilledAndRestarted) {
  Inbox old_inbox;
  auto old_reader = Connect("old");
  ASSERT_OK_AND_ASSIGN(
      auto old_subscription,
      old_reader->SubscribeRaw("mode", old_inbox.Handler(), Patient()));
  ASSERT_OK(publisher_.Publish(std::string(300'000, 'x')));
  ASSERT_OK(writer_->Flush(kPatience));
  broker_.Kill();
  broker_.Start();
  ASSERT_TRUE(WaitUntil([&] { return writer_->connected(); }));
  Inbox inbox;
  auto reader = Connect("new");
  ASSERT_OK_AND_ASSIGN(
      auto subscription,
      reader->SubscribeRaw("mode", inbox.Handler(), Patient()));
  ASSERT_TRUE(inbox.WaitFor(1));
  ASSERT_OK(publisher_.Publish("next"));
  ASSERT_TRUE(inbox.WaitFor(2));
  ASSERT_TRUE(old_inbox.WaitFor(2));
  EXPECT_THAT(inbox.Texts(), ElementsAre(std::string(300'000, 'x'), "next"));
  EXPECT_THAT(old_inbox.Texts(),
              ElementsAre(std::string(300'000, 'x'), "next"));
}

TEST_F(RetainedTest, ReadersThatComeDuringABurstStartAtAValueWithoutAHole) {
  constexpr int kReaders = 20;
  std::vector<Inbox> inboxes(kReaders);
  std::vector<RawSubscription> subscriptions;
  auto reader = Connect("reader");
  for (int i = 0; i < kReaders; ++i) {
    for (int j = 0; j < 50; ++j) {
      const size_t bytes = j % 10 == 0 ? 100'000 : 100;
      ASSERT_OK(publisher_.Publish(std::string(bytes, 'x')));
    }
    ASSERT_OK_AND_ASSIGN(
        auto made,
        reader->SubscribeRaw("mode", inboxes[i].Handler(), Patient()));
    subscriptions.push_back(std::move(made));
    ASSERT_TRUE(inboxes[i].WaitFor(1));
    // The last one that was sent when it subscribed; some may still have been
    // gathering, and follow.
    EXPECT_GT(inboxes[i].Get().front().sequence(), uint64_t(50) * i);
  }
  ASSERT_OK(publisher_.Publish("last"));
  for (const Inbox& inbox : inboxes) {
    ASSERT_TRUE(
        WaitUntil([&inbox] { return inbox.Get().back().text() == "last"; }));
    const std::vector<Message> seen = inbox.Get();
    for (size_t i = 1; i < seen.size(); ++i) {
      EXPECT_EQ(seen[i].sequence(), seen[i - 1].sequence() + 1);
    }
  }
  EXPECT_EQ(reader->stats().missing, 0u);
}

TEST_F(RetainedTest, AValueEndsWithTheLastHandleOfItsTopic) {
  ASSERT_OK(publisher_.Publish("day"));
  EXPECT_EQ(writer_->AdvertiseRaw("mode").status().code(), StatusCode::kOk);
  ASSERT_OK(writer_->Flush(kPatience));
  publisher_ = RawPublisher();
  auto reader = Connect("reader");
  ASSERT_OK_AND_ASSIGN(auto subscription,
                       reader->SubscribeRaw("mode", Patient()));
  EXPECT_EQ(subscription.Next(absl::ZeroDuration()).status().code(),
            StatusCode::kDeadlineExceeded);
  ASSERT_OK_AND_ASSIGN(auto again, writer_->AdvertiseRaw("mode"));
  EXPECT_EQ(
      writer_->AdvertiseRaw("mode", {.retain_last = true}).status().code(),
      StatusCode::kInvalidArgument);
}

using IpcctlRetainTest = IpcctlTest;

TEST_F(IpcctlRetainTest, PubStaysForTheSubscriptionsThatComeLater) {
  Process pub(Command({"pub", "mode", "--raw", "day", "--retain"}));
  ASSERT_TRUE(WaitUntil([&] {
    return Ipcctl({"sub", "mode", "--count", "1", "--raw"}).out == "day";
  }));
  broker_.Kill();
  broker_.Start();
  const Outcome sub = Ipcctl({"sub", "mode", "--count", "1", "--raw"});
  EXPECT_EQ(sub.out, "day");
  pub.Signal(SIGINT);
  EXPECT_EQ(pub.Wait(), 0) << pub.err();
}

}  // namespace
}  // namespace ipc::test
