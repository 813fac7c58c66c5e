// SPDX-License-Identifier: Apache-2.0
//
// The index finds what MatchPattern says, which has tests of its own: for all
// small patterns and topics, and while subscriptions come and go.

#include "broker/core/pattern_index.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdint>
#include <memory>
#include <random>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "broker/core/state.h"
#include "libipc/base/topic_grammar.h"
#include "tests/support/seed.h"

namespace ipc::broker {
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

class PatternIndexTest : public testing::Test {
 protected:
  Subscription* Add(const std::string& pattern) {
    auto subscription = std::make_unique<Subscription>();
    subscription->created = ++last_created_;
    subscription->pattern = SharedName(pattern);
    index_.Add(pattern, subscription.get());
    subscriptions_.push_back(std::move(subscription));
    return subscriptions_.back().get();
  }

  void Remove(size_t i) {
    index_.Remove(subscriptions_[i]->pattern.text(), subscriptions_[i].get());
    subscriptions_.erase(subscriptions_.begin() +
                         static_cast<std::ptrdiff_t>(i));
  }

  // Obviously right: asks every one, in the order of their creation.
  std::vector<Subscription*> Expected(const std::string& topic) const {
    std::vector<Subscription*> expected;
    for (const auto& subscription : subscriptions_) {
      if (MatchPattern(subscription->pattern.text(), topic)) {
        expected.push_back(subscription.get());
      }
    }
    return expected;
  }

  PatternIndex index_;
  std::vector<std::unique_ptr<Subscription>> subscriptions_;
  uint64_t last_created_ = 0;
};

TEST_F(PatternIndexTest, FindsNothingWhenItIsEmpty) {
  EXPECT_TRUE(index_.Find("a").empty());
  EXPECT_TRUE(index_.Find("$ipc/a").empty());
}

TEST_F(PatternIndexTest, AgreesWithMatchPatternOnAllSmallNames) {
  for (const std::string& pattern : AllNames({"a", "b", "*", "**"}, 4)) {
    if (ValidatePattern(pattern).ok()) Add(pattern);
  }
  Add("$ipc/a");
  Add("$ipc/*");
  Add("$ipc/**");
  Add("$ipc");
  for (const std::string& topic : AllNames({"a", "b", "c"}, 5)) {
    ASSERT_EQ(index_.Find(topic), Expected(topic)) << topic;
  }
  for (const std::string& rest : AllNames({"a", "b"}, 3)) {
    const std::string topic = "$ipc/" + rest;
    ASSERT_EQ(index_.Find(topic), Expected(topic)) << topic;
  }
}

TEST_F(PatternIndexTest, AgreesWithMatchPatternOnEachPatternAlone) {
  const std::vector<std::string> topics = AllNames({"a", "b"}, 4);
  for (const std::string& pattern : AllNames({"a", "*", "**"}, 4)) {
    if (!ValidatePattern(pattern).ok()) continue;
    Add(pattern);
    for (const std::string& topic : topics) {
      ASSERT_EQ(index_.Find(topic), Expected(topic)) << pattern << " " << topic;
    }
    Remove(0);
    ASSERT_TRUE(index_.Find("a").empty()) << pattern;
  }
}

TEST_F(PatternIndexTest, FindsASubscriptionOnceThoughItMatchesInManyWays) {
  Subscription* subscription = Add("**/a/**/a/**");
  EXPECT_EQ(index_.Find("a/a/a/a/a"),
            std::vector<Subscription*>({subscription}));
}

TEST_F(PatternIndexTest, FindsInTheOrderOfCreation) {
  Subscription* first = Add("**");
  Subscription* second = Add("a/b");
  Subscription* third = Add("*/b");
  Subscription* fourth = Add("a/b");
  EXPECT_EQ(index_.Find("a/b"),
            std::vector<Subscription*>({first, second, third, fourth}));
}

TEST_F(PatternIndexTest, RemovesOneOfManyWithThePattern) {
  Add("a/*");
  Subscription* stays = Add("a/*");
  Remove(0);
  EXPECT_EQ(index_.Find("a/b"), std::vector<Subscription*>({stays}));
}

TEST_F(PatternIndexTest, RemovingAPatternKeepsThoseBelowAndAbove) {
  Subscription* above = Add("a");
  Add("a/b");
  Subscription* below = Add("a/b/c");
  Remove(1);
  EXPECT_EQ(index_.Find("a"), std::vector<Subscription*>({above}));
  EXPECT_TRUE(index_.Find("a/b").empty());
  EXPECT_EQ(index_.Find("a/b/c"), std::vector<Subscription*>({below}));
}

TEST_F(PatternIndexTest, RemovingWhatIsNotThereChangesNothing) {
  Subscription* stays = Add("a/b");
  Subscription stranger;
  index_.Remove("a", &stranger);
  index_.Remove("a/b", &stranger);
  index_.Remove("a/b/c", &stranger);
  index_.Remove("x", &stranger);
  EXPECT_EQ(index_.Find("a/b"), std::vector<Subscription*>({stays}));
}

TEST_F(PatternIndexTest, TakesTheLongestNames) {
  std::string topic = "s";
  std::string stars = "*";
  for (int i = 1; i < kTopicSegmentsMax; ++i) {
    topic += "/s";
    stars += "/*";
  }
  Subscription* literal = Add(topic);
  Subscription* wild = Add(stars);
  Subscription* deep = Add("**/s/**/s/**/s/**");
  EXPECT_EQ(index_.Find(topic),
            std::vector<Subscription*>({literal, wild, deep}));
  EXPECT_EQ(index_.Find(topic.substr(2)), std::vector<Subscription*>({deep}));
}

TEST_F(PatternIndexTest, AgreesWithMatchPatternWhileSubscriptionsComeAndGo) {
  SCOPED_TRACE(test::SeedNote());
  std::mt19937_64 random(test::Seed());
  std::vector<std::string> patterns = AllNames({"a", "b", "*", "**"}, 4);
  std::erase_if(patterns, [](const std::string& pattern) {
    return !ValidatePattern(pattern).ok();
  });
  patterns.insert(patterns.end(), {"$ipc/*", "$ipc/**", "$ipc/a", "$ipc/a/b"});
  std::vector<std::string> topics = AllNames({"a", "b", "c"}, 4);
  topics.insert(topics.end(), {"$ipc/a", "$ipc/b", "$ipc/a/b", "$ipc/a/b/c"});
  for (int step = 0; step < 5000; ++step) {
    if (subscriptions_.size() < 60 && random() % 2 == 0) {
      Add(patterns[random() % patterns.size()]);
    } else if (!subscriptions_.empty()) {
      Remove(random() % subscriptions_.size());
    }
    for (int i = 0; i < 5; ++i) {
      const std::string& topic = topics[random() % topics.size()];
      ASSERT_EQ(index_.Find(topic), Expected(topic))
          << "step " << step << " " << topic;
    }
  }
  while (!subscriptions_.empty()) Remove(random() % subscriptions_.size());
  for (const std::string& topic : topics) {
    ASSERT_TRUE(index_.Find(topic).empty()) << topic;
  }
}

}  // namespace
}  // namespace ipc::broker
