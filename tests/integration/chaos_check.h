// SPDX-License-Identifier: Apache-2.0
//
// The judge of the chaos test: compares what publishers and subscribers wrote
// down with what GUARANTEES.md promises them.

#ifndef IPC_TESTS_INTEGRATION_CHAOS_CHECK_H_
#define IPC_TESTS_INTEGRATION_CHAOS_CHECK_H_

#include <array>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "tests/support/chaos_book.h"

namespace ipc::test {

struct PublisherLife {
  const ChaosBook* book = nullptr;
  bool lived = true;  // to the end: all it has accepted is acknowledged
};

struct SubscriberLife {
  std::string name;
  const ChaosBook* book = nullptr;
  bool reliable = true;
  bool lived = true;  // to the end
  // Once it is confirmed: where each publisher of that time stood, by number
  // and topic (ChaosBook::begun). One that came later stood at 0.
  using Places = std::map<uint32_t, std::array<uint64_t, kChaosTopics>>;
  std::optional<Places> confirmed;
};

struct ChaosCount {
  uint64_t messages = 0;  // handed over, all subscribers together
  uint64_t missing = 0;   // told as gaps
  uint64_t gaps = 0;      // events
};

// What is wrong, one line each, the first few of each subscriber. Adds to
// `count`. Publishers by number.
std::vector<std::string> CheckChaos(
    const std::map<uint32_t, PublisherLife>& publishers,
    const SubscriberLife& subscriber, ChaosCount* count);

// The last sequence that a subscriber has of a publisher's topic; 0 if none.
uint64_t LastOf(const ChaosBook& subscriber, uint32_t publisher,
                uint32_t topic);

}  // namespace ipc::test

#endif  // IPC_TESTS_INTEGRATION_CHAOS_CHECK_H_
