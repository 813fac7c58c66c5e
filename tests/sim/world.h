// SPDX-License-Identifier: Apache-2.0
//
// The simulated host: one broker core, client processes, the sockets between
// them, and a clock that stands still unless it is told. It has no will of
// its own: a test or Chaos calls the moves, one at a time, and each move does
// what one turn of a real shell would.
//
//   Client ──up──> Link ──> Broker        MoveUp:   the broker reads
//          <─down─      <──               MoveDown: the client reads
//
// Everything that happens goes into a hash, and into a trace if one is kept.

#ifndef IPC_TESTS_SIM_WORLD_H_
#define IPC_TESTS_SIM_WORLD_H_

#include <cstddef>
#include <cstdint>
#include <deque>
#include <functional>
#include <initializer_list>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "absl/time/time.h"
#include "broker/core/broker.h"
#include "tests/sim/client.h"
#include "tests/sim/history.h"
#include "tests/sim/link.h"
#include "tests/sim/random.h"

namespace ipc::sim {

struct WorldOptions {
  uint64_t seed = 1;
  // Each pipe gets one of these as its capacity.
  std::vector<size_t> pipe_bytes = {256 * 1024};
  uint64_t reliable_queue_bytes_max = kReliableQueueBytesMax;
  absl::Duration stall_timeout = kStallTimeoutMax;
  bool keep_trace = false;
  bool print_trace = false;
};

enum class Direction { kUp, kDown };

class World {
 public:
  // A planted fault: what happens to a frame that `process` sends or gets.
  // Returns how often it is passed on.
  using Fault =
      std::function<int(int process, Direction direction,
                        wire::FrameHeader* header, std::string* frame)>;

  explicit World(const WorldOptions& options);
  ~World();

  Random& random() { return random_; }
  History& history() { return history_; }
  MonotonicTime now() const { return now_; }
  uint64_t hash() const { return hash_; }
  const std::deque<std::string>& trace() const { return trace_; }
  // For connections that are made from now on.
  void Plant(Fault fault) { fault_ = std::move(fault); }
  void set_pipe_bytes(std::vector<size_t> bytes) {
    options_.pipe_bytes = std::move(bytes);
  }

  // -- The broker

  void StartBroker(bool restarted);
  // SIGKILL: what it has sent may be read, what it has not read is lost.
  void KillBroker();
  // Says goodbye to everybody first.
  void StopBroker();
  bool broker_up() const { return broker_ != nullptr; }
  const broker::Broker& broker() const { return *broker_; }

  // -- Clients, by the number of their process

  int AddClient(size_t window_bytes);
  Client& client(int process) { return *clients_[process]; }
  bool alive(int process) const { return clients_[process] != nullptr; }
  int processes() const { return static_cast<int>(clients_.size()); }
  std::vector<int> Living() const;
  // The broker knows at once, or a while after the connection has ended.
  void KillClient(int process, bool known_at_once);
  // False if there is no broker.
  bool Connect(int process);
  // It ends as a program does that has closed its client.
  void EndClient(int process);
  // It finds the break by sending, and what it has not read is lost.
  void NoticeBreak(int process);
  // The connection breaks; so many bytes under way get through.
  void Cut(int process, size_t keep_up, size_t keep_down);
  void Cut(int process);
  void Stall(int process, Direction direction, absl::Duration time);
  void Unstall(int process);

  // -- Moves. Each returns whether anything happened.

  std::vector<ConnectionId> links() const;
  bool MoveUp(ConnectionId id, size_t bytes);
  bool MoveDown(ConnectionId id, size_t bytes);
  // The broker finds room in the socket.
  bool MoveOut(ConnectionId id);
  // The clock goes on; the broker's timers run.
  void Advance(absl::Duration time);

  // -- For scripts

  // Moves everything that can move while the clock stands still.
  void Settle();
  // Settles, lets `time` pass from deadline to deadline, and settles.
  void Run(absl::Duration time);
  // As applications would if all went well from here on: they reconnect and
  // consume, until every log is empty. Fails the history if that takes longer.
  void Quiesce(absl::Duration limit);

  void Note(const char* what, std::initializer_list<uint64_t> values);

 private:
  struct Exit {
    MonotonicTime at;
    SessionKey key;
  };

  Token MakeToken();
  Link* FindLink(ConnectionId id) const;
  void Hash(std::initializer_list<uint64_t> values);
  void AddLine(std::string line, std::initializer_list<uint64_t> values);
  void NoteFrame(const Link& link, Direction direction,
                 const wire::FrameHeader& header);
  void Watch(Link* link);
  void FlushBroker();
  void SendFromBroker(broker::Connection* connection);
  void OnEndOfLink(Link* link);
  void CheckBounds();
  void Purge();
  void TellExits();
  bool SettleOnce();
  bool ConsumeAll();
  bool Done();
  MonotonicTime NextEvent();
  void NoteUnfinished();

  WorldOptions options_;
  Random random_;
  History history_;
  MonotonicTime now_;
  uint64_t hash_ = 0;
  std::deque<std::string> trace_;
  Fault fault_;

  std::unique_ptr<broker::Broker> broker_;
  bool stopping_ = false;
  std::vector<std::unique_ptr<Client>> clients_;  // null: dead
  std::vector<SessionKey> keys_;
  std::vector<bool> known_at_once_;  // ... to be dead
  std::map<ConnectionId, std::unique_ptr<Link>> links_;
  uint64_t last_connection_ = 0;
  std::vector<Exit> exits_;
  std::vector<std::byte> buffer_;
};

}  // namespace ipc::sim

#endif  // IPC_TESTS_SIM_WORLD_H_
