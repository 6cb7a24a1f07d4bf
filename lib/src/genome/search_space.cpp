#include "renas/search_space.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <set>

#include "renas/error.h"

namespace renas {

namespace {

/// Whether `text` can be a choice: it must not contain a character that separates tokens in one of
/// the notations.
bool is_word(const std::string& text) {
  return !text.empty() && text.find_first_of(" \t\r\n:+,|~#=") == std::string::npos;
}

/// Throws InvalidInput unless the choices of a slot in block number `block` are valid.
void check_slot(const SearchSpace& space, int block, const Slot& slot) {
  const std::string where =
      fmt::format("search space '{}', block {}, slot '{}'", space.name(), block + 1, slot.name);
  if (slot.choices.empty()) {
    throw InvalidInput(where + ": has no choices; a slot needs at least one");
  }
  std::set<std::string> seen;
  for (const std::string& choice : slot.choices) {
    if (!is_word(choice)) {
      throw InvalidInput(fmt::format(
          "{}: choice '{}' is empty or holds a space or one of : + , | ~ # =", where, choice));
    }
    if (!seen.insert(choice).second) {
      throw InvalidInput(fmt::format("{}: choice '{}' stands there twice", where, choice));
    }
    if (slot.kind == Slot::Kind::kOperator) {
      continue;
    }
    const auto& inputs = space.cell_inputs();
    if (std::find(inputs.begin(), inputs.end(), choice) != inputs.end()) {
      continue;
    }
    bool earlier = false;
    for (int b = 0; b < block; ++b) {
      earlier = earlier || choice == std::to_string(b + 1);
    }
    if (!earlier) {
      throw InvalidInput(fmt::format(
          "{}: input '{}' is neither an input of the cell ({}) nor an earlier block (1 to {}); a "
          "block that reads itself or a later one would be a cycle",
          where, choice, fmt::join(inputs, ", "), block));
    }
  }
}

/// Whether a block has the slots that genomes in the notation kCell are written by.
bool is_cell_block(const Block& block) {
  using Kind = Slot::Kind;
  return block.slots.size() == 4 && block.slots[0].kind == Kind::kInput &&
         block.slots[1].kind == Kind::kInput && block.slots[2].kind == Kind::kOperator &&
         block.slots[3].kind == Kind::kOperator;
}

}  // namespace

const std::vector<std::string>& renas_operators() {
  static const std::vector<std::string> operators{"sep3x3", "sep5x5", "sep7x7",
                                                  "avg3x3", "max3x3", "identity"};
  return operators;
}

SearchSpace::SearchSpace(std::string name, Notation notation, std::vector<std::string> cell_inputs,
                         std::vector<Block> blocks)
    : name_(std::move(name)),
      notation_(notation),
      cell_inputs_(std::move(cell_inputs)),
      blocks_(std::move(blocks)) {
  if (blocks_.empty()) {
    throw InvalidInput(
        fmt::format("search space '{}': has no block; it needs at least one", name_));
  }
  for (const std::string& input : cell_inputs_) {
    if (!input.empty() && input.find_first_not_of("0123456789") == std::string::npos) {
      throw InvalidInput(
          fmt::format("search space '{}': input '{}' would be taken for a block; name it otherwise",
                      name_, input));
    }
  }
  first_slot_.push_back(0);
  for (int b = 0; b < block_count(); ++b) {
    const Block& block = blocks_[b];
    if (block.slots.empty()) {
      throw InvalidInput(fmt::format(
          "search space '{}', block {}: has no slot; a block needs at least one", name_, b + 1));
    }
    for (const Slot& s : block.slots) {
      check_slot(*this, b, s);
      slots_.push_back(s);
    }
    if (notation_ == Notation::kCell && !is_cell_block(block)) {
      throw InvalidInput(fmt::format(
          "search space '{}', block {}: expected the slots of the paper's cells, two inputs and "
          "then two operators",
          name_, b + 1));
    }
    first_slot_.push_back(static_cast<int>(slots_.size()));
  }
  first_block_ = {0, block_count()};
}

SearchSpace SearchSpace::pair(const SearchSpace& normal, const SearchSpace& reduction) {
  for (const SearchSpace* cell : {&normal, &reduction}) {
    if (cell->notation_ != Notation::kCell || cell->cell_count() != 1) {
      throw InvalidInput(
          fmt::format("search space '{}': a pair takes two spaces of one cell in the paper's form",
                      cell->name_));
    }
  }
  SearchSpace both = normal;
  for (const Block& block : reduction.blocks_) {
    both.blocks_.push_back(block);
    both.slots_.insert(both.slots_.end(), block.slots.begin(), block.slots.end());
    both.first_slot_.push_back(both.slot_count());
  }
  both.first_block_.push_back(both.block_count());
  return both;
}

SearchSpace SearchSpace::renas(int blocks) { return renas(blocks, renas_operators()); }

SearchSpace SearchSpace::renas(int blocks, const std::vector<std::string>& operators) {
  if (blocks < 1 || blocks > 64) {
    throw InvalidInput(fmt::format("blocks: expected 1 to 64, got {}", blocks));
  }
  const auto& known = renas_operators();
  for (const std::string& op : operators) {
    if (std::find(known.begin(), known.end(), op) == known.end()) {
      throw InvalidInput(
          fmt::format("operators: expected some of {}; got '{}'", fmt::join(known, ", "), op));
    }
  }
  std::vector<std::string> inputs{"c-2", "c-1"};
  std::vector<Block> all;
  for (int b = 0; b < blocks; ++b) {
    if (b > 0) {
      inputs.push_back(std::to_string(b));
    }
    all.push_back({{{Slot::Kind::kInput, "i1", inputs},
                    {Slot::Kind::kInput, "i2", inputs},
                    {Slot::Kind::kOperator, "o1", operators},
                    {Slot::Kind::kOperator, "o2", operators}}});
  }
  return SearchSpace("renas", Notation::kCell, {"c-2", "c-1"}, std::move(all));
}

SearchSpace SearchSpace::nas_bench_201() {
  // Dong and Yang, "NAS-Bench-201", ICLR 2020: the edges into node n come from nodes 0 .. n-1.
  const std::vector<std::string> operators{"none", "skip_connect", "nor_conv_1x1", "nor_conv_3x3",
                                           "avg_pool_3x3"};
  std::vector<Block> nodes(3);
  for (int n = 0; n < 3; ++n) {
    for (int from = 0; from <= n; ++from) {
      nodes[n].slots.push_back({Slot::Kind::kOperator, fmt::format("from{}", from), operators});
    }
  }
  return SearchSpace("nas-bench-201", Notation::kNasBench201, {}, std::move(nodes));
}

std::string SearchSpace::cell_prefix(int b) const {
  if (cell_count() == 1) return "";
  return cell_of(b) == 0 ? "normal " : "reduction ";
}

std::string SearchSpace::to_text() const {
  std::string text = fmt::format("name {}\n", name_);
  if (!cell_inputs_.empty()) text += fmt::format("inputs {}\n", fmt::join(cell_inputs_, " "));
  for (int b = 0; b < block_count(); ++b) {
    if (b == first_block(1)) text += "reduction\n";
    text += "block\n";
    for (const Slot& slot : blocks_[b].slots) {
      text += fmt::format("  {} {} {}\n", slot.kind == Slot::Kind::kInput ? "input" : "operator",
                          slot.name, fmt::join(slot.choices, " "));
    }
  }
  return text;
}

double SearchSpace::size() const {
  double product = 1;
  for (const Slot& s : slots_) {
    product *= static_cast<double>(s.choices.size());
  }
  return product;
}

}  // namespace renas
