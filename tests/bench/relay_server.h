// SPDX-License-Identifier: Apache-2.0
//
// The limit: the least that a process between two others can do. It copies
// bytes from whoever feeds a line to everyone who reads it and looks at none
// of them: no frames, no names, no promises.
//
//   feeder --> line 0 --> reader, reader, ...
//   feeder --> line 1 --> ...
//
// A line with two feeders would mix their messages' bytes.
//
// A client's first two bytes say which line it feeds and which it reads
// (kNoLine for none); the relay answers with one byte when that is in force.

#ifndef IPC_TESTS_BENCH_RELAY_SERVER_H_
#define IPC_TESTS_BENCH_RELAY_SERVER_H_

#include <array>
#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "tests/bench/socket.h"

namespace ipc::bench {

inline constexpr uint8_t kNoLine = 255;
inline constexpr size_t kLines = 3;
inline constexpr size_t kRelayReadBytes = 128 * 1024;

// One thread, level-triggered epoll, one read for each ready client and turn.
class RelayServer {
 public:
  RelayServer();

  // Afterwards clients can connect.
  absl::Status Listen(const std::string& path);
  // Relays until the process is killed. Returns only with an error.
  absl::Status Run();

 private:
  struct Client {
    Fd fd;
    uint8_t feeds = kNoLine;
    uint8_t reads = kNoLine;
    bool greeted = false;
  };
  // What one reader has not taken of the bytes in the buffer.
  struct Pending {
    int fd;
    size_t sent;
  };

  absl::Status Watch(int fd);
  absl::Status OnReadable(int fd);
  absl::Status Accept();
  absl::Status Greet(Client& client);
  absl::Status Relay(Client& client);
  // Sends the buffer's first `size` bytes to all readers of `line`; returns
  // when the slowest has taken them.
  absl::Status Forward(uint8_t line, size_t size);
  absl::Status SendPending(size_t size);
  void Remove(Client& client);

  Fd epoll_;
  Fd listener_;
  std::vector<Client> clients_;  // by descriptor
  std::array<std::vector<int>, kLines> readers_;
  std::vector<Pending> pending_;
  std::vector<char> buffer_;
};

}  // namespace ipc::bench

#endif  // IPC_TESTS_BENCH_RELAY_SERVER_H_
