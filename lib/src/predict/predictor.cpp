#include "renas/predictor.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>
#include <utility>

#include "data/augment.h"
#include "data/fit.h"
#include "renas/error.h"

namespace renas {
namespace {

void check_finite(std::span<const float> scores) {
  if (std::all_of(scores.begin(), scores.end(), [](float s) { return std::isfinite(s); })) return;
  throw Error(
      "the network's scores are not finite numbers: the model has diverged in its training; train "
      "it again with a lower learning rate");
}

}  // namespace

struct Predictor::State {
  std::vector<std::string> class_names;
  int classes = 0;
  Shape image;
  DataSetInfo normalisation;  // mean and sd
  Augmentation preparation;
  std::optional<Range16> range_16;
  bool upright = true;
  Draw draw;  // nothing random: the scale and the centre
  ImageFitter fitter{true};
  std::unique_ptr<Backend> backend;
  std::unique_ptr<Program> program;

  State(const Model& model, const PredictorOptions& options);
  DecodeOptions decoding() const;
  std::vector<float> infer(std::span<const uint8_t> pixels);
  std::vector<float> scores_of_pixels(const Image& image);
};

Predictor::State::State(const Model& model, const PredictorOptions& options)
    : class_names(model.class_names),
      classes(model.network.classes),
      image(model.network.image),
      preparation(model.preparation),
      range_16(model.range_16),
      upright(options.upright),
      backend(make_backend(options.device)) {
  normalisation.mean = model.mean;
  normalisation.sd = model.sd;
  draw.shorter_side = preparation.shorter_side;
  const Graph graph = graph_of(model);
  const Shape& scores = graph.node(graph.scores()).shape;
  if (scores.height != 1 || scores.width != 1) {
    throw Unsupported("a Predictor gives one class a picture; this model segments pictures");
  }
  program = backend->compile(graph, {.batch = 1,
                                     .training = false,
                                     .threads = std::max(1, options.device.threads),
                                     .precision = options.device.precision});
  program->load(model.weights);
}

DecodeOptions Predictor::State::decoding() const {
  DecodeOptions decoding;
  decoding.channels = image.channels;
  decoding.upright = upright;
  decoding.range_16 = range_16;
  return decoding;
}

std::vector<float> Predictor::State::infer(std::span<const uint8_t> pixels) {
  HostBatch& batch = program->staging();
  batch.count = 1;
  finish_image(preparation, draw, image, normalisation, pixels, batch.images.data());
  std::vector<float> scores(static_cast<std::size_t>(classes));
  program->infer(scores);
  check_finite(scores);
  return scores;
}

std::vector<float> Predictor::State::scores_of_pixels(const Image& picture) {
  if (preparation.crop > 0) {
    return infer(fitter.fit_pixels(picture.shape, picture.pixels, preparation, draw));
  }
  if (picture.shape == image) return infer(picture.pixels);
#ifdef RENAS_WITH_IMAGES
  return infer(cover_image(picture, image.height, image.width).pixels);
#else
  throw Unsupported(fmt::format(
      "an image of {} where the network takes {}, and this build cannot scale it (configure with "
      "-DRENAS_WITH_IMAGES=ON)",
      to_string(picture.shape), to_string(image)));
#endif
}

Predictor::Predictor(const Model& model, const PredictorOptions& options)
    : state_(std::make_unique<State>(model, options)) {}
Predictor::Predictor(const std::string& path, const PredictorOptions& options)
    : Predictor(load_model(path), options) {}
Predictor::Predictor(Predictor&&) noexcept = default;
Predictor& Predictor::operator=(Predictor&&) noexcept = default;
Predictor::~Predictor() = default;

int Predictor::classes() const { return state_->classes; }

std::string Predictor::class_name(int label) const {
  if (label < 0 || label >= state_->classes) {
    throw InvalidInput(fmt::format("class {}: expected 0 to {}", label, state_->classes - 1));
  }
  if (state_->class_names.empty()) return std::to_string(label);
  return state_->class_names[static_cast<std::size_t>(label)];
}

std::vector<float> Predictor::scores(std::span<const uint8_t> file) {
#ifdef RENAS_WITH_IMAGES
  State& s = *state_;
  // Files whose pixels need more than the data set's reader does to them are decoded as a whole.
  const bool whole = s.preparation.crop == 0 || (s.range_16 && inspect_image(file).bits == 16);
  if (whole) return s.scores_of_pixels(decode_image(file, s.decoding()));
  std::vector<uint8_t> as_stored;
  if (!s.upright) {  // as preparing programs make such a file for the data set
    as_stored.assign(file.begin(), file.end());
    clear_orientation(as_stored);
    file = as_stored;
  }
  return s.infer(s.fitter.fit_encoded(file, s.image.channels, s.preparation, s.draw));
#else
  (void)file;
  throw Unsupported("this build cannot decode images (configure with -DRENAS_WITH_IMAGES=ON)");
#endif
}

std::vector<float> Predictor::scores(const Image& image) {
  const Shape& shape = image.shape;
  if (shape.channels != state_->image.channels || shape.size() <= 0 ||
      std::ssize(image.pixels) != shape.size()) {
    throw InvalidShape(
        fmt::format("an image of {} with {} values: expected {} channels and as "
                    "many values as that",
                    to_string(shape), image.pixels.size(), state_->image.channels));
  }
  return state_->scores_of_pixels(image);
}

std::vector<float> Predictor::predict(std::span<const uint8_t> file) {
  return softmax(scores(file));
}

std::vector<float> Predictor::predict(const Image& image) { return softmax(scores(image)); }

std::vector<float> softmax(std::span<const float> scores) {
  check_finite(scores);
  std::vector<float> result(scores.size());
  if (scores.empty()) return result;
  const double largest_score = *std::max_element(scores.begin(), scores.end());
  double sum = 0;
  for (const float score : scores) sum += std::exp(score - largest_score);
  std::transform(scores.begin(), scores.end(), result.begin(), [&](float score) {
    return static_cast<float>(std::exp(score - largest_score) / sum);
  });
  return result;
}

std::vector<int> largest(std::span<const float> values, int count) {
  std::vector<int> order(values.size());
  std::iota(order.begin(), order.end(), 0);
  const auto middle = order.begin() + std::clamp<std::ptrdiff_t>(count, 0, std::ssize(order));
  const auto value = [&](int label) {
    const float v = values[static_cast<std::size_t>(label)];
    return std::isnan(v) ? -std::numeric_limits<float>::infinity() : v;
  };
  std::partial_sort(order.begin(), middle, order.end(), [&](int a, int b) {
    const float left = value(a);
    const float right = value(b);
    return left != right ? left > right : a < b;
  });
  order.erase(middle, order.end());
  return order;
}

}  // namespace renas
