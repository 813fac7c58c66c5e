// SPDX-License-Identifier: Apache-2.0
//
// Clients without a thread of their own: fd(), NextDeadline() and Process() in
// somebody's poll(2).

#include <poll.h>
#include <signal.h>

#include <algorithm>
#include <memory>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "gtest/gtest.h"
#include "tests/integration/bus.h"

namespace ipc::test {
namespace {

class ManualLoopTest : public BusTest {
 protected:
  std::unique_ptr<Client> ConnectManual(ClientOptions options) {
    options.manual_loop = true;
    return Connect(options);
  }

  // As a program's own event loop: nothing but the descriptor and the deadline
  // tells when to call Process(). False if the time is up before `done`.
  template <typename Done>
  bool Loop(const std::vector<Client*>& clients, Done done) {
    const absl::Time end = absl::Now() + kPatience;
    while (!done()) {
      if (absl::Now() > end) return false;
      absl::Time deadline = end;
      std::vector<pollfd> fds;
      for (const Client* client : clients) {
        fds.push_back({client->fd(), POLLIN, 0});
        deadline = std::min(deadline, client->NextDeadline());
      }
      const absl::Duration rest =
          std::max(deadline - absl::Now(), absl::ZeroDuration());
      const timespec timeout = absl::ToTimespec(rest);
      ppoll(fds.data(), fds.size(), &timeout, nullptr);
      for (size_t i = 0; i < clients.size(); ++i) {
        if (fds[i].revents != 0 || clients[i]->NextDeadline() <= absl::Now()) {
          EXPECT_OK(clients[i]->Process());
        }
      }
    }
    return true;
  }
};

TEST_F(ManualLoopTest, OneThreadServesAPublisherAndASubscriber) {
  constexpr int kMessages = 20'000;
  auto reader = ConnectManual(Options("reader"));
  auto writer = ConnectManual(Options("writer"));
  std::vector<std::string> seen;
  ASSERT_OK_AND_ASSIGN(
      auto subscription,
      reader->SubscribeRaw(
          "a/*",
          [&](const Message& message) { seen.emplace_back(message.text()); },
          Patient()));
  ASSERT_OK_AND_ASSIGN(RawPublisher publisher, writer->AdvertiseRaw("a/b"));
  std::vector<std::string> texts;
  EXPECT_TRUE(Loop({reader.get(), writer.get()}, [&] {
    while (texts.size() < kMessages) {
      const std::string text = absl::StrCat(texts.size());
      if (!publisher.TryPublish(Bytes(text)).ok()) break;
      texts.push_back(text);
    }
    return seen.size() == kMessages &&
           writer->stats().unacknowledged_bytes == 0;
  }));
  EXPECT_EQ(seen, texts);
}

TEST_F(ManualLoopTest, HandlersRunOnlyInCallsOfTheProgram) {
  auto reader = ConnectManual(Options("reader"));
  auto writer = Connect("writer");
  int runs = 0;
  ASSERT_OK_AND_ASSIGN(auto subscription,
                       reader->SubscribeRaw(
                           "a/*", [&](const Message&) { ++runs; }, Patient()));
  ASSERT_OK_AND_ASSIGN(RawPublisher publisher, writer->AdvertiseRaw("a/b"));
  ASSERT_OK(publisher.Publish("message"));
  pollfd readable = {reader->fd(), POLLIN, 0};
  EXPECT_EQ(poll(&readable, 1,
                 static_cast<int>(absl::ToInt64Milliseconds(kPatience))),
            1);
  EXPECT_EQ(runs, 0);
  EXPECT_TRUE(Loop({reader.get()}, [&] { return runs == 1; }));
}

TEST_F(ManualLoopTest, ComesBackAfterABrokersDeathAndTellsIt) {
  std::vector<Event::Kind> events;
  ClientOptions options = Options("reader");
  options.on_event = [&](const Event& event) { events.push_back(event.kind); };
  auto reader = ConnectManual(options);
  auto writer = ConnectManual(Options("writer"));
  std::vector<std::string> seen;
  ASSERT_OK_AND_ASSIGN(
      auto subscription,
      reader->SubscribeRaw(
          "a/*",
          [&](const Message& message) { seen.emplace_back(message.text()); },
          Patient()));
  ASSERT_OK_AND_ASSIGN(RawPublisher publisher, writer->AdvertiseRaw("a/b"));
  ASSERT_OK(publisher.Publish("before"));
  broker_.Kill();
  ASSERT_OK(publisher.Publish("meanwhile"));
  broker_.Start();
  ASSERT_OK(publisher.Publish("after"));
  EXPECT_TRUE(Loop({reader.get(), writer.get()},
                   [&] { return writer->stats().unacknowledged_bytes == 0; }));
  EXPECT_EQ(seen, (std::vector<std::string>{"before", "meanwhile", "after"}));
  using Kind = Event::Kind;
  EXPECT_EQ(events, (std::vector<Kind>{Kind::kConnected, Kind::kDisconnected,
                                       Kind::kConnected}));
}

TEST_F(ManualLoopTest, StartsBeforeTheBroker) {
  EXPECT_EQ(broker_.Terminate(), 0);
  ClientOptions options = Options("early");
  options.if_broker_absent = IfBrokerAbsent::kLater;
  auto client = ConnectManual(options);
  EXPECT_LE(client->NextDeadline(), absl::Now());  // the first attempt is due
  EXPECT_OK(client->Process());
  EXPECT_FALSE(client->connected());
  broker_.Start();
  EXPECT_TRUE(Loop({client.get()}, [&] { return client->connected(); }));
}

TEST_F(ManualLoopTest, NextTurnsTheLoopWhileItWaits) {
  auto reader = ConnectManual(Options("reader"));
  auto writer = Connect("writer");
  ASSERT_OK_AND_ASSIGN(auto subscription,
                       reader->SubscribeRaw("a/*", Patient()));
  ASSERT_OK_AND_ASSIGN(RawPublisher publisher, writer->AdvertiseRaw("a/b"));
  for (int i = 0; i < 100; ++i) {
    ASSERT_OK(publisher.Publish(absl::StrCat(i)));
    ASSERT_OK_AND_ASSIGN(const Message message, subscription.Next(kPatience));
    EXPECT_EQ(message.text(), absl::StrCat(i));
  }
  EXPECT_CODE(kDeadlineExceeded, subscription.Next(absl::Milliseconds(20)));
}

TEST_F(ManualLoopTest, ProcessIsForManualLoopsAlone) {
  auto client = Connect("threaded");
  EXPECT_CODE(kFailedPrecondition, client->Process());
  EXPECT_OK(client->Ping(kPatience));
}

TEST_F(ManualLoopTest, AnIdleClientHasNothingToDo) {
  auto client = ConnectManual(Options("idle"));
  ASSERT_OK(client->Ping(kPatience));
  ASSERT_OK(client->Process());
  EXPECT_EQ(client->NextDeadline(), absl::InfiniteFuture());
  pollfd readable = {client->fd(), POLLIN, 0};
  EXPECT_EQ(poll(&readable, 1, 0), 0);
}

}  // namespace
}  // namespace ipc::test
