// SPDX-License-Identifier: Apache-2.0
//
// The shell around the broker's core: one thread, one epoll, sockets. It
// decides nothing but when to read, when to write and whom the kernel says a
// peer is.
//
// A turn of the loop:
//   1. wait for events, or for the core's next deadline
//   2. for each ready connection one read of up to 128 KiB into the one shared
//      buffer, the core's turn over it, and one send to each dirty connection
//   3. what is due by time
// Nothing is read until EAGAIN, so that no connection holds up the others.

#ifndef IPC_BROKER_SERVER_H_
#define IPC_BROKER_SERVER_H_

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "broker/core/broker.h"
#include "broker/core/lazy.h"
#include "broker/log.h"
#include "broker/spin.h"
#include "libipc/net/fd.h"
#include "libipc/net/poller.h"
#include "libipc/net/unix_socket.h"

namespace ipc::broker {

struct ServerOptions {
  std::string socket_path;
  uint64_t message_bytes_max = kMessageBytesMaxDefault;
  absl::Duration stall_timeout = kStallTimeoutDefault;
  // At the end: for what was routed to be consumed and acknowledged.
  absl::Duration drain_timeout = kDrainTimeoutDefault;
  absl::Duration spin = absl::ZeroDuration();  // see spin.h
};

class Server {
 public:
  // Listens. `log` is borrowed. Errors: those of net::Listener::Make.
  static absl::StatusOr<std::unique_ptr<Server>> Make(
      const ServerOptions& options, Log* log);

  // Serves until `stop_fd`, a signalfd, becomes readable; then drains, says
  // goodbye and returns. A second signal ends the draining.
  void Run(int stop_fd);

 private:
  // Descriptors that are passed on a connection.
  struct Passing {
    // Those that came and are open, wherever they wait. Made with the first.
    std::shared_ptr<size_t> held;
    size_t unread = 0;  // those sent since it had read everything
    // While its socket takes none: how long until the next try.
    absl::Duration pause;
    MonotonicTime resume_at = MonotonicTime::Never();  // listed in paused_
  };
  struct Client {
    net::Fd fd;
    bool waits_for_room = false;  // EPOLLOUT is on
    Lazy<Passing> passing;

    bool paused() const {
      return passing.made() && !passing->resume_at.IsNever();
    }
  };
  // A process whose session is awaited after its connection was lost.
  struct Watched {
    net::Fd process;
    SessionKey session;
    MonotonicTime until;
  };

  Server(net::Poller poller, net::Listener listener,
         const BrokerOptions& broker, const ServerOptions& options, Log* log);

  MonotonicTime NextDeadline() const;
  void OnEvent(const net::PollEvent& event);
  void OnTime();
  void Accept();
  void Refuse(const net::Fd& fd, const Peer& peer, wire::CloseReason reason,
              const std::string& text);
  void PauseAccepting();
  void Read(ConnectionId id, Client* client);
  bool TakeDescriptors(ConnectionId id, Client* client, std::vector<int> fds);
  void OnLost(ConnectionId id, const std::string& error);
  bool WatchProcess(const net::Fd& fd, const SessionKey& session);
  void OnWatched(uint64_t key);
  // Ends the sessions that publishers have told of and whose processes are
  // gone: else they would be waited for, after each restart anew.
  void EndTheDead();
  // Sends to everybody who has something to get, and closes what has ended.
  void Flush();
  void SendTo(Connection* connection);
  net::IoResult Send(Client* client, Outbox* outbox, bool* full);
  void Pause(ConnectionId id, Client* client);
  void SendToPaused();
  void CloseEnded(const Ended& ended);
  void WarnOfSlow();
  // Takes the signal. False if none has come.
  static bool TakeSignal(int stop_fd);
  void Stop(int stop_fd);
  // Returns when everything is drained, or there is no more time for it.
  void Drain(int stop_fd);
  void SayGoodbye();

  net::Poller poller_;
  net::Listener listener_;
  Broker broker_;
  Log& log_;
  const absl::Duration drain_timeout_;
  Spin spin_;
  std::vector<std::byte> buffer_;
  absl::flat_hash_map<ConnectionId, Client> clients_;
  absl::flat_hash_map<uint64_t, Watched> watched_;
  uint64_t last_id_;
  MonotonicTime accept_again_ = MonotonicTime::Never();
  MonotonicTime watch_sweep_ = MonotonicTime::Never();
  // Clients whose sockets take no descriptors now, and when to try again.
  std::vector<ConnectionId> paused_;
  MonotonicTime resume_at_ = MonotonicTime::Never();
};

}  // namespace ipc::broker

#endif  // IPC_BROKER_SERVER_H_
