#include "renas/evaluation.h"

#include <fmt/format.h>

#include <cmath>

#include "renas/error.h"

namespace renas {

namespace {

/// Indices into Recipe::learning_rates: inherited and new parameters have rates of their own.
constexpr int kInherited = 0;
constexpr int kNew = 1;

Loader training_loader(const SearchData& data, int batch, uint64_t seed,
                       const Augmentation& augmentation) {
  return Loader(data.images, data.train,
                {.batch = batch, .seed = seed, .shuffle = true, .augmentation = augmentation});
}

Loader scoring_loader(const DataSet& images, const std::vector<int64_t>& indices, int batch,
                      const Augmentation& training) {
  return Loader(images, indices,
                {.batch = batch, .shuffle = false, .augmentation = training.evaluation()});
}

ProgramOptions training_program(int batch, const Device& device) {
  return {.batch = batch, .threads = device.threads, .precision = device.precision};
}

TrainingHooks counting(const TrainingHooks& hooks, int64_t& images) {
  TrainingHooks result = hooks;
  result.on_step = [&hooks, &images](int count) {
    images += count;
    if (hooks.on_step) hooks.on_step(count);
  };
  return result;
}

/// What follows every training: a verdict, and on success the fitness and the weights.
void judge(Program& program, TrainingEnd end, const SearchData& data, int batch, int classes,
           const Augmentation& training, const TrainingHooks& hooks, Evaluation& evaluation) {
  if (end == TrainingEnd::kDiverged) {
    evaluation.status = Status::kDiverged;
    evaluation.message =
        fmt::format("the loss is not a finite number after {} images", evaluation.images);
    return;
  }
  if (end == TrainingEnd::kDone && !data.validation.empty()) {
    Loader loader = scoring_loader(data.images, data.validation, batch, training);
    evaluation.fitness = score(program, loader, classes, hooks.stop).accuracy;
  }
  evaluation.stopped = end == TrainingEnd::kStopped || (hooks.stop && hooks.stop());
  if (evaluation.stopped) return;
  evaluation.weights = program.save();
  // A network that diverged in its last step shows it only in its weights and statistics, because
  // no loss was computed after that step.
  for (const auto& [name, tensor] : evaluation.weights) {
    for (const float value : tensor.values) {
      if (std::isfinite(value)) continue;
      evaluation.status = Status::kDiverged;
      evaluation.message = fmt::format("{} is not finite after training", name);
      evaluation.weights.clear();
      return;
    }
  }
}

/// Runs `body` and turns an exception for want of memory into an evaluation with that status.
template <class Body>
Evaluation catching_out_of_memory(const Graph& graph, const Body& body) {
  Evaluation evaluation;
  evaluation.counts = count(graph);
  try {
    body(evaluation);
  } catch (const OutOfMemory& e) {
    evaluation.status = Status::kOutOfMemory;
    evaluation.message = e.what();
  } catch (const std::bad_alloc&) {
    evaluation.status = Status::kOutOfMemory;
    evaluation.message = "the host has no memory left";
  }
  return evaluation;
}

}  // namespace

SearchData open_search_data(const std::string& path, int64_t validation, int64_t subset,
                            uint64_t seed) {
  const DataSet images = DataSet::open(path, "train");
  const int64_t size = images.size();
  if (validation == -1) validation = default_validation_count(size);
  if (validation < 0 || validation >= size) {
    throw InvalidInput(fmt::format(
        "validation {}: expected 0 to {}, since {} has {} training images and D_train needs some",
        validation, size - 1, path, size));
  }
  Split split = split_validation(images.labels(), validation, seed);
  const auto available = static_cast<int64_t>(split.train.size());
  if (subset < 0 || subset > available) {
    throw InvalidInput(fmt::format(
        "subset {}: expected 0 (all) to {}, the images that {} of validation leave of {}", subset,
        available, validation, size));
  }
  if (subset > 0) split.train = take_stratified(images.labels(), split.train, subset, seed);
  return {images, std::move(split.train), std::move(split.validation)};
}

Evaluation evaluate_candidate(Backend& backend, const SearchSpace& space, const Genome& genome,
                              Random random, const Parent* parent, const SearchData& data,
                              const ChildOptions& options, const TrainingHooks& hooks) {
  const Graph graph = build_network(space, genome, options.network);
  return catching_out_of_memory(graph, [&](Evaluation& evaluation) {
    TrainingState state;
    state.seed = random.bits64();

    Recipe recipe;
    recipe.momentum = options.momentum;
    recipe.weight_decay = options.weight_decay;
    ProgramOptions program_options = training_program(options.batch, options.device);
    Weights weights;
    if (parent == nullptr) {
      weights = initialize(graph, random);
      recipe.epochs = options.initial_epochs;
      recipe.learning_rates = {options.initial_rate};
      recipe.cosine_cycles = {options.initial_epochs};
    } else {
      const Graph parent_graph = build_network(space, parent->genome, options.network);
      Inheritance inheritance = inherit(graph, parent_graph, parent->weights, random);
      weights = std::move(inheritance.weights);
      evaluation.inherited_share = inheritance.share;
      for (const bool taken : inheritance.inherited) {
        program_options.parameter_groups.push_back(taken ? kInherited : kNew);
      }
      recipe.epochs = options.child_epochs;
      recipe.learning_rates = {options.inherited_rate, options.new_rate};
    }

    const auto program = backend.compile(graph, program_options);
    program->load(weights);
    weights.clear();
    Loader loader = training_loader(data, options.batch, state.seed, options.augmentation);
    const TrainingEnd end =
        train(*program, loader, recipe, state, counting(hooks, evaluation.images));
    judge(*program, end, data, options.batch, options.network.classes, options.augmentation, hooks,
          evaluation);
  });
}

Evaluation train_from_scratch(Backend& backend, const SearchSpace& space, const Genome& genome,
                              FinalState state, const SearchData& data, const FinalOptions& options,
                              const TrainingHooks& hooks,
                              const std::function<void(const FinalState&)>& on_epoch) {
  const Graph graph = build_network(space, genome, options.network);
  return catching_out_of_memory(graph, [&](Evaluation& evaluation) {
    if (state.weights.empty()) {
      Random random(state.training.seed, Purpose::kInitialize);
      state.weights = initialize(graph, random);
    }
    const auto program = backend.compile(graph, training_program(options.batch, options.device));
    program->load(state.weights);
    Loader loader = training_loader(data, options.batch, state.training.seed, options.augmentation);
    TrainingHooks inner = counting(hooks, evaluation.images);
    inner.on_epoch = [&](const TrainingState& training) {
      if (hooks.on_epoch) hooks.on_epoch(training);
      if (on_epoch) on_epoch({training, program->save(true)});
    };
    const TrainingEnd end = train(*program, loader, options.recipe, state.training, inner);
    judge(*program, end, data, options.batch, options.network.classes, options.augmentation, hooks,
          evaluation);
  });
}

Score score_network(Backend& backend, const Graph& graph, const Weights& weights,
                    const DataSet& images, const std::vector<int64_t>& indices,
                    const ScoreOptions& options) {
  const Graph inference = graph.pruned(false);
  ProgramOptions program_options = training_program(options.batch, options.device);
  program_options.training = false;
  const auto program = backend.compile(inference, program_options);
  program->load(weights);
  Loader loader = scoring_loader(images, indices, options.batch, options.training);
  return score(*program, loader, graph.node(graph.scores()).shape.channels, options.stop);
}

}  // namespace renas
