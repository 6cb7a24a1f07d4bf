#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <vector>

#include "renas/loader.h"
#include "renas/random.h"
#include "renas/tensor.h"

namespace renas {

/// What chance decides for one image in one epoch.
struct Draw {
  int shorter_side = 0;                  ///< of the scaled image
  std::array<double, 2> crop{0.5, 0.5};  ///< [0, 1): place of the crop, down and across
  double area = 0;        ///< share of the image that a random resized crop shows; 0: it is none
  double aspect = 1;      ///< its width over its height
  double brightness = 1;  ///< factors
  double contrast = 1;
  double saturation = 1;
  std::array<double, 3> lighting{0, 0, 0};  ///< multipliers of the three components
  int shift_y = 0;                          ///< -pad .. pad: row y of the result is row y + shift_y
  int shift_x = 0;
  bool flip = false;
  int cutout_y = 0;  ///< centre
  int cutout_x = 0;
};

/// The stream of random numbers of an image in an epoch.
Random augmentation_stream(uint64_t seed, uint64_t epoch, int64_t image);

/// `shape` is that of the result.
Draw draw_augmentation(const Augmentation& options, const Shape& shape, Random random);

/// From 8-bit pixels of the result's size to what the network sees: colour, normalisation, shift,
/// flip, cutout.
///
/// pixels  [height, width, channels]
/// out     [height, width, channels]
void finish_image(const Augmentation& options, const Draw& draw, const Shape& shape,
                  const DataSetInfo& info, std::span<const uint8_t> pixels, float* out);

}  // namespace renas
