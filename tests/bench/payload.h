// SPDX-License-Identifier: Apache-2.0
//
// The first eight bytes of every payload are the message's number, counted
// from 0; the rest is filler. SequenceCheck is the proof that a subscriber
// received every one of them, once and in order: a figure without it would
// reward the contestant that drops most.

#ifndef IPC_TESTS_BENCH_PAYLOAD_H_
#define IPC_TESTS_BENCH_PAYLOAD_H_

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"

namespace ipc::bench {

inline constexpr size_t kSequenceBytes = 8;

inline void PutSequence(void* payload, uint64_t sequence) {
  std::memcpy(payload, &sequence, kSequenceBytes);
}

inline uint64_t GetSequence(const void* payload) {
  uint64_t sequence;
  std::memcpy(&sequence, payload, kSequenceBytes);
  return sequence;
}

class SequenceCheck {
 public:
  // `gaps_allowed`: numbers may be left out, but never go back.
  SequenceCheck(uint64_t payload_bytes, bool gaps_allowed)
      : payload_bytes_(payload_bytes), gaps_allowed_(gaps_allowed) {}

  void OnPayload(std::span<const std::byte> payload) {
    if (payload.size() != payload_bytes_) [[unlikely]] {
      wrong_sizes_++;
      return;
    }
    const uint64_t sequence = GetSequence(payload.data());
    if (sequence != next_) [[unlikely]] {
      if (sequence < next_ || !gaps_allowed_) out_of_order_++;
    }
    next_ = sequence + 1;
    received_++;
  }

  uint64_t received() const { return received_; }

  // Errors: kDataLoss with what was wrong.
  absl::Status Finish() const {
    if (wrong_sizes_ == 0 && out_of_order_ == 0) return absl::OkStatus();
    return absl::DataLossError(
        absl::StrCat(wrong_sizes_, " payloads of a wrong size and ",
                     out_of_order_, " numbers out of order or missing"));
  }

 private:
  const uint64_t payload_bytes_;
  const bool gaps_allowed_;
  uint64_t next_ = 0;
  uint64_t received_ = 0;
  uint64_t wrong_sizes_ = 0;
  uint64_t out_of_order_ = 0;
};

}  // namespace ipc::bench

#endif  // IPC_TESTS_BENCH_PAYLOAD_H_
