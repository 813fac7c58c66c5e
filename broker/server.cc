// SPDX-License-Identifier: Apache-2.0
//
// Accepting, reading, sending and closing.

#include "broker/server.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "libipc/base/status_macros.h"
#include "libipc/net/descriptors.h"
#include "libipc/net/system.h"

namespace ipc::broker {
namespace {

using wire::CloseReason;

constexpr uint64_t kListenerKey = 1;
constexpr uint64_t kStopKey = 2;
constexpr uint64_t kFirstId = 16;
// Keys of watched processes, apart from those of connections.
constexpr uint64_t kWatchedBit = uint64_t{1} << 63;

// Large messages come as frames of this size. A buffer that holds two of them
// ends where a frame ends, so that no part of one is kept and copied.
constexpr size_t kReadBytes = 2 * size_t{kDataFrameBytesMax};
// Sent to one connection in one turn before others have theirs.
constexpr size_t kSendBytesPerTurn = 1024 * 1024;
// As much as the system allows: one notice of room then covers many messages.
constexpr int kSendBufferBytes = 4 * 1024 * 1024;
constexpr absl::Duration kAcceptPause = absl::Milliseconds(100);

std::string Describe(const Peer& peer) {
  return absl::StrCat("pid ", peer.pid, " uid ", peer.uid);
}

}  // namespace

absl::StatusOr<std::unique_ptr<Server>> Server::Make(
    const ServerOptions& options, Log* log) {
  IPC_ASSIGN_OR_RETURN(net::Poller poller, net::Poller::Make());
  // Until there is a policy, nobody but the owner and root may connect.
  IPC_ASSIGN_OR_RETURN(net::Listener listener,
                       net::Listener::Make(options.socket_path, 0600));
  IPC_RETURN_IF_ERROR(
      poller.Add(listener.fd(), kListenerKey, net::Interest::kRead));
  bool restarted = listener.replaced_stale();
  if (restarted) log->Info("replaced the socket of a broker that died");
  BrokerOptions broker{.instance = net::RandomToken(),
                       .version = IPC_VERSION,
                       .pid = getpid(),
                       .message_bytes_max = options.message_bytes_max,
                       .restarted = restarted,
                       .stall_timeout = options.stall_timeout};
  return std::unique_ptr<Server>(
      new Server(std::move(poller), std::move(listener), broker, options, log));
}

Server::Server(net::Poller poller, net::Listener listener,
               const BrokerOptions& broker, const ServerOptions& options,
               Log* log)
    : poller_(std::move(poller)),
      listener_(std::move(listener)),
      broker_(broker, net::Now()),
      log_(*log),
      drain_timeout_(options.drain_timeout),
      spin_(options.spin),
      buffer_(kControlFrameBytesMax + kReadBytes),
      last_id_(kFirstId) {}

void Server::Run(int stop_fd) {
  if (!poller_.Add(stop_fd, kStopKey, net::Interest::kRead).ok()) return;
  const auto wait = [this](MonotonicTime until) { return poller_.Wait(until); };
  for (;;) {
    for (const net::PollEvent& event :
         spin_.Await(NextDeadline(), wait, net::Now)) {
      if (event.key == kStopKey) {
        Stop(stop_fd);
        return;
      }
      OnEvent(event);
    }
    OnTime();
  }
}

MonotonicTime Server::NextDeadline() const {
  return std::min(
      {broker_.NextDeadline(), accept_again_, watch_sweep_, resume_at_});
}

void Server::OnEvent(const net::PollEvent& event) {
  if (event.key == kListenerKey) {
    Accept();
    return;
  }
  if ((event.key & kWatchedBit) != 0) {
    OnWatched(event.key);
    return;
  }
  ConnectionId id{event.key};
  auto client = clients_.find(id);
  if (client == clients_.end()) return;  // closed earlier in this turn
  if (event.writable) {
    if (Connection* connection = broker_.Find(id)) SendTo(connection);
  }
  if (event.readable) Read(id, &client->second);
  Flush();
}

void Server::OnTime() {
  MonotonicTime now = net::Now();
  if (accept_again_ <= now) {
    accept_again_ = MonotonicTime::Never();
    poller_.Modify(listener_.fd(), kListenerKey, net::Interest::kRead);
  }
  if (watch_sweep_ <= now) {
    absl::erase_if(watched_, [now](const auto& entry) {
      return entry.second.until <= now;
    });
    watch_sweep_ =
        watched_.empty() ? MonotonicTime::Never() : now + kRecoveryGrace;
  }
  if (resume_at_ <= now) SendToPaused();
  if (broker_.NextDeadline() <= now) {
    broker_.OnTime(now);
    Flush();
  }
}

void Server::Accept() {
  net::Fd fd(
      accept4(listener_.fd(), nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK));
  if (!fd.valid()) {
    if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS ||
        errno == ENOMEM) {
      log_.Warning(absl::StrCat("cannot accept: ", strerror(errno)));
      PauseAccepting();
    }
    return;  // anything else is that client's own trouble
  }
  absl::StatusOr<net::PeerCredentials> peer = net::PeerOf(fd.get());
  if (!peer.ok()) return;
  const Peer known{peer->pid, peer->uid, peer->gid};
  if (peer->uid != geteuid() && peer->uid != 0) {
    Refuse(fd, known, CloseReason::kNotAllowed,
           absl::StrCat("uid ", peer->uid, " may not connect; only uid ",
                        geteuid(), " and root may"));
    log_.Info(absl::StrCat("refused ", Describe(known), ": not allowed"));
    return;
  }
  ConnectionId id{++last_id_};
  if (!broker_.OnConnect(id, known, net::Now())) {
    Refuse(fd, known, CloseReason::kLimit,
           absl::StrCat("the limit is ", kConnectionsMax, " connections and ",
                        kHandshakesMax, " of them in the handshake"));
    log_.Warning(absl::StrCat("refused ", Describe(known), ": too many"));
    return;
  }
  net::SetSendBuffer(fd.get(), kSendBufferBytes);
  if (!poller_.Add(fd.get(), ToNumber(id), net::Interest::kRead).ok()) {
    broker_.OnLost(id, /*process_alive=*/true, net::Now());
    PauseAccepting();
    return;
  }
  clients_.emplace(id, Client{.fd = std::move(fd), .passing = {}});
}

// A refused peer gets the reason if its socket takes it, and no more.
void Server::Refuse(const net::Fd& fd, const Peer& peer, CloseReason reason,
                    const std::string& text) {
  broker_.OnRefused(peer, reason, text, net::Now());
  std::string frame;
  wire::AppendControl(wire::Goodbye{reason, text}, 0, &frame);
  std::span<const std::byte> bytes = std::as_bytes(std::span(frame));
  net::Send(fd.get(), {&bytes, 1});
}

void Server::PauseAccepting() {
  poller_.Modify(listener_.fd(), kListenerKey, net::Interest::kNothing);
  accept_again_ = net::Now() + kAcceptPause;
}

void Server::Read(ConnectionId id, Client* client) {
  size_t kept = broker_.TailSize(id);
  std::vector<int> passed;
  net::IoResult result = net::Receive(
      client->fd.get(),
      std::span(buffer_).subspan(
          kept, kept < kReadBytes ? kReadBytes - kept : kReadBytes),
      &passed);
  switch (result.state) {
    case net::IoState::kDone:
      if (!passed.empty() && !TakeDescriptors(id, client, std::move(passed))) {
        break;
      }
      broker_.OnBytes(id, std::span(buffer_).first(kept + result.bytes),
                      net::Now());
      break;
    case net::IoState::kWouldBlock:
      break;
    case net::IoState::kClosed:
      OnLost(id, result.error);
      break;
  }
}

// False: the connection ends for it.
bool Server::TakeDescriptors(ConnectionId id, Client* client,
                             std::vector<int> fds) {
  std::shared_ptr<size_t>& held = client->passing.Edit().held;
  if (held == nullptr) held = std::make_shared<size_t>(0);
  Descriptors passed = net::Own(std::move(fds), held);
  if (std::any_of(passed->begin(), passed->end(), net::IsUnixSocket)) {
    broker_.Close(id, CloseReason::kViolation,
                  "a socket of the Unix domain was passed: it could hold "
                  "descriptors itself");
    return false;
  }
  if (*held > kDescriptorsPerSourceMax) {
    broker_.Close(id, CloseReason::kLimit,
                  absl::StrCat("more than ", kDescriptorsPerSourceMax,
                               " descriptors that it has passed wait"));
    return false;
  }
  broker_.OnDescriptors(id, std::move(passed));
  return true;
}

void Server::OnLost(ConnectionId id, const std::string& error) {
  const Client& client = clients_.at(id);
  Connection* connection = broker_.Find(id);
  bool alive = true;
  if (connection != nullptr && connection->session != nullptr) {
    const Session& session = *connection->session;
    alive = WatchProcess(client.fd, session.key);
    log_.Info(absl::StrCat("client ", session.name, " (",
                           Describe(connection->peer), ") lost",
                           error.empty() ? "" : ": ", error));
  }
  poller_.Remove(client.fd.get());
  clients_.erase(id);
  broker_.OnLost(id, alive, net::Now());
}

// False if the process is known to be gone.
bool Server::WatchProcess(const net::Fd& fd, const SessionKey& session) {
  net::Fd process = net::PeerProcess(fd.get(), session.pid);
  // Without room for a descriptor, the grace decides.
  if (!process.valid()) return errno == EMFILE || errno == ENFILE;
  pollfd poll_fd{.fd = process.get(), .events = POLLIN, .revents = 0};
  if (poll(&poll_fd, 1, 0) == 1) return false;
  uint64_t key = kWatchedBit | ++last_id_;
  // The same without room for watching it.
  if (!poller_.Add(process.get(), key, net::Interest::kRead).ok()) return true;
  MonotonicTime until = net::Now() + kRecoveryGrace;
  watched_.emplace(key, Watched{std::move(process), session, until});
  watch_sweep_ = std::min(watch_sweep_, until);
  return true;
}

void Server::OnWatched(uint64_t key) {
  auto watched = watched_.find(key);
  if (watched == watched_.end()) return;
  broker_.OnProcessExited(watched->second.session, net::Now());
  watched_.erase(watched);
  Flush();
}

void Server::EndTheDead() {
  for (const SessionKey& session : broker_.TakeAwaited()) {
    if (net::IsGone(session.pid)) broker_.OnProcessExited(session, net::Now());
  }
}

void Server::Flush() {
  for (;;) {
    std::vector<Connection*> dirty = broker_.TakeDirty();
    if (dirty.empty()) {
      // In a turn of its own, when nothing borrows from the buffer.
      EndTheDead();
      dirty = broker_.TakeDirty();
    }
    if (dirty.empty()) break;
    for (Connection* connection : dirty) SendTo(connection);
  }
  for (const Ended& ended : broker_.TakeEnded()) CloseEnded(ended);
  WarnOfSlow();
}

void Server::WarnOfSlow() {
  for (const Slow& slow : broker_.TakeSlow()) {
    log_.Warning(absl::StrCat(
        "client ", slow.name, " (pid ", slow.session.pid,
        "): reliable subscription ", ToNumber(slow.subscription), " to ",
        slow.pattern, " has consumed nothing for ",
        absl::FormatDuration(absl::Trunc(slow.idle, absl::Milliseconds(1))),
        "; ", slow.messages, " messages wait; ",
        slow.set_aside ? "set aside, its publishers go on without it"
                       : absl::StrCat("its publishers wait for it, up to ",
                                      absl::FormatDuration(slow.timeout))));
  }
}

void Server::SendTo(Connection* connection) {
  auto found = clients_.find(connection->id);
  if (found == clients_.end()) return;
  Client& client = found->second;
  Outbox& outbox = connection->outbox;
  bool full = client.paused();
  bool closed = false;
  for (size_t sent = 0; !full && !outbox.empty() && sent < kSendBytesPerTurn;) {
    net::IoResult result = Send(&client, &outbox, &full);
    // A closed socket is noticed by reading from it; it never has room.
    closed = result.state == net::IoState::kClosed;
    if (result.pause) Pause(connection->id, &client);
    sent += result.bytes;
  }
  outbox.Settle();
  bool waits = !outbox.empty() && !closed && !client.paused();
  if (waits != client.waits_for_room) {
    client.waits_for_room = waits;
    poller_.Modify(client.fd.get(), ToNumber(connection->id),
                   waits ? net::Interest::kReadWrite : net::Interest::kRead);
  }
  broker_.OnSent(connection);
}

// One send of what comes next. `*full`: the socket has not taken all of it.
net::IoResult Server::Send(Client* client, Outbox* outbox, bool* full) {
  const auto& segments = outbox->Gather();
  size_t bytes = 0;
  for (const auto& segment : segments) bytes += segment.size();
  const Descriptors& descriptors = outbox->gathered_descriptors();
  std::span<const int> passed;
  if (descriptors != nullptr) [[unlikely]] {
    passed = *descriptors;
    size_t& unread = client->passing.Edit().unread;
    if (unread + passed.size() > kDescriptorsUnreadMax) {
      if (!net::HasReadAll(client->fd.get())) {
        *full = true;
        return {.state = net::IoState::kWouldBlock,
                .bytes = 0,
                .error = "",
                .pause = true};
      }
      unread = 0;
    }
  }
  net::IoResult result = net::Send(client->fd.get(), segments, passed);
  *full = result.state != net::IoState::kDone || result.bytes < bytes;
  if (result.state == net::IoState::kDone) {
    if (client->passing.made()) [[unlikely]] {
      client->passing.Edit().unread += passed.size();
      client->passing.Edit().pause = absl::ZeroDuration();
    }
    outbox->Sent(result.bytes);
  }
  return result;
}

void Server::Pause(ConnectionId id, Client* client) {
  Passing& passing = client->passing.Edit();
  passing.pause =
      std::clamp(2 * passing.pause, kDescriptorPause, kDescriptorPauseMax);
  passing.resume_at = net::Now() + passing.pause;
  paused_.push_back(id);
  resume_at_ = std::min(resume_at_, passing.resume_at);
}

void Server::SendToPaused() {
  const MonotonicTime now = net::Now();
  resume_at_ = MonotonicTime::Never();
  for (ConnectionId id : std::exchange(paused_, {})) {
    auto client = clients_.find(id);
    if (client == clients_.end()) continue;
    Passing& passing = client->second.passing.Edit();
    if (passing.resume_at > now) {
      paused_.push_back(id);
      resume_at_ = std::min(resume_at_, passing.resume_at);
      continue;
    }
    passing.resume_at = MonotonicTime::Never();
    if (Connection* connection = broker_.Find(id)) SendTo(connection);
  }
  Flush();
}

void Server::CloseEnded(const Ended& ended) {
  auto client = clients_.find(ended.id);
  const Connection* connection = broker_.Find(ended.id);
  if (client == clients_.end() || connection == nullptr) return;
  std::string line = absl::StrCat(
      "client ", ended.name.empty() ? "without a name" : ended.name, " (",
      Describe(connection->peer),
      ") ended: ", std::string(wire::CloseReasonName(ended.reason)),
      ended.text.empty() ? "" : ": ", ended.text);
  bool usual = ended.reason == CloseReason::kDone ||
               ended.reason == CloseReason::kShutdown;
  usual ? log_.Info(line) : log_.Warning(line);
  poller_.Remove(client->second.fd.get());
  clients_.erase(client);
  broker_.OnLost(ended.id, /*process_alive=*/true, net::Now());
}

bool Server::TakeSignal(int stop_fd) {
  signalfd_siginfo signal;
  return read(stop_fd, &signal, sizeof(signal)) == sizeof(signal);
}

void Server::Stop(int stop_fd) {
  TakeSignal(stop_fd);
  accept_again_ = MonotonicTime::Never();
  poller_.Remove(listener_.fd());
  { net::Listener closed = std::move(listener_); }
  Drain(stop_fd);
  SayGoodbye();
  log_.Info("stopped");
}

void Server::Drain(int stop_fd) {
  MonotonicTime deadline = net::Now() + drain_timeout_;
  broker_.Drain(net::Now());
  while (!broker_.IsDrained()) {
    if (net::Now() >= deadline) {
      log_.Warning(
          "not everything was consumed in time; the publishers keep "
          "what was not");
      return;
    }
    for (const net::PollEvent& event :
         poller_.Wait(std::min(deadline, NextDeadline()))) {
      if (event.key != kStopKey) {
        OnEvent(event);
      } else if (TakeSignal(stop_fd)) {
        log_.Info("told to end at once");
        return;
      }
    }
    OnTime();
  }
}

// Every connection gets its GOODBYE, if it reads.
void Server::SayGoodbye() {
  MonotonicTime deadline = net::Now() + kShutdownTimeout;
  broker_.Shutdown(net::Now());
  for (Connection* connection : broker_.TakeDirty()) SendTo(connection);
  while (net::Now() < deadline) {
    bool waiting = false;
    for (const auto& [id, client] : clients_) waiting |= client.waits_for_room;
    if (!waiting) break;
    for (const net::PollEvent& event : poller_.Wait(deadline)) {
      Connection* connection = broker_.Find(ConnectionId{event.key});
      if (event.writable && connection != nullptr) SendTo(connection);
    }
  }
  for (const Ended& ended : broker_.TakeEnded()) CloseEnded(ended);
}

}  // namespace ipc::broker
