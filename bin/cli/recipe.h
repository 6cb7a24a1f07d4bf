#pragma once

#include <CLI/CLI.hpp>
#include <string>
#include <vector>

namespace renas::cli {

/// The folder of the recipes that come with the program of that name: share/renas/recipes/PROGRAM
/// beside the folder of the programs.
std::string recipe_folder(const std::string& program);
/// The names of the recipes in it, sorted.
std::vector<std::string> recipe_names(const std::string& program);

/// Adds --recipe NAME to the program `app`, and the names to its help.
void add_recipe_option(CLI::App& app, std::string& recipe, const std::string& group);

/// Where the arguments have --recipe NAME, one of the program's, makes the values of that recipe
/// the defaults of `app`'s options, so that whatever is given replaces them. Call it before
/// parsing. Throws InvalidInput where there is no such recipe, with the names there are, or where
/// it has an option that `app` has not.
void apply_recipe(CLI::App& app, int argc, const char* const* argv);

}  // namespace renas::cli
