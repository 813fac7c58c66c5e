// SPDX-License-Identifier: Apache-2.0
//
// hostmon: publishes what the machine does, ten times a second.
//
//   /proc -> Sampler -> five Streams -> host/<name>/{cpu,memory,disks,...}
//
// The bus may go away and come back at any time: what is published meanwhile
// waits in the client's log. Should the log ever be full, a sample is skipped
// rather than waited for, since the next one is worth more. At the end it
// flushes, and tells on stdout what it has published.

#include <chrono>
#include <cstdint>
#include <iostream>
#include <memory>
#include <string>
#include <utility>

#include "CLI/CLI.hpp"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "examples/hostmon/event_log.h"
#include "examples/hostmon/hostmon.pb.h"
#include "examples/hostmon/lifetime.h"
#include "examples/hostmon/sampler.h"
#include "examples/hostmon/topics.h"
#include "ipc/client.h"

namespace hostmon {
namespace {

using Clock = Lifetime::Clock;

constexpr absl::Duration kFlushTimeout = absl::Seconds(10);

struct Flags {
  std::string socket;  // empty: the default
  std::string name = ThisHost();
  double rate = 10;    // samples a second
  double seconds = 0;  // 0: until a signal
  size_t top = 10;     // processes told
};

// One topic, whose messages it numbers from 1.
template <typename T>
class Stream {
 public:
  absl::Status Open(ipc::Client* client, const std::string& host) {
    absl::StatusOr<ipc::Publisher<T>> publisher =
        client->Advertise<T>(TopicOf<T>(host));
    if (!publisher.ok()) return publisher.status();
    publisher_ = *std::move(publisher);
    return absl::OkStatus();
  }

  // Only what was accepted is counted, so that a hole in the numbers can only
  // be a loss on the way.
  absl::Status Publish(T message) {
    message.set_number(published_ + 1);
    absl::Status status = publisher_.TryPublish(message);
    if (status.ok()) ++published_;
    return status;
  }

  // " cpu=123"
  std::string Summary() const {
    return " " + std::string(kKind<T>) + "=" + std::to_string(published_);
  }

 private:
  ipc::Publisher<T> publisher_;
  uint64_t published_ = 0;
};

struct Streams {
  absl::Status Open(ipc::Client* client, const std::string& host) {
    absl::Status status;
    status.Update(cpu.Open(client, host));
    status.Update(memory.Open(client, host));
    status.Update(disks.Open(client, host));
    status.Update(network.Open(client, host));
    status.Update(processes.Open(client, host));
    return status;
  }

  absl::Status Publish(Sample sample) {
    absl::Status status;
    status.Update(cpu.Publish(std::move(sample.cpu)));
    status.Update(memory.Publish(std::move(sample.memory)));
    status.Update(disks.Publish(std::move(sample.disks)));
    status.Update(network.Publish(std::move(sample.network)));
    status.Update(processes.Publish(std::move(sample.processes)));
    return status;
  }

  std::string Summary() const {
    return cpu.Summary() + memory.Summary() + disks.Summary() +
           network.Summary() + processes.Summary();
  }

  Stream<v1::Cpu> cpu;
  Stream<v1::Memory> memory;
  Stream<v1::Disks> disks;
  Stream<v1::Network> network;
  Stream<v1::Processes> processes;
};

// The first tick of the schedule that is still to come. Ticks that were missed
// (the machine was suspended, or is too busy) are not made up for.
Clock::time_point NextTick(Clock::time_point tick, Clock::duration period) {
  return tick + period * ((Clock::now() - tick) / period + 1);
}

// Samples and publishes until the end of `lifetime`.
absl::Status PublishSamples(const Flags& flags, Lifetime* lifetime,
                            Streams* streams) {
  const auto period = std::chrono::duration_cast<Clock::duration>(
      std::chrono::duration<double>(1 / flags.rate));
  Sampler sampler({.top = flags.top});
  for (Clock::time_point tick = Clock::now() + period;
       !lifetime->EndsBefore(tick); tick = NextTick(tick, period)) {
    absl::Status status = streams->Publish(sampler.Take());
    if (absl::IsResourceExhausted(status)) continue;  // the log is full
    if (!status.ok()) return status;
  }
  return absl::OkStatus();
}

absl::Status Run(const Flags& flags, Lifetime* lifetime) {
  ipc::ClientOptions options;
  options.name = "hostmon";
  options.socket_path = flags.socket;
  options.on_event = [](const ipc::Event& event) {
    LogEvent("hostmon", event);
  };
  absl::StatusOr<std::unique_ptr<ipc::Client>> client =
      ipc::Client::Connect(std::move(options));
  if (!client.ok()) return client.status();

  Streams streams;
  absl::Status status = streams.Open(client->get(), HostSegment(flags.name));
  if (!status.ok()) return status;
  status = PublishSamples(flags, lifetime, &streams);
  status.Update((*client)->Flush(kFlushTimeout));
  std::cout << "published" << streams.Summary() << std::endl;
  return status;
}

void AddOptions(CLI::App* app, Flags* flags) {
  app->add_option("--socket", flags->socket, "Path of the broker's socket");
  app->add_option("--name", flags->name, "The host's name in the topics")
      ->capture_default_str();
  app->add_option("--rate", flags->rate, "Samples a second")
      ->check(CLI::Range(0.01, 1000.0))
      ->capture_default_str();
  app->add_option("--top", flags->top, "Processes told, at the most")
      ->check(CLI::Range(0, 10000))
      ->capture_default_str();
  app->add_option("--for", flags->seconds, "End after so many seconds")
      ->check(CLI::Range(0.0, 1e9));
}

}  // namespace
}  // namespace hostmon

int main(int argc, char** argv) {
  hostmon::Lifetime lifetime;  // before any thread
  hostmon::Flags flags;
  CLI::App app("Publishes what this machine does on host/<name>/*");
  hostmon::AddOptions(&app, &flags);
  CLI11_PARSE(app, argc, argv);

  lifetime.EndAfter(flags.seconds);
  const absl::Status status = hostmon::Run(flags, &lifetime);
  if (status.ok()) return 0;
  std::cerr << "hostmon: " << status.ToString() << "\n";
  return 1;
}
