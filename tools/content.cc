// SPDX-License-Identifier: Apache-2.0
//
// See content.h.

#include "tools/content.h"

#include <cstddef>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "ipc/message.h"
#include "tools/output.h"
#include "tools/text.h"

namespace ipc::tools {
namespace {

// Showing waits this long for descriptors: a broker answers in well under a
// millisecond, and Ctrl-C is not heard meanwhile.
constexpr absl::Duration kSchemaTimeout = absl::Seconds(1);

// Not one question for each message of a publisher whose descriptors are gone.
constexpr absl::Duration kSchemaRetry = absl::Seconds(10);

// A publisher could make up hashes for ever.
constexpr size_t kFailuresMax = 1000;

}  // namespace

Content ContentReader::Read(const Message& message) {
  Content content;
  if (!message.source().schema_hash.empty()) {
    absl::StatusOr<std::string> json = ToJson(message);
    // Such as a google.protobuf.Value that is not set.
    if (json.ok() && json->empty()) {
      json = absl::DataLossError("the message has no form in JSON");
    }
    if (json.ok()) {
      content.kind = Content::Kind::kJson;
      content.json = *std::move(json);
      return content;
    }
    content.problem = StatusText(json.status());
  }
  if (IsText(message.text())) content.kind = Content::Kind::kText;
  return content;
}

absl::StatusOr<std::string> ContentReader::ToJson(const Message& message) {
  const std::string& hash = message.source().schema_hash;
  const auto failure = failures_.find(hash);
  if (failure != failures_.end()) {
    if (absl::Now() < failure->second.retry) {
      return absl::UnavailableError(failure->second.problem);
    }
    failures_.erase(failure);
  }
  absl::StatusOr<std::string> json = decoder_.ToJson(message, kSchemaTimeout);
  // kDataLoss is the fault of this one payload.
  if (json.ok() || absl::IsDataLoss(json.status())) return json;
  if (failures_.size() >= kFailuresMax) failures_.clear();
  failures_[hash] = {StatusText(json.status()), absl::Now() + kSchemaRetry};
  return json;
}

}  // namespace ipc::tools
