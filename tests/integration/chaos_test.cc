// SPDX-License-Identifier: Apache-2.0
//
// Promises 1 to 4 in the real world: real processes under full load, a broker
// that is killed, ended and stopped several times a second, and clients that
// are stopped, killed and replaced.
//
//   CHAOS_SECONDS=60 integration_tests --gtest_filter='ChaosTest.*'
//
// runs for so long, and with CHAOS_JUDGE_TIME=1 holds the time that recovery
// takes against a limit. `./dev check chaos` does both; otherwise it is
// skipped. IPC_SEED replays the choices; what the machine makes of them is
// another matter.

#include <poll.h>
#include <signal.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <optional>
#include <random>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "gtest/gtest.h"
#include "tests/integration/bus.h"
#include "tests/integration/chaos_check.h"
#include "tests/integration/chaos_clients.h"
#include "tests/support/deadline.h"
#include "tests/support/seed.h"

namespace ipc::test {
namespace {

constexpr absl::Duration kRecoveryMax = absl::Milliseconds(100);
// A calm is long enough for newcomers: a broker that follows another one
// confirms nothing new in its first second.
constexpr absl::Duration kCalm = absl::Milliseconds(1500);
constexpr int kBrokerFaultsForACalm = 6;
// Long enough for those who are waited for: a publisher that is new when a
// broker has just followed another one runs on its window for 5 seconds.
constexpr absl::Duration kLongCalm = absl::Seconds(6);
constexpr int kBrokerFaultsForALongCalm = 4 * kBrokerFaultsForACalm;
constexpr absl::Duration kBetweenLooks = absl::Milliseconds(50);
// Of the broker's ends that take a client with them.
constexpr uint64_t kBothPercent = 10;

// None: the environment does not say.
std::optional<int64_t> SecondsAsked() {
  const char* text = std::getenv("CHAOS_SECONDS");
  int64_t seconds = 0;
  if (text == nullptr) return std::nullopt;
  if (!absl::SimpleAtoi(text, &seconds) || seconds < 1) {
    std::fprintf(stderr, "CHAOS_SECONDS=%s is not a number\n", text);
    std::exit(2);
  }
  return seconds;
}

class ChaosTest : public BusTest {
 protected:
  // Until then nothing but time has to pass: it is the chaos.
  static void PassTime(absl::Time until) {
    const int64_t rest = absl::ToInt64Milliseconds(until - absl::Now());
    if (rest > 0) poll(nullptr, 0, static_cast<int>(rest));
  }
  absl::Duration Random(int64_t milliseconds_min, int64_t milliseconds_max) {
    return absl::Milliseconds(std::uniform_int_distribution<int64_t>(
        milliseconds_min, milliseconds_max)(random_));
  }
  bool Chance(uint64_t percent) { return random_() % 100 < percent; }

  void RunFor(absl::Duration duration);
  void DisturbTheBroker();
  void LookAtMemory();
  void RestartTheBroker(int signal);
  void Settle();
  void Judge();
  // From the return of a broker to the first message, sorted.
  std::vector<absl::Duration> Recoveries() const;

  std::mt19937_64 random_{Seed()};
  ChaosClients clients_{broker_.socket_path(), &random_};
  std::optional<absl::Time> broker_resumes_;
  int broker_faults_ = 0;
  std::vector<BrokerReturn> returns_;
  absl::Time next_look_ = absl::InfinitePast();
  uint64_t memory_max_ = 0;
};

void ChaosTest::RestartTheBroker(int signal) {
  if (signal == SIGKILL) {
    broker_.Kill();
  } else {
    EXPECT_EQ(broker_.Terminate(signal), 0);
  }
  const absl::Time ended = absl::Now();
  if (Chance(kBothPercent)) clients_.KillOne();
  if (Chance(50)) PassTime(absl::Now() + Random(1, 100));
  BrokerReturn back;
  back.started = absl::Now();
  broker_.Start();
  back.accepts = absl::Now();
  if (!returns_.empty()) returns_.back().ended = ended;
  returns_.push_back(back);
}

void ChaosTest::DisturbTheBroker() {
  ++broker_faults_;
  const uint64_t choice = random_() % 4;
  if (choice == 0) {
    kill(broker_.pid(), SIGSTOP);
    broker_resumes_ = absl::Now() + Random(10, 300);
  } else {
    RestartTheBroker(choice == 1 ? SIGTERM : SIGKILL);
  }
}

void ChaosTest::LookAtMemory() {
  if (absl::Now() < next_look_ || !broker_.Running()) return;
  next_look_ = absl::Now() + kBetweenLooks;
  memory_max_ = std::max(memory_max_, broker_.MemoryBytes());
  if (!kSanitized) {
    EXPECT_LT(memory_max_, ChaosClients::BrokerBytesMax());
  }
}

void ChaosTest::RunFor(absl::Duration duration) {
  const absl::Time end = absl::Now() + duration;
  absl::Time next_fault = absl::Now() + Random(200, 800);
  while (absl::Now() < end && !HasFailure()) {
    clients_.Turn();
    LookAtMemory();
    if (broker_resumes_ && absl::Now() >= *broker_resumes_) {
      kill(broker_.pid(), SIGCONT);
      broker_resumes_.reset();
    }
    if (!broker_resumes_ && absl::Now() >= next_fault) {
      DisturbTheBroker();
      next_fault = absl::Now() + Random(200, 800);
      if (broker_faults_ % kBrokerFaultsForALongCalm == 0) {
        next_fault += kLongCalm;
      } else if (broker_faults_ % kBrokerFaultsForACalm == 0) {
        next_fault += kCalm;
      }
    }
    PassTime(absl::Now() + absl::Milliseconds(2));
  }
}

void ChaosTest::Settle() {
  if (broker_resumes_) kill(broker_.pid(), SIGCONT);
  clients_.Settle(returns_.empty() ? absl::InfinitePast()
                                   : returns_.back().started);
}

void ChaosTest::Judge() {
  ChaosCount count;
  const auto publishers = clients_.Publishers();
  uint64_t accepted = 0;
  for (const auto& [number, publisher] : publishers) {
    accepted += publisher.book->accepted(0) + publisher.book->accepted(1);
  }
  for (const SubscriberLife& subscriber : clients_.Subscribers()) {
    for (const std::string& complaint :
         CheckChaos(publishers, subscriber, &count)) {
      ADD_FAILURE() << complaint;
    }
  }
  std::fprintf(
      stderr,
      "%d faults of the broker, %zu of them restarts; clients "
      "stopped %d times, killed %d times\n"
      "%llu messages accepted, %llu handed over, %llu told missing "
      "by %llu gaps; the broker's memory at most %llu of %llu MiB\n",
      broker_faults_, returns_.size(), clients_.stops(), clients_.kills(),
      static_cast<unsigned long long>(accepted),
      static_cast<unsigned long long>(count.messages),
      static_cast<unsigned long long>(count.missing),
      static_cast<unsigned long long>(count.gaps),
      static_cast<unsigned long long>(memory_max_ >> 20),
      static_cast<unsigned long long>(ChaosClients::BrokerBytesMax() >> 20));
}

std::vector<absl::Duration> ChaosTest::Recoveries() const {
  std::vector<absl::Duration> recoveries = clients_.Recoveries(returns_);
  std::sort(recoveries.begin(), recoveries.end());
  return recoveries;
}

TEST_F(ChaosTest, NothingIsLostUntoldWhateverIsKilledOrStopped) {
  SCOPED_TRACE(SeedNote());
  const std::optional<int64_t> asked = SecondsAsked();
  if (!asked.has_value()) GTEST_SKIP() << "./dev check chaos runs it";
  clients_.Start();
  if (HasFailure()) return;
  RunFor(absl::Seconds(*asked));
  Settle();
  Judge();
  const std::vector<absl::Duration> recoveries = Recoveries();
  if (recoveries.empty()) return;
  const auto percentile = [&recoveries](size_t percent) {
    return recoveries[(recoveries.size() - 1) * percent / 100];
  };
  std::fprintf(stderr,
               "from the broker's return to the first message, %zu times: "
               "p50 %s, p90 %s, p99 %s, max %s\n",
               recoveries.size(), absl::FormatDuration(percentile(50)).c_str(),
               absl::FormatDuration(percentile(90)).c_str(),
               absl::FormatDuration(percentile(99)).c_str(),
               absl::FormatDuration(recoveries.back()).c_str());
  if (std::getenv("CHAOS_JUDGE_TIME") != nullptr) {
    EXPECT_LT(percentile(99), kRecoveryMax);
  }
}

}  // namespace
}  // namespace ipc::test
