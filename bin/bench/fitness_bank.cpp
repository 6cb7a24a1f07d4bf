#include "bench/fitness_bank.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <limits>
#include <sstream>

#include "renas/error.h"

using nlohmann::json;

namespace {

/// A number of a line; none where the line lacks it. One that was not finite counts as infinite.
std::optional<double> number_of(const json& line, const char* key) {
  if (!line.contains(key)) return std::nullopt;
  const json& number = line.at(key);
  return number.is_null() ? std::numeric_limits<double>::infinity() : number.get<double>();
}

}  // namespace

FitnessBank::FitnessBank(std::string path, const json& options) : path_(std::move(path)) {
  if (!std::filesystem::exists(path_)) {
    add({{"bank", 1}, {"options", options}});
    return;
  }
  read();
  if (options_ != options) {
    throw renas::InvalidInput(
        fmt::format("{}: the bank was made with the options {}, these are {}; give those again, or "
                    "name another file",
                    path_, options_.dump(), options.dump()));
  }
}

FitnessBank::FitnessBank(const std::string& path) : path_(path) { read(); }

void FitnessBank::read() {
  std::ifstream file(path_, std::ios::binary);
  std::ostringstream content;
  content << file.rdbuf();
  if (!file) throw renas::IoError(fmt::format("bank: cannot read '{}'", path_));
  std::string text = content.str();
  if (const std::size_t end = text.rfind('\n') + 1; end < text.size()) {
    std::filesystem::resize_file(path_, end);
    text.resize(end);
  }
  std::istringstream lines(text);
  int number = 0;
  for (std::string line; std::getline(lines, line);) {
    ++number;
    try {
      take(json::parse(line));
    } catch (const json::exception& problem) {
      throw renas::InvalidInput(
          fmt::format("{}:{}: expected a line of a bank ({})", path_, number, problem.what()));
    }
  }
  if (number == 0) throw renas::InvalidInput(fmt::format("{}: the bank is empty", path_));
}

void FitnessBank::take(const json& line) {
  if (line.contains("bank")) {
    options_ = line.at("options");
  } else if (line.contains("truth")) {
    cells_.at(line.at("truth").get<std::size_t>()).truth[line.at("seed").get<int64_t>()] =
        line.at("accuracy").get<double>();
  } else if (line.contains("protocol")) {
    results_[line.at("protocol").get<std::string>()][line.at("cell").get<int64_t>()] = {
        line.at("fitness").get<double>(), line.at("inherited").get<double>(),
        number_of(line, "loss")};
  } else if (line.contains("random_loss")) {
    cells_.at(line.at("random_loss").get<std::size_t>()).loss = number_of(line, "loss");
  } else if (line.contains("initial_gradient")) {
    cells_.at(line.at("initial_gradient").get<std::size_t>()).gradient = number_of(line, "norm");
  } else {
    Cell cell;
    cell.id = line.at("cell").get<int64_t>();
    cell.genome = line.at("genome").get<std::string>();
    if (line.contains("parent")) {
      cell.parent = line.at("parent").get<int64_t>();
      cell.changes = line.at("changes").get<int>();
    } else {
      cell.fitness = line.at("fitness").get<double>();
      cell.loss = number_of(line, "loss");
    }
    if (cell.id != static_cast<int64_t>(cells_.size())) {
      throw renas::InvalidInput(
          fmt::format("{}: expected cell {}, found {}", path_, cells_.size(), cell.id));
    }
    cells_.push_back(std::move(cell));
  }
}

void FitnessBank::add(const json& line) {
  const std::string text = line.dump() + "\n";
  const int file = open(path_.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0666);
  const bool written = file >= 0 &&
                       write(file, text.data(), text.size()) == static_cast<ssize_t>(text.size()) &&
                       fsync(file) == 0;
  if (file >= 0) close(file);
  if (!written) throw renas::IoError(fmt::format("bank: cannot write '{}'", path_));
  take(line);
}
