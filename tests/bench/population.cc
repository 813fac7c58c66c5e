// SPDX-License-Identifier: Apache-2.0
//
// The options are written and read side by side.

#include "tests/bench/population.h"

#include "CLI/CLI.hpp"
#include "absl/strings/str_cat.h"

namespace ipc::bench {

absl::Status CheckDescriptors(const Population& population, uint64_t limit) {
  constexpr uint64_t kOthers = 100;  // what a process has open beside them
  const uint64_t needed = population.connections() + kOthers;
  if (needed <= limit) return absl::OkStatus();
  return absl::ResourceExhaustedError(
      absl::StrCat("a process may have ", limit, " descriptors open here, and ",
                   needed, " are needed (ulimit -Hn)"));
}

std::vector<std::string> ToArguments(const Population& population) {
  std::vector<std::string> arguments = {
      absl::StrCat("--subscribers=", population.subscribers),
      absl::StrCat("--subscriptions-each=", population.subscriptions_each),
      absl::StrCat("--publishers=", population.publishers),
      absl::StrCat("--topics-each=", population.topics_each),
      absl::StrCat("--warm-up=", population.warm_up),
  };
  if (population.one_topic) arguments.push_back("--one-topic");
  return arguments;
}

void AddPopulationOptions(CLI::App* app, Population* population) {
  app->add_option("--subscribers", population->subscribers);
  app->add_option("--subscriptions-each", population->subscriptions_each);
  app->add_option("--publishers", population->publishers);
  app->add_option("--topics-each", population->topics_each);
  app->add_option("--warm-up", population->warm_up);
  app->add_flag("--one-topic", population->one_topic);
}

std::string SubscriptionName(const Population& population, size_t client,
                             uint32_t n) {
  if (population.one_topic) return TopicName(0, 0);
  constexpr uint32_t kOfPatterns = 10;
  if (n % kOfPatterns == kOfPatterns - 1) {
    return absl::StrCat("crowd/", client, "/*/", n);
  }
  return absl::StrCat("crowd/", client, "/own/", n);
}

std::string TopicName(size_t publisher, uint32_t n) {
  return absl::StrCat("idle/", publisher, "/topic/", n);
}

}  // namespace ipc::bench
