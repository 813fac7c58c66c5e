// SPDX-License-Identifier: Apache-2.0
//
// hostmon-view: shows what all hostmons on the bus tell, a line a second.
//
//   host/*/{cpu,memory,disks,...} -> five subscriptions -> Board -> stdout
//
// Prints `ready` once the broker has confirmed the subscriptions: what is
// published from then on arrives, also when the broker is killed and started
// again meanwhile. The last line says what came, and whether anything was
// lost, came twice or in disorder.

#include <chrono>
#include <iostream>
#include <memory>
#include <string>
#include <utility>

#include "CLI/CLI.hpp"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "examples/hostmon/board.h"
#include "examples/hostmon/event_log.h"
#include "examples/hostmon/hostmon.pb.h"
#include "examples/hostmon/lifetime.h"
#include "examples/hostmon/topics.h"
#include "ipc/client.h"

namespace hostmon {
namespace {

using Clock = Lifetime::Clock;

struct Flags {
  std::string socket;  // empty: the default
  double seconds = 0;  // 0: until a signal
};

// Subscribes to messages of type T from all hosts, for as long as
// `subscription` lives. Reliably, which is the default.
template <typename T>
absl::Status Watch(ipc::Client* client, Board* board,
                   ipc::Subscription<T>* subscription) {
  absl::StatusOr<ipc::Subscription<T>> result = client->Subscribe<T>(
      TopicOf<T>("*"), [board](const T& value, const ipc::Message& message) {
        board->OnMessage(value, message);
      });
  if (!result.ok()) return result.status();
  *subscription = *std::move(result);
  return absl::OkStatus();
}

// One subscription for each kind, since each has its own type. Destroyed
// before the client, and the board behind both.
struct Subscriptions {
  absl::Status Open(ipc::Client* client, Board* board) {
    absl::Status status;
    status.Update(Watch(client, board, &cpu));
    status.Update(Watch(client, board, &memory));
    status.Update(Watch(client, board, &disks));
    status.Update(Watch(client, board, &network));
    status.Update(Watch(client, board, &processes));
    return status;
  }

  ipc::Subscription<v1::Cpu> cpu;
  ipc::Subscription<v1::Memory> memory;
  ipc::Subscription<v1::Disks> disks;
  ipc::Subscription<v1::Network> network;
  ipc::Subscription<v1::Processes> processes;
};

void PrintLines(const Board& board, bool connected) {
  for (const std::string& line : board.Lines()) {
    std::cout << (connected ? "" : "(no broker) ") << line << "\n";
  }
  std::cout << std::flush;
}

absl::Status Run(const Flags& flags, Lifetime* lifetime) {
  Board board;  // outlives the client, whose handlers use it
  ipc::ClientOptions options;
  options.name = "hostmon-view";
  options.socket_path = flags.socket;
  options.on_event = [&board](const ipc::Event& event) {
    LogEvent("hostmon-view", event);
    if (event.kind == ipc::Event::Kind::kGap) board.OnGap(event);
  };
  absl::StatusOr<std::unique_ptr<ipc::Client>> client =
      ipc::Client::Connect(std::move(options));
  if (!client.ok()) return client.status();

  Subscriptions subscriptions;
  absl::Status status = subscriptions.Open(client->get(), &board);
  if (!status.ok()) return status;
  std::cout << "ready" << std::endl;

  constexpr std::chrono::seconds kPeriod(1);
  for (Clock::time_point tick = Clock::now() + kPeriod;
       !lifetime->EndsBefore(tick); tick += kPeriod) {
    PrintLines(board, (*client)->connected());
  }
  std::cout << "received " << board.Summary() << std::endl;
  return absl::OkStatus();
}

}  // namespace
}  // namespace hostmon

int main(int argc, char** argv) {
  hostmon::Lifetime lifetime;  // before any thread
  hostmon::Flags flags;
  CLI::App app("Shows what hostmon publishes on host/*/*");
  app.add_option("--socket", flags.socket, "Path of the broker's socket");
  app.add_option("--for", flags.seconds, "End after so many seconds")
      ->check(CLI::Range(0.0, 1e9));
  CLI11_PARSE(app, argc, argv);

  lifetime.EndAfter(flags.seconds);
  const absl::Status status = hostmon::Run(flags, &lifetime);
  if (status.ok()) return 0;
  std::cerr << "hostmon-view: " << status.ToString() << "\n";
  return 1;
}
