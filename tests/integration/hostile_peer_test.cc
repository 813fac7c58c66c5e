// SPDX-License-Identifier: Apache-2.0
//
// Promise 5: whatever a peer sends, the broker ends that peer's connection,
// says why where it can, and nobody else notices. Frames are made by hand
// (tests/support/raw_peer.h).

#include <fcntl.h>
#include <unistd.h>

#include <memory>
#include <random>
#include <string>
#include <utility>
#include <vector>

#include "absl/time/clock.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "libipc/net/fd.h"
#include "tests/integration/bus.h"
#include "tests/support/raw_peer.h"
#include "tests/support/seed.h"

namespace ipc::test {
namespace {

class HostilePeerTest : public BusTest {
 protected:
  void SetUp() override {
    BusTest::SetUp();
    reader_ = Connect("reader");
    writer_ = Connect("writer");
    ASSERT_OK_AND_ASSIGN(
        subscription_,
        reader_->SubscribeRaw("a/*", inbox_.Handler(), Patient()));
    ASSERT_OK_AND_ASSIGN(publisher_, writer_->AdvertiseRaw("a/b"));
    descriptors_ = broker_.Descriptors();
    ExpectOthersUnharmed();
  }
  void TearDown() override {
    ExpectOthersUnharmed();
    EXPECT_TRUE(WaitUntil([this] {
      return broker_.Descriptors() == descriptors_;
    })) << broker_.Descriptors()
        << " descriptors, not " << descriptors_;
  }
  void ExpectOthersUnharmed() {
    const size_t count = inbox_.Get().size();
    EXPECT_OK(publisher_.Publish("still here"));
    EXPECT_OK(writer_->Flush(kPatience));
    EXPECT_EQ(inbox_.Get().size(), count + 1);
    EXPECT_EQ(reader_->stats().connections, 1u);
    EXPECT_EQ(writer_->stats().connections, 1u);
  }
  // A peer that was welcomed.
  RawPeer Greeted() {
    RawPeer peer(broker_.socket_path());
    EXPECT_TRUE(peer.Greet("hostile"));
    return peer;
  }
  void ExpectEndFor(RawPeer* peer, int reason) {
    EXPECT_TRUE(peer->WaitForEnd());
    EXPECT_EQ(peer->goodbye(), reason) << peer->goodbye_text();
    EXPECT_NE(peer->goodbye_text(), "");
  }

  Inbox inbox_;
  std::unique_ptr<Client> reader_;
  std::unique_ptr<Client> writer_;
  RawSubscription subscription_;
  RawPublisher publisher_;
  size_t descriptors_ = 0;
};

TEST_F(HostilePeerTest, GarbageEndsTheConnectionAsMalformed) {
  for (const char* garbage :
       {"GET / HTTP/1.1\r\nHost: localhost\r\nAccept: */*\r\n\r\n",
        "BEGIN\r\nAUTH EXTERNAL 30\r\nNEGOTIATE_UNIX_FD\r\nBEGIN\r\n"}) {
    RawPeer peer(broker_.socket_path());
    ASSERT_TRUE(peer.Send(garbage));
    ExpectEndFor(&peer, kRawMalformed);
  }
}

TEST_F(HostilePeerTest, RandomBytesBeforeAndAfterHelloEndTheConnection) {
  SCOPED_TRACE(SeedNote());
  std::mt19937_64 random(Seed());
  for (int i = 0; i < 50; ++i) {
    std::string bytes(4096, '\0');
    for (char& c : bytes) c = static_cast<char>(random());
    bytes[3] = '\x7f';  // no frame is that large
    RawPeer peer = i % 2 == 0 ? RawPeer(broker_.socket_path()) : Greeted();
    peer.Send(bytes);  // it may end before it has read all
    EXPECT_TRUE(peer.WaitForEnd());
  }
}

TEST_F(HostilePeerTest, AFrameThatLiesAboutItsSizeIsMalformed) {
  for (uint32_t size : {0u, 1u, 39u, 4097u, 0x7fffffffu, 0xffffffffu}) {
    RawPeer peer(broker_.socket_path());
    ASSERT_TRUE(peer.Send(Encode({.size = size, .kind = kRawHello})));
    ExpectEndFor(&peer, kRawMalformed);
  }
  constexpr uint32_t kControlBytesMax = 4 * 1024 * 1024;
  constexpr uint32_t kDataBytesMax = 40 + 1024 + 64 * 1024;
  for (uint32_t size : {0u, 39u, kControlBytesMax + 1, 0xffffffffu}) {
    RawPeer peer = Greeted();
    ASSERT_TRUE(peer.Send(Encode({.size = size, .kind = kRawSubscribe})));
    ExpectEndFor(&peer, kRawMalformed);
  }
  for (uint32_t size : {kDataBytesMax + 1, 0xffffffffu}) {
    RawPeer peer = Greeted();
    ASSERT_TRUE(peer.Send(Encode({.size = size, .kind = kRawPublish})));
    ExpectEndFor(&peer, kRawMalformed);
  }
}

TEST_F(HostilePeerTest, OddHeadersAreMalformed) {
  const std::vector<RawFrame> frames = {
      {.kind = kRawPing, .flags = 0x80},
      {.kind = kRawPing, .descriptors = 1},
      {.kind = kRawPing, .payload = "a ping has none"},
      {.kind = kRawPublish, .extension = 0xffffffff},
      {.kind = kRawPublish, .extension = 1},
      {.kind = kRawPublish, .fragment = 1, .last_fragment = 0},
      {.kind = kRawPublish, .fragment = 0, .last_fragment = 1},
      {.kind = kRawSubscribe, .payload = "\xff\xff\xff"},
      {.kind = kRawSubscribe}};
  for (const RawFrame& frame : frames) {
    RawPeer peer = Greeted();
    ASSERT_TRUE(peer.Send(Encode(frame)));
    ExpectEndFor(&peer, kRawMalformed);
  }
}

TEST_F(HostilePeerTest, NoKindButHelloMayComeFirst) {
  for (int kind = 0; kind < 256; ++kind) {
    RawPeer peer(broker_.socket_path());
    ASSERT_TRUE(peer.Send(Encode({.kind = static_cast<uint8_t>(kind)})));
    EXPECT_TRUE(peer.WaitForEnd()) << kind;
    // A HELLO without a payload is none.
    EXPECT_EQ(peer.goodbye(), kind == kRawHello ? kRawMalformed : kRawViolation)
        << kind << ": " << peer.goodbye_text();
  }
}

TEST_F(HostilePeerTest, KindsThatAreTheBrokersOwnEndTheConnection) {
  // DELIVER, ABORT, GONE, LEAVE, MATCHES, PONG, WELCOME, RESULT, OPENED,
  // ANNOUNCE, JOIN, RESEND, TOPICS, CLIENTS, REFUSED, and one that nobody has.
  for (int kind :
       {2, 4, 6, 10, 11, 15, 33, 35, 37, 39, 40, 41, 45, 47, 48, 99}) {
    RawPeer peer = Greeted();
    ASSERT_TRUE(peer.Send(Encode({.kind = static_cast<uint8_t>(kind)})));
    EXPECT_TRUE(peer.WaitForEnd()) << kind;
    EXPECT_EQ(peer.goodbye(), kRawViolation)
        << kind << ": " << peer.goodbye_text();
  }
}

// The rest of the kinds, in a state or for a subject that they do not fit.
TEST_F(HostilePeerTest, AnyHeaderAfterHelloLeavesTheOthersUnharmed) {
  for (int kind = 0; kind < 256; ++kind) {
    RawPeer peer = Greeted();
    for (uint32_t number : {0u, 1u, 0xffffffffu}) {
      // It may have been ended by the one before.
      peer.Send(Encode({.kind = static_cast<uint8_t>(kind),
                        .target = number,
                        .session = number,
                        .sequence = number}));
    }
  }
}

TEST_F(HostilePeerTest, ASecondHelloIsAViolation) {
  RawPeer peer = Greeted();
  ASSERT_TRUE(peer.Send(HelloFrame("again")));
  ExpectEndFor(&peer, kRawViolation);
}

TEST_F(HostilePeerTest, ABadNameIsAViolation) {
  for (const std::string& name :
       {std::string(), std::string("a b"), std::string(65, 'n'),
        std::string("\x1b[2J"), std::string("\xff")}) {
    RawPeer peer(broker_.socket_path());
    ASSERT_TRUE(peer.Send(HelloFrame(name)));
    EXPECT_TRUE(peer.WaitForEnd());
    EXPECT_THAT(peer.goodbye(), testing::AnyOf(kRawViolation, kRawMalformed));
  }
  EXPECT_EQ(broker_.log().find('\x1b'), std::string::npos);
}

TEST_F(HostilePeerTest, PublishOnAChannelThatIsNotOpenIsAViolation) {
  for (uint32_t channel : {0u, 1u, 7u, 65'536u, 0xffffffffu}) {
    RawPeer peer = Greeted();
    ASSERT_TRUE(peer.Send(Encode({.kind = kRawPublish,
                                  .target = channel,
                                  .sequence = 1,
                                  .payload = "boo"})));
    ExpectEndFor(&peer, kRawViolation);
  }
}

// A resend that nobody asked for, on channels that are not there.
TEST_F(HostilePeerTest, AResendOutOfNowhereReachesNobody) {
  const size_t count = inbox_.Get().size();
  for (uint32_t channel : {0u, 1u, 0xffffffffu}) {
    RawPeer peer = Greeted();
    peer.Send(Encode({.kind = kRawPublish,
                      .flags = 1,
                      .target = channel,
                      .session = 1,
                      .sequence = 1,
                      .payload = "boo"}));
    peer.Send(Encode({.kind = kRawPing, .sequence = 5}));
    peer.Read();
  }
  ExpectOthersUnharmed();
  EXPECT_EQ(inbox_.Get().size(), count + 1);
}

TEST_F(HostilePeerTest, HalfAHelloAndThenSilenceEndsByTimeout) {
  const absl::Time start = absl::Now();
  RawPeer silent(broker_.socket_path());
  RawPeer half(broker_.socket_path());
  ASSERT_TRUE(half.Send(HelloFrame("slow").substr(0, 50)));
  ExpectOthersUnharmed();
  ExpectEndFor(&half, kRawHandshakeTimeout);
  ExpectEndFor(&silent, kRawHandshakeTimeout);
  EXPECT_GT(absl::Now() - start, absl::Seconds(4));
}

TEST_F(HostilePeerTest, AHelloInSingleBytesIsFine) {
  RawPeer peer(broker_.socket_path());
  for (char c : HelloFrame("patient")) ASSERT_TRUE(peer.Send({&c, 1}));
  const auto answer = peer.Read();
  ASSERT_TRUE(answer);
  EXPECT_EQ(answer->kind, kRawWelcome);
}

TEST_F(HostilePeerTest, DescriptorsThatArePassedAreClosed) {
  const int null = open("/dev/null", O_RDONLY | O_CLOEXEC);
  ASSERT_GE(null, 0);
  const std::string ping = Encode({.kind = kRawPing});
  for (bool greeted : {false, true}) {
    RawPeer peer = greeted ? Greeted() : RawPeer(broker_.socket_path());
    EXPECT_TRUE(peer.SendWithDescriptor(ping, null));
    EXPECT_TRUE(peer.WaitForEnd());
  }
  close(null);
}

// A publication on a channel of its own, as a client's.
class HostileDescriptorsTest : public HostilePeerTest {
 protected:
  RawPeer Opened(std::string_view topic = "a/x") {
    RawPeer peer = Greeted();
    EXPECT_TRUE(
        peer.Send(Encode({.kind = kRawResumed}) +
                  Encode({.kind = kRawOpen,
                          .sequence = 1,
                          .payload = VarintField(1, 1) + BytesField(2, topic) +
                                     VarintField(5, 1) + VarintField(6, 1)})));
    return peer;
  }
  static std::string Publication(uint8_t descriptors, uint64_t sequence = 1) {
    return Encode({.kind = kRawPublish,
                   .descriptors = descriptors,
                   .target = 1,
                   .sequence = sequence,
                   .payload = "x"});
  }
  std::vector<int> Nulls(size_t count) const {
    return std::vector<int>(count, null_.get());
  }

  const net::Fd null_{open("/dev/null", O_RDONLY | O_CLOEXEC)};
};

TEST_F(HostileDescriptorsTest, ThoseOfAPublicationArriveAsWithLibipc) {
  const size_t count = inbox_.Get().size();
  RawPeer peer = Opened();
  const std::string frame = Publication(16);
  ASSERT_TRUE(peer.SendWithDescriptors(frame.substr(0, 1), Nulls(16)));
  ASSERT_TRUE(peer.Send(frame.substr(1)));
  ASSERT_TRUE(peer.SendWithDescriptors(Publication(2, 2), Nulls(2)));
  ASSERT_TRUE(inbox_.WaitFor(count + 2));
  EXPECT_EQ(inbox_.Get()[count].fds().size(), 16u);
  EXPECT_EQ(inbox_.Get()[count + 1].fds().size(), 2u);
}

TEST_F(HostileDescriptorsTest, ACountThatIsNotThatOfThePassedIsMalformed) {
  const size_t count_before = inbox_.Get().size();
  for (const auto& [said, passed] :
       {std::pair{1, 0}, {1, 2}, {2, 1}, {0, 1}, {16, 0}, {17, 17}, {0, 253}}) {
    RawPeer peer = Opened();
    const std::string frame = Publication(static_cast<uint8_t>(said));
    const auto count = static_cast<size_t>(passed);
    ASSERT_TRUE(count == 0 ? peer.Send(frame)
                           : peer.SendWithDescriptors(frame, Nulls(count)));
    ExpectEndFor(&peer, kRawMalformed);
  }
  // Two that are left over, {1, 2} and {0, 1}, are found out when their frames
  // are routed; 253 are more than one receive may bring.
  EXPECT_TRUE(inbox_.WaitFor(count_before + 2));
  EXPECT_EQ(inbox_.Get().size(), count_before + 2);
}

TEST_F(HostileDescriptorsTest, MoreThanOneFrameMayHaveAreNotKept) {
  RawPeer peer = Opened();
  const std::string frame = Publication(1);
  ASSERT_TRUE(peer.SendWithDescriptors(frame.substr(0, 10), Nulls(1)));
  ASSERT_TRUE(peer.SendWithDescriptors(frame.substr(10, 1), Nulls(1)));
  ExpectEndFor(&peer, kRawMalformed);
}

TEST_F(HostileDescriptorsTest, TheBeginningOfAFrameMayHaveNone) {
  RawPeer peer = Opened();
  ASSERT_TRUE(peer.SendWithDescriptors(Publication(0).substr(0, 40), Nulls(1)));
  ExpectEndFor(&peer, kRawMalformed);
}

TEST_F(HostileDescriptorsTest, ASocketOfTheUnixDomainIsRefused) {
  RawPeer peer = Opened();
  ASSERT_TRUE(peer.SendWithDescriptors(Publication(1), {peer.fd()}));
  ExpectEndFor(&peer, kRawViolation);
  EXPECT_THAT(peer.goodbye_text(), testing::HasSubstr("Unix domain"));
}

// Reliable readers keep what they do not read; who ignores his log's limit must
// not fill the broker with it.
TEST_F(HostileDescriptorsTest, WhoeverPassesTooManyThatWaitIsEnded) {
  ClientOptions stopped = Options("stopped");
  stopped.manual_loop = true;
  auto client = Connect(stopped);
  ASSERT_OK_AND_ASSIGN(auto subscription,
                       client->SubscribeRaw(
                           "b", [](const Message&) {}, Patient()));
  RawPeer peer = Opened("b");
  uint64_t sequence = 0;
  while (sequence < 1'000 &&
         peer.SendWithDescriptors(Publication(16, sequence + 1), Nulls(16))) {
    ++sequence;
  }
  ExpectEndFor(&peer, kRawLimit);
  EXPECT_LT(broker_.Descriptors(), 2'300u);
}

TEST_F(HostilePeerTest, APeerThatDoesNotReadItsAnswersIsEnded) {
  // The broker keeps 64 MiB of answers for it, or twice that on their way.
  constexpr size_t kBytesMax = size_t{512} << 20;
  RawPeer peer = Greeted();
  std::string pings;
  for (int i = 0; i < 1000; ++i) pings += Encode({.kind = kRawPing});
  size_t sent = 0;
  while (sent < kBytesMax && peer.Send(pings)) sent += pings.size();
  EXPECT_LT(sent, kBytesMax);
  EXPECT_THAT(broker_.log(), testing::HasSubstr("not-reading"));
}

TEST_F(HostilePeerTest, PeersThatComeAndGoLeaveNothingBehind) {
  for (int i = 0; i < 300; ++i) {
    RawPeer peer(broker_.socket_path());
    if (i % 3 == 1) peer.Send(HelloFrame("passing"));
    if (i % 3 == 2) peer.Greet("passing");
  }
  EXPECT_TRUE(WaitUntil([this] {
    const auto clients = writer_->ListClients(kPatience);
    return clients.ok() && clients->size() == 2;
  }));
}

}  // namespace
}  // namespace ipc::test
