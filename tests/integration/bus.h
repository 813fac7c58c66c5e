// SPDX-License-Identifier: Apache-2.0
//
// What most integration tests begin with: a broker of their own, clients of
// it, and a log of what a client was told.

#ifndef IPC_TESTS_INTEGRATION_BUS_H_
#define IPC_TESTS_INTEGRATION_BUS_H_

#include <algorithm>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "gtest/gtest.h"
#include "ipc/client.h"
#include "tests/support/broker_process.h"
#include "tests/support/deadline.h"
#include "tests/support/status_testing.h"

namespace ipc::test {

// The events of one client. Must outlive it.
class EventLog {
 public:
  std::function<void(const Event&)> Handler() {
    return [this](const Event& event) {
      events_.Update([&](auto& events) { events.push_back(event); });
    };
  }

  // Those of one kind, as they came.
  std::vector<Event> Of(Event::Kind kind) const {
    std::vector<Event> all = events_.Get();
    std::erase_if(all,
                  [kind](const Event& event) { return event.kind != kind; });
    return all;
  }

  // Waits until `count` events of the kind have come.
  bool WaitFor(Event::Kind kind, ptrdiff_t count = 1) const {
    return events_.WaitUntil([=](const std::vector<Event>& events) {
      return std::count_if(events.begin(), events.end(),
                           [kind](const Event& event) {
                             return event.kind == kind;
                           }) >= count;
    });
  }

 private:
  Shared<std::vector<Event>> events_;
};

// The messages that a handler was given, as copies. Must outlive its client.
class Inbox {
 public:
  MessageHandler Handler() {
    return [this](const Message& message) {
      messages_.Update(
          [&](auto& messages) { messages.push_back(message.Clone()); });
    };
  }
  std::vector<Message> Get() const { return messages_.Get(); }
  // The payloads, as text.
  std::vector<std::string> Texts() const {
    std::vector<std::string> texts;
    for (const Message& message : Get()) texts.emplace_back(message.text());
    return texts;
  }
  bool WaitFor(size_t count) const {
    return messages_.WaitUntil(
        [count](const auto& messages) { return messages.size() >= count; });
  }

 private:
  Shared<std::vector<Message>> messages_;
};

inline std::span<const std::byte> Bytes(std::string_view text) {
  return std::as_bytes(std::span(text.data(), text.size()));
}

// The options for a client of a broker of ours; tests change what they test.
inline ClientOptions OptionsFor(const std::string& socket_path,
                                std::string_view name) {
  ClientOptions options;
  options.name = name;
  options.socket_path = socket_path;
  options.connect_timeout = kPatience;
  options.publish_timeout = kPatience;
  return options;
}

inline SubscribeOptions Patient(SubscribeOptions options = {}) {
  options.confirm_timeout = kPatience;
  return options;
}

class BusTest : public testing::Test {
 protected:
  void SetUp() override { broker_.Start(); }

  ClientOptions Options(std::string_view name) const {
    return OptionsFor(broker_.socket_path(), name);
  }
  // Null if it cannot connect, and the test has failed.
  std::unique_ptr<Client> Connect(ClientOptions options) const {
    absl::StatusOr<std::unique_ptr<Client>> client =
        Client::Connect(std::move(options));
    EXPECT_OK(client);
    return client.ok() ? *std::move(client) : nullptr;
  }
  std::unique_ptr<Client> Connect(std::string_view name) const {
    return Connect(Options(name));
  }

  BrokerProcess broker_{IPC_BROKER_BINARY};
};

}  // namespace ipc::test

#endif  // IPC_TESTS_INTEGRATION_BUS_H_
