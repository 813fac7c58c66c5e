// SPDX-License-Identifier: Apache-2.0
//
// How the broker ends, and that it does not end for want of descriptors.

#include <signal.h>
#include <sys/stat.h>

#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/integration/bus.h"
#include "tests/integration/traffic.h"
#include "tests/support/raw_peer.h"

namespace ipc::test {
namespace {

using testing::HasSubstr;

class BrokerStopTest : public BusTest {
 protected:
  // Exit code 0 (Terminate is patient, but not for ever), and no socket left.
  void ExpectCleanEnd(int signal) {
    EXPECT_EQ(broker_.Terminate(signal), 0);
    struct stat status = {};
    EXPECT_NE(lstat(broker_.socket_path().c_str(), &status), 0)
        << "the socket is still there";
  }
  static void ExpectToldOfShutdown(const EventLog& log) {
    ASSERT_TRUE(log.WaitFor(Event::Kind::kDisconnected));
    const absl::Status status =
        log.Of(Event::Kind::kDisconnected).front().status;
    EXPECT_CODE(kUnavailable, status);
    EXPECT_THAT(std::string(status.message()), HasSubstr("shutdown"));
  }
  std::unique_ptr<Client> ConnectLogged(EventLog* log) {
    ClientOptions options = Options("client");
    options.on_event = log->Handler();
    return Connect(options);
  }
};

TEST_F(BrokerStopTest, SigtermEndsItCleanlyAndItsClientsHearOfIt) {
  EventLog log;
  auto client = ConnectLogged(&log);
  ExpectCleanEnd(SIGTERM);
  ExpectToldOfShutdown(log);
}

TEST_F(BrokerStopTest, SigintEndsItCleanlyAndItsClientsHearOfIt) {
  EventLog log;
  auto client = ConnectLogged(&log);
  ExpectCleanEnd(SIGINT);
  ExpectToldOfShutdown(log);
}

TEST_F(BrokerStopTest, AClientThatDoesNotReadDelaysItsEndOnlyBriefly) {
  RawPeer deaf(broker_.socket_path());
  ASSERT_TRUE(deaf.Greet("deaf"));
  ASSERT_TRUE(
      deaf.Send(Encode({.kind = kRawSubscribe,
                        .sequence = 1,
                        .payload = VarintField(1, 1) + BytesField(2, "**") +
                                   VarintField(3, 1)})));
  EventLog log;
  auto client = ConnectLogged(&log);
  ASSERT_OK_AND_ASSIGN(RawPublisher publisher, client->AdvertiseRaw("a/b"));
  ASSERT_OK(publisher.WaitForSubscribers(1, kPatience));
  const std::string payload(8192, 'x');
  while (publisher.TryPublish(Bytes(payload)).ok()) {
  }
  ExpectCleanEnd(SIGTERM);
  ExpectToldOfShutdown(log);
}

TEST_F(BrokerStopTest, BusyClientsHearOfItToo) {
  EventLog log;
  auto client = ConnectLogged(&log);
  ASSERT_OK_AND_ASSIGN(auto subscription,
                       client->SubscribeRaw(
                           "load/**", [](const Message&) {}, Patient()));
  TrafficSubscriber subscriber(broker_.socket_path(), "load/**", {});
  TrafficPublisher publisher(
      {.socket_path = broker_.socket_path(), .subscribers = 2});
  publisher.Start();
  ASSERT_TRUE(WaitUntil([&] { return subscriber.received() > 10'000; }));
  ExpectCleanEnd(SIGTERM);
  ExpectToldOfShutdown(log);
  broker_.Start();
  publisher.Finish();
  EXPECT_EQ(subscriber.Finish(), "");
}

class BrokerDrainingTest : public BrokerStopTest {
 protected:
  void SetUp() override {
    broker_.AddArgument("--drain-timeout");
    broker_.AddArgument("60s");
    BrokerStopTest::SetUp();
  }
  // Waits until it takes no connections any more.
  void ExpectDraining() {
    EXPECT_TRUE(WaitUntil([&] { return !Listens(broker_.socket_path()); }));
    EXPECT_TRUE(broker_.Running());
  }
};

TEST_F(BrokerDrainingTest, WhatItHasRoutedIsConsumedAndAcknowledgedFirst) {
  constexpr size_t kMessages = 1000;
  auto writer = Connect("writer");
  ASSERT_OK_AND_ASSIGN(RawPublisher publisher, writer->AdvertiseRaw("a"));
  // Past the time after its start in which the broker acknowledges nothing.
  ASSERT_OK(publisher.Publish("before"));
  ASSERT_OK(writer->Flush(kPatience));
  ClientOptions options = Options("slow");
  options.manual_loop = true;
  auto reader = Connect(options);
  std::vector<std::string> texts;
  ASSERT_OK_AND_ASSIGN(
      auto subscription,
      reader->SubscribeRaw(
          "a",
          [&](const Message& message) { texts.emplace_back(message.text()); },
          Patient()));
  const std::string payload(8192, 'x');
  const size_t fits = 4 * 1024 * 1024 / 10'000;
  static_assert(kMessages > fits);
  for (size_t i = 0; i < fits; ++i) ASSERT_OK(publisher.Publish(payload));
  ASSERT_TRUE(WaitUntil([&] {
    const auto status = writer->Status(kPatience);
    return status.ok() && status->messages_out == fits;
  }));

  int exit_code = -1;
  std::thread end([&] { exit_code = broker_.Terminate(); });
  ASSERT_TRUE(WaitUntil([&] { return !Listens(broker_.socket_path()); }));
  EXPECT_EQ(writer->stats().connections, 1u);
  EXPECT_TRUE(writer->connected());
  ASSERT_TRUE(WaitUntil([&] {
    EXPECT_OK(reader->Process());
    return writer->stats().unacknowledged_bytes == 0;
  }));
  EXPECT_EQ(texts.size(), fits);
  end.join();
  EXPECT_EQ(exit_code, 0);
  EXPECT_EQ(writer->stats().connections, 1u);
}

TEST_F(BrokerDrainingTest, ASecondSigtermEndsItAtOnce) {
  auto reader = Connect("reader");
  auto writer = Connect("writer");
  ASSERT_OK_AND_ASSIGN(auto subscription, reader->SubscribeRaw("a", Patient()));
  ASSERT_OK_AND_ASSIGN(RawPublisher publisher, writer->AdvertiseRaw("a"));
  ASSERT_OK(publisher.Publish("not taken"));
  ASSERT_TRUE(WaitUntil([&] {
    const auto status = writer->Status(kPatience);
    return status.ok() && status->messages_out == 1;
  }));
  ASSERT_EQ(kill(broker_.pid(), SIGTERM), 0);
  ExpectDraining();
  ExpectCleanEnd(SIGTERM);
}

TEST_F(BrokerDrainingTest, WhatIsPublishedMeanwhileIsForTheNextBroker) {
  EventLog log;
  auto reader = Connect("reader");
  auto writer = ConnectLogged(&log);
  ASSERT_OK_AND_ASSIGN(auto subscription, reader->SubscribeRaw("a", Patient()));
  ASSERT_OK_AND_ASSIGN(RawPublisher publisher, writer->AdvertiseRaw("a"));
  ASSERT_OK(publisher.Publish("before"));
  ASSERT_TRUE(WaitUntil([&] {
    const auto status = writer->Status(kPatience);
    return status.ok() && status->messages_out == 1;
  }));
  int exit_code = -1;
  std::thread end([&] { exit_code = broker_.Terminate(); });
  ASSERT_TRUE(WaitUntil([&] { return !Listens(broker_.socket_path()); }));
  ASSERT_OK(publisher.Publish("meanwhile"));
  ASSERT_OK_AND_ASSIGN(const Message first, subscription.Next(kPatience));
  EXPECT_EQ(first.text(), "before");
  end.join();
  EXPECT_EQ(exit_code, 0);
  ExpectToldOfShutdown(log);
  broker_.Start();
  ASSERT_OK_AND_ASSIGN(const Message second, subscription.Next(kPatience));
  EXPECT_EQ(second.text(), "meanwhile");
  EXPECT_OK(writer->Flush(kPatience));
}

TEST_F(BrokerStopTest, TheTimeForDrainingHasALimit) {
  for (const char* timeout : {"61s", "-1s", "soon", "inf", ""}) {
    const Outcome outcome =
        RunProcess({.argv = {IPC_BROKER_BINARY, "--socket", "/nowhere/bus.sock",
                             "--drain-timeout", timeout}});
    EXPECT_EQ(outcome.exit_code, 2) << timeout;
  }
  for (const char* timeout : {"60s", "0", "250ms"}) {
    const Outcome outcome =
        RunProcess({.argv = {IPC_BROKER_BINARY, "--socket", "/nowhere/bus.sock",
                             "--drain-timeout", timeout}});
    EXPECT_EQ(outcome.exit_code, 1) << timeout;  // there is no such folder
  }
}

TEST_F(BrokerStopTest, ItGoesOnServingWithoutDescriptorsAndAcceptsAgainLater) {
  EXPECT_EQ(broker_.Terminate(), 0);
  constexpr rlim_t kDescriptorsMax = 64;
  broker_.set_descriptors_max(kDescriptorsMax);
  broker_.Start();
  auto client = Connect("client");
  Inbox inbox;
  ASSERT_OK_AND_ASSIGN(auto subscription,
                       client->SubscribeRaw("a/*", inbox.Handler(), Patient()));
  ASSERT_OK_AND_ASSIGN(RawPublisher publisher, client->AdvertiseRaw("a/b"));

  auto lost = std::make_unique<RawPeer>(broker_.socket_path());
  ASSERT_TRUE(lost->Greet("lost"));
  std::vector<RawPeer> flood;
  for (rlim_t i = 0; i < 2 * kDescriptorsMax; ++i) {
    flood.emplace_back(broker_.socket_path());
  }
  ASSERT_TRUE(
      WaitUntil([&] { return broker_.Descriptors() == kDescriptorsMax; }));
  for (int i = 0; i < 100; ++i) ASSERT_OK(publisher.Publish("served"));
  EXPECT_OK(client->Flush(kPatience));
  EXPECT_EQ(inbox.Get().size(), 100u);
  EXPECT_OK(client->Ping(kPatience));
  // A process that lives is waited for, although nothing can watch it.
  lost = nullptr;
  EXPECT_TRUE(WaitUntil([&] {
    const auto clients = client->ListClients(kPatience);
    return clients.ok() && clients->size() == 2 && !clients->back().connected;
  }));

  flood.clear();
  auto late = Connect("late");
  ASSERT_NE(late, nullptr);
  EXPECT_OK(late->Ping(kPatience));
  EXPECT_EQ(client->stats().connections, 1u);
}

}  // namespace
}  // namespace ipc::test
