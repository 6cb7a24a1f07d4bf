#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "renas/communicator.h"
#include "renas/evaluation.h"

namespace renas {

/// How many pixels of each class were taken for each, over any number of images.
class ConfusionMatrix {
 public:
  explicit ConfusionMatrix(int classes);

  /// Adds a pixel of class `truth` that was taken for `found`.
  void add(int truth, int found) { ++counts_[index(truth, found)]; }
  /// Replaces the counts by their sums over all ranks.
  void sum(Communicator& communicator);
  int64_t count(int truth, int found) const { return counts_[index(truth, found)]; }
  int classes() const { return classes_; }
  /// Pixels of class k.
  int64_t pixels(int k) const;

  /// Intersection over union of class k, TP / (TP + FP + FN), in [0, 1]; none where no pixel is of
  /// the class.
  std::optional<double> iou(int k) const;
  /// The mean of iou() over the classes that have pixels; 0 where there is none.
  double mean_iou() const;
  /// The share of all pixels that were taken for what they are.
  double accuracy() const;

 private:
  std::size_t index(int truth, int found) const {
    return static_cast<std::size_t>(truth) * static_cast<std::size_t>(classes_) +
           static_cast<std::size_t>(found);
  }

  int classes_;
  std::vector<int64_t> counts_;  // [truth, found]
};

/// The sides to which an image of `height` x `width` is padded for a network of `options`, so that
/// its features keep the image's corners: the next of 16 m + 1 pixels.
Shape padded_for_segmentation(const NetworkOptions& options, int height, int width);

/// The smallest shape that holds every image `indices` of `images`, whose headers it reads.
Shape largest_image(const DataSet& images, const std::vector<int64_t>& indices);

/// A training of a network that segments (NetworkKind::kDeepLab).
struct SegmentationOptions {
  /// final.network.image is the crop that is trained on; augmentation, fitness are not used.
  FinalOptions final;
  /// Of pairs; height and width are those of the network's image.
  double least_scale = 0.5;
  double most_scale = 2;
  bool flip = true;
  /// Whole images are padded to this height and width when they are scored. They must hold every
  /// image. Heights and widths of 0: those of the largest image, padded_for_segmentation().
  Shape evaluation = {};
};

/// What became of a network for segmentation: `score` counts pixels, the fitness is the mean IOU on
/// D_val.
struct SegmentationResult {
  Evaluation evaluation;
  std::optional<ConfusionMatrix> validation;  ///< none without D_val, or where training ended early
};

/// Trains the network of `genome` (as build_network() reads it) from `state` (a fresh one: epoch 0;
/// its weights may be given) to the end of the recipe, as train_from_scratch() does, on crops of
/// pairs of images and masks. A last batch that is not full is left out.
SegmentationResult train_segmentation(Backend& backend, const std::string& genome, FinalState state,
                                      const SearchData& data, const SegmentationOptions& options,
                                      const TrainingHooks& hooks,
                                      const std::function<void(const FinalState&)>& on_epoch);

/// Scores a finished network on whole images, one at a time and at one scale, each padded to the
/// network's image size. The ranks of `communicator` share the images (null: one rank alone); each
/// gets the matrix of all. Throws Error where scores are not finite numbers, InvalidInput where a
/// mask has a label beyond the network's classes.
ConfusionMatrix score_segmentation(Backend& backend, const Graph& graph, const Weights& weights,
                                   const DataSet& images, const std::vector<int64_t>& indices,
                                   const Device& device,
                                   const std::function<bool()>& stop = nullptr,
                                   Communicator* communicator = nullptr);

/// Finds the class of the largest of each pixel's scores [pixels, classes], the first among equals.
/// Returns false where a score is not a finite number, which says nothing of its pixel's class.
bool classify_pixels(std::span<const float> scores, int classes, std::span<uint8_t> found);

/// The colours of PASCAL VOC, [256, 3], by class; 255 is void.
std::vector<uint8_t> voc_palette();

}  // namespace renas
