// SPDX-License-Identifier: Apache-2.0
//
// The relay's loop. A reader that is full holds up everything until it has
// room again; a real broker may not do that, and pays for not doing it.

#include "tests/bench/relay_server.h"

#include <errno.h>
#include <poll.h>
#include <sys/epoll.h>
#include <sys/socket.h>

#include <algorithm>
#include <utility>

namespace ipc::bench {
namespace {

constexpr int kEventsMax = 64;

bool WouldBlock() { return errno == EAGAIN || errno == EINTR; }

}  // namespace

RelayServer::RelayServer()
    : epoll_(epoll_create1(EPOLL_CLOEXEC)), buffer_(kRelayReadBytes) {}

absl::Status RelayServer::Listen(const std::string& path) {
  auto listener = ListenUnix(path);
  if (!listener.ok()) return listener.status();
  listener_ = *std::move(listener);
  return Watch(listener_.get());
}

absl::Status RelayServer::Run() {
  epoll_event events[kEventsMax];
  while (true) {
    const int count = epoll_wait(epoll_.get(), events, kEventsMax, -1);
    if (count < 0 && errno != EINTR) return ErrnoStatus("epoll_wait");
    for (int i = 0; i < count; ++i) {
      if (auto status = OnReadable(events[i].data.fd); !status.ok()) {
        return status;
      }
    }
  }
}

absl::Status RelayServer::Watch(int fd) {
  epoll_event event = {};
  event.events = EPOLLIN;
  event.data.fd = fd;
  if (epoll_ctl(epoll_.get(), EPOLL_CTL_ADD, fd, &event) == 0) {
    return absl::OkStatus();
  }
  return ErrnoStatus("epoll_ctl");
}

absl::Status RelayServer::OnReadable(int fd) {
  if (fd == listener_.get()) return Accept();
  Client& client = clients_[static_cast<size_t>(fd)];
  return client.greeted ? Relay(client) : Greet(client);
}

absl::Status RelayServer::Accept() {
  Fd fd(accept4(listener_.get(), nullptr, nullptr, SOCK_CLOEXEC));
  if (!fd.valid()) {
    return WouldBlock() ? absl::OkStatus() : ErrnoStatus("accept4");
  }
  EnlargeSendBuffer(fd.get());
  const size_t index = static_cast<size_t>(fd.get());
  if (auto status = Watch(fd.get()); !status.ok()) return status;
  if (clients_.size() <= index) clients_.resize(index + 1);
  clients_[index] = Client{std::move(fd)};
  return absl::OkStatus();
}

absl::Status RelayServer::Greet(Client& client) {
  uint8_t lines[2];
  // Both bytes were sent in one call.
  if (recv(client.fd.get(), lines, sizeof(lines), 0) != sizeof(lines)) {
    Remove(client);
    return absl::OkStatus();
  }
  client.feeds = lines[0];
  client.reads = lines[1];
  client.greeted = true;
  if (client.reads < kLines) readers_[client.reads].push_back(client.fd.get());
  return SendAll(client.fd.get(), "\n", 1);
}

absl::Status RelayServer::Relay(Client& client) {
  const ssize_t size =
      recv(client.fd.get(), buffer_.data(), buffer_.size(), MSG_DONTWAIT);
  if (size < 0 && WouldBlock()) return absl::OkStatus();
  if (size <= 0 || client.feeds >= kLines) {
    Remove(client);
    return absl::OkStatus();
  }
  return Forward(client.feeds, static_cast<size_t>(size));
}

absl::Status RelayServer::Forward(uint8_t line, size_t size) {
  pending_.clear();
  for (int fd : readers_[line]) pending_.push_back({fd, 0});
  while (true) {
    if (auto status = SendPending(size); !status.ok()) return status;
    if (pending_.empty()) return absl::OkStatus();
    std::vector<pollfd> full;
    for (const Pending& reader : pending_) {
      full.push_back({reader.fd, POLLOUT, 0});
    }
    if (poll(full.data(), full.size(), -1) < 0 && errno != EINTR) {
      return ErrnoStatus("poll");
    }
  }
}

absl::Status RelayServer::SendPending(size_t size) {
  for (Pending& reader : pending_) {
    const ssize_t sent = send(reader.fd, buffer_.data() + reader.sent,
                              size - reader.sent, MSG_DONTWAIT | MSG_NOSIGNAL);
    if (sent < 0 && WouldBlock()) continue;
    // Who has gone takes no more; its end is read later.
    if (sent < 0 && errno != EPIPE) return ErrnoStatus("send to a reader");
    reader.sent = sent < 0 ? size : reader.sent + static_cast<size_t>(sent);
  }
  std::erase_if(pending_,
                [size](const Pending& reader) { return reader.sent == size; });
  return absl::OkStatus();
}

void RelayServer::Remove(Client& client) {
  for (std::vector<int>& readers : readers_) {
    std::erase(readers, client.fd.get());
  }
  client = Client{};  // closing takes it out of the epoll set
}

}  // namespace ipc::bench
