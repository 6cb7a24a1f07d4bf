#include "cli/lists.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <cmath>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <map>
#include <set>
#include <sstream>

#include "renas/error.h"
#include "renas/model.h"

namespace renas::cli {
namespace {

/// Calls `read` for each line; what it throws is named with file and line.
template <class Read>
void for_each_line(const std::string& path, const Read& read) {
  const std::vector<ListLine> lines = read_list(path);
  if (lines.empty()) throw InvalidInput(path + ": expected one cell a line, found none");
  for (const ListLine& line : lines) {
    try {
      read(line);
    } catch (const InvalidInput& e) {
      throw InvalidInput(fmt::format("{}:{}: {}", path, line.number, e.what()));
    }
  }
}

/// Notes the lines of networks, to refuse what stands in a list twice.
class Seen {
 public:
  void add(const SearchSpace& space, const Genome& genome, int line) {
    const auto [first, is_new] =
        lines_.try_emplace(to_string(space, canonical(space, genome)), line);
    if (!is_new) {
      throw InvalidInput(fmt::format("{} gives the same network as line {}",
                                     to_string(space, genome), first->second));
    }
  }

 private:
  std::map<std::string, int> lines_;
};

float number_of(const std::string& word) {
  float number = 0;
  const auto [rest, failure] = std::from_chars(word.data(), word.data() + word.size(), number);
  if (failure != std::errc() || rest != word.data() + word.size() || !std::isfinite(number) ||
      number < 0) {
    throw InvalidInput(fmt::format("expected a number of 0 or more, found '{}'", word));
  }
  return number;
}

std::vector<std::string> words_of(std::string text) {
  for (char& c : text) c = c == ',' ? ' ' : c;
  std::istringstream stream(text);
  std::vector<std::string> words;
  for (std::string word; stream >> word;) words.push_back(word);
  return words;
}

}  // namespace

std::string read_file(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  std::ostringstream text;
  if (file && !std::filesystem::is_directory(path)) text << file.rdbuf();
  if (!file || std::filesystem::is_directory(path)) {
    throw IoError(
        fmt::format("{}: cannot read: {}", path,
                    std::filesystem::is_directory(path) ? "it is a folder" : std::strerror(errno)));
  }
  return text.str();
}

std::vector<ListLine> read_list(const std::string& path) {
  std::string text = read_file(path);
  if (text.starts_with("\xEF\xBB\xBF")) text.erase(0, 3);  // a byte-order mark
  std::vector<ListLine> lines;
  std::istringstream stream(text);
  int number = 0;
  for (std::string line; std::getline(stream, line);) {
    ++number;
    line.resize(std::min(line.size(), line.find('#')));
    const std::size_t from = line.find_first_not_of(" \t\r");
    if (from == std::string::npos) continue;
    lines.push_back({number, line.substr(from, line.find_last_not_of(" \t\r") - from + 1)});
  }
  return lines;
}

std::vector<Genome> read_genomes(const std::string& path, const SearchSpace& space) {
  std::vector<Genome> genomes;
  Seen seen;
  for_each_line(path, [&](const ListLine& line) {
    genomes.push_back(parse_genome(space, line.text));
    seen.add(space, genomes.back(), line.number);
  });
  return genomes;
}

std::vector<std::string> read_cells(const std::string& path) {
  std::vector<std::string> cells;
  Seen seen;
  for_each_line(path, [&](const ListLine& line) {
    const SearchSpace space = space_of(line.text);
    const Genome genome = parse_genome(space, line.text);
    seen.add(space, genome, line.number);
    cells.push_back(to_string(space, genome));
  });
  return cells;
}

CLI::Validator weights_of_file() {
  CLI::Validator validator(
      [](std::string& text) -> std::string {
        try {
          if (text == "auto" || text == "none") return "";
          if (std::filesystem::exists(text)) {
            std::vector<std::string> all;
            for (const ListLine& line : read_list(text)) {
              for (const std::string& word : words_of(line.text)) {
                try {
                  number_of(word);
                } catch (const InvalidInput& e) {
                  throw InvalidInput(fmt::format("{}:{}: {}", text, line.number, e.what()));
                }
                all.push_back(word);
              }
            }
            text = fmt::format("{}", fmt::join(all, ","));
          }
          class_weights_of(text);  // throws where something is no number
          return "";
        } catch (const Error& e) {
          return e.what();
        }
      },
      "none|auto|NUMBERS|FILE", "class weights");
  return validator;
}

void add_class_weights(OptionGroup& group, std::string& text) {
  group
      .option("--class-weights", text,
              "Factors of the losses of each class's images: none; auto: inverse frequency in "
              "D_train, 1 in the mean over its images; or one number a class, in the order of the "
              "classes: 1,2.5,1 or a FILE of them")
      ->transform(weights_of_file());
}

std::vector<float> class_weights_of(const std::string& text) {
  std::vector<float> weights;
  if (text == "auto" || text == "none") return weights;
  for (const std::string& word : words_of(text)) weights.push_back(number_of(word));
  if (weights.empty()) throw InvalidInput("expected none, auto, numbers, or a file of them");
  if (std::all_of(weights.begin(), weights.end(), [](float w) { return w == 0; })) {
    throw InvalidInput("expected a class weight above 0, found none: nothing would be learnt");
  }
  return weights;
}

}  // namespace renas::cli
