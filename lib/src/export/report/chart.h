#pragma once

#include <string>
#include <vector>

namespace renas {

/// Text for HTML and SVG: markup is escaped.
std::string escape(const std::string& text);

/// A number for an axis, such as "40", "0.25", "4.7M".
std::string short_number(double value);

struct ChartPoint {
  double x = 0;
  double y = 0;
  double y_high = 0;  ///< kBand: its upper edge
  std::string label;  ///< shown by browsers when the pointer rests on the mark
};

struct ChartSeries {
  enum class Mark {
    kLine,
    kSteps,  ///< a value holds until the next point
    kDots,
    kCrosses,
    kBand,      ///< the area between y and y_high
    kSegments,  ///< lines between the first and second point, the third and fourth, ...
  };
  std::string name;    ///< in the legend; empty: not there
  std::string colour;  ///< a class of the page's style: "a" to "h", or "grey"
  Mark mark = Mark::kLine;
  std::vector<ChartPoint> points;
};

/// A chart with two linear axes.
struct Chart {
  std::string title;
  std::string x_label;
  std::string y_label;
  std::vector<ChartSeries> series;
};

/// The chart as an element of a page: a figure with caption, drawing and legend. A chart without
/// points is nothing.
std::string chart_figure(const Chart& chart);

/// A bar of a time line.
struct TimeBar {
  int row = 0;
  double from = 0;
  double to = 0;
  std::string colour;
  std::string label;
};
/// Rows of bars over time, `row_names` at their left.
std::string time_line_figure(const std::string& title, const std::string& x_label,
                             const std::vector<std::string>& row_names,
                             const std::vector<TimeBar>& bars);

}  // namespace renas
