// SPDX-License-Identifier: Apache-2.0
//
// The first eight bytes of every payload are the message's number, counted
// from 0, with its publisher's index above it; the rest is filler.
// SequenceCheck is the proof that a subscriber received every one of them, once
// and in order: a figure without it would reward the contestant that drops
// most.

#ifndef IPC_TESTS_BENCH_PAYLOAD_H_
#define IPC_TESTS_BENCH_PAYLOAD_H_

#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"

namespace ipc::bench {

inline constexpr size_t kSequenceBytes = 8;
// Of one measurement.
inline constexpr uint32_t kPublishersMax = 8;
inline constexpr int kPublisherShift = 48;

// What publisher `index` puts into its message `number`.
inline uint64_t MakeSequence(uint32_t index, uint64_t number) {
  return (uint64_t{index} << kPublisherShift) | number;
}
inline uint32_t PublisherOf(uint64_t sequence) {
  return static_cast<uint32_t>(sequence >> kPublisherShift);
}

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
    OnSequence(GetSequence(payload.data()));
  }

  void OnSequence(uint64_t sequence) {
    uint64_t& next = next_[PublisherOf(sequence) % kPublishersMax];
    const uint64_t number = sequence - MakeSequence(PublisherOf(sequence), 0);
    if (number != next) [[unlikely]] {
      if (number < next || !gaps_allowed_) out_of_order_++;
    }
    next = number + 1;
    last_publisher_ = PublisherOf(sequence);
    received_++;
  }

  uint64_t received() const { return received_; }
  // Of one publisher.
  uint64_t received_of(uint32_t publisher) const {
    return next_[publisher % kPublishersMax];
  }
  uint32_t last_publisher() const { return last_publisher_; }
  bool faultless() const { return wrong_sizes_ == 0 && out_of_order_ == 0; }

  // Errors: kDataLoss with what was wrong.
  absl::Status Finish() const {
    if (faultless()) return absl::OkStatus();
    return absl::DataLossError(
        absl::StrCat(wrong_sizes_, " payloads of a wrong size and ",
                     out_of_order_, " numbers out of order or missing"));
  }

 private:
  const uint64_t payload_bytes_;
  const bool gaps_allowed_;
  std::array<uint64_t, kPublishersMax> next_ = {};
  uint64_t received_ = 0;
  uint32_t last_publisher_ = 0;
  uint64_t wrong_sizes_ = 0;
  uint64_t out_of_order_ = 0;
};

}  // namespace ipc::bench

#endif  // IPC_TESTS_BENCH_PAYLOAD_H_
