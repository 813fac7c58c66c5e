// SPDX-License-Identifier: Apache-2.0
//
// The broker's first words with a client, and which frame is welcome when:
// every kind in every state of a connection. Whatever one connection does,
// the others never notice.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdint>
#include <map>
#include <string>
#include <type_traits>
#include <vector>

#include "libipc/wire/control.h"
#include "tests/support/control_fields.h"
#include "tests/support/control_samples.h"
#include "tests/unit/broker_shell.h"
#include "tests/unit/frame_client.h"

namespace ipc::broker {
namespace {

using test::FrameClient;
using test::FrameOf;
using test::Got;
using test::KindsOf;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using wire::CloseReason;
using wire::FrameKind;

class BrokerHandshakeTest : public testing::Test {
 protected:
  BrokerHandshakeTest() : shell_(Options()), client_(&shell_, 1) {}

  static BrokerOptions Options() {
    BrokerOptions options;
    options.instance = test::SampleToken(0x70);
    options.version = "1.2.3";
    options.message_bytes_max = 12345;
    return options;
  }

  // The broker has ended the connection, said why, and will tell the log.
  void ExpectEnded(FrameClient* client, CloseReason reason,
                   const std::string& text) {
    const std::vector<Got> frames = client->Take();
    ASSERT_FALSE(frames.empty());
    ASSERT_EQ(frames.back().header.kind, FrameKind::kGoodbye);
    const auto goodbye = frames.back().As<wire::Goodbye>();
    EXPECT_EQ(goodbye.reason, reason);
    EXPECT_THAT(goodbye.text, HasSubstr(text));
    EXPECT_FALSE(client->is_open());
    ASSERT_NE(client->end(), nullptr);
    EXPECT_EQ(client->end()->reason, reason);
    EXPECT_EQ(client->end()->text, goodbye.text);
  }

  test::BrokerShell shell_;
  FrameClient client_;
};

// -- HELLO and WELCOME --

TEST_F(BrokerHandshakeTest, WelcomeTellsAboutTheBroker) {
  client_.Hello();
  const auto welcome = client_.Only<wire::Welcome>();
  EXPECT_EQ(welcome.version, wire::kProtocolVersion);
  EXPECT_EQ(welcome.features, 0u);
  EXPECT_EQ(welcome.instance, test::SampleToken(0x70));
  EXPECT_EQ(welcome.broker_version, "1.2.3");
  EXPECT_EQ(welcome.message_bytes_max, 12345u);
  EXPECT_NE(welcome.session_number, SessionNumber{0});
}

TEST_F(BrokerHandshakeTest, SaysNothingBeforeHello) {
  shell_.Advance(kHandshakeTimeout - absl::Milliseconds(1));
  EXPECT_THAT(client_.Take(), IsEmpty());
  EXPECT_TRUE(client_.is_open());
}

TEST_F(BrokerHandshakeTest, TakesHelloInAnyTwoPieces) {
  const std::string hello = test::ControlOf(client_.HelloMessage());
  for (size_t cut = 0; cut <= hello.size(); ++cut) {
    FrameClient client(&shell_, 2);
    client.Send(std::string_view(hello).substr(0, cut));
    client.Send(std::string_view(hello).substr(cut));
    EXPECT_THAT(KindsOf(client.Take()), ElementsAre("WELCOME")) << cut;
    client.Goodbye();
  }
}

TEST_F(BrokerHandshakeTest, TakesWhatComesBehindHelloInTheSameBytes) {
  client_.Send(test::ControlOf(client_.HelloMessage()) +
               FrameOf({.kind = FrameKind::kPing, .sequence = 5}) +
               FrameOf({.kind = FrameKind::kResumed}));
  EXPECT_THAT(KindsOf(client_.Take()), ElementsAre("WELCOME", "PONG"));
}

TEST_F(BrokerHandshakeTest, TakesEveryRangeOfVersionsWithItsOwn) {
  for (uint32_t min : {0u, 1u}) {
    for (uint32_t max : {1u, 2u, 0xffffffffu}) {
      FrameClient client(&shell_, 2);
      wire::Hello hello = client.HelloMessage();
      hello.version_min = min;
      hello.version_max = max;
      client.Send(hello, 0);
      EXPECT_EQ(client.Only<wire::Welcome>().version, 1u);
      client.Goodbye();
    }
  }
}

TEST_F(BrokerHandshakeTest, RefusesVersionsThatItDoesNotSpeak) {
  const std::vector<std::pair<uint32_t, uint32_t>> ranges = {
      {2, 3}, {0, 0}, {2, 1}, {0xffffffff, 0xffffffff}};
  for (const auto& [min, max] : ranges) {
    FrameClient client(&shell_, 2);
    wire::Hello hello = client.HelloMessage();
    hello.version_min = min;
    hello.version_max = max;
    client.Send(hello, 0);
    ExpectEnded(&client, CloseReason::kVersion, "this broker speaks 1");
  }
}

TEST_F(BrokerHandshakeTest, RefusesNamesThatAreNone) {
  for (const std::string& name :
       {std::string(), std::string("a b"), std::string("a/b"), std::string("*"),
        std::string(kClientNameBytesMax + 1, 'n')}) {
    FrameClient client(&shell_, 2);
    wire::Hello hello = client.HelloMessage();
    hello.name = name;
    client.Send(hello, 0);
    ExpectEnded(&client, CloseReason::kViolation, "client name");
  }
}

TEST_F(BrokerHandshakeTest, TakesTheLongestName) {
  wire::Hello hello = client_.HelloMessage();
  hello.name = std::string(kClientNameBytesMax, 'n');
  client_.Send(hello, 0);
  EXPECT_THAT(KindsOf(client_.Take()), ElementsAre("WELCOME"));
}

TEST_F(BrokerHandshakeTest, RefusesAHelloThatDoesNotParse) {
  client_.Send(FrameOf({.kind = FrameKind::kHello}, "no protobuf"));
  ExpectEnded(&client_, CloseReason::kMalformed, "HELLO");
}

TEST_F(BrokerHandshakeTest, RefusesALargeFrameBeforeHello) {
  const std::string largest(kHandshakeFrameBytesMax - kFrameHeaderBytes, 'x');
  client_.Send(FrameOf({.kind = FrameKind::kHello}, largest));
  ExpectEnded(&client_, CloseReason::kMalformed, "HELLO");
  FrameClient other(&shell_, 2);
  // Its header is enough: nobody waits for the rest.
  other.Send(FrameOf({.kind = FrameKind::kHello}, largest + "x")
                 .substr(0, kFrameHeaderBytes));
  ExpectEnded(&other, CloseReason::kMalformed, "above the limit");
}

TEST_F(BrokerHandshakeTest, TakesLargeFramesAfterHello) {
  client_.Greet();
  wire::ListTopics list;
  list.after = std::string(kHandshakeFrameBytesMax, 'x');
  client_.Send(list, 1);
  EXPECT_THAT(KindsOf(client_.Take()), ElementsAre("TOPICS"));
}

TEST_F(BrokerHandshakeTest, GivesEverySessionItsOwnNumber) {
  client_.Greet();
  FrameClient other(&shell_, 2);
  other.Greet();
  EXPECT_NE(client_.number(), other.number());
}

TEST_F(BrokerHandshakeTest, ATokenFromAnotherProcessIsAnotherSession) {
  client_.Greet();
  FrameClient thief(&shell_, 2);
  thief.Send(client_.HelloMessage(), 0);
  EXPECT_NE(thief.Only<wire::Welcome>().session_number, client_.number());
  EXPECT_TRUE(client_.is_open());
}

// -- Time and numbers --

TEST_F(BrokerHandshakeTest, EndsAConnectionWithoutHelloInTime) {
  shell_.Advance(kHandshakeTimeout);
  ExpectEnded(&client_, CloseReason::kHandshakeTimeout, "no HELLO");
}

TEST_F(BrokerHandshakeTest, APartOfHelloDoesNotBuyTime) {
  client_.Send(test::ControlOf(client_.HelloMessage()).substr(0, 50));
  shell_.Advance(kHandshakeTimeout);
  ExpectEnded(&client_, CloseReason::kHandshakeTimeout, "no HELLO");
}

TEST_F(BrokerHandshakeTest, NoTimeoutComesAfterHello) {
  client_.Hello();
  shell_.Advance(2 * kHandshakeTimeout);
  EXPECT_TRUE(client_.is_open());
}

TEST_F(BrokerHandshakeTest, BoundsTheConnectionsThatHaveNotSaidHello) {
  std::vector<ConnectionId> ids;
  for (size_t i = 1; i < kHandshakesMax; ++i) {
    const auto id = shell_.Connect({.pid = 1});
    ASSERT_TRUE(id.has_value());
    ids.push_back(*id);
  }
  EXPECT_EQ(shell_.Connect({.pid = 1}), std::nullopt);
  client_.Hello();
  const auto room = shell_.Connect({.pid = 1});
  ASSERT_TRUE(room.has_value());
  EXPECT_EQ(shell_.Connect({.pid = 1}), std::nullopt);
  shell_.Lose(*room, true);
  EXPECT_TRUE(shell_.Connect({.pid = 1}).has_value());
  // Those that were ended make room as well.
  shell_.Advance(kHandshakeTimeout);
  for (size_t i = 0; i < kHandshakesMax; ++i) {
    ASSERT_TRUE(shell_.Connect({.pid = 1}).has_value()) << i;
  }
  EXPECT_EQ(shell_.Connect({.pid = 1}), std::nullopt);
}

TEST_F(BrokerHandshakeTest, BoundsTheConnections) {
  client_.Hello();
  wire::Hello hello = client_.HelloMessage();
  ConnectionId last{};
  for (size_t i = 1; i < kConnectionsMax; ++i) {
    const auto id = shell_.Connect({.pid = static_cast<int32_t>(i)});
    ASSERT_TRUE(id.has_value()) << i;
    last = *id;
    shell_.Receive(last, test::ControlOf(hello));
  }
  EXPECT_EQ(shell_.Connect({.pid = 1}), std::nullopt);
  shell_.Lose(last, true);
  EXPECT_TRUE(shell_.Connect({.pid = 1}).has_value());
  EXPECT_EQ(shell_.Connect({.pid = 1}), std::nullopt);
  EXPECT_TRUE(client_.is_open());
}

// -- Every kind in every state --

// A frame of `kind` as it should be.
std::string SampleFrame(FrameKind kind) {
  std::string payload;
  test::VisitControl(kind, [&payload](auto type) {
    payload = Encode(test::Sample<typename decltype(type)::type>());
  });
  return FrameOf({.kind = kind, .target = 3, .session = 4, .sequence = 5},
                 payload);
}

std::vector<FrameKind> AllKinds() {
  std::vector<FrameKind> kinds;
  for (int value = 0; value < 256; ++value) {
    kinds.push_back(static_cast<FrameKind>(value));
  }
  return kinds;
}

// What a client with nothing open hears when it sends a kind that is its to
// send. The sample of OPEN says that its readers have consumed everything.
std::map<FrameKind, std::vector<std::string>> Answers() {
  return {{FrameKind::kAck, {}},
          {FrameKind::kSelect, {}},
          {FrameKind::kJoined, {}},
          {FrameKind::kResendEnd, {}},
          {FrameKind::kResumed, {}},
          {FrameKind::kClose, {"RESULT"}},
          {FrameKind::kUnsubscribe, {"RESULT"}},
          {FrameKind::kPing, {"PONG"}},
          {FrameKind::kOpen, {"OPENED", "ACK"}},
          {FrameKind::kSubscribe, {"RESULT"}},
          {FrameKind::kSchema, {"RESULT"}},
          {FrameKind::kGetSchema, {"RESULT"}},
          {FrameKind::kListTopics, {"TOPICS"}},
          {FrameKind::kListClients, {"CLIENTS"}},
          {FrameKind::kGetStatus, {"STATUS"}},
          {FrameKind::kWatchClients, {"PRESENCE", "PRESENCE", "RESULT"}}};
}

TEST_F(BrokerHandshakeTest, NothingButHelloMayComeFirst) {
  for (FrameKind kind : AllKinds()) {
    SCOPED_TRACE(wire::KindName(kind));
    FrameClient client(&shell_, 2);
    client.Send(SampleFrame(kind));
    if (kind == FrameKind::kHello) {
      EXPECT_THAT(KindsOf(client.Take()), ElementsAre("WELCOME"));
    } else {
      ExpectEnded(&client, CloseReason::kViolation,
                  wire::KindName(kind) + " before HELLO");
      EXPECT_TRUE(client.end()->session.token.IsZero());
      EXPECT_EQ(client.end()->name, "");
    }
    client.Lose(false);
  }
}

class BrokerStateTest : public BrokerHandshakeTest {
 protected:
  void ExpectEveryKindAnswered(bool resumed) {
    client_.Greet();
    for (FrameKind kind : AllKinds()) {
      SCOPED_TRACE(wire::KindName(kind));
      FrameClient client(&shell_, 2);
      client.Hello();
      if (resumed) client.Resumed();
      client.Take();
      client.Send(SampleFrame(kind));
      ExpectAnswer(kind, resumed, &client);
      client.Lose(false);
      EXPECT_TRUE(client_.is_open());
    }
    EXPECT_THAT(client_.Take(), IsEmpty());
  }

  void ExpectAnswer(FrameKind kind, bool resumed, FrameClient* client) {
    const auto answers = Answers();
    const auto answer = answers.find(kind);
    if (kind == FrameKind::kGoodbye) {
      ExpectEnded(client, CloseReason::kDone, "64 MiB of control frames");
    } else if (kind == FrameKind::kPublish) {
      ExpectEnded(client, CloseReason::kViolation, "PUBLISH on channel 3");
    } else if (kind == FrameKind::kResumed && resumed) {
      ExpectEnded(client, CloseReason::kViolation, "RESUMED a second time");
    } else if (answer == answers.end()) {
      ExpectEnded(client, CloseReason::kViolation,
                  wire::KindName(kind) + " is not for a client to send");
      EXPECT_EQ(client->end()->session, client->key());
      EXPECT_EQ(client->end()->name, client->name());
    } else {
      EXPECT_EQ(KindsOf(client->Take()), answer->second);
      EXPECT_TRUE(client->is_open());
    }
  }
};

TEST_F(BrokerStateTest, EveryKindHasItsAnswerWhileAClientReopens) {
  ExpectEveryKindAnswered(/*resumed=*/false);
}

TEST_F(BrokerStateTest, EveryKindHasItsAnswerAfterResumed) {
  ExpectEveryKindAnswered(/*resumed=*/true);
}

TEST_F(BrokerStateTest, HelloTwiceIsAViolation) {
  client_.Greet();
  client_.Hello();
  ExpectEnded(&client_, CloseReason::kViolation,
              "HELLO is not for a client to send");
}

TEST_F(BrokerStateTest, APayloadThatDoesNotParseEndsTheConnection) {
  for (FrameKind kind :
       {FrameKind::kOpen, FrameKind::kSubscribe, FrameKind::kSchema,
        FrameKind::kGetSchema, FrameKind::kListTopics, FrameKind::kListClients,
        FrameKind::kGetStatus, FrameKind::kWatchClients, FrameKind::kGoodbye}) {
    SCOPED_TRACE(wire::KindName(kind));
    FrameClient client(&shell_, 2);
    client.Greet();
    client.Send(FrameOf({.kind = kind}, "no protobuf"));
    ExpectEnded(&client, CloseReason::kMalformed, wire::KindName(kind));
  }
}

TEST_F(BrokerStateTest, AFaultyHeaderEndsTheConnection) {
  std::vector<std::pair<wire::FrameFault, std::string>> faults;
  auto add = [&faults](wire::FrameFault fault, wire::FrameHeader header) {
    std::string bytes = FrameOf({.kind = FrameKind::kPing});
    wire::StoreHeader(header, reinterpret_cast<std::byte*>(bytes.data()));
    faults.emplace_back(fault, bytes);
  };
  const auto ping = FrameKind::kPing;
  const auto publish = FrameKind::kPublish;
  add(wire::FrameFault::kSizeBelowHeader, {.size = 39, .kind = ping});
  add(wire::FrameFault::kSizeAboveLimit,
      {.size = kControlFrameBytesMax + 1, .kind = FrameKind::kOpen});
  add(wire::FrameFault::kUnknownFlags, {.kind = ping, .flags = 8});
  add(wire::FrameFault::kExpiredNotEmpty,
      {.size = 41, .kind = publish, .flags = 2});
  add(wire::FrameFault::kReservedNotZero, {.kind = ping, .reserved = 1});
  add(wire::FrameFault::kDescriptorsNotAllowed,
      {.kind = ping, .descriptors = 1});
  add(wire::FrameFault::kDescriptorsAboveLimit,
      {.kind = publish, .descriptors = 17});
  add(wire::FrameFault::kExtensionBeyondFrame,
      {.kind = publish, .extension = 1});
  add(wire::FrameFault::kExtensionAboveLimit,
      {.size = 3000, .kind = publish, .extension = 1025});
  add(wire::FrameFault::kFragmentBeyondLast, {.kind = publish, .fragment = 1});
  add(wire::FrameFault::kFragmentNotFull,
      {.kind = publish, .last_fragment = 1});
  add(wire::FrameFault::kPayloadNotAllowed, {.size = 41, .kind = ping});
  client_.Greet();
  for (const auto& [fault, bytes] : faults) {
    SCOPED_TRACE(wire::FaultText(fault));
    FrameClient client(&shell_, 2);
    client.Greet();
    // What came before it is still answered.
    client.Send(FrameOf({.kind = ping}) + bytes);
    const Got pong = client.Take().front();
    EXPECT_EQ(pong.header.kind, FrameKind::kPong);
    EXPECT_FALSE(client.is_open());
    EXPECT_EQ(client.end()->reason, CloseReason::kMalformed);
    EXPECT_EQ(client.end()->text, wire::FaultText(fault));
  }
  EXPECT_TRUE(client_.is_open());
}

TEST_F(BrokerStateTest, NothingIsReadBehindTheFrameThatEndedTheConnection) {
  client_.Greet();
  client_.Send(FrameOf({.kind = FrameKind::kPong}) +
               FrameOf({.kind = FrameKind::kPing}));
  ExpectEnded(&client_, CloseReason::kViolation, "PONG");
  client_.Send({.kind = FrameKind::kPing});
  EXPECT_THAT(client_.Take(), IsEmpty());
}

TEST_F(BrokerStateTest, PingIsAnsweredWithItsNumber) {
  client_.Greet();
  client_.Send({.kind = FrameKind::kPing, .sequence = 0xfedcba9876543210});
  const Got pong = client_.OnlyFrame(FrameKind::kPong);
  EXPECT_EQ(pong.header.sequence, 0xfedcba9876543210);
  EXPECT_EQ(pong.header.size, kFrameHeaderBytes);
}

TEST_F(BrokerStateTest, GoodbyeEndsTheSessionAtOnce) {
  client_.Greet();
  client_.Goodbye();
  ExpectEnded(&client_, CloseReason::kDone, "");
  EXPECT_TRUE(shell_.broker().state().sessions.empty());
}

TEST_F(BrokerStateTest, ShutdownSaysGoodbyeToEverybody) {
  client_.Greet();
  FrameClient other(&shell_, 2);
  shell_.Shutdown();
  ExpectEnded(&client_, CloseReason::kShutdown, "shutting down");
  ExpectEnded(&other, CloseReason::kShutdown, "shutting down");
}

TEST_F(BrokerStateTest, TheShellMayEndAConnectionWithAReason) {
  client_.Greet();
  shell_.broker().Close(client_.id(), CloseReason::kInternal, "a reason");
  shell_.broker().Close(ConnectionId{999}, CloseReason::kInternal, "nobody");
  shell_.Flush();
  ExpectEnded(&client_, CloseReason::kInternal, "a reason");
}

}  // namespace
}  // namespace ipc::broker
