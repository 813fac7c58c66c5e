// SPDX-License-Identifier: Apache-2.0
//
// Checks names character by character and matches patterns segment by segment.

#include "libipc/base/topic_grammar.h"

#include <cstddef>
#include <string>

#include "absl/strings/str_cat.h"
#include "libipc/base/limits.h"

namespace ipc {
namespace {

bool IsSegmentCharacter(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
         (c >= '0' && c <= '9') || c == '_' || c == '.' || c == '-';
}

enum class Wildcards { kForbidden, kAllowed };

// An empty result means that the segment is in order.
std::string FaultOfSegment(std::string_view segment, Wildcards wildcards) {
  if (segment.empty()) return "an empty segment";
  if (wildcards == Wildcards::kAllowed && (segment == "*" || segment == "**")) {
    return "";
  }
  for (char c : segment) {
    if (IsSegmentCharacter(c)) continue;
    if (c == '*' && wildcards == Wildcards::kAllowed) {
      return "a '*' beside other characters in a segment";
    }
    if (c > ' ' && c < 127) return std::string("the character '") + c + "'";
    return absl::StrCat("the byte ", static_cast<unsigned char>(c));
  }
  return "";
}

absl::Status Fault(std::string_view what, std::string_view fault,
                   size_t offset) {
  return absl::InvalidArgumentError(absl::StrCat(
      absl::string_view(what.data(), what.size()), " has ",
      absl::string_view(fault.data(), fault.size()), " at byte ", offset,
      "; segments of [A-Za-z0-9_.-] between '/' are allowed"));
}

// Of a client or a group.
absl::Status ValidateName(std::string_view what, std::string_view name,
                          size_t bytes_max) {
  absl::string_view kind(what.data(), what.size());
  if (name.size() > bytes_max) {
    return absl::InvalidArgumentError(absl::StrCat(
        kind, " has ", name.size(), " bytes; the limit is ", bytes_max));
  }
  std::string fault = FaultOfSegment(name, Wildcards::kForbidden);
  if (fault.empty()) return absl::OkStatus();
  return absl::InvalidArgumentError(
      absl::StrCat(kind, " has ", fault, "; [A-Za-z0-9_.-] are allowed"));
}

absl::Status Validate(std::string_view what, std::string_view name,
                      Wildcards wildcards) {
  if (name.empty()) return Fault(what, "no characters", 0);
  if (name.size() > kTopicBytesMax) {
    return absl::InvalidArgumentError(
        absl::StrCat(absl::string_view(what.data(), what.size()), " has ",
                     name.size(), " bytes; the limit is ", kTopicBytesMax));
  }
  size_t offset = 0;
  int segments = 0;
  int double_stars = 0;
  for (bool first = true;; first = false) {
    size_t slash = name.find('/', offset);
    std::string_view segment = name.substr(
        offset, slash == std::string_view::npos ? slash : slash - offset);
    bool broker_segment =
        first && segment == kBrokerSegment && wildcards == Wildcards::kAllowed;
    if (!broker_segment) {
      std::string fault = FaultOfSegment(segment, wildcards);
      if (!fault.empty()) return Fault(what, fault, offset);
    }
    if (++segments > kTopicSegmentsMax) {
      return absl::InvalidArgumentError(
          absl::StrCat(absl::string_view(what.data(), what.size()),
                       " has more than ", kTopicSegmentsMax, " segments"));
    }
    if (segment == "**" && ++double_stars > kPatternDoubleStarsMax) {
      return absl::InvalidArgumentError(absl::StrCat(
          "pattern has more than ", kPatternDoubleStarsMax, " '**'"));
    }
    if (slash == std::string_view::npos) return absl::OkStatus();
    offset = slash + 1;
  }
}

// Only the last "**" met so far is ever given one segment more: whatever an
// earlier one could reach by growing, the last one reaches too. So the steps
// are bounded by the product of the lengths, not by a power of them.
bool MatchSegments(std::string_view pattern, std::string_view topic) {
  bool starred = false;
  std::string_view behind_star;   // the pattern behind the last "**"
  std::string_view star_segment;  // the topic from where that goes on
  while (!topic.empty()) {
    std::string_view pattern_rest = pattern;
    std::string_view element = TakeSegment(&pattern_rest);
    if (element == "**") {
      starred = true;
      behind_star = pattern = pattern_rest;
      star_segment = topic;
      continue;
    }
    std::string_view topic_rest = topic;
    std::string_view segment = TakeSegment(&topic_rest);
    if (!element.empty() && (element == "*" || element == segment)) {
      pattern = pattern_rest;
      topic = topic_rest;
      continue;
    }
    if (!starred) return false;
    TakeSegment(&star_segment);
    topic = star_segment;
    pattern = behind_star;
  }
  while (!pattern.empty()) {
    if (TakeSegment(&pattern) != "**") return false;
  }
  return true;
}

}  // namespace

absl::Status ValidateTopic(std::string_view topic) {
  return Validate("topic", topic, Wildcards::kForbidden);
}

absl::Status ValidatePattern(std::string_view pattern) {
  return Validate("pattern", pattern, Wildcards::kAllowed);
}

absl::Status ValidateClientName(std::string_view name) {
  return ValidateName("client name", name, kClientNameBytesMax);
}

absl::Status ValidateGroupName(std::string_view name) {
  return ValidateName("group name", name, kGroupNameBytesMax);
}

bool MatchPattern(std::string_view pattern, std::string_view topic) {
  // Wildcards do not reach into the broker's own topics.
  std::string_view pattern_rest = pattern;
  std::string_view topic_rest = topic;
  bool pattern_of_broker = TakeSegment(&pattern_rest) == kBrokerSegment;
  bool topic_of_broker = TakeSegment(&topic_rest) == kBrokerSegment;
  if (pattern_of_broker != topic_of_broker) return false;
  return MatchSegments(pattern, topic);
}

bool IsLiteral(std::string_view pattern) {
  return pattern.find('*') == std::string_view::npos;
}

std::string_view TakeSegment(std::string_view* rest) {
  size_t slash = rest->find('/');
  std::string_view segment = rest->substr(0, slash);
  *rest = slash == std::string_view::npos ? std::string_view()
                                          : rest->substr(slash + 1);
  return segment;
}

}  // namespace ipc
