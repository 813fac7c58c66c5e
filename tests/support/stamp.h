// SPDX-License-Identifier: Apache-2.0
//
// Payloads that prove what became of them, and the books kept on them.
//
// A publisher numbers its messages 1, 2, 3, ... over all its topics, and the
// last one says that it is the last. Behind the stamp a payload is filled with
// what follows from the stamp. A Ledger is told every message that a subscriber
// gets and knows what is lost, came twice or came out of order.

#ifndef IPC_TESTS_SUPPORT_STAMP_H_
#define IPC_TESTS_SUPPORT_STAMP_H_

#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <span>
#include <string>

namespace ipc::test {

struct Stamp {
  uint32_t publisher = 0;
  uint32_t last = 0;  // 1 in the publisher's last message
  uint64_t number = 0;
};

// `bytes` are at least those of a Stamp. Reuses the string's memory.
void MakePayload(const Stamp& stamp, size_t bytes, std::string* payload);
// None if a byte is not as MakePayload made it.
std::optional<Stamp> ReadPayload(std::span<const std::byte> payload);

// For one thread.
class Ledger {
 public:
  // Ends with the last message of so many publishers.
  explicit Ledger(size_t publishers) : publishers_(publishers) {}

  // A message has come; `payload` is that of MakePayload.
  void OnPayload(std::span<const std::byte> payload);
  // The last message of every publisher has come.
  bool Done() const { return ended_ == publishers_; }

  uint64_t received() const { return received_; }
  // Of messages: missing before one that came; that came behind a later one or
  // again; that are not as they were published.
  uint64_t lost() const { return lost_; }
  uint64_t disordered() const { return disordered_; }
  uint64_t damaged() const { return damaged_; }

  // Empty if all is well: each publisher's messages have come once, in order.
  std::string Complaint() const;

 private:
  size_t publishers_;
  size_t ended_ = 0;
  std::map<uint32_t, uint64_t> last_;  // number, by publisher
  uint64_t received_ = 0;
  uint64_t lost_ = 0;
  uint64_t disordered_ = 0;
  uint64_t damaged_ = 0;
  std::string first_;  // what went wrong first
};

}  // namespace ipc::test

#endif  // IPC_TESTS_SUPPORT_STAMP_H_
