// SPDX-License-Identifier: Apache-2.0
//
// Clients that start before the broker.

#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cstdlib>
#include <memory>
#include <string>
#include <thread>

#include "absl/time/clock.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/integration/bus.h"

namespace ipc::test {
namespace {

using testing::HasSubstr;

class AbsentBrokerTest : public BusTest {
 protected:
  void SetUp() override {}  // the tests start it

  ClientOptions OptionsIfAbsent(IfBrokerAbsent if_absent) const {
    ClientOptions options = Options("early");
    options.if_broker_absent = if_absent;
    return options;
  }
};

TEST_F(AbsentBrokerTest, AClientThatShallFailSaysAtOnceWhichPathIsSilent) {
  const absl::Time start = absl::Now();
  const auto client = Client::Connect(OptionsIfAbsent(IfBrokerAbsent::kFail));
  EXPECT_LT(absl::Now() - start, kPatience / 2);  // not the connect_timeout
  ASSERT_CODE(kUnavailable, client);
  EXPECT_THAT(std::string(client.status().message()),
              HasSubstr(broker_.socket_path()));
}

TEST_F(AbsentBrokerTest, AStaleSocketIsAnAbsentBroker) {
  broker_.Start();
  broker_.Kill();
  const auto client = Client::Connect(OptionsIfAbsent(IfBrokerAbsent::kFail));
  EXPECT_CODE(kUnavailable, client);
}

TEST_F(AbsentBrokerTest, AClientWaitsNoLongerThanItWasTold) {
  ClientOptions options = OptionsIfAbsent(IfBrokerAbsent::kWait);
  options.connect_timeout = absl::Milliseconds(50);
  const auto client = Client::Connect(options);
  ASSERT_CODE(kDeadlineExceeded, client);
  EXPECT_THAT(std::string(client.status().message()),
              HasSubstr(broker_.socket_path()));
}

// Whoever listens there is no broker, or one that has come to a standstill.
TEST_F(AbsentBrokerTest, AClientWaitsNoLongerForAnAnswerEither) {
  sockaddr_un address = {};
  address.sun_family = AF_UNIX;
  broker_.socket_path().copy(address.sun_path, sizeof(address.sun_path) - 1);
  const int listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  ASSERT_EQ(bind(listener, reinterpret_cast<const sockaddr*>(&address),
                 sizeof(address)),
            0);
  ASSERT_EQ(listen(listener, 8), 0);
  ClientOptions options = OptionsIfAbsent(IfBrokerAbsent::kWait);
  options.connect_timeout = absl::Milliseconds(50);
  const auto client = Client::Connect(options);
  ASSERT_CODE(kDeadlineExceeded, client);
  EXPECT_THAT(std::string(client.status().message()),
              HasSubstr(broker_.socket_path()));
  close(listener);
}

TEST_F(AbsentBrokerTest, AClientWaitsForTheBroker) {
  absl::StatusOr<std::unique_ptr<Client>> client =
      absl::UnknownError("not yet");
  std::thread waiting([&] {
    client = Client::Connect(OptionsIfAbsent(IfBrokerAbsent::kWait));
  });
  broker_.Start();
  waiting.join();
  ASSERT_OK(client);
  EXPECT_TRUE((*client)->connected());
  EXPECT_OK((*client)->Ping(kPatience));
}

TEST_F(AbsentBrokerTest, TheFolderOfTheSocketMayBeMissingToo) {
  ClientOptions options = OptionsIfAbsent(IfBrokerAbsent::kFail);
  options.socket_path = broker_.folder().File("none/bus.sock");
  EXPECT_CODE(kUnavailable, Client::Connect(options));
}

TEST_F(AbsentBrokerTest, WhatIsPublishedAndSubscribedEarlyTakesEffectLater) {
  EventLog log;
  ClientOptions options = OptionsIfAbsent(IfBrokerAbsent::kLater);
  options.on_event = log.Handler();
  auto client = Connect(options);
  ASSERT_NE(client, nullptr);
  EXPECT_FALSE(client->connected());
  EXPECT_CODE(kUnavailable, client->broker());
  EXPECT_CODE(kUnavailable, client->Ping(kPatience));
  EXPECT_CODE(kUnavailable, client->ListTopics(kPatience));

  Inbox inbox;
  SubscribeOptions at_once;
  at_once.confirm_timeout = absl::ZeroDuration();
  ASSERT_OK_AND_ASSIGN(auto subscription,
                       client->SubscribeRaw("a/*", inbox.Handler(), at_once));
  ASSERT_OK_AND_ASSIGN(RawPublisher publisher, client->AdvertiseRaw("a/b"));
  ASSERT_OK(publisher.Publish("one"));
  ASSERT_OK(publisher.Publish("two"));
  EXPECT_CODE(kDeadlineExceeded, client->Flush(absl::Milliseconds(10)));

  broker_.Start();
  EXPECT_TRUE(log.WaitFor(Event::Kind::kConnected));
  EXPECT_OK(client->Flush(kPatience));
  EXPECT_EQ(client->stats().unacknowledged_bytes, 0u);
  // What was accepted before the broker heard of the subscription may be its
  // or not.
  EXPECT_OK(publisher.WaitForSubscribers(1, kPatience));
  ASSERT_OK(publisher.Publish("three"));
  EXPECT_OK(client->Flush(kPatience));
  ASSERT_FALSE(inbox.Get().empty());
  EXPECT_EQ(inbox.Texts().back(), "three");
  EXPECT_EQ(client->stats().connections, 1u);
}

TEST_F(AbsentBrokerTest, ASubscribeThatIsNotConfirmedInTimeSubscribesNothing) {
  auto client = Connect(OptionsIfAbsent(IfBrokerAbsent::kLater));
  Inbox inbox;
  SubscribeOptions impatient;
  impatient.confirm_timeout = absl::Milliseconds(20);
  EXPECT_CODE(kDeadlineExceeded,
              client->SubscribeRaw("a/*", inbox.Handler(), impatient));
  broker_.Start();
  ASSERT_TRUE(WaitUntil([&] { return client->connected(); }));
  ASSERT_OK_AND_ASSIGN(RawPublisher publisher, client->AdvertiseRaw("a/b"));
  EXPECT_EQ(publisher.subscribers(), 0u);
  ASSERT_OK(publisher.Publish("nobody hears it"));
  EXPECT_OK(client->Flush(kPatience));
  EXPECT_TRUE(inbox.Get().empty());
}

TEST_F(AbsentBrokerTest, ABadTopicOfAnEarlyClientIsRefusedWithoutABroker) {
  auto client = Connect(OptionsIfAbsent(IfBrokerAbsent::kLater));
  EXPECT_CODE(kInvalidArgument, client->AdvertiseRaw("a//b"));
  EXPECT_CODE(kInvalidArgument, client->AdvertiseRaw("a/*"));
  EXPECT_CODE(kInvalidArgument, client->AdvertiseRaw("$ipc/x"));
  EXPECT_CODE(kInvalidArgument, client->SubscribeRaw("", Patient()));
}

TEST_F(AbsentBrokerTest, BadOptionsAreRefused) {
  ClientOptions options = OptionsIfAbsent(IfBrokerAbsent::kLater);
  options.name = "with a blank";
  EXPECT_CODE(kInvalidArgument, Client::Connect(options));
  options.name = std::string(65, 'n');
  EXPECT_CODE(kInvalidArgument, Client::Connect(options));
  options.name = "good";
  options.window_bytes = (size_t{128} << 10) - 1;
  EXPECT_CODE(kInvalidArgument, Client::Connect(options));
  options.window_bytes = (size_t{1} << 30) + 1;
  EXPECT_CODE(kInvalidArgument, Client::Connect(options));
  options.window_bytes = size_t{128} << 10;
  options.socket_path = "/tmp/" + std::string(200, 'p');
  EXPECT_CODE(kInvalidArgument, Client::Connect(options));
}

TEST_F(AbsentBrokerTest, TheEnvironmentNamesTheSocketOfAClientThatNamesNone) {
  broker_.Start();
  ASSERT_EQ(setenv("IPC_SOCKET", broker_.socket_path().c_str(), 1), 0);
  EXPECT_EQ(DefaultSocketPath(), broker_.socket_path());
  ClientOptions options = OptionsIfAbsent(IfBrokerAbsent::kFail);
  options.socket_path = "";
  EXPECT_OK(Client::Connect(options));
  ASSERT_EQ(unsetenv("IPC_SOCKET"), 0);
  ASSERT_EQ(setenv("XDG_RUNTIME_DIR", "/run/user/7", 1), 0);
  EXPECT_EQ(DefaultSocketPath(), "/run/user/7/ipc/bus.sock");
  ASSERT_EQ(unsetenv("XDG_RUNTIME_DIR"), 0);
  EXPECT_EQ(DefaultSocketPath(), "/run/ipc/bus.sock");
}

}  // namespace
}  // namespace ipc::test
