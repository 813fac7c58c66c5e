// SPDX-License-Identifier: Apache-2.0
//
// The grammar of names. Each rule has an example, and everything small is
// compared with two oracles written here from the text of ipc/topic.h:
//
//   validity   split at '/', look at each segment, count
//   matching   "*" takes one segment, "**" takes none or one and stays: the
//              O(2^n) recursion that is the definition itself
//
// Both run over all inputs of a small alphabet, where every shape occurs.

#include "libipc/base/topic_grammar.h"

#include <gtest/gtest.h>

#include <cstddef>
#include <random>
#include <string>
#include <string_view>
#include <vector>

#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "libipc/base/limits.h"
#include "tests/support/seed.h"

namespace ipc {
namespace {

using Segments = std::vector<std::string>;

// -- The oracles --

bool IsPlainSegment(const std::string& segment) {
  static const std::string kAllowed =
      "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_.-";
  return !segment.empty() &&
         segment.find_first_not_of(kAllowed) == std::string::npos;
}

bool OracleIsTopic(const std::string& name) {
  const Segments segments = absl::StrSplit(name, '/');
  if (name.size() > 255 || segments.size() > 32) return false;
  for (const std::string& segment : segments) {
    if (!IsPlainSegment(segment)) return false;
  }
  return true;
}

bool OracleIsPattern(const std::string& name) {
  const Segments segments = absl::StrSplit(name, '/');
  if (name.size() > 255 || segments.size() > 32) return false;
  int double_stars = 0;
  for (size_t i = 0; i < segments.size(); ++i) {
    const bool of_broker = i == 0 && segments[i] == "$ipc";
    const bool wildcard = segments[i] == "*" || segments[i] == "**";
    if (!of_broker && !wildcard && !IsPlainSegment(segments[i])) return false;
    if (segments[i] == "**") ++double_stars;
  }
  return double_stars <= 4;
}

// Whether pattern[p...] covers topic[t...].
bool OracleCovers(const Segments& pattern, size_t p, const Segments& topic,
                  size_t t) {
  if (p == pattern.size()) return t == topic.size();
  if (pattern[p] == "**") {
    return OracleCovers(pattern, p + 1, topic, t) ||
           (t < topic.size() && OracleCovers(pattern, p, topic, t + 1));
  }
  return t < topic.size() && (pattern[p] == "*" || pattern[p] == topic[t]) &&
         OracleCovers(pattern, p + 1, topic, t + 1);
}

bool OracleMatches(const Segments& pattern, const Segments& topic) {
  if ((pattern[0] == "$ipc") != (topic[0] == "$ipc")) return false;
  return OracleCovers(pattern, 0, topic, 0);
}

// -- All small inputs --

// Every sequence of 1 to `length_max` elements of the alphabet.
std::vector<Segments> AllSequences(const Segments& alphabet,
                                   size_t length_max) {
  std::vector<Segments> all = {{}};
  for (size_t begin = 0, length = 1; length <= length_max; ++length) {
    const size_t end = all.size();
    for (; begin < end; ++begin) {
      for (const std::string& element : alphabet) {
        Segments longer = all[begin];
        longer.push_back(element);
        all.push_back(longer);
      }
    }
  }
  all.erase(all.begin());
  return all;
}

void CompareMatching(const std::vector<Segments>& patterns,
                     const std::vector<Segments>& topics) {
  for (const Segments& pattern : patterns) {
    const std::string pattern_text = absl::StrJoin(pattern, "/");
    ASSERT_EQ(ValidatePattern(pattern_text), absl::OkStatus()) << pattern_text;
    for (const Segments& topic : topics) {
      const std::string topic_text = absl::StrJoin(topic, "/");
      ASSERT_EQ(MatchPattern(pattern_text, topic_text),
                OracleMatches(pattern, topic))
          << "pattern " << pattern_text << ", topic " << topic_text;
    }
  }
}

TEST(MatchPatternTest, AgreesWithTheOracleOnAllSmallPatternsAndTopics) {
  CompareMatching(AllSequences({"a", "b", "*", "**"}, 4),
                  AllSequences({"a", "b"}, 4));
}

TEST(MatchPatternTest, AgreesWithTheOracleOnTopicsLongerThanThePattern) {
  CompareMatching(AllSequences({"a", "*", "**"}, 4),
                  AllSequences({"a", "b"}, 8));
}

TEST(MatchPatternTest, AgreesWithTheOracleWhereSegmentsArePrefixesOfEachOther) {
  CompareMatching(AllSequences({"a", "aa", "*", "**"}, 4),
                  AllSequences({"a", "aa"}, 4));
}

TEST(MatchPatternTest, AgreesWithTheOracleOnTopicsOfTheBroker) {
  auto under_broker = [](std::vector<Segments> all) {
    const size_t count = all.size();
    for (size_t i = 0; i < count; ++i) {
      Segments own = all[i];
      own.insert(own.begin(), "$ipc");
      all.push_back(own);
    }
    all.push_back({"$ipc"});
    return all;
  };
  CompareMatching(under_broker(AllSequences({"a", "b", "*", "**"}, 3)),
                  under_broker(AllSequences({"a", "b"}, 3)));
}

TEST(MatchPatternTest, AgreesWithTheOracleOnRandomLongNames) {
  SCOPED_TRACE(test::SeedNote());
  std::mt19937_64 random(test::Seed());
  auto draw = [&random](const Segments& alphabet, size_t length_max) {
    Segments name(1 + random() % length_max);
    for (std::string& segment : name) {
      segment = alphabet[random() % alphabet.size()];
    }
    return name;
  };
  std::vector<Segments> patterns;
  while (patterns.size() < 300) {
    patterns.push_back(draw({"a", "a", "b", "*", "**"}, 9));
    if (!OracleIsPattern(absl::StrJoin(patterns.back(), "/"))) {
      patterns.pop_back();
    }
  }
  std::vector<Segments> topics;
  while (topics.size() < 300) topics.push_back(draw({"a", "b"}, 12));
  CompareMatching(patterns, topics);
}

TEST(MatchPatternTest, StarIsExactlyOneSegment) {
  EXPECT_TRUE(MatchPattern("sensors/*/raw", "sensors/imu/raw"));
  EXPECT_FALSE(MatchPattern("sensors/*/raw", "sensors/raw"));
  EXPECT_FALSE(MatchPattern("sensors/*/raw", "sensors/imu/left/raw"));
  EXPECT_FALSE(MatchPattern("*", "a/b"));
}

TEST(MatchPatternTest, DoubleStarIsAnyNumberOfSegmentsNoneIncluded) {
  EXPECT_TRUE(MatchPattern("sensors/**", "sensors"));
  EXPECT_TRUE(MatchPattern("sensors/**", "sensors/imu/raw"));
  EXPECT_TRUE(MatchPattern("**/raw", "raw"));
  EXPECT_TRUE(MatchPattern("a/**/b", "a/b"));
  EXPECT_FALSE(MatchPattern("sensors/**", "sensorsimu"));
}

TEST(MatchPatternTest, WildcardsDoNotReachIntoTheBrokersTopics) {
  EXPECT_FALSE(MatchPattern("**", "$ipc/clients"));
  EXPECT_FALSE(MatchPattern("*/clients", "$ipc/clients"));
  EXPECT_FALSE(MatchPattern("*", "$ipc"));
  EXPECT_TRUE(MatchPattern("$ipc/**", "$ipc/clients"));
  EXPECT_TRUE(MatchPattern("$ipc/*", "$ipc/clients"));
  EXPECT_TRUE(MatchPattern("$ipc", "$ipc"));
}

TEST(MatchPatternTest, CaseAndPunctuationAreSignificant) {
  EXPECT_FALSE(MatchPattern("Sensors", "sensors"));
  EXPECT_FALSE(MatchPattern("a.b", "a-b"));
  EXPECT_FALSE(MatchPattern("a.b", "a/b"));
}

// A matcher that tries every way to share out the segments among the "**"
// takes 0.1 s for one of these, and a broker that matches thousands stands
// still. The topic is longer than a valid one to make a power of its length
// plain; the test's time limit guards.
TEST(MatchPatternTest, StepsAreBoundedByTheProductOfTheLengths) {
  std::string topic = "a";
  for (int i = 1; i < 128; ++i) topic += "/a";
  for (const char* pattern :
       {"**/**/**/**/b", "**/a/**/a/**/a/**/b", "a/**/a/**/*/**/a/**/b"}) {
    ASSERT_EQ(ValidatePattern(pattern), absl::OkStatus());
    for (int i = 0; i < 10'000; ++i) {
      ASSERT_FALSE(MatchPattern(pattern, topic));
    }
    EXPECT_TRUE(MatchPattern(pattern, topic + "/b"));
  }
}

// -- Validity --

TEST(ValidateTest, AgreesWithTheOracleOnAllShortNames) {
  // Six characters of each sort: allowed, '/', '*', '$', and two that are not.
  const std::vector<Segments> all = AllSequences({"a", "/", "*", "-", " "}, 6);
  for (const Segments& characters : all) {
    const std::string name = absl::StrJoin(characters, "");
    ASSERT_EQ(ValidateTopic(name).ok(), OracleIsTopic(name)) << name;
    ASSERT_EQ(ValidatePattern(name).ok(), OracleIsPattern(name)) << name;
  }
}

TEST(ValidateTest, AgreesWithTheOracleOnSegmentsNearTheBrokersName) {
  const std::vector<Segments> all =
      AllSequences({"$ipc", "$ip", "$ipcs", "ipc", "$", "**", ""}, 4);
  for (const Segments& segments : all) {
    const std::string name = absl::StrJoin(segments, "/");
    ASSERT_EQ(ValidateTopic(name).ok(), OracleIsTopic(name)) << name;
    ASSERT_EQ(ValidatePattern(name).ok(), OracleIsPattern(name)) << name;
  }
}

TEST(ValidateTest, AgreesWithTheOracleOnEveryByteAtEveryPlace) {
  for (int value = 0; value < 256; ++value) {
    const char byte = static_cast<char>(value);
    for (size_t place = 0; place < 5; ++place) {
      std::string name = "ab/cd";
      name[place] = byte;
      ASSERT_EQ(ValidateTopic(name).ok(), OracleIsTopic(name)) << value;
      ASSERT_EQ(ValidatePattern(name).ok(), OracleIsPattern(name)) << value;
    }
    const std::string alone(1, byte);
    ASSERT_EQ(ValidateClientName(alone).ok(), IsPlainSegment(alone)) << value;
    ASSERT_EQ(ValidateClientName("x" + alone).ok(), IsPlainSegment(alone));
  }
}

TEST(ValidateTest, TwoHundredAndFiftyFiveBytesAreAllowedAndOneMoreIsNot) {
  const std::string longest(255, 'a');
  EXPECT_EQ(ValidateTopic(longest), absl::OkStatus());
  EXPECT_EQ(ValidatePattern(longest), absl::OkStatus());
  const absl::Status topic = ValidateTopic(longest + "a");
  EXPECT_EQ(topic.code(), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(topic.message(), "topic has 256 bytes; the limit is 255");
  EXPECT_EQ(ValidatePattern(longest + "a").message(),
            "pattern has 256 bytes; the limit is 255");
}

TEST(ValidateTest, PatternMayHaveFourDoubleStarsAndNotFive) {
  EXPECT_EQ(ValidatePattern("**/**/**/**"), absl::OkStatus());
  EXPECT_EQ(ValidatePattern("**/a/**/*/**/b/**/*"), absl::OkStatus());
  const absl::Status five = ValidatePattern("**/a/**/a/**/a/**/a/**");
  EXPECT_EQ(five.code(), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(five.message(), "pattern has more than 4 '**'");
  EXPECT_EQ(ValidatePattern("*/*/*/*/*/*"), absl::OkStatus())
      << "single stars are not counted";
}

TEST(ValidateTest, ThirtyTwoSegmentsAreAllowedAndOneMoreIsNot) {
  const std::string most = absl::StrJoin(Segments(32, "a"), "/");
  EXPECT_EQ(ValidateTopic(most), absl::OkStatus());
  EXPECT_EQ(ValidatePattern(most), absl::OkStatus());
  const absl::Status topic = ValidateTopic(most + "/a");
  EXPECT_EQ(topic.code(), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(topic.message(), "topic has more than 32 segments");
  EXPECT_EQ(ValidatePattern(most + "/*").message(),
            "pattern has more than 32 segments");
}

TEST(ValidateTest, RefusalNamesTheFaultAndItsPlace) {
  struct Case {
    std::string name;
    std::string fault;
  };
  const std::vector<Case> cases = {
      {"", "topic has no characters at byte 0;"},
      {"/a", "topic has an empty segment at byte 0;"},
      {"a//b", "topic has an empty segment at byte 2;"},
      {"a/b/", "topic has an empty segment at byte 4;"},
      {"a/b*", "topic has the character '*' at byte 2;"},
      {"a/**", "topic has the character '*' at byte 2;"},
      {"$ipc/x", "topic has the character '$' at byte 0;"},
      {"a/b c", "topic has the byte 32 at byte 2;"},
      {"a/\x7f", "topic has the byte 127 at byte 2;"},
      {"a/\xc3\xa4", "topic has the byte 195 at byte 2;"},
      {std::string("a\0b", 3), "topic has the byte 0 at byte 0;"},
  };
  for (const Case& c : cases) {
    const absl::Status status = ValidateTopic(c.name);
    EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument) << c.name;
    EXPECT_EQ(status.message().substr(0, c.fault.size()), c.fault);
  }
}

TEST(ValidateTest, StarStandsAloneInASegmentOfAPattern) {
  for (const char* pattern : {"a*", "*a", "a/b*c", "***", "a/***/b", "**a"}) {
    const absl::Status status = ValidatePattern(pattern);
    EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument) << pattern;
    EXPECT_NE(status.message().find("a '*' beside other characters"),
              absl::string_view::npos);
  }
}

TEST(ValidateTest, BrokersSegmentIsAllowedFirstInAPatternOnly) {
  EXPECT_EQ(ValidatePattern("$ipc/**"), absl::OkStatus());
  EXPECT_EQ(ValidatePattern("$ipc"), absl::OkStatus());
  EXPECT_FALSE(ValidatePattern("a/$ipc").ok());
  EXPECT_FALSE(ValidatePattern("$ipcs").ok());
  EXPECT_FALSE(ValidateTopic("$ipc").ok());
  EXPECT_FALSE(ValidateTopic("$ipc/clients").ok());
}

TEST(ValidateTest, EveryTopicIsAPatternAndMatchesItselfAlone) {
  const std::vector<Segments> topics = AllSequences({"a", "b", "a.b-_9Z"}, 3);
  for (const Segments& one : topics) {
    const std::string pattern = absl::StrJoin(one, "/");
    ASSERT_EQ(ValidatePattern(pattern), absl::OkStatus());
    ASSERT_TRUE(IsLiteral(pattern));
    for (const Segments& other : topics) {
      ASSERT_EQ(MatchPattern(pattern, absl::StrJoin(other, "/")), one == other);
    }
  }
}

TEST(ValidateTest, ClientNameIsOneSegmentOfOneToSixtyFourCharacters) {
  EXPECT_EQ(ValidateClientName("imu-driver_2.0"), absl::OkStatus());
  EXPECT_EQ(ValidateClientName(std::string(64, 'x')), absl::OkStatus());
  const absl::Status longer = ValidateClientName(std::string(65, 'x'));
  EXPECT_EQ(longer.code(), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(longer.message(), "client name has 65 bytes; the limit is 64");
  for (const char* name : {"", "a/b", "*", "**", "$ipc", "a b"}) {
    EXPECT_EQ(ValidateClientName(name).code(),
              absl::StatusCode::kInvalidArgument)
        << name;
  }
}

// -- Pieces --

TEST(IsLiteralTest, AnyStarMakesAPatternOfManyTopics) {
  EXPECT_TRUE(IsLiteral("a/b"));
  EXPECT_TRUE(IsLiteral("$ipc/clients"));
  EXPECT_FALSE(IsLiteral("*"));
  EXPECT_FALSE(IsLiteral("a/**"));
}

TEST(TakeSegmentTest, CutsOffOneAfterTheOther) {
  for (const Segments& segments : AllSequences({"a", "bb", "*", "**"}, 4)) {
    const std::string name = absl::StrJoin(segments, "/");
    std::string_view rest = name;
    Segments taken;
    while (!rest.empty()) taken.emplace_back(TakeSegment(&rest));
    EXPECT_EQ(taken, segments);
  }
}

}  // namespace
}  // namespace ipc
