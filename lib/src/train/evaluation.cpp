#include "renas/evaluation.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <span>
#include <tuple>
#include <utility>

#include "renas/error.h"
#include "train/linked_ranks.h"

namespace renas {

namespace {

/// Indices into Recipe::learning_rates: inherited and new parameters have rates of their own.
constexpr int kInherited = 0;
constexpr int kNew = 1;

/// Over several ranks a last batch that would not be full on each of them is left out.
Loader training_loader(const SearchData& data, int batch, uint64_t seed,
                       const Augmentation& augmentation, int plain_from,
                       const Communicator* communicator) {
  LoaderOptions options{.batch = batch, .seed = seed, .augmentation = augmentation};
  options.plain_from = static_cast<uint64_t>(std::max(0, plain_from));
  if (communicator != nullptr && communicator->ranks() > 1) {
    options.drop_last = true;
    options.rank = communicator->rank();
    options.ranks = communicator->ranks();
    check_step(data, batch, options.ranks);
  }
  return Loader(data.images, data.train, options);
}

Loader scoring_loader(const DataSet& images, const std::vector<int64_t>& indices, int batch,
                      const Augmentation& training, const Communicator* communicator) {
  LoaderOptions options{.batch = batch, .shuffle = false, .augmentation = training.evaluation()};
  if (communicator != nullptr) {
    options.rank = communicator->rank();
    options.ranks = communicator->ranks();
  }
  return Loader(images, indices, options);
}

/// Throws InvalidShape unless the loader's images are what the network takes.
void check_images(const Graph& graph, const Loader& loader) {
  const auto input = std::find_if(graph.nodes().begin(), graph.nodes().end(),
                                  [](const Node& node) { return node.kind == NodeKind::kInput; });
  if (input == graph.nodes().end() || loader.shape() == input->shape) return;
  throw InvalidShape(
      fmt::format("expected images of {}, which the network takes, found images of {}; "
                  "NetworkOptions::image says what it is built for",
                  to_string(input->shape), to_string(loader.shape())));
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

/// What follows every training with `options`, a child's or another: a verdict, and on success the
/// fitness and the weights.
template <class Options>
void judge(Program& program, TrainingEnd end, const SearchData& data, const Options& options,
           const TrainingHooks& hooks, Communicator* communicator, Evaluation& evaluation) {
  if (end == TrainingEnd::kDiverged) {
    evaluation.status = Status::kDiverged;
    evaluation.message =
        fmt::format("the loss is not a finite number after {} images", evaluation.images);
    const Shape& image = options.network.image;
    if (options.augmentation.pad >= std::min(image.height, image.width)) {
      evaluation.message += fmt::format(
          "; with a pad of {} many crops of images of {} show nothing of them, so pad less",
          options.augmentation.pad, to_string(image));
    }
    return;
  }
  bool answers = true;
  if (end == TrainingEnd::kDone) {
    // Without D_val a step's images tell whether the network answers at all.
    const bool held_out = !data.validation.empty();
    const int64_t step =
        int64_t{options.batch} * (communicator == nullptr ? 1 : communicator->ranks());
    const std::vector<int64_t> first(data.train.begin(),
                                     data.train.begin() + std::min(step, std::ssize(data.train)));
    Loader loader = scoring_loader(data.images, held_out ? data.validation : first, options.batch,
                                   options.augmentation, communicator);
    const Score found = score(program, loader, options.network.classes, hooks.stop, communicator);
    answers = std::isfinite(found.loss);
    if (held_out) {
      evaluation.score = found;
      evaluation.fitness = found.judged_by(options.fitness);
    }
  }
  evaluation.stopped =
      end == TrainingEnd::kStopped || any(communicator, hooks.stop && hooks.stop());
  if (evaluation.stopped) return;
  if (!answers) {
    evaluation.status = Status::kDiverged;
    evaluation.message = "the scores of the trained network are not finite numbers";
    evaluation.fitness = 0;
    return;
  }
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

namespace {

/// The training images and D_val, of one split and of another.
std::pair<DataSet, Split> join_group(const std::string& path, const DataSet& images,
                                     int64_t validation, uint64_t seed, const std::string& group) {
  if (group == "train" || group == "test") {
    throw InvalidInput(fmt::format(
        "validation_group {}: D_val must be neither what is trained on nor the test set", group));
  }
  const DataSet held = DataSet::open(path, group);
  if (validation < -1 || validation > held.size()) {
    throw InvalidInput(fmt::format("validation {}: expected 1 to {}, the images of {}, or -1",
                                   validation, held.size(), group));
  }
  const DataSet joined = DataSet::joined(images, held);
  Split split{all_indices(images.size()), {}};
  for (int64_t i = images.size(); i < joined.size(); ++i) split.validation.push_back(i);
  if (validation > 0) {
    split.validation = take_stratified(joined.labels(), split.validation, validation, seed);
  }
  return {joined, std::move(split)};
}

std::vector<std::string> warnings_about(const std::string& path, const SearchData& data,
                                        int64_t training_images, const std::string& group) {
  std::vector<std::string> warnings;
  const std::span<const int32_t> labels = data.images.labels();
  const std::vector<int32_t> missing =
      classes_left_out(labels.first(static_cast<std::size_t>(training_images)), data.train);
  if (!missing.empty()) {
    constexpr std::size_t kShown = 10;
    const std::vector<std::string>& names = data.images.info().class_names;
    std::string text;
    for (std::size_t i = 0; i < std::min(kShown, missing.size()); ++i) {
      const auto label = static_cast<std::size_t>(missing[i]);
      text += fmt::format("{}{}", i == 0 ? "" : ", ",
                          names.empty() ? std::to_string(label) : names[label]);
    }
    warnings.push_back(fmt::format(
        "{}: {} of its classes have no image in D_train: {}{}", path, missing.size(), text,
        missing.size() > kShown ? fmt::format(" and {} more", missing.size() - kShown) : ""));
  }
  if (group.empty() && !data.validation.empty() && DataSet::has_split(path, "val")) {
    warnings.push_back(fmt::format(
        "{}: its split val is not used, D_val is held out of train (validation_group)", path));
  }
  return warnings;
}

}  // namespace

SearchData open_search_data(const std::string& path, int64_t validation, int64_t subset,
                            uint64_t seed, const std::string& validation_group) {
  DataSet images = DataSet::open(path, "train");
  const int64_t size = images.size();
  Split split;
  if (!validation_group.empty()) {
    std::tie(images, split) = join_group(path, images, validation, seed, validation_group);
    validation = 0;  // of the training images
  } else {
    if (validation == -1) validation = default_validation_count(size);
    if (validation < 0 || validation >= size) {
      throw InvalidInput(
          fmt::format("validation {}: expected 0 to {}, since {} has {} training images and "
                      "D_train needs some",
                      validation, size - 1, path, size));
    }
    split = split_validation(images.labels(), validation, seed);
  }
  const auto available = static_cast<int64_t>(split.train.size());
  if (subset < 0 || subset > available) {
    throw InvalidInput(fmt::format(
        "subset {}: expected 0 (all) to {}, the images that {} of validation leave of {}", subset,
        available, validation, size));
  }
  if (subset > 0) split.train = take_stratified(images.labels(), split.train, subset, seed);
  SearchData data{std::move(images), std::move(split.train), std::move(split.validation), {}};
  data.warnings = warnings_about(path, data, size, validation_group);
  return data;
}

void check_step(const SearchData& data, int batch, int ranks) {
  const int64_t step = int64_t{batch} * ranks;
  const auto available = static_cast<int64_t>(data.train.size());
  if (ranks == 1 || step <= available) return;
  throw InvalidInput(fmt::format(
      "batch {} on each of {} ranks: a step takes {} images, but there are {} to train on; take a "
      "smaller batch or fewer ranks",
      batch, ranks, step, available));
}

std::vector<float> balanced_class_weights(const SearchData& data) {
  std::vector<int64_t> counts(static_cast<std::size_t>(data.images.classes()));
  for (const int64_t i : data.train) {
    ++counts[static_cast<std::size_t>(data.images.labels()[static_cast<std::size_t>(i)])];
  }
  const auto present = static_cast<double>(counts.size()) -
                       static_cast<double>(std::count(counts.begin(), counts.end(), int64_t{0}));
  std::vector<float> weights;
  for (const int64_t count : counts) {
    weights.push_back(count == 0 ? 1.0F
                                 : static_cast<float>(static_cast<double>(data.train.size()) /
                                                      (present * static_cast<double>(count))));
  }
  return weights;
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
    if (parent == nullptr || !options.inherit) {
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
      if (options.anneal_children) recipe.cosine_cycles = {options.child_epochs};
    }

    const auto program = backend.compile(graph, program_options);
    program->load(weights);
    weights.clear();
    Loader loader = training_loader(data, options.batch, state.seed, options.augmentation,
                                    options.child_epochs + options.initial_epochs, nullptr);
    check_images(graph, loader);
    const TrainingEnd end =
        train(*program, loader, recipe, state, counting(hooks, evaluation.images));
    judge(*program, end, data, options, hooks, nullptr, evaluation);
  });
}

Evaluation train_from_scratch(Backend& backend, const SearchSpace& space, const Genome& genome,
                              FinalState state, const SearchData& data, const FinalOptions& options,
                              const TrainingHooks& hooks,
                              const std::function<void(const FinalState&)>& on_epoch) {
  return train_from_scratch(backend, build_network(space, genome, options.network),
                            std::move(state), data, options, hooks, on_epoch);
}

Evaluation train_from_scratch(Backend& backend, const Graph& graph, FinalState state,
                              const SearchData& data, const FinalOptions& options,
                              const TrainingHooks& hooks,
                              const std::function<void(const FinalState&)>& on_epoch) {
  Communicator* const communicator = options.communicator;
  const auto body = [&](Evaluation& evaluation) {
    if (state.weights.empty()) {
      Random random(state.training.seed, Purpose::kInitialize);
      state.weights = initialize(graph, random);
    }
    ProgramOptions program_options = training_program(options.batch, options.device);
    program_options.frozen_statistics = options.frozen_statistics;
    const auto program = backend.compile(graph, program_options);
    program->load(state.weights);
    Loader loader = training_loader(data, options.batch, state.training.seed, options.augmentation,
                                    options.recipe.epochs - options.plain_epochs, communicator);
    check_images(graph, loader);
    TrainingHooks inner = counting(hooks, evaluation.images);
    inner.on_epoch = [&](const TrainingState& training) {
      if (hooks.on_epoch) hooks.on_epoch(training);
      if (on_epoch) on_epoch({training, program->save(true)});
    };
    // Ends before the program, which waits for its device.
    LinkedRanks linked(communicator, backend);
    evaluation.sums = linked.how();
    if (hooks.on_sums && !linked.how().empty()) hooks.on_sums(linked.how());
    const TrainingEnd end =
        train(*program, loader, options.recipe, state.training, inner, linked.communicator());
    linked.close();
    if (!state.training.average.empty()) program->load(state.training.average);
    judge(*program, end, data, options, hooks, communicator, evaluation);
  };
  if (communicator == nullptr) return catching_out_of_memory(graph, body);
  Evaluation evaluation;
  evaluation.counts = count(graph);
  body(evaluation);
  return evaluation;
}

Score score_network(Backend& backend, const Graph& graph, const Weights& weights,
                    const DataSet& images, const std::vector<int64_t>& indices,
                    const ScoreOptions& options) {
  const Graph inference = graph.pruned(false);
  ProgramOptions program_options = training_program(options.batch, options.device);
  program_options.training = false;
  const auto program = backend.compile(inference, program_options);
  program->load(weights);
  Loader loader =
      scoring_loader(images, indices, options.batch, options.training, options.communicator);
  check_images(inference, loader);
  return score(*program, loader, graph.node(graph.scores()).shape.channels, options.stop,
               options.communicator);
}

}  // namespace renas
