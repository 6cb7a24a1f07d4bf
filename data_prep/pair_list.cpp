#include "pair_list.h"

#include <fmt/format.h>

#include <algorithm>
#include <filesystem>
#include <map>
#include <sstream>

#include "renas/error.h"

namespace renas::prep {
namespace {

std::vector<std::string> words_of(const std::string& line) {
  std::istringstream stream(line);
  std::vector<std::string> words;
  for (std::string word; stream >> word;) words.push_back(word);
  return words;
}

/// A path from the data set's folder on, in its shortest form, so that a file has one name. Throws
/// InvalidInput where it leads out of the folder.
std::string inner_path(std::string path, const std::string& at) {
  const std::string given = path;
  path.erase(0, std::min(path.find_first_not_of('/'), path.size()));
  std::istringstream stream(path);
  for (std::string part; std::getline(stream, part, '/');) {
    if (part == "..") {
      throw InvalidInput(fmt::format("{}: the path {} leads out of the folder", at, path));
    }
  }
  path = std::filesystem::path(path).lexically_normal().string();
  if (path.empty() || path == "." || path.back() == '/') {
    throw InvalidInput(fmt::format("{}: expected the name of a file, found {}", at, given));
  }
  return path;
}

std::string without_ending(const std::string& id) {
  for (const char* ending : {".jpg", ".jpeg", ".png"}) {
    const std::string e = ending;
    if (id.size() > e.size() && id.compare(id.size() - e.size(), e.size(), e) == 0) {
      return id.substr(0, id.size() - e.size());
    }
  }
  return id;
}

}  // namespace

std::vector<PairLine> parse_pair_list(const std::vector<std::string>& lines,
                                      const std::string& where) {
  std::vector<PairLine> pairs;
  std::map<std::string, std::size_t> seen;  // line by name
  std::size_t form = 0;                     // words of a line
  for (std::size_t i = 0; i < lines.size(); ++i) {
    const bool marked = i == 0 && lines[i].rfind("\xef\xbb\xbf", 0) == 0;  // of UTF-8
    const std::vector<std::string> words = words_of(marked ? lines[i].substr(3) : lines[i]);
    if (words.empty()) continue;
    const std::string at = fmt::format("{}:{}", where, i + 1);
    if (words.size() == 2 && (words[1] == "-1" || words[1] == "0" || words[1] == "1")) {
      throw InvalidInput(fmt::format(
          "{}: '{} {}' is of a list of one class's images; expected a list of segmentation, as in "
          "ImageSets/Segmentation",
          at, words[0], words[1]));
    }
    if (words.size() > 2) {
      throw InvalidInput(fmt::format(
          "{}: expected an id, or IMAGE MASK, found {} words; names with spaces have no form", at,
          words.size()));
    }
    if (form == 0) form = words.size();
    if (words.size() != form) {
      throw InvalidInput(fmt::format("{}: expected {} as in the lines before, found {}", at,
                                     form == 1 ? "an id" : "IMAGE MASK",
                                     words.size() == 1 ? "one name" : "two"));
    }
    PairLine pair;
    if (form == 1) {
      pair.id = inner_path(without_ending(words[0]), at);
    } else {
      pair.image = inner_path(words[0], at);
      pair.mask = inner_path(words[1], at);
    }
    const auto [earlier, fresh] = seen.emplace(form == 1 ? pair.id : pair.image, i + 1);
    if (!fresh) {
      throw InvalidInput(
          fmt::format("{}: {} is in line {} already", at, earlier->first, earlier->second));
    }
    pairs.push_back(std::move(pair));
  }
  if (pairs.empty()) {
    throw InvalidInput(where + ": no line names an image; expected ids, or pairs IMAGE MASK");
  }
  return pairs;
}

}  // namespace renas::prep
