#include "cli/train_settings.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <initializer_list>
#include <map>

#include "cli/frame.h"
#include "cli/lists.h"
#include "cli/options.h"
#include "cli/recipe.h"
#include "renas/error.h"

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
  a.least_area = s.crop_area;
  if (!s.colour_jitter.empty()) {
    a.brightness = s.colour_jitter[0];
    a.contrast = s.colour_jitter[1];
    a.saturation = s.colour_jitter[2];
  }
  a.lighting = s.lighting;
  a.pad = s.pad.value_or(s.crop > 0 ? 0 : 4);
  a.flip = !s.no_flip;
  a.cutout = s.cutout;
  return a;
}

}  // namespace

namespace {

/// How the learning rate goes down; --cycles is older and stands with it.
void add_schedule_options(OptionGroup& group, TrainSettings& s) {
  Recipe& recipe = s.final.recipe;
  group
      .text(
          "--schedule",
          [&recipe](const std::string& text) { recipe.schedule = parse_schedule(text); },
          "How the rate goes down: cosine, polynomial, or by steps")
      ->check(CLI::IsMember({"cosine", "polynomial", "steps"}))
      ->default_str(to_string(recipe.schedule));
  group.option("--least-rate", s.least_rate, "Learning rate at the end of a cosine or polynomial")
      ->check(CLI::NonNegativeNumber);
  group.option("--power", recipe.power, "Of the polynomial; 1: linear")->check(CLI::PositiveNumber);
  group
      .option("--steps", recipe.step_epochs,
              "Epochs after which the rate is multiplied by --step-factor, as 150,225")
      ->delimiter(',')
      ->check(CLI::PositiveNumber);
  group.option("--step-every", recipe.step_every, "Or a step each so many epochs")
      ->check(CLI::NonNegativeNumber);
  group.option("--step-factor", recipe.step_factor, "Factor of a step")
      ->check(CLI::Range(0.0, 1.0));
  group
      .option("--warm-up", recipe.warm_up_epochs,
              "Epochs over which the rate grows to its full size")
      ->check(CLI::NonNegativeNumber);
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
  add_recipe_option(app, s.recipe, "OPTIONS");
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
  group.option("--batch", s.final.batch, "Images a step, on each rank")
      ->check(CLI::Range(1, 65536));
  group.option("--learning-rate,--rate", s.learning_rate, "Learning rate at the start of a cosine")
      ->check(CLI::PositiveNumber);
  group
      .option("--cycles", s.cycles,
              "Epochs of each cosine, for restarts, as in 10,20,40; default: one over all epochs")
      ->delimiter(',')
      ->check(CLI::PositiveNumber);
  add_schedule_options(group, s);
  group.option("--momentum", s.final.recipe.momentum, "Momentum of SGD")
      ->check(CLI::Range(0.0, 1.0));
  group.flag("--nesterov", s.final.recipe.nesterov, "Nesterov's form of momentum");
  group.option("--weight-decay", s.final.recipe.weight_decay, "Decay of conv and linear weights")
      ->check(CLI::NonNegativeNumber);
  group.flag("--decay-norms", s.final.recipe.decay_norms,
             "Decay scales and shifts of batch norms and biases too");
  group
      .option("--clip-norm", s.final.recipe.clip_norm,
              "Scale the whole gradient down to this length where it is longer; 0: never")
      ->check(CLI::NonNegativeNumber);
  group
      .option("--average", s.final.recipe.average_decay,
              "The model is a moving average of the weights, of this decay a step, as 0.9999; 0: "
              "the last weights")
      ->check(CLI::Validator(
          [](const std::string& text) {
            double decay = -1;
            return CLI::detail::lexical_cast(text, decay) && decay >= 0 && decay < 1
                       ? ""
                       : fmt::format("expected 0 or more and less than 1, got {}", text);
          },
          "[0 - 1)"));
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
  group
      .option(
          "--crop-area", s.crop_area,
          "Random resized crop: of parts of an image that have this share of its area at least, "
          "as 0.08; 0: crops of the scaled image")
      ->check(CLI::Range(0.0, 1.0));
  group
      .option("--colour-jitter", s.colour_jitter,
              "Spread of random brightness, contrast and saturation, as 0.4,0.4,0.4")
      ->delimiter(',')
      ->expected(3)
      ->check(CLI::Range(0.0, 1.0));
  group
      .option("--last-epochs", s.final.plain_epochs,
              "So many epochs at the end only crop and flip, at the least scale")
      ->check(CLI::NonNegativeNumber);
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
  group
      .option("--label-smoothing", s.label_smoothing,
              "Share of a label's weight that goes to all classes alike")
      ->check(CLI::Range(0.0, 0.999));
  group.flag("--drop-path-flat", network.drop_path_flat,
             "The same probability in every cell and from the start");
  group.flag("--auxiliary", network.auxiliary, "Auxiliary classifier at 2/3 of the depth");

  OptionGroup segmentation(app, "Segmentation (--network deeplab; data of renas-prep-voc)");
  segmentation
      .option("--body", s.body,
              "Model whose weights the network begins with, as far as they fit by name and shape: "
              "the same cell, N and F, trained with --network imagenet")
      ->transform(absolute_path())
      ->configurable(false);
  segmentation.flag("--frozen-norms", s.final.frozen_statistics,
                    "Batch norms keep to the mean and variance that --body has, and learn scale "
                    "and shift only: for batches of less than about 12");
  segmentation
      .option("--scales", s.scales,
              "Images and masks are scaled by one of the steps of 0.25 from one to the other "
              "before the crop (--crop, a multiple of 16 and 1; default 513)")
      ->delimiter(',')
      ->expected(2)
      ->check(CLI::Range(0.25, 4.0));

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
  f.network.label_smoothing = static_cast<float>(s.label_smoothing);
  f.recipe.learning_rates = {s.learning_rate};
  if (s.least_rate > s.learning_rate) {
    throw InvalidInput(fmt::format("--least-rate {}: expected at most the learning rate of {}",
                                   s.least_rate, s.learning_rate));
  }
  f.recipe.least_factor = s.least_rate / s.learning_rate;
  if (f.recipe.schedule == Schedule::kSteps && f.recipe.step_epochs.empty() &&
      f.recipe.step_every == 0) {
    throw InvalidInput(
        "--schedule steps: say when the rate takes a step, by --steps 150,225 or --step-every 1");
  }
  if (f.plain_epochs > s.epochs) {
    throw InvalidInput(fmt::format("--last-epochs {}: expected at most the {} epochs there are",
                                   f.plain_epochs, s.epochs));
  }
  if (f.recipe.warm_up_epochs > s.epochs) {
    throw InvalidInput(fmt::format("--warm-up {}: expected at most the {} epochs there are",
                                   f.recipe.warm_up_epochs, s.epochs));
  }
  f.recipe.cosine_cycles = s.cycles.empty() ? std::vector<int>{s.epochs} : s.cycles;
  f.recipe.drop_path_grows = !f.network.drop_path_flat;
  return f;
}

std::string purpose_of(const CLI::App& app, const std::string& genome, const std::string& data) {
  const std::vector<std::string> skipped{
      "--genome",         "--out",          "--resume",      "--force",        "--quiet",
      "--threads",        "--config",       "--help",        "--version",      "--list",
      "--worker-timeout", "--max-attempts", "--io-patience", "--ranks-per-gpu"};
  std::string text = "training of " + genome;
  for (const CLI::Option* option : app.get_options()) {
    std::string name = option->get_name();
    if (std::find(skipped.begin(), skipped.end(), name) != skipped.end()) continue;
    // Checkpoints of versions without these options go on.
    static const std::vector<std::string> later{"--class-weights",
                                                "--validation-group",
                                                "--output-stride",
                                                "--scales",
                                                "--body",
                                                "--recipe",
                                                "--schedule",
                                                "--least-rate",
                                                "--power",
                                                "--steps",
                                                "--step-every",
                                                "--step-factor",
                                                "--warm-up",
                                                "--nesterov",
                                                "--decay-norms",
                                                "--clip-norm",
                                                "--average",
                                                "--colour-jitter",
                                                "--last-epochs",
                                                "--crop-area",
                                                "--label-smoothing",
                                                "--frozen-norms"};
    const bool is_later = std::find(later.begin(), later.end(), name) != later.end();
    if (is_later && option->count() == 0) continue;
    const std::string value = name == "--data" ? data : value_text(*option);
    if (name == "--learning-rate") name = "--rate";  // checkpoints call it by its short name
    text += fmt::format(" {} {}", name, value);
  }
  return text;
}

namespace {

/// The options in a purpose_of() by name, with their values; the genome's is "cell".
std::map<std::string, std::string> options_in(const std::string& purpose) {
  std::map<std::string, std::string> options;
  const std::size_t first = purpose.find(" --");
  options["cell"] = purpose.substr(0, first);
  for (std::size_t at = first; at != std::string::npos;) {
    const std::size_t next = purpose.find(" --", at + 1);
    const std::string option = purpose.substr(at + 1, next - at - 1);
    const std::size_t space = option.find(' ');
    options[option.substr(0, space)] = space == std::string::npos ? "" : option.substr(space + 1);
    at = next;
  }
  return options;
}

}  // namespace

std::string differing_options(const std::string& then, const std::string& now) {
  auto before = options_in(then);
  auto after = options_in(now);
  std::vector<std::string> differences;
  for (const auto& [name, value] : before) after.try_emplace(name, "not given");
  for (const auto& [name, value] : after) {
    const auto found = before.try_emplace(name, "not given").first;
    if (found->second == value) continue;
    differences.push_back(fmt::format("{} {} then, {} now", name, found->second, value));
  }
  return fmt::format("{}", fmt::join(differences, "; "));
}

void check_options_apply(const CLI::App& app, const TrainSettings& s) {
  const auto refuse = [&](std::initializer_list<const char*> options, const std::string& why) {
    for (const char* option : options) {
      if (app.get_option(option)->count() > 0) {
        throw InvalidInput(fmt::format("{}: {}", option, why));
      }
    }
  };
  if (s.final.network.kind == NetworkKind::kDeepLab) {
    refuse({"--cutout", "--pad", "--shorter-side", "--crop-area", "--colour-jitter", "--lighting",
            "--last-epochs"},
           "--network deeplab does not heed it: images and masks are scaled, cut and mirrored by "
           "--scales, --crop and --no-flip; leave it out");
    return;
  }
  refuse({"--body", "--frozen-norms", "--scales", "--output-stride"},
         "only --network deeplab heeds it; leave it out");
  if (s.crop == 0) {
    refuse({"--shorter-side", "--crop-area"},
           "expected --crop beside it, the side of the square that is cut out of each image");
  }
}

std::vector<std::string> schedule_warnings(const TrainSettings& s) {
  const Recipe& recipe = s.final.recipe;
  std::vector<std::string> warnings;
  const auto unused = [&](const char* option, bool given) {
    if (!given) return;
    warnings.push_back(
        fmt::format("{} does nothing with --schedule {}", option, to_string(recipe.schedule)));
  };
  unused("--cycles", recipe.schedule != Schedule::kCosine && !s.cycles.empty());
  unused("--power", recipe.schedule != Schedule::kPolynomial && recipe.power != Recipe{}.power);
  unused("--steps", recipe.schedule != Schedule::kSteps && !recipe.step_epochs.empty());
  unused("--step-every", recipe.schedule != Schedule::kSteps && recipe.step_every > 0);
  unused("--least-rate", recipe.schedule == Schedule::kSteps && s.least_rate > 0);
  if (recipe.schedule != Schedule::kCosine || s.cycles.empty()) return warnings;
  std::vector<int> ends;
  for (const int cycle : s.cycles) ends.push_back((ends.empty() ? 0 : ends.back()) + cycle);
  if (std::find(ends.begin(), ends.end(), s.epochs) == ends.end()) {
    warnings.push_back(fmt::format(
        "--cycles {}: the rate is least after {} epochs, and the training of {} ends "
        "at another rate; --epochs with one of these numbers, or --cycles {}, ends well",
        fmt::join(s.cycles, ","), fmt::join(ends, ", "), s.epochs, s.epochs));
  }
  return warnings;
}

}  // namespace renas::cli
