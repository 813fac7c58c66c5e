// SPDX-License-Identifier: Apache-2.0
//
// What keeps idle things small: parts that are made when they are written to,
// maps with one entry, names and types that are kept once.

#include <gtest/gtest.h>

#include <cstdint>
#include <map>
#include <memory>
#include <random>
#include <string>
#include <utility>
#include <vector>

#include "broker/core/lazy.h"
#include "broker/core/shared_name.h"
#include "broker/core/small_map.h"
#include "broker/core/state.h"
#include "broker/core/type_table.h"
#include "libipc/base/limits.h"
#include "tests/support/seed.h"

namespace ipc::broker {
namespace {

struct Part {
  int number = 7;
};

TEST(LazyTest, WhatIsNotMadeReadsAsItsDefault) {
  Lazy<Part> part;
  EXPECT_EQ(part->number, 7);
  EXPECT_FALSE(part.made());
}

TEST(LazyTest, WritingMakesItForThisOneAlone) {
  Lazy<Part> part;
  Lazy<Part> other;
  part.Edit().number = 8;
  EXPECT_EQ(part->number, 8);
  EXPECT_EQ(other->number, 7);
  part.Reset();
  EXPECT_FALSE(part.made());
  EXPECT_EQ(part->number, 7);
}

TEST(SharedNameTest, IsTheSameForAllThatHaveIt) {
  SharedName empty;
  EXPECT_TRUE(empty.empty());
  EXPECT_EQ(empty.text(), "");
  SharedName name("a/b");
  SharedName copy = name;
  EXPECT_EQ(copy.text().data(), name.text().data());
  name = SharedName("c");
  EXPECT_EQ(copy.text(), "a/b");
  EXPECT_EQ(name.text(), "c");
  SharedName moved = std::move(copy);
  EXPECT_EQ(moved.text(), "a/b");
  const SharedName& itself = moved;
  moved = itself;
  EXPECT_EQ(moved.text(), "a/b");
}

TEST(SharedNameTest, HoldsTheShortestAndTheLongest) {
  EXPECT_EQ(SharedName("x").text(), "x");
  const std::string longest(kTopicBytesMax, 'x');
  EXPECT_EQ(SharedName(longest).text(), longest);
}

TEST(TypeTableTest, KeepsATypeOnceAndAsLongAsAChannelHasIt) {
  TypeTable types;
  MessageType* type = types.Take("acme.A", "hash");
  EXPECT_EQ(types.Take("acme.A", "hash"), type);
  MessageType* other = types.Take("acme.A", "another");
  EXPECT_NE(other, type);
  EXPECT_EQ(types.size(), 2u);
  types.LetGo(type);
  types.LetGo(other);
  EXPECT_EQ(types.size(), 1u);
  EXPECT_EQ(type->name, "acme.A");
  EXPECT_EQ(type->schema_hash, "hash");
  types.LetGo(type);
  EXPECT_EQ(types.size(), 0u);
}

TEST(SmallMapTest, DoesWhatAMapDoes) {
  std::mt19937_64 random(test::Seed());
  SCOPED_TRACE(test::SeedNote());
  using Small = SmallMap<uint32_t, std::unique_ptr<uint32_t>>;
  for (int run = 0; run < 200; ++run) {
    Small map;
    std::map<uint32_t, uint32_t> expected;
    for (int step = 0; step < 40; ++step) {
      const auto key = static_cast<uint32_t>(random() % 4);
      if (random() % 2 == 0) {
        const auto value = static_cast<uint32_t>(random());
        map[key] = std::make_unique<uint32_t>(value);
        expected[key] = value;
      } else {
        map.erase(key);
        expected.erase(key);
      }
      std::vector<std::pair<uint32_t, uint32_t>> found;
      for (const auto& [at, value] : std::as_const(map)) {
        found.emplace_back(at, *value);
      }
      ASSERT_EQ(found, (std::vector<std::pair<uint32_t, uint32_t>>(
                           expected.begin(), expected.end())));
      ASSERT_EQ(map.size(), expected.size());
      ASSERT_EQ(map.empty(), expected.empty());
      for (uint32_t at = 0; at < 4; ++at) {
        ASSERT_EQ(map.contains(at), expected.contains(at));
        if (map.contains(at)) {
          ASSERT_EQ(*map.at(at), expected[at]);
          ASSERT_EQ(*map.find(at)->second, expected[at]);
        }
      }
    }
  }
}

// On a machine with pointers of 8 bytes. Who makes one of these larger pays
// for it a million times: docs/performance.md, "Memory and scale".
TEST(SizeTest, WhatThereIsManyOfIsSmall) {
  EXPECT_LE(sizeof(Topic), 72u);
  EXPECT_LE(sizeof(Channel), 104u);
  EXPECT_LE(sizeof(Subscription), 120u);
  EXPECT_LE(sizeof(Link), 64u);
  EXPECT_LE(sizeof(Reading), 72u);
}

}  // namespace
}  // namespace ipc::broker
