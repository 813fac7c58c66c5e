// SPDX-License-Identifier: Apache-2.0
//
// Watching clients: the program's handles, and telling them.

#include <algorithm>
#include <utility>

#include "ipc/presence.h"
#include "libipc/base/status_macros.h"
#include "libipc/client_impl.h"

namespace ipc {
namespace {

PresenceEvent EventOf(const wire::Presence& presence) {
  using Change = PresenceEvent::Change;
  PresenceEvent event;
  switch (presence.change) {
    case wire::PresenceChange::kLost:
      event.change = Change::kLost;
      break;
    case wire::PresenceChange::kReturned:
      event.change = Change::kReturned;
      break;
    case wire::PresenceChange::kWent:
      event.change = Change::kWent;
      break;
    default:
      event.change = Change::kCame;
  }
  event.initial = presence.initial;
  event.name = presence.name;
  event.session = ToHex(presence.session.token);
  event.pid = presence.session.pid;
  event.uid = presence.session.uid;
  event.gid = presence.gid;
  event.reason = static_cast<CloseReason>(presence.reason);
  event.text = presence.text;
  return event;
}

}  // namespace

absl::StatusOr<std::shared_ptr<WatchImpl>> ClientImpl::WatchClients(
    PresenceHandler handler) {
  if (handler == nullptr) {
    return absl::InvalidArgumentError("WatchClients needs a handler");
  }
  {
    MutexLock lock(&mu_);
    IPC_RETURN_IF_ERROR(CheckRunning());
  }
  auto watch = std::make_shared<WatchImpl>();
  watch->handler = std::move(handler);
  Post([this, watch] { AddWatch(watch); });
  return watch;
}

void ClientImpl::Unwatch(const std::shared_ptr<WatchImpl>& watch) {
  watch->closed = true;
  if (!stopping_) {
    Post(
        [self = shared_from_this(), watch] { self->RemoveWatch(watch.get()); });
  }
  if (OnLoopThread()) return;
  MutexLock lock(&mu_);
  auto left = [&]() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_) {
    return watch_dispatching_ != watch.get();
  };
  mu_.Await(left);
}

// -- In the loop from here on.

void ClientImpl::AddWatch(const std::shared_ptr<WatchImpl>& watch) {
  core::Roster& roster = session_.roster();
  CollectPresence();  // what is new is for the others alone
  for (const wire::Presence& presence : roster.There()) {
    presences_.emplace_back(watch, presence);
  }
  watches_.push_back(watch);
  if (watches_.size() > 1) return;
  MutexLock lock(&mu_);
  roster.Watch(session_.ready() ? session_.publishing().control() : nullptr);
  Send();
}

void ClientImpl::RemoveWatch(const WatchImpl* watch) {
  auto removed =
      std::find_if(watches_.begin(), watches_.end(),
                   [watch](const auto& known) { return known.get() == watch; });
  if (removed == watches_.end()) return;
  watches_.erase(removed);
  if (!watches_.empty()) return;
  presences_.clear();
  MutexLock lock(&mu_);
  session_.roster().Unwatch(session_.ready() ? session_.publishing().control()
                                             : nullptr);
  presence_at_ = MonotonicTime::Never();
  Send();
}

void ClientImpl::CollectPresence() {
  for (const wire::Presence& change : session_.roster().TakeChanges()) {
    for (const auto& watch : watches_) presences_.emplace_back(watch, change);
  }
}

// Also while a handler runs, which is told later.
void ClientImpl::OnPresenceTime() {
  if (watches_.empty()) return;
  core::Roster& roster = session_.roster();
  if (roster.NextDeadline() <= now_) roster.OnTime(now_);
  MutexLock lock(&mu_);
  presence_at_ = roster.NextDeadline();
}

void ClientImpl::TellPresence() {
  CollectPresence();
  if (presences_.empty()) return;
  while (!presences_.empty()) {
    auto [watch, presence] = std::move(presences_.front());
    presences_.pop_front();
    {
      MutexLock lock(&mu_);
      watch_dispatching_ = watch.get();
    }
    if (stopping_ || watch->closed.load(std::memory_order_acquire)) continue;
    handling_ = true;
    watch->handler(EventOf(presence));
    handling_ = false;
  }
  MutexLock lock(&mu_);
  watch_dispatching_ = nullptr;
}

// -- The public face

ClientWatch::ClientWatch(std::shared_ptr<ClientImpl> client,
                         std::shared_ptr<WatchImpl> impl)
    : client_(std::move(client)), impl_(std::move(impl)) {}

ClientWatch::ClientWatch(ClientWatch&&) noexcept = default;

ClientWatch& ClientWatch::operator=(ClientWatch&& other) noexcept {
  std::swap(client_, other.client_);
  std::swap(impl_, other.impl_);
  return *this;
}

ClientWatch::~ClientWatch() {
  if (impl_ != nullptr) client_->Unwatch(impl_);
}

absl::StatusOr<ClientWatch> Client::WatchClients(PresenceHandler handler) {
  IPC_ASSIGN_OR_RETURN(std::shared_ptr<WatchImpl> watch,
                       impl_->WatchClients(std::move(handler)));
  return ClientWatch(impl_, std::move(watch));
}

}  // namespace ipc
