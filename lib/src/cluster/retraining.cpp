#include "cluster/retraining.h"

#include <fmt/format.h>

#include <algorithm>
#include <filesystem>
#include <optional>
#include <string_view>

#include "cluster/retrain_id.h"
#include "core/files.h"
#include "renas/error.h"
#include "renas/model.h"

namespace renas {
namespace {

/// Images of a step that each rank has at least where it is not said how many ranks join: batch
/// norms normalise by them alone.
constexpr int kLeastBatch = 8;

/// Takes over what the model of `network` on disk says of it. Returns false where there is none
/// that can be used, and the network must be trained.
bool trained_before(const RunDirectory& run, RetrainedNetwork& network, const Log& log) {
  const std::string file = run.retrained_file(network.name);
  if (!exists(file)) return false;
  std::string problem;
  try {
    const Model model = load_model(file);
    if (model.genome == network.genome) {
      network.validation_accuracy = model.validation_accuracy;
      network.validation_balanced_accuracy = model.validation_balanced_accuracy;
      return true;
    }
    problem = fmt::format("{}: expected the network of {}, found that of {}", file, network.genome,
                          model.genome);
  } catch (const IoError& e) {
    problem = e.what();
  } catch (const InvalidInput& e) {
    problem = fmt::format("{}: {}", file, e.what());
  }
  if (log) log(LogLevel::kWarning, problem + "; training it again");
  return false;
}

/// Removes models of members that a search has lost since it went on with more children.
void remove_other_models(const RunDirectory& run, const std::vector<RetrainedNetwork>& all) {
  std::error_code failure;
  const std::filesystem::path folder = run.path() + "/retrain";
  std::vector<std::string> others;
  for (std::filesystem::directory_iterator at(folder, failure), end; !failure && at != end;
       at.increment(failure)) {
    std::string name = at->path().filename().string();
    for (const char* ending : {".checkpoint.h5", ".h5"}) {
      if (name.ends_with(ending)) name.resize(name.size() - std::string_view(ending).size());
    }
    const bool known = std::any_of(all.begin(), all.end(),
                                   [&](const RetrainedNetwork& n) { return n.name == name; });
    if (!known && is_retrain_id(name)) others.push_back(at->path().string());
  }
  for (const std::string& path : others) remove_file(path);
}

}  // namespace

Retraining::Retraining(const RunSetup& setup, const RunDirectory& run, std::vector<Member> members,
                       const Log& log)
    : log_file_(run.log_file()),
      seed_(setup.options.strategy.seed),
      fitness_(setup.options.final.fitness),
      most_ranks_(setup.options.retrain_ranks),
      batch_(setup.options.final.batch),
      images_(setup.final.train.size()) {
  if (members.empty()) {
    throw Error(fmt::format(
        "all candidates failed, so there is nothing to retrain; history.jsonl in {} says why",
        run.path()));
  }
  std::stable_sort(members.begin(), members.end(),
                   [](const Member& a, const Member& b) { return a.fitness > b.fitness; });
  std::vector<RetrainedNetwork> all;
  const auto add = [&](const RetrainId& id, const Genome& genome) {
    RetrainedNetwork network;
    network.name = to_string(id);
    network.genome = to_string(setup.space, genome);
    all.push_back(std::move(network));
  };
  for (const Member& m : members) add({RetrainId::Kind::kMember, m.id}, m.genome);
  uint64_t number = 0;
  for (const Genome& genome : control_genomes(setup)) {
    add({RetrainId::Kind::kControl, ++number}, genome);
  }
  size_ = all.size();
  remove_other_models(run, all);
  for (RetrainedNetwork& network : all) {
    order_.push_back(network.name);
    if (trained_before(run, network, log)) {
      // A process that was killed between the model and this may have left it.
      remove_file(run.checkpoint_file(network.name));
      done_.push_back(std::move(network));
    } else {
      waiting_.push_back(std::move(network));
    }
  }
  if (!waiting_.empty()) leave_out_failed(run, log);
}

void Retraining::leave_out_failed(const RunDirectory& run, const Log& log) {
  std::optional<RunResult> known;
  try {
    known = run.load_result();
  } catch (const Error&) {  // whoever judges the networks will say what is wrong with it
  }
  if (!known) return;
  const auto is_known = [&known](const RetrainedNetwork& network) {
    return std::any_of(known->networks.begin(), known->networks.end(),
                       [&](const RetrainedNetwork& k) {
                         return k.name == network.name && k.genome == network.genome;
                       });
  };
  // A result of other networks says nothing of these.
  const auto known_here = std::count_if(done_.begin(), done_.end(), is_known) +
                          std::count_if(waiting_.begin(), waiting_.end(), is_known);
  if (known_here != static_cast<std::ptrdiff_t>(known->networks.size())) return;
  std::erase_if(waiting_, [&](const RetrainedNetwork& network) {
    if (is_known(network)) return false;
    --size_;
    if (log) {
      log(LogLevel::kWarning,
          fmt::format("{} failed when this run ended; not trained again", network.name));
    }
    return true;
  });
}

uint64_t Retraining::seed_of(const RetrainedNetwork& network) const {
  const RetrainId id = parse_retrain_id(network.name);
  const uint64_t stream = 1 + 2 * id.number + (id.kind == RetrainId::Kind::kControl ? 1 : 0);
  return Random(seed_, Purpose::kRetrain, stream).bits64();
}

std::ptrdiff_t Retraining::place_of(const RetrainedNetwork& network) const {
  return std::find(order_.begin(), order_.end(), network.name) - order_.begin();
}

int Retraining::ranks_for(const RetrainedNetwork& network, const RankCounts& ranks) const {
  const auto networks = static_cast<int>(order_.size());
  const int left = networks % ranks.all;  // when each rank has had equally many
  if (place_of(network) < networks - left) return 1;
  int most = std::min(ranks.all / left, ranks.usable);
  most = std::min(most, most_ranks_ == 0 ? batch_ / kLeastBatch : most_ranks_);
  if (images_ < static_cast<std::size_t>(batch_)) return 1;  // for whole batches
  int count = std::max(1, most);
  while (batch_ % count != 0) --count;
  return count;
}

double Retraining::fitness_of(const RetrainedNetwork& network) const {
  return fitness_ == Fitness::kBalancedAccuracy ? network.validation_balanced_accuracy.value_or(0)
                                                : network.validation_accuracy;
}

double Retraining::best() const {
  double best = 0;
  for (const RetrainedNetwork& n : done_) best = std::max(best, fitness_of(n));
  return best;
}

void Retraining::take(RetrainedNetwork network, int rank, const Report& report, const Log& log) {
  const auto say = [&log](LogLevel level, const std::string& text) {
    if (log) log(level, text);
  };
  if (report.status != Status::kOk) {
    say(LogLevel::kWarning, fmt::format("retraining of {} failed: {} ({})", network.name,
                                        to_string(report.status), report.message));
    --size_;
    return;
  }
  if (!report.message.empty()) {
    say(LogLevel::kWarning, fmt::format("retraining of {}: {}", network.name, report.message));
  }
  if (!report.sums.empty()) {
    say(LogLevel::kInfo, fmt::format("retraining of {}: {}", network.name, report.sums));
  }
  network.validation_accuracy = report.validation.accuracy;
  network.validation_balanced_accuracy = report.validation.balanced_accuracy;
  say(LogLevel::kInfo, fmt::format("retrained {} on rank {}: {:.2f} % on D_val, {}", network.name,
                                   rank, 100 * report.fitness, network.genome));
  done_.push_back(std::move(network));
}

SearchRunResult Retraining::result() const {
  SearchRunResult result;
  result.finished = true;
  result.networks = done_;
  std::sort(result.networks.begin(), result.networks.end(),
            [this](const RetrainedNetwork& a, const RetrainedNetwork& b) {
              return place_of(a) < place_of(b);
            });
  // The winner is a member; controls only stand beside it.
  const RetrainedNetwork* winner = nullptr;
  for (const RetrainedNetwork& n : result.networks) {
    if (parse_retrain_id(n.name).kind == RetrainId::Kind::kControl) continue;
    if (winner == nullptr || fitness_of(n) > fitness_of(*winner)) winner = &n;
  }
  if (winner == nullptr) {
    throw Error(fmt::format("none of the retrained networks succeeded; see {}", log_file_));
  }
  result.winner = winner->name;
  return result;
}

}  // namespace renas
