#pragma once

#include <memory>

#include "search/mutator.h"

namespace renas::search {

/// Uniform mutation: in every block one slot, drawn uniformly, takes a choice drawn uniformly
/// (which may be the old one). This is the paper's mutation without its controller. If
/// StrategyOptions::changes_per_child is set, it gives the mutation rate.
std::unique_ptr<Mutator> make_uniform_mutator(const SearchSpace& space,
                                              const StrategyOptions& options);
/// AmoebaNet's mutation (Real et al., AAAI 2019): one slot of the genome takes a different choice.
std::unique_ptr<Mutator> make_one_change_mutator(const SearchSpace& space,
                                                 const StrategyOptions& options);

}  // namespace renas::search
