#pragma once

#include <CLI/CLI.hpp>
#include <string>
#include <vector>

#include "cli/train_settings.h"

namespace renas::cli {

/// Trains a genome's network as DeepLabv3 (--network deeplab of renas-train), writes its model and
/// prints the mean IOU on D_val and on the test set. Returns the exit code.
int train_deeplab(const CLI::App& app, TrainSettings& settings);

/// What renas-inspect segment does: writes for each picture the picture itself, the mask that the
/// model finds, in colours of a palette, and both over each other, as PNG files in `folder`.
struct SegmentSettings {
  std::string model;
  std::vector<std::string> pictures;
  std::string folder;
  bool force = false;
  Device device;
};
int segment_pictures(SegmentSettings& settings);

}  // namespace renas::cli
