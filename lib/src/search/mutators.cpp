#include "search/mutators.h"

#include <algorithm>
#include <utility>
#include <vector>

namespace renas::search {

namespace {

int choice_count(const SearchSpace& space, int slot) {
  return static_cast<int>(space.slot(slot).choices.size());
}

const Genome& child_of(const Proposal& proposal) { return proposal.child; }

/// The base of both mutators, which differ only in draw().
class RandomMutator : public Mutator {
 public:
  RandomMutator(const SearchSpace& space, const StrategyOptions& options)
      : space_(space), random_(options.seed, Purpose::kController) {}

  Proposal mutate(const Genome& parent, CandidateFilter& filter,
                  const Flights& /*in_flight*/) final {
    return filter.draw(
        [&] {
          Proposal proposal;
          proposal.mutations = draw(parent);
          proposal.child = renas::apply(parent, proposal.mutations);
          return proposal;
        },
        child_of);
  }
  void save(StateWriter& writer) const override { writer.random("mutator/random", random_); }
  void load(const StateReader& reader) override { random_ = reader.random("mutator/random"); }

 protected:
  /// Draws the changes of one child.
  virtual std::vector<Mutation> draw(const Genome& parent) = 0;

  /// Sets a slot to a uniform choice, which may be the parent's.
  Mutation uniform(int block, int slot, const Genome& parent) {
    const int to = static_cast<int>(random_.below(space_.slot(slot).choices.size()));
    return {block, slot, parent[slot], to};
  }
  /// Sets a slot to a choice other than the parent's; the slot must have at least two.
  Mutation different(int block, int slot, const Genome& parent) {
    const int from = parent[slot];
    const int to =
        static_cast<int>(random_.below(static_cast<uint64_t>(choice_count(space_, slot) - 1)));
    return {block, slot, from, to + (to >= from ? 1 : 0)};
  }

  SearchSpace space_;
  Random random_;
};

class UniformMutator final : public RandomMutator {
 public:
  UniformMutator(const SearchSpace& space, const StrategyOptions& options)
      : RandomMutator(space, options), changes_(options.changes_per_child) {}

  void save(StateWriter& writer) const override {
    RandomMutator::save(writer);
    writer.put("mutator/children", std::vector<uint64_t>{children_});
  }
  void load(const StateReader& reader) override {
    const uint64_t children = reader.words("mutator/children", 1)[0];
    RandomMutator::load(reader);
    children_ = children;
  }

 private:
  std::vector<Mutation> draw(const Genome& parent) override {
    std::vector<Mutation> mutations;
    double chance = 1;
    if (!changes_.empty()) {
      const std::size_t n = std::min<std::size_t>(children_++, changes_.size() - 1);
      chance = changes_[n] / space_.block_count();
    }
    for (int b = 0; b < space_.block_count(); ++b) {
      const int first = space_.first_slot(b);
      const int slot =
          first +
          static_cast<int>(random_.below(static_cast<uint64_t>(space_.first_slot(b + 1) - first)));
      if (changes_.empty()) {
        mutations.push_back(uniform(b, slot, parent));
      } else if (random_.uniform() < chance && choice_count(space_, slot) > 1) {
        mutations.push_back(different(b, slot, parent));
      }
    }
    return mutations;
  }

  std::vector<double> changes_;
  uint64_t children_ = 0;
};

class OneChangeMutator final : public RandomMutator {
 public:
  OneChangeMutator(const SearchSpace& space, const StrategyOptions& options)
      : RandomMutator(space, options) {
    for (int b = 0; b < space.block_count(); ++b) {
      for (int slot = space.first_slot(b); slot < space.first_slot(b + 1); ++slot) {
        if (choice_count(space, slot) > 1) {
          slots_.emplace_back(b, slot);
        }
      }
    }
  }

 private:
  std::vector<Mutation> draw(const Genome& parent) override {
    if (slots_.empty()) {
      return {};
    }
    const auto [block, slot] = slots_[random_.below(slots_.size())];
    return {different(block, slot, parent)};
  }

  std::vector<std::pair<int, int>> slots_;  // (block, slot) of slots with two choices or more
};

}  // namespace

std::unique_ptr<Mutator> make_uniform_mutator(const SearchSpace& space,
                                              const StrategyOptions& options) {
  return std::make_unique<UniformMutator>(space, options);
}

std::unique_ptr<Mutator> make_one_change_mutator(const SearchSpace& space,
                                                 const StrategyOptions& options) {
  return std::make_unique<OneChangeMutator>(space, options);
}

}  // namespace renas::search
