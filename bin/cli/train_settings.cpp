#include "cli/train_settings.h"

#include <fmt/format.h>

#include <algorithm>

#include "cli/frame.h"
#include "cli/lists.h"
#include "cli/options.h"

namespace renas::cli {

namespace {

Augmentation augmentation_of(const TrainSettings& s) {
  Augmentation a;
  a.crop = s.crop;
  a.random_crop = s.crop > 0;
  if (!s.shorter_side.empty()) {
    a.shorter_side = s.shorter_side.front();
    a.shorter_side_max = s.shorter_side.back();
  }
  a.lighting = s.lighting;
  a.pad = s.pad.value_or(s.crop > 0 ? 0 : 4);
  a.flip = !s.no_flip;
  a.cutout = s.cutout;
  return a;
}

}  // namespace

void add_train_options(CLI::App& app, TrainSettings& s) {
  NetworkOptions& network = s.final.network;
  app.add_option(
      "--genome", s.genome,
      "Cell to train, in the text form, or a published network by name: renasnet, nasnet-a, "
      "pnasnet-5, amoebanet-a, enas, darts-v2, resnet-50, ... (renas-inspect zoo)");
  app.add_option("--list", s.list,
                 "Train many cells instead, over the ranks of mpirun: a file of cells, one a line, "
                 "# opens a comment. OUT is then a new folder, with a model of each cell and "
                 "results.jsonl")
      ->transform(absolute_path())
      ->configurable(false);
  app.add_option("--data", s.data, "HDF5 data set with groups train and test")
      ->required()
      ->transform(absolute_path());
  app.add_option("--out", s.out,
                 "Model to write; OUT.checkpoint appears beside it. With --list, a folder")
      ->required();
  app.add_flag("--resume", s.resume, "Go on from OUT.checkpoint, or with the list in OUT")
      ->configurable(false);
  app.add_flag("--force", s.force, "Replace OUT or OUT.checkpoint where they exist")
      ->configurable(false);
  app.add_flag("--quiet", s.quiet, "Only the result")->configurable(false);
  app.add_option("--seed", s.seed, "All randomness follows from it");

  add_network_options(app, network);

  OptionGroup group(app, "Training");
  group.option("--validation", s.validation, "Training images held out and scored at the end")
      ->check(CLI::NonNegativeNumber);
  group
      .option("--validation-group", s.validation_group,
              "Score the split val of the data set instead, all of it or --validation")
      ->check(CLI::IsMember({"", "val"}));
  group.option("--subset", s.subset, "Images to train on, after holding out; 0: all")
      ->check(CLI::NonNegativeNumber);
  group.option("--epochs", s.epochs, "Passes over them")->check(CLI::Range(1, 100000));
  add_class_weights(group, s.class_weights);
  group.option("--batch", s.final.batch, "Images a step")->check(CLI::Range(1, 65536));
  group.option("--learning-rate,--rate", s.learning_rate, "Learning rate at the start of a cosine")
      ->check(CLI::PositiveNumber);
  group
      .option("--cycles", s.cycles,
              "Epochs of each cosine, for restarts, as in 10,20,40; default: one over all epochs")
      ->delimiter(',')
      ->check(CLI::PositiveNumber);
  group.option("--momentum", s.final.recipe.momentum, "Momentum of SGD")
      ->check(CLI::Range(0.0, 1.0));
  group.option("--weight-decay", s.final.recipe.weight_decay, "Decay of conv and linear weights")
      ->check(CLI::NonNegativeNumber);
  group
      .option("--crop", s.crop,
              "Side of the square cut out of each image: images of varying or large size; 0: "
              "images as they are")
      ->check(CLI::Range(0, 65536));
  group
      .option("--shorter-side", s.shorter_side,
              "Scale each image to this shorter side before the crop, or to one drawn between "
              "two, as in 256,480; default: as it is")
      ->delimiter(',')
      ->expected(1, 2)
      ->check(CLI::Range(1, 65536));
  group.option("--lighting", s.lighting, "Colour noise as AlexNet's, which has 0.1")
      ->check(CLI::NonNegativeNumber);
  group
      .option("--pad", s.pad,
              "Zeros around an image before a random crop of its size; default: 4, with --crop 0")
      ->check(CLI::Range(0, 1024));
  group.flag("--no-flip", s.no_flip, "Do not mirror images at random");
  group.option("--cutout", s.cutout, "Side of a square cut out of each image; 0: none")
      ->check(CLI::Range(0, 65536));
  group.option("--dropout", s.dropout, "Before the classifier")->check(CLI::Range(0.0, 0.999));
  group
      .option("--drop-path", s.drop_path,
              "Probability of dropping a path, growing with depth and training as NASNet's")
      ->check(CLI::Range(0.0, 0.999));
  group.flag("--drop-path-flat", network.drop_path_flat,
             "The same probability in every cell and from the start");
  group.flag("--auxiliary", network.auxiliary, "Auxiliary classifier at 2/3 of the depth");

  OptionGroup ranks(app, "Lists");
  add_rank_options(ranks, s.ranks.worker_timeout, s.ranks.max_attempts, s.ranks.io_patience,
                   s.ranks_per_gpu);

  add_device_options(app, s.final.device);
}

FinalOptions final_options(const TrainSettings& s) {
  FinalOptions f = s.final;
  f.augmentation = augmentation_of(s);
  f.network.dropout = static_cast<float>(s.dropout);
  f.network.drop_path = static_cast<float>(s.drop_path);
  f.network.class_weights = class_weights_of(s.class_weights);
  f.recipe.epochs = s.epochs;
  f.recipe.learning_rates = {s.learning_rate};
  f.recipe.cosine_cycles = s.cycles.empty() ? std::vector<int>{s.epochs} : s.cycles;
  f.recipe.drop_path_grows = !f.network.drop_path_flat;
  return f;
}

std::string purpose_of(const CLI::App& app, const std::string& genome) {
  const std::vector<std::string> skipped{
      "--genome",         "--out",          "--resume",      "--force",        "--quiet",
      "--threads",        "--config",       "--help",        "--version",      "--list",
      "--worker-timeout", "--max-attempts", "--io-patience", "--ranks-per-gpu"};
  std::string text = "training of " + genome;
  for (const CLI::Option* option : app.get_options()) {
    std::string name = option->get_name();
    if (std::find(skipped.begin(), skipped.end(), name) != skipped.end()) continue;
    // Checkpoints of versions without this option go on.
    if (name == "--class-weights" && option->count() == 0) continue;
    if (name == "--validation-group" && option->count() == 0) continue;
    if (name == "--learning-rate") name = "--rate";  // checkpoints call it by its short name
    text += fmt::format(" {} {}", name, value_text(*option));
  }
  return text;
}

}  // namespace renas::cli
