#include "export/report/sections.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>

#include "export/report/chart.h"
#include "export/report/facts.h"
#include "renas/run_view.h"
#ifdef RENAS_WITH_GRAPHVIZ
#include "renas/drawing.h"
#endif

namespace renas {
namespace {

using Mark = ChartSeries::Mark;

std::string section(const std::string& title, const std::string& content) {
  if (content.empty()) return "";
  return fmt::format("<section><h2>{}</h2>\n{}</section>\n", escape(title), content);
}

std::string tile(const std::string& value, const std::string& name, const std::string& more = "") {
  return fmt::format("<div class=\"tile\"><b>{}</b><span>{}</span><small>{}</small></div>\n",
                     escape(value), escape(name), escape(more));
}

std::string of_fitness(const RunRecord& run) {
  return run.balanced ? "balanced accuracy on D_val" : "accuracy on D_val";
}

const RetrainedNetwork* winner_of(const RunRecord& run) {
  if (!run.result) return nullptr;
  for (const RetrainedNetwork& n : run.result->networks) {
    if (n.name == run.result->winner) return &n;
  }
  return nullptr;
}

std::string point_label(const HistoryEntry& e) {
  return fmt::format("{}: {}, {}", e.id, percent(e.fitness), e.genome);
}

ChartPoint point_of(const HistoryEntry& e, double x) {
  return {x, 100 * e.fitness, 0, point_label(e)};
}

double number_of(const HistoryEntry& e) { return static_cast<double>(e.line + 1); }

std::string fitness_chart(const RunRecord& run) {
  const Progress progress = progress_of(run.history);
  ChartSeries results{"a result", "grey", Mark::kDots, {}};
  ChartSeries best{"best so far", "a", Mark::kSteps, {}};
  ChartSeries mean{"mean of the population", "b", Mark::kLine, {}};
  ChartSeries failures{"failed", "e", Mark::kCrosses, {}};
  double lowest = 100;
  for (std::size_t i = 0; i < run.history.size(); ++i) {
    const HistoryEntry& e = run.history[i];
    if (e.status == Status::kOk) {
      results.points.push_back(point_of(e, number_of(e)));
      lowest = std::min(lowest, 100 * e.fitness);
    }
    if (progress.best[i] > 0) best.points.push_back({number_of(e), 100 * progress.best[i], 0, ""});
    if (progress.mean[i] > 0) mean.points.push_back({number_of(e), 100 * progress.mean[i], 0, ""});
  }
  for (const HistoryEntry& e : run.history) {
    if (e.status == Status::kOk) continue;
    failures.points.push_back(
        {number_of(e), lowest, 0, fmt::format("{}: {}, {}", e.id, to_string(e.status), e.message)});
  }
  return chart_figure(
      {"Fitness", "result", of_fitness(run) + ", %", {results, mean, best, failures}});
}

std::string pareto_chart(const RunRecord& run, int64_t HistoryEntry::*size,
                         const std::string& name) {
  ChartSeries all{"a result", "grey", Mark::kDots, {}};
  ChartSeries front{"none is smaller and as good", "a", Mark::kSteps, {}};
  ChartSeries front_dots{"", "a", Mark::kDots, {}};
  for (const HistoryEntry& e : run.history) {
    if (e.status == Status::kOk) {
      all.points.push_back(point_of(e, static_cast<double>(e.*size)));
    }
  }
  for (const HistoryEntry* e : pareto_front(run.history, size)) {
    front.points.push_back(point_of(*e, static_cast<double>(e->*size)));
  }
  front_dots.points = front.points;
  return chart_figure(
      {"Fitness and " + name, name, of_fitness(run) + ", %", {all, front, front_dots}});
}

/// The living members and their ancestors: a line from each to its parent.
std::string genealogy_chart(const RunRecord& run) {
  ChartSeries edges{"child of", "grey", Mark::kSegments, {}};
  ChartSeries ancestors{"ancestor", "grey", Mark::kDots, {}};
  ChartSeries members{"in the population", "b", Mark::kDots, {}};
  ChartSeries line{"lineage of the best", "a", Mark::kLine, {}};
  std::map<uint64_t, const HistoryEntry*> family;
  const auto alive = living(run.history);
  for (const HistoryEntry* member : alive) {
    for (const HistoryEntry* e : lineage_of(run.history, *member)) family[e->id] = e;
  }
  for (const auto& [id, e] : family) {
    const bool lives = std::find(alive.begin(), alive.end(), e) != alive.end();
    (lives ? members : ancestors).points.push_back(point_of(*e, number_of(*e)));
    if (e->parent && family.contains(*e->parent)) {
      const HistoryEntry& parent = *family[*e->parent];
      edges.points.push_back(point_of(parent, number_of(parent)));
      edges.points.push_back(point_of(*e, number_of(*e)));
    }
  }
  if (const HistoryEntry* best = best_of(run.history)) {
    for (const HistoryEntry* e : lineage_of(run.history, *best)) {
      line.points.push_back(point_of(*e, number_of(*e)));
    }
  }
  return chart_figure({"Genealogy of the population",
                       "result",
                       of_fitness(run) + ", %",
                       {edges, ancestors, line, members}});
}

std::string lineage_table(const RunRecord& run) {
  const HistoryEntry* best = best_of(run.history);
  if (best == nullptr) return "";
  std::string rows;
  const HistoryEntry* before = nullptr;
  for (const HistoryEntry* e : lineage_of(run.history, *best)) {
    rows += fmt::format(
        "<tr><td>{}</td><td>{}</td><td class=\"text\">{}</td></tr>\n", e->id, percent(e->fitness),
        escape(before == nullptr ? e->genome : mutation_text(before->genome, e->genome)));
    before = e;
  }
  return fmt::format(
      "<h3>How the best came about</h3><div class=\"scroll\"><table><tr><th>id</th><th>fitness</th>"
      "<th class=\"text\">change (block.slot from&gt;to)</th></tr>\n{}</table></div>\n",
      rows);
}

/// The share of each operator, or kind of input, among the choices that mutations of a cell made,
/// over time.
std::string choices_chart(const RunRecord& run, int cell, char slot_kind,
                          const std::string& title) {
  constexpr std::size_t kWindows = 8;
  static const std::vector<std::string> kColours{"a", "b", "c", "d", "e", "f", "g", "h"};
  std::vector<std::pair<double, std::string>> chosen;
  for (const HistoryEntry& e : run.history) {
    for (const Mutation& m : e.mutations) {
      if (m.slot < 0 || m.slot >= run.space.slot_count()) continue;
      if (run.space.cell_of(m.block) != cell) continue;
      const Slot& slot = run.space.slot(m.slot);
      if (slot.name[0] != slot_kind || m.to < 0 || m.to >= std::ssize(slot.choices)) continue;
      std::string name = slot.choices[static_cast<std::size_t>(m.to)];
      if (slot_kind == 'i' && !name.starts_with("c-")) name = "an earlier block";
      chosen.emplace_back(number_of(e), name);
    }
  }
  if (chosen.size() < 2 * kWindows) return "";
  std::map<std::string, ChartSeries> series;
  for (const auto& [number, name] : chosen) series[name].name = name;
  for (std::size_t w = 0; w < kWindows; ++w) {
    const std::size_t from = chosen.size() * w / kWindows;
    const std::size_t to = chosen.size() * (w + 1) / kWindows;
    std::map<std::string, int> counts;
    double middle = 0;
    for (std::size_t i = from; i < to; ++i) {
      ++counts[chosen[i].second];
      middle += chosen[i].first / static_cast<double>(to - from);
    }
    for (auto& [name, one] : series) {
      one.points.push_back({middle, 100.0 * counts[name] / static_cast<double>(to - from), 0, ""});
    }
  }
  Chart chart{title, "result", "share of the choices, %", {}};
  for (auto& [name, one] : series) {
    one.colour = kColours[chart.series.size() % kColours.size()];
    chart.series.push_back(one);
  }
  return chart_figure(chart);
}

std::string entropy_chart(const ControllerView& view) {
  ChartSeries line{"of a child's decisions", "a", Mark::kLine, {}};
  const std::size_t step = std::max<std::size_t>(1, view.entropy.size() / 60);
  for (std::size_t from = 0; from < view.entropy.size(); from += step) {
    const std::size_t to = std::min(view.entropy.size(), from + step);
    double mean = 0;
    for (std::size_t i = from; i < to; ++i) {
      mean += view.entropy[i] / static_cast<double>(to - from);
    }
    line.points.push_back({static_cast<double>(from + to + 1) / 2, mean, 0, ""});
  }
  if (line.points.empty()) return "";
  const double last = line.points.back().x;
  ChartSeries uniform{
      "of uniform ones",
      "grey",
      Mark::kLine,
      {{line.points.front().x, view.largest_entropy, 0, ""}, {last, view.largest_entropy, 0, ""}}};
  return chart_figure(
      {"Entropy of the controller", "child that it learnt from", "entropy, nats", {line, uniform}});
}

/// What the controller would choose now: the mean over the slots of one kind in a cell.
std::string preferences(const RunRecord& run, int cell, char slot_kind, const std::string& title) {
  std::map<std::string, double> sums;
  int slots = 0;
  const SearchSpace& space = run.space;
  const int end = space.first_slot(space.first_block(cell + 1));
  for (int i = space.first_slot(space.first_block(cell)); i < end; ++i) {
    const Slot& slot = run.space.slot(i);
    const auto& shares = run.controller->choices[static_cast<std::size_t>(i)];
    if (slot.name[0] != slot_kind) continue;
    ++slots;
    for (std::size_t c = 0; c < slot.choices.size(); ++c) {
      const bool block = slot_kind == 'i' && !slot.choices[c].starts_with("c-");
      sums[block ? "an earlier block" : slot.choices[c]] += shares[c];
    }
  }
  std::vector<std::pair<double, std::string>> order;
  for (const auto& [name, sum] : sums) order.emplace_back(-sum / std::max(1, slots), name);
  std::sort(order.begin(), order.end());
  std::string rows;
  for (const auto& [share, name] : order) {
    rows += fmt::format(
        "<div class=\"meter\"><span>{}</span><i><b style=\"width:{:.1f}%\"></b></i>"
        "<em>{:.1f} %</em></div>\n",
        escape(name), -100 * share, -100 * share);
  }
  return fmt::format("<figure class=\"chart\"><figcaption>{}</figcaption>{}</figure>\n",
                     escape(title), rows);
}

std::string controller_section(const RunRecord& run) {
  std::string content;
  const SearchSpace& space = run.space;
  const auto titled = [&](const char* title, int cell) {
    const std::string name = space.cell_prefix(space.first_block(cell));
    return name.empty() ? std::string(title) : fmt::format("{}: {}cell", title, name);
  };
  for (int cell = 0; cell < space.cell_count(); ++cell) {
    content += choices_chart(run, cell, 'o', titled("Operators that mutations chose", cell)) +
               choices_chart(run, cell, 'i', titled("Inputs that mutations chose", cell));
  }
  for (int cell = 0; run.controller && cell < space.cell_count(); ++cell) {
    content +=
        preferences(run, cell, 'o', titled("Operators the controller would choose now", cell)) +
        preferences(run, cell, 'i', titled("Inputs the controller would choose now", cell));
  }
  if (run.controller) content += entropy_chart(*run.controller);
  return content.empty() ? content : fmt::format("<div class=\"charts\">{}</div>\n", content);
}

std::string ranks_section(const RunRecord& run) {
  constexpr std::size_t kMostRows = 48;
  const RankUse use = rank_use(run.history);
  if (use.ranks.empty()) return "";
  const bool hours = use.elapsed > 3 * 3600;
  const double unit = hours ? 3600 : 60;
  std::vector<std::string> names;
  for (std::size_t i = 0; i < std::min(kMostRows, use.ranks.size()); ++i) {
    names.push_back(fmt::format("rank {}", use.ranks[i]));
  }
  std::vector<TimeBar> bars;
  for (const HistoryEntry& e : run.history) {
    const auto row = std::find(use.ranks.begin(), use.ranks.end(), e.rank) - use.ranks.begin();
    if (row >= std::ssize(names)) continue;
    bars.push_back({static_cast<int>(row), std::max(0.0, e.elapsed - e.seconds) / unit,
                    e.elapsed / unit,
                    e.status != Status::kOk ? "e"
                    : e.parent              ? "a"
                                            : "d",
                    fmt::format("{}: {}, {}", e.id, duration(e.seconds), to_string(e.status))});
  }
  std::string text = fmt::format(
      "<p>The search took {}. {} rank{} trained networks for {:.1f} % of it, {} together; an "
      "evaluation "
      "took {} in the mean.</p>\n",
      duration(use.elapsed), use.ranks.size(), use.ranks.size() == 1 ? "" : "s", 100 * use.share(),
      duration(use.rank_hours() * 3600),
      duration(use.rank_hours() * 3600 / static_cast<double>(run.history.size())));
  text += time_line_figure("What each rank did",
                           hours ? "hours of searching" : "minutes of searching", names, bars);
  text +=
      "<p class=\"legend\"><span><i class=\"key flat d\"></i>without a parent</span><span>"
      "<i class=\"key flat a\"></i>a child</span><span><i class=\"key flat "
      "e\"></i>failed</span></p>\n";
  if (use.ranks.size() > kMostRows) {
    text += fmt::format("<p>Shown are {} of {} ranks.</p>\n", kMostRows, use.ranks.size());
  }
  return text;
}

std::string retrained_table(const RunRecord& run) {
  if (!run.result) return "";
  std::vector<const RetrainedNetwork*> networks;
  for (const RetrainedNetwork& n : run.result->networks) networks.push_back(&n);
  std::stable_sort(networks.begin(), networks.end(), [](const auto* a, const auto* b) {
    return a->validation_accuracy > b->validation_accuracy;
  });
  std::string rows;
  for (const RetrainedNetwork* n : networks) {
    const bool control = n->name.starts_with("control");
    const bool winner = n->name == run.result->winner;
    rows += fmt::format(
        "<tr{}><td class=\"text\">{}</td><td>{}</td><td>{}</td><td class=\"text cell-text\">{}</td>"
        "</tr>\n",
        winner ? " class=\"winner\"" : "",
        winner    ? fmt::format("winner, {}", n->name)
        : control ? fmt::format("random {}", n->name.substr(7))
                  : fmt::format("member {}", n->name),
        percent_with_interval(n->validation_accuracy, run.validation_images),
        n->test_accuracy ? percent_with_interval(*n->test_accuracy, run.test_images) : "",
        escape(n->genome));
  }
  std::string text = fmt::format(
      "<div class=\"scroll\"><table><tr><th class=\"text\">network</th><th>on D_val</th><th>on "
      "test</th><th class=\"text\">cell</th></tr>\n{}</table></div>\n",
      rows);
  text +=
      run.validation_images > 0 || run.test_images > 0
          ? fmt::format(
                "<p>In brackets: 95 % intervals (Wilson) for {} images of D_val and {} "
                "of the test set. The winner was chosen on D_val, so its figure there is "
                "too good; that on the test set is not.</p>\n",
                grouped(run.validation_images), grouped(run.test_images))
          : "<p>The data set is not at hand, so its number of images is not known and there are "
            "no intervals.</p>\n";
  return text;
}

std::string population_table(const RunRecord& run) {
  auto members = living(run.history);
  std::stable_sort(members.begin(), members.end(),
                   [](const auto* a, const auto* b) { return a->fitness > b->fitness; });
  if (members.empty()) return "";
  std::string rows;
  for (const HistoryEntry* e : members) {
    rows += fmt::format(
        "<tr><td>{}</td><td>{}</td><td>{}</td><td>{}</td><td>{:.1f} %</td><td class=\"text "
        "cell-text\">{}</td></tr>\n",
        e->id, percent(e->fitness), grouped(e->parameters), grouped(e->mult_adds),
        100 * e->inherited, escape(e->genome));
  }
  return fmt::format(
      "<div class=\"scroll\"><table><tr><th>id</th><th>fitness</th><th>parameters</th>"
      "<th>mult-adds</th><th>inherited</th><th class=\"text\">cell</th></tr>\n{}</table></div>\n",
      rows);
}

std::string cells_section(const RunRecord& run) {
  std::string figures;
  std::vector<std::string> shown;
  if (const RetrainedNetwork* winner = winner_of(run)) {
    figures += cell_figure(winner->genome, "The winner");
    shown.push_back(winner->genome);
  }
  auto members = living(run.history);
  std::stable_sort(members.begin(), members.end(),
                   [](const auto* a, const auto* b) { return a->fitness > b->fitness; });
  for (const HistoryEntry* e : members) {
    if (shown.size() >= 4) break;
    if (std::find(shown.begin(), shown.end(), e->genome) != shown.end()) continue;
    figures += cell_figure(e->genome,
                           fmt::format("Member {}, {} in the search", e->id, percent(e->fitness)));
    shown.push_back(e->genome);
  }
  return figures.empty() ? figures : fmt::format("<div class=\"cells\">{}</div>\n", figures);
}

std::string options_table(const RunRecord& run) {
  std::string rows;
  for (const auto& [name, value] : run.options) {
    rows += fmt::format("<tr><td class=\"text\">{}</td><td class=\"text\">{}</td></tr>\n",
                        escape(name), escape(value));
  }
  return fmt::format(
      "<details><summary>All options</summary><div class=\"scroll\"><table>{}</table></div>"
      "</details>\n",
      rows);
}

std::string repeat_section(const RunRecord& run) {
  return fmt::format(
      "<pre>{}</pre>\n<p>Data set: {}{}</p>\n{}", escape(run.command), escape(run.data),
      run.data_identity.empty() ? "" : fmt::format(" ({})", escape(run.data_identity)),
      options_table(run));
}

}  // namespace

std::string cell_figure(const std::string& genome, const std::string& caption) {
#ifdef RENAS_WITH_GRAPHVIZ
  const std::string drawing = draw_cell(genome);
#else
  std::string drawing = "<ol>";
  for (std::size_t from = 0; from != std::string::npos;) {
    const std::size_t comma = genome.find_first_of(",/", from);
    drawing += fmt::format("<li>{}</li>", escape(genome.substr(from, comma - from)));
    from = comma == std::string::npos ? comma : comma + 1;
  }
  drawing += "</ol>";
#endif
  return fmt::format(
      "<figure class=\"drawing\"><figcaption>{}</figcaption>{}<code>{}</code></figure>\n",
      escape(caption), drawing, escape(genome));
}

std::string state_of(const RunRecord& run) {
  const std::string results = fmt::format("{} of {} results", run.history.size(), run.budget);
  if (run.result) return "finished, " + results;
  if (run.end) return "search over, " + results + "; the population is being retrained";
  return "not finished, " + results;
}

std::string key_figures(const RunRecord& run) {
  std::string tiles;
  const RetrainedNetwork* winner = winner_of(run);
  const HistoryEntry* best = best_of(run.history);
  if (winner != nullptr && winner->test_accuracy) {
    const Interval i = wilson(*winner->test_accuracy, std::max<int64_t>(1, run.test_images));
    tiles +=
        tile(percent(*winner->test_accuracy), "winner on the test set",
             run.test_images > 0 ? fmt::format("95 %: {:.2f} to {:.2f}", 100 * i.low, 100 * i.high)
                                 : "");
  }
  if (best != nullptr) {
    tiles += tile(percent(best->fitness), "best in the search", of_fitness(run));
  }
  const HistoryEntry* shown = best;
  if (winner != nullptr) {
    for (const HistoryEntry& e : run.history) {
      if (std::to_string(e.id) == winner->name) shown = &e;
    }
  }
  if (shown != nullptr) {
    tiles += tile(short_number(static_cast<double>(shown->parameters)), "parameters",
                  grouped(shown->parameters));
    tiles += tile(short_number(static_cast<double>(shown->mult_adds)), "mult-adds",
                  grouped(shown->mult_adds));
  }
  const auto failed = std::count_if(run.history.begin(), run.history.end(),
                                    [](const auto& e) { return e.status != Status::kOk; });
  tiles += tile(std::to_string(run.history.size()), "networks evaluated",
                failed == 0 ? "none failed" : fmt::format("{} failed", failed));
  const RankUse use = rank_use(run.history);
  tiles += tile(duration(use.elapsed), "of searching",
                fmt::format("{} rank{}, {:.0f} % busy", use.ranks.size(),
                            use.ranks.size() == 1 ? "" : "s", 100 * use.share()));
  return fmt::format("<div class=\"tiles\">{}</div>\n", tiles);
}

std::string run_sections(const RunRecord& run) {
  std::string text;
  if (run.missing_lines > 0) {
    text += fmt::format(
        "<p class=\"warning\">{} lines of the history are lost or damaged; their "
        "results are not counted.</p>\n",
        run.missing_lines);
  }
  if (run.history.empty()) {
    text += "<p class=\"warning\">There are no results yet.</p>\n";
  }
  text += section("Cells", cells_section(run));
  const std::string charts = fitness_chart(run) + genealogy_chart(run) +
                             pareto_chart(run, &HistoryEntry::parameters, "parameters") +
                             pareto_chart(run, &HistoryEntry::mult_adds, "mult-adds");
  text += section("The search",
                  fmt::format("<div class=\"charts\">{}</div>\n{}", charts, lineage_table(run)));
  text += section("Retrained from scratch", retrained_table(run));
  text += section("What the mutations preferred", controller_section(run));
  text += section("Time", ranks_section(run));
  text += section("The population", population_table(run));
  text += section("To repeat it", repeat_section(run));
  return text;
}

}  // namespace renas
