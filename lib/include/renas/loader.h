#pragma once

#include <cstdint>
#include <limits>
#include <memory>
#include <optional>
#include <span>
#include <vector>

#include "renas/dataset.h"

namespace renas {

/// What is done to an image on its way to the network. All randomness of an image is a function
/// of (seed, epoch, index of the image in the data set); order here is the order of application.
struct Augmentation {
  // Images of varying or large size: first a piece of them becomes a square of `crop` pixels.
  int crop = 0;              ///< side of the result; 0: images keep their size
  int shorter_side = 0;      ///< the image is scaled so that its shorter side has this length ...
  int shorter_side_max = 0;  ///< ... or, where greater, a length drawn from both, inclusive
  bool random_crop = false;  ///< where the crop lies: uniform, or the centre
  /// Random resized crop instead: the crop is scaled from a part of the image that has this share
  /// of its area at least, up to all of it, and sides in a ratio from 3:4 to 4:3, both drawn
  /// (Szegedy et al. 2015); a part that would not fit is cut off at the image's sides. 0: none.
  double least_area = 0;

  // Colour, in values scaled to [0, 1].
  double brightness = 0;  ///< times 1 + U(-b, b); likewise contrast and saturation
  double contrast = 0;    ///< blended with the mean luma of the crop
  double saturation = 0;  ///< blended with each pixel's luma
  double lighting = 0;    ///< AlexNet's PCA noise: sd of the three multipliers (its value: 0.1)

  bool normalize = true;  ///< (value - mean) / sd per channel; else values in [0, 1]
  int pad = 0;            ///< zeros around the normalised image, then a random crop of its size
  bool flip = false;      ///< left and right, with probability one half
  int cutout = 0;         ///< side of a square set to zero, its centre uniform over the image

  static Augmentation none();         ///< normalisation only: small images, evaluation
  static Augmentation search();       ///< the paper's search: pad 4, crop, flip
  static Augmentation cifar_final();  ///< the same and cutout 16
  static Augmentation imagenet();  ///< shorter side in [256, 480], random crop 224, flip, lighting
  static Augmentation imagenet_last();  ///< the last 20 epochs: shorter side 256, crop, flip
  /// Its counterpart for the last epochs of a training: crop, shift and flip only, at the least
  /// scale.
  Augmentation crop_and_flip() const;
  /// Its counterpart for scoring: the same scale (the least one) and size, the centre, nothing
  /// random.
  Augmentation evaluation() const;
  static Augmentation imagenet_center();  ///< evaluation: shorter side 256, centre crop 224
};

/// What is done to an image and its mask, the same to both, on their way to a network that
/// segments. Masks are scaled to the nearest pixel. Beyond the scaled image lie its mean and kVoid.
struct PairAugmentation {
  int height = 0;  ///< of the result
  int width = 0;   ///< of the result
  // In training; evaluation takes the whole image as it is, padded at the right and at the bottom.
  bool random = false;     ///< scale, place of the crop
  double least_scale = 1;  ///< of the image's height and width: one of the steps of 0.25 ...
  double most_scale = 1;   ///< ... between these two, both included
  bool flip = false;       ///< left and right, with probability one half
};

struct LoaderOptions {
  int batch = 64;
  uint64_t seed = 0;
  bool shuffle = true;     ///< a new order each epoch, a function of (seed, epoch); else as given
  bool drop_last = false;  ///< leave out a last batch that is not full
  Augmentation augmentation = {};
  /// Set: pairs of images and masks, in place of `augmentation`. Labels are then
  /// [batch, height, width], kIgnored where the mask is void.
  std::optional<PairAugmentation> pairs = {};
  /// From epoch `plain_from` on, Augmentation::crop_and_flip() of it.
  uint64_t plain_from = std::numeric_limits<uint64_t>::max();
  int threads =
      1;  ///< that read, decode and augment ahead; 0: next() does it in the caller's thread
  int prefetch = 4;  ///< batches they may be ahead
  /// Data parallel: this loader yields the images at positions rank, rank + ranks, ... of the
  /// epoch's order. No image is on two ranks; with drop_last every rank has equally many batches.
  int rank = 0;
  int ranks = 1;
};

/// Batches of float32 NHWC images from a data set, prepared on threads of its own.
///
/// Neither threads nor prefetch nor batch change an image's pixels. Used by one thread at a time.
class Loader {
 public:
  /// Yields the images `indices` of `data`. Throws InvalidInput where an index or option is out
  /// of range, or the images are encoded and no crop is asked for.
  Loader(DataSet data, std::vector<int64_t> indices, const LoaderOptions& options);
  Loader(const Loader&) = delete;
  Loader& operator=(const Loader&) = delete;
  ~Loader();

  /// Of the images it yields.
  Shape shape() const;
  /// Batches of an epoch.
  int64_t batches() const;
  /// Images of an epoch, on this rank.
  int64_t images() const;

  /// Begins epoch `epoch`, whatever was left of another. An interrupted training that begins the
  /// same epoch again sees the same batches.
  void start(uint64_t epoch);
  /// Writes the next batch of the epoch: `images` [batch, H, W, C] in their first `count` images,
  /// `labels` likewise, one an image or one a pixel. Returns count; 0 at the end of the epoch (or
  /// before start). Throws IoError where an image cannot be read, InvalidShape where the spans are
  /// smaller than a batch or, of images of shape(), have room for different numbers of images and
  /// labels.
  int next(std::span<float> images, std::span<int32_t> labels);

 private:
  struct State;
  std::unique_ptr<State> state_;
};

/// The order in which an epoch yields `indices`: a function of (seed, epoch) alone.
std::vector<int64_t> epoch_order(const std::vector<int64_t>& indices, uint64_t seed,
                                 uint64_t epoch);

}  // namespace renas
