#pragma once

#include <CLI/CLI.hpp>
#include <string>
#include <vector>

namespace renas::cli {

/// The folder of the recipes that come with the programs: share/renas/recipes beside the folder of
/// the program that runs.
std::string recipe_folder();
/// The names of the recipes in it, sorted.
std::vector<std::string> recipe_names();

/// Where the arguments have --recipe NAME, makes the values of that recipe the defaults of `app`'s
/// options, so that whatever is given replaces them. Call it before parsing. Throws InvalidInput
/// where there is no such recipe, with the names there are, or where it has an option that `app`
/// has not.
void apply_recipe(CLI::App& app, int argc, const char* const* argv);

}  // namespace renas::cli
