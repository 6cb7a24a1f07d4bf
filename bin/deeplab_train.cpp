#include <fmt/format.h>

#include <algorithm>
#include <memory>

#include "cli/console.h"
#include "cli/frame.h"
#include "deeplab.h"
#include "renas/error.h"
#include "renas/model.h"
#include "renas/search_run.h"
#include "renas/segmentation.h"

namespace renas::cli {

namespace {

/// Prints a score and a table of the classes.
void print_matrix(const char* images, const ConfusionMatrix& matrix,
                  const std::vector<std::string>& names) {
  fmt::print("{0} mean IOU {1:.2f} %\n{0} pixel accuracy {2:.2f} %\n", images,
             100 * matrix.mean_iou(), 100 * matrix.accuracy());
  for (int k = 0; k < matrix.classes(); ++k) {
    const std::optional<double> iou = matrix.iou(k);
    fmt::print("  {:>6}  {:>12} pixels  {}\n", iou ? fmt::format("{:.2f}", 100 * *iou) : "-",
               matrix.pixels(k),
               names.empty() ? std::to_string(k) : names[static_cast<std::size_t>(k)]);
  }
}

/// Takes from a model what fits `graph` by name and shape, and sets `said` to what that was.
Weights with_body(const std::string& path, const Graph& graph, uint64_t seed, std::string& said) {
  const Model body = load_model(path);
  Random random(seed, Purpose::kInitialize);
  Inheritance taken = inherit(graph, graph_of(body), body.weights, random);
  if (taken.share == 0) {
    throw InvalidInput(fmt::format(
        "--body {}: nothing of it fits. Its network is {} of {}, N = {}, F = {}; "
        "expected the same cell, N and F, made with --network imagenet",
        path, to_string(body.network.kind), body.genome, body.network.cells, body.network.filters));
  }
  said = fmt::format("body: {} of {} tensors, {:.1f} % of the trainable numbers, from {}",
                     std::count(taken.inherited.begin(), taken.inherited.end(), true),
                     taken.inherited.size(), 100 * taken.share, path);
  return std::move(taken.weights);
}

SegmentationOptions options_of(const TrainSettings& s, const SearchData& data) {
  if (!data.images.has_masks()) {
    throw InvalidInput(fmt::format(
        "{}: has no masks, which --network deeplab learns from; renas-prep-voc writes them",
        s.data));
  }
  if (s.class_weights == "auto") {
    throw InvalidInput(
        "--class-weights auto: counts images; give numbers, one a class, for --network deeplab");
  }
  SegmentationOptions o;
  o.final = final_options(s);
  NetworkOptions& network = o.final.network;
  const int side = s.crop > 0 ? s.crop : 513;
  network.image = {data.images.shape().channels, side, side};
  network.classes = data.images.classes();
  o.least_scale = s.scales.front();
  o.most_scale = s.scales.back();
  o.flip = !s.no_flip;
  if (o.least_scale > o.most_scale) {
    throw InvalidInput(
        fmt::format("--scales {},{}: expected the smaller first", o.least_scale, o.most_scale));
  }
  return o;
}

}  // namespace

DeepLabTraining prepare_deeplab(const CLI::App& app, const TrainSettings& s,
                                const std::string& genome, const Ranks& ranks) {
  DeepLabTraining t;
  open_data(t, s, genome);
  t.options = options_of(s, *t.data);
  FinalOptions& f = t.options.final;
  if (f.device.threads == 0) f.device.threads = ranks.threads().count;
  check_step(*t.data, f.batch, ranks.ranks());
  find_state(t, app, s, f.network, ranks);
  if (f.frozen_statistics && s.body.empty() && !s.resume) {
    throw InvalidInput(
        "--frozen-norms: expected --body, the trained network whose statistics are kept");
  }
  if (!t.finished && !s.resume && !s.body.empty()) {
    t.state.weights = with_body(s.body, build_network(genome, f.network), s.seed, t.taken);
  }
  return t;
}

namespace {

/// Prints what became of the pixels of the test set, where there is one.
void score_on_test(const DeepLabTraining& t, Backend& backend, const Weights& weights, bool first) {
  if (!t.test) return;
  const FinalOptions& f = t.options.final;
  const std::vector<int64_t> all = all_indices(t.test->size());
  const Shape largest = largest_image(*t.test, all);
  NetworkOptions whole = f.network;
  whole.image = padded_for_segmentation(whole, largest.height, largest.width);
  const ConfusionMatrix matrix =
      score_segmentation(backend, build_network(t.genome, whole), weights, *t.test, all, f.device,
                         nullptr, f.communicator);
  if (first) print_matrix("test", matrix, t.data->images.info().class_names);
}

}  // namespace

int train_deeplab(DeepLabTraining t, const TrainSettings& s, const Ranks& ranks) {
  const std::atomic<bool>& stop = stop_on_signals();
  const bool first = ranks.rank() == 0;
  const std::unique_ptr<Communicator> communicator = ranks.make_communicator();
  FinalOptions& f = t.options.final;
  f.communicator = communicator.get();
  // A finished model without test images needs no device any more.
  if (!t.finished || t.test) {
    f.device.index = ranks.choose_device(f.device.backend, s.ranks_per_gpu);
  }
  const auto fail = [&](const std::string& message, int code) {
    if (first) say("renas-train: " + message + "\n");
    return code;
  };
  try {
    expect_same_training(f.communicator, t);
  } catch (const InvalidInput& e) {
    return fail(e.what(), kMistake);
  }

  Console console("", s.quiet);
  const Log log = [&, print = console.log()](LogLevel level, std::string_view text) {
    if (first || level == LogLevel::kError) print(level, text);
  };
  if (t.finished) {
    if (first) fmt::print("model: {}\nfinished before\n", s.out);
    if (t.test) score_on_test(t, *make_backend(f.device), t.finished->weights, first);
    return kDone;
  }
  const auto backend = make_backend(f.device);
  const Graph graph = build_network(t.genome, f.network);
  const MemoryEstimate memory = backend->estimate(
      graph, {.batch = f.batch, .threads = f.device.threads, .precision = f.device.precision});
  say_how_ranks_train(t, s, f, *backend, ranks, log);
  if (!t.taken.empty()) log(LogLevel::kInfo, t.taken);
  const Counts counts = count(graph);
  log(LogLevel::kInfo,
      fmt::format("{}\n{} parameters, {} mult-adds, {} training images, {} on {} rank{}; a step of "
                  "{} crops of {} takes {:.2f} GiB on each",
                  t.genome, counts.parameters, counts.mult_adds, t.data->train.size(),
                  backend->description(), ranks.ranks(), ranks.ranks() == 1 ? "" : "s", f.batch,
                  to_string(f.network.image), static_cast<double>(memory.bytes) / (1 << 30)));

  TrainingHooks hooks;
  hooks.stop = [&] { return stop.load(); };
  hooks.on_sums = [&](const std::string& how) { log(LogLevel::kInfo, how); };
  if (first) hooks.on_step = show_progress(console, t, s);
  const SegmentationResult result = train_segmentation(
      *backend, t.genome, std::move(t.state), *t.data, t.options, hooks,
      [&](const FinalState& reached) {
        const EpochMetrics& e = reached.training.history.back();
        log(LogLevel::kInfo,
            fmt::format("epoch {}/{}: loss {:.4f}, pixels right {:.2f} %", reached.training.epoch,
                        s.epochs, e.loss, 100 * e.accuracy));
        if (first) save_checkpoint(t.checkpoint, t.purpose, reached);
      });
  console.finish();
  const Evaluation& evaluation = result.evaluation;
  if (evaluation.stopped) {
    if (first) say("stopped; the same command with --resume goes on\n");
    return kStopped;
  }
  if (evaluation.status != Status::kOk) {
    return fail(
        fmt::format("training ended: {} ({})", to_string(evaluation.status), evaluation.message),
        kFailed);
  }

  if (first) {
    Model model = make_model(t.genome, f.network, t.data->images.info(), Augmentation::none());
    model.validation_accuracy = evaluation.score.accuracy;
    model.weights = evaluation.weights;
    finish_model(t, s, std::move(model), log);
    if (result.validation) {
      print_matrix("validation", *result.validation, t.data->images.info().class_names);
    }
  }
  score_on_test(t, *backend, evaluation.weights, first);
  return kDone;
}

}  // namespace renas::cli
