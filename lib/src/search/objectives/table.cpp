#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <charconv>
#include <cmath>
#include <limits>
#include <string_view>
#include <vector>

#include "renas/error.h"
#include "renas/objective.h"

namespace renas {

namespace {

/// Splits a line at its commas.
std::vector<std::string_view> cells_of(std::string_view line) {
  std::vector<std::string_view> cells;
  for (;;) {
    const std::size_t comma = line.find(',');
    cells.push_back(line.substr(0, comma));
    if (comma == std::string_view::npos) {
      return cells;
    }
    line.remove_prefix(comma + 1);
  }
}

/// Reads a text line by line, skips empty lines and counts all of them.
class Lines {
 public:
  explicit Lines(std::string_view text) : rest_(text) {}
  bool next(std::string_view& line) {
    do {
      if (rest_.empty()) {
        return false;
      }
      const std::size_t end = rest_.find('\n');
      line = rest_.substr(0, end);
      rest_.remove_prefix(end == std::string_view::npos ? rest_.size() : end + 1);
      if (!line.empty() && line.back() == '\r') {
        line.remove_suffix(1);
      }
      ++number_;
    } while (line.empty());
    return true;
  }
  int number() const { return number_; }

 private:
  std::string_view rest_;
  int number_ = 0;
};

class TableObjective final : public Objective {
 public:
  TableObjective(const SearchSpace& space, const std::string& csv, const std::string& reward,
                 const std::string& truth)
      : space_(space) {
    constexpr double kLargest = 1e7;
    if (space.size() > kLargest) {
      throw InvalidInput(
          fmt::format("table: search space '{}' has {:.3g} genomes; tables cover up to {:.0g}",
                      space.name(), space.size(), kLargest));
    }
    const double none = std::numeric_limits<double>::quiet_NaN();
    rewards_.assign(space.size(), none);
    truths_ = rewards_;

    Lines lines(csv);
    std::string_view line;
    if (!lines.next(line)) {
      throw InvalidInput("table: it is empty; expected a header line");
    }
    const auto header = cells_of(line);
    const auto column = [&](const std::string& name) {
      const auto found = std::find(header.begin(), header.end(), name);
      if (found == header.end()) {
        throw InvalidInput(fmt::format("table: there is no column '{}'; its columns are {}", name,
                                       fmt::join(header, ", ")));
      }
      return found - header.begin();
    };
    const std::size_t arch = column("arch");
    const std::size_t reward_column = column(reward);
    const std::size_t truth_column = column(truth);
    std::size_t rows = 0;
    while (lines.next(line)) {
      const auto cells = cells_of(line);
      const std::string where = fmt::format("table, line {}", lines.number());
      if (cells.size() != header.size()) {
        throw InvalidInput(fmt::format("{}: expected {} cells as in the header, found {}", where,
                                       header.size(), cells.size()));
      }
      Genome genome;
      try {
        genome = parse_genome(space, cells[arch]);
      } catch (const InvalidInput& error) {
        throw InvalidInput(fmt::format("{}: {}", where, error.what()));
      }
      const std::size_t i = index(genome);
      if (!std::isnan(rewards_[i])) {
        throw InvalidInput(fmt::format("{}: genome '{}' stands there twice", where, cells[arch]));
      }
      rewards_[i] = number(cells[reward_column], where, reward);
      truths_[i] = number(cells[truth_column], where, truth);
      best_ = std::max(best_, truths_[i]);
      ++rows;
    }
    if (rows != rewards_.size()) {
      throw InvalidInput(fmt::format("table: it has {} genomes, search space '{}' has {}", rows,
                                     space.name(), rewards_.size()));
    }
  }

  const SearchSpace& space() const override { return space_; }
  double reward(const Genome& genome) const override { return rewards_[index(genome)]; }
  double truth(const Genome& genome) const override { return truths_[index(genome)]; }
  double best_truth() const override { return best_; }

 private:
  /// The number of a genome, with one digit for each slot (mixed radix).
  std::size_t index(const Genome& genome) const {
    std::size_t index = 0;
    for (int slot = 0; slot < space_.slot_count(); ++slot) {
      index = index * space_.slot(slot).choices.size() + genome[slot];
    }
    return index;
  }

  static double number(std::string_view text, const std::string& where, const std::string& name) {
    double value = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    if (error != std::errc() || end != text.data() + text.size() || !(value >= 0 && value <= 100)) {
      throw InvalidInput(fmt::format("{}: column '{}' holds '{}'; expected a number from 0 to 100",
                                     where, name, text));
    }
    return value;
  }

  SearchSpace space_;
  std::vector<double> rewards_, truths_;  // indexed by index(genome)
  double best_ = 0;
};

}  // namespace

std::unique_ptr<Objective> table_objective(const SearchSpace& space, const std::string& csv,
                                           const std::string& reward, const std::string& truth) {
  return std::make_unique<TableObjective>(space, csv, reward, truth);
}

}  // namespace renas
