// SPDX-License-Identifier: Apache-2.0
//
// The numbers that stand for things on the wire and in the broker, each with
// a type of its own so that none passes for another. 0 is never given out.

#ifndef IPC_LIBIPC_BASE_IDS_H_
#define IPC_LIBIPC_BASE_IDS_H_

#include <array>
#include <compare>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>

namespace ipc {

enum class ConnectionId : uint64_t {};    // one socket; the shell's
enum class SessionNumber : uint32_t {};   // a session, on one broker
enum class TopicId : uint32_t {};         // a topic, on one broker
enum class ChannelNumber : uint32_t {};   // chosen by the publisher
enum class SubscriptionId : uint32_t {};  // chosen by the subscriber
enum class ReaderId : uint32_t {};        // a (publisher, subscription) pair

template <typename Id>
constexpr auto ToNumber(Id id) {
  return static_cast<std::underlying_type_t<Id>>(id);
}

// 128 random bits: a client's session or a broker's instance.
struct Token {
  std::array<uint8_t, 16> bytes{};

  auto operator<=>(const Token&) const = default;
  template <typename H>
  friend H AbslHashValue(H state, const Token& token) {
    return H::combine(std::move(state), token.bytes);
  }
  bool IsZero() const { return *this == Token{}; }
};

// 32 lower-case hexadecimal digits.
std::string ToHex(const Token& token);
// The 16 bytes as they travel.
std::string ToBytes(const Token& token);
// False unless `bytes` has 16 of them.
bool TokenFromBytes(std::string_view bytes, Token* token);

// What names a session everywhere: the token that its client made, and the
// process that the kernel vouches for. Whoever copies a token from another
// process only gets a session of its own.
struct SessionKey {
  Token token;
  int32_t pid = 0;
  uint32_t uid = 0;

  auto operator<=>(const SessionKey&) const = default;
  template <typename H>
  friend H AbslHashValue(H state, const SessionKey& key) {
    return H::combine(std::move(state), key.token, key.pid, key.uid);
  }
};

}  // namespace ipc

#endif  // IPC_LIBIPC_BASE_IDS_H_
