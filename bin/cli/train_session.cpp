#include "cli/train_session.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <filesystem>

#include "cli/outputs.h"
#include "renas/error.h"

namespace renas::cli {

void open_data(TrainSession& t, const TrainSettings& s, const std::string& genome) {
  t.genome = genome;
  t.checkpoint = s.out + ".checkpoint";
  t.data = open_search_data(s.data, s.validation, s.subset, s.seed, s.validation_group);
  if (DataSet::has_split(s.data, "test")) t.test = DataSet::open(s.data, "test");
}

namespace {

/// What a model says of its network, in words; models of searches, of lists and of earlier versions
/// say nothing else of how they were trained.
std::string network_text(const std::string& genome, const NetworkOptions& n) {
  return fmt::format(
      "{}, network {}, N = {}, F = {}, stem {}, images of {}, {} classes{}{}", genome,
      to_string(n.kind), n.cells, n.filters, n.stem, to_string(n.image), n.classes,
      n.concat_c2 ? ", c-2 concatenated" : "",
      n.kind == NetworkKind::kDeepLab ? fmt::format(", output stride {}", n.output_stride) : "");
}

}  // namespace

void find_state(TrainSession& t, const CLI::App& app, const TrainSettings& s,
                const NetworkOptions& network, const Ranks& ranks) {
  t.data_identity = identity_of(s.data, t.data->images);
  t.purpose = purpose_of(app, t.genome, t.data_identity);
  const auto expect_purpose = [&](const std::string& file, const std::string& found) {
    // Earlier versions knew data by their path.
    const bool has_path = found.find(" --data /") != std::string::npos;
    const std::string now = has_path ? purpose_of(app, t.genome, s.data) : t.purpose;
    if (found == now) return;
    throw InvalidInput(
        fmt::format("{}: is of another training: {}. Give the same options to go on, or another "
                    "output to start anew.",
                    file, differing_options(found, now)));
  };
  t.state.training.seed = s.seed;
  const std::filesystem::path folder = std::filesystem::absolute(s.out).parent_path();
  if (!std::filesystem::is_directory(folder) || ::access(folder.c_str(), W_OK) != 0) {
    throw InvalidInput(fmt::format("--out {}: the folder {} does not exist or cannot be written",
                                   s.out, folder.string()));
  }
  check_outputs({{"--data", s.data}, {"--body", s.body}},
                {{"--out", s.out}, {"its checkpoint", t.checkpoint}});
  if (ranks.rank() == 0) t.lock = std::make_unique<FileLock>(s.out);
  if (s.resume && !std::filesystem::exists(t.checkpoint) && std::filesystem::exists(s.out)) {
    t.finished = load_model(s.out);
    if (!t.finished->purpose.empty()) {
      expect_purpose(s.out, t.finished->purpose);
    } else {
      const std::string found = network_text(t.finished->genome, t.finished->network);
      const std::string expected = network_text(t.genome, network);
      if (found != expected) {
        throw InvalidInput(fmt::format(
            "{}: expected a model of\n  {}\nfound one of\n  {}\nName another output, or "
            "replace it by --force.",
            s.out, expected, found));
      }
    }
    return;
  }
  if (s.resume) {
    if (!std::filesystem::exists(t.checkpoint)) {
      throw InvalidInput(
          fmt::format("{}: there is no checkpoint to go on from; leave --resume out "
                      "to begin",
                      t.checkpoint));
    }
    const std::string found = checkpoint_purpose(t.checkpoint);
    expect_purpose(t.checkpoint, found);
    t.state = load_checkpoint(t.checkpoint, found);
    return;
  }
  for (const std::string& file : {s.out, t.checkpoint}) {
    if (!s.force && std::filesystem::exists(file)) {
      throw InvalidInput(fmt::format("{}: exists; --force replaces it{}", file,
                                     file == t.checkpoint ? ", --resume goes on from it" : ""));
    }
  }
}

void expect_same_training(Communicator* communicator, const TrainSession& t) {
  expect_same(communicator, t.data_identity, "see the same data set");
  expect_same(communicator, t.purpose, "have the same options");
  expect_same(communicator, std::to_string(t.state.training.epoch),
              "see the same checkpoint, of the same number of epochs,");
}

void say_how_ranks_train(const TrainSession& t, const TrainSettings& s, const FinalOptions& f,
                         const Backend& backend, const Ranks& ranks, const Log& log) {
  if (backend.precision(f.device.precision) != f.device.precision) {
    log(LogLevel::kWarning, fmt::format("backend {} has no {}; using float32", backend.name(),
                                        to_string(f.device.precision)));
  }
  const std::string reason = f.device.backend == "auto" ? why_no_gpu() : "";
  if (!reason.empty()) log(LogLevel::kInfo, "no GPU: " + reason);
  for (const std::string& warning : t.data->warnings) log(LogLevel::kWarning, warning);
  for (const std::string& warning : schedule_warnings(s)) log(LogLevel::kWarning, warning);
  if (std::ssize(t.data->train) < f.batch) {
    log(LogLevel::kWarning, fmt::format("--batch {}: a step takes the {} training images there are",
                                        f.batch, t.data->train.size()));
  }
  const int side = std::min(f.network.image.height, f.network.image.width);
  if (f.augmentation.cutout >= side) {
    log(LogLevel::kWarning, fmt::format("--cutout {}: leaves little or nothing of images of {}",
                                        f.augmentation.cutout, to_string(f.network.image)));
  }
  if (ranks.ranks() > 1) {
    log(LogLevel::kInfo,
        fmt::format("{} ranks: a batch of {} on each, {} images a step; the learning rate of {} is "
                    "as given, not scaled",
                    ranks.ranks(), f.batch, f.batch * ranks.ranks(), s.learning_rate));
  }
  if (t.state.training.epoch > 0 && t.state.training.ranks != ranks.ranks()) {
    log(LogLevel::kWarning,
        fmt::format("the checkpoint is of {} rank{}, now there are {}: images come in other "
                    "batches than they would have",
                    t.state.training.ranks, t.state.training.ranks == 1 ? "" : "s", ranks.ranks()));
  }
}

std::function<void(int)> show_progress(Console& console, const TrainSession& t,
                                       const TrainSettings& s) {
  using Clock = std::chrono::steady_clock;
  const int64_t total =
      static_cast<int64_t>(t.data->train.size()) * (s.epochs - t.state.training.epoch);
  return [&console, total, epochs = s.epochs, start = Clock::now(),
          images = int64_t{0}](int count) mutable {
    images += count;
    const double seconds = std::chrono::duration<double>(Clock::now() - start).count();
    const double rate = static_cast<double>(images) / seconds;
    console.progress(fmt::format("{:.1f} % of {} epochs  {:.{}f} images/s  {} left",
                                 100.0 * static_cast<double>(images) / static_cast<double>(total),
                                 epochs, rate, rate < 100 ? 1 : 0,
                                 duration_text(static_cast<double>(total - images) / rate)));
  };
}

void finish_model(const TrainSession& t, const TrainSettings& s, Model model, const Log& log) {
  model.purpose = t.purpose;
  save_model(s.out, model);
  std::error_code failure;
  std::filesystem::remove(t.checkpoint, failure);
  if (failure) {
    log(LogLevel::kWarning, fmt::format("{}: cannot remove it ({}); the model is finished",
                                        t.checkpoint, failure.message()));
  }
  fmt::print("model: {}\n", s.out);
}

}  // namespace renas::cli
