// SPDX-License-Identifier: Apache-2.0
//
// The only source of chance in a simulated run: the same seed draws the same
// numbers on every machine and with every compiler, which the distributions of
// <random> do not promise.

#ifndef IPC_TESTS_SIM_RANDOM_H_
#define IPC_TESTS_SIM_RANDOM_H_

#include <cstddef>
#include <cstdint>

namespace ipc::sim {

// splitmix64.
inline uint64_t Mix(uint64_t x) {
  x += 0x9e3779b97f4a7c15;
  x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9;
  x = (x ^ (x >> 27)) * 0x94d049bb133111eb;
  return x ^ (x >> 31);
}

class Random {
 public:
  explicit Random(uint64_t seed) : state_(Mix(seed)) {}

  uint64_t Next() { return Mix(state_++); }
  // 0 to `bound` - 1; 0 if `bound` is 0.
  uint64_t Below(uint64_t bound) { return bound == 0 ? 0 : Next() % bound; }
  // `low` to `high`, both included.
  uint64_t Between(uint64_t low, uint64_t high) {
    return low + Below(high - low + 1);
  }
  bool Chance(double probability) {
    return static_cast<double>(Next() >> 11) * 0x1.0p-53 < probability;
  }
  // One of the elements of a container that is not empty.
  template <typename Container>
  auto& Pick(Container& container) {
    return container[Below(container.size())];
  }

 private:
  uint64_t state_;
};

}  // namespace ipc::sim

#endif  // IPC_TESTS_SIM_RANDOM_H_
