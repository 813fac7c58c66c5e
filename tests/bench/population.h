// SPDX-License-Identifier: Apache-2.0
//
// How large a crowd is (crowd.h), and what its topics are called: so many
// clients with their subscriptions, and so many with their topics, each of one
// connection.

#ifndef IPC_TESTS_BENCH_POPULATION_H_
#define IPC_TESTS_BENCH_POPULATION_H_

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "CLI/CLI.hpp"
#include "absl/status/status.h"

namespace ipc::bench {

struct Population {
  uint32_t subscribers = 0;
  uint32_t subscriptions_each = 0;
  uint32_t publishers = 0;
  uint32_t topics_each = 0;
  // All subscriptions are to the first topic; else each has a topic of its own
  // that nobody publishes on, or, every tenth, a pattern that matches nothing.
  bool one_topic = false;
  // So many of each client's subscriptions or topics are there before it is
  // counted what they cost; 0: not even the connections are.
  uint32_t warm_up = 0;

  uint64_t connections() const { return uint64_t{subscribers} + publishers; }
  uint64_t subscriptions() const {
    return uint64_t{subscribers} * subscriptions_each;
  }
  uint64_t topics() const { return uint64_t{publishers} * topics_each; }
  // The subscriptions and topics behind the warm-up.
  uint64_t growth() const {
    return uint64_t{subscribers} * Behind(subscriptions_each) +
           uint64_t{publishers} * Behind(topics_each);
  }
  bool empty() const { return connections() == 0; }
  uint32_t Behind(uint32_t each) const {
    return each - std::min(each, warm_up);
  }
};

// Errors: kResourceExhausted if a process that may have so many descriptors
// open cannot hold its connections, or be their broker.
absl::Status CheckDescriptors(const Population& population, uint64_t limit);

// As the arguments of a program with these options.
std::vector<std::string> ToArguments(const Population& population);
void AddPopulationOptions(CLI::App* app, Population* population);

// Of a subscriber, and of a publisher among the publishers; all count from 0.
std::string SubscriptionName(const Population& population, size_t subscriber,
                             uint32_t n);
std::string TopicName(size_t publisher, uint32_t n);

}  // namespace ipc::bench

#endif  // IPC_TESTS_BENCH_POPULATION_H_
