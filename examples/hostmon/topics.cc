// SPDX-License-Identifier: Apache-2.0
//
// See topics.h. The grammar of topics is in ipc/topic.h.

#include "examples/hostmon/topics.h"

#include <unistd.h>

#include <array>
#include <cstddef>

namespace hostmon {
namespace {

constexpr size_t kHostBytesMax = 64;  // Linux's own limit of a host name

bool MayStandInTopic(char c) {
  return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') ||
         (c >= '0' && c <= '9') || c == '_' || c == '.' || c == '-';
}

}  // namespace

std::string_view HostOf(std::string_view topic) {
  constexpr std::string_view kPrefix = "host/";
  if (!topic.starts_with(kPrefix)) return {};
  topic.remove_prefix(kPrefix.size());
  const size_t slash = topic.find('/');
  if (slash == std::string_view::npos) return {};
  return topic.substr(0, slash);
}

std::string HostSegment(std::string_view name) {
  if (name.empty()) return "unknown";
  std::string segment(name.substr(0, kHostBytesMax));
  for (char& c : segment) {
    if (!MayStandInTopic(c)) c = '-';
  }
  return segment;
}

std::string ThisHost() {
  std::array<char, kHostBytesMax + 1> name{};
  if (gethostname(name.data(), name.size() - 1) != 0) name[0] = '\0';
  return HostSegment(name.data());
}

}  // namespace hostmon
