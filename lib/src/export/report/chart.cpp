#include "export/report/chart.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

namespace renas {
namespace {

constexpr double kWidth = 480;
constexpr double kHeight = 280;
constexpr double kLeft = 50;
constexpr double kRight = 14;
constexpr double kTop = 10;
constexpr double kBottom = 42;

/// The values that an axis shows, and where they lie.
class Axis {
 public:
  Axis(double low, double high, double from, double to) : from_(from), to_(to) {
    if (!(high > low)) {
      const double room = low == 0 ? 1 : std::abs(low) * 0.1;
      low -= room;
      high += room;
    }
    const double rough = (high - low) / 5;
    const double power = std::pow(10, std::floor(std::log10(rough)));
    const double digit = rough / power;
    step_ = power * (digit <= 1 ? 1 : digit <= 2 ? 2 : digit <= 5 ? 5 : 10);
    low_ = std::floor(low / step_ + 1e-9) * step_;
    high_ = std::ceil(high / step_ - 1e-9) * step_;
  }
  double at(double value) const { return from_ + (value - low_) / (high_ - low_) * (to_ - from_); }
  std::vector<double> ticks() const {
    std::vector<double> values;
    const auto count = std::lround((high_ - low_) / step_);
    for (int64_t i = 0; i <= count; ++i) {
      const double value = low_ + step_ * static_cast<double>(i);
      values.push_back(std::abs(value) < step_ * 1e-6 ? 0 : value);
    }
    return values;
  }

 private:
  double from_;
  double to_;
  double low_ = 0;
  double high_ = 1;
  double step_ = 1;
};

std::string place(double x, double y) { return fmt::format("{:.1f},{:.1f}", x, y); }

std::string title_of(const ChartPoint& point) {
  if (point.label.empty()) return {};
  return fmt::format("<title>{}</title>", escape(point.label));
}

std::string marks(const ChartSeries& s, const Axis& x, const Axis& y) {
  using Mark = ChartSeries::Mark;
  std::string text;
  const auto at = [&](const ChartPoint& p) { return place(x.at(p.x), y.at(p.y)); };
  switch (s.mark) {
    case Mark::kLine:
    case Mark::kSteps: {
      std::string points;
      for (std::size_t i = 0; i < s.points.size(); ++i) {
        if (i > 0 && s.mark == Mark::kSteps) {
          points += fmt::format("{} ", place(x.at(s.points[i].x), y.at(s.points[i - 1].y)));
        }
        points += fmt::format("{} ", at(s.points[i]));
      }
      return fmt::format("<polyline class=\"line {}\" points=\"{}\"/>", s.colour, points);
    }
    case Mark::kBand: {
      std::string points;
      for (const ChartPoint& p : s.points) points += at(p) + " ";
      for (auto p = s.points.rbegin(); p != s.points.rend(); ++p) {
        points += place(x.at(p->x), y.at(p->y_high)) + " ";
      }
      return fmt::format("<polygon class=\"band {}\" points=\"{}\"/>", s.colour, points);
    }
    case Mark::kDots:
      for (const ChartPoint& p : s.points) {
        text +=
            fmt::format("<circle class=\"dot {}\" cx=\"{:.1f}\" cy=\"{:.1f}\" r=\"3\">{}</circle>",
                        s.colour, x.at(p.x), y.at(p.y), title_of(p));
      }
      return text;
    case Mark::kCrosses:
      for (const ChartPoint& p : s.points) {
        const double cx = x.at(p.x);
        const double cy = y.at(p.y);
        text += fmt::format("<path class=\"cross {}\" d=\"M{:.1f} {:.1f}l7 7m0 -7l-7 7\">{}</path>",
                            s.colour, cx - 3.5, cy - 3.5, title_of(p));
      }
      return text;
    case Mark::kSegments: {
      std::string path;
      for (std::size_t i = 0; i + 1 < s.points.size(); i += 2) {
        path += fmt::format("M{}L{}", at(s.points[i]), at(s.points[i + 1]));
      }
      return fmt::format("<path class=\"segments {}\" d=\"{}\"/>", s.colour, path);
    }
  }
  return text;
}

std::string frame(const Axis& x, const Axis& y, const Chart& chart) {
  std::string text;
  const double bottom = kHeight - kBottom;
  for (const double value : y.ticks()) {
    text += fmt::format(
        "<line class=\"grid\" x1=\"{}\" x2=\"{}\" y1=\"{:.1f}\" y2=\"{:.1f}\"/>"
        "<text class=\"tick\" text-anchor=\"end\" x=\"{}\" y=\"{:.1f}\">{}</text>",
        kLeft, kWidth - kRight, y.at(value), y.at(value), kLeft - 6, y.at(value) + 4,
        short_number(value));
  }
  for (const double value : x.ticks()) {
    text += fmt::format(
        "<line class=\"axis\" x1=\"{0:.1f}\" x2=\"{0:.1f}\" y1=\"{1}\" y2=\"{2}\"/>"
        "<text class=\"tick\" text-anchor=\"middle\" x=\"{0:.1f}\" y=\"{3}\">{4}</text>",
        x.at(value), bottom, bottom + 4, bottom + 17, short_number(value));
  }
  text += fmt::format("<line class=\"axis\" x1=\"{}\" x2=\"{}\" y1=\"{}\" y2=\"{}\"/>", kLeft,
                      kWidth - kRight, bottom, bottom);
  text += fmt::format("<text class=\"label\" text-anchor=\"middle\" x=\"{}\" y=\"{}\">{}</text>",
                      (kLeft + kWidth - kRight) / 2, kHeight - 6, escape(chart.x_label));
  text += fmt::format(
      "<text class=\"label\" text-anchor=\"middle\" transform=\"rotate(-90)\" x=\"{:.1f}\" "
      "y=\"12\">{}</text>",
      -(kTop + bottom) / 2, escape(chart.y_label));
  return text;
}

std::string legend(const std::vector<ChartSeries>& series) {
  std::string text;
  for (const ChartSeries& s : series) {
    if (s.name.empty() || s.points.empty()) continue;
    const bool dots = s.mark == ChartSeries::Mark::kDots || s.mark == ChartSeries::Mark::kCrosses;
    text += fmt::format("<span><i class=\"key {} {}\"></i>{}</span>", dots ? "round" : "flat",
                        s.colour, escape(s.name));
  }
  return text.empty() ? text : fmt::format("<p class=\"legend\">{}</p>", text);
}

}  // namespace

std::string escape(const std::string& text) {
  std::string result;
  for (const char c : text) {
    switch (c) {
      case '&':
        result += "&amp;";
        break;
      case '<':
        result += "&lt;";
        break;
      case '>':
        result += "&gt;";
        break;
      case '"':
        result += "&quot;";
        break;
      default:
        result += c;
    }
  }
  return result;
}

std::string short_number(double value) {
  const double size = std::abs(value);
  if (size >= 1e9) return fmt::format("{:.4g}G", value / 1e9);
  if (size >= 1e6) return fmt::format("{:.4g}M", value / 1e6);
  if (size >= 1e4) return fmt::format("{:.4g}k", value / 1e3);
  return fmt::format("{:.4g}", value);
}

std::string chart_figure(const Chart& chart) {
  double x_low = INFINITY;
  double x_high = -INFINITY;
  double y_low = INFINITY;
  double y_high = -INFINITY;
  for (const ChartSeries& s : chart.series) {
    for (const ChartPoint& p : s.points) {
      x_low = std::min(x_low, p.x);
      x_high = std::max(x_high, p.x);
      y_low = std::min(y_low, p.y);
      y_high = std::max(y_high, s.mark == ChartSeries::Mark::kBand ? p.y_high : p.y);
    }
  }
  if (!std::isfinite(x_low)) return "";
  const Axis x(x_low, x_high, kLeft, kWidth - kRight);
  const Axis y(y_low, y_high, kHeight - kBottom, kTop);
  std::string drawing = frame(x, y, chart);
  for (const ChartSeries& s : chart.series) {
    if (!s.points.empty()) drawing += marks(s, x, y);
  }
  return fmt::format(
      "<figure class=\"chart\"><figcaption>{}</figcaption><svg viewBox=\"0 0 {} {}\" role=\"img\" "
      "aria-label=\"{}\">{}</svg>{}</figure>\n",
      escape(chart.title), kWidth, kHeight, escape(chart.title), drawing, legend(chart.series));
}

std::string time_line_figure(const std::string& title, const std::string& x_label,
                             const std::vector<std::string>& row_names,
                             const std::vector<TimeBar>& bars) {
  constexpr double kTimeWidth = 980;
  constexpr double kRow = 20;
  constexpr double kNames = 70;
  if (bars.empty()) return "";
  double end = 0;
  for (const TimeBar& bar : bars) end = std::max(end, bar.to);
  const Axis x(0, end, kNames, kTimeWidth - kRight);
  const double bottom = kTop + kRow * static_cast<double>(row_names.size());
  std::string text;
  for (const double value : x.ticks()) {
    text += fmt::format(
        "<line class=\"grid\" x1=\"{0:.1f}\" x2=\"{0:.1f}\" y1=\"{1}\" y2=\"{2}\"/>"
        "<text class=\"tick\" text-anchor=\"middle\" x=\"{0:.1f}\" y=\"{3}\">{4}</text>",
        x.at(value), kTop, bottom + 4, bottom + 18, short_number(value));
  }
  for (std::size_t i = 0; i < row_names.size(); ++i) {
    text +=
        fmt::format("<text class=\"tick\" text-anchor=\"end\" x=\"{}\" y=\"{:.1f}\">{}</text>",
                    kNames - 6, kTop + kRow * static_cast<double>(i) + 14, escape(row_names[i]));
  }
  for (const TimeBar& bar : bars) {
    text += fmt::format(
        "<rect class=\"bar {}\" x=\"{:.1f}\" y=\"{:.1f}\" width=\"{:.1f}\" height=\"{}\" "
        "rx=\"2\"><title>{}</title></rect>",
        bar.colour, x.at(bar.from), kTop + kRow * bar.row + 3,
        std::max(0.8, x.at(bar.to) - x.at(bar.from) - 0.8), kRow - 6, escape(bar.label));
  }
  text += fmt::format("<text class=\"label\" text-anchor=\"middle\" x=\"{}\" y=\"{}\">{}</text>",
                      (kNames + kTimeWidth) / 2, bottom + 36, escape(x_label));
  return fmt::format(
      "<figure class=\"chart wide\"><figcaption>{0}</figcaption><div class=\"scroll\"><svg "
      "viewBox=\"0 0 {1} {2}\" role=\"img\" aria-label=\"{0}\">{3}</svg></div></figure>\n",
      escape(title), kTimeWidth, bottom + 42, text);
}

}  // namespace renas
