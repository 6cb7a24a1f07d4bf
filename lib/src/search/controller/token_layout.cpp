#include "search/controller/token_layout.h"

#include <algorithm>
#include <map>
#include <string>
#include <utility>

namespace renas::search {

TokenLayout::TokenLayout(const SearchSpace& space) {
  const int inputs = static_cast<int>(space.cell_inputs().size());
  const int begin_steps = std::max(2, inputs);
  std::map<std::string, int> sources;  // name -> number
  for (int i = 0; i < inputs; ++i) {
    sources[space.cell_inputs()[i]] = i;
  }
  for (int b = 0; b < space.block_count(); ++b) {
    sources[std::to_string(b + 1)] = inputs + b;
  }
  source_step_.resize(sources.size());
  for (int i = 0; i < inputs; ++i) {
    source_step_[i] = i;
  }

  for (int t = 0; t < begin_steps; ++t) {
    first_token_.push_back(vocabulary_++);
  }
  const int output_token = vocabulary_++;
  std::vector<std::vector<std::string>> kinds;
  std::map<std::pair<int, int>, int> tables;  // (position in the block, kind) -> first token
  for (int b = 0; b < space.block_count(); ++b) {
    for (int i = space.first_slot(b); i < space.first_slot(b + 1); ++i) {
      const Slot& slot = space.slot(i);
      std::vector<int> values;
      int kind = -1;
      int size = static_cast<int>(sources.size());
      if (slot.kind == Slot::Kind::kInput) {
        for (const std::string& choice : slot.choices) {
          values.push_back(sources.at(choice));
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
      first_token_.push_back(table->second);
      kind_.push_back(kind);
      values_.push_back(std::move(values));
    }
    source_step_[inputs + b] = steps();
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
