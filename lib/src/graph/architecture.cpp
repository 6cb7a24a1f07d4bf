#include "renas/architecture.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>

#include "graph/cell_rules.h"
#include "renas/error.h"

namespace renas {

namespace {

std::vector<std::string> split(std::string_view text, char separator) {
  std::vector<std::string> parts(1);
  for (const char c : text) {
    if (c == separator) {
      parts.emplace_back();
    } else {
      parts.back() += c;
    }
  }
  return parts;
}

/// Throws InvalidInput unless `name` is c-2, c-1 or the number of one of the first `blocks` blocks.
void check_input(const std::string& name, std::size_t blocks, const std::string& where) {
  if (name == "c-2" || name == "c-1") return;
  for (std::size_t b = 1; b <= blocks; ++b) {
    if (name == std::to_string(b)) return;
  }
  throw InvalidInput(fmt::format("{}: '{}' is not there to be read; expected c-2, c-1{}", where,
                                 name,
                                 blocks == 0   ? ""
                                 : blocks == 1 ? " or block 1"
                                               : fmt::format(" or a block, 1 to {}", blocks)));
}

CellBlock parse_block(const std::string& text, std::size_t earlier, const std::string& where) {
  const std::vector<std::string> halves = split(text, '+');
  if (halves.size() != 2) {
    throw InvalidInput(
        fmt::format("{}: expected 'input:operator+input:operator', found '{}'", where, text));
  }
  CellBlock block;
  for (std::size_t h = 0; h < 2; ++h) {
    const std::vector<std::string> tokens = split(halves[h], ':');
    if (tokens.size() != 2) {
      throw InvalidInput(
          fmt::format("{}: expected 'input:operator', found '{}'", where, halves[h]));
    }
    check_input(tokens[0], earlier, where);
    const std::vector<std::string>& known = cell_operators();
    if (std::find(known.begin(), known.end(), tokens[1]) == known.end()) {
      throw InvalidInput(fmt::format("{}: '{}' is no operator; expected one of {}", where,
                                     tokens[1], fmt::join(known, ", ")));
    }
    block.inputs[h] = tokens[0];
    block.operators[h] = tokens[1];
  }
  return block;
}

Cell parse_cell(const std::string& text, const std::string& which) {
  const std::vector<std::string> parts = split(text, '=');
  if (parts.size() > 2) {
    throw InvalidInput(
        fmt::format("{} cell: expected BLOCKS or BLOCKS=OUTPUTS, found '{}'", which, text));
  }
  Cell cell;
  for (const std::string& block : split(parts[0], ',')) {
    const std::string where = fmt::format("{} cell, block {}", which, cell.blocks.size() + 1);
    cell.blocks.push_back(parse_block(block, cell.blocks.size(), where));
  }
  if (parts.size() == 1) return cell;
  if (parts[1].empty()) {
    throw InvalidInput(fmt::format(
        "{} cell: the list of outputs behind '=' is empty; name what the cell concatenates, as in "
        "=1+2, or leave out '=' for the blocks that nothing reads",
        which));
  }
  for (const std::string& output : split(parts[1], '+')) {
    check_input(output, cell.blocks.size(), which + " cell, outputs");
    if (std::find(cell.outputs.begin(), cell.outputs.end(), output) != cell.outputs.end()) {
      throw InvalidInput(fmt::format("{} cell: output {} stands there twice", which, output));
    }
    cell.outputs.push_back(output);
  }
  return cell;
}

}  // namespace

Architecture architecture_of(const SearchSpace& space, const Genome& genome) {
  if (space.notation() != Notation::kCell) {
    throw InvalidInput(fmt::format(
        "network: only genomes of the paper's space become networks, this one is of '{}'",
        space.name()));
  }
  check_genome(space, genome);
  const auto cell_number = [&](int c) {
    Cell cell;
    for (int b = space.first_block(c); b < space.first_block(c + 1); ++b) {
      const auto choice = [&](int slot) {
        const int i = space.first_slot(b) + slot;
        return space.slot(i).choices[genome[i]];
      };
      cell.blocks.push_back({{choice(0), choice(1)}, {choice(2), choice(3)}});
    }
    return cell;
  };
  Architecture architecture;
  architecture.normal = cell_number(0);
  architecture.reduction = cell_number(space.cell_count() - 1);
  return architecture;
}

Architecture parse_architecture(std::string_view text) {
  if (!names_family(text)) {
    const auto blocks = 1 + std::count(text.begin(), text.end(), ',');
    const SearchSpace space = SearchSpace::renas(static_cast<int>(blocks));
    return architecture_of(space, parse_genome(space, text));
  }
  Architecture architecture;
  const std::vector<std::string> parts = split(text, '/');
  if (parts.size() > 3) {
    throw InvalidInput(fmt::format(
        "architecture: expected FAMILY/NORMAL or FAMILY/NORMAL/REDUCTION, found {} parts in '{}'",
        parts.size(), text));
  }
  architecture.family = cell_rules(parts[0]).family;
  architecture.normal = parse_cell(parts[1], "normal");
  architecture.reduction =
      parts.size() == 3 ? parse_cell(parts[2], "reduction") : architecture.normal;
  return architecture;
}

bool names_family(std::string_view text) { return text.find('/') != std::string_view::npos; }

const std::vector<std::string>& cell_operators() {
  static const std::vector<std::string> all = [] {
    std::vector<std::string> names = renas_operators();
    for (const char* name :
         {"dil3x3", "dil5x5", "max2x2", "conv1x1", "bottleneck3x3", "bottleneck1x7_7x1"}) {
      names.emplace_back(name);
    }
    return names;
  }();
  return all;
}

}  // namespace renas
