// SPDX-License-Identifier: Apache-2.0
//
// A subscriber of the chaos test.
//
//   chaos_subscriber SOCKET (reliable | DEPTH) BOOK
//
// Subscribes to load/** and writes what comes, and the gaps it is told, into
// BOOK. Says "ready" when it is subscribed and ends at the end of stdin.

#include <errno.h>
#include <unistd.h>

#include <cstdio>
#include <cstring>
#include <optional>
#include <string>
#include <utility>

#include "absl/strings/numbers.h"
#include "absl/strings/str_split.h"
#include "absl/time/clock.h"
#include "ipc/client.h"
#include "tests/support/chaos_book.h"
#include "tests/support/deadline.h"
#include "tests/support/stamp.h"

namespace ipc::test {
namespace {

// All on the client's thread, one after the other.
class ChaosSubscriber {
 public:
  explicit ChaosSubscriber(const std::string& book) : book_(book) {}

  void OnEvent(const Event& event);
  void OnMessage(const Message& message);

 private:
  void OnGap(const Event& event);

  ChaosBook book_;
  std::optional<int64_t> connected_ns_;  // until the first message behind it
};

void ChaosSubscriber::OnEvent(const Event& event) {
  switch (event.kind) {
    case Event::Kind::kConnected:
      connected_ns_ = absl::GetCurrentTimeNanos();
      break;
    case Event::Kind::kDisconnected:
      connected_ns_.reset();
      break;
    case Event::Kind::kGap:
      OnGap(event);
      break;
    case Event::Kind::kRefused:
      std::fprintf(stderr, "refused: %s\n", event.status.ToString().c_str());
      book_.OnFault();
      break;
  }
}

void ChaosSubscriber::OnGap(const Event& event) {
  const std::vector<std::string> segments =
      absl::StrSplit(event.source.topic, '/');
  uint32_t publisher = 0;
  uint32_t topic = 0;
  if (segments.size() != 3 || !absl::SimpleAtoi(segments[1], &publisher) ||
      !absl::SimpleAtoi(segments[2], &topic)) {
    std::fprintf(stderr, "a gap on %s\n", event.source.topic.c_str());
    book_.OnFault();
    return;
  }
  book_.OnGap(publisher, topic, event.first, event.last);
}

void ChaosSubscriber::OnMessage(const Message& message) {
  if (connected_ns_) {
    book_.OnBack(*connected_ns_, absl::GetCurrentTimeNanos());
    connected_ns_.reset();
  }
  const std::optional<Stamp> stamp = ReadPayload(message.payload());
  if (!stamp) {
    std::fprintf(stderr, "a damaged payload\n");
    book_.OnFault();
    return;
  }
  const auto topic = static_cast<uint32_t>(message.topic().back() - '0');
  book_.OnMessage(stamp->publisher, topic, message.sequence());
  book_.OnNumber(stamp->publisher, stamp->number);
}

int Main(int argc, char** argv) {
  if (argc != 4) return 2;
  SubscribeOptions subscribe;
  subscribe.confirm_timeout = kPatience;
  BestEffort best_effort;
  if (absl::SimpleAtoi(argv[2], &best_effort.depth)) {
    subscribe.policy = best_effort;
  } else if (std::strcmp(argv[2], "reliable") != 0) {
    return 2;
  }
  ChaosSubscriber subscriber(argv[3]);
  ClientOptions options;
  options.name = "chaos_subscriber";
  options.socket_path = argv[1];
  options.connect_timeout = kPatience;
  options.on_event = [&](const Event& event) { subscriber.OnEvent(event); };
  absl::StatusOr<std::unique_ptr<Client>> client =
      Client::Connect(std::move(options));
  if (!client.ok()) return 1;
  absl::StatusOr<RawSubscription> subscription = (*client)->SubscribeRaw(
      "load/**", [&](const Message& message) { subscriber.OnMessage(message); },
      subscribe);
  if (!subscription.ok()) {
    std::fprintf(stderr, "%s\n", subscription.status().ToString().c_str());
    return 1;
  }
  std::printf("ready\n");
  std::fflush(stdout);
  char byte = 0;
  ssize_t size = 0;
  do {
    size = read(STDIN_FILENO, &byte, 1);
  } while (size > 0 || (size < 0 && errno == EINTR));
  return 0;
}

}  // namespace
}  // namespace ipc::test

int main(int argc, char** argv) { return ipc::test::Main(argc, argv); }
