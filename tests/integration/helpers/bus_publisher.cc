// SPDX-License-Identifier: Apache-2.0
//
// A publisher with a life of its own.
//
//   bus_publisher SOCKET NUMBER COUNT
//
// Publishes COUNT stamped messages (tests/support/stamp.h) as publisher NUMBER
// on load/NUMBER, without waiting for subscribers. Writes lines to stdout:
//
//   accepted   Publish has returned for all of them
//   done       all are acknowledged

#include <cstdio>
#include <string>
#include <utility>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "ipc/client.h"
#include "tests/support/deadline.h"
#include "tests/support/stamp.h"

namespace ipc::test {
namespace {

void Say(const char* line) {
  std::printf("%s\n", line);
  std::fflush(stdout);
}

absl::Status Publish(RawPublisher* publisher, uint32_t number, uint64_t count) {
  std::string payload;
  for (uint64_t i = 1; i <= count; ++i) {
    const Stamp stamp = {
        .publisher = number, .last = i == count ? 1u : 0u, .number = i};
    MakePayload(stamp, sizeof(stamp), &payload);
    absl::Status status = publisher->Publish(payload);
    if (!status.ok()) return status;
  }
  return absl::OkStatus();
}

absl::Status Run(const std::string& socket_path, uint32_t number,
                 uint64_t count) {
  ClientOptions options;
  options.name = "bus_publisher";
  options.socket_path = socket_path;
  options.connect_timeout = kPatience;
  absl::StatusOr<std::unique_ptr<Client>> client =
      Client::Connect(std::move(options));
  if (!client.ok()) return client.status();
  absl::StatusOr<RawPublisher> publisher =
      (*client)->AdvertiseRaw(absl::StrCat("load/", number));
  if (!publisher.ok()) return publisher.status();
  absl::Status status = Publish(&*publisher, number, count);
  if (!status.ok()) return status;
  Say("accepted");
  status = (*client)->Flush(kPatience);
  if (status.ok()) Say("done");
  return status;
}

int Main(int argc, char** argv) {
  uint32_t number = 0;
  uint64_t count = 0;
  if (argc != 4 || !absl::SimpleAtoi(argv[2], &number) ||
      !absl::SimpleAtoi(argv[3], &count)) {
    return 2;
  }
  const absl::Status status = Run(argv[1], number, count);
  if (!status.ok()) {
    std::fprintf(stderr, "%s\n", status.ToString().c_str());
  }
  return status.ok() ? 0 : 1;
}

}  // namespace
}  // namespace ipc::test

int main(int argc, char** argv) { return ipc::test::Main(argc, argv); }
