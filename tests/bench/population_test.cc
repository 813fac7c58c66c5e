// SPDX-License-Identifier: Apache-2.0

#include "tests/bench/population.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <set>

#include "CLI/CLI.hpp"
#include "tests/bench/scenario.h"

namespace ipc::bench {
namespace {

constexpr Population kSome = {.subscribers = 3,
                              .subscriptions_each = 25,
                              .publishers = 2,
                              .topics_each = 7,
                              .one_topic = false,
                              .warm_up = 5};

TEST(PopulationTest, TheGrowthIsWhatComesBehindTheWarmUp) {
  EXPECT_EQ(kSome.growth(), 3 * 20 + 2 * 2);
  Population warm = kSome;
  warm.topics_each = 1;  // all of them are there before
  EXPECT_EQ(warm.growth(), 3 * 20);
}

TEST(PopulationTest, TheArgumentsAreReadAsTheyWereWritten) {
  Population written = kSome;
  for (bool one_topic : {false, true}) {
    written.one_topic = one_topic;
    CLI::App app;
    Population read;
    AddPopulationOptions(&app, &read);
    std::vector<std::string> arguments = ToArguments(written);
    std::reverse(arguments.begin(), arguments.end());  // as CLI11 wants them
    app.parse(arguments);
    EXPECT_EQ(ToArguments(read), ToArguments(written));
    EXPECT_EQ(read.growth(), written.growth());
    EXPECT_EQ(read.one_topic, one_topic);
  }
}

TEST(PopulationTest, NoTwoSubscribeToTheSameAndNobodyToATopic) {
  std::set<std::string> names;
  for (size_t client = 0; client < 25; ++client) {
    for (uint32_t n = 0; n < 25; ++n) {
      EXPECT_TRUE(names.insert(SubscriptionName(kSome, client, n)).second);
      EXPECT_TRUE(names.insert(TopicName(client, n)).second);
    }
  }
}

TEST(PopulationTest, ATenthOfTheSubscriptionsArePatterns) {
  int patterns = 0;
  for (uint32_t n = 0; n < 100; ++n) {
    const std::string name = SubscriptionName(kSome, 0, n);
    if (name.find('*') != std::string::npos) ++patterns;
  }
  EXPECT_EQ(patterns, 10);
}

TEST(PopulationTest, AllSubscribeToTheFirstTopicIfThereIsOne) {
  Population one = kSome;
  one.one_topic = true;
  EXPECT_EQ(SubscriptionName(one, 2, 19), TopicName(0, 0));
}

TEST(CheckDescriptorsTest, SaysHowManyAreNeeded) {
  const Population crowd = {.subscribers = 10'000, .publishers = 20};
  EXPECT_TRUE(CheckDescriptors(crowd, 10'120).ok());
  const absl::Status status = CheckDescriptors(crowd, 10'119);
  EXPECT_EQ(status.code(), absl::StatusCode::kResourceExhausted);
  EXPECT_EQ(status.message(),
            "a process may have 10119 descriptors open here, and 10120 are "
            "needed (ulimit -Hn)");
}

TEST(ScenarioTest, WorkInACrowdIsTheSameWorkAlone) {
  size_t crowded = 0;
  for (const Scenario& scenario : AllScenarios()) {
    EXPECT_FALSE(Alone(scenario).crowded()) << scenario.name;
    if (!scenario.crowded()) continue;
    ++crowded;
    EXPECT_TRUE(scenario.name.ends_with("/crowd")) << scenario.name;
    EXPECT_EQ(scenario.crowd.subscribers, 10'000);
    EXPECT_EQ(scenario.crowd.subscriptions(), 100'000);
    EXPECT_EQ(scenario.crowd.topics(), 1'000'000);
  }
  EXPECT_EQ(crowded, 2);
}

}  // namespace
}  // namespace ipc::bench
