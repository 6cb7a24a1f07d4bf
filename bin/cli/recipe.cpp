#include "cli/recipe.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <optional>

#include "renas/error.h"

namespace renas::cli {

namespace {

constexpr std::string_view kOption = "--recipe";

std::optional<std::string> recipe_of(int argc, const char* const* argv) {
  for (int i = 1; i < argc; ++i) {
    const std::string_view argument = argv[i];
    if (argument == kOption && i + 1 < argc) return argv[i + 1];
    if (argument.starts_with(kOption) && argument.substr(kOption.size()).starts_with("=")) {
      return std::string(argument.substr(kOption.size() + 1));
    }
  }
  return std::nullopt;
}

}  // namespace

std::string recipe_folder(const std::string& program_name) {
  std::error_code failure;
  const std::filesystem::path program = std::filesystem::read_symlink("/proc/self/exe", failure);
  return (program.parent_path().parent_path() / "share/renas/recipes" / program_name).string();
}

std::vector<std::string> recipe_names(const std::string& program) {
  std::vector<std::string> names;
  std::error_code failure;
  for (const auto& entry : std::filesystem::directory_iterator(recipe_folder(program), failure)) {
    if (entry.path().extension() == ".toml") names.push_back(entry.path().stem().string());
  }
  std::sort(names.begin(), names.end());
  return names;
}

void add_recipe_option(CLI::App& app, std::string& recipe, const std::string& group) {
  app.add_option("--recipe", recipe,
                 fmt::format("Options by name, of which any may be given otherwise besides: {}",
                             fmt::join(recipe_names(app.get_name()), ", ")))
      ->configurable(false)
      ->group(group);
}

void apply_recipe(CLI::App& app, int argc, const char* const* argv) {
  const std::optional<std::string> name = recipe_of(argc, argv);
  if (!name) return;
  const std::string folder = recipe_folder(app.get_name());
  const std::vector<std::string> names = recipe_names(app.get_name());
  if (std::find(names.begin(), names.end(), *name) == names.end()) {
    throw InvalidInput(fmt::format(
        "--recipe {}: there is no such recipe in {}; found {}. A file of options of your own is "
        "read by --config FILE",
        *name, folder, names.empty() ? "none" : fmt::format("{}", fmt::join(names, ", "))));
  }
  const std::string path = folder + "/" + *name + ".toml";
  std::ifstream file(path);
  if (!file) throw IoError(fmt::format("{}: cannot be read", path));
  for (const CLI::ConfigItem& item : CLI::ConfigTOML().from_config(file)) {
    CLI::Option* option = app.get_option_no_throw("--" + item.name);
    if (option == nullptr) {
      throw InvalidInput(
          fmt::format("{}: '{}' is no option of {}", path, item.name, app.get_name()));
    }
    try {
      option->run_callback_for_default(true);
      option->default_val(fmt::format("{}", fmt::join(item.inputs, ",")));
      option->run_callback_for_default(false);
    } catch (const CLI::Error& e) {
      throw InvalidInput(fmt::format("{}: {}: {}", path, item.name, e.what()));
    }
  }
}

}  // namespace renas::cli
