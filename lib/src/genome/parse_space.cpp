#include <fmt/format.h>

#include <algorithm>
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

}  // namespace

SearchSpace SearchSpace::parse(const std::string& text) {
  std::string name = "user";
  std::vector<std::string> inputs;
  std::vector<Block> blocks;
  std::istringstream lines(text);
  int number = 0;
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
      if (!blocks.empty()) {
        fail(number, "'inputs' must come before the first block");
      }
      for (const std::string& word : words) {
        if (is_number(word)) {
          fail(number,
               fmt::format("input '{}' would be taken for a block; name it otherwise", word));
        }
      }
      inputs = words;
    } else if (key == "block") {
      if (!words.empty()) {
        fail(number, "'block' stands alone; its slots follow, one a line");
      }
      if (!blocks.empty() && blocks.back().slots.empty()) {
        fail(number, "the block before has no slot; a block needs at least one");
      }
      blocks.emplace_back();
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
      blocks.back().slots.push_back(std::move(slot));
      try {
        SearchSpace(name, Notation::kList, inputs, blocks);  // throws if this slot is wrong
      } catch (const InvalidInput& error) {
        fail(number, error.what());
      }
    } else {
      fail(number, fmt::format("expected name, inputs, block, input or operator; found '{}'", key));
    }
  }
  if (!blocks.empty() && blocks.back().slots.empty()) {
    fail(number, "the last block has no slot; a block needs at least one");
  }
  if (blocks.empty()) {
    fail(number, "there is no line 'block'; a space needs at least one block");
  }
  return SearchSpace(name, Notation::kList, std::move(inputs), std::move(blocks));
}

}  // namespace renas
