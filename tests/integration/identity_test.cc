// SPDX-License-Identifier: Apache-2.0
//
// Promise 7: who publishes is what the kernel says, and who may not connect is
// told so.

#include <sys/stat.h>
#include <unistd.h>

#include <string>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/integration/bus.h"
#include "tests/integration/helper_process.h"
#include "tests/support/process.h"

namespace ipc::test {
namespace {

using testing::HasSubstr;

constexpr uid_t kOwner = 65533;
constexpr uid_t kStranger = 65534;

class IdentityTest : public BusTest {
 protected:
  // Lets everybody reach the socket, so that it is the broker that decides.
  void OpenTheDoors() {
    ASSERT_EQ(chmod(broker_.folder().path().c_str(), 0755), 0);
    ASSERT_EQ(chmod(broker_.socket_path().c_str(), 0666), 0);
  }
  // The code of what Connect returns to another user.
  absl::StatusCode ConnectAs(uid_t uid) {
    ClientOptions options = Options("other");
    options.if_broker_absent = IfBrokerAbsent::kFail;
    return static_cast<absl::StatusCode>(RunAs(uid, [&options] {
      return static_cast<int>(Client::Connect(options).status().code());
    }));
  }
};

TEST_F(IdentityTest, AMessageNamesItsPublisherAsTheKernelKnowsIt) {
  auto client = Connect("witness");
  Inbox inbox;
  ASSERT_OK_AND_ASSIGN(auto subscription,
                       client->SubscribeRaw("**", inbox.Handler(), Patient()));
  ASSERT_OK_AND_ASSIGN(RawPublisher publisher, client->AdvertiseRaw("a/b"));
  ASSERT_OK(publisher.Publish("from here"));
  Process other = StartPublisher(broker_.socket_path(), 7, 1);
  EXPECT_EQ(other.Wait(), 0);
  ASSERT_TRUE(inbox.WaitFor(2));
  const std::vector<Message> messages = inbox.Get();
  const PublisherInfo& here = messages[0].publisher();
  EXPECT_EQ(here.name, "witness");
  EXPECT_EQ(here.pid, getpid());
  EXPECT_EQ(here.uid, geteuid());
  EXPECT_EQ(here.gid, getegid());
  EXPECT_EQ(messages[0].topic(), "a/b");
  const PublisherInfo& there = messages[1].publisher();
  EXPECT_EQ(there.name, "bus_publisher");
  EXPECT_EQ(there.pid, other.pid());
  EXPECT_EQ(there.uid, geteuid());
  EXPECT_EQ(messages[1].topic(), "load/7");
  EXPECT_THAT(here.session, testing::MatchesRegex("[0-9a-f]{32}"));
  EXPECT_NE(here.session, there.session);
}

TEST_F(IdentityTest, APublisherKeepsItsSessionOverARestart) {
  auto reader = Connect("reader");
  auto writer = Connect("writer");
  Inbox inbox;
  ASSERT_OK_AND_ASSIGN(auto subscription,
                       reader->SubscribeRaw("**", inbox.Handler(), Patient()));
  ASSERT_OK_AND_ASSIGN(RawPublisher publisher, writer->AdvertiseRaw("a/b"));
  ASSERT_OK(publisher.Publish("before"));
  ASSERT_OK(writer->Flush(kPatience));
  broker_.Kill();
  broker_.Start();
  ASSERT_OK(publisher.Publish("after"));
  ASSERT_OK(writer->Flush(kPatience));
  const std::vector<Message> messages = inbox.Get();
  ASSERT_EQ(messages.size(), 2u);
  EXPECT_EQ(messages[0].publisher().session, messages[1].publisher().session);
  EXPECT_EQ(messages[0].sequence() + 1, messages[1].sequence());
}

TEST_F(IdentityTest, AnotherUserCannotReachTheSocket) {
  if (geteuid() != 0) GTEST_SKIP() << "only root can become another user";
  ASSERT_EQ(chmod(broker_.folder().path().c_str(), 0755), 0);
  EXPECT_EQ(ConnectAs(kStranger), absl::StatusCode::kPermissionDenied);
}

TEST_F(IdentityTest, TheBrokerItselfRefusesAnotherUser) {
  if (geteuid() != 0) GTEST_SKIP() << "only root can become another user";
  OpenTheDoors();
  EXPECT_EQ(ConnectAs(kStranger), absl::StatusCode::kPermissionDenied);
  EXPECT_THAT(broker_.log(), HasSubstr("uid 65534"));
  auto own = Connect("own");
  ASSERT_OK_AND_ASSIGN(const BrokerStatus status, own->Status(kPatience));
  EXPECT_GE(status.refused, 1u);  // it tries again
  ASSERT_FALSE(status.recent.empty());
  const EndedConnection& refused = status.recent.back();
  EXPECT_EQ(refused.reason, CloseReason::kNotAllowed);
  EXPECT_EQ(refused.uid, kStranger);
}

TEST_F(IdentityTest, AUsersBrokerServesThatUserAndRootAlone) {
  if (geteuid() != 0) GTEST_SKIP() << "only root can become another user";
  EXPECT_EQ(broker_.Terminate(), 0);
  broker_.set_uid(kOwner);
  broker_.Start();
  OpenTheDoors();
  EXPECT_EQ(ConnectAs(kOwner), absl::StatusCode::kOk);
  EXPECT_EQ(ConnectAs(kStranger), absl::StatusCode::kPermissionDenied);
  EXPECT_EQ(ConnectAs(0), absl::StatusCode::kOk);
}

TEST_F(IdentityTest, TheListOfClientsNamesThemToo) {
  auto client = Connect("first");
  auto second = Connect("second");
  ASSERT_OK_AND_ASSIGN(auto subscription,
                       second->SubscribeRaw("x/*", Patient()));
  ASSERT_OK_AND_ASSIGN(RawPublisher publisher, client->AdvertiseRaw("x/y"));
  ASSERT_OK(publisher.Publish("payload"));
  ASSERT_OK(subscription.Next(kPatience));
  ASSERT_OK_AND_ASSIGN(const auto clients, client->ListClients(kPatience));
  ASSERT_EQ(clients.size(), 2u);
  EXPECT_EQ(clients[0].name, "first");
  EXPECT_EQ(clients[0].publications, 1u);
  EXPECT_EQ(clients[0].subscriptions, 0u);
  EXPECT_EQ(clients[0].messages_in, 1u);
  EXPECT_EQ(clients[1].name, "second");
  EXPECT_EQ(clients[1].subscriptions, 1u);
  EXPECT_EQ(clients[1].messages_out, 1u);
  for (const ClientInfo& info : clients) {
    EXPECT_EQ(info.pid, getpid());
    EXPECT_EQ(info.uid, geteuid());
    EXPECT_EQ(info.gid, getegid());
    EXPECT_TRUE(info.connected);
  }
  ASSERT_OK_AND_ASSIGN(const auto topics, client->ListTopics(kPatience));
  ASSERT_EQ(topics.size(), 1u);
  EXPECT_EQ(topics[0].topic, "x/y");
  EXPECT_EQ(topics[0].type_name, "");
  EXPECT_EQ(topics[0].publishers, 1u);
  EXPECT_EQ(topics[0].subscriptions, 1u);
  EXPECT_EQ(topics[0].messages, 1u);
  EXPECT_EQ(topics[0].bytes, 7u);
}

}  // namespace
}  // namespace ipc::test
