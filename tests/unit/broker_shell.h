// SPDX-License-Identifier: Apache-2.0
//
// Plays the shell around a broker::Broker: sockets that take as much as a test
// lets them, a clock that a test moves, and a record of every frame that came
// out. Shared by the unit tests, the model and the fuzz target, so it knows no
// GoogleTest; what must hold in any run, whatever the peers do, is checked
// right here:
//
//   - what leaves a connection is always a sequence of well-formed frames
//   - what the broker borrowed of a read buffer, it has let go at the turn's
//     end: the buffer is freed then, after it was overwritten
//   - ending connections leaves nobody with something unsent

#ifndef IPC_TESTS_UNIT_BROKER_SHELL_H_
#define IPC_TESTS_UNIT_BROKER_SHELL_H_

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <limits>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "broker/core/broker.h"
#include "libipc/base/check.h"
#include "libipc/base/limits.h"
#include "libipc/wire/control.h"
#include "libipc/wire/frame.h"
#include "libipc/wire/frame_reader.h"
#include "tests/support/frame_feed.h"
#include "tests/unit/frames.h"

namespace ipc::test {

class BrokerShell {
 public:
  static constexpr size_t kEndless = std::numeric_limits<size_t>::max();

  explicit BrokerShell(const broker::BrokerOptions& options = {})
      : now_(MonotonicTime::FromNanoseconds(1'000'000'000)),
        broker_(options, now_) {}

  broker::Broker& broker() { return broker_; }
  MonotonicTime now() const { return now_; }

  // -- Events

  // Nothing: the broker wants no more connections.
  std::optional<ConnectionId> Connect(const broker::Peer& peer) {
    const ConnectionId id{++last_id_};
    if (!broker_.OnConnect(id, peer, now_)) return std::nullopt;
    sockets_.try_emplace(id);
    return id;
  }

  // One read from a socket, which may hold any part of the stream.
  void Receive(ConnectionId id, std::string_view bytes) {
    const broker::Connection* connection = broker_.Find(id);
    if (connection == nullptr) return;
    const size_t kept = broker_.TailSize(id);
    std::vector<std::byte> buffer(kept + bytes.size());
    if (!bytes.empty()) {
      std::memcpy(buffer.data() + kept, bytes.data(), bytes.size());
    }
    broker_.OnBytes(id, buffer, now_);
    Flush();
    std::fill(buffer.begin(), buffer.end(), std::byte{0xee});
  }

  // The peer's end of the socket is gone.
  void Lose(ConnectionId id, bool process_alive) {
    sockets_[id].open = false;
    broker_.OnLost(id, process_alive, now_);
    Flush();
  }

  void ProcessExited(const SessionKey& session) {
    broker_.OnProcessExited(session, now_);
    Flush();
  }

  // Moves the clock, and stops at every deadline on the way.
  void Advance(absl::Duration duration) {
    const MonotonicTime end = now_ + duration;
    while (broker_.NextDeadline() <= end) {
      now_ = std::max(now_, broker_.NextDeadline());
      broker_.OnTime(now_);
      Flush();
    }
    now_ = end;
  }

  void Shutdown() {
    broker_.Shutdown(now_);
    Flush();
  }

  // How much the socket takes from now on.
  void SetRoom(ConnectionId id, size_t bytes) {
    sockets_[id].room = bytes;
    broker::Connection* connection = broker_.Find(id);
    if (connection == nullptr || bytes == 0) return;
    SendTo(connection);
    Flush();
  }

  // What the sockets have been told to do: send what is due, close what ended.
  void Flush() {
    for (;;) {
      std::vector<broker::Connection*> dirty = broker_.TakeDirty();
      if (dirty.empty()) break;
      for (broker::Connection* connection : dirty) SendTo(connection);
    }
    for (broker::Ended& ended : broker_.TakeEnded()) {
      sockets_[ended.id].open = false;
      broker_.OnLost(ended.id, /*process_alive=*/true, now_);
      ended_.emplace(ended.id, std::move(ended));
    }
    IPC_CHECK(broker_.TakeDirty().empty());
  }

  // -- What came of it

  std::vector<Got> Take(ConnectionId id) {
    return std::exchange(sockets_[id].got, {});
  }
  // Whether neither side has closed it.
  bool IsOpen(ConnectionId id) { return sockets_[id].open; }
  // Why the broker ended a connection; null if it did not.
  const broker::Ended* EndOf(ConnectionId id) const {
    auto found = ended_.find(id);
    return found == ended_.end() ? nullptr : &found->second;
  }
  // Sizes of the pieces in each call of sendmsg since the last time.
  std::vector<std::vector<size_t>> TakeGathered(ConnectionId id) {
    return std::exchange(sockets_[id].gathered, {});
  }

 private:
  struct Socket {
    bool open = true;
    size_t room = kEndless;
    wire::FrameReader reader{kControlFrameBytesMax};
    SubscriptionId selected{};
    std::vector<Got> got;
    std::vector<std::vector<size_t>> gathered;
  };

  void SendTo(broker::Connection* connection) {
    Socket& socket = sockets_.at(connection->id);
    broker::Outbox& outbox = connection->outbox;
    while (!outbox.empty() && socket.room > 0) {
      std::string taken;
      std::vector<size_t>& sizes = socket.gathered.emplace_back();
      for (std::span<const std::byte> segment : outbox.Gather()) {
        IPC_CHECK(!segment.empty());
        sizes.push_back(segment.size());
        const size_t room = std::min(segment.size(), socket.room);
        taken.append(reinterpret_cast<const char*>(segment.data()), room);
        if (socket.room != kEndless) socket.room -= room;
      }
      IPC_CHECK(!taken.empty());
      outbox.Sent(taken.size());
      Collect(taken, &socket);
    }
    outbox.Settle();
    broker_.OnSent(connection);
  }

  static void Collect(std::string_view bytes, Socket* socket) {
    Frames frames;
    FeedPiece(bytes, &socket->reader, &frames);
    IPC_CHECK(socket->reader.fault() == wire::FrameFault::kNone);
    for (std::string& frame : frames) {
      const wire::FrameHeader header = HeaderOf(frame);
      if (header.kind == wire::FrameKind::kSelect) {
        socket->selected = SubscriptionId{header.target};
      }
      socket->got.push_back({header, std::move(frame), socket->selected});
    }
  }

  MonotonicTime now_;
  broker::Broker broker_;
  uint64_t last_id_ = 0;
  std::map<ConnectionId, Socket> sockets_;
  std::map<ConnectionId, broker::Ended> ended_;
};

}  // namespace ipc::test

#endif  // IPC_TESTS_UNIT_BROKER_SHELL_H_
