// SPDX-License-Identifier: Apache-2.0

#include "tests/bench/plot.h"

#include <gtest/gtest.h>

#include <cmath>

#include "tests/bench/plots.h"

namespace ipc::bench {
namespace {

TEST(LogScaleTest, EqualRatiosAreEqualDistances) {
  const LogScale scale(20, 100'000);
  const double step = scale.At(1000) - scale.At(100);
  EXPECT_NEAR(scale.At(10'000) - scale.At(1000), step, 1e-9);
  EXPECT_NEAR(scale.At(100'000), 1, 1e-9);
}

TEST(LogScaleTest, TheSmallestValueHasABarThatIsSeen) {
  for (double smallest : {1.0, 1.01, 9.99, 10.0, 15.0, 1e6}) {
    const LogScale scale(smallest, smallest * 1000);
    EXPECT_GT(scale.At(smallest), 0.04) << smallest;
  }
}

TEST(LogScaleTest, WhatIsOutsideIsMovedToTheEdge) {
  const LogScale scale(10, 1000);
  EXPECT_EQ(scale.At(0), 0);
  EXPECT_EQ(scale.At(-5), 0);
  EXPECT_EQ(scale.At(NAN), 0);
  EXPECT_EQ(scale.At(1e9), 1);
}

TEST(LogScaleTest, NothingToShowIsStillAScale) {
  const LogScale scale(INFINITY, 0);
  EXPECT_TRUE(std::isfinite(scale.At(1)));
  EXPECT_FALSE(scale.Ticks().empty());
}

TEST(LogScaleTest, TicksAreDecadesAndMoreOfThemOnAShortAxis) {
  EXPECT_EQ(LogScale(20, 10'000).Ticks(),
            (std::vector<double>{10, 100, 1000, 10'000}));
  EXPECT_EQ(LogScale(20, 600).Ticks(),
            (std::vector<double>{10, 20, 50, 100, 200, 500}));
}

Plot OnePlot() {
  Plot plot;
  plot.title = "A <b> & \"c\"";
  plot.groups = {{"group", {{"bus", BarRole::kMain, 100, 90, 110, "100 k"}}}};
  return plot;
}

TEST(FormatSvgTest, TextIsEscaped) {
  const std::string svg = FormatSvg(OnePlot());
  EXPECT_NE(svg.find("A &lt;b> &amp; &quot;c&quot;"), std::string::npos);
  EXPECT_EQ(svg.find("<b>"), std::string::npos);
}

TEST(FormatSvgTest, ABarHasItsNameItsFigureAndItsColour) {
  const std::string svg = FormatSvg(OnePlot());
  EXPECT_NE(svg.find(">bus</text>"), std::string::npos);
  EXPECT_NE(svg.find(">100 k</text>"), std::string::npos);
  EXPECT_NE(svg.find("height=\"12.0\" class=\"main\""), std::string::npos);
}

TEST(FormatSvgTest, WithoutAValueThereIsNoBar) {
  Plot plot = OnePlot();
  plot.groups[0].bars[0].value = 0;
  plot.groups[0].bars[0].text = "failed";
  const std::string svg = FormatSvg(plot);
  EXPECT_EQ(svg.find("height=\"12.0\""), std::string::npos);
  EXPECT_NE(svg.find(">failed</text>"), std::string::npos);
}

TEST(MakePlotsTest, WhatWasNotMeasuredHasNoFile) {
  Results results;
  EXPECT_TRUE(MakePlots({}, results).empty());
  Outcome outcome;
  outcome.scenario = AllScenarios().front();  // 64 B, 1:1
  outcome.contestant = "nats";
  outcome.failure = "it broke";
  results.outcomes.push_back(outcome);
  const std::vector<PlotFile> files = MakePlots({}, results);
  ASSERT_EQ(files.size(), 1u);
  EXPECT_EQ(files[0].name, "throughput-1-1.svg");
  EXPECT_EQ(files[0].plot.groups[0].bars[0].text, "failed");
}

}  // namespace
}  // namespace ipc::bench
