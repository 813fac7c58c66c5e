// SPDX-License-Identifier: Apache-2.0
//
// The order of one measurement. Subscribers first, then the publisher, which
// is ready when it sees them all; only then does it get its go. All processes
// stay connected until the last result is in, so no closing disturbs it.

#include "tests/bench/measure.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "tests/bench/clock.h"
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

  absl::Status StartBroker(const std::string& folder) {
    auto broker = contestant_.StartBroker(folder);
    if (!broker.ok()) return broker.status();
    broker_ = *std::move(broker);
    work_.address = broker_.address;
    return absl::OkStatus();
  }

  // Starts `count` processes and waits until each is ready.
  absl::Status StartRoles(const std::string& role, uint32_t count = 1) {
    const size_t first = roles_.size();
    for (uint32_t i = 0; i < count; ++i) {
      auto process = StartRole({role, contestant_.name(), work_});
      if (!process.ok()) return process.status();
      roles_.push_back(*std::move(process));
    }
    return Await("ready", first, roles_.size()).status();
  }

  absl::Status GoLast() { return roles_.back().SendGo(); }

  // Of the roles first..end-1, in the order of their start.
  absl::StatusOr<std::vector<Report>> AwaitDone(size_t first, size_t end) {
    return Await("done", first, end);
  }

  absl::Status Stop() {
    absl::Status result = absl::OkStatus();
    for (Process& role : roles_) result.Update(role.Stop());
    result.Update(broker_.process.Stop(/*terminate=*/true));
    return result;
  }

  size_t roles() const { return roles_.size(); }
  pid_t broker_pid() const { return broker_.process.pid(); }

 private:
  absl::StatusOr<std::vector<Report>> Await(const std::string& word,
                                            size_t first, size_t end) {
    std::vector<Process*> awaited;
    for (size_t i = first; i < end; ++i) awaited.push_back(&roles_[i]);
    return AwaitReports(awaited, word, broker_.process);
  }

  const Contestant& contestant_;
  Work work_;
  Broker broker_;
  std::vector<Process> roles_;
};

absl::Status CheckReport(const Report& report, size_t numbers) {
  if (report.numbers.size() == numbers) return absl::OkStatus();
  return absl::InternalError(absl::StrCat("a role has reported ",
                                          report.numbers.size(), " numbers, ",
                                          numbers, " were expected"));
}

absl::StatusOr<Sample> MeasureThroughput(Stage& stage, const Work& work) {
  auto status = stage.StartRoles(kSubscriberRole, work.subscribers);
  if (status.ok()) status = stage.StartRoles(kPublisherRole);
  if (status.ok()) status = stage.GoLast();
  if (!status.ok()) return status;
  auto done = stage.AwaitDone(0, stage.roles());
  if (!done.ok()) return done.status();
  status.Update(CheckReport(done->back(), 1));
  int64_t end_ns = 0;
  uint64_t received = 0;
  for (uint32_t i = 0; i < work.subscribers; ++i) {
    const Report& report = (*done)[i];
    status.Update(CheckReport(report, 3));
    if (!status.ok()) return status;
    const uint64_t mine = static_cast<uint64_t>(report.numbers[1]);
    const uint64_t missing = static_cast<uint64_t>(report.numbers[2]);
    if (mine + missing != work.messages ||
        (missing != 0 && !work.best_effort)) {
      return absl::DataLossError(
          absl::StrCat("received ", mine, " of ", work.messages, " messages"));
    }
    end_ns = std::max(end_ns, report.numbers[0]);
    received += mine;
  }
  Sample sample;
  sample.elapsed_ns = end_ns - done->back().numbers[0];
  const double seconds = static_cast<double>(sample.elapsed_ns) * 1e-9;
  const double each = static_cast<double>(received) / work.subscribers;
  sample.metrics = {
      {"messages_per_second", "1/s", each / seconds},
      {"delivered_share", "1", each / static_cast<double>(work.messages)}};
  return sample;
}

absl::StatusOr<Sample> MeasureRoundTrip(Stage& stage) {
  auto status = stage.StartRoles(kEchoRole);
  if (status.ok()) status = stage.StartRoles(kPingerRole);
  if (status.ok()) status = stage.GoLast();
  if (!status.ok()) return status;
  auto done = stage.AwaitDone(1, 2);
  if (!done.ok()) return done.status();
  if (status = CheckReport(done->front(), 4); !status.ok()) return status;
  const std::vector<int64_t>& ns = done->front().numbers;
  const auto us = [&](size_t i) { return static_cast<double>(ns[i]) / 1000; };
  Sample sample;
  sample.elapsed_ns = ns[0];
  sample.metrics = {
      {"p50", "us", us(1)}, {"p99", "us", us(2)}, {"p99.9", "us", us(3)}};
  return sample;
}

absl::StatusOr<Sample> MeasureIdle(Stage& stage, const Work& work) {
  auto status = stage.StartRoles(kIdleRole);
  if (!status.ok()) return status;
  const auto before = ReadMemory(stage.broker_pid());
  if (status = stage.GoLast(); !status.ok()) return status;
  auto done = stage.AwaitDone(0, 1);
  if (!done.ok()) return done.status();
  const auto after = ReadMemory(stage.broker_pid());
  status.Update(before.status());
  status.Update(after.status());
  if (!status.ok()) return status;
  const auto growth = [&](int64_t MemoryUse::*field) {
    return static_cast<double>((*after).*field - (*before).*field) /
           work.connections;
  };
  Sample sample;
  sample.metrics = {{"rss", "B", growth(&MemoryUse::rss)},
                    {"pss", "B", growth(&MemoryUse::pss)},
                    {"private_dirty", "B", growth(&MemoryUse::private_dirty)}};
  return sample;
}

absl::StatusOr<Sample> MeasureOn(Stage& stage, Kind kind, const Work& work) {
  switch (kind) {
    case Kind::kThroughput:
      return MeasureThroughput(stage, work);
    case Kind::kRoundTrip:
      return MeasureRoundTrip(stage);
    case Kind::kIdle:
      return MeasureIdle(stage, work);
  }
  return absl::InternalError("no such kind");
}

}  // namespace

absl::StatusOr<Sample> Measure(const Contestant& contestant,
                               const Scenario& scenario, const Effort& effort,
                               const std::string& folder) {
  Work work;
  work.payload_bytes = scenario.payload_bytes;
  work.messages = effort.messages;
  work.subscribers = scenario.subscribers;
  work.best_effort = scenario.best_effort;
  work.connections = effort.idle_connections;
  work.subscriptions_each = scenario.subscriptions_each;
  Stage stage(contestant, work);
  auto status = stage.StartBroker(folder);
  if (!status.ok()) return status;
  auto sample = MeasureOn(stage, scenario.kind, work);
  if (!sample.ok()) return sample;
  if (status = stage.Stop(); !status.ok()) return status;
  return sample;
}

}  // namespace ipc::bench
