#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "renas/backend.h"
#include "renas/image.h"
#include "renas/model.h"

namespace renas {

struct PredictorOptions {
  Device device;        ///< what computes; one thread is enough for one picture at a time
  bool upright = true;  ///< pictures are turned as their EXIF orientation says
};

/// A trained network that is asked for the class of pictures of any size.
///
/// Pictures are scaled, cut and normalised as those that the network was trained on, since the
/// model says how. An object is used by one thread at a time; threads each have their own, which
/// may be made of one Model.
///
///     renas::Predictor predictor("best.h5");
///     std::vector<float> probabilities = predictor.predict(bytes_of_a_jpeg_file);
class Predictor {
 public:
  /// Throws Unsupported, OutOfMemory, InvalidInput (device).
  explicit Predictor(const Model& model, const PredictorOptions& options = {});
  /// The model is read from a file. Throws IoError as load_model() does.
  explicit Predictor(const std::string& path, const PredictorOptions& options = {});
  Predictor(Predictor&&) noexcept;
  Predictor& operator=(Predictor&&) noexcept;
  ~Predictor();

  int classes() const;
  /// The name of class `label`; its number where the model has no names.
  std::string class_name(int label) const;

  /// The scores of the classes before softmax (logits) for a JPEG or PNG file in memory, [classes].
  /// Throws InvalidInput where the file is neither, damaged or truncated; Unsupported where this
  /// build decodes none; Error where scores are not finite numbers, as those of a model that has
  /// diverged.
  std::vector<float> scores(std::span<const uint8_t> file);
  /// The same for pixels. Throws InvalidShape where the image has other channels than the network
  /// takes, or no pixels; Error likewise.
  std::vector<float> scores(const Image& image);
  /// The probabilities of the classes, [classes]: softmax of scores().
  std::vector<float> predict(std::span<const uint8_t> file);
  std::vector<float> predict(const Image& image);

 private:
  struct State;
  std::unique_ptr<State> state_;
};

/// Probabilities from scores: exp(score) / sum of exp(score). Throws Error where a score is not a
/// finite number.
std::vector<float> softmax(std::span<const float> scores);

/// The labels of the `count` largest of `values`, largest first; of equal ones the lower label
/// first. What is not a number counts as the least.
std::vector<int> largest(std::span<const float> values, int count);

}  // namespace renas
