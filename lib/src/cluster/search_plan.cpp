#include "renas/search_plan.h"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <vector>

#include "cluster/memory.h"
#include "cluster/run_setup.h"
#include "renas/error.h"

namespace renas {
namespace {

using Clock = std::chrono::steady_clock;
constexpr int kCells = 100;
constexpr int kMostDraws = 100000;
/// Bytes of a line of the history and of the log, as they were found.
constexpr int64_t kBytesAResult = 700;

double seconds_between(Clock::time_point from, Clock::time_point to) {
  return std::chrono::duration<double>(to - from).count();
}

struct Drawn {
  Genome genome;
  Counts counts;
};

/// Random cells that `admits` takes, by their mult-adds.
std::vector<Drawn> draw(const RunSetup& setup, const std::function<bool(const Genome&)>& admits) {
  Random random(setup.options.strategy.seed);
  std::vector<Drawn> cells;
  for (int tries = 0; tries < kMostDraws && static_cast<int>(cells.size()) < kCells; ++tries) {
    Genome genome = random_genome(setup.space, random);
    if (admits && !admits(genome)) continue;
    const Counts counts = count(build_network(setup.space, genome, setup.options.child.network));
    cells.push_back({std::move(genome), counts});
  }
  std::stable_sort(cells.begin(), cells.end(), [](const Drawn& a, const Drawn& b) {
    return a.counts.mult_adds < b.counts.mult_adds;
  });
  return cells;
}

Spread spread_of(const std::vector<Drawn>& cells, int64_t Counts::*quantity) {
  std::vector<int64_t> values;
  Spread spread;
  for (const Drawn& cell : cells) {
    values.push_back(cell.counts.*quantity);
    spread.mean += static_cast<double>(values.back()) / static_cast<double>(cells.size());
  }
  std::sort(values.begin(), values.end());
  spread.least = values.front();
  spread.median = values[values.size() / 2];
  spread.most = values.back();
  return spread;
}

NetworkSizes sizes_of(const std::vector<Drawn>& cells) {
  return {static_cast<int>(cells.size()), spread_of(cells, &Counts::parameters),
          spread_of(cells, &Counts::mult_adds)};
}

/// How fast a network is trained and scored.
struct Speed {
  double before = 0;          ///< seconds until the first step
  double training_image = 0;  ///< seconds
  double scoring_image = 0;   ///< seconds
};

Speed measure(Backend& backend, const RunSetup& setup, const Genome& genome, double seconds) {
  const ChildOptions& child = setup.options.child;
  Speed speed;
  const auto begin = Clock::now();
  std::optional<Clock::time_point> first;
  Clock::time_point last = begin;
  int64_t images = 0;
  TrainingHooks hooks;
  hooks.on_step = [&](int count) {
    last = Clock::now();
    if (first) images += count;  // the first step also touches all memory for the first time
    if (!first) first = last;
  };
  hooks.stop = [&] { return images > 0 && seconds_between(*first, Clock::now()) > seconds; };
  const Evaluation evaluation =
      evaluate_candidate(backend, setup.space, genome, Random(setup.options.strategy.seed), nullptr,
                         setup.search, child, hooks);
  if (evaluation.status == Status::kOutOfMemory) throw OutOfMemory(evaluation.message);
  if (first) speed.before = seconds_between(begin, *first);
  if (images > 0)
    speed.training_image = seconds_between(*first, last) / static_cast<double>(images);

  const Graph graph = build_network(setup.space, genome, child.network);
  Random random(setup.options.strategy.seed);
  int64_t batches = 0;
  ScoreOptions scoring{.batch = child.batch,
                       .device = child.device,
                       .training = child.augmentation,
                       .stop = nullptr};
  scoring.stop = [&] {
    last = Clock::now();
    if (batches++ == 0) first = last;
    return seconds_between(*first, last) > seconds / 4;
  };
  score_network(backend, graph, initialize(graph, random), setup.search.images,
                setup.search.validation, scoring);
  if (batches > 1) {
    speed.scoring_image =
        seconds_between(*first, last) / static_cast<double>((batches - 1) * child.batch);
  } else {
    speed.scoring_image = speed.training_image / 3;  // a forward pass of the same network
  }
  return speed;
}

}  // namespace

SearchPlan plan_search(const SearchRunOptions& given, const SearchRunHooks& hooks,
                       double measure_seconds) {
  SearchRunOptions options = given;
  options.child.device.index = options.final.device.index = hooks.device_index;
  const std::unique_ptr<Backend> backend = make_backend(options.child.device);
  const RunSetup setup = make_setup(options);
  const SearchRunOptions& o = setup.options;
  const std::vector<Drawn> any = draw(setup, nullptr);
  const std::vector<Drawn> admitted = o.strategy.admits ? draw(setup, o.strategy.admits) : any;

  SearchPlan plan;
  plan.any = sizes_of(any);
  if (o.strategy.admits) plan.admitted = sizes_of(admitted);
  const NetworkSizes& trained = plan.admitted ? *plan.admitted : plan.any;

  plan.memory_before = resident_memory();
  plan.memory_limit = o.child.device.index >= 0 ? 0 : hooks.memory;
  for (const Drawn* cell :
       {&admitted.back(),
        &*std::max_element(admitted.begin(), admitted.end(), [](const Drawn&a, const Drawn&b) {
          return a.counts.parameters < b.counts.parameters;
        })}) {
    plan.memory = std::max(
        plan.memory,
        training_memory(*backend, build_network(setup.space, cell->genome, o.child.network),
                        o.child.batch, o.child.device));
  }

  const Drawn& median = admitted[admitted.size() / 2];
  const Speed speed = measure(*backend, setup, median.genome, measure_seconds);
  plan.images_per_second = speed.training_image > 0 ? 1 / speed.training_image : 0;
  // Time grows as the work does.
  const auto measured = static_cast<double>(median.counts.mult_adds);
  const double mean = trained.mult_adds.mean / measured;
  const double mean_any = plan.any.mult_adds.mean / measured;
  const auto seconds = [&](const SearchData& data, int epochs, double scale) {
    return speed.before +
           scale * (static_cast<double>(data.train.size()) * epochs * speed.training_image +
                    static_cast<double>(data.validation.size()) * speed.scoring_image);
  };
  const double children = o.children;
  const double members = o.strategy.population;
  const bool inherit = o.child.inherit && has_tournaments(o.strategy.name);
  const int child_epochs = inherit ? o.child.child_epochs : o.child.initial_epochs;
  plan.member_seconds = seconds(setup.search, o.child.initial_epochs, mean);
  plan.child_seconds = seconds(setup.search, child_epochs, mean);
  plan.retrain_seconds = seconds(setup.final, o.final.recipe.epochs, mean);
  plan.search_seconds = members * plan.member_seconds + children * plan.child_seconds;
  plan.final_seconds = (members + o.controls) * plan.retrain_seconds;
  plan.search_seconds_any = members * seconds(setup.search, o.child.initial_epochs, mean_any) +
                            children * seconds(setup.search, child_epochs, mean_any);

  const int64_t model = 4 * trained.parameters.most + 65536;  // float32, and what describes them
  const int64_t results = o.strategy.population + static_cast<int64_t>(o.children);
  plan.disk =
      model * (2 * int64_t{o.strategy.population} + o.controls + 1) + results * kBytesAResult;
  plan.disk_a_rank = 2 * model;  // the child's weights and its parent's, or weights and momenta
  return plan;
}

}  // namespace renas
