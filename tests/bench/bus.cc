// SPDX-License-Identifier: Apache-2.0
//
// The contestant `bus`: ipc-broker as a process of its own and clients as any
// program would write them: raw publishers, subscriptions with a handler, the
// default options. Each role is one ipc::Client.
//
// Handlers run on the client's I/O thread; the main thread only waits for the
// runner. Round trips are driven from the handler (the answer's handler sends
// the next message), so that no thread is woken that a program would not wake.

#include <sys/stat.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "ipc/client.h"
#include "tests/bench/clock.h"
#include "tests/bench/contestant.h"
#include "tests/bench/latency.h"
#include "tests/bench/load.h"
#include "tests/bench/payload.h"
#include "tests/bench/record.h"

namespace ipc::bench {
namespace {

constexpr char kTopicA[] = "bench/a";
constexpr char kTopicB[] = "bench/b";
constexpr char kTopicLoad[] = "bench/load";

absl::Duration StepMax() { return absl::Nanoseconds(kStepNsMax); }

absl::StatusOr<std::unique_ptr<Client>> ConnectBus(const Work& work,
                                                   const std::string& name,
                                                   ClientOptions options = {}) {
  options.name = "bench-" + name;
  options.socket_path = work.address;
  return Client::Connect(std::move(options));
}

// Of what is measured, or of the bulk beside it.
PublisherOptions OptionsOf(const Work& work) {
  PublisherOptions options;
  if (work.memfd) options.memfd_threshold = 1;
  return options;
}

std::vector<std::byte> MakePayload(const Work& work) {
  return std::vector<std::byte>(work.payload_bytes, std::byte{'x'});
}

// What a subscriber has received and been told to have lost. Used on the
// client's I/O thread only.
class Reception {
 public:
  Reception(const Work& work, Control& control)
      : work_(work),
        control_(control),
        check_(work.payload_bytes, /*gaps_allowed=*/work.best_effort) {}

  void OnMessage(const Message& message) {
    check_.OnPayload(message.payload());
    FinishIfComplete();
  }

  void OnRecord(const Record& record) {
    check_.OnSequence(record.sequence());
    FinishIfComplete();
  }

  void OnEvent(const Event& event) {
    if (event.kind == Event::Kind::kGap) {
      missing_ += event.last - event.first + 1;
      FinishIfComplete();
    } else if (event.kind != Event::Kind::kConnected) {
      control_.Failed(absl::UnavailableError(
          absl::StrCat("event ", static_cast<int>(event.kind), ": ",
                       event.status.ToString())));
    }
  }

 private:
  void FinishIfComplete() {
    if (check_.received() + missing_ == work_.messages * work_.publishers) {
      Finish();
    }
  }

  void Finish() {
    const int64_t end_ns = MonotonicNs();
    auto status = check_.Finish();
    if (status.ok() && missing_ > 0 && !work_.best_effort) {
      status = absl::DataLossError("a reliable subscription has lost messages");
    }
    if (!status.ok()) return control_.Failed(status);
    control_.Done({end_ns, static_cast<int64_t>(check_.received()),
                   static_cast<int64_t>(missing_)});
  }

  const Work& work_;
  Control& control_;
  SequenceCheck check_;
  uint64_t missing_ = 0;
};

// Sends one message after the other, each when the last has come back. Start
// on the main thread, then on the I/O thread.
class Pings {
 public:
  Pings(const Work& work, Control& control, RawPublisher publisher)
      : work_(work),
        control_(control),
        publisher_(std::move(publisher)),
        payload_(MakePayload(work)),
        recorder_(work.messages) {}

  void Send() {
    PutSequence(payload_.data(), recorder_.added());
    start_ns_ = MonotonicNs();
    if (auto status = publisher_.Publish(payload_); !status.ok()) {
      control_.Failed(status);
    }
  }

  void OnAnswer(const Message& message) {
    const int64_t end_ns = MonotonicNs();
    if (message.payload().size() != payload_.size() ||
        GetSequence(message.payload().data()) != recorder_.added()) {
      return control_.Failed(
          absl::DataLossError("the answer is of another message"));
    }
    recorder_.Add(end_ns - start_ns_);
    if (recorder_.added() == work_.messages) return recorder_.Report(control_);
    Send();
  }

 private:
  const Work& work_;
  Control& control_;
  RawPublisher publisher_;
  std::vector<std::byte> payload_;
  LatencyRecorder recorder_;
  int64_t start_ns_ = 0;
};

// Many clients without a thread, each with its subscriptions.
class IdleClients {
 public:
  explicit IdleClients(const Work& work) : work_(work) {}

  absl::Status Open(uint32_t count) {
    for (uint32_t i = 0; i < count; ++i) {
      ClientOptions options;
      options.manual_loop = true;
      auto client = ConnectBus(work_, "idle", std::move(options));
      if (!client.ok()) return client.status();
      clients_.push_back(*std::move(client));
      if (auto status = Subscribe(*clients_.back()); !status.ok()) {
        return status;
      }
    }
    return absl::OkStatus();
  }

 private:
  absl::Status Subscribe(Client& client) {
    for (uint32_t i = 0; i < work_.subscriptions_each; ++i) {
      // Distinct, and as long as a real one.
      auto subscription = client.SubscribeRaw(
          absl::StrCat("bench/idle/", subscriptions_.size(), "/channel/", i),
          [](const Message&) {});
      if (!subscription.ok()) return subscription.status();
      subscriptions_.push_back(*std::move(subscription));
    }
    return absl::OkStatus();
  }

  const Work& work_;
  std::vector<std::unique_ptr<Client>> clients_;
  std::vector<RawSubscription> subscriptions_;
};

// A broker acknowledges nothing in the first moments after its start, which is
// not what is measured.
absl::Status AwaitAcknowledgement(Client& client) {
  auto publisher = client.AdvertiseRaw("bench/first");
  if (!publisher.ok()) return publisher.status();
  auto status = publisher->Publish(std::string_view("first"));
  return status.ok() ? client.Flush(StepMax()) : status;
}

// The publisher's part that does not depend on what it sends.
template <typename AnyPublisher, typename Publish>
absl::Status PublishAll(const Work& work, Control& control, Client& client,
                        AnyPublisher& publisher, Publish publish) {
  auto status = publisher.WaitForSubscribers(work.subscribers, StepMax());
  if (status.ok()) status = AwaitAcknowledgement(client);
  if (!status.ok()) return status;
  control.Ready();
  if (status = control.AwaitGo(); !status.ok()) return status;
  const int64_t start_ns = MonotonicNs();
  const int64_t start_cpu_ns = ThreadCpuNs();
  for (uint64_t i = 0; i < work.messages; ++i) {
    if (status = publish(i); !status.ok()) return status;
  }
  const int64_t cpu_ns = ThreadCpuNs() - start_cpu_ns;
  if (status = client.Flush(StepMax()); !status.ok()) return status;
  control.Done({start_ns, cpu_ns});
  control.AwaitStop();
  return absl::OkStatus();
}

// Pings every millisecond or so, until then or the runner's next order.
absl::StatusOr<int64_t> LongestPing(Client& client, Control& control,
                                    int64_t end_ns) {
  constexpr int64_t kPauseNs = 1'000'000;
  int64_t longest_ns = 0;
  while (MonotonicNs() < end_ns && !control.HasOrder(kPauseNs)) {
    auto ping = client.Ping(StepMax());
    if (!ping.ok()) return ping.status();
    longest_ns = std::max(longest_ns, absl::ToInt64Nanoseconds(*ping));
  }
  return longest_ns;
}

class Bus : public Contestant {
 public:
  std::string name() const override { return "bus"; }

  bool Concerns(const Scenario&) const override { return true; }

  // Connect waits until the broker answers, so the start needs no probe but
  // this first client.
  absl::StatusOr<Broker> StartBroker(const Work& work) const override {
    Broker broker;
    broker.address = absl::StrCat(work.folder, "/bus.sock");
    ProcessOptions options;
    options.label = "ipc-broker";
    options.argv = {IPC_BROKER_BINARY, "--log-level", "warning", "--socket",
                    broker.address};
    options.control_pipes = false;
    auto process = Process::Start(options);
    if (!process.ok()) return process.status();
    broker.process = *std::move(process);
    Work probing;
    probing.address = broker.address;
    ClientOptions client_options;
    client_options.manual_loop = true;  // no thread in the runner
    auto probe = ConnectBus(probing, "probe", std::move(client_options));
    if (!probe.ok()) return BlameBroker(probe.status(), broker.process);
    return broker;
  }

  absl::StatusOr<Process> StartCrowd(
      const std::string& address, const Population& population) const override {
    ProcessOptions options;
    options.label = "crowd";
    options.argv = {IPC_CROWD_BINARY, "--address", address};
    for (std::string& argument : ToArguments(population)) {
      options.argv.push_back(std::move(argument));
    }
    return Process::Start(options);
  }

  absl::StatusOr<Process> StartTool(const std::string& address,
                                    const std::string& command) const override {
    ProcessOptions options;
    options.label = "ipcctl " + command;
    options.argv = {IPCCTL_BINARY, "--socket", address, command};
    options.control_pipes = false;
    options.log = "/dev/null";
    return Process::Start(options);
  }

  absl::Status RunPublisher(const Work& work, Control& control) const override {
    auto client = ConnectBus(work, "publisher");
    if (!client.ok()) return client.status();
    if (work.typed) {
      auto publisher = (*client)->Advertise<Record>(kTopicA);
      if (!publisher.ok()) return publisher.status();
      Record record = MakeRecord(work.payload_bytes);
      return PublishAll(work, control, **client, *publisher, [&](uint64_t i) {
        record.set_sequence(MakeSequence(work.index, i));
        return publisher->Publish(record);
      });
    }
    auto publisher = (*client)->AdvertiseRaw(kTopicA, OptionsOf(work));
    if (!publisher.ok()) return publisher.status();
    std::vector<std::byte> payload = MakePayload(work);
    return PublishAll(work, control, **client, *publisher, [&](uint64_t i) {
      PutSequence(payload.data(), MakeSequence(work.index, i));
      return publisher->Publish(std::span<const std::byte>(payload));
    });
  }

  absl::Status RunSubscriber(const Work& work,
                             Control& control) const override {
    Reception reception(work, control);
    ClientOptions options;
    options.on_event = [&](const Event& event) { reception.OnEvent(event); };
    auto client = ConnectBus(work, "subscriber", std::move(options));
    if (!client.ok()) return client.status();
    SubscribeOptions subscribe;
    if (work.best_effort) subscribe.policy = BestEffort{};
    if (work.typed) {
      auto typed = (*client)->Subscribe<Record>(
          kTopicA, [&](const Record& record) { reception.OnRecord(record); },
          subscribe);
      if (!typed.ok()) return typed.status();
      control.Ready();
      control.AwaitStop();
      return absl::OkStatus();
    }
    auto subscription = (*client)->SubscribeRaw(
        kTopicA, [&](const Message& message) { reception.OnMessage(message); },
        subscribe);
    if (!subscription.ok()) return subscription.status();
    control.Ready();
    control.AwaitStop();
    return absl::OkStatus();
  }

  absl::Status RunPinger(const Work& work, Control& control) const override {
    auto client = ConnectBus(work, "pinger");
    if (!client.ok()) return client.status();
    auto publisher = (*client)->AdvertiseRaw(kTopicA);
    if (!publisher.ok()) return publisher.status();
    auto status = publisher->WaitForSubscribers(1, StepMax());
    if (!status.ok()) return status;
    Pings pings(work, control, *std::move(publisher));
    auto subscription = (*client)->SubscribeRaw(
        kTopicB, [&](const Message& message) { pings.OnAnswer(message); });
    if (!subscription.ok()) return subscription.status();
    control.Ready();
    if (status = control.AwaitGo(); !status.ok()) return status;
    pings.Send();
    control.AwaitStop();
    return absl::OkStatus();
  }

  absl::Status RunEcho(const Work& work, Control& control) const override {
    auto client = ConnectBus(work, "echo");
    if (!client.ok()) return client.status();
    auto publisher = (*client)->AdvertiseRaw(kTopicB);
    if (!publisher.ok()) return publisher.status();
    auto subscription =
        (*client)->SubscribeRaw(kTopicA, [&](const Message& message) {
          auto status = publisher->Publish(message.payload());
          if (!status.ok()) control.Failed(status);
        });
    if (!subscription.ok()) return subscription.status();
    control.Ready();
    control.AwaitStop();
    return absl::OkStatus();
  }

  absl::Status RunLoadPublisher(const Work& work,
                                Control& control) const override {
    auto client = ConnectBus(work, "load");
    if (!client.ok()) return client.status();
    auto publisher = (*client)->AdvertiseRaw(kTopicLoad, OptionsOf(work));
    if (!publisher.ok()) return publisher.status();
    auto status = publisher->WaitForSubscribers(work.subscribers, StepMax());
    if (status.ok()) status = AwaitAcknowledgement(**client);
    if (!status.ok()) return status;
    std::vector<std::byte> payload = MakePayload(work);
    control.Ready();
    return PublishLoad(work, control, [&](uint64_t number) {
      PutSequence(payload.data(), number);
      return publisher->Publish(std::span<const std::byte>(payload));
    });
  }

  absl::Status RunLoadSubscriber(const Work& work,
                                 Control& control) const override {
    auto client = ConnectBus(work, "load");
    if (!client.ok()) return client.status();
    auto subscription =
        (*client)->SubscribeRaw(kTopicLoad, [](const Message&) {});
    if (!subscription.ok()) return subscription.status();
    control.Ready();
    control.AwaitStop();
    return absl::OkStatus();
  }

  absl::Status RunIdle(const Work& work, Control& control) const override {
    IdleClients idle(work);
    auto status = idle.Open(kIdleWarmUp);
    if (!status.ok()) return status;
    control.Ready();
    if (status = control.AwaitGo(); !status.ok()) return status;
    if (status = idle.Open(work.connections); !status.ok()) return status;
    control.Done({});
    control.AwaitStop();
    return absl::OkStatus();
  }

  absl::Status RunProber(const Work& work, Control& control) const override {
    auto client = ConnectBus(work, "prober");
    if (!client.ok()) return client.status();
    auto quiet_ns =
        LongestPing(**client, control, MonotonicNs() + kNsPerSecond);
    if (!quiet_ns.ok()) return quiet_ns.status();
    control.Ready();
    auto status = control.AwaitGo();
    if (!status.ok()) return status;
    auto longest_ns = LongestPing(**client, control, INT64_MAX);
    if (!longest_ns.ok()) return longest_ns.status();
    if (status = control.AwaitGo(); !status.ok()) return status;
    control.Done({*quiet_ns, *longest_ns});
    control.AwaitStop();
    return absl::OkStatus();
  }
};

}  // namespace

std::unique_ptr<Contestant> MakeBus() { return std::make_unique<Bus>(); }

}  // namespace ipc::bench
