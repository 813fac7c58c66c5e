// SPDX-License-Identifier: Apache-2.0
//
// The topics of hostmon, written down once for both sides:
//
//   host/<name>/<kind>      kind = cpu | memory | disks | network | processes
//
// Each kind has its own message type, so the type names the kind.

#ifndef IPC_EXAMPLES_HOSTMON_TOPICS_H_
#define IPC_EXAMPLES_HOSTMON_TOPICS_H_

#include <string>
#include <string_view>

#include "examples/hostmon/hostmon.pb.h"

namespace hostmon {

// The last segment of the topic of message type T.
template <typename T>
inline constexpr std::string_view kKind = T::no_such_kind;
template <>
inline constexpr std::string_view kKind<v1::Cpu> = "cpu";
template <>
inline constexpr std::string_view kKind<v1::Memory> = "memory";
template <>
inline constexpr std::string_view kKind<v1::Disks> = "disks";
template <>
inline constexpr std::string_view kKind<v1::Network> = "network";
template <>
inline constexpr std::string_view kKind<v1::Processes> = "processes";

// The topic of message type T of a host; with "*" the pattern for all hosts.
template <typename T>
std::string TopicOf(std::string_view host) {
  return "host/" + std::string(host) + "/" + std::string(kKind<T>);
}

// The <name> of a topic made by TopicOf; empty if it is none.
std::string_view HostOf(std::string_view topic);

// `name` as one segment of a topic: what may not stand there becomes '-', and
// 64 bytes stay at the most. "unknown" for an empty name.
std::string HostSegment(std::string_view name);

// HostSegment of this machine's name.
std::string ThisHost();

}  // namespace hostmon

#endif  // IPC_EXAMPLES_HOSTMON_TOPICS_H_
