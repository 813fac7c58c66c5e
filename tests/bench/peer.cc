// SPDX-License-Identifier: Apache-2.0
//
// The roles of a peer.

#include "tests/bench/peer.h"

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "tests/bench/clock.h"
#include "tests/bench/latency.h"
#include "tests/bench/load.h"
#include "tests/bench/payload.h"
#include "tests/bench/record.h"
#include "tests/bench/window.h"

namespace ipc::bench {
namespace {

// No peer gains from more, and the smallest payloads must not fill the memory.
constexpr uint64_t kWindowMessagesMax = 65536;
constexpr uint64_t kWindowMessagesMin = 8;

// Null for a peer that needs none.
absl::StatusOr<std::unique_ptr<Window>> OpenWindow(const Peer& peer,
                                                   const Work& work) {
  if (peer.window_bytes() == 0) return nullptr;
  const uint64_t messages = std::clamp(
      peer.window_bytes() / std::max<uint64_t>(work.payload_bytes, 1),
      kWindowMessagesMin, kWindowMessagesMax);
  return Window::Open(work.folder, work.subscribers,
                      messages / work.publishers);
}

// What throughput and load are made with.
struct Bulk {
  std::unique_ptr<PeerClient> client;
  std::unique_ptr<Window> window;
};

absl::StatusOr<Bulk> OpenBulk(const Peer& peer, const Work& work) {
  auto client = peer.Connect(work, Use::kBulk);
  if (!client.ok()) return client.status();
  auto window = OpenWindow(peer, work);
  if (!window.ok()) return window.status();
  return Bulk{*std::move(client), *std::move(window)};
}

// A publisher whose messages wait for room.
class WindowedPublisher {
 public:
  WindowedPublisher(const Work& work, Bulk& bulk)
      : work_(work),
        client_(bulk.client.get()),
        window_(bulk.window.get()),
        writer_(work) {}

  absl::Status Publish(const std::string& topic, uint64_t number) {
    if (window_ != nullptr && !window_->HasRoom(work_.index, number)) {
      auto status = client_->Flush();
      if (status.ok()) status = window_->AwaitRoom(work_.index, number);
      if (!status.ok()) return status;
    }
    return client_->Publish(topic, writer_.Write(number));
  }

 private:
  const Work& work_;
  PeerClient* const client_;
  Window* const window_;
  PayloadWriter writer_;
};

// What a subscriber has received.
class Arrivals {
 public:
  Arrivals(const Work& work, Control& control, Window* window)
      : work_(work), control_(control), window_(window), reader_(work) {}

  void OnPayload(std::span<const std::byte> payload) {
    if (done_) return;
    reader_.Read(payload);
    SequenceCheck& check = reader_.check();
    if (!check.faultless()) return Finish();
    if (window_ != nullptr) {
      const uint32_t publisher = check.last_publisher();
      window_->OnReceived(work_.index, publisher, check.received_of(publisher));
    }
    if (check.received() == work_.messages * work_.publishers) Finish();
  }

  const std::atomic<bool>& done() const { return done_; }

 private:
  void Finish() {
    const int64_t end_ns = MonotonicNs();
    const SequenceCheck& check = reader_.check();
    if (auto status = check.Finish(); !status.ok()) {
      control_.Failed(absl::DataLossError(absl::StrCat(
          "after ", check.received(), " messages: ", status.message())));
    } else {
      control_.Done({end_ns, static_cast<int64_t>(check.received()), 0});
    }
    done_ = true;
    done_.notify_all();
  }

  const Work& work_;
  Control& control_;
  Window* const window_;
  PayloadReader reader_;
  std::atomic<bool> done_ = false;
};

// Sends one message after the other, each when the last has come back.
class Pings {
 public:
  Pings(const Work& work, Control& control, PeerClient* client)
      : work_(work),
        control_(control),
        client_(client),
        writer_(work),
        recorder_(work.messages) {}

  void Send() {
    start_ns_ = MonotonicNs();
    auto status = client_->Publish(kTopicA, writer_.Write(recorder_.added()));
    if (status.ok()) status = client_->Flush();
    if (!status.ok()) Fail(status);
  }

  void OnAnswer(std::span<const std::byte> payload) {
    const int64_t end_ns = MonotonicNs();
    if (payload.size() != work_.payload_bytes ||
        GetSequence(payload.data()) != recorder_.added()) {
      return Fail(absl::DataLossError("the answer is of another message"));
    }
    recorder_.Add(end_ns - start_ns_);
    if (recorder_.added() < work_.messages) return Send();
    recorder_.Report(control_);
    End();
  }

  const std::atomic<bool>& done() const { return done_; }

 private:
  void Fail(const absl::Status& status) {
    control_.Failed(status);
    End();
  }
  void End() {
    done_ = true;
    done_.notify_all();
  }

  const Work& work_;
  Control& control_;
  PeerClient* const client_;
  PayloadWriter writer_;
  LatencyRecorder recorder_;
  int64_t start_ns_ = 0;
  std::atomic<bool> done_ = false;
};

absl::Status ReceiveUntilStop(PeerClient& client, Control& control) {
  EndAtStop(control);
  const std::atomic<bool> never = false;
  return client.Receive(never);
}

}  // namespace

absl::Status Peer::RunPublisher(const Work& work, Control& control) const {
  auto bulk = OpenBulk(*this, work);
  if (!bulk.ok()) return bulk.status();
  WindowedPublisher publisher(work, *bulk);
  control.Ready();
  if (auto status = control.AwaitGo(); !status.ok()) return status;
  const int64_t start_ns = MonotonicNs();
  const int64_t start_cpu_ns = ThreadCpuNs();
  for (uint64_t i = 0; i < work.messages; ++i) {
    auto status = publisher.Publish(kTopicA, i);
    if (!status.ok()) return status;
  }
  const int64_t cpu_ns = ThreadCpuNs() - start_cpu_ns;
  if (auto status = bulk->client->Flush(); !status.ok()) return status;
  control.Done({start_ns, cpu_ns});
  control.AwaitStop();
  return absl::OkStatus();
}

absl::Status Peer::RunSubscriber(const Work& work, Control& control) const {
  auto bulk = OpenBulk(*this, work);
  if (!bulk.ok()) return bulk.status();
  Arrivals arrivals(work, control, bulk->window.get());
  auto status = bulk->client->Subscribe(
      kTopicA, [&](std::span<const std::byte> p) { arrivals.OnPayload(p); });
  if (!status.ok()) return status;
  control.Ready();
  if (status = bulk->client->Receive(arrivals.done()); !status.ok())
    return status;
  control.AwaitStop();
  return absl::OkStatus();
}

absl::Status Peer::RunPinger(const Work& work, Control& control) const {
  auto client = Connect(work, Use::kRoundTrip);
  if (!client.ok()) return client.status();
  Pings pings(work, control, client->get());
  auto status = (*client)->Subscribe(
      kTopicB, [&](std::span<const std::byte> p) { pings.OnAnswer(p); });
  if (!status.ok()) return status;
  control.Ready();
  if (status = control.AwaitGo(); !status.ok()) return status;
  pings.Send();
  if (status = (*client)->Receive(pings.done()); !status.ok()) return status;
  control.AwaitStop();
  return absl::OkStatus();
}

absl::Status Peer::RunEcho(const Work& work, Control& control) const {
  auto client = Connect(work, Use::kRoundTrip);
  if (!client.ok()) return client.status();
  auto status =
      (*client)->Subscribe(kTopicA, [&](std::span<const std::byte> payload) {
        auto sent = (*client)->Publish(kTopicB, payload);
        if (sent.ok()) sent = (*client)->Flush();
        if (!sent.ok()) control.Failed(sent);
      });
  if (!status.ok()) return status;
  control.Ready();
  return ReceiveUntilStop(**client, control);
}

absl::Status Peer::RunLoadPublisher(const Work& work, Control& control) const {
  auto bulk = OpenBulk(*this, work);
  if (!bulk.ok()) return bulk.status();
  WindowedPublisher publisher(work, *bulk);
  control.Ready();
  return PublishLoad(work, control, [&](uint64_t number) {
    auto status = publisher.Publish(kTopicLoad, number);
    return status.ok() ? bulk->client->Flush() : status;
  });
}

absl::Status Peer::RunLoadSubscriber(const Work& work, Control& control) const {
  auto bulk = OpenBulk(*this, work);
  if (!bulk.ok()) return bulk.status();
  uint64_t count = 0;
  auto status = bulk->client->Subscribe(
      kTopicLoad, [&](std::span<const std::byte> payload) {
        if (GetSequence(payload.data()) != count) {
          control.Failed(absl::DataLossError("a message of the load is lost"));
        }
        count++;
        if (bulk->window != nullptr)
          bulk->window->OnReceived(work.index, 0, count);
      });
  if (!status.ok()) return status;
  control.Ready();
  return ReceiveUntilStop(*bulk->client, control);
}

}  // namespace ipc::bench
