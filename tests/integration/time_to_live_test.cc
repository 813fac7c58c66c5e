// SPDX-License-Identifier: Apache-2.0
//
// A time to live with the real broker: what has waited too long is told to be
// missing, and what is younger comes behind that.

#include <atomic>
#include <string>

#include "absl/time/clock.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/integration/bus.h"
#include "tests/integration/open_files.h"

namespace ipc::test {
namespace {

using testing::ElementsAre;

constexpr absl::Duration kLife = absl::Milliseconds(1);

// Until what was published before is older than that.
void Outlive(absl::Duration time_to_live) {
  const absl::Time start = absl::Now();
  EXPECT_TRUE(
      WaitUntil([&] { return absl::Now() - start > 2 * time_to_live; }));
}

class TimeToLiveTest : public BusTest {
 protected:
  void SetUp() override {
    BusTest::SetUp();
    writer_ = Connect("writer");
    ClientOptions options = Options("reader");
    options.on_event = events_.Handler();
    reader_ = Connect(options);
  }

  EventLog events_;
  Inbox inbox_;
  std::unique_ptr<Client> writer_;
  std::unique_ptr<Client> reader_;
};

TEST_F(TimeToLiveTest, WhatIsTooOldBehindARestartIsToldAndTheYoungerComes) {
  ASSERT_OK_AND_ASSIGN(auto old,
                       writer_->AdvertiseRaw("short", {.time_to_live = kLife}));
  ASSERT_OK_AND_ASSIGN(auto young, writer_->AdvertiseRaw("long"));
  ASSERT_OK_AND_ASSIGN(auto subscription,
                       reader_->SubscribeRaw("*", inbox_.Handler(), Patient()));
  ASSERT_OK(old.Publish("before"));
  ASSERT_OK(young.Publish("before"));
  ASSERT_TRUE(inbox_.WaitFor(2));
  ASSERT_OK(writer_->Flush(kPatience));
  broker_.Kill();
  ASSERT_TRUE(WaitUntil([&] { return !writer_->connected(); }));
  for (int i = 0; i < 10; ++i) ASSERT_OK(old.Publish("lost"));
  ASSERT_OK(old.Publish(std::string(300'000, 'x')));
  ASSERT_OK(young.Publish("kept"));
  Outlive(kLife);
  broker_.Start();
  ASSERT_TRUE(events_.WaitFor(Event::Kind::kGap));
  ASSERT_TRUE(WaitUntil([&] { return writer_->connected(); }));
  ASSERT_OK(old.Publish("after"));
  ASSERT_TRUE(inbox_.WaitFor(4));
  EXPECT_THAT(inbox_.Texts(), ElementsAre("before", "before", "kept", "after"));
  EXPECT_OK(writer_->Flush(kPatience));
  EXPECT_EQ(writer_->stats().expired, 11u);
  EXPECT_EQ(reader_->stats().missing, 11u);
  uint64_t next = 2;
  for (const Event& gap : events_.Of(Event::Kind::kGap)) {
    EXPECT_EQ(gap.reason, GapReason::kExpired);
    EXPECT_EQ(gap.source.topic, "short");
    EXPECT_EQ(gap.first, next);
    next = gap.last + 1;
  }
  EXPECT_EQ(next, 13u);
  EXPECT_EQ(inbox_.Get().back().sequence(), 13u);
}

TEST_F(TimeToLiveTest, WhatIsTooOldKeepsNoDescriptorOpen) {
  ASSERT_OK_AND_ASSIGN(auto publisher,
                       writer_->AdvertiseRaw("short", {.time_to_live = kLife}));
  std::atomic<int> count = 0;
  ASSERT_OK_AND_ASSIGN(auto subscription, reader_->SubscribeRaw(
                                              "*",
                                              [&](const Message& message) {
                                                EXPECT_EQ(message.fds().size(),
                                                          1u);
                                                ++count;
                                              },
                                              Patient()));
  ASSERT_OK(publisher.Publish("before", AttachmentsOf("x")));
  ASSERT_OK(writer_->Flush(kPatience));
  const size_t before = OpenDescriptors();
  const size_t brokers = broker_.Descriptors();
  broker_.Kill();
  ASSERT_TRUE(WaitUntil(
      [&] { return !writer_->connected() && !reader_->connected(); }));
  const size_t without = OpenDescriptors();
  for (int i = 0; i < 5; ++i) {
    ASSERT_OK(publisher.Publish("lost", AttachmentsOf("x", 2)));
  }
  EXPECT_EQ(OpenDescriptors(), without + 10);
  Outlive(kLife);
  broker_.Start();
  ASSERT_TRUE(WaitUntil([&] { return reader_->stats().missing == 5; }));
  ASSERT_OK(publisher.Publish("after", AttachmentsOf("x")));
  ASSERT_OK(writer_->Flush(kPatience));
  EXPECT_EQ(count, 2);
  EXPECT_EQ(writer_->stats().expired, 5u);
  EXPECT_EQ(writer_->stats().connections, 2u);
  EXPECT_TRUE(WaitUntil([&] { return OpenDescriptors() == before; }))
      << OpenDescriptors() << " and not " << before;
  EXPECT_TRUE(WaitUntil([&] { return broker_.Descriptors() == brokers; }))
      << broker_.Descriptors() << " and not " << brokers;
}

TEST_F(TimeToLiveTest, ALastValueThatIsTooOldIsNotHandedOut) {
  ASSERT_OK_AND_ASSIGN(auto publisher,
                       writer_->AdvertiseRaw("mode", {.retain_last = true,
                                                      .time_to_live = kLife}));
  ASSERT_OK(publisher.Publish("old"));
  ASSERT_OK(writer_->Flush(kPatience));
  Outlive(kLife);
  ASSERT_OK_AND_ASSIGN(
      auto subscription,
      reader_->SubscribeRaw("mode", inbox_.Handler(), Patient()));
  ASSERT_OK(publisher.Publish("new"));
  ASSERT_TRUE(inbox_.WaitFor(1));
  EXPECT_THAT(inbox_.Texts(), ElementsAre("new"));
  EXPECT_EQ(reader_->stats().missing, 0u);
}

TEST_F(TimeToLiveTest, ItHasALeastAndAllHandlesAgree) {
  for (absl::Duration time :
       {kLife - absl::Nanoseconds(1), absl::ZeroDuration(),
        -absl::InfiniteDuration()}) {
    EXPECT_CODE(kInvalidArgument,
                writer_->AdvertiseRaw("a", {.time_to_live = time}));
  }
  ASSERT_OK_AND_ASSIGN(auto first,
                       writer_->AdvertiseRaw("a", {.time_to_live = kLife}));
  EXPECT_OK(writer_->AdvertiseRaw("a", {.time_to_live = kLife}));
  EXPECT_CODE(kInvalidArgument, writer_->AdvertiseRaw("a"));
  EXPECT_CODE(kInvalidArgument,
              writer_->AdvertiseRaw("a", {.time_to_live = 2 * kLife}));
}

}  // namespace
}  // namespace ipc::test
