// SPDX-License-Identifier: Apache-2.0
//
// A peer of the broker that uses no libipc: bytes straight on the socket, as
// PROTOCOL.md gives them, well-formed or not. What the product's own codec
// might hide is seen here.

#ifndef IPC_TESTS_SUPPORT_RAW_PEER_H_
#define IPC_TESTS_SUPPORT_RAW_PEER_H_

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "tests/support/deadline.h"

namespace ipc::test {

// The kinds that tests name; the numbers of PROTOCOL.md.
inline constexpr uint8_t kRawPublish = 1;
inline constexpr uint8_t kRawResumed = 7;
inline constexpr uint8_t kRawPing = 14;
inline constexpr uint8_t kRawHello = 32;
inline constexpr uint8_t kRawWelcome = 33;
inline constexpr uint8_t kRawGoodbye = 34;
inline constexpr uint8_t kRawOpen = 36;
inline constexpr uint8_t kRawSubscribe = 38;

// Reasons in a GOODBYE.
inline constexpr int kRawMalformed = 3;
inline constexpr int kRawViolation = 4;
inline constexpr int kRawLimit = 7;
inline constexpr int kRawHandshakeTimeout = 8;
inline constexpr int kRawNotReading = 9;

struct RawFrame {
  std::optional<uint32_t> size = {};  // of the frame, if it is to be a lie
  uint8_t kind = 0;
  uint8_t flags = 0;
  uint8_t descriptors = 0;
  uint32_t target = 0;
  uint32_t session = 0;
  uint64_t sequence = 0;
  int64_t time = 0;
  uint32_t extension = 0;
  uint16_t fragment = 0;
  uint16_t last_fragment = 0;
  std::string payload = {};
};
std::string Encode(const RawFrame& frame);

// Protobuf fields, to build payloads of control frames from.
std::string VarintField(uint32_t number, uint64_t value);
std::string BytesField(uint32_t number, std::string_view value);

// A HELLO that the broker welcomes.
std::string HelloFrame(std::string_view name);

// For one thread. Not connected if the broker cannot be reached.
class RawPeer {
 public:
  explicit RawPeer(const std::string& socket_path);
  ~RawPeer();
  RawPeer(RawPeer&& other) noexcept;
  RawPeer(const RawPeer&) = delete;
  RawPeer& operator=(const RawPeer&) = delete;

  bool connected() const { return fd_ >= 0; }
  int fd() const { return fd_; }

  // False if the other side has closed, or takes nothing for `timeout`.
  bool Send(std::string_view bytes, absl::Duration timeout = kPatience);
  // Sends one byte or more with descriptors beside the first of them.
  bool SendWithDescriptor(std::string_view bytes, int fd) {
    return SendWithDescriptors(bytes, {fd});
  }
  bool SendWithDescriptors(std::string_view bytes, const std::vector<int>& fds);
  // The next frame; none if the stream ends or nothing comes in time.
  std::optional<RawFrame> Read(absl::Duration timeout = kPatience);
  // HELLO and its answer.
  bool Greet(std::string_view name);
  // Reads until the broker has closed the connection; false if it does not.
  bool WaitForEnd(absl::Duration timeout = kPatience);

  // The reason of the GOODBYE that was read; 0 if none was.
  int goodbye() const { return goodbye_; }
  const std::string& goodbye_text() const { return goodbye_text_; }

 private:
  bool Fill(size_t bytes, absl::Time deadline);

  int fd_ = -1;
  std::string received_;
  int goodbye_ = 0;
  std::string goodbye_text_;
};

}  // namespace ipc::test

#endif  // IPC_TESTS_SUPPORT_RAW_PEER_H_
