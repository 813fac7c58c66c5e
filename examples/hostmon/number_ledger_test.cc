// SPDX-License-Identifier: Apache-2.0
//
// The viewer's books, by example and against an obvious oracle over all short
// streams: the demo's verdict stands on them.

#include "examples/hostmon/number_ledger.h"

#include <cstddef>
#include <cstdint>
#include <set>
#include <vector>

#include "gtest/gtest.h"

namespace hostmon {
namespace {

NumberLedger LedgerOf(const std::vector<uint64_t>& numbers) {
  NumberLedger ledger;
  for (const uint64_t number : numbers) ledger.OnNumber(number);
  return ledger;
}

void ExpectBooks(const NumberLedger& ledger, uint64_t lost, uint64_t twice,
                 uint64_t disordered) {
  EXPECT_EQ(ledger.lost(), lost);
  EXPECT_EQ(ledger.twice(), twice);
  EXPECT_EQ(ledger.disordered(), disordered);
}

TEST(NumberLedgerTest, AWholeStreamHasNoFaults) {
  ExpectBooks(LedgerOf({}), 0, 0, 0);
  ExpectBooks(LedgerOf({1, 2, 3}), 0, 0, 0);
}

TEST(NumberLedgerTest, AViewerMayJoinLate) {
  ExpectBooks(LedgerOf({40, 41}), 0, 0, 0);
}

TEST(NumberLedgerTest, EachFaultIsCountedInItsOwnBook) {
  ExpectBooks(LedgerOf({1, 2, 5}), 2, 0, 0);
  ExpectBooks(LedgerOf({1, 1, 2, 1}), 0, 2, 0);
  ExpectBooks(LedgerOf({1, 3, 2}), 0, 0, 1);
  ExpectBooks(LedgerOf({3, 1}), 1, 0, 1);
  ExpectBooks(LedgerOf({5, 6, 9, 7, 7, 10}), 1, 1, 1);
}

// The same books, kept the simple way.
void ExpectAsOracle(const std::vector<uint64_t>& numbers) {
  std::set<uint64_t> seen;
  uint64_t twice = 0;
  uint64_t disordered = 0;
  for (const uint64_t number : numbers) {
    if (seen.count(number) != 0) {
      ++twice;
    } else if (!seen.empty() && number < *seen.rbegin()) {
      ++disordered;
    }
    seen.insert(number);
  }
  const uint64_t span = *seen.rbegin() - *seen.begin() + 1;
  ExpectBooks(LedgerOf(numbers), span - seen.size(), twice, disordered);
}

TEST(NumberLedgerTest, AgreesWithTheOracleOnAllShortStreams) {
  constexpr uint64_t kHighest = 7;
  constexpr size_t kLength = 6;
  std::vector<uint64_t> numbers(kLength, 1);
  for (bool more = true; more;) {
    ExpectAsOracle(numbers);
    if (HasFailure()) return;
    size_t digit = 0;
    while (digit < kLength && numbers[digit] == kHighest) numbers[digit++] = 1;
    more = digit < kLength;
    if (more) ++numbers[digit];
  }
}

}  // namespace
}  // namespace hostmon
