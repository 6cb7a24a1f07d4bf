#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <optional>
#include <sstream>
#include <utility>

#include "renas/error.h"
#include "renas/search_space.h"

namespace renas {

namespace {

/// Throws InvalidInput with the line at fault.
[[noreturn]] void fail(int line, const std::string& what) {
  throw InvalidInput(fmt::format("search space, line {}: {}", line, what));
}

/// Splits a line into words, without its comment.
std::vector<std::string> words_of(const std::string& line) {
  std::istringstream stream(line.substr(0, line.find('#')));
  std::vector<std::string> words;
  for (std::string word; stream >> word;) {
    words.push_back(word);
  }
  return words;
}

bool is_number(const std::string& word) {
  return std::all_of(word.begin(), word.end(), [](char c) { return c >= '0' && c <= '9'; });
}

constexpr const char* kCellSlots[] = {"i1", "i2", "o1", "o2"};

/// Checks a slot of the paper's cell, whose slots have fixed names and operators.
void check_cell_slot(int line, const Block& block, const Slot& slot) {
  const auto* known = std::find(std::begin(kCellSlots), std::end(kCellSlots), slot.name);
  if (known == std::end(kCellSlots)) {
    fail(line, fmt::format("slot '{}': the slots of a cell's block are i1 and i2 (inputs), o1 and "
                           "o2 (operators)",
                           slot.name));
  }
  const bool input = slot.name[0] == 'i';
  if (input != (slot.kind == Slot::Kind::kInput)) {
    fail(line, fmt::format("slot '{}' is an {}", slot.name, input ? "input" : "operator"));
  }
  for (const Slot& other : block.slots) {
    if (other.name == slot.name) {
      fail(line, fmt::format("slot '{}' stands there twice in its block", slot.name));
    }
  }
  if (input) {
    return;
  }
  const auto& operators = renas_operators();
  for (const std::string& choice : slot.choices) {
    if (std::find(operators.begin(), operators.end(), choice) == operators.end()) {
      fail(line, fmt::format("slot '{}': operator '{}' is not known; expected some of {}",
                             slot.name, choice, fmt::join(operators, ", ")));
    }
  }
}

/// The slots of the paper's cell in their order; those that `given` lacks have all choices.
Block complete_cell_block(const Block& given, int earlier_blocks) {
  const SearchSpace whole = SearchSpace::renas(earlier_blocks + 1);
  Block block = whole.blocks().back();
  for (Slot& slot : block.slots) {
    const auto found = std::find_if(given.slots.begin(), given.slots.end(),
                                    [&](const Slot& s) { return s.name == slot.name; });
    if (found != given.slots.end()) {
      slot = *found;
    }
  }
  return block;
}

}  // namespace

SearchSpace SearchSpace::parse(const std::string& text, Notation notation) {
  const bool cell = notation == Notation::kCell;
  if (notation == Notation::kNasBench201) {
    throw InvalidInput("search space: the text form is of a list or of a cell");
  }
  std::string name = "user";
  const std::vector<std::string> cell_inputs{"c-2", "c-1"};
  std::vector<std::string> inputs = cell ? cell_inputs : std::vector<std::string>{};
  std::vector<Block> blocks;
  std::optional<SearchSpace> normal;  // complete once the line `reduction` was read
  std::istringstream lines(text);
  int number = 0;
  const auto end_cell = [&] {
    if (blocks.empty()) {
      fail(number, "there is no line 'block'; a space needs at least one block");
    }
    if (cell) {
      blocks.back() = complete_cell_block(blocks.back(), static_cast<int>(blocks.size()) - 1);
    } else if (blocks.back().slots.empty()) {
      fail(number, "the last block has no slot; a block needs at least one");
    }
    return SearchSpace(name, notation, inputs, std::exchange(blocks, {}));
  };
  for (std::string line; std::getline(lines, line);) {
    ++number;
    std::vector<std::string> words = words_of(line);
    if (words.empty()) {
      continue;
    }
    const std::string key = words[0];
    words.erase(words.begin());
    if (key == "name") {
      if (words.size() != 1) {
        fail(number, "expected 'name' and one word");
      }
      name = words[0];
    } else if (key == "inputs") {
      if (!blocks.empty() || normal) {
        fail(number, "'inputs' must come before the first block");
      }
      for (const std::string& word : words) {
        if (is_number(word)) {
          fail(number,
               fmt::format("input '{}' would be taken for a block; name it otherwise", word));
        }
      }
      if (cell && words != cell_inputs) {
        fail(number, "the inputs of a cell are c-2 and c-1");
      }
      inputs = words;
    } else if (key == "block") {
      if (!words.empty()) {
        fail(number, "'block' stands alone; its slots follow, one a line");
      }
      if (!cell && !blocks.empty() && blocks.back().slots.empty()) {
        fail(number, "the block before has no slot; a block needs at least one");
      }
      if (cell && !blocks.empty()) {
        blocks.back() = complete_cell_block(blocks.back(), static_cast<int>(blocks.size()) - 1);
      }
      blocks.emplace_back();
    } else if (key == "reduction") {
      if (!cell) {
        fail(number, "only a part of the paper's space has a reduction cell");
      }
      if (!words.empty()) {
        fail(number, "'reduction' stands alone; the blocks of the reduction cell follow");
      }
      if (normal) {
        fail(number, "'reduction' stands there twice");
      }
      normal = end_cell();
    } else if (key == "input" || key == "operator") {
      if (blocks.empty()) {
        fail(number, fmt::format("'{}' must follow a line 'block'", key));
      }
      if (words.empty()) {
        fail(number, fmt::format("expected '{}', the slot's name, and its choices", key));
      }
      Slot slot;
      slot.kind = key == "input" ? Slot::Kind::kInput : Slot::Kind::kOperator;
      slot.name = words[0];
      slot.choices.assign(words.begin() + 1, words.end());
      if (cell) {
        check_cell_slot(number, blocks.back(), slot);
      }
      blocks.back().slots.push_back(std::move(slot));
      try {
        SearchSpace(name, Notation::kList, inputs, blocks);  // throws if this slot is wrong
      } catch (const InvalidInput& error) {
        fail(number, error.what());
      }
    } else {
      fail(number, fmt::format("expected name, inputs, block, {}input or operator; found '{}'",
                               cell ? "reduction, " : "", key));
    }
  }
  const SearchSpace last = end_cell();
  return normal ? pair(*normal, last) : last;
}

}  // namespace renas
