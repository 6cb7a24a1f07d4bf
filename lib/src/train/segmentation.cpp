#include "renas/segmentation.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <utility>

#include "renas/error.h"
#include "renas/image.h"
#include "train/linked_ranks.h"

namespace renas {

ConfusionMatrix::ConfusionMatrix(int classes)
    : classes_(classes),
      counts_(static_cast<std::size_t>(classes) * static_cast<std::size_t>(classes)) {}

int64_t ConfusionMatrix::pixels(int k) const {
  int64_t sum = 0;
  for (int found = 0; found < classes_; ++found) sum += count(k, found);
  return sum;
}

std::optional<double> ConfusionMatrix::iou(int k) const {
  const int64_t truth = pixels(k);
  if (truth == 0) return std::nullopt;
  int64_t found = 0;
  for (int other = 0; other < classes_; ++other) found += count(other, k);
  const int64_t both = count(k, k);
  return static_cast<double>(both) / static_cast<double>(truth + found - both);
}

void ConfusionMatrix::sum(Communicator& communicator) {
  std::vector<double> counts(counts_.begin(), counts_.end());  // exact up to 2^53
  communicator.sum(std::span<double>(counts));
  std::transform(counts.begin(), counts.end(), counts_.begin(),
                 [](double count) { return static_cast<int64_t>(count); });
}

double ConfusionMatrix::mean_iou() const {
  double sum = 0;
  int present = 0;
  for (int k = 0; k < classes_; ++k) {
    const std::optional<double> one = iou(k);
    if (!one) continue;
    sum += *one;
    ++present;
  }
  return present == 0 ? 0 : sum / present;
}

double ConfusionMatrix::accuracy() const {
  int64_t all = 0;
  int64_t right = 0;
  for (int k = 0; k < classes_; ++k) {
    all += pixels(k);
    right += count(k, k);
  }
  return all == 0 ? 0 : static_cast<double>(right) / static_cast<double>(all);
}

Shape padded_for_segmentation(const NetworkOptions& options, int height, int width) {
  const auto padded = [&](int length) {
    const int stride = options.output_stride;
    return (std::max(length, 2) - 2) / stride * stride + stride + 1;
  };
  return {options.image.channels, padded(height), padded(width)};
}

#ifdef RENAS_WITH_IMAGES
Shape largest_image(const DataSet& images, const std::vector<int64_t>& indices) {
  Shape largest = images.shape();
  std::vector<uint8_t> buffer;
  for (const int64_t i : indices) {
    if (!images.encoded()) break;
    const Shape shape = inspect_image(images.image(i, buffer)).shape;
    largest.height = std::max(largest.height, shape.height);
    largest.width = std::max(largest.width, shape.width);
  }
  return largest;
}
#else
Shape largest_image(const DataSet&, const std::vector<int64_t>&) {
  throw Unsupported("this build cannot decode images (configure with -DRENAS_WITH_IMAGES=ON)");
}
#endif

bool classify_pixels(std::span<const float> scores, int classes, std::span<uint8_t> found) {
  bool finite = true;
  const float* row = scores.data();
  for (uint8_t& label : found) {
    finite = finite && std::all_of(row, row + classes, [](float s) { return std::isfinite(s); });
    label = static_cast<uint8_t>(std::max_element(row, row + classes) - row);
    row += classes;
  }
  return finite;
}

namespace {

/// As score_segmentation(); none: scores are not finite numbers, on one rank at least.
std::optional<ConfusionMatrix> matrix_of(Backend& backend, const Graph& graph,
                                         const Weights& weights, const DataSet& images,
                                         const std::vector<int64_t>& indices, const Device& device,
                                         const std::function<bool()>& stop,
                                         Communicator* communicator) {
  const Graph inference = graph.pruned(false);
  const Shape& shape = inference.node(inference.scores()).shape;
  const auto program = backend.compile(
      inference,
      {.batch = 1, .training = false, .threads = device.threads, .precision = device.precision});
  program->load(weights);
  Loader loader(images, indices,
                {.batch = 1,
                 .shuffle = false,
                 .pairs = PairAugmentation{.height = shape.height, .width = shape.width},
                 .rank = communicator == nullptr ? 0 : communicator->rank(),
                 .ranks = communicator == nullptr ? 1 : communicator->ranks()});
  ConfusionMatrix matrix(shape.channels);
  std::vector<float> scores(static_cast<std::size_t>(shape.size()));
  std::vector<uint8_t> found(static_cast<std::size_t>(shape.height) * shape.width);
  bool finite = true;
  loader.start(0);
  for (;;) {
    HostBatch& batch = program->staging();
    batch.count = loader.next(batch.images, batch.labels);
    if (batch.count == 0) break;
    program->infer(scores);
    finite = classify_pixels(scores, shape.channels, found) && finite;
    for (std::size_t p = 0; p < found.size(); ++p) {
      const int label = batch.labels[p];
      if (label == kIgnored) continue;
      if (label < 0 || label >= shape.channels) {
        throw InvalidInput(
            fmt::format("masks: expected labels of the network's {} classes, from 0, found {}",
                        shape.channels, label));
      }
      matrix.add(label, found[p]);
    }
    if (stop && stop()) break;
  }
  if (communicator != nullptr) matrix.sum(*communicator);
  if (any(communicator, !finite)) return std::nullopt;
  return matrix;
}

}  // namespace

ConfusionMatrix score_segmentation(Backend& backend, const Graph& graph, const Weights& weights,
                                   const DataSet& images, const std::vector<int64_t>& indices,
                                   const Device& device, const std::function<bool()>& stop,
                                   Communicator* communicator) {
  std::optional<ConfusionMatrix> matrix =
      matrix_of(backend, graph, weights, images, indices, device, stop, communicator);
  if (!matrix) {
    throw Error("the network's scores are not finite numbers: it diverged in its training");
  }
  return *std::move(matrix);
}

SegmentationResult train_segmentation(Backend& backend, const std::string& genome, FinalState state,
                                      const SearchData& data, const SegmentationOptions& options,
                                      const TrainingHooks& hooks,
                                      const std::function<void(const FinalState&)>& on_epoch) {
  const FinalOptions& final = options.final;
  const Graph graph = build_network(genome, final.network);
  Communicator* const communicator = final.communicator;
  const int ranks = communicator == nullptr ? 1 : communicator->ranks();
  check_step(data, final.batch, ranks);
  SegmentationResult result;
  Evaluation& evaluation = result.evaluation;
  evaluation.counts = count(graph);
  if (state.weights.empty()) {
    Random random(state.training.seed, Purpose::kInitialize);
    state.weights = initialize(graph, random);
  }
  Weights trained;
  {
    const auto program = backend.compile(graph, {.batch = final.batch,
                                                 .threads = final.device.threads,
                                                 .precision = final.device.precision,
                                                 .frozen_statistics = final.frozen_statistics});
    program->load(state.weights);
    state.weights.clear();
    Loader loader(data.images, data.train,
                  {.batch = final.batch,
                   .seed = state.training.seed,
                   // Batch norms of a last batch of few images would spoil the statistics.
                   .drop_last = ranks > 1 || std::ssize(data.train) > final.batch,
                   .pairs = PairAugmentation{.height = final.network.image.height,
                                             .width = final.network.image.width,
                                             .random = true,
                                             .least_scale = options.least_scale,
                                             .most_scale = options.most_scale,
                                             .flip = options.flip},
                   .rank = communicator == nullptr ? 0 : communicator->rank(),
                   .ranks = ranks});
    TrainingHooks inner = hooks;
    inner.on_step = [&](int images) {
      evaluation.images += images;
      if (hooks.on_step) hooks.on_step(images);
    };
    inner.on_epoch = [&](const TrainingState& training) {
      if (hooks.on_epoch) hooks.on_epoch(training);
      if (on_epoch) on_epoch({training, program->save(true)});
    };
    LinkedRanks linked(communicator, backend);
    evaluation.sums = linked.how();
    if (hooks.on_sums && !linked.how().empty()) hooks.on_sums(linked.how());
    const TrainingEnd end =
        train(*program, loader, final.recipe, state.training, inner, linked.communicator());
    linked.close();
    if (!state.training.average.empty()) program->load(state.training.average);
    evaluation.stopped = end == TrainingEnd::kStopped;
    if (end == TrainingEnd::kDiverged) {
      evaluation.status = Status::kDiverged;
      evaluation.message =
          fmt::format("the loss is not a finite number after {} images", evaluation.images);
    }
    if (end == TrainingEnd::kDone) trained = program->save();
  }
  if (trained.empty()) return result;
  if (!data.validation.empty()) {
    NetworkOptions whole = final.network;
    whole.image = options.evaluation;
    if (whole.image.height == 0) {
      const Shape largest = largest_image(data.images, data.validation);
      whole.image = padded_for_segmentation(final.network, largest.height, largest.width);
    }
    result.validation = matrix_of(backend, build_network(genome, whole), trained, data.images,
                                  data.validation, final.device, hooks.stop, communicator);
    if (!result.validation) {
      evaluation.status = Status::kDiverged;
      evaluation.message = "the scores of the trained network are not finite numbers";
      return result;
    }
    evaluation.fitness = result.validation->mean_iou();
    evaluation.score.accuracy = result.validation->accuracy();
    evaluation.stopped = any(communicator, hooks.stop && hooks.stop());
  }
  if (!evaluation.stopped) evaluation.weights = std::move(trained);
  return result;
}

std::vector<uint8_t> voc_palette() {
  // Bits 0, 1, 2 of the class are the upper bits of red, green, blue, bits 3, 4, 5 the next.
  std::vector<uint8_t> palette;
  for (int k = 0; k < 256; ++k) {
    int colour[3] = {0, 0, 0};
    for (int bit = 0; bit < 8; ++bit) {
      colour[bit % 3] |= (k >> bit & 1) << (7 - bit / 3);
    }
    for (const int value : colour) palette.push_back(static_cast<uint8_t>(value));
  }
  return palette;
}

}  // namespace renas
