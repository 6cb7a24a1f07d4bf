#pragma once

#include <CLI/CLI.hpp>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "renas/evaluation.h"
#include "renas/list_training.h"

namespace renas::cli {

/// The command line of renas-train.
struct TrainSettings {
  std::string genome = "renasnet";
  std::string list;  ///< a file of cells; empty: the one of `genome`
  std::string data;
  std::string out;
  bool resume = false;
  bool force = false;
  bool quiet = false;
  int ranks_per_gpu = 1;  // with a list
  uint64_t seed = 0;
  int64_t validation = 0;
  std::string validation_group;
  int64_t subset = 0;
  int epochs = 20;
  double learning_rate = 0.05;
  std::vector<int> cycles;
  std::optional<int> pad;
  int crop = 0;
  std::vector<int> shorter_side;
  std::vector<double> scales = {0.5, 2};  ///< of pairs: the least and the most
  std::string body;                       ///< a model; empty: all weights are drawn
  double lighting = 0;
  bool no_flip = false;
  int cutout = 0;
  double drop_path = 0;
  double dropout = 0;
  std::string class_weights = "none";
  std::string recipe;
  double least_rate = 0;
  std::vector<double> colour_jitter;
  double crop_area = 0;
  double label_smoothing = 0;
  FinalOptions final;
  ListTrainingOptions ranks;  ///< what is of ranks alone
};

/// Adds the options of renas-train to `app`, bound to `settings`.
void add_train_options(CLI::App& app, TrainSettings& settings);

/// What all cells are trained by. Image, classes and class weights are left to the data. Throws
/// InvalidInput.
FinalOptions final_options(const TrainSettings& settings);

/// A text of all options that distinguish this training of `genome` on `data` from another: the
/// purpose in a checkpoint and in a model.
std::string purpose_of(const CLI::App& app, const std::string& genome, const std::string& data);

/// What differs between two such texts, for a message: "--filters 16 then, 24 now".
std::string differing_options(const std::string& then, const std::string& now);

/// Throws InvalidInput where an option was given that the training, by what the others say, would
/// not heed.
void check_options_apply(const CLI::App& app, const TrainSettings& settings);

/// What in the settings does nothing, or ends a training where it hardly can be meant to end.
std::vector<std::string> schedule_warnings(const TrainSettings& settings);

}  // namespace renas::cli
