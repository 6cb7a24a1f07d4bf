#pragma once

#include <CLI/CLI.hpp>
#include <string>
#include <vector>

#include "cli/ranks.h"
#include "cli/train_session.h"
#include "cli/train_settings.h"
#include "renas/segmentation.h"

namespace renas::cli {

/// One training of --network deeplab as it stands before its first step.
struct DeepLabTraining : TrainSession {
  std::string taken;  ///< what was taken of --body, for people
  SegmentationOptions options;
};

/// Reads what the training of `genome` needs. Throws InvalidInput, IoError.
DeepLabTraining prepare_deeplab(const CLI::App& app, const TrainSettings& settings,
                                const std::string& genome, const Ranks& ranks);

/// Trains the network over all ranks, writes its model and prints the mean IOU on D_val and on the
/// test set. Returns the exit code.
int train_deeplab(DeepLabTraining training, const TrainSettings& settings, const Ranks& ranks);

/// What renas-inspect segment does: writes for each picture the picture itself, the mask that the
/// model finds, in colours of a palette, and both over each other, as PNG files in `folder`.
struct SegmentSettings {
  std::string model;
  std::vector<std::string> pictures;
  std::string folder;
  bool force = false;
  bool as_stored = false;  ///< pictures are not turned as their EXIF orientation says
  Device device;
};
int segment_pictures(SegmentSettings& settings);

}  // namespace renas::cli
