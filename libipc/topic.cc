// SPDX-License-Identifier: Apache-2.0
//
// The public face of the grammar of names.

#include "ipc/topic.h"

#include "libipc/base/topic_grammar.h"

namespace ipc {

absl::Status CheckTopic(std::string_view topic) { return ValidateTopic(topic); }

absl::Status CheckPattern(std::string_view pattern) {
  return ValidatePattern(pattern);
}

bool PatternMatches(std::string_view pattern, std::string_view topic) {
  return MatchPattern(pattern, topic);
}

}  // namespace ipc
