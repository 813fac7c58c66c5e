// SPDX-License-Identifier: Apache-2.0
//
// Hostile clients, from HELLO on, against the broker's core. The input is a
// script of moves (see Script::Step): correct frames with wild fields, raw
// bytes, frames in pieces, lost connections, full sockets, time. Held:
//
//   - an honest publisher and its honest readers see nothing of all that:
//     every message arrives, once and in order, and is acknowledged
//   - whoever speaks out of turn is told why and closed; nobody else is
//   - when all are gone, the broker knows nobody any more
//   - what BrokerShell checks in any run

#include <google/protobuf/stubs/logging.h>

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "libipc/base/check.h"
#include "libipc/base/limits.h"
#include "libipc/wire/control.h"
#include "libipc/wire/frame.h"
#include "tests/fuzz/input.h"
#include "tests/support/control_samples.h"
#include "tests/unit/broker_shell.h"
#include "tests/unit/frames.h"

namespace ipc {
namespace {

using test::BrokerShell;
using test::Got;
using test::Input;
using wire::FrameHeader;
using wire::FrameKind;

constexpr std::array<std::string_view, 6> kTopics = {"a",     "a/b", "a/c",
                                                     "a/b/c", "x",   "a/"};
constexpr std::array<std::string_view, 6> kPatterns = {"**",  "a/*",  "a/b",
                                                       "*/*", "a/**", "a*"};

// One socket, and what is said over it.
class Client {
 public:
  Client(BrokerShell* shell, int32_t pid) : shell_(*shell), pid_(pid) {
    Connect();
  }

  void Connect() {
    const auto id = shell_.Connect({.pid = pid_, .uid = 500, .gid = 50});
    IPC_CHECK(id.has_value());
    id_ = *id;
  }
  void Send(std::string_view bytes) { shell_.Receive(id_, bytes); }
  void Send(const FrameHeader& header) { Send(test::FrameOf(header)); }
  std::vector<Got> Take() { return shell_.Take(id_); }
  bool is_open() { return shell_.IsOpen(id_); }
  void Lose(bool process_alive) { shell_.Lose(id_, process_alive); }

  wire::Hello Hello() const {
    wire::Hello hello;
    hello.token = test::SampleToken(static_cast<uint8_t>(pid_));
    hello.name = "client";
    hello.window_bytes = 1 << 20;
    return hello;
  }
  SessionKey key() const { return {Hello().token, pid_, 500}; }
  ConnectionId id() const { return id_; }

 private:
  BrokerShell& shell_;
  int32_t pid_;
  ConnectionId id_{};
};

// A publisher and two readers that keep to the protocol. The hostile ones may
// use their topic and patterns, too.
class Honest {
 public:
  explicit Honest(BrokerShell* shell)
      : publisher_(shell, 1), reader_(shell, 2), best_effort_(shell, 3) {
    for (Client* client : {&publisher_, &reader_, &best_effort_}) {
      client->Send(test::ControlOf(client->Hello()));
      client->Send({.kind = FrameKind::kResumed});
    }
    publisher_.Send(test::ControlOf(test::OpenMessage(1, "a/b"), 1));
    wire::Subscribe subscribe = test::SubscribeMessage(1, "a/*");
    reader_.Send(test::ControlOf(subscribe, 1));
    subscribe.policy = wire::Policy::kBestEffort;
    subscribe.depth = 100;
    subscribe.bytes = 10'000;
    best_effort_.Send(test::ControlOf(subscribe, 1));
    shell->Advance(kStartHold);
    AnswerPublisher();
    for (Client* client : {&reader_, &best_effort_}) Read(client);
  }

  // What an honest publisher does when it is asked.
  void AnswerPublisher() {
    for (const Got& frame : publisher_.Take()) {
      switch (frame.header.kind) {
        case FrameKind::kWelcome:
          number_ = frame.As<wire::Welcome>().session_number;
          break;
        case FrameKind::kJoin:
          publisher_.Send(
              {.kind = FrameKind::kJoined,
               .session = ToNumber(frame.As<wire::Join>().reader.reader)});
          break;
        case FrameKind::kResend:
          // All that anybody may lack is in its log.
          Resend(frame.As<wire::Resend>());
          break;
        case FrameKind::kAck:
          IPC_CHECK(frame.header.sequence <= last_);
          IPC_CHECK(frame.header.sequence > acknowledged_);
          // Not before the reader has it.
          IPC_CHECK(frame.header.sequence <= read_);
          acknowledged_ = frame.header.sequence;
          break;
        default:
          break;
      }
    }
  }

  void Publish() {
    publisher_.Send(test::PublishOf(1, ++last_, "honest"));
    IPC_CHECK(Read(&reader_) == 1);
    IPC_CHECK(Read(&best_effort_) == 1);
    AnswerPublisher();
  }

  void ExpectUnharmed() {
    AnswerPublisher();
    for (Client* client : {&reader_, &best_effort_}) Read(client);
    for (Client* client : {&publisher_, &reader_, &best_effort_}) {
      IPC_CHECK(client->is_open());
    }
  }
  // Nobody hinders it any more.
  void ExpectAllAcknowledged() {
    AnswerPublisher();
    IPC_CHECK(acknowledged_ == last_);
  }
  void End() {
    for (Client* client : {&publisher_, &reader_, &best_effort_}) {
      client->Lose(/*process_alive=*/false);
    }
  }

 private:
  // How many of the honest messages came. The reliable reader consumes them.
  int Read(Client* client) {
    int count = 0;
    for (const Got& frame : client->Take()) {
      if (frame.header.kind != FrameKind::kDeliver ||
          frame.header.session != ToNumber(number_)) {
        continue;
      }
      IPC_CHECK(frame.payload() == "honest");
      IPC_CHECK(frame.header.sequence == last_);
      ++count;
      if (client != &reader_) continue;
      read_ = last_;
      reader_.Send({.kind = FrameKind::kSelect, .target = 1});
      reader_.Send({.kind = FrameKind::kAck,
                    .target = frame.header.target,
                    .session = frame.header.session,
                    .sequence = frame.header.sequence});
    }
    return count;
  }

  void Resend(const wire::Resend& resend) {
    for (const wire::Resend::From& from : resend.channels) {
      for (uint64_t i = std::max(from.sequence, acknowledged_ + 1); i <= last_;
           ++i) {
        publisher_.Send(
            test::FrameOf({.kind = FrameKind::kPublish,
                           .flags = wire::kFlagResend,
                           .target = 1,
                           .session = ToNumber(resend.reader.reader),
                           .sequence = i},
                          "honest"));
      }
    }
    publisher_.Send({.kind = FrameKind::kResendEnd,
                     .session = ToNumber(resend.reader.reader)});
  }

  Client publisher_;
  Client reader_;
  Client best_effort_;
  SessionNumber number_{};
  uint64_t last_ = 0;
  uint64_t read_ = 0;
  uint64_t acknowledged_ = 0;
};

class Script {
 public:
  Script(const uint8_t* data, size_t size)
      : input_(data, size), shell_(Options()), honest_(&shell_) {
    for (int32_t i = 0; i < 3; ++i) hostile_.emplace_back(&shell_, 100 + i);
  }

  void Run() {
    // Moves beyond that teach nothing that fewer do not.
    for (int i = 0; i < 2000 && !input_.empty(); ++i) {
      Step();
      honest_.AnswerPublisher();
    }
    honest_.Publish();
    honest_.ExpectUnharmed();
    for (Client& client : hostile_) {
      if (client.is_open()) client.Lose(/*process_alive=*/false);
      shell_.ProcessExited(client.key());
    }
    shell_.Advance(kRecoveryGrace);
    honest_.ExpectAllAcknowledged();
    honest_.End();
    ExpectNobody();
  }

 private:
  static broker::BrokerOptions Options() {
    broker::BrokerOptions options;
    options.message_bytes_max = 1000;
    options.reliable_queue_bytes_max = 1;
    return options;
  }

  void Step() {
    Client& client = hostile_[input_.Byte() % hostile_.size()];
    if (!client.is_open()) client.Connect();
    switch (input_.Byte() % 16) {
      case 0:
        client.Send(input_.Bytes(input_.Byte()));
        break;
      case 1:
        client.Send(test::FrameOf(Header(), input_.Bytes(input_.Byte())));
        break;
      case 2:
        InPieces(&client, test::FrameOf(Header(), input_.Bytes(8)));
        break;
      case 3:
        client.Lose(/*process_alive=*/input_.Byte() % 2 == 0);
        break;
      case 4:
        shell_.ProcessExited(client.key());
        break;
      case 5:
        shell_.Advance(absl::Milliseconds(10) * input_.Byte());
        break;
      case 6:
        shell_.SetRoom(client.id(), input_.Byte());
        break;
      case 7:
        shell_.SetRoom(client.id(), BrokerShell::kEndless);
        break;
      case 8:
        honest_.Publish();
        break;
      case 9:
        client.Send(test::ControlOf(client.Hello()));
        break;
      case 10:
        client.Send({.kind = FrameKind::kResumed});
        break;
      case 11:
        client.Send(test::ControlOf(Open(), input_.Number()));
        break;
      case 12:
        client.Send(test::ControlOf(Subscribe(), input_.Number()));
        break;
      case 13:
        Publish(&client);
        break;
      case 14:
        client.Take();
        break;
      default:
        client.Send(Mark());
        break;
    }
  }

  FrameHeader Header() {
    return {.kind = static_cast<FrameKind>(input_.Byte() % 64),
            .flags = static_cast<uint8_t>(input_.Byte() % 2),
            .target = input_.Number(),
            .session = input_.Number(),
            .sequence = input_.Number(),
            .fragment = static_cast<uint16_t>(input_.Byte() % 3),
            .last_fragment = static_cast<uint16_t>(input_.Byte() % 3)};
  }
  // A fixed header that has a meaning in a session.
  FrameHeader Mark() {
    static constexpr std::array<FrameKind, 8> kMarks = {
        FrameKind::kAck,       FrameKind::kSelect, FrameKind::kJoined,
        FrameKind::kResendEnd, FrameKind::kClose,  FrameKind::kUnsubscribe,
        FrameKind::kPing,      FrameKind::kLeave};
    FrameHeader header;
    header.kind = input_.Pick(kMarks);
    header.target = input_.Number();
    header.session = input_.Number();
    header.sequence = input_.Number();
    return header;
  }
  SessionKey AnySession() {
    const auto pid = static_cast<int32_t>(input_.Byte());
    if (pid % 8 == 7) return broker::GroupKey("g", input_.Pick(kPatterns), 500);
    return {test::SampleToken(static_cast<uint8_t>(pid)), pid, 500};
  }
  wire::Open Open() {
    wire::Open open = test::OpenMessage(input_.Number(), input_.Pick(kTopics));
    open.first_sequence = input_.Number();
    open.next_sequence = input_.Number();
    open.readers_known = input_.Byte() % 2 == 0;
    for (int i = input_.Byte() % 4; i > 0; --i) {
      open.readers.push_back({.session = AnySession(),
                              .subscription = SubscriptionId{input_.Number()},
                              .reader = ReaderId{input_.Number()},
                              .from = input_.Number()});
    }
    return open;
  }
  wire::Subscribe Subscribe() {
    wire::Subscribe subscribe =
        test::SubscribeMessage(input_.Number(), input_.Pick(kPatterns));
    const uint8_t kind = input_.Byte();
    subscribe.resume = kind % 2 != 0;
    if (kind % 4 >= 2) {
      subscribe.policy = wire::Policy::kBestEffort;
      subscribe.depth = input_.Number();
      subscribe.bytes = input_.Number();
      subscribe.drop_newest = kind % 16 >= 8;
      if (kind % 32 >= 16) subscribe.policy = wire::Policy::kLatest;
    }
    if (kind % 8 >= 4) subscribe.group = "g";
    for (int i = input_.Byte() % 4; i > 0; --i) {
      subscribe.positions.push_back({.session = AnySession(),
                                     .channel = ChannelNumber{input_.Number()},
                                     .sequence = input_.Number(),
                                     .received = input_.Number()});
    }
    return subscribe;
  }
  // A run of publications, or of fragments, which may be those that come next.
  void Publish(Client* client) {
    FrameHeader header;
    header.kind = FrameKind::kPublish;
    header.flags = input_.Byte() % 8 == 0 ? wire::kFlagResend : uint8_t{0};
    header.target = input_.Number();
    header.session = header.flags != 0 ? input_.Number() : 0;
    header.sequence = input_.Number();
    const auto last = static_cast<uint16_t>(input_.Byte() % 4);
    std::string run;
    for (uint16_t i = 0; i <= last; ++i) {
      FrameHeader part = header;
      if (input_.Byte() % 2 == 0) {
        part.sequence += i;
      } else {
        part.fragment = i;
        part.last_fragment = last;
      }
      const bool full = part.fragment != part.last_fragment;
      wire::AppendFrame(
          part,
          std::string(full ? kFramePayloadBytesMax : size_t{input_.Byte()} * 5,
                      'h'),
          &run);
    }
    client->Send(run);
  }
  void InPieces(Client* client, const std::string& bytes) {
    for (size_t at = 0; at < bytes.size();) {
      const size_t size = 1 + input_.Byte() % 16;
      client->Send(std::string_view(bytes).substr(at, size));
      at += size;
    }
  }

  void ExpectNobody() {
    // Those that only a publisher has told of have their grace.
    shell_.Advance(2 * kRecoveryGrace);
    const broker::State& state = shell_.broker().state();
    IPC_CHECK(state.connections.empty());
    IPC_CHECK(state.handshakes == 0);
    IPC_CHECK(state.sessions.empty());
    IPC_CHECK(state.sessions_by_key.empty());
    IPC_CHECK(state.topics.empty());
    IPC_CHECK(state.behind.empty());
  }

  Input input_;
  BrokerShell shell_;
  Honest honest_;
  std::vector<Client> hostile_;
};

}  // namespace
}  // namespace ipc

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  // protobuf reports text that is not UTF-8 on stderr.
  static const auto* silence = new google::protobuf::LogSilencer();
  static_cast<void>(silence);
  ipc::Script(data, size).Run();
  return 0;
}
