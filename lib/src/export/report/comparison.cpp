#include <fmt/format.h>

#include <algorithm>
#include <map>

#include "export/report/chart.h"
#include "export/report/facts.h"
#include "export/report/sections.h"
#include "renas/run_view.h"

namespace renas {
namespace {

using Mark = ChartSeries::Mark;

const std::vector<std::string> kColours{"a", "b", "c", "d", "e", "f", "g", "h"};

/// A strategy's runs, as best fitness so far or another course of each.
struct Group {
  std::string name;
  std::string colour;
  std::vector<std::vector<double>> courses;
};

std::vector<Group> groups_of(const std::vector<RunRecord>& runs,
                             std::vector<double> Progress::*course) {
  std::vector<Group> groups;
  for (const RunRecord& run : runs) {
    auto group = std::find_if(groups.begin(), groups.end(),
                              [&](const Group& g) { return g.name == run.strategy; });
    if (group == groups.end()) {
      groups.push_back({run.strategy, kColours[groups.size() % kColours.size()], {}});
      group = groups.end() - 1;
    }
    group->courses.push_back(progress_of(run.history).*course);
  }
  return groups;
}

/// Each run as a line; of a strategy with several runs their mean, with its interval, as far as all
/// of them go.
std::string curves(const std::vector<RunRecord>& runs, std::vector<double> Progress::*course,
                   const std::string& title) {
  Chart chart{title, "result", "accuracy on D_val, %", {}};
  std::vector<ChartSeries> lines;
  for (const Group& group : groups_of(runs, course)) {
    std::size_t length = SIZE_MAX;
    for (const auto& one : group.courses) length = std::min(length, one.size());
    const std::size_t count = group.courses.size();
    ChartSeries line{
        count == 1 ? group.name : fmt::format("{}, mean of {} runs", group.name, count),
        group.colour,
        Mark::kLine,
        {}};
    ChartSeries band{"", group.colour, Mark::kBand, {}};
    for (std::size_t i = 0; i < length; ++i) {
      std::vector<double> values;
      for (const auto& one : group.courses) values.push_back(100 * one[i]);
      const double x = static_cast<double>(i + 1);
      if (*std::min_element(values.begin(), values.end()) <= 0) continue;
      line.points.push_back({x, mean_of(values), 0, ""});
      if (const auto interval = interval_of_mean(values); interval && count > 2) {
        band.points.push_back(
            {x, std::max(0.0, interval->low), std::min(100.0, interval->high), ""});
      }
    }
    chart.series.push_back(band);
    for (const auto& one : group.courses) {
      ChartSeries thin{"", group.colour + " thin", Mark::kLine, {}};
      for (std::size_t i = 0; i < one.size(); ++i) {
        if (one[i] > 0) thin.points.push_back({static_cast<double>(i + 1), 100 * one[i], 0, ""});
      }
      if (count > 1) chart.series.push_back(thin);
    }
    lines.push_back(line);
  }
  chart.series.insert(chart.series.end(), lines.begin(), lines.end());
  return chart_figure(chart);
}

std::string table(const std::vector<RunRecord>& runs) {
  std::string rows;
  std::map<std::string, std::vector<double>> tests;
  for (const RunRecord& run : runs) {
    std::string validation;
    std::string test;
    if (run.result) {
      for (const RetrainedNetwork& n : run.result->networks) {
        if (n.name != run.result->winner) continue;
        validation = percent_with_interval(n.validation_accuracy, run.validation_images);
        if (n.test_accuracy) {
          test = percent_with_interval(*n.test_accuracy, run.test_images);
          tests[run.strategy].push_back(*n.test_accuracy);
        }
      }
    }
    const HistoryEntry* best = best_of(run.history);
    rows += fmt::format(
        "<tr><td class=\"text\">{}</td><td class=\"text\">{}</td><td>{}</td><td>{}</td><td>{}</td>"
        "<td>{}</td><td>{}</td></tr>\n",
        escape(run.name), escape(run.strategy), run.seed, run.history.size(),
        best == nullptr ? "" : percent(best->fitness), validation, test);
  }
  std::string text = fmt::format(
      "<div class=\"scroll\"><table><tr><th class=\"text\">run</th><th class=\"text\">strategy</th>"
      "<th>seed</th><th>results</th><th>best in the search</th><th>winner on D_val</th><th>winner "
      "on "
      "test</th></tr>\n{}</table></div>\n",
      rows);
  std::string means;
  for (const auto& [strategy, values] : tests) {
    const auto interval = interval_of_mean(values);
    if (!interval) continue;
    means += fmt::format("<li>{}: {} [{:.2f}, {:.2f}], {} runs</li>\n", escape(strategy),
                         percent(mean_of(values)), 100 * std::max(0.0, interval->low),
                         100 * std::min(1.0, interval->high), values.size());
  }
  if (!means.empty()) {
    text += fmt::format(
        "<p>Winners on the test set, mean over runs with its 95 % interval (Student):</p>"
        "<ul>{}</ul>\n",
        means);
  }
  return text;
}

}  // namespace

std::string comparison(const std::vector<RunRecord>& runs) {
  return fmt::format(
      "<section><h2>Side by side</h2>\n<div class=\"charts\">{}{}</div>\n"
      "<p>Thin lines are runs, thick ones means over the runs of a strategy; bands are 95 % "
      "intervals "
      "of the mean (Student), from three runs on.</p>\n{}</section>\n",
      curves(runs, &Progress::best, "Best so far"),
      curves(runs, &Progress::mean, "Mean of the population"), table(runs));
}

}  // namespace renas
