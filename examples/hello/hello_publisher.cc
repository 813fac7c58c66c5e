// SPDX-License-Identifier: Apache-2.0
//
// hello-publisher: waits for someone to listen, and greets three times.

#include <iostream>

#include "hello.pb.h"
#include "ipc/client.h"

absl::Status Run() {
  auto client = ipc::Client::Connect();
  if (!client.ok()) return client.status();
  auto greetings = (*client)->Advertise<hello::v1::Greeting>("hello/greetings");
  if (!greetings.ok()) return greetings.status();

  absl::Status status = greetings->WaitForSubscribers(1, absl::Minutes(5));
  if (!status.ok()) return status;
  for (const char* text : {"hello", "hello again", "goodbye"}) {
    hello::v1::Greeting greeting;
    greeting.set_text(text);
    status.Update(greetings->Publish(greeting));
  }
  // What is published and not yet consumed is in this process: wait for it.
  status.Update((*client)->Flush(absl::Seconds(10)));
  return status;
}

int main() {
  const absl::Status status = Run();
  if (!status.ok()) std::cerr << "hello-publisher: " << status << "\n";
  return status.ok() ? 0 : 1;
}
