// SPDX-License-Identifier: Apache-2.0
//
// See raw_peer.h.

#include "tests/support/raw_peer.h"

#include <errno.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <random>
#include <type_traits>
#include <utility>

#include "absl/time/clock.h"

namespace ipc::test {
namespace {

constexpr size_t kHeaderBytes = 40;

template <typename Integer>
void Append(Integer value, std::string* bytes) {
  using Unsigned = std::make_unsigned_t<Integer>;
  auto rest = static_cast<Unsigned>(value);
  for (size_t i = 0; i < sizeof(value); ++i) {
    *bytes += static_cast<char>(rest & 0xff);
    rest = static_cast<Unsigned>(uint64_t{rest} >> 8);
  }
}

template <typename Integer>
Integer Take(std::string_view bytes, size_t at) {
  uint64_t value = 0;
  for (size_t i = 0; i < sizeof(Integer); ++i) {
    value |= uint64_t{static_cast<uint8_t>(bytes[at + i])} << (8 * i);
  }
  return static_cast<Integer>(value);
}

std::string Varint(uint64_t value) {
  std::string bytes;
  for (; value >= 0x80; value >>= 7) {
    bytes += static_cast<char>(value | 0x80);
  }
  return bytes += static_cast<char>(value);
}

int Milliseconds(absl::Time deadline) {
  return static_cast<int>(std::max<int64_t>(
      0, absl::ToInt64Milliseconds(deadline - absl::Now()) + 1));
}

// Goodbye { reason = 1; text = 2; }, both short.
void ReadGoodbye(std::string_view payload, int* reason, std::string* text) {
  if (payload.size() >= 2 && payload[0] == 0x08) {
    *reason = static_cast<unsigned char>(payload[1]);
    payload.remove_prefix(2);
  }
  if (payload.size() >= 2 && payload[0] == 0x12) {
    *text = payload.substr(payload[1] < 0 ? 3 : 2);
  }
}

}  // namespace

std::string Encode(const RawFrame& frame) {
  std::string bytes;
  Append(frame.size.value_or(
             static_cast<uint32_t>(kHeaderBytes + frame.payload.size())),
         &bytes);
  bytes += static_cast<char>(frame.kind);
  bytes += static_cast<char>(frame.flags);
  bytes += static_cast<char>(frame.descriptors);
  bytes += '\0';
  Append(frame.target, &bytes);
  Append(frame.session, &bytes);
  Append(frame.sequence, &bytes);
  Append(frame.time, &bytes);
  Append(frame.extension, &bytes);
  Append(frame.fragment, &bytes);
  Append(frame.last_fragment, &bytes);
  return bytes + frame.payload;
}

std::string VarintField(uint32_t number, uint64_t value) {
  return Varint(number << 3) + Varint(value);
}

std::string BytesField(uint32_t number, std::string_view value) {
  return Varint(number << 3 | 2) + Varint(value.size()) + std::string(value);
}

std::string HelloFrame(std::string_view name) {
  std::random_device random;
  std::string token;
  while (token.size() < 16) Append(uint32_t{random()}, &token);
  constexpr uint64_t kWindowBytes = uint64_t{4} << 20;
  return Encode({.kind = kRawHello,
                 .payload = VarintField(1, 1) + VarintField(2, 1) +
                            BytesField(3, token) + BytesField(4, name) +
                            VarintField(6, kWindowBytes)});
}

RawPeer::RawPeer(const std::string& socket_path) {
  sockaddr_un address = {};
  address.sun_family = AF_UNIX;
  socket_path.copy(address.sun_path, sizeof(address.sun_path) - 1);
  fd_ = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (connect(fd_, reinterpret_cast<sockaddr*>(&address), sizeof(address)) !=
      0) {
    close(fd_);
    fd_ = -1;
  }
}

RawPeer::RawPeer(RawPeer&& other) noexcept
    : fd_(std::exchange(other.fd_, -1)),
      received_(std::move(other.received_)),
      goodbye_(other.goodbye_),
      goodbye_text_(std::move(other.goodbye_text_)) {}

RawPeer::~RawPeer() {
  if (fd_ >= 0) close(fd_);
}

bool RawPeer::Send(std::string_view bytes, absl::Duration timeout) {
  const absl::Time deadline = absl::Now() + timeout;
  while (!bytes.empty()) {
    const ssize_t sent =
        send(fd_, bytes.data(), bytes.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
    if (sent >= 0) {
      bytes.remove_prefix(static_cast<size_t>(sent));
      continue;
    }
    if (errno != EAGAIN) return false;
    pollfd room = {fd_, POLLOUT, 0};
    if (poll(&room, 1, Milliseconds(deadline)) == 0) return false;
  }
  return true;
}

bool RawPeer::SendWithDescriptors(std::string_view bytes,
                                  const std::vector<int>& fds) {
  iovec vector = {const_cast<char*>(bytes.data()), bytes.size()};
  const size_t fds_bytes = fds.size() * sizeof(int);
  std::vector<char> control(CMSG_SPACE(fds_bytes));
  msghdr message = {};
  message.msg_iov = &vector;
  message.msg_iovlen = 1;
  message.msg_control = control.data();
  message.msg_controllen = control.size();
  cmsghdr* header = CMSG_FIRSTHDR(&message);
  header->cmsg_level = SOL_SOCKET;
  header->cmsg_type = SCM_RIGHTS;
  header->cmsg_len = CMSG_LEN(fds_bytes);
  std::memcpy(CMSG_DATA(header), fds.data(), fds_bytes);
  return sendmsg(fd_, &message, MSG_NOSIGNAL) > 0;
}

bool RawPeer::Fill(size_t bytes, absl::Time deadline) {
  std::array<char, 65536> buffer;
  while (received_.size() < bytes) {
    pollfd data = {fd_, POLLIN, 0};
    if (poll(&data, 1, Milliseconds(deadline)) == 0) return false;
    const ssize_t size = read(fd_, buffer.data(), buffer.size());
    if (size <= 0) return false;
    received_.append(buffer.data(), static_cast<size_t>(size));
  }
  return true;
}

std::optional<RawFrame> RawPeer::Read(absl::Duration timeout) {
  const absl::Time deadline = absl::Now() + timeout;
  if (!Fill(kHeaderBytes, deadline)) return std::nullopt;
  const auto size = Take<uint32_t>(received_, 0);
  if (size < kHeaderBytes || !Fill(size, deadline)) return std::nullopt;
  RawFrame frame = {
      .kind = static_cast<uint8_t>(received_[4]),
      .target = Take<uint32_t>(received_, 8),
      .session = Take<uint32_t>(received_, 12),
      .sequence = Take<uint64_t>(received_, 16),
      .payload = received_.substr(kHeaderBytes, size - kHeaderBytes)};
  received_.erase(0, size);
  if (frame.kind == kRawGoodbye) {
    ReadGoodbye(frame.payload, &goodbye_, &goodbye_text_);
  }
  return frame;
}

bool RawPeer::Greet(std::string_view name) {
  if (!Send(HelloFrame(name))) return false;
  const std::optional<RawFrame> answer = Read();
  return answer && answer->kind == kRawWelcome;
}

bool RawPeer::WaitForEnd(absl::Duration timeout) {
  const absl::Time deadline = absl::Now() + timeout;
  while (Read(deadline - absl::Now())) {
  }
  // Ended, and not just silent?
  char byte;
  const ssize_t size = recv(fd_, &byte, 1, MSG_DONTWAIT | MSG_PEEK);
  return size == 0 || (size < 0 && errno != EAGAIN);
}

}  // namespace ipc::test
