// SPDX-License-Identifier: Apache-2.0
//
// A publisher of the chaos test.
//
//   chaos_publisher SOCKET NUMBER SEED BOOK
//
// Publishes stamped messages (tests/support/stamp.h) as fast as it can on
// load/NUMBER/0 and load/NUMBER/1, small ones and now and then a large one, and
// counts them in BOOK. The first line on stdin ends that. With each line it
// publishes one more message on each topic, waits until all is acknowledged and
// says "done". At the end of stdin it waits for its own: a publisher that has
// gone would be one whose messages may be lost.

#include <errno.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <cstdio>
#include <random>
#include <string>
#include <thread>
#include <utility>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "ipc/client.h"
#include "tests/support/chaos_book.h"
#include "tests/support/deadline.h"
#include "tests/support/stamp.h"

namespace ipc::test {
namespace {

constexpr uint64_t kMessagesForALargeOne = 2000;  // on average
constexpr size_t kSmallBytesMax = 200;
constexpr size_t kLargeBytesMax = size_t{300} << 10;

// False at the end of stdin.
bool AwaitLine() {
  char byte = 0;
  ssize_t size = 0;
  do {
    size = read(STDIN_FILENO, &byte, 1);
  } while ((size > 0 && byte != '\n') || (size < 0 && errno == EINTR));
  return size > 0;
}

class ChaosPublisher {
 public:
  ChaosPublisher(uint32_t number, uint64_t seed, const std::string& book)
      : number_(number), random_(seed), book_(book) {}

  absl::Status Open(const std::string& socket_path);
  absl::Status Run(const std::atomic<bool>& stopping);
  absl::Status PublishEnds();

 private:
  absl::Status PublishOne(uint32_t topic, size_t bytes);
  absl::Status PublishAny();

  const uint32_t number_;
  std::mt19937_64 random_;
  ChaosBook book_;
  std::unique_ptr<Client> client_;
  std::array<RawPublisher, kChaosTopics> topics_;
  std::string payload_;
  uint64_t published_ = 0;
};

absl::Status ChaosPublisher::Open(const std::string& socket_path) {
  ClientOptions options;
  options.name = absl::StrCat("publisher-", number_);
  options.socket_path = socket_path;
  options.connect_timeout = kPatience;
  options.publish_timeout = kPatience;
  options.window_bytes = size_t{1} << (number_ % 2 == 0 ? 20 : 22);
  absl::StatusOr<std::unique_ptr<Client>> client =
      Client::Connect(std::move(options));
  if (!client.ok()) return client.status();
  client_ = *std::move(client);
  for (uint32_t topic = 0; topic < kChaosTopics; ++topic) {
    absl::StatusOr<RawPublisher> publisher =
        client_->AdvertiseRaw(absl::StrCat("load/", number_, "/", topic));
    if (!publisher.ok()) return publisher.status();
    topics_[topic] = *std::move(publisher);
  }
  return absl::OkStatus();
}

absl::Status ChaosPublisher::PublishOne(uint32_t topic, size_t bytes) {
  MakePayload({.publisher = number_, .number = published_ + 1}, bytes,
              &payload_);
  book_.Begin(topic);
  absl::Status status = topics_[topic].Publish(payload_);
  if (!status.ok()) return status;
  book_.Accept(topic);
  ++published_;
  return status;
}

absl::Status ChaosPublisher::PublishAny() {
  if (random_() % kMessagesForALargeOne == 0) {
    return PublishOne(1, random_() % kLargeBytesMax);
  }
  return PublishOne(random_() % 8 == 0 ? 1 : 0, random_() % kSmallBytesMax);
}

absl::Status ChaosPublisher::Run(const std::atomic<bool>& stopping) {
  absl::Status status;
  while (!stopping && status.ok()) status = PublishAny();
  return status;
}

absl::Status ChaosPublisher::PublishEnds() {
  for (uint32_t topic = 0; topic < kChaosTopics; ++topic) {
    absl::Status status = PublishOne(topic, sizeof(Stamp));
    if (!status.ok()) return status;
  }
  return client_->Flush(kPatience);
}

int Main(int argc, char** argv) {
  uint32_t number = 0;
  uint64_t seed = 0;
  if (argc != 5 || !absl::SimpleAtoi(argv[2], &number) ||
      !absl::SimpleAtoi(argv[3], &seed)) {
    return 2;
  }
  ChaosPublisher publisher(number, seed, argv[4]);
  absl::Status status = publisher.Open(argv[1]);
  if (!status.ok()) return 1;
  std::atomic<bool> stopping = false;
  std::thread input([&stopping] {
    AwaitLine();
    stopping = true;
  });
  status = publisher.Run(stopping);
  input.join();
  do {
    if (status.ok()) status = publisher.PublishEnds();
    if (!status.ok()) std::fprintf(stderr, "%s\n", status.ToString().c_str());
    std::printf("%s\n", status.ok() ? "done" : "failed");
    std::fflush(stdout);
  } while (status.ok() && AwaitLine());
  if (!status.ok()) return 1;
  for (;;) pause();
}

}  // namespace
}  // namespace ipc::test

int main(int argc, char** argv) { return ipc::test::Main(argc, argv); }
