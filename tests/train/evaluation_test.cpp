#include "renas/evaluation.h"

#include <boost/test/unit_test.hpp>
#include <memory>
#include <numeric>

#include "renas/error.h"
#include "support/toy_data.h"

using namespace renas;
using namespace renas::test;

namespace {

const SearchSpace kSpace = SearchSpace::renas(2);

/// Trains and judges a candidate that has no parent, by the stream of its number.
Evaluation evaluate(Backend& backend, uint64_t id, const SearchData& data,
                    const ChildOptions& options, const TrainingHooks& hooks = {}) {
  return evaluate_candidate(backend, kSpace, parse_genome(kSpace, kToyGenome),
                            Random(9, Purpose::kChild, id), nullptr, data, options, hooks);
}

/// A trained parent, and a child of it.
struct Family {
  std::unique_ptr<Backend> backend = make_backend({"reference"});
  SearchData data = toy_data();
  ChildOptions options = toy_child(data);
  Parent parent{parse_genome(kSpace, kToyGenome), evaluate(*backend, 1, data, options).weights};

  Evaluation train_child(const Parent* from) const {
    const Genome child = parse_genome(kSpace, "c-2:sep3x3+c-1:sep3x3,1:max3x3+c-1:sep3x3");
    return evaluate_candidate(*backend, kSpace, child, Random(9, Purpose::kChild, 2), from, data,
                              options);
  }
};

/// Scores of the first images of D_val.
std::vector<float> outputs(Backend& backend, const Graph& graph, const Weights& weights,
                           const SearchData& data) {
  const auto program = backend.compile(graph, {.batch = 16});
  program->load(weights);
  Loader loader(data.images, data.validation, {.batch = 16, .shuffle = false});
  loader.start(0);
  HostBatch& batch = program->staging();
  batch.count = loader.next(batch.images, batch.labels);
  std::vector<float> scores(16 * 3);
  program->infer(scores);
  return scores;
}

/// Images of `counts[k]` of class k, all alike: a network answers one class for all.
SearchData uneven_data(const std::vector<int>& counts) {
  const Shape shape{1, 8, 8};
  std::vector<uint8_t> pixels;
  std::vector<int32_t> labels;
  for (std::size_t k = 0; k < counts.size(); ++k) {
    for (int i = 0; i < counts[k]; ++i) {
      labels.push_back(static_cast<int32_t>(k));
      pixels.insert(pixels.end(), static_cast<std::size_t>(shape.size()), uint8_t{100});
    }
  }
  DataSetInfo info;
  info.classes = static_cast<int>(counts.size());
  std::vector<int64_t> all(labels.size());
  std::iota(all.begin(), all.end(), int64_t{0});
  return {DataSet(shape, std::move(pixels), labels, info), all, all};
}

}  // namespace

BOOST_AUTO_TEST_SUITE(evaluation)

BOOST_AUTO_TEST_CASE(a_member_learns_from_scratch_and_again_the_same) {
  const auto backend = make_backend({"reference"});
  const SearchData data = toy_data();
  const ChildOptions options = toy_child(data);
  const Evaluation first = evaluate(*backend, 3, data, options);
  BOOST_TEST((first.status == Status::kOk));
  BOOST_TEST(first.fitness > 0.6);  // chance is a third
  BOOST_TEST(first.images == 4 * 72);
  BOOST_TEST(first.inherited_share == 0.0);
  const Evaluation again = evaluate(*backend, 3, data, options);
  BOOST_TEST(again.fitness == first.fitness);
  BOOST_TEST((again.weights == first.weights));
  const Evaluation other = evaluate(*backend, 4, data, options);  // of another stream
  BOOST_TEST((other.weights != first.weights));
}

BOOST_AUTO_TEST_CASE(a_child_that_changes_nothing_gives_its_parents_outputs_to_the_bit) {
  for (const std::string& name : backend_names()) {
    const auto backend = make_backend({name});
    const SearchData data = toy_data();
    const ChildOptions options = toy_child(data);
    const Evaluation parent = evaluate(*backend, 1, data, options);
    const Graph graph = build_network(kSpace, parse_genome(kSpace, kToyGenome), options.network);
    Random random(77);
    const Inheritance child = inherit(graph, graph, parent.weights, random);
    BOOST_TEST(outputs(*backend, graph, child.weights, data) ==
                   outputs(*backend, graph, parent.weights, data),
               boost::test_tools::per_element());
  }
}

BOOST_FIXTURE_TEST_CASE(a_child_inherits_and_improves_in_one_pass, Family) {
  const Evaluation result = train_child(&parent);
  BOOST_TEST((result.status == Status::kOk));
  BOOST_TEST(result.images == 72);
  BOOST_TEST(result.inherited_share > 0.5);
  BOOST_TEST(result.inherited_share < 1.0);
}

BOOST_FIXTURE_TEST_CASE(a_child_that_shall_not_inherit_is_trained_as_if_it_had_no_parent, Family) {
  options.inherit = false;
  options.child_epochs = 7;  // is nothing to it
  const Evaluation alone = train_child(nullptr);
  const Evaluation with_parent = train_child(&parent);
  BOOST_TEST(with_parent.inherited_share == 0.0);
  BOOST_TEST(with_parent.images == 4 * 72);
  BOOST_TEST(with_parent.fitness == alone.fitness);
  BOOST_TEST((with_parent.weights == alone.weights));
}

BOOST_FIXTURE_TEST_CASE(a_childs_rates_fall_to_nothing_where_that_is_asked_for, Family) {
  const auto weights_of = [&](int batch, bool anneal) {
    options.batch = batch;
    options.anneal_children = anneal;
    return train_child(&parent).weights;
  };
  // A cosine begins at the full rate: a pass of one step is the same, one of many steps is not.
  BOOST_TEST((weights_of(72, true) == weights_of(72, false)));
  const Weights constant = weights_of(4, false);
  const Weights annealed = weights_of(4, true);
  BOOST_TEST((annealed != constant));
  // Members without a parent are trained as ever.
  options.batch = toy_child(data).batch;
  options.anneal_children = true;
  BOOST_TEST((evaluate(*backend, 1, data, options).weights == parent.weights));
}

BOOST_AUTO_TEST_CASE(a_training_that_blows_up_is_a_result) {
  const auto backend = make_backend({"reference"});
  const SearchData data = toy_data();
  ChildOptions options = toy_child(data);
  options.initial_rate = 1e30;
  const Evaluation result = evaluate(*backend, 1, data, options);
  BOOST_TEST((result.status == Status::kDiverged));
  BOOST_TEST(!result.message.empty());
  BOOST_TEST(result.weights.empty());
  BOOST_TEST(result.message.find("pad") == std::string::npos);
  options.augmentation.pad = 8;  // as wide as the images
  BOOST_TEST(evaluate(*backend, 1, data, options).message.find("pad of 8") != std::string::npos);
}

BOOST_AUTO_TEST_CASE(
    a_network_that_answers_no_numbers_has_diverged_even_if_its_weights_are_finite) {
  const auto backend = make_backend({"reference"});
  SearchData data = toy_data();
  data.train.resize(16);  // one step, whose loss is of before it
  FinalOptions options;
  options.network = toy_child(data).network;
  options.batch = 16;
  options.recipe.epochs = 1;
  options.recipe.learning_rates = {1e25};
  options.augmentation = Augmentation::none();
  for (const bool held_out : {true, false}) {
    if (!held_out) data.validation.clear();
    const Evaluation result = train_from_scratch(*backend, kSpace, parse_genome(kSpace, kToyGenome),
                                                 {}, data, options, {}, nullptr);
    BOOST_TEST((result.status == Status::kDiverged));
    BOOST_TEST(result.message == "the scores of the trained network are not finite numbers");
    BOOST_TEST(result.fitness == 0);
    BOOST_TEST(result.weights.empty());
  }
}

BOOST_AUTO_TEST_CASE(images_that_the_network_does_not_take_are_refused) {
  const auto backend = make_backend({"reference"});
  const SearchData data = toy_data();  // of 1x8x8
  ChildOptions options = toy_child(data);
  const Evaluation trained = evaluate(*backend, 1, data, options);
  const Genome genome = parse_genome(kSpace, kToyGenome);
  // Larger, of as many numbers in another form, and of more channels.
  for (const Shape& image : {Shape{1, 16, 16}, Shape{1, 4, 16}, Shape{3, 8, 8}}) {
    const auto says_both = [&](const InvalidShape& e) {
      const std::string text = e.what();
      return text.find(to_string(image)) != std::string::npos &&
             text.find(to_string(data.images.shape())) != std::string::npos;
    };
    options.network.image = image;
    BOOST_CHECK_EXCEPTION(evaluate(*backend, 1, data, options), InvalidShape, says_both);
    FinalOptions final;
    final.network = options.network;
    final.augmentation = Augmentation::none();
    BOOST_CHECK_EXCEPTION(
        train_from_scratch(*backend, kSpace, genome, {}, data, final, {}, nullptr), InvalidShape,
        says_both);
    const Graph graph = build_network(kSpace, genome, options.network);
    Random random(1);
    BOOST_CHECK_EXCEPTION(
        score_network(*backend, graph, initialize(graph, random), data.images, data.validation),
        InvalidShape, says_both);
  }
}

BOOST_AUTO_TEST_CASE(a_label_that_the_network_has_no_class_for_is_refused) {
  const auto backend = make_backend({"reference"});
  SearchData data = toy_data(96, 3);
  ChildOptions options = toy_child(data);
  options.network.classes = 2;
  const Graph graph = build_network(kSpace, parse_genome(kSpace, kToyGenome), options.network);
  Random random(1);
  BOOST_CHECK_EXCEPTION(
      score_network(*backend, graph, initialize(graph, random), data.images, data.validation),
      InvalidInput, [](const InvalidInput& e) {
        return std::string(e.what()) ==
               "score: expected labels of the network's 2 classes, from 0, found 2";
      });
}

BOOST_AUTO_TEST_CASE(balanced_accuracy_is_the_mean_recall_of_the_classes_that_occur) {
  const auto backend = make_backend({"reference"});
  const SearchData data = uneven_data({30, 10, 0});
  ChildOptions options = toy_child(data);
  for (const Fitness fitness : {Fitness::kAccuracy, Fitness::kBalancedAccuracy}) {
    options.fitness = fitness;
    const Evaluation result = evaluate(*backend, 1, data, options);
    BOOST_TEST(result.score.accuracy == 0.75);  // it says class 0
    BOOST_TEST(result.score.balanced_accuracy == 0.5);
    BOOST_TEST(result.fitness == (fitness == Fitness::kAccuracy ? 0.75 : 0.5));
  }
}

BOOST_AUTO_TEST_CASE(class_weights_make_a_rare_class_count) {
  const auto backend = make_backend({"reference"});
  const SearchData data = uneven_data({30, 10, 0});
  const std::vector<float> balanced = balanced_class_weights(data);
  BOOST_TEST(balanced == (std::vector<float>{40 / (2 * 30.0F), 40 / (2 * 10.0F), 1}),
             boost::test_tools::per_element());
  ChildOptions options = toy_child(data);
  options.network.class_weights = {0, 1, 1};
  BOOST_TEST(evaluate(*backend, 1, data, options).score.accuracy == 0.25);  // it says class 1
  // Weights of 1 are the same as none, to the bit.
  options.network.class_weights = {1, 1, 1};
  const Evaluation ones = evaluate(*backend, 1, data, options);
  options.network.class_weights = {};
  BOOST_TEST((ones.weights == evaluate(*backend, 1, data, options).weights));
  options.network.class_weights = {1, 1};
  BOOST_CHECK_THROW(evaluate(*backend, 1, data, options), InvalidInput);
}

BOOST_AUTO_TEST_CASE(a_stop_ends_a_training_without_a_result) {
  const auto backend = make_backend({"reference"});
  const SearchData data = toy_data();
  TrainingHooks hooks;
  int steps = 0;
  hooks.on_step = [&](int) { ++steps; };
  hooks.stop = [&] { return steps == 2; };
  const Evaluation result = evaluate(*backend, 1, data, toy_child(data), hooks);
  BOOST_TEST(result.stopped);
  BOOST_TEST(steps == 2);
  BOOST_TEST(result.weights.empty());
}

BOOST_AUTO_TEST_CASE(a_training_interrupted_between_epochs_goes_on_exactly) {
  const auto backend = make_backend({"reference"});
  const SearchData data = toy_data();
  FinalOptions options;
  options.network = toy_child(data).network;
  options.network.dropout = 0.2F;
  options.network.drop_path = 0.2F;
  options.network.auxiliary = true;
  options.batch = 16;
  options.recipe.epochs = 3;
  options.recipe.cosine_cycles = {3};
  const Genome genome = parse_genome(kSpace, kToyGenome);
  std::vector<FinalState> states;
  FinalState fresh;
  fresh.training.seed = 4;
  const Evaluation whole =
      train_from_scratch(*backend, kSpace, genome, fresh, data, options, {},
                         [&](const FinalState& state) { states.push_back(state); });
  BOOST_REQUIRE(states.size() == 3);
  const Evaluation rest =
      train_from_scratch(*backend, kSpace, genome, states[0], data, options, {}, nullptr);
  BOOST_TEST(rest.fitness == whole.fitness);
  BOOST_TEST((rest.weights == whole.weights));
}

BOOST_AUTO_TEST_SUITE_END()
