// SPDX-License-Identifier: Apache-2.0
//
// Tokens and session keys: their text and byte forms, order and hash.

#include "libipc/base/ids.h"

#include <gtest/gtest.h>

#include <cstdint>
#include <random>
#include <string>
#include <type_traits>
#include <vector>

#include "absl/hash/hash_testing.h"
#include "tests/support/seed.h"

namespace ipc {
namespace {

Token CountingToken() {
  Token token;
  uint8_t next = 0;
  for (uint8_t& byte : token.bytes) {
    byte = next;
    next = static_cast<uint8_t>(next + 0x11);
  }
  return token;
}

TEST(TokenTest, HexIsThirtyTwoLowerCaseDigitsInTheOrderOfTheBytes) {
  EXPECT_EQ(ToHex(Token{}), "00000000000000000000000000000000");
  EXPECT_EQ(ToHex(CountingToken()), "00112233445566778899aabbccddeeff");
}

TEST(TokenTest, EveryByteValueHasItsTwoDigits) {
  static constexpr char kDigits[] = "0123456789abcdef";
  for (int value = 0; value < 256; ++value) {
    Token token;
    token.bytes[15] = static_cast<uint8_t>(value);
    const std::string tail = {kDigits[value / 16], kDigits[value % 16]};
    EXPECT_EQ(ToHex(token), std::string(30, '0') + tail);
  }
}

TEST(TokenTest, BytesAreTheSixteenAsTheyStandZerosIncluded) {
  EXPECT_EQ(ToBytes(Token{}), std::string(16, '\0'));
  const std::string bytes = ToBytes(CountingToken());
  ASSERT_EQ(bytes.size(), 16u);
  for (size_t i = 0; i < bytes.size(); ++i) {
    EXPECT_EQ(static_cast<uint8_t>(bytes[i]), 0x11 * i);
  }
}

TEST(TokenTest, OnlySixteenBytesMakeAToken) {
  for (size_t size : {0, 1, 15, 17, 32, 1000}) {
    Token token = CountingToken();
    EXPECT_FALSE(TokenFromBytes(std::string(size, 'x'), &token)) << size;
    EXPECT_EQ(token, CountingToken()) << "a refusal leaves the token alone";
  }
  Token token;
  EXPECT_TRUE(TokenFromBytes(std::string(16, '\xff'), &token));
  EXPECT_EQ(ToHex(token), std::string(32, 'f'));
}

TEST(TokenTest, BytesComeBackAsTheSameToken) {
  SCOPED_TRACE(test::SeedNote());
  std::mt19937_64 random(test::Seed());
  for (int i = 0; i < 1000; ++i) {
    Token token;
    for (uint8_t& byte : token.bytes) byte = static_cast<uint8_t>(random());
    Token back;
    ASSERT_TRUE(TokenFromBytes(ToBytes(token), &back));
    ASSERT_EQ(back, token);
  }
}

TEST(TokenTest, IsZeroOnlyWhenEveryByteIs) {
  EXPECT_TRUE(Token{}.IsZero());
  for (size_t i = 0; i < 16; ++i) {
    Token token;
    token.bytes[i] = 1;
    EXPECT_FALSE(token.IsZero());
  }
}

TEST(TokenTest, OrdersByBytesFromTheFirstAsUnsigned) {
  Token low;
  low.bytes[0] = 0x7f;
  low.bytes[15] = 0xff;
  Token high;
  high.bytes[0] = 0x80;
  EXPECT_LT(low, high);
  EXPECT_LT(ToHex(low), ToHex(high));
}

TEST(SessionKeyTest, TokenPidAndUidEachTellSessionsApart) {
  const SessionKey key = {.token = CountingToken(), .pid = 10, .uid = 20};
  SessionKey other_token = key;
  other_token.token.bytes[7] ^= 1;
  SessionKey other_pid = key;
  other_pid.pid = 11;
  SessionKey other_uid = key;
  other_uid.uid = 21;
  EXPECT_NE(key, other_token);
  EXPECT_NE(key, other_pid);
  EXPECT_NE(key, other_uid);
  const std::vector<SessionKey> keys = {SessionKey{}, key, other_token,
                                        other_pid, other_uid};
  EXPECT_TRUE(absl::VerifyTypeImplementsAbslHashCorrectly(keys));
}

TEST(TokenTest, HashFollowsEquality) {
  Token last_differs = CountingToken();
  last_differs.bytes[15] = 0;
  const std::vector<Token> tokens = {Token{}, CountingToken(), last_differs};
  EXPECT_TRUE(absl::VerifyTypeImplementsAbslHashCorrectly(tokens));
}

TEST(IdsTest, NumbersComeBackInTheirOwnWidth) {
  EXPECT_EQ(ToNumber(ConnectionId{0xffffffffffffffff}), 0xffffffffffffffff);
  EXPECT_EQ(ToNumber(SessionNumber{0xffffffff}), 0xffffffff);
  static_assert(std::is_same_v<decltype(ToNumber(ReaderId{})), uint32_t>);
  static_assert(std::is_same_v<decltype(ToNumber(ConnectionId{})), uint64_t>);
}

}  // namespace
}  // namespace ipc
