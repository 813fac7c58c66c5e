// SPDX-License-Identifier: Apache-2.0
//
// As broker/server.cc drives the broker's core, without sockets.

#include "tests/sim/world.h"

#include <algorithm>
#include <cstdio>
#include <limits>

#include "absl/strings/str_cat.h"
#include "libipc/wire/control.h"

namespace ipc::sim {
namespace {

constexpr size_t kAll = std::numeric_limits<size_t>::max();
constexpr size_t kReadBytes = 128 * 1024;
constexpr size_t kTraceLines = 400;
// No test publishes larger ones.
constexpr uint64_t kMessageBytesMost = 512 * 1024;
// How long after its connection a process may end.
constexpr uint64_t kExitLateMs = 20;

}  // namespace

World::World(const WorldOptions& options)
    : options_(options),
      random_(options.seed),
      now_(MonotonicTime::FromNanoseconds(1'000'000'000)),
      buffer_(kControlFrameBytesMax + kReadBytes) {
  history_.SetTime(now_);
}

World::~World() = default;

void World::Hash(std::initializer_list<uint64_t> values) {
  hash_ = Mix(hash_ ^ static_cast<uint64_t>(now_.nanoseconds()));
  for (uint64_t value : values) hash_ = Mix(hash_ ^ value);
}

void World::AddLine(std::string line, std::initializer_list<uint64_t> values) {
  line = absl::StrCat(now_.nanoseconds() / 1000, " ", line);
  for (uint64_t value : values) absl::StrAppend(&line, " ", value);
  if (options_.print_trace) std::fprintf(stderr, "%s\n", line.c_str());
  trace_.push_back(std::move(line));
  if (trace_.size() > kTraceLines) trace_.pop_front();
}

void World::Note(const char* what, std::initializer_list<uint64_t> values) {
  Hash(values);
  if (options_.keep_trace) AddLine(what, values);
}

void World::NoteFrame(const Link& link, Direction direction,
                      const wire::FrameHeader& header) {
  Hash({ToNumber(link.id), static_cast<uint64_t>(header.kind), header.flags,
        header.target, header.session, header.sequence, header.fragment,
        header.size});
  if (!options_.keep_trace) return;
  AddLine(
      absl::StrCat("  p", link.process, "/", ToNumber(link.id),
                   direction == Direction::kUp ? " > " : " < ",
                   wire::KindName(header.kind), header.flags ? "!" : "",
                   " target ", header.target, " session ", header.session,
                   " sequence ", header.sequence, " fragment ", header.fragment,
                   "/", header.last_fragment, " bytes ", header.size),
      {});
}

Token World::MakeToken() {
  Token token;
  for (uint8_t& byte : token.bytes) {
    byte = static_cast<uint8_t>(random_.Next());
  }
  return token;
}

// -- The broker

void World::StartBroker(bool restarted) {
  Note("broker starts", {restarted});
  broker_ = std::make_unique<broker::Broker>(
      broker::BrokerOptions{
          .instance = MakeToken(),
          .version = "sim",
          .restarted = restarted,
          .reliable_queue_bytes_max = options_.reliable_queue_bytes_max,
          .stall_timeout = options_.stall_timeout},
      now_);
}

void World::KillBroker() {
  Note("broker dies", {});
  history_.OnBrokerDied();
  broker_.reset();
  exits_.clear();
  for (const auto& [id, link] : links_) {
    if (!link->broker_holds) continue;
    link->broker_holds = false;
    link->broken = true;
    link->up.Truncate(0);
    link->down.Truncate(random_.Chance(0.5) ? kAll
                                            : random_.Below(link->down.size()));
  }
  Purge();
}

void World::StopBroker() {
  Note("broker stops", {});
  stopping_ = true;
  broker_->Shutdown(now_);
  FlushBroker();
  stopping_ = false;
  KillBroker();
}

void World::FlushBroker() {
  for (;;) {
    std::vector<broker::Connection*> dirty = broker_->TakeDirty();
    if (dirty.empty()) break;
    for (broker::Connection* connection : dirty) SendFromBroker(connection);
  }
  for (const broker::Ended& ended : broker_->TakeEnded()) {
    Note("broker ends connection",
         {ToNumber(ended.id), static_cast<uint64_t>(ended.reason)});
    if (ended.reason != wire::CloseReason::kSuperseded &&
        ended.reason != wire::CloseReason::kDone &&
        ended.reason != wire::CloseReason::kHandshakeTimeout && !stopping_) {
      history_.Fail(absl::StrCat(
          "the broker closed ", ToNumber(ended.id), " of ", ended.name, ": ",
          std::string(wire::CloseReasonName(ended.reason)), ", ", ended.text));
    }
    if (Link* link = FindLink(ended.id)) {
      link->broker_holds = false;
      link->broken = true;
      link->up.Truncate(0);
    }
    broker_->OnLost(ended.id, /*process_alive=*/true, now_);
  }
  CheckBounds();
  Purge();
}

void World::SendFromBroker(broker::Connection* connection) {
  Link* found = FindLink(connection->id);
  if (found == nullptr || !found->broker_holds) return;
  Link& link = *found;
  broker::Outbox& outbox = connection->outbox;
  bool full = link.broken;
  while (!full && !outbox.empty()) {
    const auto& segments = outbox.Gather();
    size_t offered = 0;
    size_t sent = 0;
    for (std::span<const std::byte> segment : segments) {
      offered += segment.size();
      if (sent + segment.size() == offered) sent += link.down.Write(segment);
    }
    outbox.Sent(sent);
    full = sent < offered;
  }
  outbox.Settle();
  link.stuffed = !outbox.empty();
  broker_->OnSent(connection);
}

// Bounded memory: what a queue may hold is its limit, what one read and one
// incomplete frame bring on top, and the rest of a publication from each
// publisher that resends, or sends to a group.
void World::CheckBounds() {
  for (const auto& [number, session] : broker_->state().sessions) {
    for (const auto& [id, subscription] : session->subscriptions) {
      uint64_t bytes = subscription->lane.bytes();
      const broker::Group* group = subscription->membership->group;
      const auto& links =
          group == nullptr ? subscription->links : group->head->links;
      const uint64_t limit = broker_->state().reliable_queue_bytes_max;
      uint64_t most = limit + 2 * kReadBytes + links.size() * kMessageBytesMost;
      if (bytes > most) {
        history_.Fail(absl::StrCat("queue of ", session->name, " holds ", bytes,
                                   " bytes; the limit is ", limit));
      }
    }
  }
  for (const auto& [id, link] : links_) {
    if (link->up.garbled() || link->down.garbled()) {
      history_.Fail(absl::StrCat("connection ", ToNumber(id), " of p",
                                 link->process, " carries no frames ",
                                 link->up.garbled() ? "up" : "down"));
    }
  }
}

// -- Clients

int World::AddClient(size_t window_bytes) {
  SessionKey key{.token = MakeToken(),
                 .pid = static_cast<int32_t>(1000 + clients_.size()),
                 .uid = 1000};
  int process = history_.AddProcess(key.token);
  Note("process starts", {static_cast<uint64_t>(process), window_bytes});
  clients_.push_back(
      std::make_unique<Client>(process, key, window_bytes, &history_));
  keys_.push_back(key);
  known_at_once_.push_back(true);
  return process;
}

std::vector<int> World::Living() const {
  std::vector<int> living;
  for (int i = 0; i < processes(); ++i) {
    if (alive(i)) living.push_back(i);
  }
  return living;
}

void World::KillClient(int process, bool known_at_once) {
  Note("process dies", {static_cast<uint64_t>(process), known_at_once});
  if (Link* link = client(process).link()) {
    // What it has written stays readable.
    client(process).FinishSend();
    link->client_holds = false;
    link->broken = true;
    link->down.Truncate(0);
  }
  clients_[process].reset();
  known_at_once_[process] = known_at_once;
  history_.OnProcessDied(process);
  Purge();
}

bool World::Connect(int process) {
  if (broker_ == nullptr || client(process).link() != nullptr) return false;
  auto link = std::make_unique<Link>();
  link->id = ConnectionId{++last_connection_};
  link->process = process;
  Note("connects", {static_cast<uint64_t>(process), ToNumber(link->id)});
  link->up.set_capacity(random_.Pick(options_.pipe_bytes));
  link->down.set_capacity(random_.Pick(options_.pipe_bytes));
  Watch(link.get());
  Link* made = link.get();
  links_[made->id] = std::move(link);
  history_.OnConnected(process);
  client(process).OnConnected(made);
  return true;
}

void World::Watch(Link* link) {
  uint64_t id = ToNumber(link->id);
  auto is_new = [](const wire::FrameHeader& header) {
    return header.kind == wire::FrameKind::kPublish &&
           (header.flags & wire::kFlagResend) == 0 &&
           header.fragment == header.last_fragment;
  };
  link->up.set_on_written([=, this](const wire::FrameHeader& header) {
    NoteFrame(*link, Direction::kUp, header);
    if (!is_new(header)) return;
    history_.OnSent(link->process, id, header.target, header.sequence);
  });
  link->up.set_on_read([=, this](const wire::FrameHeader& header) {
    if (!is_new(header)) return;
    history_.OnReceived(link->process, id, header.target, header.sequence);
  });
  link->down.set_on_written([=, this](const wire::FrameHeader& header) {
    NoteFrame(*link, Direction::kDown, header);
  });
  if (fault_ == nullptr) return;
  auto filter = [=, this](Direction direction) {
    return [=, this](wire::FrameHeader* header, std::string* frame) {
      return fault_(link->process, direction, header, frame);
    };
  };
  link->up.set_filter(filter(Direction::kUp));
  link->down.set_filter(filter(Direction::kDown));
}

void World::EndClient(int process) {
  client(process).SayGoodbye();
  KillClient(process, /*known_at_once=*/true);
}

void World::NoticeBreak(int process) {
  Link* link = client(process).link();
  if (link == nullptr || !link->broken) return;
  Note("notices the break", {static_cast<uint64_t>(process)});
  client(process).Disconnect();
  Purge();
}

void World::Cut(int process, size_t keep_up, size_t keep_down) {
  Link* link = client(process).link();
  if (link == nullptr || link->broken) return;
  Note("cut", {static_cast<uint64_t>(process), keep_up, keep_down});
  history_.OnConnectionLost(process);
  link->broken = true;
  link->up.Truncate(keep_up);
  link->down.Truncate(keep_down);
}

void World::Cut(int process) {
  Link* link = client(process).link();
  if (link == nullptr) return;
  Cut(process, random_.Below(link->up.size() + 1),
      random_.Below(link->down.size() + 1));
}

void World::Stall(int process, Direction direction, absl::Duration time) {
  Link* link = client(process).link();
  if (link == nullptr) return;
  Note("stall",
       {static_cast<uint64_t>(process), static_cast<uint64_t>(direction)});
  (direction == Direction::kUp ? link->up_stalled_until
                               : link->down_stalled_until) = now_ + time;
}

void World::Unstall(int process) {
  Link* link = client(process).link();
  if (link == nullptr) return;
  link->up_stalled_until = link->down_stalled_until = MonotonicTime();
}

// -- Moves

std::vector<ConnectionId> World::links() const {
  std::vector<ConnectionId> ids;
  for (const auto& [id, link] : links_) ids.push_back(id);
  return ids;
}

Link* World::FindLink(ConnectionId id) const {
  auto found = links_.find(id);
  return found == links_.end() ? nullptr : found->second.get();
}

bool World::MoveUp(ConnectionId id, size_t bytes) {
  Link* link = FindLink(id);
  if (broker_ == nullptr || link == nullptr || !link->broker_holds ||
      link->up_stalled_until > now_) {
    return false;
  }
  if (!link->accepted) {
    link->accepted = true;
    const SessionKey& key = keys_[link->process];
    broker_->OnConnect(link->id, {key.pid, key.uid, key.uid}, now_);
    return true;
  }
  if (link->up.empty()) {
    if (!link->broken) return false;
    OnEndOfLink(link);
    return true;
  }
  size_t kept = broker_->TailSize(link->id);
  size_t read =
      link->up.Read(std::min(bytes, kReadBytes), buffer_.data() + kept);
  Note("up", {ToNumber(link->id), read});
  broker_->OnBytes(link->id, std::span(buffer_).first(kept + read), now_);
  FlushBroker();
  return true;
}

void World::OnEndOfLink(Link* link) {
  bool alive = clients_[link->process] != nullptr;
  bool known_dead = !alive && known_at_once_[link->process];
  Note("broker sees the end of", {ToNumber(link->id), known_dead});
  link->broker_holds = false;
  if (!alive && !known_dead) {
    absl::Duration late = absl::Milliseconds(random_.Below(kExitLateMs));
    exits_.push_back({now_ + late, keys_[link->process]});
  }
  broker_->OnLost(link->id, !known_dead, now_);
  FlushBroker();
}

bool World::MoveDown(ConnectionId id, size_t bytes) {
  Link* link = FindLink(id);
  if (link == nullptr || !link->client_holds ||
      link->down_stalled_until > now_) {
    return false;
  }
  Client& reader = client(link->process);
  if (link->down.empty()) {
    if (!link->broken) return false;
    Note("client sees the end of", {ToNumber(link->id)});
    reader.Disconnect();
    Purge();
    return true;
  }
  std::vector<std::byte> read(std::min({bytes, kReadBytes, link->down.size()}));
  link->down.Read(read.size(), read.data());
  Note("down", {ToNumber(link->id), read.size()});
  reader.OnBytes(read, now_);
  Purge();
  return true;
}

bool World::MoveOut(ConnectionId id) {
  Link* link = FindLink(id);
  if (broker_ == nullptr || link == nullptr || !link->broker_holds ||
      !link->stuffed || link->broken || link->down.room() == 0) {
    return false;
  }
  SendFromBroker(broker_->Find(link->id));
  FlushBroker();
  return true;
}

void World::Advance(absl::Duration time) {
  now_ = now_ + time;
  history_.SetTime(now_);
  if (broker_ == nullptr) return;
  TellExits();
  if (broker_->NextDeadline() > now_) return;
  Note("broker's time", {});
  broker_->OnTime(now_);
  FlushBroker();
}

void World::TellExits() {
  for (size_t i = 0; i < exits_.size();) {
    if (exits_[i].at > now_) {
      ++i;
      continue;
    }
    SessionKey key = exits_[i].key;
    exits_.erase(exits_.begin() + static_cast<std::ptrdiff_t>(i));
    broker_->OnProcessExited(key, now_);
    FlushBroker();
  }
}

void World::Purge() {
  std::erase_if(links_, [](const auto& entry) {
    return !entry.second->client_holds && !entry.second->broker_holds;
  });
}

}  // namespace ipc::sim
