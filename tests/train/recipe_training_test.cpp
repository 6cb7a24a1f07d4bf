// What recipes add to plain SGD, on every backend.

#include <algorithm>
#include <boost/test/unit_test.hpp>
#include <cmath>

#include "renas/evaluation.h"
#include "support/toy_data.h"

using namespace renas;
using namespace renas::test;

namespace {

Graph small_network(const SearchData& data) {
  Graph graph;
  int at = graph.conv("conv", graph.input(data.images.shape()),
                      {.out_channels = 6, .window = Window::same(3)});
  at = graph.relu("relu", graph.batch_norm("norm", at));
  at = graph.global_average_pool("mean", at);
  at = graph.linear("linear", at, data.images.classes());
  graph.set_scores(at);
  graph.cross_entropy("loss", at, 1, 0);
  return graph;
}

Weights start(const Graph& graph) {
  Random random(3);
  return initialize(graph, random);
}

/// Trains the small network by `recipe`, from `state` on.
Weights trained(const std::string& backend, const SearchData& data, const Recipe& recipe,
                TrainingState& state, const Weights& from) {
  const Graph graph = small_network(data);
  const auto program = make_backend({backend})->compile(graph, {.batch = 24});
  program->load(from);
  Loader loader(data.images, data.train, {.batch = 24, .seed = 1});
  BOOST_TEST((train(*program, loader, recipe, state) == TrainingEnd::kDone));
  return program->save(true);
}

Weights trained(const std::string& backend, const SearchData& data, const Recipe& recipe) {
  TrainingState state{.seed = 1};
  return trained(backend, data, recipe, state, start(small_network(data)));
}

double distance(const Weights& a, const Weights& b) {
  double sum = 0;
  for (const auto& [name, tensor] : a) {
    for (std::size_t i = 0; i < tensor.values.size(); ++i) {
      const double d = double{tensor.values[i]} - double{b.at(name).values[i]};
      sum += d * d;
    }
  }
  return std::sqrt(sum);
}

}  // namespace

BOOST_AUTO_TEST_SUITE(recipe_training)

BOOST_AUTO_TEST_CASE(every_backend_steps_as_the_reference) {
  const SearchData data = toy_data();
  const Recipe plain{.epochs = 2, .learning_rates = {0.1}, .weight_decay = 0.05};
  Recipe nesterov = plain;
  nesterov.nesterov = true;
  Recipe norms = plain;
  norms.decay_norms = true;
  Recipe clipped = plain;
  clipped.clip_norm = 0.05;
  const Weights base = trained("reference", data, plain);
  for (const Recipe& recipe : {nesterov, norms, clipped}) {
    const Weights expected = trained("reference", data, recipe);
    BOOST_TEST(distance(expected, base) > 1e-3);  // it changes something
    for (const std::string& backend : backend_names()) {
      BOOST_TEST(distance(expected, trained(backend, data, recipe)) < 1e-4, backend);
    }
  }
}

BOOST_AUTO_TEST_CASE(nesterov_and_decay_are_those_of_the_formula) {
  const SearchData data = toy_data();
  const Graph graph = small_network(data);
  const Weights weights = start(graph);
  const auto program = make_backend({"reference"})->compile(graph, {.batch = 24});
  program->load(weights);
  Loader loader(data.images, data.train, {.batch = 24, .seed = 1});
  loader.start(0);
  HostBatch& batch = program->staging();
  batch.count = loader.next(batch.images, batch.labels);
  program->gradients({});
  const Weights gradients = program->gradients_by_name();
  program->update({.learning_rates = {0.5F},
                   .momentum = 0.9F,
                   .weight_decay = 0.25F,
                   .nesterov = true,
                   .decay_norms = true});
  const Weights after = program->save();
  for (const char* name : {"conv/weight", "norm/scale", "linear/bias"}) {
    const double w = weights.at(name).values[1];
    const double g = gradients.at(name).values[1] + 0.25 * w;
    // The first step's momentum is g itself.
    BOOST_TEST(std::abs(after.at(name).values[1] - (w - 0.5 * (g + 0.9 * g))) < 1e-5, name);
  }
}

BOOST_AUTO_TEST_CASE(a_clipped_step_is_as_long_as_allowed) {
  const SearchData data = toy_data(96);
  const Graph graph = small_network(data);
  // One step without momentum and decay: the weights move by rate times the clipped gradient.
  SearchData one = data;
  one.train.resize(24);
  for (const double longest : {1e-3, 1e9}) {
    Recipe recipe{.epochs = 1, .learning_rates = {1.0}, .momentum = 0, .weight_decay = 0};
    recipe.clip_norm = longest;
    const Weights after = trained("reference", one, recipe);
    Weights before = start(graph);
    double moved = 0;
    for (const auto& [name, tensor] : before) {
      if (name.ends_with("mean") || name.ends_with("variance")) continue;
      for (std::size_t i = 0; i < tensor.values.size(); ++i) {
        moved += std::pow(double{tensor.values[i]} - double{after.at(name).values[i]}, 2);
      }
    }
    if (longest < 1) {
      BOOST_TEST(std::abs(std::sqrt(moved) - longest) < 0.05 * longest);
    } else {
      BOOST_TEST(std::sqrt(moved) > 1e-2);
    }
  }
}

BOOST_AUTO_TEST_CASE(the_moving_average_is_that_of_the_formula_and_resumes_to_the_bit) {
  const SearchData data = toy_data();  // three steps an epoch
  const Recipe recipe{.epochs = 4, .learning_rates = {0.1}, .average_decay = 0.3};
  TrainingState whole{.seed = 1};
  const Weights end = trained("reference", data, recipe, whole, start(small_network(data)));
  BOOST_TEST(!whole.average.empty());
  BOOST_TEST(distance(whole.average, end) > 0);

  TrainingState half{.seed = 1};
  Recipe first = recipe;
  first.epochs = 2;
  const Weights middle = trained("reference", data, first, half, start(small_network(data)));
  const Weights resumed = trained("reference", data, recipe, half, middle);
  BOOST_TEST((half.average == whole.average));
  BOOST_TEST((resumed == end));

  // Of one epoch: steps 0, 1, 2 keep nothing, 2/11 and 3/12 of what was before.
  TrainingState short_one{.seed = 1};
  std::vector<Weights> steps;
  const Graph graph = small_network(data);
  const auto program = make_backend({"reference"})->compile(graph, {.batch = 24});
  program->load(start(graph));
  Loader loader(data.images, data.train, {.batch = 24, .seed = 1});
  TrainingHooks hooks;
  hooks.on_step = [&](int) { steps.push_back(program->save()); };
  Recipe one = recipe;
  one.epochs = 1;
  train(*program, loader, one, short_one, hooks);
  BOOST_REQUIRE(steps.size() == 3);
  double value = steps[0].at("conv/weight").values[0];
  for (const int t : {1, 2}) {
    const double kept = (1.0 + t) / (10.0 + t);
    value =
        kept * value + (1 - kept) * steps[static_cast<std::size_t>(t)].at("conv/weight").values[0];
  }
  BOOST_TEST(std::abs(short_one.average.at("conv/weight").values[0] - value) < 1e-6);
}

BOOST_AUTO_TEST_CASE(the_best_five_count) {
  // Two classes that are never told apart from each other are among the best five of three.
  const SearchData data = toy_data();
  const Graph graph = small_network(data);
  const auto program = make_backend({"reference"})->compile(graph, {.batch = 24});
  program->load(start(graph));
  Loader loader(data.images, data.train, {.batch = 24, .shuffle = false});
  const Score untrained = score(*program, loader, 3);
  BOOST_TEST(untrained.top5_accuracy == 1.0);
  BOOST_TEST(untrained.accuracy < 1.0);

  // Of ten classes the scores of which are equal, the first five are the best.
  SearchData ten = toy_data(100, 10);
  Graph wide = small_network(ten);
  Weights zero = start(wide);
  for (auto& [name, tensor] : zero) {
    if (name.starts_with("linear")) std::fill(tensor.values.begin(), tensor.values.end(), 0.0F);
  }
  const auto other = make_backend({"reference"})->compile(wide, {.batch = 24});
  other->load(zero);
  Loader all(ten.images, all_indices(100), {.batch = 24, .shuffle = false});
  BOOST_TEST(score(*other, all, 10).top5_accuracy == 0.5);
}

BOOST_AUTO_TEST_CASE(the_loss_is_the_mean_cross_entropy_and_the_likelihood_its_geometric_mean) {
  SearchData ten = toy_data(100, 10);
  const Graph graph = small_network(ten);
  Weights weights = start(graph);
  for (auto& [name, tensor] : weights) {
    if (name.starts_with("linear")) std::fill(tensor.values.begin(), tensor.values.end(), 0.0F);
  }
  // Whatever the image, class 3 has the odds exp(2) to 1 of each other one.
  weights.at("linear/bias").values[3] = 2;
  const auto program = make_backend({"reference"})->compile(graph, {.batch = 24});
  program->load(weights);
  std::vector<int64_t> images;  // of class 3 one in four
  for (int64_t i = 0; i < 100; ++i) {
    const bool third = ten.images.labels()[static_cast<std::size_t>(i)] == 3;
    const auto same = std::count_if(images.begin(), images.end(), [&](int64_t j) {
      return (ten.images.labels()[static_cast<std::size_t>(j)] == 3) == third;
    });
    if (same < (third ? 4 : 12)) images.push_back(i);
  }
  Loader loader(ten.images, images, {.batch = 24, .shuffle = false});
  const Score found = score(*program, loader, 10);
  const double expected = std::log(std::exp(2.0) + 9) - 0.25 * 2;
  BOOST_TEST(found.count == 16);
  BOOST_TEST(found.accuracy == 0.25);
  BOOST_TEST(std::abs(found.loss - expected) < 1e-6);
  BOOST_TEST(std::abs(found.judged_by(Fitness::kLikelihood) - std::exp(-expected)) < 1e-6);
  BOOST_TEST(found.judged_by(Fitness::kAccuracy) == 0.25);
}

BOOST_AUTO_TEST_SUITE_END()
