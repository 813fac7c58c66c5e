// SPDX-License-Identifier: Apache-2.0
//
// See chaos_clients.h.

#include "tests/integration/chaos_clients.h"

#include <signal.h>

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "gtest/gtest.h"
#include "ipc/client.h"
#include "libipc/base/limits.h"
#include "tests/support/deadline.h"

namespace ipc::test {
namespace {

// Each half of the clients of a kind is mortal.
constexpr int kPublishers = 4;
constexpr int kReliable = 4;
constexpr int kBestEffort = 2;
constexpr const char* kBestEffortDepth = "2000";
constexpr uint64_t kLargestMessageBytes = uint64_t{300} << 10;
constexpr uint64_t kKillPercent = 30;
// For so long best effort may take to hand over what still waits for it.
constexpr absl::Duration kEndsAgain = absl::Milliseconds(200);

}  // namespace

absl::Duration ChaosClients::Random(int64_t milliseconds_min,
                                    int64_t milliseconds_max) {
  return absl::Milliseconds(std::uniform_int_distribution<int64_t>(
      milliseconds_min, milliseconds_max)(random_));
}

absl::Time ChaosClients::NextFault(Role role) {
  return absl::Now() +
         (role == Role::kSluggard ? Random(50, 300) : Random(1500, 8000));
}

void ChaosClients::StartOne(Role role, bool mortal) {
  const auto number = static_cast<uint32_t>(clients_.size());
  const std::string book = folder_.File(absl::StrCat(number));
  ChaosClient& client = clients_.emplace_back(book);
  client.role = role;
  client.mortal = mortal;
  client.number = number;
  ProcessOptions options;
  options.keep_input = true;
  if (role == Role::kPublisher) {
    options.argv = {absl::StrCat(IPC_TEST_BIN_DIR, "/chaos_publisher"),
                    socket_path_, absl::StrCat(number), absl::StrCat(random_()),
                    book};
  } else {
    options.argv = {
        absl::StrCat(IPC_TEST_BIN_DIR, "/chaos_subscriber"), socket_path_,
        role == Role::kReliable ? "reliable" : kBestEffortDepth, book};
  }
  client.process.emplace(options);
  client.next_fault = NextFault(role);
}

uint64_t ChaosClients::BrokerBytesMax() {
  // The program, its read buffer, and what the heap does not give back.
  constexpr uint64_t kItself = uint64_t{32} << 20;
  // The largest message that is begun goes on into a full queue, and each
  // publisher may resend one to a reader whose queue is full.
  constexpr uint64_t kBeyond = (kPublishers + 1) * kLargestMessageBytes;
  return kItself + kReliable * (kReliableQueueBytesMax + kBeyond) +
         (kBestEffort + 1) * (BestEffort{}.bytes + kBeyond);
}

void ChaosClients::Start() {
  for (int i = 0; i < kReliable; ++i) StartOne(Role::kReliable, i % 2 == 1);
  for (int i = 0; i < kBestEffort; ++i) StartOne(Role::kBestEffort, i % 2 == 1);
  StartOne(Role::kSluggard, false);
  for (ChaosClient& client : clients_) AwaitReady(&client, kPatience);
  for (int i = 0; i < kPublishers; ++i) StartOne(Role::kPublisher, i % 2 == 1);
}

void ChaosClients::AwaitReady(ChaosClient* client, absl::Duration timeout) {
  if (client->role == Role::kPublisher || client->confirmed) return;
  const std::optional<std::string> line = client->process->ReadLine(timeout);
  if (!line && timeout == absl::ZeroDuration()) return;
  EXPECT_EQ(line, "ready") << client->process->err();
  // Looked up behind the confirmation: what is begun after this is accepted
  // after it.
  client->confirmed.emplace();
  for (const ChaosClient& other : clients_) {
    if (other.role != Role::kPublisher) continue;
    (*client->confirmed)[other.number] = {other.book.begun(0),
                                          other.book.begun(1)};
  }
}

void ChaosClients::Stop(ChaosClient* client) {
  client->stopped = absl::Now();
  client->process->Pause();
  // Well below the time for which the bus waits for somebody who is lost,
  // and below the second for which a subscription waits for a publisher.
  client->resumes =
      absl::Now() +
      (client->role == Role::kSluggard ? Random(1000, 4000) : Random(20, 500));
  ++stops_;
}

void ChaosClients::Continue(ChaosClient* client) {
  client->process->Continue();
  client->resumes.reset();
  client->next_fault = NextFault(client->role);
  if (client->role != Role::kSluggard) {
    disturbances_.push_back({client->stopped, absl::Now()});
  }
}

void ChaosClients::Kill(ChaosClient* client) {
  client->process->Signal(SIGKILL);
  EXPECT_EQ(client->process->Wait(), -SIGKILL);
  client->alive = false;
  ++kills_;
  StartOne(client->role, client->mortal);
}

void ChaosClients::KillOne() {
  std::vector<ChaosClient*> mortals;
  for (ChaosClient& client : clients_) {
    if (client.alive && client.mortal && !client.resumes) {
      mortals.push_back(&client);
    }
  }
  if (!mortals.empty()) Kill(mortals[random_() % mortals.size()]);
}

void ChaosClients::Disturb(ChaosClient* client) {
  if (client->mortal && random_() % 100 < kKillPercent) {
    Kill(client);
  } else {
    Stop(client);
  }
}

void ChaosClients::Turn() {
  // Kill adds clients at the end.
  for (size_t i = 0; i < clients_.size(); ++i) {
    ChaosClient& client = clients_[i];
    if (!client.alive) continue;
    if (!client.process->Running()) {
      client.alive = false;
      ADD_FAILURE() << "client " << client.number
                    << " ended by itself: " << client.process->Wait() << ", "
                    << client.process->err();
      return;
    }
    AwaitReady(&client, absl::ZeroDuration());
    if (client.resumes) {
      if (absl::Now() >= *client.resumes) Continue(&client);
    } else if (absl::Now() >= client.next_fault) {
      Disturb(&client);
    }
  }
}

bool ChaosClients::IsBack(const ChaosClient& subscriber,
                          absl::Time broker_started) const {
  for (const ChaosEntry& entry : subscriber.book.entries()) {
    if (entry.kind == ChaosEntry::Kind::kBack &&
        absl::FromUnixNanos(static_cast<int64_t>(entry.first)) >=
            broker_started) {
      return true;
    }
  }
  return false;
}

bool ChaosClients::HasAll(const ChaosClient& subscriber) const {
  for (const ChaosClient& client : clients_) {
    if (client.role != Role::kPublisher || !client.alive) continue;
    for (uint32_t topic = 0; topic < kChaosTopics; ++topic) {
      if (LastOf(subscriber.book, client.number, topic) !=
          client.book.accepted(topic)) {
        return false;
      }
    }
  }
  return true;
}

void ChaosClients::Settle(absl::Time broker_started) {
  for (ChaosClient& client : clients_) {
    if (client.alive && client.resumes) Continue(&client);
  }
  for (ChaosClient& client : clients_) {
    if (!client.alive || client.role == Role::kPublisher) continue;
    AwaitReady(&client, kPatience);
    EXPECT_TRUE(WaitUntil([&] { return IsBack(client, broker_started); }))
        << client.number << " has not come back";
  }
  const auto all_have_all = [this] {
    return std::all_of(
        clients_.begin(), clients_.end(), [this](const ChaosClient& client) {
          return !client.alive || client.role == Role::kPublisher ||
                 HasAll(client);
        });
  };
  const absl::Time end = absl::Now() + kPatience;
  do {
    PublishEnds();
  } while (!WaitUntil(all_have_all, kEndsAgain) && absl::Now() < end);
  // The judge tells exactly what is missing.
  EXPECT_TRUE(all_have_all());
  for (ChaosClient& client : clients_) {
    if (!client.alive || client.role == Role::kPublisher) continue;
    client.process->CloseInput();
    EXPECT_EQ(client.process->Wait(), 0) << client.process->err();
  }
}

void ChaosClients::PublishEnds() {
  for (ChaosClient& client : clients_) {
    if (client.alive && client.role == Role::kPublisher) {
      client.process->WriteLine("end");
    }
  }
  for (ChaosClient& client : clients_) {
    if (!client.alive || client.role != Role::kPublisher) continue;
    EXPECT_EQ(client.process->ReadLine(), "done") << client.process->err();
  }
}

std::map<uint32_t, PublisherLife> ChaosClients::Publishers() const {
  std::map<uint32_t, PublisherLife> lives;
  for (const ChaosClient& client : clients_) {
    if (client.role != Role::kPublisher) continue;
    lives[client.number] = {.book = &client.book, .lived = client.alive};
  }
  return lives;
}

std::vector<SubscriberLife> ChaosClients::Subscribers() const {
  std::vector<SubscriberLife> lives;
  for (const ChaosClient& client : clients_) {
    if (client.role == Role::kPublisher) continue;
    const bool reliable = client.role == Role::kReliable;
    lives.push_back(
        {.name = absl::StrCat(reliable ? "reliable " : "best effort ",
                              client.number),
         .book = &client.book,
         .reliable = reliable,
         .lived = client.alive,
         .confirmed = client.confirmed});
  }
  return lives;
}

bool ChaosClients::IsDisturbed(absl::Time from, absl::Time to) const {
  for (const Disturbance& disturbance : disturbances_) {
    if (disturbance.from < to && from < disturbance.to) return true;
  }
  return false;
}

std::vector<absl::Duration> ChaosClients::Recoveries(
    const std::vector<BrokerReturn>& returns) const {
  std::vector<absl::Duration> recoveries;
  for (const ChaosClient& client : clients_) {
    if (client.role != Role::kReliable || client.mortal) continue;
    for (const BrokerReturn& back : returns) {
      absl::Time first = back.ended;
      for (const ChaosEntry& entry : client.book.entries()) {
        if (entry.kind != ChaosEntry::Kind::kBack) continue;
        const absl::Time connected =
            absl::FromUnixNanos(static_cast<int64_t>(entry.first));
        if (connected < back.started || connected > first) continue;
        first = absl::FromUnixNanos(static_cast<int64_t>(entry.last));
        break;
      }
      if (first == absl::InfiniteFuture()) continue;
      if (IsDisturbed(back.started, first)) continue;
      recoveries.push_back(
          std::max(absl::ZeroDuration(), first - back.accepts));
    }
  }
  return recoveries;
}

}  // namespace ipc::test
