// SPDX-License-Identifier: Apache-2.0
//
// The seed of every test that draws numbers. It is new in each run; the
// environment variable IPC_SEED replays a run that failed:
//
//   std::mt19937_64 random(test::Seed());
//   SCOPED_TRACE(test::SeedNote());

#ifndef IPC_TESTS_SUPPORT_SEED_H_
#define IPC_TESTS_SUPPORT_SEED_H_

#include <cstdint>
#include <string>

namespace ipc::test {

// The same during one run. Printed to stderr when first asked for.
uint64_t Seed();
// "replay with IPC_SEED=17"
std::string SeedNote();

}  // namespace ipc::test

#endif  // IPC_TESTS_SUPPORT_SEED_H_
