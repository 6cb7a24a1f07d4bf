#include <fmt/format.h>
#include <unistd.h>

#include <chrono>
#include <filesystem>
#include <memory>

#include "cli/console.h"
#include "cli/environment.h"
#include "cli/frame.h"
#include "deeplab.h"
#include "renas/error.h"
#include "renas/model.h"
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

/// Takes from a model what fits `graph` by name and shape, and says what that was.
Weights with_body(const std::string& path, const Graph& graph, uint64_t seed, Console& console) {
  const Model body = load_model(path);
  Random random(seed, Purpose::kInitialize);
  Inheritance taken = inherit(graph, graph_of(body), body.weights, random);
  int count = 0;
  for (const bool one : taken.inherited) count += one ? 1 : 0;
  if (taken.share == 0) {
    throw InvalidInput(fmt::format(
        "--body {}: nothing of it fits. Its network is {} of {}, N = {}, F = {}; "
        "expected the same cell, N and F, made with --network imagenet",
        path, to_string(body.network.kind), body.genome, body.network.cells, body.network.filters));
  }
  console.log()(LogLevel::kInfo,
                fmt::format("body: {} of {} tensors, {:.1f} % of the trainable numbers, from {}",
                            count, taken.inherited.size(), 100 * taken.share, path));
  return std::move(taken.weights);
}

/// Checks the files that a training writes. Throws InvalidInput where they are in the way.
void check_files(const TrainSettings& s, const std::string& checkpoint) {
  const std::filesystem::path folder = std::filesystem::absolute(s.out).parent_path();
  if (!std::filesystem::is_directory(folder) || ::access(folder.c_str(), W_OK) != 0) {
    throw InvalidInput(fmt::format("--out {}: the folder {} does not exist or cannot be written",
                                   s.out, folder.string()));
  }
  if (s.resume || s.force) return;
  for (const std::string& file : {s.out, checkpoint}) {
    if (std::filesystem::exists(file)) {
      throw InvalidInput(fmt::format("{}: exists; --force replaces it{}", file,
                                     file == checkpoint ? ", --resume goes on from it" : ""));
    }
  }
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

int train_deeplab(const CLI::App& app, TrainSettings& s) {
  const std::atomic<bool>& stop = stop_on_signals();
  const std::string checkpoint = s.out + ".checkpoint";
  const SearchData data =
      open_search_data(s.data, s.validation, s.subset, s.seed, s.validation_group);
  const SearchSpace space = space_of(s.genome);
  const Genome genome = parse_genome(space, s.genome);
  const std::string text = to_string(space, genome);
  SegmentationOptions o = options_of(s, data);
  if (o.final.device.threads == 0) o.final.device.threads = default_threads().count;
  check_files(s, checkpoint);

  const std::string purpose = purpose_of(app, text);
  const Graph graph = build_network(space, genome, o.final.network);
  const auto backend = make_backend(o.final.device);
  Console console("", s.quiet);
  FinalState state;
  state.training.seed = s.seed;
  if (s.resume && !std::filesystem::exists(checkpoint) && std::filesystem::exists(s.out) &&
      load_model(s.out).genome == text) {
    fmt::print("model: {}\nfinished before\n", s.out);
    return kDone;
  }
  if (s.resume) {
    state = load_checkpoint(checkpoint, purpose);
  } else if (!s.body.empty()) {
    state.weights = with_body(s.body, graph, s.seed, console);
  }

  for (const std::string& warning : data.warnings) console.log()(LogLevel::kWarning, warning);
  const Counts counts = count(graph);
  const MemoryEstimate memory = backend->estimate(graph, {.batch = o.final.batch,
                                                          .threads = o.final.device.threads,
                                                          .precision = o.final.device.precision});
  console.log()(LogLevel::kInfo,
                fmt::format("{}\n{} parameters, {} mult-adds, {} training images, {}; a step of {} "
                            "crops of {} takes {:.2f} GiB",
                            text, counts.parameters, counts.mult_adds, data.train.size(),
                            backend->description(), o.final.batch, to_string(o.final.network.image),
                            static_cast<double>(memory.bytes) / (1 << 30)));

  using Clock = std::chrono::steady_clock;
  const auto start = Clock::now();
  int64_t images = 0;
  const int64_t total = static_cast<int64_t>(data.train.size()) * (s.epochs - state.training.epoch);
  TrainingHooks hooks;
  hooks.stop = [&] { return stop.load(); };
  hooks.on_step = [&](int count) {
    images += count;
    const double seconds = std::chrono::duration<double>(Clock::now() - start).count();
    const double rate = static_cast<double>(images) / seconds;
    console.progress(fmt::format("{:.1f} % of {} epochs  {:.1f} images/s  {} left",
                                 100.0 * static_cast<double>(images) / static_cast<double>(total),
                                 s.epochs, rate,
                                 duration_text(static_cast<double>(total - images) / rate)));
  };
  const SegmentationResult result = train_segmentation(
      *backend, space, genome, std::move(state), data, o, hooks, [&](const FinalState& reached) {
        const EpochMetrics& e = reached.training.history.back();
        console.log()(LogLevel::kInfo,
                      fmt::format("epoch {}/{}: loss {:.4f}, pixels right {:.2f} %",
                                  reached.training.epoch, s.epochs, e.loss, 100 * e.accuracy));
        save_checkpoint(checkpoint, purpose, reached);
      });
  console.finish();
  const Evaluation& evaluation = result.evaluation;
  if (evaluation.stopped) {
    say("stopped; the same command with --resume goes on\n");
    return kStopped;
  }
  if (evaluation.status != Status::kOk) {
    throw Error(
        fmt::format("training ended: {} ({})", to_string(evaluation.status), evaluation.message));
  }

  Model model = make_model(text, o.final.network, data.images.info(), Augmentation::none());
  model.validation_accuracy = evaluation.score.accuracy;
  model.weights = evaluation.weights;
  save_model(s.out, model);
  std::error_code failure;
  std::filesystem::remove(checkpoint, failure);
  fmt::print("model: {}\n", s.out);
  const std::vector<std::string>& names = data.images.info().class_names;
  if (result.validation) print_matrix("validation", *result.validation, names);
  if (DataSet::has_split(s.data, "test")) {
    const DataSet test = DataSet::open(s.data, "test");
    const std::vector<int64_t> all = all_indices(test.size());
    const Shape largest = largest_image(test, all);
    NetworkOptions whole = o.final.network;
    whole.image = padded_for_segmentation(whole, largest.height, largest.width);
    print_matrix("test",
                 score_segmentation(*backend, build_network(space, genome, whole), model.weights,
                                    test, all, o.final.device),
                 names);
  }
  return kDone;
}

}  // namespace renas::cli
