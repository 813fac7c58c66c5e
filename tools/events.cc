// SPDX-License-Identifier: Apache-2.0
//
// See events.h.

#include "tools/events.h"

#include <cstddef>
#include <functional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/str_format.h"
#include "absl/synchronization/mutex.h"
#include "ipc/message.h"
#include "ipc/options.h"
#include "tools/gaps.h"
#include "tools/output.h"

namespace ipc::tools {
namespace {

// The main thread takes them several times a second, unless its output blocks.
constexpr size_t kNoticesMax = 64;

}  // namespace

std::function<void(const Event&)> Events::Handler() {
  return [this](const Event& event) { On(event); };
}

std::vector<Gap> Events::TakeGapsBefore(const Message& message) {
  absl::MutexLock lock(&mutex_);
  return gaps_.TakeBefore(message);
}

std::vector<Gap> Events::TakeGaps() {
  absl::MutexLock lock(&mutex_);
  return gaps_.TakeAll();
}

std::vector<std::string> Events::TakeNotices() {
  absl::MutexLock lock(&mutex_);
  std::vector<std::string> taken(notices_.begin(), notices_.end());
  notices_.clear();
  return taken;
}

absl::Status Events::refusal() const {
  absl::MutexLock lock(&mutex_);
  return refusal_;
}

void Events::TellWaiting(const std::string& notice) {
  absl::MutexLock lock(&mutex_);
  awaited_ = true;
  AddNotice(notice);
}

void Events::On(const Event& event) {
  absl::MutexLock lock(&mutex_);
  switch (event.kind) {
    case Event::Kind::kConnected:
      if (awaited_) AddNotice("connected to the broker");
      awaited_ = false;
      last_loss_.clear();
      break;
    case Event::Kind::kDisconnected:
      AddLoss(absl::StrFormat("no connection to the broker: %s; trying again",
                              StatusText(event.status)));
      break;
    case Event::Kind::kGap:
      gaps_.Add({event.source, event.first, event.last, event.reason});
      break;
    case Event::Kind::kRefused:
      if (!refusal_.ok()) break;
      refusal_ =
          absl::Status(event.status.code(),
                       absl::StrFormat("the broker refused '%s': %s",
                                       event.name, StatusText(event.status)));
      break;
  }
}

void Events::AddLoss(const std::string& notice) {
  awaited_ = true;
  if (notice == last_loss_) return;
  last_loss_ = notice;
  AddNotice(notice);
}

void Events::AddNotice(const std::string& notice) {
  notices_.push_back(notice);
  if (notices_.size() > kNoticesMax) notices_.pop_front();
}

void ShowNotices(Events* events) {
  for (const std::string& notice : events->TakeNotices()) Complain(notice);
}

}  // namespace ipc::tools
