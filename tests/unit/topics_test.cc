// SPDX-License-Identifier: Apache-2.0
//
// Topics find the subscriptions of a topic and the channels of a pattern that
// MatchPattern says, while both come and go.

#include "broker/core/topics.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <memory>
#include <random>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "broker/core/state.h"
#include "libipc/base/topic_grammar.h"
#include "tests/support/seed.h"

namespace ipc::broker {
namespace {

class TopicsTest : public testing::Test {
 protected:
  Channel* Publish(const std::string& name) {
    channels_.push_back(std::make_unique<Channel>());
    topics_.Publish(channels_.back().get(), name);
    return channels_.back().get();
  }
  void Withdraw(Channel* channel) {
    topics_.Withdraw(channel);
    std::erase_if(channels_,
                  [channel](const auto& c) { return c.get() == channel; });
  }
  Subscription* Subscribe(const std::string& pattern) {
    auto made = std::make_unique<Subscription>();
    made->created = ++last_created_;
    topics_.Subscribe(made.get(), pattern);
    subscriptions_.push_back(std::move(made));
    return subscriptions_.back().get();
  }
  void Unsubscribe(Subscription* subscription) {
    topics_.Unsubscribe(subscription);
    std::erase_if(subscriptions_, [subscription](const auto& s) {
      return s.get() == subscription;
    });
  }
  // Obviously right: asks every one.
  void Check() {
    for (const auto& channel : channels_) {
      std::vector<Subscription*> expected;
      for (const auto& subscription : subscriptions_) {
        if (MatchPattern(subscription->pattern.text(),
                         channel->topic->name.text())) {
          expected.push_back(subscription.get());
        }
      }
      ASSERT_EQ(topics_.SubscriptionsOf(*channel->topic), expected);
    }
    for (const auto& subscription : subscriptions_) {
      const std::string_view pattern = subscription->pattern.text();
      std::vector<Channel*> expected;
      for (const auto& channel : channels_) {
        if (MatchPattern(pattern, channel->topic->name.text())) {
          expected.push_back(channel.get());
        }
      }
      // By topic.
      std::stable_sort(expected.begin(), expected.end(),
                       [](const Channel* a, const Channel* b) {
                         return a->topic->name.text() < b->topic->name.text();
                       });
      ASSERT_EQ(topics_.ChannelsOf(pattern), expected) << pattern;
    }
  }

  Topics topics_;
  std::vector<std::unique_ptr<Channel>> channels_;
  std::vector<std::unique_ptr<Subscription>> subscriptions_;
  uint64_t last_created_ = 0;
};

TEST_F(TopicsTest, OnlyWhatIsPublishedIsListed) {
  Subscribe("b");
  EXPECT_TRUE(topics_.published().empty());
  EXPECT_EQ(topics_.FindPublished("b"), nullptr);
  Channel* b = Publish("b");
  Publish("a");
  ASSERT_EQ(topics_.published().size(), 2u);
  EXPECT_EQ((*topics_.published().begin())->name.text(), "a");
  EXPECT_EQ(topics_.FindPublished("b"), b->topic);
  Withdraw(b);
  EXPECT_EQ(topics_.published().size(), 1u);
}

TEST_F(TopicsTest, ATopicHasAnotherIdWhenItIsPublishedAnew) {
  Subscription* subscription = Subscribe("a");
  Channel* first = Publish("a");
  const TopicId id = first->topic->id;
  Channel* second = Publish("a");
  EXPECT_EQ(second->topic->id, id);
  Withdraw(first);
  EXPECT_EQ(second->topic->id, id);
  Withdraw(second);
  EXPECT_GT(Publish("a")->topic->id, id);
  EXPECT_EQ(subscription->pattern.text(), "a");
}

TEST_F(TopicsTest, ASubscriptionToOneTopicHasItsNameFromThere) {
  Channel* channel = Publish("a/b");
  EXPECT_EQ(Subscribe("a/b")->pattern.text().data(),
            channel->topic->name.text().data());
  EXPECT_EQ(Subscribe("c/d")->pattern.text().data(),
            Subscribe("c/d")->pattern.text().data());
}

TEST_F(TopicsTest, WhatAChannelHasCarriedIsCountedBehindIt) {
  Channel* stays = Publish("a");
  Channel* goes = Publish("a");
  goes->messages = 3;
  goes->bytes = 50;
  Topic* topic = stays->topic;
  Withdraw(goes);
  EXPECT_EQ(topic->past->messages, 3u);
  EXPECT_EQ(topic->past->bytes, 50u);
}

TEST_F(TopicsTest, FindsWhatMatchesWhileAllComesAndGoes) {
  std::mt19937_64 random(test::Seed());
  SCOPED_TRACE(test::SeedNote());
  const std::vector<std::string> names = {"a", "b", "a/a", "a/b", "a/b/a"};
  const std::vector<std::string> patterns = {"a", "b",  "a/a", "a/b",  "a/b/a",
                                             "*", "**", "a/*", "a/**", "**/a"};
  for (int step = 0; step < 2'000; ++step) {
    switch (random() % 4) {
      case 0:
        Publish(names[random() % names.size()]);
        break;
      case 1:
        Subscribe(patterns[random() % patterns.size()]);
        break;
      case 2:
        if (channels_.empty()) break;
        Withdraw(channels_[random() % channels_.size()].get());
        break;
      default:
        if (subscriptions_.empty()) break;
        Unsubscribe(subscriptions_[random() % subscriptions_.size()].get());
        break;
    }
    Check();
    if (HasFatalFailure()) return;
  }
  while (!channels_.empty()) Withdraw(channels_.front().get());
  while (!subscriptions_.empty()) Unsubscribe(subscriptions_.front().get());
  EXPECT_TRUE(topics_.empty());
}

// Names that stand in front of "a/" and behind it, and folders with few topics
// and with many.
TEST_F(TopicsTest, APatternFindsItsTopicsInFoldersOfAnySize) {
  for (const char* name : {"a", "a-", "a-/b", "a.b", "a0", "a0/b", "b/a/c"}) {
    Publish(name);
  }
  for (int folder = 0; folder < 3; ++folder) {
    for (int topic = 0; topic < 7 + folder; ++topic) {
      Publish(absl::StrCat("a/", folder, "/", topic));
      Publish(absl::StrCat("a/", folder, "/", topic, "/b"));
      Publish(absl::StrCat("c", folder, "/a/", topic));
    }
  }
  for (const char* pattern :
       {"*",      "**",       "*/*",    "*/*/*",  "*/*/*/*", "*/b",
        "*/none", "a/*",      "a/*/*",  "a/*/3",  "a/*/3/*", "a/*/**",
        "a/**/b", "a/**",     "*/**",   "**/b",   "*/a/*",   "*/a/**",
        "*/*/**", "*/0/none", "c1/*/*", "$ipc/*", "b/*/c",   "a/*/*/b",
        "*/a/3",  "none/*"}) {
    Subscribe(pattern);
  }
  Check();
}

}  // namespace
}  // namespace ipc::broker
