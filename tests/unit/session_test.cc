// SPDX-License-Identifier: Apache-2.0
//
// A client's session: the handshake, reopening, and which of the broker's
// frames goes where. What a later broker may add is left out; what no broker
// may send ends the connection.

#include "libipc/core/session.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdint>
#include <string>
#include <vector>

#include "tests/support/control_fields.h"
#include "tests/support/control_samples.h"
#include "tests/unit/broker_end.h"
#include "tests/unit/frames.h"

namespace ipc::core {
namespace {

using absl::StatusCode;
using test::BrokerEnd;
using test::FrameOf;
using test::Got;
using test::KindsOf;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::SizeIs;
using wire::FrameKind;
using Kind = SessionEvent::Kind;

class SessionTest : public testing::Test {
 protected:
  SessionTest() : session_(test::SampleToken(9), "me", 1 << 20) {}

  absl::Status Frame(const wire::FrameHeader& header,
                     const std::string& payload = "") {
    bytes_ = FrameOf(header, payload);
    wire::Frame frame;
    frame.header = test::HeaderOf(bytes_);
    frame.bytes = std::as_writable_bytes(std::span(bytes_));
    return session_.OnControl(frame, MonotonicTime());
  }
  template <typename Message>
  absl::Status Control(const Message& message, uint64_t request = 0) {
    return Frame({.kind = Message::kKind, .sequence = request},
                 Encode(message));
  }
  std::vector<Got> Sent() { return BrokerEnd::Drain(&session_.publishing()); }
  void Connect() {
    session_.OnConnected();
    Sent();
    EXPECT_EQ(Control(test::Sample<wire::Welcome>()), absl::OkStatus());
  }
  void GetReady() {
    Connect();
    Sent();
    session_.TakeEvents();
  }
  SessionEvent OnlyEvent() {
    std::vector<SessionEvent> events = session_.TakeEvents();
    EXPECT_THAT(events, SizeIs(1));
    return events.empty() ? SessionEvent() : events.front();
  }
  SubscriptionId Subscribe(const std::string& pattern) {
    return session_.receiving().Add(test::SubscribeMessage(1, pattern))->id;
  }

  Session session_;
  std::string bytes_;
};

// -- Handshake --

TEST_F(SessionTest, SaysHelloAndNothingElse) {
  session_.publishing().Open("t", {}).value();
  Subscribe("t");
  session_.OnConnected();
  const std::vector<Got> frames = Sent();
  ASSERT_THAT(KindsOf(frames), ElementsAre("HELLO"));
  const auto hello = frames[0].As<wire::Hello>();
  EXPECT_EQ(hello.token, test::SampleToken(9));
  EXPECT_EQ(hello.name, "me");
  EXPECT_EQ(hello.window_bytes, 1u << 20);
  EXPECT_EQ(hello.version_min, wire::kProtocolVersion);
  EXPECT_EQ(hello.version_max, wire::kProtocolVersion);
  EXPECT_TRUE(hello.previous_instance.IsZero());
  EXPECT_FALSE(session_.ready());
}

TEST_F(SessionTest, WelcomeMakesItReady) {
  Connect();
  EXPECT_TRUE(session_.ready());
  EXPECT_TRUE(test::Same(session_.welcome(), test::Sample<wire::Welcome>()));
  EXPECT_EQ(OnlyEvent().kind, Kind::kReady);
  EXPECT_THAT(KindsOf(Sent()), ElementsAre("RESUMED"));
}

TEST_F(SessionTest, ReopensEverythingBeforeResumed) {
  session_.publishing().Open("a", {}).value();
  session_.publishing().Open("b", {}).value();
  Subscribe("x");
  Subscribe("y");
  Connect();
  EXPECT_THAT(KindsOf(Sent()),
              ElementsAre("OPEN", "OPEN", "SUBSCRIBE", "SUBSCRIBE", "RESUMED"));
}

TEST_F(SessionTest, TellsTheNextBrokerOfTheLast) {
  Connect();
  session_.OnDisconnected();
  EXPECT_FALSE(session_.ready());
  session_.OnConnected();
  const std::vector<Got> frames = Sent();
  ASSERT_THAT(KindsOf(frames), ElementsAre("HELLO"));
  EXPECT_EQ(frames[0].As<wire::Hello>().previous_instance,
            test::Sample<wire::Welcome>().instance);
  EXPECT_EQ(frames[0].As<wire::Hello>().token, test::SampleToken(9));
}

TEST_F(SessionTest, NothingButWelcomeAndGoodbyeMayComeFirst) {
  for (int value = 0; value < 256; ++value) {
    const auto kind = static_cast<FrameKind>(value);
    if (kind == FrameKind::kWelcome || kind == FrameKind::kGoodbye ||
        Session::IsInStream(kind)) {
      continue;
    }
    Session session(test::SampleToken(9), "me", 1 << 20);
    session.OnConnected();
    bytes_ = FrameOf({.kind = kind});
    wire::Frame frame;
    frame.header = test::HeaderOf(bytes_);
    frame.bytes = std::as_writable_bytes(std::span(bytes_));
    const absl::Status status = session.OnControl(frame, MonotonicTime());
    EXPECT_EQ(status.code(), StatusCode::kFailedPrecondition) << status;
    EXPECT_THAT(std::string(status.message()),
                HasSubstr(wire::KindName(kind) + " before WELCOME"));
  }
}

TEST_F(SessionTest, ASecondWelcomeIsAFault) {
  Connect();
  EXPECT_EQ(Control(test::Sample<wire::Welcome>()).code(),
            StatusCode::kFailedPrecondition);
}

TEST_F(SessionTest, GoodbyeTellsWhatACallerCanDo) {
  const std::vector<std::pair<wire::CloseReason, StatusCode>> codes = {
      {wire::CloseReason::kNotAllowed, StatusCode::kPermissionDenied},
      {wire::CloseReason::kVersion, StatusCode::kUnimplemented},
      {wire::CloseReason::kLimit, StatusCode::kResourceExhausted},
      {wire::CloseReason::kShutdown, StatusCode::kUnavailable},
      {wire::CloseReason::kSuperseded, StatusCode::kUnavailable},
      {wire::CloseReason::kUnspecified, StatusCode::kUnavailable}};
  for (const auto& [reason, code] : codes) {
    const absl::Status status = Control(wire::Goodbye{reason, "the text"});
    EXPECT_EQ(status.code(), code);
    EXPECT_THAT(std::string(status.message()), HasSubstr("the text"));
    const SessionEvent event = OnlyEvent();
    EXPECT_EQ(event.kind, Kind::kGoodbye);
    EXPECT_EQ(event.status, status);
    EXPECT_EQ(event.reason, reason);
  }
}

// -- Dispatch --

TEST_F(SessionTest, InStreamKindsAreThoseThatBelongToASubscription) {
  for (int value = 0; value < 256; ++value) {
    const auto kind = static_cast<FrameKind>(value);
    const bool expected = kind == FrameKind::kDeliver ||
                          kind == FrameKind::kSelect ||
                          kind == FrameKind::kAbort ||
                          kind == FrameKind::kGone || kind == FrameKind::kGap;
    EXPECT_EQ(Session::IsInStream(kind), expected) << value;
  }
}

TEST_F(SessionTest, KindsOfALaterVersionAreLeftOut) {
  GetReady();
  for (int value = 0; value < 256; ++value) {
    const auto kind = static_cast<FrameKind>(value);
    if (wire::IsKnownKind(kind)) continue;
    EXPECT_EQ(Frame({.kind = kind}, "anything"), absl::OkStatus()) << value;
  }
  EXPECT_THAT(session_.TakeEvents(), IsEmpty());
  EXPECT_THAT(Sent(), IsEmpty());
}

TEST_F(SessionTest, APayloadThatDoesNotParseIsAFault) {
  GetReady();
  for (FrameKind kind :
       {FrameKind::kGoodbye, FrameKind::kAnnounce, FrameKind::kOpened,
        FrameKind::kResult, FrameKind::kRefused, FrameKind::kJoin,
        FrameKind::kResend}) {
    const absl::Status status = Frame({.kind = kind}, "no protobuf");
    EXPECT_EQ(status.code(), StatusCode::kDataLoss) << status;
    EXPECT_THAT(std::string(status.message()), HasSubstr(wire::KindName(kind)));
  }
  Session other(test::SampleToken(9), "me", 1 << 20);
  other.OnConnected();
  wire::Frame frame;
  bytes_ = FrameOf({.kind = FrameKind::kWelcome}, "no protobuf");
  frame.header = test::HeaderOf(bytes_);
  frame.bytes = std::as_writable_bytes(std::span(bytes_));
  EXPECT_EQ(other.OnControl(frame, MonotonicTime()).code(),
            StatusCode::kDataLoss);
  EXPECT_FALSE(other.ready());
}

TEST_F(SessionTest, AnswersToCallsComeWithTheirNumberAndPayload) {
  GetReady();
  for (FrameKind kind :
       {FrameKind::kPong, FrameKind::kSchema, FrameKind::kTopics,
        FrameKind::kClients, FrameKind::kStatus}) {
    const std::string payload = kind == FrameKind::kPong ? "" : "payload";
    ASSERT_EQ(Frame({.kind = kind, .sequence = kCallRequestBit | 5}, payload),
              absl::OkStatus());
    const SessionEvent event = OnlyEvent();
    EXPECT_EQ(event.kind, Kind::kReply);
    EXPECT_EQ(event.request, kCallRequestBit | 5);
    EXPECT_EQ(event.frame_kind, kind);
    EXPECT_EQ(event.payload, payload);
  }
  ASSERT_EQ(Control(wire::Result{StatusCode::kNotFound, "not here"},
                    kCallRequestBit | 6),
            absl::OkStatus());
  const SessionEvent event = OnlyEvent();
  EXPECT_EQ(event.kind, Kind::kReply);
  EXPECT_EQ(event.request, kCallRequestBit | 6);
  EXPECT_EQ(event.status.code(), StatusCode::kNotFound);
}

TEST_F(SessionTest, TheAnswerToSubscribeConfirmsIt) {
  const SubscriptionId id = Subscribe("x");
  GetReady();
  ASSERT_EQ(Control(wire::Result{}, ToNumber(id)), absl::OkStatus());
  SessionEvent event = OnlyEvent();
  EXPECT_EQ(event.kind, Kind::kSubscribed);
  EXPECT_EQ(event.subscription, id);
  EXPECT_EQ(event.status, absl::OkStatus());
  EXPECT_TRUE(session_.receiving().Find(id)->confirmed);
  ASSERT_EQ(Control(wire::Result{StatusCode::kResourceExhausted, "too many"},
                    ToNumber(id)),
            absl::OkStatus());
  event = OnlyEvent();
  EXPECT_EQ(event.status.code(), StatusCode::kResourceExhausted);
  EXPECT_EQ(event.name, "x");
  EXPECT_FALSE(session_.receiving().Find(id)->confirmed);
}

TEST_F(SessionTest, TheAnswerToASubscriptionThatIsGoneIsLeftOut) {
  GetReady();
  EXPECT_EQ(Control(wire::Result{}, 55), absl::OkStatus());
  EXPECT_THAT(session_.TakeEvents(), IsEmpty());
}

TEST_F(SessionTest, ARefusedChannelIsAnEvent) {
  const ChannelNumber channel = session_.publishing().Open("t", {}).value();
  GetReady();
  ASSERT_EQ(Control(wire::Result{StatusCode::kPermissionDenied, "not yours"},
                    kOpenRequestBit | ToNumber(channel)),
            absl::OkStatus());
  const SessionEvent event = OnlyEvent();
  EXPECT_EQ(event.kind, Kind::kRefused);
  EXPECT_EQ(event.name, "t");
  EXPECT_EQ(event.status.code(), StatusCode::kPermissionDenied);
  EXPECT_EQ(session_.publishing().ChannelStatus(channel), event.status);
}

TEST_F(SessionTest, AnAcceptedSchemaIsNoEvent) {
  GetReady();
  EXPECT_EQ(Control(wire::Result{}, kOpenRequestBit | 1), absl::OkStatus());
  EXPECT_THAT(session_.TakeEvents(), IsEmpty());
}

TEST_F(SessionTest, ARefusedPublicationIsAnEvent) {
  GetReady();
  ASSERT_EQ(
      Frame({.kind = FrameKind::kRefused, .target = 3, .sequence = 8},
            Encode(wire::Result{StatusCode::kInvalidArgument, "too large"})),
      absl::OkStatus());
  const SessionEvent event = OnlyEvent();
  EXPECT_EQ(event.kind, Kind::kRefused);
  EXPECT_EQ(event.status.code(), StatusCode::kInvalidArgument);
  EXPECT_EQ(event.name, "publication 8 on channel 3");
}

TEST_F(SessionTest, WhatConcernsPublishingGoesThere) {
  Publishing& publishing = session_.publishing();
  const ChannelNumber channel = publishing.Open("t", {}).value();
  GetReady();
  ASSERT_EQ(Control(wire::Opened{.channel = channel, .readers = {}}),
            absl::OkStatus());
  EXPECT_EQ(publishing.ChannelStatus(channel), absl::OkStatus());
  ASSERT_EQ(Frame({.kind = FrameKind::kMatches, .target = 1, .sequence = 4}),
            absl::OkStatus());
  EXPECT_EQ(publishing.subscriptions(channel), 4u);
  publishing.TryAppendSmall(channel, 0, 0);
  Sent();
  ASSERT_EQ(Frame({.kind = FrameKind::kAck, .target = 1, .sequence = 1}),
            absl::OkStatus());
  EXPECT_TRUE(publishing.IsAcknowledged(publishing.Accepted()));
  wire::Join join = test::Sample<wire::Join>();
  ASSERT_EQ(Control(join), absl::OkStatus());
  EXPECT_THAT(KindsOf(Sent()), ElementsAre("JOINED"));
  ASSERT_EQ(Control(join), absl::OkStatus());
  ASSERT_EQ(Frame({.kind = FrameKind::kLeave,
                   .session = ToNumber(join.reader.reader)}),
            absl::OkStatus());
  EXPECT_THAT(Sent(), IsEmpty());
  ASSERT_EQ(Control(test::Sample<wire::Resend>()), absl::OkStatus());
  EXPECT_THAT(KindsOf(Sent()), ElementsAre("RESEND_END"));
}

TEST_F(SessionTest, AnnouncementsGoToReceiving) {
  const SubscriptionId id = Subscribe("x");
  GetReady();
  ASSERT_EQ(Control(test::Sample<wire::Announce>()), absl::OkStatus());
  Receiving& receiving = session_.receiving();
  receiving.OnSelect(id);
  bytes_ = FrameOf({.kind = FrameKind::kDeliver,
                    .target = 12,
                    .session = 77,
                    .sequence = 1});
  wire::Frame frame;
  frame.header = test::HeaderOf(bytes_);
  frame.bytes = std::as_writable_bytes(std::span(bytes_));
  EXPECT_TRUE(receiving.OnDeliver(frame, {}).has_value());
}

TEST_F(SessionTest, AConfirmedSubscriptionIsResumed) {
  const SubscriptionId id = Subscribe("x");
  GetReady();
  ASSERT_EQ(Control(wire::Result{}, ToNumber(id)), absl::OkStatus());
  session_.OnDisconnected();
  Connect();
  const std::vector<Got> frames = Sent();
  ASSERT_THAT(KindsOf(frames), ElementsAre("SUBSCRIBE", "RESUMED"));
  EXPECT_TRUE(frames[0].As<wire::Subscribe>().resume);
}

}  // namespace
}  // namespace ipc::core
