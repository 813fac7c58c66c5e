// SPDX-License-Identifier: Apache-2.0
//
// Descriptors that go with messages: whoever gets a message gets the same open
// files, under every policy and over the death of a broker, and nobody keeps
// one open that he should not.

#include "ipc/attachments.h"

#include <fcntl.h>
#include <sys/resource.h>
#include <sys/socket.h>

#include <atomic>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/integration/bus.h"
#include "tests/integration/open_files.h"

namespace ipc::test {
namespace {

using absl::StatusCode;
using testing::ElementsAre;
using testing::HasSubstr;

class AttachmentsTest : public BusTest {
 protected:
  void SetUp() override {
    BusTest::SetUp();
    writer_ = Connect("writer");
    reader_ = Connect("reader");
    ASSERT_OK_AND_ASSIGN(publisher_, writer_->AdvertiseRaw("files"));
  }
  RawSubscription Subscribe(Inbox* inbox,
                            const SubscribeOptions& options = {}) {
    auto subscription =
        reader_->SubscribeRaw("files", inbox->Handler(), Patient(options));
    EXPECT_OK(subscription);
    return *std::move(subscription);
  }
  // "i" with a file "fi", for each i.
  void PublishNumbered(int first, int last) {
    for (int i = first; i <= last; ++i) {
      ASSERT_OK(publisher_.Publish(absl::StrCat(i),
                                   AttachmentsOf(absl::StrCat("f", i))));
    }
  }

  std::unique_ptr<Client> writer_;
  std::unique_ptr<Client> reader_;
  RawPublisher publisher_;
};

TEST_F(AttachmentsTest, TheSubscriberReadsTheSameFiles) {
  Inbox inbox;
  auto subscription = Subscribe(&inbox);
  Attachments two = AttachmentsOf("first");
  ASSERT_OK(two.AttachFd(FileWith("second").get()));
  ASSERT_OK(publisher_.Publish("none"));
  ASSERT_OK(publisher_.Publish("two", two));
  ASSERT_OK(publisher_.Publish("one", AttachmentsOf("third")));
  ASSERT_OK(publisher_.Publish(std::string(200'000, 'x'),
                               AttachmentsOf("fourth", 16)));
  ASSERT_OK(publisher_.Publish("none again"));
  ASSERT_TRUE(inbox.WaitFor(5));
  const std::vector<Message> messages = inbox.Get();
  EXPECT_EQ(messages[0].fds().size(), 0u);
  EXPECT_EQ(ReadAll(messages[1].fds()[0]), "first");
  EXPECT_EQ(ReadAll(messages[1].fds()[1]), "second");
  EXPECT_EQ(ReadAll(messages[2].fds()[0]), "third");
  EXPECT_EQ(messages[3].text(), std::string(200'000, 'x'));
  ASSERT_EQ(messages[3].fds().size(), 16u);
  EXPECT_EQ(ReadAll(messages[3].fds()[15]), "fourth");
  EXPECT_EQ(messages[4].fds().size(), 0u);
  EXPECT_NE(fcntl(messages[2].fds()[0], F_GETFD) & FD_CLOEXEC, 0);
}

TEST_F(AttachmentsTest, ATakenDescriptorOutlivesItsMessage) {
  ASSERT_OK_AND_ASSIGN(auto subscription,
                       reader_->SubscribeRaw("files", Patient()));
  ASSERT_OK(publisher_.Publish("x", AttachmentsOf("kept")));
  net::Fd taken;
  {
    ASSERT_OK_AND_ASSIGN(Message message, subscription.Next(kPatience));
    ASSERT_OK_AND_ASSIGN(int fd, message.TakeFd(0));
    taken = net::Fd(fd);
    EXPECT_EQ(message.TakeFd(1).status().code(), StatusCode::kInvalidArgument);
  }
  EXPECT_EQ(ReadAll(taken.get()), "kept");
}

TEST_F(AttachmentsTest, AReceivedMessageCanBeForwarded) {
  Inbox inbox;
  ASSERT_OK_AND_ASSIGN(auto forwarded, reader_->AdvertiseRaw("forwarded"));
  ASSERT_OK_AND_ASSIGN(
      auto end, writer_->SubscribeRaw("forwarded", inbox.Handler(), Patient()));
  ASSERT_OK_AND_ASSIGN(auto subscription,
                       reader_->SubscribeRaw(
                           "files",
                           [&](const Message& message) {
                             EXPECT_OK(forwarded.Publish(
                                 message.payload(), message.attachments()));
                           },
                           Patient()));
  PublishNumbered(1, 20);
  ASSERT_TRUE(inbox.WaitFor(20));
  EXPECT_EQ(WithContents(inbox), Numbered(1, 20));
}

TEST_F(AttachmentsTest, WhatCannotBePassedIsRefusedWhenItIsAttached) {
  Attachments attachments;
  EXPECT_EQ(attachments.AttachFd(-1).code(), StatusCode::kInvalidArgument);
  int pair[2];
  ASSERT_EQ(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
  const net::Fd one(pair[0]);
  const net::Fd other(pair[1]);
  EXPECT_EQ(attachments.AttachFd(one.get()).code(),
            StatusCode::kInvalidArgument);
  EXPECT_TRUE(attachments.empty());
  attachments = AttachmentsOf("x", Attachments::kSizeMax);
  EXPECT_EQ(attachments.AttachFd(0).code(), StatusCode::kResourceExhausted);
  EXPECT_EQ(attachments.size(), Attachments::kSizeMax);
}

TEST_F(AttachmentsTest, AddingToACopyLeavesTheOtherAsItIs) {
  const Attachments first = AttachmentsOf("x");
  Attachments second = first;
  ASSERT_OK(second.AttachFd(FileWith("y").get()));
  EXPECT_EQ(first.size(), 1u);
  ASSERT_EQ(second.size(), 2u);
  EXPECT_EQ(ReadAll(second.fds()[0]), "x");
}

TEST_F(AttachmentsTest, TheLogHolds64AndThenWaitsForSubscribers) {
  ASSERT_OK_AND_ASSIGN(
      auto subscription,
      reader_->SubscribeRaw("files",
                            Patient({.acknowledge = Acknowledge::kManual})));
  for (int i = 0; i < 4; ++i) {
    ASSERT_OK(publisher_.Publish("x", AttachmentsOf("x", 16)));
  }
  const absl::Status full =
      publisher_.Publish("y", AttachmentsOf("y"), absl::ZeroDuration());
  EXPECT_EQ(full.code(), StatusCode::kResourceExhausted);
  EXPECT_THAT(std::string(full.message()), HasSubstr("64 descriptors"));
  EXPECT_OK(publisher_.TryPublish(Bytes("without")));
  ASSERT_OK_AND_ASSIGN(Message message, subscription.Next(kPatience));
  ASSERT_OK(message.Acknowledge());
  EXPECT_OK(publisher_.Publish("y", AttachmentsOf("y")));
}

TEST_F(AttachmentsTest, NothingIsLostWhenTheBrokerIsKilled) {
  ASSERT_OK_AND_ASSIGN(
      auto subscription,
      reader_->SubscribeRaw("files",
                            Patient({.acknowledge = Acknowledge::kManual})));
  PublishNumbered(1, 30);
  ASSERT_OK_AND_ASSIGN(Message first, subscription.Next(kPatience));
  ASSERT_OK(first.Acknowledge());
  broker_.Kill();
  PublishNumbered(31, 40);  // while there is none
  broker_.Start();
  std::vector<std::string> rest;
  for (int i = 2; i <= 40; ++i) {
    ASSERT_OK_AND_ASSIGN(Message message, subscription.Next(kPatience));
    ASSERT_EQ(message.fds().size(), 1u);
    rest.push_back(std::string(message.text()) + ":" +
                   ReadAll(message.fds()[0]));
    ASSERT_OK(message.Acknowledge());
  }
  EXPECT_EQ(rest, Numbered(2, 40));
}

TEST_F(AttachmentsTest, EightSubscribersGetThemAll) {
  std::vector<Inbox> inboxes(8);
  std::vector<std::unique_ptr<Client>> clients;
  std::vector<RawSubscription> subscriptions;
  for (Inbox& inbox : inboxes) {
    clients.push_back(Connect("one-of-eight"));
    ASSERT_OK_AND_ASSIGN(
        auto subscription,
        clients.back()->SubscribeRaw("files", inbox.Handler(), Patient()));
    subscriptions.push_back(std::move(subscription));
  }
  PublishNumbered(1, 50);
  for (const Inbox& inbox : inboxes) {
    ASSERT_TRUE(inbox.WaitFor(50));
    EXPECT_EQ(WithContents(inbox), Numbered(1, 50));
  }
}

TEST_F(AttachmentsTest, OneMemberOfAGroupGetsEach) {
  Inbox first;
  Inbox second;
  auto one = Subscribe(&first, {.policy = Reliable{.group = "g"}});
  auto other = Subscribe(&second, {.policy = Reliable{.group = "g"}});
  PublishNumbered(1, 40);
  ASSERT_OK(writer_->Flush(kPatience));
  std::vector<std::string> all = WithContents(first);
  for (std::string& text : WithContents(second)) all.push_back(text);
  EXPECT_THAT(all, testing::UnorderedElementsAreArray(Numbered(1, 40)));
}

TEST_F(AttachmentsTest, ALastValueComesWithItsFileToALateSubscriber) {
  ASSERT_OK_AND_ASSIGN(auto state,
                       writer_->AdvertiseRaw("state", {.retain_last = true}));
  ASSERT_OK(state.Publish("value", AttachmentsOf("content")));
  ASSERT_OK(writer_->Flush(kPatience));
  for (int restart = 0; restart < 2; ++restart) {
    Inbox inbox;
    auto late = Connect("late");
    ASSERT_OK_AND_ASSIGN(
        auto subscription,
        late->SubscribeRaw("state", inbox.Handler(), Patient()));
    ASSERT_TRUE(inbox.WaitFor(1));
    EXPECT_THAT(WithContents(inbox), ElementsAre("value:content"));
    broker_.Kill();
    broker_.Start();
    ASSERT_TRUE(WaitUntil([&] { return writer_->connected(); }));
  }
}

// Its queue holds 64 descriptors, and what does not fit is told.
TEST_F(AttachmentsTest, ASlowBestEffortReaderIsToldWhatItMissesAndSlowsNobody) {
  for (const SubscribeOptions& options :
       {SubscribeOptions{.policy = BestEffort{}},
        SubscribeOptions{.policy = BestEffort{.drop = Drop::kNewest}},
        SubscribeOptions{.policy = Latest{}}}) {
    EventLog events;
    ClientOptions slow = Options("slow");
    slow.manual_loop = true;  // and nobody turns it
    slow.on_event = events.Handler();
    auto client = Connect(slow);
    Inbox inbox;
    ASSERT_OK_AND_ASSIGN(
        auto subscription,
        client->SubscribeRaw("files", inbox.Handler(), Patient(options)));
    for (int i = 0; i < 400; ++i) {
      ASSERT_OK(publisher_.Publish("x", AttachmentsOf("x")));
    }
    ASSERT_OK(writer_->Flush(kPatience));
    EXPECT_LT(broker_.Descriptors(), 200u);
    uint64_t told = 0;
    ASSERT_TRUE(WaitUntil([&] {
      EXPECT_OK(client->Process());
      told = 0;
      for (const Event& gap : events.Of(Event::Kind::kGap)) {
        told += gap.last - gap.first + 1;
      }
      return inbox.Get().size() + told == 400;
    })) << inbox.Get().size()
        << " received, " << told << " told missing";
    EXPECT_GE(inbox.Get().size(), 64u);
    for (const Message& message : inbox.Get()) {
      ASSERT_EQ(message.fds().size(), 1u);
      EXPECT_EQ(ReadAll(message.fds()[0]), "x");
    }
  }
}

TEST_F(AttachmentsTest, NobodyKeepsOneOpen) {
  ASSERT_OK_AND_ASSIGN(auto state,
                       writer_->AdvertiseRaw("state", {.retain_last = true}));
  {
    Inbox warm_up;
    auto subscription = Subscribe(&warm_up);
    PublishNumbered(1, 1);
    ASSERT_OK(writer_->Flush(kPatience));
  }
  const size_t ours = OpenDescriptors();
  const size_t brokers = broker_.Descriptors();
  for (int kill = 0; kill < 2; ++kill) {
    std::atomic<int> count = 0;
    ASSERT_OK_AND_ASSIGN(auto subscription,
                         reader_->SubscribeRaw(
                             "*", [&](const Message&) { ++count; }, Patient()));
    for (int i = 0; i < 500; ++i) {
      ASSERT_OK(publisher_.Publish(std::string(i % 7 == 0 ? 100'000 : 10, 'x'),
                                   AttachmentsOf("x", 1 + i % 3)));
      ASSERT_OK(state.Publish("x", AttachmentsOf("x")));
    }
    ASSERT_OK(writer_->Flush(kPatience));
    EXPECT_GE(count, 1000);
    ASSERT_OK(state.Publish("without"));
    ASSERT_OK(writer_->Flush(kPatience));
    broker_.Kill();
    ASSERT_OK(publisher_.Publish("x", AttachmentsOf("x", 16)));
    broker_.Start();
    ASSERT_TRUE(WaitUntil(
        [&] { return writer_->connected() && reader_->connected(); }));
    ASSERT_OK(writer_->Flush(kPatience));
  }
  EXPECT_TRUE(WaitUntil([&] { return OpenDescriptors() == ours; }))
      << OpenDescriptors() << " and not " << ours;
  EXPECT_TRUE(WaitUntil([&] { return broker_.Descriptors() == brokers; }))
      << broker_.Descriptors() << " and not " << brokers;
}

}  // namespace
}  // namespace ipc::test
