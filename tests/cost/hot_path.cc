// SPDX-License-Identifier: Apache-2.0
//
// The hot path without sockets, for counting its instructions: a publisher's
// core, the broker's and those of subscribers, joined by copying bytes.
//
//   hot_path MESSAGES PAYLOAD_BYTES SUBSCRIBERS [CROWD]
//
// Beside them stands a crowd of so many idle subscriptions and as many idle
// topics; a message must not cost more for that.
//
// tests/cost/run counts what each of the three functions Measured... below
// executes. They are called once for each batch, as large as a send in a burst.

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "broker/core/broker.h"
#include "libipc/base/check.h"
#include "libipc/base/limits.h"
#include "libipc/core/inbound.h"
#include "libipc/core/session.h"
#include "libipc/wire/frame.h"

namespace ipc::cost {

constexpr size_t kBatchBytes = 32 * 1024;
// A share of the window, as in the product.
constexpr size_t kAcknowledgeBytes = 512 * 1024;
constexpr char kTopic[] = "cost/topic";

// A client's core and the broker's end of its connection.
struct Peer {
  Peer(uint8_t number, broker::Broker* broker, MonotonicTime now)
      : id{number}, session(TokenOf(number), "cost", 4 << 20) {
    session.OnConnected();
    IPC_CHECK(broker->OnConnect(
        id, {.pid = 1000 + number, .uid = 500, .gid = 50}, now));
  }

  static Token TokenOf(uint8_t number) {
    Token token{};
    token.bytes[0] = number;
    return token;
  }

  ConnectionId id;
  core::Session session;
  core::Inbound inbound;
  SubscriptionId selected{};
  uint64_t consumed = 0;
};

[[gnu::noinline]] bool MeasuredPublish(core::Publishing* publishing,
                                       ChannelNumber channel,
                                       std::span<const std::byte> payload,
                                       size_t messages, int64_t time) {
  std::vector<std::span<std::byte>> parts;
  for (size_t i = 0; i < messages; ++i) {
    if (payload.size() <= kFramePayloadBytesMax) {
      std::byte* place =
          publishing->TryAppendSmall(channel, payload.size(), time);
      if (place == nullptr) return false;
      std::memcpy(place, payload.data(), payload.size());
      continue;
    }
    if (!publishing->TryAppend(channel, payload.size(), time, &parts)) {
      return false;
    }
    size_t done = 0;
    for (std::span<std::byte> part : parts) {
      std::memcpy(part.data(), payload.data() + done, part.size());
      done += part.size();
    }
  }
  return true;
}

// Leaves what is to be sent in the connections' outboxes.
[[gnu::noinline]] void MeasuredRoute(broker::Broker* broker, ConnectionId from,
                                     std::span<std::byte> bytes,
                                     MonotonicTime now) {
  broker->OnBytes(from, bytes, now);
}

[[gnu::noinline]] void MeasuredReceive(Peer* peer, MonotonicTime now) {
  core::Receiving& receiving = peer->session.receiving();
  wire::Frame frame;
  while (peer->inbound.Next(&frame)) {
    switch (frame.header.kind) {
      case wire::FrameKind::kDeliver:
        if (auto delivery = receiving.OnDeliver(frame, now)) {
          ++peer->consumed;
          receiving.OnConsumed(*delivery, now);
        }
        break;
      case wire::FrameKind::kSelect:
        receiving.OnSelect(SubscriptionId{frame.header.target});
        break;
      default:
        IPC_CHECK(peer->session.OnControl(frame, now).ok());
        break;
    }
  }
}

// Clients that have said and heard what there is to say.
class Crowd {
 public:
  static constexpr uint64_t kFirstId = 1'000;
  static constexpr uint32_t kEach = 1'000;

  Crowd(broker::Broker* broker, MonotonicTime now)
      : broker_(*broker), now_(now) {}

  // With kEach subscriptions to as many topics, and others to publish on.
  void AddClient() {
    id_ = ConnectionId{kFirstId + clients_++};
    IPC_CHECK(broker_.OnConnect(id_, {.pid = 1, .uid = 500, .gid = 50}, now_));
    wire::Hello hello;
    hello.token.bytes[0] = static_cast<uint8_t>(clients_ >> 8);
    hello.token.bytes[1] = static_cast<uint8_t>(clients_);
    hello.name = "crowd";
    Send(hello);
    wire::AppendFrame({.kind = wire::FrameKind::kResumed}, "", &bytes_);
    for (uint32_t i = 1; i <= kEach; ++i) {
      wire::Subscribe subscribe;
      subscribe.subscription = SubscriptionId{i};
      subscribe.pattern = absl::StrCat("crowd/", clients_, "/read/", i);
      Send(subscribe);
      wire::Open open;
      open.channel = ChannelNumber{i};
      open.topic = absl::StrCat("crowd/", clients_, "/written/", i);
      open.first_sequence = open.next_sequence = 1;
      Send(open);
    }
    Settle();
  }

 private:
  template <typename Message>
  void Send(const Message& message) {
    wire::AppendControl(message, 1, &bytes_);
  }
  void Settle() {
    broker_.OnBytes(id_, std::as_writable_bytes(std::span(bytes_)), now_);
    bytes_.clear();
    for (broker::Connection* connection : broker_.TakeDirty()) {
      while (!connection->outbox.empty()) {
        size_t bytes = 0;
        for (std::span<const std::byte> part : connection->outbox.Gather()) {
          bytes += part.size();
        }
        connection->outbox.Sent(bytes);
      }
    }
  }

  broker::Broker& broker_;
  const MonotonicTime now_;
  ConnectionId id_{};
  uint32_t clients_ = 0;
  std::string bytes_;
};

class HotPath {
 public:
  HotPath(uint8_t subscribers, uint32_t crowd)
      : now_(MonotonicTime::FromNanoseconds(1'000'000'000)),
        broker_({}, now_),
        buffer_(1 << 20) {
    Crowd others(&broker_, now_);
    for (uint32_t i = 0; i < crowd; i += Crowd::kEach) others.AddClient();
    for (uint8_t i = 0; i <= subscribers; ++i) {
      peers_.push_back(std::make_unique<Peer>(i + 1, &broker_, now_));
    }
    Settle();
    for (uint8_t i = 1; i <= subscribers; ++i) Subscribe(peers_[i].get());
    Settle();
    auto channel = publishing().Open(kTopic, {});
    IPC_CHECK(channel.ok());
    channel_ = *channel;
    Settle();
    now_ = now_ + kStartHold;
    broker_.OnTime(now_);
    Settle();
    IPC_CHECK(publishing().ChannelStatus(channel_).ok());
  }

  void Run(size_t messages, size_t payload_bytes) {
    const std::vector<std::byte> payload(payload_bytes);
    const size_t frame_bytes = payload_bytes + kFrameHeaderBytes;
    const size_t batch = kBatchBytes / frame_bytes + 1;
    size_t unacknowledged_bytes = 0;
    for (size_t done = 0; done < messages; done += batch) {
      IPC_CHECK(MeasuredPublish(&publishing(), channel_, payload, batch,
                                now_.nanoseconds()));
      Settle();
      sent_ += batch;
      unacknowledged_bytes += batch * frame_bytes;
      if (unacknowledged_bytes >= kAcknowledgeBytes) {
        Acknowledge();
        unacknowledged_bytes = 0;
      }
    }
    Acknowledge();
    for (size_t i = 1; i < peers_.size(); ++i) {
      IPC_CHECK(peers_[i]->consumed == sent_);
    }
    IPC_CHECK(publishing().IsAcknowledged(publishing().Accepted()));
  }
  size_t sent() const { return sent_; }

 private:
  core::Publishing& publishing() { return peers_[0]->session.publishing(); }

  void Subscribe(Peer* peer) {
    wire::Subscribe request;
    request.pattern = kTopic;
    core::Receiving& receiving = peer->session.receiving();
    receiving.AppendSubscribe(receiving.Add(request),
                              peer->session.publishing().control());
  }
  void Acknowledge() {
    for (size_t i = 1; i < peers_.size(); ++i) {
      peers_[i]->session.receiving().AppendAcks(
          peers_[i]->session.publishing().control());
    }
    Settle();
    now_ = now_ + kAcknowledgeDelay;
    broker_.OnTime(now_);
    Settle();
    publishing().Trim();
  }

  // Moves bytes until nothing is left to move.
  void Settle() {
    bool moved = true;
    while (moved) {
      moved = false;
      for (const auto& peer : peers_) moved |= SendUp(peer.get());
      moved |= SendDown();
    }
  }
  bool SendUp(Peer* peer) {
    core::Publishing& publishing = peer->session.publishing();
    size_t end = broker_.TailSize(peer->id);
    const size_t begin = end;
    for (std::span<const std::byte> segment : publishing.Gather()) {
      const size_t bytes = std::min(segment.size(), buffer_.size() - end);
      std::memcpy(buffer_.data() + end, segment.data(), bytes);
      end += bytes;
      if (bytes < segment.size()) break;
    }
    if (end == begin) return false;
    publishing.Sent(end - begin);
    MeasuredRoute(&broker_, peer->id, std::span(buffer_).first(end), now_);
    SendDown();  // before the buffer is used again
    return true;
  }
  bool SendDown() {
    bool moved = false;
    for (broker::Connection* connection : broker_.TakeDirty()) {
      Peer* peer = peers_[ToNumber(connection->id) - 1].get();
      while (!connection->outbox.empty()) {
        size_t bytes = 0;
        for (std::span<const std::byte> segment : connection->outbox.Gather()) {
          std::span<std::byte> room = peer->inbound.Room(segment.size());
          std::memcpy(room.data(), segment.data(), segment.size());
          peer->inbound.Filled(segment.size());
          bytes += segment.size();
        }
        connection->outbox.Sent(bytes);
        moved = true;
      }
      broker_.OnSent(connection);
      MeasuredReceive(peer, now_);
    }
    return moved;
  }

  MonotonicTime now_;
  broker::Broker broker_;
  std::vector<std::byte> buffer_;
  std::vector<std::unique_ptr<Peer>> peers_;  // the publisher first
  ChannelNumber channel_{};
  size_t sent_ = 0;
};

}  // namespace ipc::cost

int main(int argc, char** argv) {
  if (argc != 4 && argc != 5) {
    std::fprintf(stderr,
                 "usage: %s MESSAGES PAYLOAD_BYTES SUBSCRIBERS [CROWD]\n",
                 argv[0]);
    return 2;
  }
  const int crowd = argc == 5 ? std::atoi(argv[4]) : 0;
  ipc::cost::HotPath path(static_cast<uint8_t>(std::atoi(argv[3])),
                          static_cast<uint32_t>(crowd));
  path.Run(std::strtoull(argv[1], nullptr, 10),
           std::strtoull(argv[2], nullptr, 10));
  std::printf("%zu\n", path.sent());
  return 0;
}
