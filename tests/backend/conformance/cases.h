#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "renas/backend.h"
#include "renas/graph.h"

/// The one list of networks that every backend must compute alike.
namespace conformance {

struct Case {
  std::string name;
  renas::Graph graph;
  int batch = 4;                   ///< what the program is compiled for
  int count = 3;                   ///< images in the batches it is given
  bool segmentation = false;       ///< one of the cases of segmentation
  bool frozen_statistics = false;  ///< of batch norms, see ProgramOptions
  renas::StepScalars step = {.seed = 11, .step = 5, .drop_path = 0.75F};
};

/// What a program for the case is compiled with.
renas::ProgramOptions options_of(const Case& c, int threads = 1,
                                 renas::Precision precision = renas::Precision::kFloat32);

/// Each node kind at odd, unequal sizes, alone and in the patterns that backends fuse: small enough
/// for finite differences.
std::vector<Case> small_cases();

/// Larger maps and channel counts, where vector loops have full bodies and tails.
std::vector<Case> large_cases();

/// Maps that are resized, biases of convolutions, losses of pixels: small as small_cases().
std::vector<Case> segmentation_cases();
std::vector<Case> large_segmentation_cases();

/// The small and the large cases, those of segmentation among them.
std::vector<Case> all_cases();

/// Networks as the search trains them: RENASNet, random genomes, both forms, with all that training
/// adds. They are so deep that rounding sometimes decides a ReLU or a maximum, which changes every
/// gradient before it. A test therefore judges several seeds.
std::vector<Case> network_cases();

/// Returns a network in which rounding errors stay small over many steps: it has no batch norm over
/// a handful of values, whose gradients would make them grow a hundredfold in a few steps.
Case training_case();

/// A ramp from `low` to `high`, shuffled: no two values are equal and none lies at 0, so that no
/// maximum is tied and no ReLU is on its kink.
std::vector<float> ramp(std::size_t size, float low, float high, uint64_t seed);

/// The largest error of a tensor that two sets of them share, as a part of the tensor's largest
/// value; infinite for a NaN. Values that should be zero count as a part of 0.1.
double largest_error(const renas::Weights& found, const renas::Weights& expected);

/// |found - expected| / |expected|, all tensors as one vector; infinite for a NaN. Unlike the
/// largest error, it hardly changes where rounding decides a single ReLU or maximum.
double distance(const renas::Weights& found, const renas::Weights& expected);

/// The largest distance of a single tensor. A tensor whose values are far below the others' counts
/// as if they were a hundredth of the largest.
double largest_distance(const renas::Weights& found, const renas::Weights& expected);

/// Weights for every parameter of `graph`, of a size that keeps activations near 1.
renas::Weights ramp_weights(const renas::Graph& graph, uint64_t seed);

/// The images that stage() shows a program, [count, C, H, W].
std::vector<float> planar_images(const renas::Graph& graph, int count, uint64_t seed);
/// Stages images that are given as [N, C, H, W].
void stage_planar(renas::HostBatch& batch, const renas::Shape& shape,
                  std::span<const float> planar);

/// Fills the staging memory with `count` ramp images and labels. Of labels of pixels, some are
/// ignored.
void stage(renas::Program& program, const renas::Graph& graph, int count, uint64_t seed);

}  // namespace conformance
