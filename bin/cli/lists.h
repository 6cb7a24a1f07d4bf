#pragma once

#include <CLI/CLI.hpp>
#include <string>
#include <vector>

#include "cli/options.h"
#include "renas/genome.h"

namespace renas::cli {

/// A line of a list, without its comment and the blanks around it.
struct ListLine {
  int number = 0;  ///< in its file, from 1
  std::string text;
};
/// Reads a file of one thing a line; `#` opens a comment, empty lines do not count. Throws IoError.
std::vector<ListLine> read_list(const std::string& path);
/// Reads a whole file. Throws IoError.
std::string read_file(const std::string& path);

/// Reads a file of genomes of `space`, one a line. Throws InvalidInput with file and line, also
/// where two of them give the same network; IoError.
std::vector<Genome> read_genomes(const std::string& path, const SearchSpace& space);
/// Reads a file of cells in the paper's notation, of any number of blocks, one a line. Throws as
/// read_genomes() does.
std::vector<std::string> read_cells(const std::string& path);

/// A validator that replaces the name of a file of numbers by the numbers, joined by commas. Other
/// texts stay: the words "auto" and "none", and numbers joined by commas.
CLI::Validator weights_of_file();
/// Adds --class-weights, which weights_of_file() reads.
void add_class_weights(OptionGroup& group, std::string& text);
/// The numbers in what weights_of_file() leaves; none for the words. Throws InvalidInput.
std::vector<float> class_weights_of(const std::string& text);

}  // namespace renas::cli
