// SPDX-License-Identifier: Apache-2.0
//
// hello-subscriber: prints every greeting and who sent it, until "goodbye".

#include <iostream>

#include "hello.pb.h"
#include "ipc/client.h"

absl::Status Run() {
  auto client = ipc::Client::Connect();
  if (!client.ok()) return client.status();
  auto greetings = (*client)->Subscribe<hello::v1::Greeting>("hello/*");
  if (!greetings.ok()) return greetings.status();

  while (true) {
    auto received = greetings->Next(absl::InfiniteDuration());
    if (!received.ok()) return received.status();
    std::cout << received->message.topic() << " from pid "
              << received->message.publisher().pid << ": "
              << received->value.text() << "\n";
    if (received->value.text() == "goodbye") return absl::OkStatus();
  }
}

int main() {
  const absl::Status status = Run();
  if (!status.ok()) std::cerr << "hello-subscriber: " << status << "\n";
  return status.ok() ? 0 : 1;
}
