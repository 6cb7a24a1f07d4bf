#include "renas/genome.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <array>
#include <utility>

#include "renas/error.h"

namespace renas {

namespace {

/// The family whose rules stack the cells of a search (Architecture::family).
constexpr std::string_view kFamily = "renas";

/// Splits a text at every `separator`; empty parts are kept.
std::vector<std::string_view> split(std::string_view text, char separator) {
  std::vector<std::string_view> parts;
  std::size_t from = 0;
  for (std::size_t i = 0; i <= text.size(); ++i) {
    if (i < text.size() && text[i] != separator) {
      continue;
    }
    parts.push_back(text.substr(from, i - from));
    from = i + 1;
  }
  return parts;
}

/// Returns the index of `token` among the choices of slot `i`; -1: it is none of them.
int place_of(const SearchSpace& space, int i, std::string_view token) {
  const auto& choices = space.slot(i).choices;
  const auto found = std::find(choices.begin(), choices.end(), token);
  return found == choices.end() ? -1 : static_cast<int>(found - choices.begin());
}

/// Returns the index of `token` among the choices of slot `i`. Throws InvalidInput, with a message
/// that begins with `where`, if it is none of them.
int choice_of(const SearchSpace& space, int i, std::string_view token, const std::string& where) {
  const Slot& slot = space.slot(i);
  const int place = place_of(space, i, token);
  if (place < 0) {
    throw InvalidInput(fmt::format("{}: {} '{}' is not possible here; expected one of {}", where,
                                   slot.kind == Slot::Kind::kInput ? "input" : "operator", token,
                                   fmt::join(slot.choices, ", ")));
  }
  return place;
}

/// Names block `b` of a genome for messages.
std::string block_name(const SearchSpace& space, std::string_view text, int b) {
  return fmt::format("genome '{}', {}block {}", text, space.cell_prefix(b), space.number_of(b));
}

/// Throws InvalidInput unless the number of blocks found is that of cell `cell`.
void expect_blocks(const SearchSpace& space, int cell, std::string_view text, std::size_t found) {
  const int expected = space.first_block(cell + 1) - space.first_block(cell);
  if (found != static_cast<std::size_t>(expected)) {
    throw InvalidInput(fmt::format("genome '{}': expected {} {}blocks, found {}", text, expected,
                                   space.cell_prefix(space.first_block(cell)), found));
  }
}

/// Reads `cell` of the genome `text` from its own part of it.
void parse_cell(const SearchSpace& space, int cell, std::string_view part, std::string_view text,
                Genome& genome) {
  const auto blocks = split(part, ',');
  expect_blocks(space, cell, text, blocks.size());
  for (int b = space.first_block(cell); b < space.first_block(cell + 1); ++b) {
    const std::string_view block = blocks[b - space.first_block(cell)];
    const std::string where = block_name(space, text, b);
    const auto halves = split(block, '+');
    if (halves.size() != 2) {
      throw InvalidInput(
          fmt::format("{}: expected 'input:operator+input:operator', found '{}'", where, block));
    }
    for (int h = 0; h < 2; ++h) {
      const auto tokens = split(halves[h], ':');
      if (tokens.size() != 2) {
        throw InvalidInput(
            fmt::format("{}: expected 'input:operator', found '{}'", where, halves[h]));
      }
      const int input = space.first_slot(b) + h;
      const int op = input + 2;
      genome[input] = choice_of(space, input, tokens[0], where);
      genome[op] = choice_of(space, op, tokens[1], where);
    }
  }
}

Genome parse_cells(const SearchSpace& space, std::string_view text) {
  Genome genome(space.slot_count());
  const auto parts = split(text, '/');
  if (space.cell_count() == 1) {
    parse_cell(space, 0, text, text, genome);
  } else if (parts.size() == 1) {  // one cell, which is both
    parse_cell(space, 0, text, text, genome);
    parse_cell(space, 1, text, text, genome);
  } else if (parts.size() == 3 && parts[0] == kFamily) {
    parse_cell(space, 0, parts[1], text, genome);
    parse_cell(space, 1, parts[2], text, genome);
  } else {
    throw InvalidInput(fmt::format(
        "genome '{}': expected {}/NORMAL/REDUCTION, or a single cell for both", text, kFamily));
  }
  return genome;
}

Genome parse_nas_bench_201(const SearchSpace& space, std::string_view text) {
  const auto nodes = split(text, '+');
  expect_blocks(space, 0, text, nodes.size());
  Genome genome;
  for (int n = 0; n < space.block_count(); ++n) {
    const std::string_view node = nodes[n];
    const std::string where = block_name(space, text, n);
    const auto edges = split(node, '|');  // "|a~0|b~1|" gives an empty part at both ends
    const int expected = space.first_slot(n + 1) - space.first_slot(n);
    if (edges.size() != static_cast<std::size_t>(expected) + 2 || !edges.front().empty() ||
        !edges.back().empty()) {
      throw InvalidInput(
          fmt::format("{}: expected {} edge{} between bars, such as |operator~0|; "
                      "found '{}'",
                      where, expected, expected == 1 ? "" : "s", node));
    }
    for (int e = 0; e < expected; ++e) {
      const auto tokens = split(edges[e + 1], '~');
      if (tokens.size() != 2 || tokens[1] != std::to_string(e)) {
        throw InvalidInput(
            fmt::format("{}: expected 'operator~{}', found '{}'", where, e, edges[e + 1]));
      }
      genome.push_back(choice_of(space, space.first_slot(n) + e, tokens[0], where));
    }
  }
  return genome;
}

Genome parse_list(const SearchSpace& space, std::string_view text) {
  const auto blocks = split(text, ',');
  expect_blocks(space, 0, text, blocks.size());
  Genome genome;
  for (int b = 0; b < space.block_count(); ++b) {
    const auto tokens = split(blocks[b], '+');
    const int expected = space.first_slot(b + 1) - space.first_slot(b);
    const std::string where = block_name(space, text, b);
    if (tokens.size() != static_cast<std::size_t>(expected)) {
      throw InvalidInput(fmt::format("{}: expected {} choices joined by '+', found '{}'", where,
                                     expected, blocks[b]));
    }
    for (int s = 0; s < expected; ++s) {
      genome.push_back(choice_of(space, space.first_slot(b) + s, tokens[s], where));
    }
  }
  return genome;
}

}  // namespace

void check_genome(const SearchSpace& space, const Genome& genome) {
  if (genome.size() != static_cast<std::size_t>(space.slot_count())) {
    throw InvalidInput(fmt::format("genome: search space '{}' has {} slots, found {} tokens",
                                   space.name(), space.slot_count(), genome.size()));
  }
  for (int i = 0; i < space.slot_count(); ++i) {
    const int token = genome[i];
    const auto choices = space.slot(i).choices.size();
    if (token < 0 || static_cast<std::size_t>(token) >= choices) {
      throw InvalidInput(fmt::format("genome: token {} (slot '{}') is {}, expected 0 to {}", i,
                                     space.slot(i).name, token, choices - 1));
    }
  }
}

std::string to_string(const SearchSpace& space, const Genome& genome) {
  check_genome(space, genome);
  const auto choice = [&](int slot) -> const std::string& {
    return space.slot(slot).choices[genome[slot]];
  };
  std::string text = space.cell_count() == 1 ? "" : fmt::format("{}/", kFamily);
  for (int b = 0; b < space.block_count(); ++b) {
    const int first = space.first_slot(b);
    const int end = space.first_slot(b + 1);
    switch (space.notation()) {
      case Notation::kCell:
        text += fmt::format("{}{}:{}+{}:{}",
                            b == 0                    ? ""
                            : space.number_of(b) == 1 ? "/"
                                                      : ",",
                            choice(first), choice(first + 2), choice(first + 1), choice(first + 3));
        break;
      case Notation::kNasBench201:
        text += b == 0 ? "|" : "+|";
        for (int s = first; s < end; ++s) {
          text += fmt::format("{}~{}|", choice(s), s - first);
        }
        break;
      case Notation::kList:
        if (b > 0) {
          text += ',';
        }
        for (int s = first; s < end; ++s) {
          text += (s == first ? "" : "+") + choice(s);
        }
        break;
    }
  }
  return text;
}

Genome parse_genome(const SearchSpace& space, std::string_view text) {
  switch (space.notation()) {
    case Notation::kCell:
      return parse_cells(space, text == "renasnet" ? std::string_view(kRenasNet) : text);
    case Notation::kNasBench201:
      return parse_nas_bench_201(space, text);
    case Notation::kList:
      break;
  }
  return parse_list(space, text);
}

Genome canonical(const SearchSpace& space, const Genome& genome) {
  check_genome(space, genome);
  Genome result = genome;
  if (space.notation() != Notation::kCell) {
    return result;
  }
  for (int b = 0; b < space.block_count(); ++b) {
    const int first = space.first_slot(b);
    const auto at = result.begin() + first;
    // What the halves would be if they were swapped; they may choose among different things.
    const std::array<int, 4> swapped{
        place_of(space, first, space.slot(first + 1).choices[at[1]]),
        place_of(space, first + 1, space.slot(first).choices[at[0]]),
        place_of(space, first + 2, space.slot(first + 3).choices[at[3]]),
        place_of(space, first + 3, space.slot(first + 2).choices[at[2]])};
    if (std::find(swapped.begin(), swapped.end(), -1) != swapped.end()) {
      continue;
    }
    if (std::pair(swapped[0], swapped[2]) < std::pair(at[0], at[2])) {
      std::copy(swapped.begin(), swapped.end(), at);
    }
  }
  return result;
}

Genome random_genome(const SearchSpace& space, Random& random) {
  Genome genome;
  genome.reserve(space.slot_count());
  for (int i = 0; i < space.slot_count(); ++i) {
    genome.push_back(static_cast<int>(random.below(space.slot(i).choices.size())));
  }
  return genome;
}

Genome apply(const Genome& genome, const std::vector<Mutation>& mutations) {
  Genome child = genome;
  for (const Mutation& m : mutations) {
    child.at(m.slot) = m.to;
  }
  return child;
}

}  // namespace renas
