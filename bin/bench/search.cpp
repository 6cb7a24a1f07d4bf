// renas-bench search compares strategies on objectives whose answers are all known.
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <atomic>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <exception>
#include <fstream>
#include <memory>
#include <mutex>
#include <nlohmann/json.hpp>
#include <sstream>
#include <thread>

#include "bench/bench.h"
#include "bench/curves.h"
#include "cli/environment.h"
#include "renas/error.h"

namespace {

struct Settings {
  std::string space = "nas-bench-201";
  int blocks = 5;
  int cells_searched = 1;
  std::string objective = "table";
  std::string table;
  std::string reward = "c10_valid_12";
  std::string truth = "c10_test_full_200";
  uint64_t objective_seed = 0;
  int objectives = 1;
  std::vector<std::string> strategies{"all"};
  std::string changes_like;
  std::string against;
  std::string durations = "constant";
  Trial trial;
  int seeds = 200;
  uint64_t first_seed = 0;
  int threads = 0;
  renas::StrategyOptions strategy;
  int64_t max_mult_adds = 0;
  std::vector<std::string> controller_set;
  std::string json;
  std::string picture;
};

constexpr int kShown[] = {50, 100, 200, 300, 500};

std::string read_text(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  if (!file) {
    throw renas::InvalidInput(fmt::format("table: cannot open '{}'", path));
  }
  std::ostringstream text;
  text << file.rdbuf();
  return text.str();
}

std::vector<std::unique_ptr<renas::Objective>> make_objectives(const Settings& s) {
  std::vector<std::unique_ptr<renas::Objective>> objectives;
  if (s.objective == "table") {
    if (s.table.empty()) {
      throw renas::InvalidInput("--table: expected a file; --objective synthetic needs none");
    }
    const renas::SearchSpace space = s.space == "renas" ? renas::SearchSpace::renas(s.blocks)
                                                        : renas::SearchSpace::nas_bench_201();
    objectives.push_back(renas::table_objective(space, read_text(s.table), s.reward, s.truth));
  } else {
    if (s.space != "renas") {
      throw renas::InvalidInput("--objective synthetic: needs --space renas");
    }
    const renas::SearchSpace one = renas::SearchSpace::renas(s.blocks);
    const renas::SearchSpace space =
        s.cells_searched == 2 ? renas::SearchSpace::pair(one, one) : one;
    for (int i = 0; i < s.objectives; ++i) {
      objectives.push_back(
          renas::synthetic_objective(space, s.objective_seed + static_cast<uint64_t>(i)));
    }
  }
  return objectives;
}

/// Runs `work(i)` for i in 0 .. count-1 on `threads` threads. Rethrows the first exception.
void parallel(int count, int threads, const std::function<void(int)>& work) {
  std::atomic<int> next{0};
  std::mutex mutex;
  std::exception_ptr failure;
  const auto loop = [&] {
    for (int i = next++; i < count; i = next++) {
      try {
        work(i);
      } catch (...) {
        const std::lock_guard lock(mutex);
        if (!failure) {
          failure = std::current_exception();
        }
        next = count;
      }
    }
  };
  std::vector<std::thread> pool;
  for (int t = 1; t < threads; ++t) {
    pool.emplace_back(loop);
  }
  loop();
  for (std::thread& thread : pool) {
    thread.join();
  }
  if (failure) {
    std::rethrow_exception(failure);
  }
}

/// The options of a strategy by its name, behind which words may stand that change them:
/// "renas:paper", "evolution:effect", "renas:posterior-mean", "renas:critic_optimism=1".
renas::StrategyOptions named_options(renas::StrategyOptions options, const std::string& name) {
  std::istringstream words(name);
  std::getline(words, options.name, ':');
  for (std::string word; std::getline(words, word, ':');) {
    const auto controllers = renas::controller_names();
    const std::size_t equals = word.find('=');
    if (std::find(controllers.begin(), controllers.end(), word) != controllers.end()) {
      options.controller = word;
    } else if (equals != std::string::npos) {
      renas::ControllerOptions form = renas::controller_options(options);
      renas::set_controller_option(form, word.substr(0, equals), word.substr(equals + 1));
      options.controller_form = form;
    } else if (word == "posterior-mean") {
      options.finalists = word;
    } else {
      options.judge = word;
    }
  }
  return options;
}

/// Runs all seeds of several strategies in parallel. If there are several objectives, seed s runs
/// on objective number s modulo their count.
std::vector<StrategyCurves> run_all(
    const Settings& s, const std::vector<std::unique_ptr<renas::Objective>>& objectives,
    const std::vector<std::pair<std::string, renas::StrategyOptions>>& strategies) {
  std::vector<StrategyCurves> curves;
  for (const auto& [name, options] : strategies) {
    renas::make_strategy(objectives[0]->space(),
                         options);  // throws before work begins if an option is wrong
    curves.push_back({name, std::vector<SearchRun>(s.seeds)});
  }
  parallel(static_cast<int>(strategies.size()) * s.seeds, s.threads, [&](int i) {
    const std::size_t k = i / s.seeds;
    const std::size_t seed = i % s.seeds;
    renas::StrategyOptions options = strategies[k].second;
    options.seed = s.first_seed + seed;
    curves[k].runs[seed] = run_search(*objectives[seed % objectives.size()], options, s.trial);
  });
  return curves;
}

nlohmann::json to_json(const std::optional<Interval>& interval) {
  if (!interval) {
    return nullptr;
  }
  return {{"mean", interval->mean}, {"low", interval->low}, {"high", interval->high}};
}

std::string cell(const std::optional<Interval>& interval) {
  if (!interval) {
    return "-";
  }
  return fmt::format("{:.2f} [{:.2f}, {:.2f}]", interval->mean, interval->low, interval->high);
}

void print_block(const char* title, const std::vector<StrategyCurves>& all,
                 const std::vector<int>& shown,
                 const std::function<std::optional<Interval>(const StrategyCurves&, int)>& value) {
  fmt::print("\n{}\n{:<28}", title, "evaluations");
  for (const int n : shown) {
    fmt::print("{:>22}", n);
  }
  for (const StrategyCurves& curves : all) {
    fmt::print("\n{:<28}", curves.name);
    for (const int n : shown) {
      fmt::print("{:>22}", cell(value(curves, n)));
    }
  }
  fmt::print("\n");
}

void draw(const std::string& path, const Settings& s, const std::vector<StrategyCurves>& all) {
  double least = 100;
  double most = 0;
  for (const StrategyCurves& curves : all) {
    const std::vector<double> mean = curves.mean_truth();
    if (mean.size() < 20) {
      throw renas::InvalidInput("--picture: curves begin at 20 evaluations");
    }
    for (std::size_t i = 19; i < mean.size(); ++i) {
      least = std::min(least, mean[i]);
      most = std::max(most, mean[i]);
    }
  }
  FILE* pipe = popen("gnuplot", "w");
  if (!pipe) {
    throw renas::Error("--picture: cannot start gnuplot");
  }
  fmt::print(pipe, "set terminal svg size 900,560 dynamic background rgb 'white'\n");
  fmt::print(pipe, "set output \"{}\"\n", path);
  fmt::print(pipe,
             "set key bottom right\nset grid\nset xlabel 'evaluations'\n"
             "set ylabel 'truth of the best by reward, percent'\nset title '{} seeds, noise {}'\n",
             s.seeds, s.trial.noise);
  // gnuplot finds no range for curves that are all flat.
  if (most - least < 1e-9) {
    fmt::print(pipe, "set yrange [{}:{}]\n", least - 1, most + 1);
  }
  for (std::size_t k = 0; k < all.size(); ++k) {
    fmt::print(pipe, "$d{} << EOD\n", k);
    const std::vector<double> mean = all[k].mean_truth();
    for (std::size_t i = 19; i < mean.size(); ++i) {
      fmt::print(pipe, "{} {:.4f}\n", i + 1, mean[i]);
    }
    fmt::print(pipe, "EOD\n");
  }
  fmt::print(pipe, "plot");
  for (std::size_t k = 0; k < all.size(); ++k) {
    fmt::print(pipe, "{} $d{} with lines linewidth 2 title \"{}\"", k == 0 ? "" : ",", k,
               all[k].name);
  }
  fmt::print(pipe, "\n");
  if (const int status = pclose(pipe); status != 0) {
    throw renas::Error(fmt::format(
        "--picture: gnuplot ended with status {} (is it installed? Debian: gnuplot-nox)", status));
  }
}

void run(Settings s) {
  if (s.threads == 0) s.threads = renas::cli::default_threads().count;
  const auto objectives = make_objectives(s);
  if (s.max_mult_adds > 0) {
    s.strategy.admits = [&space = objectives[0]->space(),
                         most = s.max_mult_adds](const renas::Genome& genome) {
      return mult_adds_of(space, genome) <= most;
    };
  }
  s.trial.durations = s.durations == "constant"       ? Durations::kConstant
                      : s.durations == "heavy-tailed" ? Durations::kHeavyTailed
                                                      : Durations::kMultAdds;
  if (!s.controller_set.empty()) {
    renas::ControllerOptions form = renas::controller_options(s.strategy);
    for (const std::string& setting : s.controller_set) {
      const std::size_t equals = setting.find('=');
      if (equals == std::string::npos) {
        throw renas::InvalidInput(
            fmt::format("--controller-set: expected NAME=VALUE, got '{}'", setting));
      }
      renas::set_controller_option(form, setting.substr(0, equals), setting.substr(equals + 1));
    }
    s.strategy.controller_form = form;
  }
  std::vector<std::string> names;
  for (const std::string& name : s.strategies) {
    const auto known = renas::strategy_names();
    if (name == "all") {
      names.insert(names.end(), known.begin(), known.end());
    } else {
      names.push_back(name);
    }
  }
  std::vector<std::pair<std::string, renas::StrategyOptions>> strategies;
  for (const std::string& name : names) {
    strategies.emplace_back(name, named_options(s.strategy, name));
  }
  const auto named = [](const std::vector<StrategyCurves>& all, const std::string& name) {
    return std::find_if(all.begin(), all.end(),
                        [&](const StrategyCurves& curves) { return curves.name == name; });
  };
  std::vector<StrategyCurves> all = run_all(s, objectives, strategies);
  if (!s.changes_like.empty()) {
    const auto like = named(all, s.changes_like);
    if (like == all.end()) {
      throw renas::InvalidInput(
          fmt::format("--changes-like: '{}' is not among the strategies that run", s.changes_like));
    }
    renas::StrategyOptions options = s.strategy;
    options.name = "evolution";
    options.changes_per_child = like->mean_changes();
    if (options.changes_per_child.empty()) {
      throw renas::InvalidInput(
          fmt::format("--changes-like: '{}' has no parents and children", s.changes_like));
    }
    all.push_back(run_all(s, objectives, {{"evolution-like-" + s.changes_like, options}})[0]);
  }
  // Evolution sets the goal, so it runs even if it was not asked for.
  double goal = 0;
  if (const auto evolution = named(all, "evolution"); evolution != all.end()) {
    goal = evolution->mean_truth().back();
  } else {
    renas::StrategyOptions options = s.strategy;
    options.name = "evolution";
    goal = run_all(s, objectives, {{"evolution", options}})[0].mean_truth().back();
  }

  std::vector<int> shown;
  for (const int n : kShown) {
    if (n < s.trial.evaluations) {
      shown.push_back(n);
    }
  }
  shown.push_back(s.trial.evaluations);

  using Value = std::function<std::optional<Interval>(const StrategyCurves&, int)>;
  const std::pair<const char*, Value> values[] = {
      {"truth_of_best", [](const StrategyCurves& c, int n) { return c.truth_at(n); }},
      {"population_reward", [](const StrategyCurves& c, int n) { return c.population_at(n); }},
      {"changes", [](const StrategyCurves& c, int n) { return c.changes_at(n); }}};

  nlohmann::json result;
  result["space"] = s.space;
  result["seeds"] = s.seeds;
  result["evaluations"] = s.trial.evaluations;
  result["noise"] = s.trial.noise;
  result["truth_of_evolution"] = goal;
  const double best = objectives[0]->best_truth();
  result["best_truth"] = std::isnan(best) ? nlohmann::json(nullptr) : nlohmann::json(best);
  for (const StrategyCurves& curves : all) {
    nlohmann::json& entry = result["strategies"][curves.name];
    for (const auto& [name, value] : values) {
      for (const int n : shown) {
        entry[name][std::to_string(n)] = to_json(value(curves, n));
      }
    }
    const auto reached = first_reaching(curves.mean_truth(), goal);
    entry["truth_curve"] = curves.mean_truth();
    entry["winner"] = to_json(curves.winner());
    for (const SearchRun& r : curves.runs) {
      entry["runs"].push_back({{"winner", r.winner}, {"truth_of_best", r.truth_of_best.back()}});
    }
    entry["evaluations_to_reach_evolution"] =
        reached ? nlohmann::json(*reached) : nlohmann::json(nullptr);
    double seconds = 0;
    renas::SearchCounts counts;
    for (const SearchRun& r : curves.runs) {
      seconds += r.seconds;
      counts.asked += r.counts.asked;
      counts.failed += r.counts.failed;
      counts.repeats += r.counts.repeats;
      counts.redrawn_repeats += r.counts.redrawn_repeats;
      counts.redrawn_limits += r.counts.redrawn_limits;
    }
    const double pairs = static_cast<double>(counts.asked);
    double time = 0;
    double without_parent = 0;
    for (const SearchRun& r : curves.runs) {
      time += r.time / static_cast<double>(s.seeds);
      without_parent += static_cast<double>(r.counts.asked - r.changes.size());
    }
    entry["time"] = time;
    entry["without_parent"] = without_parent / static_cast<double>(s.seeds);
    entry["milliseconds_per_pair"] = 1000 * seconds / pairs;
    entry["repeats"] = static_cast<double>(counts.repeats) / static_cast<double>(s.seeds);
    entry["failed"] = static_cast<double>(counts.failed) / static_cast<double>(s.seeds);
    entry["refused"] = static_cast<double>(counts.redrawn_limits) / static_cast<double>(s.seeds);
    entry["redrawn_repeats"] =
        static_cast<double>(counts.redrawn_repeats) / static_cast<double>(s.seeds);
  }

  if (!s.picture.empty()) {
    draw(s.picture, s, all);
  }
  if (s.json == "-") {
    fmt::print("{}\n", result.dump(1));
    return;
  }
  if (!s.json.empty()) {
    std::ofstream file(s.json);
    file << result.dump(1) << "\n";
    if (!file) {
      throw renas::IoError(fmt::format("--json: cannot write '{}'", s.json));
    }
  }
  fmt::print("{} seeds, {} evaluations, noise {} points; mean [95 % interval over seeds]\n",
             s.seeds, s.trial.evaluations, s.trial.noise);
  print_block("truth of the best by reward, percent", all, shown, values[0].second);
  print_block("mean reward of the population (without noise), percent", all, shown,
              values[1].second);
  print_block("changed slots a child, over the last 50 children", all, shown, values[2].second);
  const auto against = named(all, s.against);
  if (!s.against.empty() && against == all.end()) {
    throw renas::InvalidInput(
        fmt::format("--against: '{}' is not among the strategies that run", s.against));
  }
  fmt::print("\n{:<28}{:>22}", "truth of the winner", "");
  if (against != all.end()) fmt::print("{:>28}", "minus that of " + s.against);
  for (const StrategyCurves& curves : all) {
    fmt::print("\n{:<28}{:>22}", curves.name, cell(curves.winner()));
    if (against != all.end()) fmt::print("{:>28}", cell(curves.winner_minus(*against)));
  }
  fmt::print("\n\n{:<28}{:>22}{:>16}{:>16}{:>16}{:>16}{:>16}{:>16}{:>16}\n", "",
             "reaches evolution at", "repeats a run", "redrawn a run", "refused a run",
             "failed a run", "parentless", "time a run", "ms a pair");
  for (const StrategyCurves& curves : all) {
    const nlohmann::json& entry = result["strategies"][curves.name];
    const nlohmann::json& reached = entry["evaluations_to_reach_evolution"];
    fmt::print("{:<28}{:>22}{:>16.1f}{:>16.1f}{:>16.1f}{:>16.1f}{:>16.1f}{:>16.1f}{:>16.3f}\n",
               curves.name, reached.is_null() ? "never" : reached.dump(),
               entry["repeats"].get<double>(), entry["redrawn_repeats"].get<double>(),
               entry["refused"].get<double>(), entry["failed"].get<double>(),
               entry["without_parent"].get<double>(), entry["time"].get<double>(),
               entry["milliseconds_per_pair"].get<double>());
  }
  fmt::print("(evolution's truth after {}: {:.3f})\n", s.trial.evaluations, goal);
}

}  // namespace

void add_search_bench(CLI::App& app) {
  CLI::App* sub = app.add_subcommand(
      "search", "Runs strategies where every answer is known and compares them over many seeds.");
  const auto s = std::make_shared<Settings>();
  sub->option_defaults()->always_capture_default();
  sub->add_option("--space", s->space, "search space")
      ->check(CLI::IsMember({"nas-bench-201", "renas"}));
  sub->add_option("--blocks", s->blocks, "blocks B of --space renas")->check(CLI::Range(1, 64));
  sub->add_option("--cells-searched", s->cells_searched,
                  "cells of --space renas with --objective synthetic: one, or a normal and a "
                  "reduction cell")
      ->check(CLI::Range(1, 2));
  sub->add_option("--objective", s->objective,
                  "table: known results; synthetic: random functions of genomes of --space renas")
      ->check(CLI::IsMember({"table", "synthetic"}));
  sub->add_option("--table", s->table,
                  "CSV file with a column 'arch' and numeric ones, in percent");
  sub->add_option("--reward", s->reward, "column of the table that strategies are told");
  sub->add_option("--truth", s->truth, "column of the table that counts");
  sub->add_option("--objective-seed", s->objective_seed, "seed of the synthetic objective");
  sub->add_option("--objectives", s->objectives,
                  "number of synthetic objectives, seeded from --objective-seed on; run number s "
                  "takes number s modulo this")
      ->check(CLI::Range(1, 1000000000));
  sub->add_option("--strategy", s->strategies,
                  fmt::format("'all' or names: {}; words may follow that change the options below, "
                              "as in renas:paper, evolution:effect, renas:posterior-mean, "
                              "renas:critic_optimism=1",
                              fmt::join(renas::strategy_names(), ", ")))
      ->expected(1, 100);
  sub->add_option("--changes-like", s->changes_like,
                  "adds evolution that changes as many slots a child as this strategy did")
      ->type_name("NAME");
  sub->add_option("--evaluations", s->trial.evaluations, "evaluations a run")
      ->check(CLI::Range(1, 1000000000));
  sub->add_option("--seeds", s->seeds, "runs a strategy")->check(CLI::Range(1, 1000000000));
  sub->add_option("--first-seed", s->first_seed, "seed of the first run");
  sub->add_option("--noise", s->trial.noise,
                  "standard deviation of noise on every reward, in points")
      ->check(CLI::NonNegativeNumber);
  sub->add_flag("--lineage", s->trial.lineage.on,
                "takes off the rewards of children what inheritance costs them, by a model of what "
                "was measured on real cells; --noise 1.1 goes with it");
  sub->add_option(
         "--drops", s->trial.lineage.drops,
         "of --lineage: points that a child with 1, 2, ... changed slots loses, the median")
      ->expected(1, 64)
      ->delimiter(',');
  sub->add_option("--drop-spread", s->trial.lineage.spread,
                  "of --lineage: standard deviation of the logarithm of a drop")
      ->check(CLI::NonNegativeNumber);
  sub->add_option("--recovery", s->trial.lineage.recovery,
                  "of --lineage: share of its parent's loss that a child keeps")
      ->check(CLI::Range(0.0, 1.0));
  sub->add_option("--lineage-gain", s->trial.lineage.gain,
                  "of --lineage: points that each doubling of a line's generations brings")
      ->check(CLI::NonNegativeNumber);
  sub->add_option("--roughness", s->trial.lineage.roughness,
                  "of --lineage: points that a cell of its own is worse than cells like it, in the "
                  "mean")
      ->check(CLI::NonNegativeNumber);
  sub->add_option("--roughness-seen", s->trial.lineage.seen,
                  "of --lineage: share of --roughness that the fitness of a child shows")
      ->check(CLI::Range(0.0, 1.0));
  sub->add_option("--in-flight", s->trial.in_flight, "candidates that are evaluated at once")
      ->check(CLI::Range(1, 1000000));
  sub->add_option("--durations", s->durations,
                  "of evaluations, with --in-flight: constant, heavy-tailed (log-normal), or by "
                  "mult-adds of the network")
      ->check(CLI::IsMember({"constant", "heavy-tailed", "mult-adds"}));
  sub->add_option("--initial-duration", s->trial.initial_duration,
                  "of candidates without a parent, in durations of a child: their passes over its")
      ->check(CLI::PositiveNumber);
  sub->add_flag(
      "--wait-for-parents", s->trial.wait,
      "do not ask while the strategy waits, as renas-search does where it has this option");
  sub->add_option("--fail-above", s->trial.fail_above,
                  "candidates whose network of (N, F) = (1, 8) has more mult-adds than this fail, "
                  "as if out of memory (--space renas); 0: none")
      ->check(CLI::NonNegativeNumber);
  sub->add_option("--max-mult-adds", s->max_mult_adds,
                  "candidates whose network of (N, F) = (1, 8) has more are drawn again (--space "
                  "renas); 0: no limit")
      ->check(CLI::NonNegativeNumber);
  sub->add_option("--population", s->strategy.population, "population P");
  sub->add_option("--sample", s->strategy.sample, "tournament size S");
  sub->add_option(
      "--controller", s->strategy.controller,
      fmt::format("form of the controller: {}", fmt::join(renas::controller_names(), ", ")));
  sub->add_option("--baseline", s->strategy.baseline,
                  "none, moving or standardised; the controller's own if not given");
  sub->add_option("--critic", s->strategy.critic,
                  "mutations a critic ranks, 0: no critic; -1: the controller's own");
  sub->add_option("--judge", s->strategy.judge, "what members are judged by: effect or fitness");
  sub->add_option("--against", s->against,
                  "prints how the truth of winners differs from this strategy's, seed by seed")
      ->type_name("NAME");
  sub->add_option("--redraw-repeats", s->strategy.redraw_repeats,
                  "how often a candidate that was asked before is drawn again");
  sub->add_option("--controller-set", s->controller_set,
                  "changes single numbers of the controller: NAME=VALUE ...")
      ->expected(1, 100);
  sub->add_option("--threads", s->threads, "threads, 0: one a core, or fewer (renas-search --help)")
      ->check(CLI::Range(0, 4096));
  sub->add_option("--json", s->json,
                  "results as JSON to this file; without a file name, to the standard output in "
                  "place of the tables")
      ->expected(0, 1)
      ->default_str("")
      ->type_name("FILE");
  sub->add_option("--picture", s->picture, "curves as SVG to this file (needs gnuplot)")
      ->type_name("FILE");
  sub->callback([s, sub] {
    if (sub->count("--json") > 0 && s->json.empty()) {
      s->json = "-";
    }
    run(*s);
  });
}
