// SPDX-License-Identifier: Apache-2.0
//
// Many clients in one thread that do nothing but exist: each is a socket and
// the frames of PROTOCOL.md, without libipc, whose clients have a log and a
// thread each. They answer what the broker asks (JOIN, RESEND), so that it
// keeps them.
//
//   Connect   HELLO -> WELCOME, RESUMED
//   Subscribe SUBSCRIBE -> RESULT
//   Open      OPEN -> OPENED
//   Serve     takes what comes, until somebody says stop
//
// The first three return when all is answered; a few clients are on their way
// at the same time, so that neither side waits for the other. Whatever is
// refused, closed or malformed is an error.

#ifndef IPC_TESTS_BENCH_CROWD_H_
#define IPC_TESTS_BENCH_CROWD_H_

#include <cstddef>
#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "libipc/base/limits.h"
#include "libipc/base/monotonic_time.h"
#include "libipc/net/fd.h"
#include "libipc/net/poller.h"
#include "libipc/wire/frame.h"
#include "libipc/wire/frame_reader.h"

namespace ipc::bench {

// Some of the clients: first, ..., end - 1.
struct Members {
  size_t first = 0;
  size_t end = 0;
};

class Crowd {
 public:
  // The name of a client's n-th topic or pattern; both count from 0.
  using Name = std::function<std::string(size_t client, uint32_t n)>;

  static absl::StatusOr<Crowd> Make(std::string address);

  // So many more.
  absl::Status Connect(uint32_t count);
  // Each of them gets `count` more, reliable and with the default options.
  absl::Status Subscribe(Members members, uint32_t count, const Name& name);
  absl::Status Open(Members members, uint32_t count, const Name& name);
  // Until `stop_fd` is readable or closed.
  absl::Status Serve(int stop_fd);

 private:
  struct Client {
    net::Fd fd;
    wire::FrameReader reader{kControlFrameBytesMax};
    std::string out;  // not sent yet
    size_t sent = 0;  // of that
    bool waits_for_room = false;
    uint32_t subscriptions = 0;
    uint32_t topics = 0;
  };

  Crowd(std::string address, net::Poller poller);

  size_t IndexOf(const Client* client) const {
    return static_cast<size_t>(client - clients_.data());
  }
  // Lets each of them append `count` requests and awaits all answers.
  absl::Status Ask(Members members, uint32_t count,
                   const std::function<void(Client*)>& append);
  absl::StatusOr<bool> Turn(MonotonicTime deadline);
  absl::Status Read(size_t index);
  absl::Status OnFrame(const wire::Frame& frame, Client* client);
  void Send(size_t index);

  std::string address_;
  net::Poller poller_;
  std::vector<Client> clients_;
  std::vector<std::byte> buffer_;
  uint64_t unanswered_ = 0;  // of all
};

}  // namespace ipc::bench

#endif  // IPC_TESTS_BENCH_CROWD_H_
