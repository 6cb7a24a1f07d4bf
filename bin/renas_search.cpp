// renas-search runs the search over MPI ranks, retrains the finalists and prints the result.

#include <fmt/format.h>

#include "cli/console.h"
#include "cli/frame.h"
#include "cli/print_plan.h"
#include "cli/ranks.h"
#include "cli/recipe.h"
#include "cli/run_on_ranks.h"
#include "cli/search_settings.h"
#include "renas/error.h"
#include "renas/replay.h"
#include "renas/run_directory.h"
#include "renas/search_run.h"

using namespace renas;

namespace {

constexpr const char* kDescription =
    "Searches a cell by RENAS (Chen et al., CVPR 2019): tournament evolution whose mutations a\n"
    "recurrent controller decides; each candidate is trained shortly, from scratch or from its\n"
    "parent's weights (--inherit). Then retrains the best from scratch and reads the winner's\n"
    "test accuracy.\n\n"
    "  mpirun -np 4 renas-search --data images.h5 --run runs/first\n\n"
    "Run it alone or under mpirun: every rank trains children, rank 0 also coordinates. The run "
    "is\n"
    "a folder; stopped by SIGINT, SIGTERM, SIGHUP or SIGUSR1 (--drain), or killed, it goes on "
    "by\n"
    "  renas-search --run DIR --resume";

constexpr const char* kFooter =
    "Exit codes: 0 done; 1 failed; 2 something to mend (options, files, disk space);\n"
    "3 stopped by a signal, --resume goes on.";

std::string progress_line(const SearchProgress& p) {
  const bool search = p.phase == SearchProgress::Phase::kSearch;
  std::string line = fmt::format("{} {}/{}", search ? "search" : "retrain", p.done, p.total);
  if (p.best > 0) line += fmt::format("  best {:.2f} %", 100 * p.best);
  if (search && p.mean > 0) line += fmt::format("  mean {:.2f} %", 100 * p.mean);
  line += fmt::format("  {:.0f} images/s", p.images_per_second);
  if (p.seconds_left) line += "  " + cli::duration_text(*p.seconds_left) + " left";
  return line;
}

void print_result(const SearchRunResult& result, const RunDirectory& run, Fitness fitness) {
  const auto balanced = [fitness](double accuracy) {
    return fitness == Fitness::kAccuracy ? std::string()
                                         : fmt::format(" ({:.2f} % balanced)", 100 * accuracy);
  };
  for (const RetrainedNetwork& n : result.networks) {
    const bool control = n.name.starts_with("control");
    const bool winner = n.name == result.winner;
    fmt::print("{:<12}{:6.2f} % on D_val{}{}  {}\n",
               winner    ? "winner " + n.name
               : control ? "random " + n.name.substr(7)
                         : "member " + n.name,
               100 * n.validation_accuracy, balanced(n.validation_balanced_accuracy.value_or(0)),
               n.test_accuracy ? fmt::format("  {:6.2f} % on test{}", 100 * *n.test_accuracy,
                                             balanced(n.test_balanced_accuracy.value_or(0)))
                               : "",
               n.genome);
  }
  fmt::print("model: {}\n", run.best_file());
  for (const RetrainedNetwork& n : result.networks) {
    if (n.name == result.winner && n.test_accuracy) {
      fmt::print("test accuracy {:.2f} %\n", 100 * *n.test_accuracy);
    }
  }
}

int replay(const SearchRunOptions& options, bool decisions_only, SearchRunHooks hooks) {
  hooks.log = [](LogLevel, std::string_view text) { cli::say(fmt::format("{}\n", text)); };
  const Replay replay = replay_search(options, decisions_only, hooks);
  fmt::print("{} results as in the history", replay.lines);
  if (!decisions_only) {
    fmt::print(", {} of them trained again; {} files of weights equal to the bit", replay.trained,
               replay.weights);
  }
  fmt::print("\n");
  if (replay.stopped) return cli::kStopped;
  if (replay.difference.empty()) return cli::kDone;
  cli::say(fmt::format("{}\n", replay.difference));
  return cli::kFailed;
}

int search(const CLI::App& app, SearchRunOptions o, const cli::SearchSettings& settings,
           const cli::Ranks& ranks, Transport& transport, int& silent_ranks) {
  if (!o.resume) o.stored_options = app.config_to_str(true, true);
  std::string threads_from;
  if (o.child.device.threads == 0) {
    o.child.device.threads = ranks.threads().count;
    threads_from = fmt::format(" ({})", ranks.threads().decided_by);
  }
  o.final.device = o.child.device;

  const bool first = ranks.rank() == 0;
  std::unique_ptr<cli::Console> console;
  SearchRunHooks hooks;
  hooks.stop = &cli::stop_on_signals();
  if (o.drain_seconds > 0) hooks.drain = &cli::drain_on_signal();
  hooks.memory = ranks.memory();
  hooks.silent_ranks = &silent_ranks;
  hooks.device_index = ranks.choose_device(o.child.device.backend, settings.ranks_per_gpu);
  if (first) {
    // The log lies in the run's folder, which does not exist before the run has created it. The
    // first message therefore opens the log.
    hooks.log = [&](LogLevel level, std::string_view text) {
      if (!console) {
        console =
            std::make_unique<cli::Console>(RunDirectory::open(o.folder).log_file(), settings.quiet);
        console->log()(LogLevel::kInfo,
                       fmt::format("{} rank{} x {} thread{}{}", ranks.ranks(),
                                   ranks.ranks() == 1 ? "" : "s", o.child.device.threads,
                                   o.child.device.threads == 1 ? "" : "s", threads_from));
      }
      console->log()(level, text);
    };
    hooks.on_progress = [&](const SearchProgress& p) {
      const double share =
          p.total > 0 ? static_cast<double>(p.done) / static_cast<double>(p.total) : 0;
      if (console) console->progress(progress_line(p), share);
    };
  } else {
    hooks.log = [](LogLevel level, std::string_view text) {
      if (level == LogLevel::kError) cli::say(fmt::format("{}\n", text));
    };
  }
  if (!settings.replay.empty()) {
    return first ? replay(o, settings.decisions_only, hooks) : cli::kDone;
  }
  if (settings.plan) {
    if (first) cli::print_plan(plan_search(o, hooks), o);
    return cli::kDone;
  }
  const SearchRunResult result = run_search(o, transport, hooks);
  if (console) console->finish();
  if (!first) return result.silent_ranks > 0 ? cli::kFailed : cli::kDone;
  if (result.finished) {
    print_result(result, RunDirectory::open(o.folder), o.final.fitness);
  } else {
    cli::say(fmt::format("stopped; go on by renas-search --run {} --resume\n", o.folder));
  }
  return result.finished ? cli::kDone : cli::kStopped;
}

}  // namespace

int main(int argc, char** argv) {
  const cli::Ranks ranks(argc, argv);
  CLI::App app(kDescription, "renas-search");
  cli::prepare(app);
  app.footer(kFooter);
  cli::SearchSettings settings;
  settings.run.child.device.threads = 0;
  cli::add_search_options(app, settings);
  const std::unique_ptr<Transport> transport = ranks.make_transport();
  SearchRunOptions options;
  const auto prepare = [&] {
    cli::apply_recipe(app, argc, argv);
    cli::parse(app, argc, argv);
    for (const char* other : {"--blocks", "--operators"}) {
      const CLI::Option& option = *app.get_option(other);
      if (!settings.space.empty() && cli::value_text(option) != option.get_default_str()) {
        throw InvalidInput(fmt::format("{} and --space: the space's file says it all", other));
      }
    }
    if (!settings.replay.empty()) {
      settings = cli::settings_to_replay(app, settings);
    } else if (settings.run.folder.empty()) {
      throw InvalidInput("--run is required");
    } else if (settings.run.resume) {
      settings = cli::settings_of_run(app, settings);
    } else if (settings.run.data.empty()) {
      throw InvalidInput("--data is required, except with --resume");
    }
    options = cli::run_options(settings);
  };
  return cli::run_on_ranks(app, ranks, prepare, [&](int& silent_ranks) {
    return search(app, options, settings, ranks, *transport, silent_ranks);
  });
}
