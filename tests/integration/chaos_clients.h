// SPDX-License-Identifier: Apache-2.0
//
// The clients of the chaos test, and what is done to them: 4 publishers at full
// speed, 4 reliable and 2 best effort subscribers, and 1 best effort subscriber
// that stands still most of the time. Half of each kind is mortal: killed now
// and then, and replaced by a new one.

#ifndef IPC_TESTS_INTEGRATION_CHAOS_CLIENTS_H_
#define IPC_TESTS_INTEGRATION_CHAOS_CLIENTS_H_

#include <cstdint>
#include <deque>
#include <map>
#include <optional>
#include <random>
#include <string>
#include <vector>

#include "absl/time/time.h"
#include "tests/integration/chaos_check.h"
#include "tests/support/chaos_book.h"
#include "tests/support/process.h"
#include "tests/support/temp_dir.h"

namespace ipc::test {

struct BrokerReturn {
  absl::Time started;
  absl::Time accepts;  // seen to
  absl::Time ended = absl::InfiniteFuture();
};

// For one thread. What goes wrong fails the test.
class ChaosClients {
 public:
  ChaosClients(const std::string& socket_path, std::mt19937_64* random)
      : socket_path_(socket_path), random_(*random) {}

  // Starts all and waits until the subscribers are subscribed.
  void Start();
  // Does what is due: stops, continues, kills and replaces.
  void Turn();
  // Kills a mortal client, whichever.
  void KillOne();
  // Ends the chaos, in which the last broker was started at `broker_started`:
  // waits until all have found it, the publishers' last messages are
  // acknowledged and best effort has come to its end, too. If it has lost the
  // end, nobody tells it before there is one more message; so there is.
  void Settle(absl::Time broker_started);

  // -- Behind Settle
  std::map<uint32_t, PublisherLife> Publishers() const;
  std::vector<SubscriberLife> Subscribers() const;
  // How long each reliable subscriber waited for its first message when a
  // broker had come back, while no client was stopped or missing.
  std::vector<absl::Duration> Recoveries(
      const std::vector<BrokerReturn>& returns) const;
  // What the broker may hold for all of them together, itself included.
  static uint64_t BrokerBytesMax();
  int stops() const { return stops_; }
  int kills() const { return kills_; }

 private:
  enum class Role { kPublisher, kReliable, kBestEffort, kSluggard };

  struct ChaosClient {
    explicit ChaosClient(const std::string& book_path) : book(book_path) {}

    Role role = Role::kPublisher;
    bool mortal = false;
    uint32_t number = 0;
    ChaosBook book;
    std::optional<Process> process = {};
    bool alive = true;
    std::optional<SubscriberLife::Places> confirmed = {};
    absl::Time next_fault = absl::InfinitePast();
    absl::Time stopped = absl::InfinitePast();
    std::optional<absl::Time> resumes = {};  // it is stopped
  };
  // Nothing can be said of a recovery that it overlaps.
  struct Disturbance {
    absl::Time from;
    absl::Time to;
  };

  void StartOne(Role role, bool mortal);
  void AwaitReady(ChaosClient* client, absl::Duration timeout);
  void Stop(ChaosClient* client);
  void Continue(ChaosClient* client);
  void Kill(ChaosClient* client);
  void Disturb(ChaosClient* client);
  absl::Duration Random(int64_t milliseconds_min, int64_t milliseconds_max);
  absl::Time NextFault(Role role);
  bool IsBack(const ChaosClient& subscriber, absl::Time broker_started) const;
  bool HasAll(const ChaosClient& subscriber) const;
  void PublishEnds();
  bool IsDisturbed(absl::Time from, absl::Time to) const;

  const std::string& socket_path_;
  std::mt19937_64& random_;
  TempDir folder_;
  std::deque<ChaosClient> clients_;  // those that have died, too
  std::vector<Disturbance> disturbances_;
  int stops_ = 0;
  int kills_ = 0;
};

}  // namespace ipc::test

#endif  // IPC_TESTS_INTEGRATION_CHAOS_CLIENTS_H_
