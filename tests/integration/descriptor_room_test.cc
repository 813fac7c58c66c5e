// SPDX-License-Identifier: Apache-2.0
//
// Descriptors where there is no room for them: in the kernel on their way, in
// the subscriber's process, in the broker's. Nothing is lost and nothing is
// left open.

#include <poll.h>
#include <sys/resource.h>

#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/integration/bus.h"
#include "tests/integration/open_files.h"
#include "tests/support/raw_peer.h"

namespace ipc::test {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

constexpr rlim_t kBrokersDescriptorsMax = 40;
// Nobody else's: the kernel counts for each user.
constexpr uid_t kOrdinaryUser = 54'321;

// While it lives, this process can open so many descriptors more.
class RoomFor {
 public:
  explicit RoomFor(size_t count) {
    EXPECT_EQ(getrlimit(RLIMIT_NOFILE, &before_), 0);
    std::vector<net::Fd> next;
    for (size_t i = 0; i <= count; ++i) next.push_back(FileWith(""));
    const auto end = static_cast<rlim_t>(next.back().get());
    const rlimit limit = {end, before_.rlim_max};
    EXPECT_EQ(setrlimit(RLIMIT_NOFILE, &limit), 0);
  }
  ~RoomFor() { EXPECT_EQ(setrlimit(RLIMIT_NOFILE, &before_), 0); }
  RoomFor(const RoomFor&) = delete;
  RoomFor& operator=(const RoomFor&) = delete;

 private:
  rlimit before_ = {};
};

class DescriptorRoomTest : public BusTest {
 protected:
  // A broker that may have few descriptors, and a publisher.
  void SetUp() override {
    broker_.set_descriptors_max(kBrokersDescriptorsMax);
    // The kernel bounds what is under way of ordinary users alone.
    if (geteuid() == 0) broker_.set_uid(kOrdinaryUser);
    BusTest::SetUp();
    ClientOptions options = Options("writer");
    options.on_event = writers_.Handler();
    writer_ = Connect(options);
    ASSERT_OK_AND_ASSIGN(publisher_, writer_->AdvertiseRaw("files"));
  }
  // A client whose loop the test turns.
  std::unique_ptr<Client> ConnectReader() {
    ClientOptions options = Options("reader");
    options.manual_loop = true;
    options.on_event = readers_.Handler();
    return Connect(options);
  }
  RawSubscription Subscribe(Client* client) {
    auto subscription = client->SubscribeRaw(
        "files",
        [this](const Message& message) {
          std::string text(message.text());
          for (int fd : message.fds()) absl::StrAppend(&text, ":", ReadAll(fd));
          received_.Update([&](auto& all) { all.push_back(text); });
        },
        Patient());
    EXPECT_OK(subscription);
    return *std::move(subscription);
  }

  // Whether the broker holds descriptors of a message, besides those with which
  // it watches processes for a while whose connections were lost.
  bool MoreThanWatches(size_t before) const {
    return broker_.Descriptors() >= before + kEach;
  }

  static constexpr size_t kEach = 3;  // descriptors of a message

  EventLog writers_;
  EventLog readers_;
  Shared<std::vector<std::string>> received_;
  std::unique_ptr<Client> writer_;
  RawPublisher publisher_;
};

// The broker looks again until the kernel passes more, and holds what waits.
TEST_F(DescriptorRoomTest, WhatTheKernelDoesNotPassNowIsSentLater) {
  constexpr int kMessages = 60;  // fewer than the broker leaves unread
  constexpr size_t kHeldAtLeast = 15;
  auto reader = ConnectReader();
  auto subscription = Subscribe(reader.get());
  auto other = Connect("other");
  Inbox others;
  ASSERT_OK_AND_ASSIGN(
      auto without,
      other->SubscribeRaw("without", others.Handler(), Patient()));
  ASSERT_OK_AND_ASSIGN(auto plain, writer_->AdvertiseRaw("without"));
  const size_t before = broker_.Descriptors();
  for (int i = 1; i <= kMessages; ++i) {
    ASSERT_OK(publisher_.Publish(absl::StrCat(i),
                                 AttachmentsOf(absl::StrCat("f", i))));
  }
  ASSERT_TRUE(WaitUntil([&] {
    return broker_.Descriptors() >= before + kHeldAtLeast;
  })) << broker_.Descriptors() - before
      << " are held";
  ASSERT_OK(plain.Publish("x"));
  EXPECT_TRUE(others.WaitFor(1));
  EXPECT_GE(broker_.Descriptors(), before + kHeldAtLeast);

  EXPECT_TRUE(WaitUntil([&] {
    EXPECT_OK(reader->Process());
    return received_.Get().size() == kMessages;
  }));
  EXPECT_EQ(received_.Get(), Numbered(1, kMessages));
  EXPECT_TRUE(WaitUntil([&] { return broker_.Descriptors() == before; }));
  EXPECT_EQ(reader->stats().connections, 1u);
  EXPECT_EQ(writer_->stats().connections, 1u);
}

TEST_F(DescriptorRoomTest, ASubscriberWithoutRoomGetsTheMessageAgain) {
  auto reader = ConnectReader();
  auto subscription = Subscribe(reader.get());
  const size_t before = OpenDescriptors();
  const size_t brokers = broker_.Descriptors();
  uint64_t connections = 1;
  for (size_t room : {0, 2}) {
    ASSERT_OK(publisher_.Publish("m", AttachmentsOf("f", kEach)));
    {
      RoomFor few(room);
      ASSERT_TRUE(WaitUntil([&] {
        EXPECT_OK(reader->Process());
        return !reader->connected();
      }));
    }
    const auto ends = readers_.Of(Event::Kind::kDisconnected);
    ASSERT_EQ(ends.size(), connections);
    EXPECT_THAT(std::string(ends.back().status.message()),
                HasSubstr("descriptors were passed that this process has no "
                          "room for"));
    EXPECT_EQ(received_.Get().size(), connections - 1);
    ++connections;
    ASSERT_TRUE(WaitUntil([&] {
      EXPECT_OK(reader->Process());
      return received_.Get().size() == connections - 1;
    }));
    EXPECT_EQ(reader->stats().connections, connections);
  }
  EXPECT_THAT(received_.Get(), ElementsAre("m:f:f:f", "m:f:f:f"));
  EXPECT_TRUE(WaitUntil([&] {
    EXPECT_OK(reader->Process());
    return OpenDescriptors() == before && !MoreThanWatches(brokers);
  })) << OpenDescriptors()
      << " and not " << before << "; the broker " << broker_.Descriptors()
      << " and not " << brokers;
}

TEST_F(DescriptorRoomTest, ABrokerWithoutRoomGetsTheMessageAgain) {
  auto reader = Connect("reader");
  auto subscription = Subscribe(reader.get());
  const size_t before = broker_.Descriptors();
  std::vector<RawPeer> idle;  // without HELLO: the broker forgets them at once
  for (size_t i = before; i + 1 < kBrokersDescriptorsMax; ++i) {
    idle.emplace_back(broker_.socket_path());
  }
  ASSERT_TRUE(WaitUntil(
      [&] { return broker_.Descriptors() + 1 == kBrokersDescriptorsMax; }));
  ASSERT_OK(publisher_.Publish("m", AttachmentsOf("f", kEach)));
  ASSERT_TRUE(writers_.WaitFor(Event::Kind::kDisconnected));
  EXPECT_THAT(broker_.log(),
              HasSubstr("lost: descriptors were passed that this process has "
                        "no room for"));
  EXPECT_THAT(received_.Get(), ElementsAre());
  idle.clear();
  ASSERT_TRUE(
      received_.WaitUntil([](const auto& all) { return !all.empty(); }));
  EXPECT_OK(writer_->Flush(kPatience));
  EXPECT_THAT(received_.Get(), ElementsAre("m:f:f:f"));
  EXPECT_EQ(reader->stats().connections, 1u);
  EXPECT_TRUE(WaitUntil([&] { return !MoreThanWatches(before); }))
      << broker_.Descriptors() << " and not " << before;
}

}  // namespace
}  // namespace ipc::test
