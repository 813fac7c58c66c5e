// SPDX-License-Identifier: Apache-2.0
//
// The list of scenarios, in the order in which they run and are printed. The
// sizes stand for a sensor's sample (64 B), a record (1 KiB), a page of samples
// (16 KiB), a picture (256 KiB) and a frame or file (1 MiB); one to eight shows
// what a delivery costs, eight to one what many connections do.

#include "tests/bench/scenario.h"

#include "absl/strings/str_cat.h"

namespace ipc::bench {
namespace {

constexpr uint64_t kKiB = 1024;
constexpr uint64_t kMiB = 1024 * kKiB;

// The size as a number and its unit with `space` between them.
std::string SizeText(uint64_t bytes, const char* space) {
  if (bytes % kMiB == 0) return absl::StrCat(bytes / kMiB, space, "MiB");
  if (bytes % kKiB == 0) return absl::StrCat(bytes / kKiB, space, "KiB");
  return absl::StrCat(bytes, space, "B");
}

Scenario Throughput(uint64_t payload_bytes, uint32_t publishers,
                    uint32_t subscribers) {
  Scenario scenario;
  scenario.kind = Kind::kThroughput;
  scenario.payload_bytes = payload_bytes;
  scenario.publishers = publishers;
  scenario.subscribers = subscribers;
  scenario.name = absl::StrCat("throughput/", SizeText(payload_bytes, ""), "/",
                               publishers, ":", subscribers);
  scenario.title = absl::StrCat(SizeText(payload_bytes, " "), ", ", publishers,
                                ":", subscribers);
  return scenario;
}

Scenario BestEffort(Scenario scenario) {
  scenario.best_effort = true;
  scenario.name += "/best-effort";
  scenario.title += " best effort";
  return scenario;
}

Scenario Typed(Scenario scenario) {
  scenario.typed = true;
  scenario.name += "/typed";
  scenario.title += " typed";
  return scenario;
}

Scenario Memfd(Scenario scenario) {
  scenario.memfd = true;
  scenario.name += "/memfd";
  scenario.title += " memfd";
  return scenario;
}

Scenario RoundTrip(uint64_t payload_bytes) {
  Scenario scenario;
  scenario.kind = Kind::kRoundTrip;
  scenario.payload_bytes = payload_bytes;
  scenario.name = absl::StrCat("round-trip/", SizeText(payload_bytes, ""));
  scenario.title = SizeText(payload_bytes, " ");
  return scenario;
}

Scenario UnderLoad(Scenario scenario) {
  scenario.load = {kMiB, 300, 4};
  scenario.name += "/under-load";
  scenario.title += " under load";
  return scenario;
}

// 10,000 connections with 100,000 subscriptions, and 1,000,000 topics.
Population Multitude() {
  return {.subscribers = 10'000,
          .subscriptions_each = 10,
          .publishers = 20,
          .topics_each = 50'000};
}

Scenario InCrowd(Scenario scenario) {
  scenario.crowd = Multitude();
  scenario.name += "/crowd";
  scenario.title += " in a crowd";
  return scenario;
}

Scenario OfCrowd() {
  Scenario scenario;
  scenario.kind = Kind::kCrowd;
  scenario.name = "crowd";
  scenario.crowd = Multitude();
  scenario.title =
      absl::StrCat(scenario.crowd.connections(), " connections, ",
                   scenario.crowd.subscriptions(), " subscriptions, ",
                   scenario.crowd.topics(), " topics");
  return scenario;
}

Scenario Quick(Scenario scenario) {
  scenario.quick = true;
  return scenario;
}

Scenario Idle(uint32_t subscriptions_each) {
  Scenario scenario;
  scenario.kind = Kind::kIdle;
  scenario.subscriptions_each = subscriptions_each;
  scenario.name = absl::StrCat("idle/", subscriptions_each);
  scenario.title = "connection";
  if (subscriptions_each > 0) {
    absl::StrAppend(
        &scenario.title, " with ", subscriptions_each,
        subscriptions_each == 1 ? " subscription" : " subscriptions");
  }
  return scenario;
}

// What is idle in few connections.
Scenario Memory(const std::string& what, const std::string& title,
                const Population& crowd) {
  Scenario scenario;
  scenario.kind = Kind::kIdle;
  scenario.crowd = crowd;
  scenario.name = absl::StrCat("memory/", what);
  scenario.title = title;
  return scenario;
}

}  // namespace

Scenario Alone(Scenario scenario) {
  scenario.crowd = {};
  return scenario;
}

std::vector<Scenario> AllScenarios() {
  return {
      Quick(Throughput(64, 1, 1)),
      BestEffort(Throughput(64, 1, 1)),
      Quick(Throughput(64, 1, 8)),
      Throughput(64, 8, 1),
      Typed(Throughput(64, 1, 1)),
      Quick(Throughput(kKiB, 1, 1)),
      Throughput(kKiB, 1, 8),
      Throughput(kKiB, 8, 1),
      Typed(Throughput(kKiB, 1, 1)),
      Throughput(16 * kKiB, 1, 1),
      Throughput(16 * kKiB, 1, 8),
      Quick(Throughput(256 * kKiB, 1, 1)),
      Throughput(256 * kKiB, 1, 8),
      Memfd(Throughput(256 * kKiB, 1, 1)),
      Memfd(Throughput(256 * kKiB, 1, 8)),
      Throughput(kMiB, 1, 1),
      Throughput(kMiB, 1, 8),
      Memfd(Throughput(kMiB, 1, 1)),
      Memfd(Throughput(kMiB, 1, 8)),
      Quick(RoundTrip(64)),
      RoundTrip(kKiB),
      RoundTrip(64 * kKiB),
      Quick(RoundTrip(kMiB)),
      UnderLoad(RoundTrip(64)),
      Memfd(UnderLoad(RoundTrip(64))),
      InCrowd(Throughput(64, 1, 1)),
      InCrowd(RoundTrip(64)),
      OfCrowd(),
      Idle(0),
      Idle(1),
      Memory("subscription", "subscription to a topic that is there",
             {.subscribers = 4,
              .subscriptions_each = 11'000,
              .publishers = 1,
              .topics_each = 1,
              .one_topic = true,
              .warm_up = 1'000}),
      Memory("topic", "topic",
             {.publishers = 4, .topics_each = 51'000, .warm_up = 1'000}),
  };
}

}  // namespace ipc::bench
