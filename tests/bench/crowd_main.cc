// SPDX-License-Identifier: Apache-2.0
//
// bench_crowd: a crowd as a process of its own, beside what is measured. It is
// a program of its own because it has the protocol's codec inside, which cannot
// be in one program together with libipc.so.
//
// Makes the warm-up, reports Ready, awaits Go, makes the rest, reports
// Done(connect_ns, subscribe_ns, open_ns) and keeps still until it is stopped.

#include <signal.h>
#include <sys/prctl.h>
#include <unistd.h>

#include <string>
#include <utility>

#include "CLI/CLI.hpp"
#include "libipc/base/status_macros.h"
#include "tests/bench/clock.h"
#include "tests/bench/control.h"
#include "tests/bench/crowd.h"
#include "tests/bench/machine.h"
#include "tests/bench/population.h"

namespace ipc::bench {
namespace {

class Growth {
 public:
  Growth(const Population& population, Crowd* crowd)
      : population_(population), crowd_(*crowd) {}

  absl::Status Connect() {
    return crowd_.Connect(static_cast<uint32_t>(population_.connections()));
  }
  absl::Status Subscribe(uint32_t each) {
    return crowd_.Subscribe({0, population_.subscribers}, each,
                            [this](size_t client, uint32_t n) {
                              return SubscriptionName(population_, client, n);
                            });
  }
  absl::Status Open(uint32_t each) {
    const size_t first = population_.subscribers;
    return crowd_.Open({first, population_.connections()}, each,
                       [first](size_t client, uint32_t n) {
                         return TopicName(client - first, n);
                       });
  }

 private:
  const Population& population_;
  Crowd& crowd_;
};

absl::Status Run(const std::string& address, const Population& population,
                 Control& control) {
  IPC_ASSIGN_OR_RETURN(Crowd crowd, Crowd::Make(address));
  Growth growth(population, &crowd);
  const uint32_t warm_up = population.warm_up;
  if (warm_up > 0) {
    IPC_RETURN_IF_ERROR(growth.Connect());
    IPC_RETURN_IF_ERROR(growth.Open(std::min(warm_up, population.topics_each)));
    IPC_RETURN_IF_ERROR(
        growth.Subscribe(std::min(warm_up, population.subscriptions_each)));
  }
  control.Ready();
  IPC_RETURN_IF_ERROR(control.AwaitGo());
  const int64_t start_ns = MonotonicNs();
  if (warm_up == 0) IPC_RETURN_IF_ERROR(growth.Connect());
  const int64_t connected_ns = MonotonicNs();
  IPC_RETURN_IF_ERROR(
      growth.Subscribe(population.Behind(population.subscriptions_each)));
  const int64_t subscribed_ns = MonotonicNs();
  IPC_RETURN_IF_ERROR(growth.Open(population.Behind(population.topics_each)));
  control.Done({connected_ns - start_ns, subscribed_ns - connected_ns,
                MonotonicNs() - subscribed_ns});
  return crowd.Serve(STDIN_FILENO);
}

int Main(int argc, char** argv) {
  CLI::App app("Idle clients beside a measurement; started by bench.");
  std::string address;
  Population population;
  app.add_option("--address", address)->required();
  AddPopulationOptions(&app, &population);
  CLI11_PARSE(app, argc, argv);
  signal(SIGPIPE, SIG_IGN);
  prctl(PR_SET_NAME, "b-crowd");
  RaiseDescriptorLimit();
  Control control(STDIN_FILENO, STDOUT_FILENO);
  const absl::Status status = Run(address, population, control);
  // Stopped before it was settled: that is no failure of its own.
  if (status.ok() || absl::IsCancelled(status)) return 0;
  control.Failed(status);
  return 1;
}

}  // namespace
}  // namespace ipc::bench

int main(int argc, char** argv) { return ipc::bench::Main(argc, argv); }
