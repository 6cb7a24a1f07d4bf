// One network trained by several ranks, here threads of one process.

#include <boost/test/unit_test.hpp>
#include <cmath>

#include "renas/error.h"
#include "renas/evaluation.h"
#include "support/thread_checks.h"
#include "support/thread_communicator.h"
#include "support/toy_data.h"

using namespace renas;
using namespace renas::test;

namespace {

constexpr int kClasses = 3;

/// A small network; with `norm` it has a batch norm.
Graph small_network(const Shape& image, bool norm) {
  Graph graph;
  int at = graph.conv("conv", graph.input(image), {.out_channels = 6, .window = Window::same(3)});
  if (norm) at = graph.batch_norm("norm", at);
  at = graph.relu("relu", at);
  at = graph.average_pool("pool", at, Window::same(3, 2));
  at = graph.global_average_pool("mean", at);
  at = graph.linear("linear", at, kClasses);
  graph.set_scores(at);
  graph.cross_entropy("loss", at, 1, 0.1F);
  return graph;
}

double largest_difference(const Weights& a, const Weights& b) {
  double largest = 0;
  BOOST_REQUIRE(a.size() == b.size());
  for (const auto& [name, tensor] : a) {
    const Tensor& other = b.at(name);
    for (std::size_t i = 0; i < tensor.values.size(); ++i) {
      const double scale = 1e-3 + std::abs(tensor.values[i]);
      largest = std::max(largest, std::abs(tensor.values[i] - other.values[i]) / scale);
    }
  }
  return largest;
}

/// Puts images `first`, `first` + `stride`, ... into the program's next batch.
void stage(Program& program, const SearchData& data, int first, int stride, int count) {
  std::vector<int64_t> indices;
  for (int i = 0; i < count; ++i) indices.push_back(data.train.at(first + i * stride));
  Loader loader(data.images, indices, {.batch = count, .shuffle = false, .threads = 0});
  loader.start(0);
  HostBatch& batch = program.staging();
  batch.count = loader.next(batch.images, batch.labels);
  BOOST_TEST_IN_THREAD(batch.count == count);
}

/// The averaged gradients of `ranks` ranks of `batch` images; all ranks must agree to the bit.
/// Each rank has images of its own, or with `same` all of them the same.
Weights gradients_of_ranks(Backend& backend, const Graph& graph, const Weights& weights,
                           const SearchData& data, int ranks, int batch, bool same) {
  std::vector<Weights> found(static_cast<std::size_t>(ranks));
  on_ranks(ranks, [&](Communicator& communicator) {
    const auto program = backend.compile(graph, {.batch = batch});
    program->load(weights);
    stage(*program, data, same ? 0 : communicator.rank(), same ? 1 : ranks, batch);
    program->gradients({});
    program->reduce(communicator, ranks);
    found[static_cast<std::size_t>(communicator.rank())] = program->gradients_by_name();
  });
  for (const Weights& other : found) BOOST_TEST((other == found[0]));
  return found[0];
}

FinalOptions toy_training(const SearchData& data, Communicator* communicator) {
  FinalOptions options;
  options.network = toy_child(data).network;
  options.network.dropout = 0.2F;
  options.network.drop_path = 0.2F;
  options.recipe = {.epochs = 3, .cosine_cycles = {3}};
  options.batch = 8;
  options.augmentation = {.pad = 1, .flip = true};
  options.communicator = communicator;
  return options;
}

struct Trained {
  Evaluation evaluation;
  std::vector<EpochMetrics> history;
};

/// Trains the toy network on ranks, from the state that a training before has reached.
std::vector<Trained> train_on_ranks(int ranks, const SearchData& data, const FinalState& from = {},
                                    std::vector<FinalState>* states = nullptr) {
  const SearchSpace space = SearchSpace::renas(2);
  std::vector<Trained> results(static_cast<std::size_t>(ranks));
  on_ranks(ranks, [&](Communicator& communicator) {
    const auto backend = make_backend({"reference"});
    Trained& result = results[static_cast<std::size_t>(communicator.rank())];
    FinalState state = from;
    state.training.seed = 7;
    result.evaluation =
        train_from_scratch(*backend, space, parse_genome(space, kToyGenome), state, data,
                           toy_training(data, &communicator), {}, [&](const FinalState& reached) {
                             result.history = reached.training.history;
                             if (states != nullptr && communicator.rank() == 0)
                               states->push_back(reached);
                           });
  });
  return results;
}

}  // namespace

BOOST_AUTO_TEST_SUITE(data_parallel)

BOOST_AUTO_TEST_CASE(ranks_of_a_batch_have_the_gradients_of_one_rank_of_all_their_images) {
  const SearchData data = toy_data();
  for (const std::string& name : backend_names()) {
    const auto backend = make_backend({name});
    for (const bool norm : {false, true}) {
      BOOST_TEST_CONTEXT(name << (norm ? " with" : " without") << " batch norm") {
        const Graph graph = small_network(data.images.shape(), norm);
        Random random(3);
        const Weights weights = initialize(graph, random);
        for (const int ranks : {2, 3}) {
          const auto program = backend->compile(graph, {.batch = 8 * ranks});
          program->load(weights);
          // Batch norm depends on the rank's own batch, so all of them have the same one.
          if (norm) {
            std::vector<int64_t> repeated;
            for (int r = 0; r < ranks; ++r) {
              repeated.insert(repeated.end(), data.train.begin(), data.train.begin() + 8);
            }
            const SearchData again{data.images, repeated, {}};
            stage(*program, again, 0, 1, 8 * ranks);
          } else {
            stage(*program, data, 0, 1, 8 * ranks);
          }
          program->gradients({});
          const Weights one = program->gradients_by_name();
          const Weights many = gradients_of_ranks(*backend, graph, weights, data, ranks, 8, norm);
          BOOST_TEST(largest_difference(one, many) < 1e-3);
        }
      }
    }
  }
}

BOOST_AUTO_TEST_CASE(a_whole_training_is_that_of_one_rank_with_all_their_images) {
  const SearchData data = toy_data();  // 72 images to train on
  const Graph graph = small_network(data.images.shape(), false);
  const Recipe recipe{.epochs = 2, .learning_rates = {0.1}};
  const auto backend = make_backend({"reference"});
  const auto trained = [&](int batch, Communicator* communicator) {
    Random random(3);
    const auto program = backend->compile(graph, {.batch = batch});
    program->load(initialize(graph, random));
    LoaderOptions options{.batch = batch, .seed = 5, .drop_last = true};
    if (communicator != nullptr) {
      options.rank = communicator->rank();
      options.ranks = communicator->ranks();
    }
    Loader loader(data.images, data.train, options);
    TrainingState state{.seed = 5};
    BOOST_TEST_IN_THREAD(train(*program, loader, recipe, state, {}, communicator) ==
                         TrainingEnd::kDone);
    return program->save(true);
  };
  const Weights one = trained(24, nullptr);
  Weights two;
  on_ranks(2, [&](Communicator& communicator) {
    Weights mine = trained(12, &communicator);
    if (communicator.rank() == 1) two = std::move(mine);
  });
  BOOST_TEST(largest_difference(one, two) < 2e-3);
}

namespace {

/// A program whose reduce() is still under way when it returns, until somebody waits for it: its
/// own waits for the device would have no end where another rank is lost.
class Unhurried final : public Program {
 public:
  Unhurried(std::unique_ptr<Program> program, bool& under_way)
      : program_(std::move(program)), under_way_(under_way) {}
  HostBatch& staging() override { return program_->staging(); }
  void gradients(const StepScalars& step) override { program_->gradients(step); }
  void reduce(Reducer& reducer, int ranks) override {
    BOOST_TEST_IN_THREAD(!under_way_);
    program_->reduce(reducer, ranks);
    under_way_ = dynamic_cast<Communicator*>(&reducer) != nullptr;
  }
  void update(const SgdStep& step) override {
    program_->update(step);
    under_way_ = under_way_ && ++steps_ % steps_between_metrics() == 0;  // one ahead at most
  }
  StepMetrics metrics() override {
    BOOST_TEST_IN_THREAD(!under_way_);
    ++metrics_;
    return program_->metrics();
  }
  int steps_between_metrics() const override { return 3; }
  void infer(std::span<float> scores) override { program_->infer(scores); }
  void load(const Weights& host) override { program_->load(host); }
  Weights save(bool momenta) const override {
    BOOST_TEST_IN_THREAD(!under_way_);
    return program_->save(momenta);
  }
  Weights gradients_by_name() const override { return program_->gradients_by_name(); }
  int metrics_ = 0;

 private:
  std::unique_ptr<Program> program_;
  bool& under_way_;
  int steps_ = 0;
};

/// One rank, told to wait for its device.
class Patient final : public Communicator {
 public:
  explicit Patient(bool& under_way) : under_way_(under_way) {}
  int rank() const override { return 0; }
  int ranks() const override { return 1; }
  void sum(std::span<float>) override {}
  void sum(std::span<double>) override {}
  void wait_for_device() override { under_way_ = false; }

 private:
  bool& under_way_;
};

}  // namespace

BOOST_AUTO_TEST_CASE(sums_of_devices_are_waited_for_before_the_device_is) {
  const SearchData data = toy_data();
  const Graph graph = small_network(data.images.shape(), true);
  Recipe recipe{.epochs = 2, .learning_rates = {0.1}};
  for (const bool looks_at_gradients : {false, true}) {
    recipe.clip_norm = looks_at_gradients ? 1e-3 : 0;
    recipe.average_decay = looks_at_gradients ? 0.5 : 0;
    bool under_way = false;
    Random random(3);
    Unhurried program(make_backend({"reference"})->compile(graph, {.batch = 12}), under_way);
    program.load(initialize(graph, random));
    Loader loader(data.images, data.train, {.batch = 12, .seed = 5, .drop_last = true});
    TrainingState state{.seed = 5};
    Patient communicator(under_way);
    BOOST_TEST_IN_THREAD(train(program, loader, recipe, state, {}, &communicator) ==
                         TrainingEnd::kDone);
    BOOST_TEST_IN_THREAD(program.metrics_ > 4);
  }
}

BOOST_AUTO_TEST_CASE(ranks_agree_and_train_twice_the_same_and_resume_to_the_bit) {
  const SearchData data = toy_data();
  std::vector<FinalState> states;
  const std::vector<Trained> first = train_on_ranks(2, data, {}, &states);
  BOOST_REQUIRE(states.size() == 3);
  BOOST_TEST(states[0].training.ranks == 2);
  BOOST_TEST(first[0].evaluation.score.count == 24);  // all of D_val, not a rank's part
  const auto expect_equal = [&](const Trained& other) {
    BOOST_TEST((other.evaluation.weights == first[0].evaluation.weights));
    BOOST_TEST(other.evaluation.fitness == first[0].evaluation.fitness);
    BOOST_REQUIRE(other.history.size() == 3);
    for (std::size_t i = 0; i < 3; ++i) {
      BOOST_TEST(other.history[i].loss == first[0].history[i].loss);
    }
  };
  expect_equal(first[1]);
  for (const Trained& again : train_on_ranks(2, data)) expect_equal(again);
  for (const Trained& resumed : train_on_ranks(2, data, states[0])) expect_equal(resumed);
  // Other numbers of ranks go on too; their images come in other batches.
  const std::vector<Trained> three = train_on_ranks(3, data, states[0]);
  BOOST_TEST((three[0].evaluation.status == Status::kOk));
  BOOST_TEST((three[0].evaluation.weights != first[0].evaluation.weights));
}

BOOST_AUTO_TEST_CASE(batch_norm_statistics_are_the_mean_of_the_ranks) {
  // With a learning rate of 0 the statistics are those of the images, whoever saw them: the mean
  // over ranks is that of one rank that saw the same batches.
  const SearchData data = toy_data();
  const Graph graph = small_network(data.images.shape(), true);
  const auto backend = make_backend({"reference"});
  const Recipe recipe{.epochs = 1, .learning_rates = {0.0}};
  std::vector<Weights> saved(2);
  std::vector<Weights> alone(2);
  on_ranks(2, [&](Communicator& communicator) {
    const auto r = static_cast<std::size_t>(communicator.rank());
    Random random(3);
    const Weights weights = initialize(graph, random);
    for (const bool together : {true, false}) {
      const auto program = backend->compile(graph, {.batch = 12});
      program->load(weights);
      Loader loader(
          data.images, data.train,
          {.batch = 12, .seed = 5, .drop_last = true, .rank = communicator.rank(), .ranks = 2});
      TrainingState state{.seed = 5};
      train(*program, loader, recipe, state, {}, together ? &communicator : nullptr);
      (together ? saved : alone)[r] = program->save();
    }
  });
  for (const char* name : {"norm/mean", "norm/variance"}) {
    for (std::size_t i = 0; i < 6; ++i) {
      const float mean = (alone[0].at(name).values[i] + alone[1].at(name).values[i]) / 2;
      BOOST_TEST(saved[0].at(name).values[i] == mean);
      BOOST_TEST(saved[1].at(name).values[i] == mean);
      BOOST_TEST(alone[0].at(name).values[i] != alone[1].at(name).values[i]);
    }
  }
}

BOOST_AUTO_TEST_CASE(one_rank_that_stops_or_diverges_ends_all_after_the_same_step) {
  const SearchData data = toy_data();
  const Graph graph = small_network(data.images.shape(), false);
  const auto backend = make_backend({"reference"});
  for (const bool diverges : {false, true}) {
    std::vector<TrainingEnd> ends(2);
    std::vector<int> steps(2);
    on_ranks(2, [&](Communicator& communicator) {
      const auto r = static_cast<std::size_t>(communicator.rank());
      Random random(3);
      const auto program = backend->compile(graph, {.batch = 12});
      program->load(initialize(graph, random));
      Loader loader(data.images, data.train,
                    {.batch = 12, .drop_last = true, .rank = communicator.rank(), .ranks = 2});
      TrainingState state;
      TrainingHooks hooks;
      hooks.on_step = [&](int) { ++steps[r]; };
      hooks.stop = [&] { return r == 1 && steps[r] == 2 && !diverges; };
      const Recipe recipe{.epochs = 9, .learning_rates = {diverges ? 1e30 : 0.1}};
      ends[r] = train(*program, loader, recipe, state, hooks, &communicator);
    });
    const TrainingEnd expected = diverges ? TrainingEnd::kDiverged : TrainingEnd::kStopped;
    BOOST_TEST((ends[0] == expected));
    BOOST_TEST((ends[1] == expected));
    BOOST_TEST(steps[0] == steps[1]);
    if (!diverges) BOOST_TEST(steps[0] == 2);
  }
}

BOOST_AUTO_TEST_CASE(what_ranks_do_not_have_in_common_is_said) {
  BOOST_CHECK_EXCEPTION(
      on_ranks(3, [](Communicator& c) { expect_same(&c, c.rank() == 1 ? "b" : "a", "have it"); }),
      InvalidInput, [](const InvalidInput& e) {
        return std::string(e.what()).find("ranks 1 do not have it as rank 0: expected a") !=
               std::string::npos;
      });
  const SearchData data = toy_data();
  BOOST_CHECK_NO_THROW(check_step(data, 36, 2));
  BOOST_CHECK_THROW(check_step(data, 37, 2), InvalidInput);
  BOOST_CHECK_NO_THROW(check_step(data, 1000, 1));
}

BOOST_AUTO_TEST_SUITE_END()
