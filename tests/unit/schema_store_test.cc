// SPDX-License-Identifier: Apache-2.0
//
// Descriptor sets by their hash: what is refused, and what makes room.

#include "broker/core/schema_store.h"

#include <gtest/gtest.h>

#include <string>

#include "libipc/base/limits.h"
#include "libipc/wire/sha256.h"

namespace ipc::broker {
namespace {

using wire::Sha256;

TEST(SchemaStoreTest, FindsWhatWasAdded) {
  SchemaStore store(1000);
  EXPECT_EQ(store.Add(Sha256("set"), "set"), absl::OkStatus());
  EXPECT_TRUE(store.Has(Sha256("set")));
  ASSERT_NE(store.Find(Sha256("set")), nullptr);
  EXPECT_EQ(*store.Find(Sha256("set")), "set");
}

TEST(SchemaStoreTest, HasNothingElse) {
  SchemaStore store(1000);
  EXPECT_FALSE(store.Has(Sha256("set")));
  EXPECT_EQ(store.Find(Sha256("set")), nullptr);
  EXPECT_EQ(store.Find(""), nullptr);
}

TEST(SchemaStoreTest, RefusesASetUnderTheHashOfAnother) {
  SchemaStore store(1000);
  EXPECT_EQ(store.Add(Sha256("other"), "set").code(),
            absl::StatusCode::kInvalidArgument);
  EXPECT_FALSE(store.Has(Sha256("other")));
  EXPECT_FALSE(store.Has(Sha256("set")));
}

TEST(SchemaStoreTest, RefusesASetAboveTheLimitAndTakesOneAtIt) {
  SchemaStore store(2 * kSchemaSetBytesMax);
  std::string set(kSchemaSetBytesMax, 's');
  EXPECT_EQ(store.Add(Sha256(set), set), absl::OkStatus());
  set += 's';
  EXPECT_EQ(store.Add(Sha256(set), set).code(),
            absl::StatusCode::kResourceExhausted);
  EXPECT_FALSE(store.Has(Sha256(set)));
}

TEST(SchemaStoreTest, TheFirstOneAddedMakesRoom) {
  SchemaStore store(10);
  ASSERT_EQ(store.Add(Sha256("aaaaa"), "aaaaa"), absl::OkStatus());
  ASSERT_EQ(store.Add(Sha256("bbbbb"), "bbbbb"), absl::OkStatus());
  EXPECT_TRUE(store.Has(Sha256("aaaaa")));
  ASSERT_EQ(store.Add(Sha256("c"), "c"), absl::OkStatus());
  EXPECT_FALSE(store.Has(Sha256("aaaaa")));
  EXPECT_TRUE(store.Has(Sha256("bbbbb")));
  EXPECT_TRUE(store.Has(Sha256("c")));
}

TEST(SchemaStoreTest, AsManyMakeRoomAsItTakes) {
  SchemaStore store(10);
  for (const char* set : {"a", "bb", "ccc"}) {
    ASSERT_EQ(store.Add(Sha256(set), set), absl::OkStatus());
  }
  ASSERT_EQ(store.Add(Sha256("dddddddd"), "dddddddd"), absl::OkStatus());
  EXPECT_FALSE(store.Has(Sha256("a")));
  EXPECT_FALSE(store.Has(Sha256("bb")));
  EXPECT_FALSE(store.Has(Sha256("ccc")));
  EXPECT_TRUE(store.Has(Sha256("dddddddd")));
}

TEST(SchemaStoreTest, AddingAgainCostsNothing) {
  SchemaStore store(10);
  ASSERT_EQ(store.Add(Sha256("aaaaa"), "aaaaa"), absl::OkStatus());
  for (int i = 0; i < 10; ++i) {
    ASSERT_EQ(store.Add(Sha256("bbbbb"), "bbbbb"), absl::OkStatus());
  }
  EXPECT_TRUE(store.Has(Sha256("aaaaa")));
  EXPECT_TRUE(store.Has(Sha256("bbbbb")));
}

TEST(SchemaStoreTest, WhatMadeRoomMayComeBack) {
  SchemaStore store(5);
  ASSERT_EQ(store.Add(Sha256("aaaaa"), "aaaaa"), absl::OkStatus());
  ASSERT_EQ(store.Add(Sha256("bbbbb"), "bbbbb"), absl::OkStatus());
  ASSERT_EQ(store.Add(Sha256("aaaaa"), "aaaaa"), absl::OkStatus());
  EXPECT_TRUE(store.Has(Sha256("aaaaa")));
  EXPECT_FALSE(store.Has(Sha256("bbbbb")));
}

}  // namespace
}  // namespace ipc::broker
