#include "renas/replay.h"

#include <fmt/format.h>

#include <chrono>
#include <map>
#include <memory>

#include "cluster/asked_candidate.h"
#include "cluster/run_setup.h"
#include "core/files.h"
#include "renas/error.h"
#include "renas/model.h"
#include "renas/run_directory.h"

namespace renas {
namespace {

constexpr auto kSayEvery = std::chrono::seconds(10);

/// Something is another than it was.
class Difference : public Error {
 public:
  using Error::Error;
};

class Replayer {
 public:
  Replayer(const RunSetup& setup, const RunDirectory& run, Backend* backend,
           const SearchRunHooks& hooks)
      : setup_(setup),
        run_(run),
        backend_(backend),
        hooks_(hooks),
        strategy_(setup.options.make_strategy
                      ? setup.options.make_strategy(setup.space, setup.options.strategy)
                      : make_strategy(setup.space, setup.options.strategy)) {}

  Replay run() {
    const std::vector<HistoryEntry> history = run_.history();
    for (const HistoryEntry& entry : history) {
      if (stop()) {
        replay_.stopped = true;
        break;
      }
      try {
        redo(entry);
      } catch (const Error& e) {
        replay_.difference =
            fmt::format("{}/history.jsonl:{}: {}", run_.path(), entry.line + 1, e.what());
        break;
      }
      if (replay_.stopped) break;
      ++replay_.lines;
      say_progress(history.size());
    }
    return replay_;
  }

 private:
  bool stop() const { return hooks_.stop != nullptr && *hooks_.stop; }

  void redo(const HistoryEntry& entry) {
    const Candidate candidate = asked_candidate(*strategy_, entry.id, entry.asked, asked_);
    if (const auto what = difference_from(setup_.space, candidate, entry); !what.empty()) {
      throw Difference(what);
    }
    if (backend_ != nullptr) train(candidate, entry);
    if (replay_.stopped) return;
    const Told told = strategy_->tell(candidate.id, {entry.status, entry.fitness, entry.inherited});
    if (removed_by(candidate.id, entry.status, told) != entry.removed) {
      throw Difference("another member leaves for it");
    }
    std::erase_if(weights_, [this](const auto& held) { return !strategy_->keeps(held.first); });
  }

  void train(const Candidate& candidate, const HistoryEntry& entry) {
    // These ended by what befell their ranks.
    if (entry.status == Status::kLost || entry.status == Status::kOutOfMemory) return;
    const bool anew = !setup_.options.child.inherit ||
                      entry.message.find("trained from scratch") != std::string::npos;
    const auto parent =
        candidate.parent && !anew ? weights_.find(*candidate.parent) : weights_.end();
    if (candidate.parent && !anew && parent == weights_.end()) {
      throw Difference(fmt::format("there are no weights of parent {}", *candidate.parent));
    }
    TrainingHooks hooks;
    hooks.stop = [this] { return stop(); };
    Evaluation evaluation = evaluate_candidate(*backend_, setup_.space, candidate.genome,
                                               candidate.stream(setup_.options.strategy.seed),
                                               parent == weights_.end() ? nullptr : &parent->second,
                                               setup_.search, setup_.options.child, hooks);
    if (evaluation.stopped) {
      replay_.stopped = true;
      return;
    }
    if (evaluation.status != entry.status || evaluation.fitness != entry.fitness) {
      throw Difference(fmt::format("expected {} with fitness {}, found {} with {}",
                                   to_string(entry.status), entry.fitness,
                                   to_string(evaluation.status), evaluation.fitness));
    }
    ++replay_.trained;
    if (entry.status != Status::kOk) return;
    compare_weights(candidate.id, evaluation.weights);
    weights_[candidate.id] = {candidate.genome, std::move(evaluation.weights)};
  }

  /// Those of members that have left are gone.
  void compare_weights(uint64_t id, const Weights& weights) {
    const std::string file = run_.weights_file(id);
    if (!exists(file)) return;
    if (load_member(file, id).weights != weights) throw Difference(file + " holds other weights");
    ++replay_.weights;
  }

  void say_progress(std::size_t lines) {
    const auto now = std::chrono::steady_clock::now();
    if (!hooks_.log || now - said_ < kSayEvery) return;
    said_ = now;
    hooks_.log(LogLevel::kInfo, fmt::format("replayed {} of {} results", replay_.lines, lines));
  }

  const RunSetup& setup_;
  const RunDirectory& run_;
  Backend* backend_;  ///< null: decisions only
  const SearchRunHooks& hooks_;
  std::unique_ptr<Strategy> strategy_;
  uint64_t asked_ = 0;
  std::map<uint64_t, Parent> weights_;  ///< by id, while a child may inherit them
  std::chrono::steady_clock::time_point said_ = std::chrono::steady_clock::now();
  Replay replay_;
};

}  // namespace

Replay replay_search(const SearchRunOptions& given, bool decisions_only,
                     const SearchRunHooks& hooks) {
  const RunDirectory run = RunDirectory::open(given.folder);
  SearchRunOptions options = given;
  options.child.device.index = hooks.device_index;
  const RunSetup setup = make_setup(options);
  if (const auto then = run.data(); then && *then != setup.data_identity) {
    throw InvalidInput(
        fmt::format("{}: expected the data set that the run in {} was started with "
                    "({}), found another ({})",
                    options.data, run.path(), *then, setup.data_identity));
  }
  std::unique_ptr<Backend> backend;
  if (!decisions_only) backend = make_backend(options.child.device);
  return Replayer(setup, run, backend.get(), hooks).run();
}

}  // namespace renas
