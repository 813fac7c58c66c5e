// SPDX-License-Identifier: Apache-2.0

#include "tests/bench/report.h"

#include <gtest/gtest.h>

#include "tests/bench/compare.h"
#include "tests/bench/json.h"

namespace ipc::bench {
namespace {

Scenario OfKind(Kind kind) {
  Scenario scenario;
  scenario.kind = kind;
  scenario.title = "work";
  scenario.payload_bytes = 64;
  return scenario;
}

Outcome Measured(const Scenario& scenario, const std::string& contestant,
                 double first, double second) {
  Outcome outcome;
  outcome.scenario = scenario;
  outcome.contestant = contestant;
  outcome.series = {{"a", "", {first}}, {"b", "", {second}}, {"c", "", {1}}};
  return outcome;
}

Results Throughputs() {
  const Scenario scenario = OfKind(Kind::kThroughput);
  Results results;
  results.outcomes = {
      Measured(scenario, "bus", 300, 1), Measured(scenario, "nats", 200, 1),
      Measured(scenario, "redis", 100, 1), Measured(scenario, "relay", 600, 1)};
  return results;
}

TEST(SeriesTest, TheMedianOfAnEvenCountIsBetweenTheMiddleTwo) {
  const Series series = {"", "", {4, 1, 3, 100}};
  EXPECT_EQ(series.Median(), 3.5);
  EXPECT_EQ(series.Min(), 1);
  EXPECT_EQ(series.Max(), 100);
  EXPECT_EQ(Series{}.Median(), 0);
}

TEST(SeriesTest, NumbersHaveThreeDigits) {
  EXPECT_EQ(HumanNumber(8'123'456), "8.12 M");
  EXPECT_EQ(HumanNumber(999'600), "1.00 M");
  EXPECT_EQ(HumanNumber(81'234), "81.2 k");
  EXPECT_EQ(HumanNumber(52.13), "52.1");
}

TEST(FindBestPeerTest, TakesTheMostMessagesAndNeitherBusNorRelay) {
  const Results results = Throughputs();
  const Outcome* best =
      FindBestPeer(results.outcomes, results.outcomes[0].scenario, 0);
  ASSERT_NE(best, nullptr);
  EXPECT_EQ(best->contestant, "nats");
}

TEST(FindBestPeerTest, TakesTheShortestRoundTripOfEachMetric) {
  const Scenario scenario = OfKind(Kind::kRoundTrip);
  const std::vector<Outcome> outcomes = {Measured(scenario, "nats", 50, 900),
                                         Measured(scenario, "redis", 60, 800)};
  EXPECT_EQ(FindBestPeer(outcomes, scenario, 0)->contestant, "nats");
  EXPECT_EQ(FindBestPeer(outcomes, scenario, 1)->contestant, "redis");
}

TEST(FindBestPeerTest, PassesOverFailuresAndOtherWork) {
  Results results = Throughputs();
  const Scenario scenario = results.outcomes[0].scenario;
  results.outcomes[1].failure = "lost one";
  EXPECT_EQ(FindBestPeer(results.outcomes, scenario, 0)->contestant, "redis");
  results.outcomes[2].scenario.publishers = 8;
  EXPECT_EQ(FindBestPeer(results.outcomes, scenario, 0), nullptr);
}

TEST(FormatReportTest, ARowIsMeasuredByTheRelayAndByTheBestPeer) {
  const std::string text =
      FormatReport({}, {}, Throughputs(), TableForm::kMarkdown);
  EXPECT_NE(text.find("| of relay | of best peer |"), std::string::npos);
  EXPECT_NE(text.find("|     0.50 |         1.50 |"), std::string::npos);
}

TEST(FormatReportTest, WhatIsNotMeasuredIsSaid) {
  Results results = Throughputs();
  results.outcomes[1].refusal = "it has no such thing";
  results.outcomes[2].failure = "lost one";
  results.absences = {{"dbus", "dbus-daemon is not installed"}};
  const std::string text = FormatReport({}, {}, results, TableForm::kText);
  EXPECT_NE(text.find("nats        cannot: it has no such thing"),
            std::string::npos);
  EXPECT_NE(text.find("redis       FAILED"), std::string::npos);
  EXPECT_NE(text.find(", redis: lost one\n"), std::string::npos);
  EXPECT_NE(text.find("MISSING: dbus: dbus-daemon is not installed\n"),
            std::string::npos);
}

TEST(FormatReportTest, ALongReasonWidensNoColumn) {
  Results results = Throughputs();
  const std::string before =
      FormatReport({}, {}, results, TableForm::kMarkdown);
  results.outcomes[1].refusal = std::string(300, 'x');
  const std::string after = FormatReport({}, {}, results, TableForm::kMarkdown);
  const auto first_line = [](const std::string& text) {
    const size_t start = text.find("| work");
    return text.substr(start, text.find('\n', start) - start);
  };
  EXPECT_EQ(first_line(after), first_line(before));
}

TEST(FormatJsonTest, SaysWhatIsMissingAndWhy) {
  Results results = Throughputs();
  results.outcomes[1].refusal = "no \"such\" thing";
  results.absences = {{"dbus", "not installed"}};
  const std::string json = FormatJson({}, {}, results);
  EXPECT_NE(json.find("\"missing\": [{\"contestant\": \"dbus\", \"reason\": "
                      "\"not installed\"}]"),
            std::string::npos);
  EXPECT_NE(json.find("\"refusal\": \"no \\\"such\\\" thing\""),
            std::string::npos);
}

// A throughput of 90 in the crowd and 100 without.
Results Crowded() {
  Scenario scenario = OfKind(Kind::kThroughput);
  scenario.crowd.subscribers = 1;
  std::vector<Metric> metrics = {
      {"messages_per_second", "1/s", 90}, {"share", "1", 1}, {"cpu", "ns", 8}};
  AddComparison({{"", "", 100}, {"", "", 1}, {"", "", 10}}, &metrics);
  Outcome outcome;
  outcome.scenario = scenario;
  outcome.contestant = "bus";
  for (const Metric& metric : metrics) {
    outcome.series.push_back({metric.name, metric.unit, {metric.value}});
  }
  Results results;
  results.outcomes = {outcome};
  return results;
}

TEST(AddComparisonTest, EachMetricHasItsLikeAndTheShareOfIt) {
  const Outcome outcome = Crowded().outcomes[0];
  ASSERT_EQ(outcome.series.size(), 9);
  EXPECT_EQ(outcome.series[0].Median(), 90);
  EXPECT_EQ(FindSeries(outcome, "messages_per_second/alone")->Median(), 100);
  EXPECT_EQ(FindSeries(outcome, "cpu/ratio")->Median(), 0.8);
  EXPECT_EQ(FindSeries(outcome, "cpu/ratio")->unit, "1");
  EXPECT_EQ(FindSeries(outcome, "none"), nullptr);
}

TEST(FormatReportTest, WorkInACrowdStandsBesideTheSameAlone) {
  const std::string text =
      FormatReport({}, {}, Crowded(), TableForm::kMarkdown);
  EXPECT_NE(text.find("| work | messages/s |   100 (100 .. 100) |       90.0 "
                      "(90.0 .. 90.0) |        0.90 (0.90 .. 0.90) |"),
            std::string::npos)
      << text;
}

TEST(FormatReportTest, ACrowdThatDoesNotFitIsNotCompared) {
  Results results = Crowded();
  results.outcomes[0].refusal = "too many";
  const std::string text = FormatReport({}, {}, results, TableForm::kText);
  EXPECT_NE(text.find("bus         cannot: too many"), std::string::npos);
  EXPECT_EQ(text.find("in the crowd"), std::string::npos);
}

}  // namespace
}  // namespace ipc::bench
