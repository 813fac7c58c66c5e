// SPDX-License-Identifier: Apache-2.0
//
// Lengths are pixels at a width of 760, which a document scales as it likes.

#include "tests/bench/plot.h"

#include <algorithm>
#include <cmath>
#include <cstdio>

#include "absl/strings/str_cat.h"

namespace ipc::bench {
namespace {

constexpr double kWidth = 760;
constexpr double kLeft = 100;    // of it for the names
constexpr double kRight = 130;   // for the figures
constexpr double kTop = 52;      // for title and legend
constexpr double kBottom = 62;   // for axis and footer
constexpr double kHeading = 26;  // of a group
constexpr double kRow = 18;
constexpr double kBarHeight = 12;

// Plain rules, and no variables: not every viewer knows those.
constexpr char kStyle[] = R"(<style>
text { font: 12px system-ui, sans-serif; fill: #1f2328; }
.title { font-size: 15px; font-weight: 600; }
.group { font-weight: 600; }
.weak { fill: #59636e; font-size: 11px; }
.page { fill: #ffffff; }
.grid { stroke: #d1d9e0; }
.spread { stroke: #1f2328; }
.main { fill: #0969da; }
.peer { fill: #8c959f; }
.limit { fill: #d1d9e0; }
@media (prefers-color-scheme: dark) {
  text { fill: #f0f6fc; }
  .weak { fill: #9198a1; }
  .page { fill: #0d1117; }
  .grid { stroke: #30363d; }
  .spread { stroke: #f0f6fc; }
  .main { fill: #4493f8; }
  .peer { fill: #6e7681; }
  .limit { fill: #3d444d; }
}
</style>
)";

std::string Escape(const std::string& text) {
  std::string escaped;
  for (char c : text) {
    switch (c) {
      case '<':
        escaped += "&lt;";
        break;
      case '&':
        escaped += "&amp;";
        break;
      case '"':
        escaped += "&quot;";
        break;
      default:
        escaped.push_back(c);
    }
  }
  return escaped;
}

std::string Pixels(double value) {
  char text[32];
  std::snprintf(text, sizeof(text), "%.1f", value);
  return text;
}

// Ticks are round: no decimals as in HumanNumber.
std::string TickText(double tick) {
  const double unit = tick >= 999'999 ? 1e6 : tick >= 9'999 ? 1e3 : 1;
  char text[32];
  std::snprintf(text, sizeof(text), "%.3g%s", tick / unit,
                unit > 1e3   ? " M"
                : unit > 1.0 ? " k"
                             : "");
  return text;
}

const char* ClassOf(BarRole role) {
  switch (role) {
    case BarRole::kMain:
      return "main";
    case BarRole::kPeer:
      return "peer";
    case BarRole::kLimit:
      return "limit";
  }
  return "";
}

enum class Anchor { kStart, kMiddle, kEnd };

// The elements of one picture, in the order in which they are drawn.
class Canvas {
 public:
  void Text(double x, double y, const std::string& style, Anchor anchor,
            const std::string& text) {
    const char* anchors[] = {"start", "middle", "end"};
    absl::StrAppend(&elements_, "<text x=\"", Pixels(x), "\" y=\"", Pixels(y),
                    "\" class=\"", style, "\" text-anchor=\"",
                    anchors[static_cast<int>(anchor)], "\">", Escape(text),
                    "</text>\n");
  }
  void Rectangle(double x, double y, double width, double height,
                 const std::string& style) {
    absl::StrAppend(&elements_, "<rect x=\"", Pixels(x), "\" y=\"", Pixels(y),
                    "\" width=\"", Pixels(width), "\" height=\"",
                    Pixels(height), "\" class=\"", style, "\"/>\n");
  }
  void Line(double x1, double y1, double x2, double y2,
            const std::string& style) {
    absl::StrAppend(&elements_, "<line x1=\"", Pixels(x1), "\" y1=\"",
                    Pixels(y1), "\" x2=\"", Pixels(x2), "\" y2=\"", Pixels(y2),
                    "\" class=\"", style, "\"/>\n");
  }
  const std::string& elements() const { return elements_; }

 private:
  std::string elements_;
};

LogScale ScaleOf(const Plot& plot) {
  double smallest = INFINITY;
  double largest = 0;
  for (const BarGroup& group : plot.groups) {
    for (const Bar& bar : group.bars) {
      if (bar.value <= 0) continue;
      smallest = std::min(smallest, bar.value);
      largest = std::max({largest, bar.value, bar.high});
    }
  }
  return LogScale(smallest, largest);
}

double XOf(const LogScale& scale, double value) {
  return kLeft + (kWidth - kLeft - kRight) * scale.At(value);
}

void DrawBar(const LogScale& scale, const Bar& bar, double y, Canvas* canvas) {
  const double baseline = y + kBarHeight - 2;
  canvas->Text(kLeft - 8, baseline, "", Anchor::kEnd, bar.label);
  double end = kLeft;
  if (bar.value > 0) {
    end = XOf(scale, bar.value);
    canvas->Rectangle(kLeft, y, end - kLeft, kBarHeight, ClassOf(bar.role));
  }
  if (bar.value > 0 && bar.low < bar.high) {
    const double low = XOf(scale, bar.low);
    const double high = XOf(scale, bar.high);
    const double middle = y + kBarHeight / 2;
    canvas->Line(low, middle, high, middle, "spread");
    for (double x : {low, high}) {
      canvas->Line(x, middle - 3, x, middle + 3, "spread");
    }
    end = std::max(end, high);
  }
  canvas->Text(end + 6, baseline, bar.value > 0 ? "" : "weak", Anchor::kStart,
               bar.text);
}

void DrawLegend(Canvas* canvas) {
  const struct {
    BarRole role;
    const char* text;
  } entries[] = {{BarRole::kMain, "this bus"},
                 {BarRole::kPeer, "peers"},
                 {BarRole::kLimit, "raw relay: the limit"}};
  double x = kLeft;
  for (const auto& entry : entries) {
    canvas->Rectangle(x, 34, 10, 10, ClassOf(entry.role));
    canvas->Text(x + 15, 43, "weak", Anchor::kStart, entry.text);
    x += 90;
  }
}

}  // namespace

LogScale::LogScale(double smallest, double largest) {
  if (!(smallest > 0) || !(largest >= smallest) || !std::isfinite(largest)) {
    smallest = largest = 1;
  }
  // A bar of the smallest value is at least a fifth of a decade long.
  begin_ = std::floor(std::log10(smallest) - 0.2);
  end_ = std::log10(largest);
}

double LogScale::At(double value) const {
  if (!(value > 0)) return 0;
  return std::clamp((std::log10(value) - begin_) / (end_ - begin_), 0.0, 1.0);
}

std::vector<double> LogScale::Ticks() const {
  std::vector<double> ticks;
  const bool few = end_ - begin_ < 2;
  for (double decade = begin_; decade <= end_; ++decade) {
    for (double factor : {1.0, 2.0, 5.0}) {
      if (factor > 1 && !few) continue;
      const double tick = factor * std::pow(10, decade);
      if (std::log10(tick) <= end_ + 1e-9) ticks.push_back(tick);
    }
  }
  return ticks;
}

std::string FormatSvg(const Plot& plot) {
  const LogScale scale = ScaleOf(plot);
  double rows = 0;
  for (const BarGroup& group : plot.groups) {
    rows += kHeading + kRow * static_cast<double>(group.bars.size());
  }
  const double axis = kTop + rows + 6;
  const double height = axis + kBottom;
  Canvas canvas;
  canvas.Text(16, 22, "title", Anchor::kStart, plot.title);
  DrawLegend(&canvas);
  for (double tick : scale.Ticks()) {
    const double x = XOf(scale, tick);
    canvas.Line(x, kTop, x, axis, "grid");
    canvas.Text(x, axis + 15, "weak", Anchor::kMiddle, TickText(tick));
  }
  double y = kTop;
  for (const BarGroup& group : plot.groups) {
    canvas.Text(16, y + 17, "group", Anchor::kStart, group.title);
    y += kHeading;
    for (const Bar& bar : group.bars) {
      DrawBar(scale, bar, y, &canvas);
      y += kRow;
    }
  }
  canvas.Text((kLeft + kWidth - kRight) / 2, axis + 33, "weak", Anchor::kMiddle,
              plot.axis + " (logarithmic)");
  canvas.Text(16, axis + 53, "weak", Anchor::kStart, plot.footer);
  const std::string size = absl::StrCat(kWidth, " ", Pixels(height));
  return absl::StrCat(
      "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 ", size,
      "\" role=\"img\" aria-label=\"", Escape(plot.title), "\">\n", kStyle,
      "<rect width=\"100%\" height=\"100%\" "
      "style=\"fill: var(--page)\"/>\n",
      canvas.elements(), "</svg>\n");
}

}  // namespace ipc::bench
