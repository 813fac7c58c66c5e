// SPDX-License-Identifier: Apache-2.0
//
// A thousand clients at once, and what an idle one costs the broker. They have
// manual loops: one thread serves all of them.

#include <poll.h>
#include <sys/resource.h>

#include <memory>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "gtest/gtest.h"
#include "tests/integration/bus.h"

namespace ipc::test {
namespace {

constexpr size_t kClients = 1000;
constexpr size_t kWarmUp = 100;
// Five for each client, and a few.
constexpr size_t kDescriptors = 5 * (kWarmUp + kClients) + 100;
// What an idle connection may cost the broker: a tenth above what it does.
constexpr size_t kIdleBytesMax = 620;
constexpr size_t kSubscribedBytesMax = 900;

class ManyClientsTest : public BusTest {
 protected:
  void SetUp() override {
    rlimit limit = {};
    getrlimit(RLIMIT_NOFILE, &limit);
    if (limit.rlim_max < kDescriptors) {
      GTEST_SKIP() << "needs a limit of " << kDescriptors
                   << " descriptors; the hard limit is " << limit.rlim_max;
    }
    limit.rlim_cur = limit.rlim_max;
    setrlimit(RLIMIT_NOFILE, &limit);
    BusTest::SetUp();
  }

  std::unique_ptr<Client> ConnectManual(size_t number) {
    ClientOptions options = Options(absl::StrCat("client-", number));
    options.manual_loop = true;
    return Connect(options);
  }

  // What the broker's memory grows by for each client more with which
  // `prepare` was done.
  template <typename Prepare>
  void ExpectMemoryOfEach(size_t bytes_max, Prepare prepare) {
    if (kSanitized) GTEST_SKIP() << "memory means little with a sanitizer";
    std::vector<std::unique_ptr<Client>> clients;
    uint64_t before = 0;
    for (size_t i = 0; i < kWarmUp + kClients; ++i) {
      if (i == kWarmUp) before = broker_.MemoryBytes();
      clients.push_back(ConnectManual(i));
      ASSERT_NE(clients.back(), nullptr);
      prepare(clients.back().get(), i);
    }
    const uint64_t each = (broker_.MemoryBytes() - before) / kClients;
    RecordProperty("bytes_for_each", static_cast<int>(each));
    EXPECT_LE(each, bytes_max);
  }
};

// Turns the clients' loops until `done`; false if the time is up before.
template <typename Done>
bool Serve(const std::vector<std::unique_ptr<Client>>& clients, Done done) {
  const absl::Time deadline = absl::Now() + kPatience;
  std::vector<pollfd> fds;
  for (const auto& client : clients) fds.push_back({client->fd(), POLLIN, 0});
  while (!done()) {
    if (absl::Now() > deadline) return false;
    // Their own deadlines are a few milliseconds.
    poll(fds.data(), fds.size(), 5);
    for (const auto& client : clients) EXPECT_OK(client->Process());
  }
  return true;
}

TEST_F(ManyClientsTest, AThousandClientsConnectSubscribeAndReceive) {
  std::vector<int> received(kClients);
  std::vector<std::unique_ptr<Client>> clients;
  std::vector<RawSubscription> subscriptions;
  for (size_t i = 0; i < kClients; ++i) {
    clients.push_back(ConnectManual(i));
    ASSERT_NE(clients.back(), nullptr);
    ASSERT_OK_AND_ASSIGN(
        RawSubscription subscription,
        clients.back()->SubscribeRaw(
            "news/*", [&count = received[i]](const Message&) { ++count; },
            Patient()));
    subscriptions.push_back(std::move(subscription));
  }
  auto writer = Connect("writer");
  ASSERT_OK_AND_ASSIGN(RawPublisher publisher, writer->AdvertiseRaw("news/a"));
  EXPECT_EQ(publisher.subscribers(), kClients);
  ASSERT_OK(publisher.Publish("to all"));
  const std::vector<int> one_each(kClients, 1);
  EXPECT_TRUE(Serve(clients, [&] {
    return received == one_each && writer->stats().unacknowledged_bytes == 0;
  }));
  EXPECT_EQ(received, one_each);
  ASSERT_OK_AND_ASSIGN(const auto list, writer->ListClients(kPatience));
  EXPECT_EQ(list.size(), kClients + 1);
}

TEST_F(ManyClientsTest, AThousandClientsComeBackAfterTheBrokersDeath) {
  std::vector<std::unique_ptr<Client>> clients;
  for (size_t i = 0; i < kClients; ++i) clients.push_back(ConnectManual(i));
  broker_.Kill();
  broker_.Start();
  EXPECT_TRUE(Serve(clients, [&] {
    size_t back = 0;
    for (const auto& client : clients) {
      if (client->stats().connections == 2) ++back;
    }
    return back == kClients;
  }));
}

TEST_F(ManyClientsTest, AnIdleConnectionCostsTheBrokerLittle) {
  ExpectMemoryOfEach(kIdleBytesMax, [](Client*, size_t) {});
}

TEST_F(ManyClientsTest, AnIdleConnectionWithASubscriptionLittleMore) {
  std::vector<RawSubscription> subscriptions;
  ExpectMemoryOfEach(kSubscribedBytesMax, [&](Client* client, size_t number) {
    ASSERT_OK_AND_ASSIGN(RawSubscription subscription,
                         client->SubscribeRaw(
                             absl::StrCat("a/topic/of/its/own/", number),
                             [](const Message&) {}, Patient()));
    subscriptions.push_back(std::move(subscription));
  });
}

TEST_F(ManyClientsTest, NoDescriptorIsLeftWhenTheyAreGone) {
  auto witness = Connect("witness");
  const size_t before = broker_.Descriptors();
  std::vector<std::unique_ptr<Client>> clients;
  for (size_t i = 0; i < kClients; ++i) clients.push_back(ConnectManual(i));
  EXPECT_EQ(broker_.Descriptors(), before + kClients);
  clients.clear();
  EXPECT_TRUE(WaitUntil([&] { return broker_.Descriptors() == before; }))
      << broker_.Descriptors() << " instead of " << before;
}

}  // namespace
}  // namespace ipc::test
