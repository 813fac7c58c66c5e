// SPDX-License-Identifier: Apache-2.0
//
// The public reasons are those of the wire, number by number.

#include "ipc/options.h"
#include "libipc/wire/frame.h"

namespace ipc {
namespace {

constexpr bool Same(GapReason reason, wire::GapReason on_wire) {
  return static_cast<int>(reason) == static_cast<int>(on_wire);
}
static_assert(Same(GapReason::kUnspecified, wire::GapReason::kUnspecified));
static_assert(Same(GapReason::kDepth, wire::GapReason::kDepth));
static_assert(Same(GapReason::kStalled, wire::GapReason::kStalled));
static_assert(Same(GapReason::kExpired, wire::GapReason::kExpired));
static_assert(Same(GapReason::kGraceOver, wire::GapReason::kGraceOver));
static_assert(Same(GapReason::kRefused, wire::GapReason::kRefused));
static_assert(Same(GapReason::kLatest, wire::GapReason::kLatest));

}  // namespace

std::string_view GapReasonName(GapReason reason) {
  switch (reason) {
    case GapReason::kUnspecified:
      break;
    case GapReason::kDepth:
      return "depth";
    case GapReason::kStalled:
      return "stalled";
    case GapReason::kExpired:
      return "expired";
    case GapReason::kGraceOver:
      return "grace-over";
    case GapReason::kRefused:
      return "refused";
    case GapReason::kLatest:
      return "latest";
  }
  return "unspecified";
}

}  // namespace ipc
