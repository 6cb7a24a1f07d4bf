#include "cluster/cell_list.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>

#include "cluster/retry.h"
#include "renas/error.h"
#include "renas/model.h"

namespace renas {
namespace {

int number_of(const TrainedCell& cell) {
  int number = 0;
  std::from_chars(cell.name.data(), cell.name.data() + cell.name.size(), number);
  return number;
}

/// Why the model of a cell that was trained cannot be used; empty: it can.
std::string problem_of_model(const std::string& file, const std::string& genome) {
  try {
    const Model model = load_model(file);
    if (model.genome == genome) return "";
    return fmt::format("{}: expected the network of {}, found that of {}", file, genome,
                       model.genome);
  } catch (const Error& e) {
    return e.what();
  }
}

}  // namespace

CellList::CellList(const ListTrainingOptions& options, const RunDirectory& run, const Log& log)
    : run_(run),
      io_patience_(options.io_patience),
      seed_(options.seed),
      held_out_(options.validation != 0 || !options.validation_group.empty()),
      size_(options.genomes.size()) {
  const std::vector<TrainedCell> known = run.trained_cells();
  for (std::size_t i = 0; i < size_; ++i) {
    const std::string name = std::to_string(i + 1);
    const std::string& genome = options.genomes[i];
    // The last line counts: a cell is trained again where its model is lost.
    const auto line = std::find_if(known.rbegin(), known.rend(), [&](const TrainedCell& cell) {
      return cell.name == name && cell.genome == genome;
    });
    if (line != known.rend()) {
      const std::string problem = line->status == Status::kOk
                                      ? problem_of_model(run.retrained_file(name), genome)
                                      : std::string();
      if (problem.empty()) {
        done_.push_back(*line);
        continue;
      }
      if (log) log(LogLevel::kWarning, problem + "; training it again");
    }
    RetrainedNetwork network;
    network.name = name;
    network.genome = genome;
    waiting_.push_back(std::move(network));
  }
}

double CellList::best() const {
  double best = 0;
  for (const TrainedCell& cell : done_) best = std::max(best, cell.validation_accuracy);
  return best;
}

void CellList::take(RetrainedNetwork network, int rank, const Report& report, const Log& log) {
  TrainedCell cell;
  cell.name = std::move(network.name);
  cell.genome = std::move(network.genome);
  cell.status = report.status;
  cell.message = report.message;
  cell.validation_accuracy = report.validation.accuracy;
  cell.validation_balanced_accuracy = report.validation.balanced_accuracy;
  if (report.test) {
    cell.test_accuracy = report.test->accuracy;
    cell.test_balanced_accuracy = report.test->balanced_accuracy;
  }
  cell.parameters = report.counts.parameters;
  cell.mult_adds = report.counts.mult_adds;
  cell.seconds = report.seconds;
  cell.rank = rank;
  const auto say = [&log](LogLevel level, const std::string& text) {
    if (log) log(level, text);
  };
  retrying([&] { run_.append(cell); }, io_patience_,
           [&](const IoError& e) {
             say(LogLevel::kWarning, fmt::format("{}; trying again", e.what()));
           });
  if (cell.status != Status::kOk) {
    say(LogLevel::kWarning,
        fmt::format("cell {} failed: {} ({})", cell.name, to_string(cell.status), cell.message));
  } else {
    if (!cell.message.empty()) {
      say(LogLevel::kWarning, fmt::format("cell {}: {}", cell.name, cell.message));
    }
    std::string scores;
    if (held_out_) scores += fmt::format("{:.2f} % on D_val, ", 100 * cell.validation_accuracy);
    if (cell.test_accuracy) scores += fmt::format("{:.2f} % on test, ", 100 * *cell.test_accuracy);
    say(LogLevel::kInfo,
        fmt::format("cell {} on rank {}: {}{}", cell.name, rank, scores, cell.genome));
  }
  done_.push_back(std::move(cell));
}

std::vector<TrainedCell> CellList::results() const {
  std::vector<TrainedCell> cells = done_;
  std::sort(cells.begin(), cells.end(),
            [](const TrainedCell& a, const TrainedCell& b) { return number_of(a) < number_of(b); });
  return cells;
}

}  // namespace renas
