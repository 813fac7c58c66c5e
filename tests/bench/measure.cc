// SPDX-License-Identifier: Apache-2.0
//
// The order of one measurement. Subscribers first, then the publishers, which
// are ready when they see them all; only then do they get their go. All
// processes stay connected until the last result is in, so no closing disturbs
// it.

#include "tests/bench/measure.h"

#include <algorithm>
#include <cstdint>
#include <span>
#include <utility>

#include "absl/strings/str_cat.h"
#include "tests/bench/clock.h"
#include "tests/bench/compare.h"
#include "tests/bench/machine.h"
#include "tests/bench/process.h"
#include "tests/bench/role.h"

namespace ipc::bench {
namespace {

// The processes of one measurement. Destroyed: killed, the broker last.
class Stage {
 public:
  Stage(const Contestant& contestant, Work work)
      : contestant_(contestant), work_(std::move(work)) {}

  absl::Status StartBroker(const Load& load) {
    Work work = work_;
    work.payload_bytes = std::max(work.payload_bytes, load.payload_bytes);
    auto broker = contestant_.StartBroker(work);
    if (!broker.ok()) return broker.status();
    broker_ = *std::move(broker);
    work_.address = broker_.address;
    return absl::OkStatus();
  }

  // Starts `count` processes and waits until each is ready.
  absl::Status StartRoles(const std::string& role, uint32_t count = 1) {
    return StartRoles(role, count, work_);
  }
  absl::Status StartLoad(const Load& load) {
    Work work = work_;
    work.payload_bytes = load.payload_bytes;
    work.messages = load.messages_per_second;
    work.subscribers = load.subscribers;
    auto status = StartRoles(kLoadSubscriberRole, load.subscribers, work);
    return status.ok() ? StartRoles(kLoadPublisherRole, 1, work) : status;
  }

  // Starts the crowd and waits until its warm-up is there.
  absl::Status StartCrowd(const Population& population) {
    auto status = CheckDescriptors(population, DescriptorLimit());
    if (!status.ok()) return status;
    auto crowd = contestant_.StartCrowd(work_.address, population);
    if (!crowd.ok()) return crowd.status();
    crowd_ = *std::move(crowd);
    return AwaitReports({&crowd_}, "ready", broker_.process).status();
  }
  // Waits until all of it is there.
  absl::StatusOr<Report> SettleCrowd() {
    if (auto status = crowd_.SendGo(); !status.ok()) return status;
    auto done = AwaitReports({&crowd_}, "done", broker_.process);
    if (!done.ok()) return done.status();
    return done->front();
  }

  // Runs a command of the operator's tool; how long it took.
  absl::StatusOr<int64_t> RunTool(const std::string& command) {
    const int64_t start_ns = MonotonicNs();
    auto tool = contestant_.StartTool(work_.address, command);
    if (!tool.ok()) return tool.status();
    const std::string end = tool->DescribeEnd(kStepNsMax / 1'000'000);
    const int64_t end_ns = MonotonicNs();
    auto status = tool->Stop();
    if (end.empty()) status.Update(absl::DeadlineExceededError(command));
    if (!status.ok()) return status;
    return end_ns - start_ns;
  }

  absl::Status Go(size_t first, size_t end) {
    for (size_t i = first; i < end; ++i) {
      if (auto status = roles_[i].SendGo(); !status.ok()) return status;
    }
    return absl::OkStatus();
  }

  // Of the roles first..end-1, in the order of their start.
  absl::StatusOr<std::vector<Report>> AwaitDone(size_t first, size_t end) {
    return Await("done", first, end);
  }

  absl::Status Stop() {
    absl::Status result = absl::OkStatus();
    // It must have been there to the end.
    const std::string early = crowd_.DescribeEnd(0);
    if (!early.empty()) result.Update(absl::AbortedError("the " + early));
    for (Process& role : roles_) result.Update(role.Stop());
    // Ahead of the crowd, of which it would have to clear up.
    result.Update(broker_.process.Stop(/*terminate=*/true));
    crowd_.Kill();
    return result;
  }

  size_t roles() const { return roles_.size(); }
  pid_t broker_pid() const { return broker_.process.pid(); }

 private:
  absl::Status StartRoles(const std::string& role, uint32_t count, Work work) {
    const size_t first = roles_.size();
    for (work.index = 0; work.index < count; ++work.index) {
      auto process = StartRole({role, contestant_.name(), work});
      if (!process.ok()) return process.status();
      roles_.push_back(*std::move(process));
    }
    return Await("ready", first, roles_.size()).status();
  }

  absl::StatusOr<std::vector<Report>> Await(const std::string& word,
                                            size_t first, size_t end) {
    std::vector<Process*> awaited;
    for (size_t i = first; i < end; ++i) awaited.push_back(&roles_[i]);
    return AwaitReports(awaited, word, broker_.process);
  }

  const Contestant& contestant_;
  Work work_;
  Broker broker_;
  Process crowd_;
  std::vector<Process> roles_;
};

absl::Status CheckReport(const Report& report, size_t numbers) {
  if (report.numbers.size() == numbers) return absl::OkStatus();
  return absl::InternalError(absl::StrCat("a role has reported ",
                                          report.numbers.size(), " numbers, ",
                                          numbers, " were expected"));
}

// What all subscribers, whose reports these are, have received.
struct Reception {
  int64_t end_ns = 0;
  uint64_t messages = 0;
};

absl::StatusOr<Reception> SumReceptions(std::span<const Report> reports,
                                        const Work& work) {
  const uint64_t expected = work.messages * work.publishers;
  Reception reception;
  for (const Report& report : reports) {
    if (auto status = CheckReport(report, 3); !status.ok()) return status;
    const uint64_t mine = static_cast<uint64_t>(report.numbers[1]);
    const uint64_t missing = static_cast<uint64_t>(report.numbers[2]);
    if (mine + missing != expected || (missing != 0 && !work.best_effort)) {
      return absl::DataLossError(
          absl::StrCat("received ", mine, " of ", expected, " messages"));
    }
    reception.end_ns = std::max(reception.end_ns, report.numbers[0]);
    reception.messages += mine;
  }
  return reception;
}

absl::StatusOr<Sample> MeasureThroughput(Stage& stage, const Work& work) {
  auto status = stage.StartRoles(kSubscriberRole, work.subscribers);
  if (status.ok()) status = stage.StartRoles(kPublisherRole, work.publishers);
  if (status.ok()) status = stage.Go(work.subscribers, stage.roles());
  if (!status.ok()) return status;
  auto done = stage.AwaitDone(0, stage.roles());
  if (!done.ok()) return done.status();
  const std::span<const Report> reports(*done);
  auto reception = SumReceptions(reports.first(work.subscribers), work);
  if (!reception.ok()) return reception.status();
  int64_t start_ns = INT64_MAX;
  double cpu_ns = 0;
  for (const Report& report : reports.subspan(work.subscribers)) {
    if (status = CheckReport(report, 2); !status.ok()) return status;
    start_ns = std::min(start_ns, report.numbers[0]);
    cpu_ns += static_cast<double>(report.numbers[1]);
  }
  Sample sample;
  sample.elapsed_ns = reception->end_ns - start_ns;
  const double seconds = static_cast<double>(sample.elapsed_ns) * 1e-9;
  const double each =
      static_cast<double>(reception->messages) / work.subscribers;
  const double sent =
      static_cast<double>(work.messages) * static_cast<double>(work.publishers);
  sample.metrics = {{"messages_per_second", "1/s", each / seconds},
                    {"delivered_share", "1", each / sent},
                    {"publish_cpu", "ns", cpu_ns / sent}};
  return sample;
}

// Ends the load of role `index` and tells how much of it has passed. Errors:
// kResourceExhausted if that is too little to call it the load.
absl::StatusOr<double> EndLoad(Stage& stage, const Load& load, size_t index) {
  constexpr double kShareMin = 0.95;
  if (auto status = stage.Go(index, index + 1); !status.ok()) return status;
  auto done = stage.AwaitDone(index, index + 1);
  if (!done.ok()) return done.status();
  const Report& report = done->front();
  if (auto status = CheckReport(report, 2); !status.ok()) return status;
  const double passed = static_cast<double>(report.numbers[0]);
  const double seconds = static_cast<double>(report.numbers[1]) * 1e-9;
  const double wanted = load.messages_per_second * seconds;
  // A short try of the calibration says nothing: the load may have just been
  // late, and caught up.
  constexpr double kJudgedSecondsMin = 0.25;
  if (seconds < kJudgedSecondsMin || passed >= wanted * kShareMin) {
    return passed / wanted;
  }
  return absl::ResourceExhaustedError(absl::StrCat(
      "only ", static_cast<int>(passed / seconds), " of ",
      load.messages_per_second, " messages of the load passed each second"));
}

absl::StatusOr<Sample> MeasureRoundTrip(Stage& stage,
                                        const Scenario& scenario) {
  const Load& load = scenario.load;
  const bool loaded = load.payload_bytes > 0;
  absl::Status status;
  if (loaded) status = stage.StartLoad(load);
  const size_t load_end = stage.roles();
  if (status.ok()) status = stage.StartRoles(kEchoRole);
  if (status.ok()) status = stage.StartRoles(kPingerRole);
  if (status.ok() && loaded) status = stage.Go(load_end - 1, load_end);
  const size_t pinger = stage.roles() - 1;
  if (status.ok()) status = stage.Go(pinger, stage.roles());
  if (!status.ok()) return status;
  auto done = stage.AwaitDone(pinger, stage.roles());
  if (!done.ok()) return done.status();
  if (status = CheckReport(done->front(), 4); !status.ok()) return status;
  const std::vector<int64_t>& ns = done->front().numbers;
  const auto us = [&](size_t i) { return static_cast<double>(ns[i]) / 1000; };
  Sample sample;
  sample.elapsed_ns = ns[0];
  sample.metrics = {
      {"p50", "us", us(1)}, {"p99", "us", us(2)}, {"p99.9", "us", us(3)}};
  if (!loaded) return sample;
  auto share = EndLoad(stage, load, load_end - 1);
  if (!share.ok()) return share.status();
  sample.metrics.push_back({"load_share", "1", *share});
  return sample;
}

// Lets what is counted come; all of it is ready to.
absl::Status Grow(Stage& stage, const Population& crowd) {
  if (!crowd.empty()) return stage.SettleCrowd().status();
  if (auto status = stage.Go(0, 1); !status.ok()) return status;
  return stage.AwaitDone(0, 1).status();
}

absl::StatusOr<Sample> MeasureIdle(Stage& stage, const Scenario& scenario,
                                   const Work& work) {
  const Population& crowd = scenario.crowd;
  auto status =
      crowd.empty() ? stage.StartRoles(kIdleRole) : stage.StartCrowd(crowd);
  if (!status.ok()) return status;
  const auto before = ReadMemory(stage.broker_pid());
  if (status = Grow(stage, crowd); !status.ok()) return status;
  const auto after = ReadMemory(stage.broker_pid());
  status.Update(before.status());
  status.Update(after.status());
  if (!status.ok()) return status;
  const double count =
      static_cast<double>(crowd.empty() ? work.connections : crowd.growth());
  const auto growth = [&](int64_t MemoryUse::*field) {
    return static_cast<double>((*after).*field - (*before).*field) / count;
  };
  Sample sample;
  sample.metrics = {{"rss", "B", growth(&MemoryUse::rss)},
                    {"pss", "B", growth(&MemoryUse::pss)},
                    {"private_dirty", "B", growth(&MemoryUse::private_dirty)}};
  return sample;
}

// A crowd comes, and then an operator looks at it, while a prober measures how
// long others wait.
absl::StatusOr<Sample> MeasureCrowd(Stage& stage, const Population& crowd) {
  auto status = stage.StartCrowd(crowd);
  if (!status.ok()) return status;
  auto settled = stage.SettleCrowd();
  if (!settled.ok()) return settled.status();
  if (status = CheckReport(*settled, 3); !status.ok()) return status;
  const auto memory = ReadMemory(stage.broker_pid());
  if (!memory.ok()) return memory.status();
  status = stage.StartRoles(kProberRole);
  if (status.ok()) status = stage.Go(0, 1);
  std::vector<Metric> looks;
  for (const char* command : {"status", "clients", "topics"}) {
    if (!status.ok()) return status;
    auto took_ns = stage.RunTool(command);
    if (!took_ns.ok()) return took_ns.status();
    looks.push_back({command, "ms", static_cast<double>(*took_ns) * 1e-6});
  }
  if (status = stage.Go(0, 1); !status.ok()) return status;
  auto pings = stage.AwaitDone(0, 1);
  if (!pings.ok()) return pings.status();
  if (status = CheckReport(pings->front(), 2); !status.ok()) return status;
  const auto seconds = [&](size_t i) {
    return static_cast<double>(settled->numbers[i]) * 1e-9;
  };
  const auto ping_ms = [&](size_t i) {
    return static_cast<double>(pings->front().numbers[i]) * 1e-6;
  };
  const auto rate = [&](uint64_t count, size_t i) {
    return static_cast<double>(count) / seconds(i);
  };
  Sample sample;
  sample.metrics = {
      {"settled", "s", seconds(0) + seconds(1) + seconds(2)},
      {"connections_per_second", "1/s", rate(crowd.connections(), 0)},
      {"subscriptions_per_second", "1/s", rate(crowd.subscriptions(), 1)},
      {"topics_per_second", "1/s", rate(crowd.topics(), 2)},
      {"rss", "B", static_cast<double>(memory->rss)}};
  sample.metrics.insert(sample.metrics.end(), looks.begin(), looks.end());
  sample.metrics.push_back({"longest_ping_before", "ms", ping_ms(0)});
  sample.metrics.push_back({"longest_ping", "ms", ping_ms(1)});
  return sample;
}

absl::StatusOr<Sample> MeasureOn(Stage& stage, const Scenario& scenario,
                                 const Work& work) {
  if (scenario.crowded()) {
    auto status = stage.StartCrowd(scenario.crowd);
    if (status.ok()) status = stage.SettleCrowd().status();
    if (!status.ok()) return status;
  }
  switch (scenario.kind) {
    case Kind::kThroughput:
      return MeasureThroughput(stage, work);
    case Kind::kRoundTrip:
      return MeasureRoundTrip(stage, scenario);
    case Kind::kIdle:
      return MeasureIdle(stage, scenario, work);
    case Kind::kCrowd:
      return MeasureCrowd(stage, scenario.crowd);
  }
  return absl::InternalError("no such kind");
}

// As Measure; with a crowd, in it only.
absl::StatusOr<Sample> MeasureOnce(const Contestant& contestant,
                                   const Scenario& scenario,
                                   const Effort& effort,
                                   const std::string& folder) {
  Work work;
  work.folder = folder;
  work.payload_bytes = scenario.payload_bytes;
  work.messages = effort.messages;
  work.publishers = scenario.publishers;
  work.subscribers = scenario.subscribers;
  work.typed = scenario.typed;
  work.memfd = scenario.memfd;
  work.best_effort = scenario.best_effort;
  work.connections = effort.idle_connections;
  work.subscriptions_each = scenario.subscriptions_each;
  Stage stage(contestant, work);
  auto status = stage.StartBroker(scenario.load);
  if (!status.ok()) return status;
  auto sample = MeasureOn(stage, scenario, work);
  if (!sample.ok()) return sample;
  if (status = stage.Stop(); !status.ok()) return status;
  return sample;
}

}  // namespace

absl::StatusOr<Sample> Measure(const Contestant& contestant,
                               const Scenario& scenario, const Effort& effort,
                               const std::string& folder) {
  if (!scenario.crowded()) {
    return MeasureOnce(contestant, scenario, effort, folder);
  }
  auto alone = MeasureOnce(contestant, Alone(scenario), effort, folder);
  if (!alone.ok()) return alone;
  auto sample = MeasureOnce(contestant, scenario, effort, folder);
  if (sample.ok()) AddComparison(alone->metrics, &sample->metrics);
  return sample;
}

}  // namespace ipc::bench
