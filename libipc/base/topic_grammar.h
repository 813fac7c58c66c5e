// SPDX-License-Identifier: Apache-2.0
//
// The grammar of topics and patterns; see ipc/topic.h for its text.

#ifndef IPC_LIBIPC_BASE_TOPIC_GRAMMAR_H_
#define IPC_LIBIPC_BASE_TOPIC_GRAMMAR_H_

#include <string_view>

#include "absl/status/status.h"

namespace ipc {

// Topics under this segment are the broker's own.
inline constexpr std::string_view kBrokerSegment = "$ipc";

absl::Status ValidateTopic(std::string_view topic);
absl::Status ValidatePattern(std::string_view pattern);
// 1 to 64 characters of a segment.
absl::Status ValidateClientName(std::string_view name);
absl::Status ValidateGroupName(std::string_view name);

// Both must be valid. O(length of the one times length of the other).
bool MatchPattern(std::string_view pattern, std::string_view topic);
// Whether the pattern names exactly one topic.
bool IsLiteral(std::string_view pattern);

// Cuts the first segment off `*rest`; an empty rest means it was the last.
std::string_view TakeSegment(std::string_view* rest);

}  // namespace ipc

#endif  // IPC_LIBIPC_BASE_TOPIC_GRAMMAR_H_
