// SPDX-License-Identifier: Apache-2.0
//
// Payloads that travel in a memfd: subscribers see no difference to others, and
// one that is not as it must be harms nobody.

#include <fcntl.h>
#include <sys/mman.h>

#include <cstring>
#include <string>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/integration/bus.h"
#include "tests/integration/ipcctl.h"
#include "tests/integration/open_files.h"
#include "tests/support/raw_peer.h"

namespace ipc::test {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

constexpr size_t kThreshold = 1000;
constexpr int kAllSeals =
    F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE;

std::string Large(char letter) { return std::string(300'000, letter); }

class MemfdTest : public IpcctlTest {
 protected:
  void SetUp() override {
    IpcctlTest::SetUp();
    writer_ = Connect("writer");
    ClientOptions options = Options("reader");
    options.on_event = events_.Handler();
    reader_ = Connect(options);
    ASSERT_OK_AND_ASSIGN(
        publisher_,
        writer_->AdvertiseRaw(
            "large", {.retain_last = true, .memfd_threshold = kThreshold}));
  }

  EventLog events_;
  std::unique_ptr<Client> writer_;
  std::unique_ptr<Client> reader_;
  RawPublisher publisher_;
};

TEST_F(MemfdTest, SubscribersSeeNoDifference) {
  Inbox inbox;
  ASSERT_OK_AND_ASSIGN(
      auto subscription,
      reader_->SubscribeRaw("large", inbox.Handler(), Patient()));
  Attachments attachments;
  ASSERT_OK(attachments.AttachFd(FileWith("beside").get()));
  ASSERT_OK(publisher_.Publish("small"));
  ASSERT_OK(publisher_.Publish(Large('a')));
  ASSERT_OK(publisher_.Publish(Large('b'), attachments));
  ASSERT_OK(publisher_.Publish(std::string(kThreshold, 'c')));
  ASSERT_OK(publisher_.Publish("small"));
  ASSERT_TRUE(inbox.WaitFor(5));
  EXPECT_THAT(inbox.Texts(),
              ElementsAre("small", Large('a'), Large('b'),
                          std::string(kThreshold, 'c'), "small"));
  const std::vector<Message> messages = inbox.Get();
  EXPECT_EQ(messages[1].fds().size(), 0u);
  ASSERT_EQ(messages[2].fds().size(), 1u);
  EXPECT_EQ(ReadAll(messages[2].fds()[0]), "beside");
  EXPECT_EQ(writer_->stats().memfd_fallbacks, 0u);
  // A copy reads the same memory.
  EXPECT_EQ(messages[1].payload().data(), messages[1].Clone().payload().data());
}

TEST_F(MemfdTest, ItGoesAsBytesWhereThereIsNoRoomForADescriptor) {
  Inbox inbox;
  ASSERT_OK_AND_ASSIGN(
      auto subscription,
      reader_->SubscribeRaw("large", inbox.Handler(), Patient()));
  Attachments attachments;
  const net::Fd file = FileWith("x");
  for (size_t i = 0; i < Attachments::kSizeMax; ++i) {
    ASSERT_OK(attachments.AttachFd(file.get()));
  }
  ASSERT_OK(publisher_.Publish(Large('a'), attachments));
  ASSERT_TRUE(inbox.WaitFor(1));
  EXPECT_THAT(inbox.Texts(), ElementsAre(Large('a')));
  EXPECT_EQ(inbox.Get()[0].fds().size(), Attachments::kSizeMax);
  EXPECT_EQ(writer_->stats().memfd_fallbacks, 1u);
}

TEST_F(MemfdTest, NothingIsLostWhenTheBrokerIsKilled) {
  ASSERT_OK_AND_ASSIGN(
      auto subscription,
      reader_->SubscribeRaw("large",
                            Patient({.acknowledge = Acknowledge::kManual})));
  for (char c : std::string("abc")) ASSERT_OK(publisher_.Publish(Large(c)));
  ASSERT_OK_AND_ASSIGN(Message first, subscription.Next(kPatience));
  ASSERT_OK(first.Acknowledge());
  broker_.Kill();
  ASSERT_OK(publisher_.Publish(Large('d')));
  broker_.Start();
  for (char c : std::string("bcd")) {
    ASSERT_OK_AND_ASSIGN(Message message, subscription.Next(kPatience));
    EXPECT_TRUE(message.text() == Large(c));
    ASSERT_OK(message.Acknowledge());
  }
}

TEST_F(MemfdTest, EightSubscribersAndALateOneGetItFromARestartedBroker) {
  std::vector<Inbox> inboxes(9);
  std::vector<RawSubscription> subscriptions;
  const auto subscribe = [&](Inbox* inbox) {
    auto made = reader_->SubscribeRaw("*", inbox->Handler(), Patient());
    ASSERT_OK(made);
    subscriptions.push_back(*std::move(made));
  };
  for (size_t i = 0; i < 8; ++i) subscribe(&inboxes[i]);
  for (char c : std::string("abcdefghij")) {
    ASSERT_OK(publisher_.Publish(Large(c)));
  }
  ASSERT_OK(writer_->Flush(kPatience));
  for (size_t i = 0; i < 8; ++i) {
    EXPECT_EQ(inboxes[i].Get().size(), 10u);
    EXPECT_EQ(inboxes[i].Texts().back(), Large('j'));
  }
  broker_.Kill();
  broker_.Start();
  ASSERT_TRUE(WaitUntil([&] { return writer_->connected(); }));
  subscribe(&inboxes[8]);
  ASSERT_TRUE(inboxes[8].WaitFor(1));
  EXPECT_THAT(inboxes[8].Texts(), ElementsAre(Large('j')));
}

TEST_F(MemfdTest, TheWindowCountsItAndNobodyKeepsOneOpen) {
  ASSERT_OK_AND_ASSIGN(
      auto subscription,
      reader_->SubscribeRaw("large",
                            Patient({.acknowledge = Acknowledge::kManual})));
  const size_t ours = OpenDescriptors();
  const size_t brokers = broker_.Descriptors();
  const std::string megabyte(size_t{1} << 20, 'm');
  int accepted = 0;
  while (accepted < 10 && publisher_.TryPublish(Bytes(megabyte)).ok()) {
    ++accepted;
  }
  EXPECT_EQ(accepted, 7);  // of a window of 8 MiB
  for (int i = 0; i < accepted; ++i) {
    ASSERT_OK_AND_ASSIGN(Message message, subscription.Next(kPatience));
    ASSERT_OK(message.Acknowledge());
  }
  ASSERT_OK(publisher_.Publish("small"));  // the last value from now on
  ASSERT_OK_AND_ASSIGN(Message message, subscription.Next(kPatience));
  ASSERT_OK(message.Acknowledge());
  ASSERT_OK(writer_->Flush(kPatience));
  EXPECT_TRUE(WaitUntil([&] { return OpenDescriptors() == ours; }));
  EXPECT_TRUE(WaitUntil([&] { return broker_.Descriptors() == brokers; }));
}

// What a peer passes as a payload that is none.
TEST_F(MemfdTest, ABadOneIsPassedOverAndToldAndHarmsNobody) {
  Inbox inbox;
  ASSERT_OK_AND_ASSIGN(
      auto subscription,
      reader_->SubscribeRaw("bad", inbox.Handler(), Patient()));
  RawPeer peer(broker_.socket_path());
  ASSERT_TRUE(peer.Greet("hostile"));
  ASSERT_TRUE(
      peer.Send(Encode({.kind = kRawResumed}) +
                Encode({.kind = kRawOpen,
                        .sequence = 1,
                        .payload = VarintField(1, 1) + BytesField(2, "bad") +
                                   VarintField(5, 1) + VarintField(6, 1)})));
  uint64_t sequence = 0;
  const auto pass = [&](int fd, uint64_t size) {
    std::string payload(sizeof(size), '\0');
    std::memcpy(payload.data(), &size, sizeof(size));
    ASSERT_TRUE(peer.SendWithDescriptor(Encode({.kind = kRawPublish,
                                                .flags = 4,
                                                .descriptors = 1,
                                                .target = 1,
                                                .sequence = ++sequence,
                                                .payload = payload}),
                                        fd));
  };
  const auto sealed = [](int seals) {
    net::Fd file(memfd_create("test", MFD_CLOEXEC | MFD_ALLOW_SEALING));
    EXPECT_EQ(ftruncate(file.get(), 8192), 0);
    EXPECT_EQ(fcntl(file.get(), F_ADD_SEALS, seals), 0);
    return file;
  };
  int pipe[2];
  ASSERT_EQ(pipe2(pipe, O_CLOEXEC), 0);
  const net::Fd read_end(pipe[0]);
  const net::Fd write_end(pipe[1]);
  const net::Fd folder(open("/", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  for (int seals : {0, F_SEAL_SHRINK, kAllSeals & ~F_SEAL_WRITE,
                    kAllSeals & ~F_SEAL_SHRINK, kAllSeals & ~F_SEAL_SEAL}) {
    pass(sealed(seals).get(), 8192);
  }
  pass(sealed(kAllSeals).get(), 8193);
  pass(sealed(kAllSeals).get(), 0);
  pass(read_end.get(), 8192);
  pass(folder.get(), 8192);
  const net::Fd huge(
      memfd_create("test", MFD_CLOEXEC | MFD_ALLOW_SEALING | MFD_HUGETLB));
  if (huge.valid()) {  // not every kernel has them
    EXPECT_EQ(ftruncate(huge.get(), 1 << 21), 0);
    EXPECT_EQ(fcntl(huge.get(), F_ADD_SEALS, kAllSeals), 0);
    pass(huge.get(), 8192);
  }
  const uint64_t bad = sequence;
  pass(sealed(kAllSeals).get(), uint64_t{1} << 60);  // the broker refuses it
  pass(sealed(kAllSeals).get(), 8192);
  ASSERT_TRUE(inbox.WaitFor(1));
  EXPECT_THAT(inbox.Texts(), ElementsAre(std::string(8192, '\0')));
  EXPECT_EQ(inbox.Get()[0].sequence(), bad + 2);
  EXPECT_EQ(events_.Of(Event::Kind::kRefused).size(), bad);
  EXPECT_THAT(
      std::string(events_.Of(Event::Kind::kRefused)[0].status.message()),
      HasSubstr("not sealed"));
  uint64_t told = 0;
  for (const Event& gap : events_.Of(Event::Kind::kGap)) {
    told += gap.last - gap.first + 1;
  }
  EXPECT_EQ(told, bad + 1);
  EXPECT_EQ(reader_->stats().connections, 1u);
  // All of it is acknowledged: a hostile publisher waits for nobody.
  bool acknowledged = false;
  while (!acknowledged) {
    const auto frame = peer.Read();
    ASSERT_TRUE(frame);
    acknowledged = frame->kind == 3 && frame->sequence == bad + 2;
  }
}

TEST_F(MemfdTest, IpcctlShowsIt) {
  ASSERT_OK(publisher_.Publish(std::string(2000, 't')));
  const Outcome sub = Ipcctl({"sub", "large", "--count", "1", "--json"});
  EXPECT_THAT(sub.out, HasSubstr("\"size\":2000"));
}

}  // namespace
}  // namespace ipc::test
