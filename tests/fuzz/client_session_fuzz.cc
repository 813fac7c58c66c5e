// SPDX-License-Identifier: Apache-2.0
//
// A hostile broker against the client's core. The input is a script of what
// the broker sends (correct frames with wild fields, raw bytes) and of what the
// application does meanwhile. Two clients go through it: one reads whole, the
// other in pieces, and fragments to their places. Held:
//
//   - both hand over the same, say the same, and end for the same reason
//   - a reliable subscription that is no group's gets nothing of a publisher's
//     topic twice, and in order

#include <google/protobuf/stubs/logging.h>

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <tuple>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "libipc/base/check.h"
#include "libipc/base/limits.h"
#include "libipc/core/inbound.h"
#include "libipc/core/session.h"
#include "libipc/wire/control.h"
#include "libipc/wire/frame.h"
#include "tests/fuzz/input.h"
#include "tests/support/control_samples.h"
#include "tests/unit/frames.h"

namespace ipc {
namespace {

using test::Input;
using wire::FrameHeader;
using wire::FrameKind;

constexpr size_t kWindowBytes = 64 * 1024;
constexpr std::array<std::string_view, 3> kTopics = {"a/b", "a/c", "x"};

class Client {
 public:
  explicit Client(bool in_pieces) : in_pieces_(in_pieces) { Connect(); }

  void Connect() {
    if (connected_) return;
    connected_ = true;
    session_.OnConnected();
    Say();
  }
  void Disconnect() {
    if (!connected_) return;
    connected_ = false;
    inbound_.Reset();
    inbound_.Unpark();
    session_.OnDisconnected();
    selected_ = SubscriptionId{};
  }

  // `piece` bytes at a time, if it reads in pieces.
  void Receive(std::string_view bytes, size_t piece) {
    if (!in_pieces_) piece = bytes.size();
    while (!bytes.empty() && connected_) {
      bytes = Read(bytes, piece);
      HandleFrames();
    }
    Say();
  }

  void Subscribe(uint8_t policy) {
    wire::Subscribe request = test::SubscribeMessage(0, "a/*");
    if (policy % 4 == 1) request.policy = wire::Policy::kBestEffort;
    if (policy % 4 == 2) request.group = "g";
    core::Receiving& receiving = session_.receiving();
    auto* added = receiving.Add(request);
    reliable_[added->id] = policy % 4 != 1 && policy % 4 != 2;
    if (session_.ready()) {
      receiving.AppendSubscribe(added, session_.publishing().control());
    }
    Say();
  }
  void Unsubscribe(SubscriptionId id) { session_.receiving().Remove(id); }
  void Publish(std::string_view topic, size_t bytes) {
    core::Publishing& publishing = session_.publishing();
    const auto number = publishing.Open(topic, {.type_name = "T"});
    std::vector<std::span<std::byte>> parts;
    publishing.Trim();
    if (!number.ok() ||
        !publishing.TryAppend(*number, bytes, now_.nanoseconds(), &parts)) {
      return;
    }
    for (std::span<std::byte> part : parts) {
      std::fill(part.begin(), part.end(), std::byte{'p'});
    }
    Say();
  }
  void Advance(absl::Duration time) {
    now_ = now_ + time;
    if (session_.receiving().acknowledge_at() <= now_) {
      session_.receiving().AppendAcks(session_.publishing().control());
    }
    Say();
  }

  const std::string& history() const { return history_; }

 private:
  std::string_view Read(std::string_view bytes, size_t piece) {
    if (in_pieces_) inbound_.FindPlace(&session_.receiving());
    const std::span<std::byte> place = inbound_.place();
    const size_t placed = std::min({place.size(), bytes.size(), piece});
    std::copy_n(bytes.data(), placed, reinterpret_cast<char*>(place.data()));
    const size_t behind = std::min(bytes.size(), piece) - placed;
    std::copy_n(bytes.data() + placed, behind,
                reinterpret_cast<char*>(inbound_.Room(behind).data()));
    inbound_.Filled(placed + behind);
    return bytes.substr(placed + behind);
  }

  void HandleFrames() {
    wire::Frame frame;
    const auto kept = inbound_.TakePlaced(&frame);
    if (kept != nullptr) Deliver(frame);
    while (connected_ && inbound_.Next(&frame)) Handle(frame);
    if (inbound_.fault() == wire::FrameFault::kNone) return;
    Note("fault ", int{static_cast<uint8_t>(inbound_.fault())});
    Disconnect();
  }
  void Handle(const wire::Frame& frame) {
    core::Receiving& receiving = session_.receiving();
    switch (frame.header.kind) {
      case FrameKind::kDeliver:
        return Deliver(frame);
      case FrameKind::kSelect:
        selected_ = SubscriptionId{frame.header.target};
        return receiving.OnSelect(selected_);
      case FrameKind::kAbort:
        return receiving.OnAbort(frame.header);
      case FrameKind::kGone:
        return receiving.OnGone(SessionNumber{frame.header.session});
      case FrameKind::kGap:
        if (const auto missed = receiving.OnGap(frame.header, now_)) {
          Note("missed ", missed->first, " ", missed->last);
        }
        return;
      default:
        break;
    }
    const absl::Status status = session_.OnControl(frame, now_);
    for (const core::SessionEvent& event : session_.TakeEvents()) {
      Note("event ", static_cast<int>(event.kind), " ", event.name);
    }
    if (status.ok()) return;
    Note(status.ToString());
    Disconnect();
  }
  void Deliver(const wire::Frame& frame) {
    if (frame.header.flags != 0 || frame.header.descriptors != 0) return;
    core::Receiving& receiving = session_.receiving();
    const auto delivery = receiving.OnDeliver(frame, now_);
    if (!delivery.has_value()) return;
    const core::Stream& stream = *delivery->stream;
    uint64_t sum = 0;
    for (std::byte byte : delivery->payload) {
      sum = sum * 31 + static_cast<uint8_t>(byte);
    }
    Note("got ", ToNumber(selected_), " ", delivery->sequence, " behind ",
         delivery->first_missing, ": ", delivery->payload.size(), " ", sum);
    if (reliable_[selected_]) {
      // A stream ends with its publisher; its owner is kept, so that no other
      // has its address.
      uint64_t& last = last_[receiving.last_stream()];
      IPC_CHECK(delivery->sequence > last);
      last = delivery->sequence;
    }
    IPC_CHECK(&stream == receiving.last_stream().get());
    receiving.OnConsumed(*delivery, now_);
  }

  void Say() {
    core::Publishing& publishing = session_.publishing();
    while (connected_) {
      size_t bytes = 0;
      for (std::span<const std::byte> segment : publishing.Gather()) {
        history_.append(reinterpret_cast<const char*>(segment.data()),
                        segment.size());
        bytes += segment.size();
      }
      if (bytes == 0) return;
      publishing.Sent(bytes);
    }
  }
  template <typename... Parts>
  void Note(const Parts&... parts) {
    absl::StrAppend(&history_, parts..., "\n");
  }

  const bool in_pieces_;
  core::Session session_{test::SampleToken(1), "client", kWindowBytes};
  core::Inbound inbound_;
  bool connected_ = false;
  SubscriptionId selected_{};
  MonotonicTime now_ = MonotonicTime::FromNanoseconds(1'000'000'000);
  std::map<SubscriptionId, bool> reliable_;
  std::map<std::shared_ptr<core::Stream>, uint64_t> last_;
  std::string history_;  // what it has said, been told and handed over
};

class Script {
 public:
  Script(const uint8_t* data, size_t size) : input_(data, size) {
    Both([](Client* client) {
      client->Subscribe(0);
      client->Subscribe(1);
    });
    Welcome();
  }

  void Run() {
    for (int i = 0; i < 500 && !input_.empty(); ++i) {
      Step();
      IPC_CHECK(whole_.history() == pieces_.history());
    }
  }

 private:
  template <typename Move>
  void Both(Move move) {
    move(&whole_);
    move(&pieces_);
  }
  void Send(std::string_view bytes) {
    Both([&](Client* client) { client->Receive(bytes, piece_); });
  }

  void Step() {
    switch (input_.Byte() % 16) {
      case 0:
        piece_ = size_t{1} << (4 + input_.Byte() % 14);
        break;
      case 1:
        Send(input_.Bytes(input_.Byte()));
        break;
      case 2: {
        FrameHeader header = Header();
        header.kind = static_cast<FrameKind>(input_.Byte() % 64);
        header.flags = input_.Byte() % 2;
        Send(test::FrameOf(header, input_.Bytes(input_.Byte())));
        break;
      }
      case 3:
        Both([](Client* client) { client->Disconnect(); });
        Both([](Client* client) { client->Connect(); });
        Welcome();
        break;
      case 4: {
        const uint8_t policy = input_.Byte();
        Both([=](Client* client) { client->Subscribe(policy); });
        break;
      }
      case 5: {
        const SubscriptionId id{input_.Number()};
        Both([=](Client* client) { client->Unsubscribe(id); });
        break;
      }
      case 6: {
        const std::string_view topic = input_.Pick(kTopics);
        const size_t bytes = size_t{input_.Byte()} * 1000;
        Both([=](Client* client) { client->Publish(topic, bytes); });
        break;
      }
      case 7: {
        const absl::Duration time = absl::Milliseconds(input_.Byte());
        Both([=](Client* client) { client->Advance(time); });
        break;
      }
      case 8:
        Announce();
        break;
      case 9:
        Recover();
        break;
      case 10:
      case 11:
        Mark();
        break;
      default:
        Deliver();
        break;
    }
  }

  void Welcome() {
    wire::Welcome welcome;
    welcome.instance = test::SampleToken(9);
    welcome.session_number = SessionNumber{1};
    welcome.message_bytes_max = kMessageBytesMaxDefault;
    Send(test::ControlOf(welcome));
  }
  FrameHeader Header() {
    FrameHeader header;
    header.target = input_.Number();
    header.session = input_.Number();
    header.sequence = input_.Number();
    header.fragment = input_.Byte() % 3;
    header.last_fragment = input_.Byte() % 3;
    return header;
  }
  void Announce() {
    wire::Announce announce;
    announce.topic_id = TopicId{input_.Number()};
    announce.session_number = SessionNumber{input_.Number()};
    const uint8_t publisher = input_.Byte() % 4;
    announce.session = {
        .token = test::SampleToken(publisher), .pid = publisher, .uid = 500};
    announce.channel = ChannelNumber{input_.Number()};
    announce.topic = input_.Pick(kTopics);
    announce.ack_bytes = input_.Number();
    Send(test::ControlOf(announce));
  }
  // Fixed headers that have a meaning in a session.
  void Mark() {
    static constexpr std::array<FrameKind, 8> kMarks = {
        FrameKind::kSelect, FrameKind::kAbort,  FrameKind::kGone,
        FrameKind::kGap,    FrameKind::kAck,    FrameKind::kLeave,
        FrameKind::kSelect, FrameKind::kMatches};
    FrameHeader header = Header();
    header.kind = input_.Pick(kMarks);
    header.last_fragment = 0;
    if (header.kind == FrameKind::kGap) header.time = input_.Number();
    Send(test::FrameOf(header));
  }
  void Recover() {
    const wire::Reader reader = {
        .session = {.token = test::SampleToken(input_.Byte()),
                    .pid = 7,
                    .uid = 500},
        .subscription = SubscriptionId{input_.Number()},
        .reader = ReaderId{input_.Number()},
        .from = input_.Number()};
    const ChannelNumber channel{input_.Number()};
    if (input_.Byte() % 3 == 0) {
      wire::Opened opened;
      opened.channel = channel;
      opened.readers.push_back(reader);
      Send(test::ControlOf(opened, kOpenRequest | ToNumber(channel)));
    } else if (input_.Byte() % 2 == 0) {
      Send(test::ControlOf(wire::Join{
          .reader = reader, .channels = {channel}, .transient = false}));
    } else {
      Send(test::ControlOf(wire::Resend{
          .reader = reader, .channels = {{channel, input_.Number(), true}}}));
    }
  }
  // A run of messages or fragments, mostly those that come next.
  void Deliver() {
    FrameHeader header = Header();
    header.kind = FrameKind::kDeliver;
    const uint16_t last = input_.Byte() % 4;
    const bool fragments = input_.Byte() % 2 == 0;
    std::string run;
    for (uint16_t i = 0; i <= last; ++i) {
      FrameHeader part = header;
      part.fragment = fragments ? i : uint16_t{0};
      part.last_fragment = fragments ? last : uint16_t{0};
      if (!fragments) part.sequence += i;
      const bool full = part.fragment != part.last_fragment;
      const uint8_t size = input_.Byte();
      if (size == 0xff) continue;  // it has been lost
      wire::AppendFrame(
          part,
          std::string(full ? kFramePayloadBytesMax : size_t{size} * 250,
                      static_cast<char>('a' + size % 26)),
          &run);
    }
    Send(run);
  }

  static constexpr uint64_t kOpenRequest = core::kOpenRequestBit;

  Input input_;
  size_t piece_ = 1000;
  Client whole_{/*in_pieces=*/false};
  Client pieces_{/*in_pieces=*/true};
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
