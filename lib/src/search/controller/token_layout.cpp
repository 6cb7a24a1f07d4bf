#include "search/controller/token_layout.h"

#include <algorithm>
#include <map>
#include <string>
#include <utility>

namespace renas::search {

TokenLayout::TokenLayout(const SearchSpace& space) {
  std::vector<std::vector<std::string>> kinds;
  for (int cell = 0; cell < space.cell_count(); ++cell) {
    add_cell(space, cell, kinds);
  }
}

void TokenLayout::add_cell(const SearchSpace& space, int cell,
                           std::vector<std::vector<std::string>>& kinds) {
  const int first_source = sources();
  const int inputs = static_cast<int>(space.cell_inputs().size());
  std::map<std::string, int> numbers;  // of the cell's sources, by name
  for (int i = 0; i < inputs; ++i) {
    numbers[space.cell_inputs()[i]] = i;
    source_step_.push_back(steps() + i);
  }
  for (int t = 0; t < std::max(2, inputs); ++t) {
    first_token_.push_back(vocabulary_++);
  }
  const int output_token = vocabulary_++;
  for (int b = space.first_block(cell); b < space.first_block(cell + 1); ++b) {
    numbers[std::to_string(space.number_of(b))] = inputs + b - space.first_block(cell);
  }
  std::map<std::pair<int, int>, int> tables;  // (position in the block, kind) -> first token
  for (int b = space.first_block(cell); b < space.first_block(cell + 1); ++b) {
    for (int i = space.first_slot(b); i < space.first_slot(b + 1); ++i) {
      const Slot& slot = space.slot(i);
      std::vector<int> values;
      int kind = -1;
      int first_value = 0;
      int size = static_cast<int>(numbers.size());
      if (slot.kind == Slot::Kind::kInput) {
        first_value = first_source;
        for (const std::string& choice : slot.choices) {
          values.push_back(first_source + numbers.at(choice));
        }
      } else {
        const auto found = std::find(kinds.begin(), kinds.end(), slot.choices);
        kind = static_cast<int>(found - kinds.begin());
        size = static_cast<int>(slot.choices.size());
        if (found == kinds.end()) {
          kinds.push_back(slot.choices);
          kind_size_.push_back(size);
        }
        for (int c = 0; c < size; ++c) {
          values.push_back(c);
        }
      }
      const auto [table, fresh] = tables.try_emplace({i - space.first_slot(b), kind}, vocabulary_);
      if (fresh) {
        vocabulary_ += size;
      }
      slot_step_.push_back(steps());
      first_token_.push_back(table->second - first_value);
      kind_.push_back(kind);
      values_.push_back(std::move(values));
    }
    source_step_.push_back(steps());
    first_token_.push_back(output_token);
  }
}

void TokenLayout::encode(const Genome& genome, int* tokens) const {
  std::copy(first_token_.begin(), first_token_.end(), tokens);
  for (std::size_t slot = 0; slot < genome.size(); ++slot) {
    tokens[slot_step_[slot]] += values_[slot][genome[slot]];
  }
}

}  // namespace renas::search
