// SPDX-License-Identifier: Apache-2.0
//
// Promise 2 for those who meet around the broker's death: a publisher that the
// dead broker never knew, a subscriber that comes back last, a subscriber that
// is new, and one that does not come back at all.

#include <signal.h>

#include <string>

#include "gtest/gtest.h"
#include "tests/integration/bus.h"
#include "tests/integration/helper_process.h"
#include "tests/support/stamp.h"

namespace ipc::test {
namespace {

using NewcomerTest = BusTest;

// Publishes what bus_subscriber expects of publisher 0: numbers from `first`.
absl::Status PublishStamped(RawPublisher* publisher, uint64_t first,
                            uint64_t count, bool last) {
  std::string payload;
  for (uint64_t i = first; i < first + count; ++i) {
    const bool ends = last && i + 1 == first + count;
    MakePayload({.publisher = 0, .last = ends ? 1u : 0u, .number = i},
                sizeof(Stamp), &payload);
    absl::Status status = publisher->Publish(payload);
    if (!status.ok()) return status;
  }
  return absl::OkStatus();
}

TEST_F(NewcomerTest, WhatANewPublisherSaysBeforeTheReadersReturnIsKeptForIt) {
  constexpr uint64_t kMessages = 1000;
  Process subscriber =
      StartSubscriber(broker_.socket_path(), "load/**", "reliable");
  subscriber.Pause();
  broker_.Kill();
  broker_.Start();
  Process publisher = StartPublisher(broker_.socket_path(), 0, kMessages);
  ASSERT_EQ(publisher.ReadLine(), "accepted") << publisher.err();
  subscriber.Continue();
  const SubscriberReport report = ReadReport(&subscriber);
  EXPECT_EQ(report.complaint, "");
  EXPECT_EQ(report.received, kMessages);
  EXPECT_EQ(report.missing, 0u);
  EXPECT_EQ(publisher.ReadLine(), "done") << publisher.err();
  EXPECT_EQ(publisher.Wait(), 0);
}

TEST_F(NewcomerTest, AReaderThatIsNewDoesNotSeeWhatIsSentAgainForOthers) {
  constexpr uint64_t kMessages = 100;
  Process old_reader =
      StartSubscriber(broker_.socket_path(), "load/**", "reliable");
  old_reader.Pause();
  auto writer = Connect("writer");
  ASSERT_OK_AND_ASSIGN(RawPublisher publisher, writer->AdvertiseRaw("load/0"));
  ASSERT_OK(PublishStamped(&publisher, 1, kMessages, /*last=*/false));
  // What is sent for the first time later is the new one's, too.
  ASSERT_TRUE(WaitUntil([&] {
    const auto status = writer->Status(kPatience);
    return status.ok() && status->messages_in == kMessages;
  }));
  broker_.Kill();
  broker_.Start();

  Inbox inbox;
  auto new_reader = Connect("new-reader");
  ASSERT_OK_AND_ASSIGN(
      auto subscription,
      new_reader->SubscribeRaw("load/**", inbox.Handler(), Patient()));
  ASSERT_TRUE(WaitUntil([&] { return writer->connected(); }));
  ASSERT_OK(
      PublishStamped(&publisher, kMessages + 1, kMessages, /*last=*/true));
  old_reader.Continue();
  const SubscriberReport report = ReadReport(&old_reader);
  EXPECT_EQ(report.complaint, "");
  EXPECT_EQ(report.received, 2 * kMessages);
  ASSERT_OK(writer->Flush(kPatience));
  ASSERT_TRUE(inbox.WaitFor(kMessages));
  const std::vector<Message> seen = inbox.Get();
  EXPECT_EQ(seen.size(), kMessages);
  EXPECT_EQ(seen.front().sequence(), kMessages + 1);
  EXPECT_EQ(seen.back().sequence(), 2 * kMessages);
}

TEST_F(NewcomerTest, AReaderThatDiedWithTheBrokerIsNotWaitedForForEver) {
  Process subscriber =
      StartSubscriber(broker_.socket_path(), "load/**", "reliable");
  subscriber.Pause();
  auto writer = Connect("writer");
  ASSERT_OK_AND_ASSIGN(RawPublisher publisher, writer->AdvertiseRaw("load/0"));
  ASSERT_OK(PublishStamped(&publisher, 1, 100, /*last=*/false));
  broker_.Kill();
  subscriber.Signal(SIGKILL);
  EXPECT_EQ(subscriber.Wait(), -SIGKILL);
  broker_.Start();
  // After the grace of 5 seconds at the latest.
  EXPECT_OK(writer->Flush(kPatience));
}

TEST_F(NewcomerTest, ASubscriptionMadeWhileTheBrokerIsAwayTakesEffectLater) {
  auto reader = Connect("reader");
  auto writer = Connect("writer");
  ASSERT_OK_AND_ASSIGN(RawPublisher publisher, writer->AdvertiseRaw("a/b"));
  broker_.Kill();
  ASSERT_TRUE(WaitUntil([&] { return !reader->connected(); }));
  Inbox inbox;
  SubscribeOptions options;
  options.confirm_timeout = absl::ZeroDuration();
  ASSERT_OK_AND_ASSIGN(auto subscription,
                       reader->SubscribeRaw("a/*", inbox.Handler(), options));
  broker_.Start();
  ASSERT_OK(publisher.WaitForSubscribers(1, kPatience));
  ASSERT_OK(publisher.Publish("here"));
  ASSERT_OK(writer->Flush(kPatience));
  EXPECT_EQ(inbox.Texts(), std::vector<std::string>{"here"});
}

}  // namespace
}  // namespace ipc::test
