#include "cli/config.h"

#include <fmt/format.h>

#include <sstream>
#include <string_view>

#include "renas/error.h"

namespace renas::cli {
namespace {

std::string trimmed(std::string_view text) {
  constexpr const char* kBlank = " \t\r";
  const std::size_t from = text.find_first_not_of(kBlank);
  if (from == std::string_view::npos) return "";
  return std::string(text.substr(from, text.find_last_not_of(kBlank) - from + 1));
}

/// The subcommand of that name; null: there is none.
const CLI::App* find_command(const CLI::App& app, const std::string& name) {
  try {
    return app.get_subcommand(name);
  } catch (const CLI::OptionNotFound&) {
    return nullptr;
  }
}

/// The line of each key of a TOML text, by its full name: `section.key`. `complain` throws of a
/// line and what is wrong with it.
template <class Complain>
std::map<std::string, int> lines_of(const std::string& text, const Complain& complain) {
  std::map<std::string, int> lines;
  std::string section;
  std::istringstream stream(text);
  int number = 0;
  int open = 0;  // brackets of a list that goes on over lines
  for (std::string raw; std::getline(stream, raw);) {
    ++number;
    const std::string line = trimmed(raw);
    const bool inside = open > 0;
    if (line.empty() || line[0] == '#' || line[0] == ';') continue;
    if (!inside && line[0] == '[') {
      section = trimmed(line.substr(1, line.find(']') - 1)) + ".";
      continue;
    }
    const std::size_t equals = line.find('=');
    if (!inside && equals == line.npos && line.find_first_of(" \t.") != line.npos) {
      complain(number, fmt::format("expected KEY = VALUE, found '{}'", line));
    }
    const std::string value = inside || equals == line.npos ? line : line.substr(equals + 1);
    bool quoted = false;
    for (const char c : value) {
      if (c == '#' && !quoted) break;
      quoted = quoted != (c == '"');
      if (!quoted) open += c == '[' ? 1 : c == ']' ? -1 : 0;
    }
    if (inside) continue;
    std::string key = trimmed(line.substr(0, equals));
    if (key.size() > 1 && key.front() == '"' && key.back() == '"') {
      key = key.substr(1, key.size() - 2);
    }
    const auto [first, is_new] = lines.try_emplace(section + key, number);
    if (!is_new) {
      complain(number, fmt::format("'{}' stands there twice, first {} lines before", key,
                                   number - first->second));
    }
  }
  return lines;
}

}  // namespace

std::string ConfigReader::file() const {
  if (!file_.empty()) return file_;
  const CLI::Option* config = app_.get_config_ptr();
  return config == nullptr || config->results().empty() ? "options" : config->results().back();
}

std::string ConfigReader::place(int line) const {
  return fmt::format("{}:{}: ", file(), line + first_line_ - 1);
}

std::vector<CLI::ConfigItem> ConfigReader::from_config(std::istream& input) const {
  const std::string text(std::istreambuf_iterator<char>(input), {});
  const auto lines = lines_of(text, [this](int line, const std::string& problem) {
    throw InvalidInput(place(line) + problem);
  });
  std::istringstream again(text);
  std::vector<CLI::ConfigItem> found_items = CLI::ConfigTOML::from_config(again);
  for (const CLI::ConfigItem& item : found_items) {
    if (item.name == "++" || item.name == "--") continue;  // a section begins or ends
    const auto found = lines.find(item.fullname());
    const int line = found == lines.end() ? 1 : found->second;
    const std::string where = place(line);
    const CLI::App* app = &app_;
    for (const std::string& section : item.parents) app = app ? find_command(*app, section) : app;
    if (app == nullptr) {
      throw InvalidInput(fmt::format("{}'{}' stands in a section that {} does not have", where,
                                     item.name, app_.get_name()));
    }
    const CLI::Option* option = app->get_option_no_throw("--" + item.name);
    if (option == nullptr) option = app->get_option_no_throw(item.name);  // without dashes
    if (option == nullptr) {
      throw InvalidInput(fmt::format("{}'{}' is no option of {}; its --help lists them", where,
                                     item.name, app_.get_name()));
    }
    if (!option->get_configurable()) {
      throw InvalidInput(
          fmt::format("{}'{}' can be given on the command line only", where, item.name));
    }
    if (option->count() == 0) lines_[option->get_name()] = line;
  }
  return found_items;
}

std::string ConfigReader::place_of(const std::string& message) const {
  std::string place_found;
  std::size_t longest = 0;  // --rate is also the beginning of --rate-of-something
  for (const auto& [name, line] : lines_) {
    if (name.size() <= longest || message.find(name) == std::string::npos) continue;
    longest = name.size();
    place_found = place(line);
  }
  return place_found;
}

}  // namespace renas::cli
