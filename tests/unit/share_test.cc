// SPDX-License-Identifier: Apache-2.0
//
// Sets of sequences against a set of numbers, and a channel's share among
// members against one entry for each publication.

#include "broker/core/share.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdint>
#include <map>
#include <random>
#include <set>
#include <vector>

#include "tests/support/seed.h"

namespace ipc::broker {
namespace {

TEST(SequenceSetTest, HoldsWhatASetOfNumbersHolds) {
  std::mt19937_64 random(test::Seed());
  for (int run = 0; run < 200; ++run) {
    SequenceSet tested;
    std::set<uint64_t> expected;
    for (int step = 0; step < 30; ++step) {
      const uint64_t first = 1 + random() % 20;
      const uint64_t last = first + random() % 6;
      const bool adds = random() % 2 == 0;
      adds ? tested.Add(first, last) : tested.Remove(first, last);
      for (uint64_t i = first; i <= last; ++i) {
        if (adds) {
          expected.insert(i);
        } else {
          expected.erase(i);
        }
      }
      ASSERT_EQ(tested.empty(), expected.empty());
      for (uint64_t i = 0; i < 30; ++i) {
        ASSERT_EQ(tested.Contains(i), expected.contains(i)) << i;
      }
      if (expected.empty()) continue;
      uint64_t end = *expected.begin();
      ASSERT_EQ(tested.first(), end);
      while (expected.contains(end + 1)) ++end;
      ASSERT_EQ(tested.first_last(), end);
    }
  }
}

TEST(ShareTest, WhatAllMembersHaveConsumedIsConsumed) {
  Share share(10);
  EXPECT_EQ(share.first_wanted(), 11u);
  share.Give(1, 11, 13);
  share.Give(2, 14, 15);
  EXPECT_EQ(share.Acknowledge(2, 15), 2u);
  EXPECT_EQ(share.consumed(), 10u);
  EXPECT_EQ(share.Acknowledge(1, 12), 2u);
  EXPECT_EQ(share.consumed(), 12u);
  EXPECT_EQ(share.HeldBy(1), 1u);
  EXPECT_EQ(share.Acknowledge(1, 13), 1u);
  EXPECT_EQ(share.consumed(), 15u);
}

TEST(ShareTest, AnAcknowledgementCoversWhatWasGivenBefore) {
  Share share(0);
  share.Give(1, 1, 4);
  share.Give(2, 5, 6);
  EXPECT_EQ(share.GiveBack(1, 0), 4u);
  EXPECT_EQ(share.first_wanted(), 1u);
  // Behind 5 and 6.
  share.Give(2, 2, 3);
  EXPECT_EQ(share.Acknowledge(2, 2), 3u);
  EXPECT_EQ(share.HeldBy(2), 1u);
  EXPECT_EQ(share.consumed(), 0u);
  share.Give(2, 1, 1);
  share.Give(2, 4, 4);
  EXPECT_EQ(share.Acknowledge(2, 4), 3u);
  EXPECT_EQ(share.consumed(), 6u);
}

TEST(ShareTest, AnAcknowledgementOfSomethingElseIsNone) {
  Share share(0);
  share.Give(1, 1, 4);
  share.Give(2, 5, 6);
  EXPECT_EQ(share.Acknowledge(1, 5), 0u);
  EXPECT_EQ(share.Acknowledge(1, 0), 0u);
  EXPECT_EQ(share.Acknowledge(3, 1), 0u);
  EXPECT_EQ(share.HeldBy(1), 4u);
}

TEST(ShareTest, AMemberKeepsWhatItHasReceived) {
  Share share(0);
  share.Give(1, 1, 4);
  share.Give(2, 5, 5);
  share.Give(1, 6, 9);
  EXPECT_EQ(share.GiveBack(1, 7), 2u);
  EXPECT_EQ(share.HeldBy(1), 6u);
  EXPECT_FALSE(share.Wants(7));
  EXPECT_TRUE(share.Wants(8));
  EXPECT_TRUE(share.Wants(10));
  EXPECT_EQ(share.first_wanted(), 8u);
}

TEST(ShareTest, WhatDoesNotExistIsConsumed) {
  Share share(0);
  share.Give(1, 1, 1);
  share.Give(1, 4, 4);
  EXPECT_EQ(share.Acknowledge(1, 1), 1u);
  EXPECT_EQ(share.consumed(), 3u);
  share.PassOver(6);
  EXPECT_EQ(share.Acknowledge(1, 4), 1u);
  EXPECT_EQ(share.consumed(), 6u);
}

TEST(ShareTest, AWidenedShareKeepsWhatIsConsumed) {
  Share share(5);
  share.Give(1, 6, 8);
  share.Acknowledge(1, 7);
  EXPECT_FALSE(share.Widen(5));
  EXPECT_TRUE(share.Widen(3));
  EXPECT_EQ(share.consumed(), 3u);
  EXPECT_EQ(share.first_wanted(), 4u);
  EXPECT_FALSE(share.Wants(6));
  share.Give(2, 4, 5);
  share.Acknowledge(2, 5);
  EXPECT_EQ(share.consumed(), 7u);
}

// Each publication by itself.
class SlowShare {
 public:
  bool Wants(uint64_t sequence) const {
    return sequence > given_ || open_.contains(sequence);
  }
  void Give(uint64_t member, uint64_t first, uint64_t last) {
    for (uint64_t i = given_ + 1; i < first; ++i) done_.insert(i);
    for (uint64_t i = first; i <= last; ++i) {
      open_.erase(i);
      held_[member].push_back(i);
    }
    given_ = std::max(given_, last);
  }
  uint64_t Acknowledge(uint64_t member, uint64_t sequence) {
    std::vector<uint64_t>& held = held_[member];
    auto end = std::find(held.begin(), held.end(), sequence);
    if (end == held.end()) return 0;
    ++end;
    const auto count = static_cast<uint64_t>(end - held.begin());
    done_.insert(held.begin(), end);
    held.erase(held.begin(), end);
    return count;
  }
  uint64_t GiveBack(uint64_t member, uint64_t received) {
    std::vector<uint64_t>& held = held_[member];
    auto begin = std::find(held.begin(), held.end(), received);
    begin = begin == held.end() ? held.begin() : begin + 1;
    const auto count = static_cast<uint64_t>(held.end() - begin);
    open_.insert(begin, held.end());
    held.erase(begin, held.end());
    return count;
  }
  void Drop(uint64_t sequence) {
    for (uint64_t i = given_ + 1; i <= sequence; ++i) done_.insert(i);
    open_.erase(sequence);
    done_.insert(sequence);
    given_ = std::max(given_, sequence);
  }
  uint64_t consumed() const {
    uint64_t consumed = 0;
    while (done_.contains(consumed + 1)) ++consumed;
    return consumed;
  }
  uint64_t given() const { return given_; }
  uint64_t HeldBy(uint64_t member) { return held_[member].size(); }
  uint64_t first_wanted() const {
    return open_.empty() ? given_ + 1 : *open_.begin();
  }

 private:
  uint64_t given_ = 0;
  std::set<uint64_t> open_;
  std::set<uint64_t> done_;
  std::map<uint64_t, std::vector<uint64_t>> held_;
};

TEST(ShareTest, DoesWhatOneEntryForEachPublicationDoes) {
  std::mt19937_64 random(test::Seed());
  for (int run = 0; run < 300; ++run) {
    Share tested(0);
    SlowShare expected;
    for (int step = 0; step < 60; ++step) {
      const uint64_t member = 1 + random() % 3;
      const uint64_t any = random() % (expected.given() + 2);
      switch (random() % 5) {
        case 0: {  // live, now and then with a hole
          const uint64_t first = expected.given() + 1 + (random() % 8 == 0);
          const uint64_t last = first + random() % 4;
          tested.Give(member, first, last);
          expected.Give(member, first, last);
          break;
        }
        case 1: {  // passed on
          const uint64_t sequence = expected.first_wanted();
          tested.Give(member, sequence, sequence);
          expected.Give(member, sequence, sequence);
          break;
        }
        case 2:
          if (!expected.Wants(any)) break;
          tested.Drop(any);
          expected.Drop(any);
          break;
        case 3:
          ASSERT_EQ(tested.Acknowledge(member, any),
                    expected.Acknowledge(member, any));
          break;
        default:
          if (random() % 3 != 0) break;
          ASSERT_EQ(tested.GiveBack(member, any),
                    expected.GiveBack(member, any));
      }
      ASSERT_EQ(tested.consumed(), expected.consumed());
      ASSERT_EQ(tested.given(), expected.given());
      ASSERT_EQ(tested.first_wanted(), expected.first_wanted());
      ASSERT_EQ(tested.HeldBy(member), expected.HeldBy(member));
      ASSERT_EQ(tested.Wants(any), expected.Wants(any));
    }
  }
}

}  // namespace
}  // namespace ipc::broker
