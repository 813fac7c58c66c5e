// SPDX-License-Identifier: Apache-2.0
//
// A client of a BrokerShell that speaks frames: it says what a test tells it
// to say, in or out of order, and keeps what it hears. It answers nothing by
// itself.

#ifndef IPC_TESTS_UNIT_FRAME_CLIENT_H_
#define IPC_TESTS_UNIT_FRAME_CLIENT_H_

#include <gtest/gtest.h>

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "tests/support/control_samples.h"
#include "tests/unit/broker_shell.h"
#include "tests/unit/frames.h"

namespace ipc::test {

class FrameClient {
 public:
  // A socket that has said nothing yet. Clients with one number have the same
  // session, as connections of one client do.
  FrameClient(BrokerShell* shell, uint8_t number)
      : shell_(*shell),
        peer_{.pid = 1000 + number, .uid = 500, .gid = 50},
        token_(SampleToken(number)),
        name_("client-" + std::to_string(number)) {
    Connect();
  }

  // A new socket in place of the old one.
  void Connect() {
    const std::optional<ConnectionId> id = shell_.Connect(peer_);
    IPC_CHECK(id.has_value());
    id_ = *id;
  }

  // -- Saying

  void Send(std::string_view bytes) { shell_.Receive(id_, bytes); }
  void Send(const wire::FrameHeader& header) { Send(FrameOf(header)); }
  template <typename Message>
  void Send(const Message& message, uint64_t request) {
    Send(ControlOf(message, request));
  }

  wire::Hello HelloMessage() const {
    wire::Hello hello;
    hello.token = token_;
    hello.name = name_;
    hello.window_bytes = 1 << 20;
    return hello;
  }
  // HELLO with an empty log; the answer is the test's.
  void Hello() { Send(HelloMessage(), 0); }
  void Resumed() { Send({.kind = wire::FrameKind::kResumed}); }
  // HELLO, WELCOME, RESUMED: a client that has nothing yet.
  FrameClient& Greet() {
    Hello();
    welcome_ = Only<wire::Welcome>();
    Resumed();
    IPC_CHECK(Take().empty());
    return *this;
  }

  void Open(uint32_t channel, std::string_view topic) {
    Send(OpenMessage(channel, topic), 100 + channel);
  }
  void Subscribe(uint32_t subscription, std::string_view pattern) {
    Send(SubscribeMessage(subscription, pattern), subscription);
  }
  void SubscribeBestEffort(uint32_t subscription, std::string_view pattern,
                           uint32_t depth, uint64_t bytes = 1 << 20) {
    wire::Subscribe message = SubscribeMessage(subscription, pattern);
    message.policy = wire::Policy::kBestEffort;
    message.depth = depth;
    message.bytes = bytes;
    Send(message, subscription);
  }
  void Publish(uint32_t channel, uint64_t sequence,
               std::string_view payload = "") {
    Send(PublishOf(channel, sequence, payload));
  }
  void Joined(ReaderId reader) {
    Send({.kind = wire::FrameKind::kJoined, .session = ToNumber(reader)});
  }
  void ResendEnd(ReaderId reader) {
    Send({.kind = wire::FrameKind::kResendEnd, .session = ToNumber(reader)});
  }
  void Resend(uint32_t channel, uint64_t sequence, ReaderId reader,
              std::string_view payload = "") {
    Send(FrameOf({.kind = wire::FrameKind::kPublish,
                  .flags = wire::kFlagResend,
                  .target = channel,
                  .session = ToNumber(reader),
                  .sequence = sequence},
                 payload));
  }
  // Acknowledges what `deliver` and all before it brought.
  void Ack(const Got& deliver) {
    Send({.kind = wire::FrameKind::kSelect,
          .target = ToNumber(deliver.subscription)});
    Send({.kind = wire::FrameKind::kAck,
          .target = deliver.header.target,
          .session = deliver.header.session,
          .sequence = deliver.header.sequence});
  }
  void Goodbye() {
    Send(wire::Goodbye{.reason = wire::CloseReason::kDone, .text = ""}, 0);
  }
  void Lose(bool process_alive = true) { shell_.Lose(id_, process_alive); }

  // -- Hearing

  std::vector<Got> Take() { return shell_.Take(id_); }
  // Takes all there is, and returns what is of `kind`.
  std::vector<Got> TakeOf(wire::FrameKind kind) {
    std::vector<Got> frames = Take();
    std::erase_if(frames,
                  [kind](const Got& got) { return got.header.kind != kind; });
    return frames;
  }
  // Takes all there is, with one frame of `kind` in it. The test fails if that
  // is not so, and goes on with an empty one.
  Got OnlyFrame(wire::FrameKind kind) {
    std::vector<Got> frames = TakeOf(kind);
    EXPECT_EQ(frames.size(), 1u) << "of " << wire::KindName(kind);
    return frames.empty() ? Got() : frames.front();
  }
  template <typename Message>
  Message Only() {
    const Got frame = OnlyFrame(Message::kKind);
    return frame.bytes.empty() ? Message() : frame.template As<Message>();
  }

  // -- About it

  ConnectionId id() const { return id_; }
  const broker::Peer& peer() const { return peer_; }
  SessionKey key() const { return {token_, peer_.pid, peer_.uid}; }
  const std::string& name() const { return name_; }
  const wire::Welcome& welcome() const { return welcome_; }
  SessionNumber number() const { return welcome_.session_number; }
  bool is_open() { return shell_.IsOpen(id_); }
  const broker::Ended* end() const { return shell_.EndOf(id_); }
  void SetRoom(size_t bytes) { shell_.SetRoom(id_, bytes); }

 private:
  BrokerShell& shell_;
  broker::Peer peer_;
  Token token_;
  std::string name_;
  ConnectionId id_{};
  wire::Welcome welcome_;
};

}  // namespace ipc::test

#endif  // IPC_TESTS_UNIT_FRAME_CLIENT_H_
