// SPDX-License-Identifier: Apache-2.0
//
// The list of contestants, in the order in which they run and are printed.

#include "tests/bench/contestant.h"
#include "tests/bench/peer.h"

namespace ipc::bench {

// The peers whose library was not there when this was built.
#ifndef IPC_BENCH_NATS
std::unique_ptr<Contestant> MakeNats() {
  return MakeMissing("nats", "built without libnats-dev");
}
#endif
#ifndef IPC_BENCH_MOSQUITTO
std::unique_ptr<Contestant> MakeMosquitto() {
  return MakeMissing("mosquitto", "built without libmosquitto-dev");
}
#endif
#ifndef IPC_BENCH_REDIS
std::unique_ptr<Contestant> MakeRedis() {
  return MakeMissing("redis", "built without libhiredis-dev");
}
#endif
#ifndef IPC_BENCH_ZEROMQ
std::unique_ptr<Contestant> MakeZeroMq() {
  return MakeMissing("zeromq", "built without libzmq3-dev");
}
#endif
#ifndef IPC_BENCH_DBUS
std::unique_ptr<Contestant> MakeDbus() {
  return MakeMissing("dbus", "built without libsystemd-dev");
}
#endif

std::vector<std::unique_ptr<Contestant>> MakeContestants() {
  std::vector<std::unique_ptr<Contestant>> all;
  all.push_back(MakeBus());
  all.push_back(MakeNats());
  all.push_back(MakeMosquitto());
  all.push_back(MakeRedis());
  all.push_back(MakeZeroMq());
  all.push_back(MakeDbus());
  all.push_back(MakeRelay());
  return all;
}

}  // namespace ipc::bench
