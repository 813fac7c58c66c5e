// SPDX-License-Identifier: Apache-2.0
//
// The grammar of names on the bus.
//
//   topic   = segment *31( "/" segment )        at most 255 bytes
//   segment = 1*( A-Z a-z 0-9 "_" "." "-" )
//   pattern = element *31( "/" element )        at most 255 bytes
//   element = segment / "*" / "**"
//
// In a pattern "*" stands for exactly one segment and "**" for any number of
// them, none included; a pattern has at most 4 "**". Topics whose first segment
// is "$ipc" belong to the broker: nobody else may publish there, and only a
// pattern whose first segment is the literal "$ipc" sees them.

#ifndef IPC_LIBIPC_INCLUDE_IPC_TOPIC_H_
#define IPC_LIBIPC_INCLUDE_IPC_TOPIC_H_

#include <string_view>

#include "absl/status/status.h"
#include "ipc/export.h"

namespace ipc {

// OK when `topic` may be published on by a client.
// Errors: kInvalidArgument names the first offending place.
IPC_EXPORT absl::Status CheckTopic(std::string_view topic);

// OK when `pattern` may be subscribed to. Every topic is also a pattern.
// Errors: kInvalidArgument names the first offending place.
IPC_EXPORT absl::Status CheckPattern(std::string_view pattern);

// Whether the valid `pattern` covers the valid `topic`. O(length of the two)
// but for patterns with several "**".
IPC_EXPORT bool PatternMatches(std::string_view pattern,
                               std::string_view topic);

}  // namespace ipc

#endif  // IPC_LIBIPC_INCLUDE_IPC_TOPIC_H_
