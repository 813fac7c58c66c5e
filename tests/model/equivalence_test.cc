// SPDX-License-Identifier: Apache-2.0
//
// The broker does what the reference broker does: for all small patterns and
// topics, in every order of events, and for random scripts. Losses and restarts
// are the simulator's.

#include "tests/model/equivalence.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdint>
#include <random>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "tests/support/seed.h"

namespace ipc::model {
namespace {

// All names of one to `segments_max` segments out of `alphabet`.
std::vector<std::string> AllNames(const std::vector<std::string>& alphabet,
                                  int segments_max) {
  std::vector<std::string> all;
  std::vector<std::string> longest = {""};
  for (int i = 0; i < segments_max; ++i) {
    std::vector<std::string> longer;
    for (const std::string& begin : longest) {
      for (const std::string& segment : alphabet) {
        longer.push_back(begin.empty() ? segment
                                       : absl::StrCat(begin, "/", segment));
      }
    }
    longest = std::move(longer);
    all.insert(all.end(), longest.begin(), longest.end());
  }
  return all;
}

// -- The matcher of the reference itself --

TEST(ReferenceBrokerTest, MatchesWhatTheProtocolSays) {
  EXPECT_TRUE(Matches("a/b", "a/b"));
  EXPECT_FALSE(Matches("a/b", "a"));
  EXPECT_FALSE(Matches("a", "a/b"));
  EXPECT_TRUE(Matches("*", "a"));
  EXPECT_FALSE(Matches("*", "a/b"));
  EXPECT_TRUE(Matches("a/*/c", "a/b/c"));
  EXPECT_TRUE(Matches("**", "a"));
  EXPECT_TRUE(Matches("a/**", "a"));
  EXPECT_TRUE(Matches("a/**", "a/b/c"));
  EXPECT_TRUE(Matches("**/c", "c"));
  EXPECT_TRUE(Matches("**/c", "a/b/c"));
  EXPECT_FALSE(Matches("**/c", "a/c/b"));
  EXPECT_TRUE(Matches("**/b/**", "a/b/c"));
}

// -- All small cases --

enum class Order { kTopicsFirst, kPatternsFirst, kBetween };

// Client 0 publishes on all `topics`, client 1 reads all `patterns`; between
// comes the first half of the topics, then the patterns, then the rest.
void Play(Order order, const std::vector<std::string>& topics,
          const std::vector<std::string>& patterns, bool reliable) {
  Equivalence both(2);
  auto subscribe = [&] {
    for (uint32_t i = 0; i < patterns.size(); ++i) {
      both.Subscribe(1, i + 1, patterns[i], reliable);
      while (both.AnswerJoin(0)) {
      }
    }
  };
  if (order == Order::kPatternsFirst) subscribe();
  for (uint32_t i = 0; i < topics.size(); ++i) {
    if (order == Order::kBetween && i == topics.size() / 2) subscribe();
    both.Open(0, i + 1, topics[i]);
  }
  if (order == Order::kTopicsFirst) subscribe();
  std::vector<std::pair<uint32_t, std::string>> messages;
  for (uint32_t i = 0; i < topics.size(); ++i) {
    messages.emplace_back(i + 1, topics[i]);
    messages.emplace_back(i + 1, "again");
  }
  both.Publish(0, messages);
  both.Compare();
}

constexpr Order kOrders[] = {Order::kTopicsFirst, Order::kPatternsFirst,
                             Order::kBetween};

TEST(BrokerEquivalenceTest, EverySmallPatternGetsItsTopics) {
  const std::vector<std::string> topics = AllNames({"a", "b"}, 3);
  for (const std::string& pattern : AllNames({"a", "b", "*", "**"}, 3)) {
    for (Order order : kOrders) {
      for (bool reliable : {true, false}) {
        Play(order, topics, {pattern}, reliable);
        ASSERT_FALSE(testing::Test::HasFailure())
            << pattern << " order " << static_cast<int>(order);
      }
    }
  }
}

TEST(BrokerEquivalenceTest, EveryPairOfSmallPatternsGetsItsTopics) {
  const std::vector<std::string> topics = AllNames({"a", "b"}, 2);
  const std::vector<std::string> patterns = AllNames({"a", "b", "*", "**"}, 2);
  for (const std::string& first : patterns) {
    for (const std::string& second : patterns) {
      for (Order order : kOrders) {
        Play(order, topics, {first, second}, true);
        ASSERT_FALSE(testing::Test::HasFailure())
            << first << " and " << second << " order "
            << static_cast<int>(order);
      }
    }
  }
}

TEST(BrokerEquivalenceTest, EverySetOfTopicsReachesTheSamePatterns) {
  const std::vector<std::string> names = AllNames({"a", "b"}, 2);
  const std::vector<std::string> patterns = AllNames({"a", "*", "**"}, 2);
  for (uint32_t set = 1; set < 1u << names.size(); ++set) {
    std::vector<std::string> topics;
    for (size_t i = 0; i < names.size(); ++i) {
      if ((set >> i & 1) != 0) topics.push_back(names[i]);
    }
    for (Order order : kOrders) {
      Play(order, topics, patterns, true);
      ASSERT_FALSE(testing::Test::HasFailure())
          << "set " << set << " order " << static_cast<int>(order);
    }
  }
}

// -- Random scripts --

class Script {
 public:
  Script(std::mt19937_64* random, size_t clients)
      : random_(*random), clients_(clients), both_(clients) {
    std::vector<std::string> topics = AllNames({"a", "b"}, 3);
    for (size_t i = 0; i < clients; ++i) {
      std::shuffle(topics.begin(), topics.end(), random_);
      topics_of_.emplace_back(topics.begin(), topics.begin() + kChannels + 1);
    }
  }

  void Run(int steps) {
    for (int i = 0; i < steps; ++i) {
      Step();
      if (Below(10) == 0) both_.Compare();
    }
    both_.CompareAcknowledgements();
  }

 private:
  static constexpr uint32_t kChannels = 4;

  uint64_t Below(uint64_t bound) { return random_() % bound; }
  const std::string& AnyOf(const std::vector<std::string>& names) {
    return names[Below(names.size())];
  }
  // Client 0 only reads, and its socket takes what it likes.
  size_t Publisher() { return 1 + Below(clients_ - 1); }
  uint32_t Channel() { return 1 + static_cast<uint32_t>(Below(kChannels)); }

  void Step() {
    const size_t client = Below(clients_);
    switch (Below(12)) {
      case 0:
        Open(Publisher(), Channel());
        break;
      case 1:
        if (Below(3) == 0) both_.Close(Publisher(), Channel());
        break;
      case 2:
        Subscribe(client);
        break;
      case 3:
        if (Below(3) == 0) both_.Unsubscribe(client, Subscription());
        break;
      case 4:
      case 5:
        both_.AnswerJoin(Publisher());
        break;
      case 6:
      case 7:
        for (uint64_t i = Below(8); i > 0; --i) {
          if (!both_.Consume(client, Subscription())) break;
        }
        break;
      case 8:
        both_.client(0).SetRoom(Below(400));
        break;
      default:
        Publish();
        break;
    }
  }

  // A session uses one channel for a topic for its whole life; whatever else it
  // tries must be refused.
  void Open(size_t client, uint32_t channel) {
    std::string topic = topics_of_[client][channel];
    if (Below(4) == 0) {
      topic = topics_of_[client][Channel()];
      if (both_.reference().MayOpen(client, channel, topic)) return;
    }
    both_.Open(client, channel, topic);
  }
  // A number is used for one subscription only; while it is, a second one must
  // be refused.
  void Subscribe(size_t client) {
    uint32_t id = Subscription();
    if (!both_.reference().IsMade(client, id)) id = ++last_subscription_;
    both_.Subscribe(client, id, AnyOf(patterns_), Below(4) != 0);
  }
  void Publish() {
    const size_t client = Publisher();
    std::vector<std::pair<uint32_t, std::string>> messages;
    for (uint64_t i = Below(12); i > 0; --i) {
      const uint32_t channel = Channel();
      if (!both_.reference().IsOpen(client, channel)) continue;
      const size_t bytes = Below(200) == 0 ? Below(200'000) : Below(60);
      messages.emplace_back(channel,
                            std::string(bytes, static_cast<char>('a' + i)));
    }
    both_.Publish(client, messages, Below(2) == 0 ? SIZE_MAX : 1 + Below(100));
  }
  uint32_t Subscription() {
    return 1 + static_cast<uint32_t>(Below(last_subscription_ + 1));
  }

  std::mt19937_64& random_;
  size_t clients_;
  Equivalence both_;
  uint32_t last_subscription_ = 0;
  std::vector<std::vector<std::string>> topics_of_;  // by client and channel
  const std::vector<std::string> patterns_ = AllNames({"a", "b", "*", "**"}, 3);
};

TEST(BrokerEquivalenceTest, RandomScriptsEndTheSame) {
  SCOPED_TRACE(test::SeedNote());
  std::mt19937_64 random(test::Seed());
  for (int script = 0; script < 400; ++script) {
    Script(&random, 2 + random() % 3).Run(150);
    ASSERT_FALSE(testing::Test::HasFailure()) << "script " << script;
  }
}

TEST(BrokerEquivalenceTest, LongRandomScriptsEndTheSame) {
  SCOPED_TRACE(test::SeedNote());
  std::mt19937_64 random(test::Seed());
  for (int script = 0; script < 4; ++script) {
    Script(&random, 4).Run(1000);
    ASSERT_FALSE(testing::Test::HasFailure()) << "script " << script;
  }
}

}  // namespace
}  // namespace ipc::model
