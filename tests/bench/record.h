// SPDX-License-Identifier: Apache-2.0
//
// Payloads of a publisher and their reading by a subscriber: raw bytes, or a
// Record that is serialized before each message and parsed behind it.

#ifndef IPC_TESTS_BENCH_RECORD_H_
#define IPC_TESTS_BENCH_RECORD_H_

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "tests/bench/contestant.h"
#include "tests/bench/payload.h"
#include "tests/bench/record.pb.h"

namespace ipc::bench {

// About `bytes` long on the wire: a few less, never more.
inline Record MakeRecord(uint64_t bytes) {
  Record record;
  record.set_sequence(1);  // 0 takes no room
  record.set_name("imu-0");
  constexpr uint64_t kSampleBytes = sizeof(double);
  constexpr uint64_t kListHeadBytes = 4;
  uint64_t size = record.ByteSizeLong() + kListHeadBytes;
  for (; size + kSampleBytes <= bytes; size += kSampleBytes) {
    record.add_samples(static_cast<double>(size));
  }
  return record;
}

class PayloadWriter {
 public:
  explicit PayloadWriter(const Work& work)
      : typed_(work.typed),
        index_(work.index),
        record_(MakeRecord(work.payload_bytes)),
        bytes_(work.payload_bytes, std::byte{'x'}) {}

  // Message `number`; borrowed until the next call.
  std::span<const std::byte> Write(uint64_t number) {
    const uint64_t sequence = MakeSequence(index_, number);
    if (!typed_) {
      PutSequence(bytes_.data(), sequence);
      return bytes_;
    }
    record_.set_sequence(sequence);
    const size_t size = record_.ByteSizeLong();
    record_.SerializeWithCachedSizesToArray(
        reinterpret_cast<uint8_t*>(bytes_.data()));
    return {bytes_.data(), size};
  }

 private:
  const bool typed_;
  const uint32_t index_;
  Record record_;
  std::vector<std::byte> bytes_;
};

// Hands what it reads to a SequenceCheck.
class PayloadReader {
 public:
  explicit PayloadReader(const Work& work)
      : typed_(work.typed), check_(work.payload_bytes, work.best_effort) {}

  void Read(std::span<const std::byte> payload) {
    if (!typed_) return check_.OnPayload(payload);
    const int size = static_cast<int>(payload.size());
    if (record_.ParseFromArray(payload.data(), size)) {
      check_.OnSequence(record_.sequence());
    } else {
      check_.OnPayload({});
    }
  }

  SequenceCheck& check() { return check_; }

 private:
  const bool typed_;
  Record record_;
  SequenceCheck check_;
};

}  // namespace ipc::bench

#endif  // IPC_TESTS_BENCH_RECORD_H_
