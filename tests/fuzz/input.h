// SPDX-License-Identifier: Apache-2.0
//
// What a fuzz target is given, as a script: taken from its front; zeros when
// it has ended.

#ifndef IPC_TESTS_FUZZ_INPUT_H_
#define IPC_TESTS_FUZZ_INPUT_H_

#include <array>
#include <cstddef>
#include <cstdint>
#include <string_view>

namespace ipc::test {

class Input {
 public:
  Input(const uint8_t* data, size_t size)
      : rest_(reinterpret_cast<const char*>(data), size) {}

  bool empty() const { return rest_.empty(); }
  uint8_t Byte() {
    if (rest_.empty()) return 0;
    const auto byte = static_cast<uint8_t>(rest_.front());
    rest_.remove_prefix(1);
    return byte;
  }
  // Mostly small, so that it hits numbers that are in use.
  uint32_t Number() {
    const uint8_t byte = Byte();
    if (byte < 0xf0) return byte % 8;
    return byte == 0xff ? 0xffffffff : uint32_t{1} << (2 * (byte - 0xf0));
  }
  std::string_view Bytes(size_t size) {
    const std::string_view bytes = rest_.substr(0, size);
    rest_.remove_prefix(bytes.size());
    return bytes;
  }
  template <typename Value, size_t kCount>
  const Value& Pick(const std::array<Value, kCount>& values) {
    return values[Byte() % kCount];
  }

 private:
  std::string_view rest_;
};

}  // namespace ipc::test

#endif  // IPC_TESTS_FUZZ_INPUT_H_
