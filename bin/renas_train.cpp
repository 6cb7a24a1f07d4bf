// renas-train trains the network of one genome from scratch, with a checkpoint after each epoch.

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <filesystem>

#include "cli/console.h"
#include "cli/frame.h"
#include "cli/options.h"
#include "renas/error.h"
#include "renas/model.h"

using namespace renas;

namespace {

constexpr const char* kDescription =
    "Trains the network of one genome from scratch: SGD with momentum, cosine learning rate. "
    "Writes\n"
    "a checkpoint beside the model after every epoch; stopped or killed, the same command with\n"
    "--resume goes on. Prints the accuracy on held-out images and, once, on the test set.";

struct Settings {
  std::string genome = "renasnet";
  std::string data;
  std::string out;
  bool resume = false;
  bool force = false;
  bool quiet = false;
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
  double lighting = 0;
  bool no_flip = false;
  int cutout = 0;
  double drop_path = 0;
  double dropout = 0;
  FinalOptions final;
};

void add_options(CLI::App& app, Settings& s) {
  NetworkOptions& network = s.final.network;
  app.add_option("--genome", s.genome, "Cell to train, in the text form; renasnet is known");
  app.add_option("--data", s.data, "HDF5 data set with groups train and test")
      ->required()
      ->transform(cli::absolute_path());
  app.add_option("--out", s.out, "Model to write; OUT.checkpoint appears beside it")->required();
  app.add_flag("--resume", s.resume, "Go on from OUT.checkpoint")->configurable(false);
  app.add_flag("--force", s.force, "Replace OUT or OUT.checkpoint where they exist")
      ->configurable(false);
  app.add_flag("--quiet", s.quiet, "Only the result")->configurable(false);
  app.add_option("--seed", s.seed, "All randomness follows from it");

  cli::add_network_options(app, network);

  cli::OptionGroup group(app, "Training");
  group.option("--validation", s.validation, "Training images held out and scored at the end")
      ->check(CLI::NonNegativeNumber);
  group
      .option("--validation-group", s.validation_group,
              "Score the split val of the data set instead, all of it or --validation")
      ->check(CLI::IsMember({"", "val"}));
  group.option("--subset", s.subset, "Images to train on, after holding out; 0: all")
      ->check(CLI::NonNegativeNumber);
  group.option("--epochs", s.epochs, "Passes over them")->check(CLI::Range(1, 100000));
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

  cli::add_device_options(app, s.final.device);
}

/// The purpose in the checkpoint: a text of all options that distinguish this training from
/// another.
std::string purpose_of(const CLI::App& app, const std::string& genome) {
  const std::vector<std::string> skipped{"--genome",  "--out",    "--resume", "--force",  "--quiet",
                                         "--threads", "--config", "--help",   "--version"};
  std::string text = "training of " + genome;
  for (const CLI::Option* option : app.get_options()) {
    std::string name = option->get_name();
    if (std::find(skipped.begin(), skipped.end(), name) != skipped.end()) continue;
    // Checkpoints of versions without this option go on.
    if (name == "--validation-group" && option->count() == 0) continue;
    if (name == "--learning-rate") name = "--rate";  // checkpoints call it by its short name
    text += fmt::format(" {} {}", name, cli::value_text(*option));
  }
  return text;
}

Augmentation augmentation_of(const Settings& s) {
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

/// Whether `out` is the model that an earlier session of this training finished.
bool finished_before(const std::string& out, const std::string& checkpoint,
                     const std::string& genome) {
  return !std::filesystem::exists(checkpoint) && std::filesystem::exists(out) &&
         load_model(out).genome == genome;
}

int train_network(const CLI::App& app, Settings& s) {
  const std::atomic<bool>& stop = cli::stop_on_signals();
  const std::string checkpoint = s.out + ".checkpoint";
  const SearchData data =
      open_search_data(s.data, s.validation, s.subset, s.seed, s.validation_group);
  const SearchSpace space = space_of(s.genome);
  const Genome genome = parse_genome(space, s.genome);
  const std::string text = to_string(space, genome);

  FinalOptions& f = s.final;
  f.augmentation = augmentation_of(s);
  f.network.image = data.images.shape();
  if (s.crop > 0) f.network.image.height = f.network.image.width = s.crop;
  if (s.crop == 0 && data.images.encoded()) {
    throw InvalidInput(fmt::format(
        "{}: its images vary in size; --crop says what to cut out of each (ImageNet: --crop 224 "
        "--shorter-side 256,480)",
        s.data));
  }
  f.network.classes = data.images.classes();
  f.network.dropout = static_cast<float>(s.dropout);
  f.network.drop_path = static_cast<float>(s.drop_path);
  f.recipe.epochs = s.epochs;
  f.recipe.learning_rates = {s.learning_rate};
  f.recipe.cosine_cycles = s.cycles.empty() ? std::vector<int>{s.epochs} : s.cycles;
  f.recipe.drop_path_grows = !f.network.drop_path_flat;
  if (f.device.threads == 0) f.device.threads = cli::available_cores();

  const std::string purpose = purpose_of(app, text);
  FinalState state;
  state.training.seed = s.seed;
  const std::filesystem::path folder = std::filesystem::absolute(s.out).parent_path();
  if (!std::filesystem::is_directory(folder) || ::access(folder.c_str(), W_OK) != 0) {
    throw InvalidInput(fmt::format("--out {}: the folder {} does not exist or cannot be written",
                                   s.out, folder.string()));
  }
  if (s.resume && finished_before(s.out, checkpoint, text)) {
    fmt::print("model: {}\nfinished before\n", s.out);
    return cli::kDone;
  }
  if (s.resume) {
    state = load_checkpoint(checkpoint, purpose);
  } else {
    for (const std::string& file : {s.out, checkpoint}) {
      if (!s.force && std::filesystem::exists(file)) {
        throw InvalidInput(fmt::format("{}: exists; --force replaces it{}", file,
                                       file == checkpoint ? ", --resume goes on from it" : ""));
      }
    }
  }

  const auto backend = make_backend(s.final.device);
  const Graph graph = build_network(space, genome, f.network);
  const Counts counts = count(graph);
  cli::Console console("", s.quiet);
  if (backend->precision(f.device.precision) != f.device.precision) {
    console.log()(LogLevel::kWarning, fmt::format("backend {} has no {}; using float32",
                                                  backend->name(), to_string(f.device.precision)));
  }
  for (const std::string& warning : data.warnings) console.log()(LogLevel::kWarning, warning);
  console.log()(
      LogLevel::kInfo,
      fmt::format("{}\n{} parameters, {} mult-adds, {} training images, {} on {} thread{}", text,
                  counts.parameters, counts.mult_adds, data.train.size(), backend->description(),
                  f.device.threads, f.device.threads == 1 ? "" : "s"));

  using Clock = std::chrono::steady_clock;
  const auto start = Clock::now();
  int64_t images = 0;
  const int64_t total = static_cast<int64_t>(data.train.size()) * (s.epochs - state.training.epoch);
  TrainingHooks hooks;
  hooks.stop = [&] { return stop.load(); };
  hooks.on_step = [&](int count) {
    images += count;
    const double seconds = std::chrono::duration<double>(Clock::now() - start).count();
    const double rate = static_cast<double>(images) / seconds;
    console.progress(fmt::format("{:.1f} % of {} epochs  {:.0f} images/s  {} left",
                                 100.0 * static_cast<double>(images) / static_cast<double>(total),
                                 s.epochs, rate,
                                 cli::duration_text(static_cast<double>(total - images) / rate)));
  };
  const Evaluation result = train_from_scratch(
      *backend, space, genome, std::move(state), data, f, hooks, [&](const FinalState& reached) {
        const EpochMetrics& e = reached.training.history.back();
        console.log()(LogLevel::kInfo,
                      fmt::format("epoch {}/{}: loss {:.4f}, training accuracy {:.2f} %",
                                  reached.training.epoch, s.epochs, e.loss, 100 * e.accuracy));
        save_checkpoint(checkpoint, purpose, reached);
      });
  console.finish();
  if (result.stopped) {
    cli::say("stopped; the same command with --resume goes on\n");
    return cli::kStopped;
  }
  if (result.status != Status::kOk) {
    throw Error(fmt::format("training ended: {} ({})", to_string(result.status), result.message));
  }

  Model model = make_model(text, f.network, data.images.info(), f.augmentation);
  model.validation_accuracy = result.fitness;
  model.weights = result.weights;
  save_model(s.out, model);
  std::error_code failure;
  std::filesystem::remove(checkpoint, failure);
  if (failure) {
    console.log()(LogLevel::kWarning,
                  fmt::format("{}: cannot remove it ({}); the model is finished", checkpoint,
                              failure.message()));
  }
  fmt::print("model: {}\n", s.out);
  if (!data.validation.empty()) {
    fmt::print("validation accuracy {:.2f} %\n", 100 * result.fitness);
  }
  if (DataSet::has_split(s.data, "test")) {
    const DataSet test = DataSet::open(s.data, "test");
    const Score score = score_network(
        *backend, graph, model.weights, test, all_indices(test.size()),
        {.batch = f.batch, .device = f.device, .training = f.augmentation, .stop = nullptr});
    fmt::print("test accuracy {:.2f} %\n", 100 * score.accuracy);
  }
  return cli::kDone;
}

}  // namespace

int main(int argc, char** argv) {
  CLI::App app(kDescription, "renas-train");
  cli::prepare(app);
  Settings settings;
  settings.final.device.threads = 0;
  add_options(app, settings);
  return cli::run(app, argc, argv, [&] { return train_network(app, settings); });
}
