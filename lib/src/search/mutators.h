#pragma once

#include <memory>

#include "search/mutator.h"

namespace renas::search {

/// One slot of every block, its choice redrawn uniformly (it may come out equal): the structure of
/// the paper's mutation without its controller. With `changes_per_child`, see StrategyOptions.
std::unique_ptr<Mutator> make_uniform_mutator(const SearchSpace& space,
                                              const StrategyOptions& options);
/// One slot of the genome set to a different choice (AmoebaNet's: Real et al., AAAI 2019).
std::unique_ptr<Mutator> make_one_change_mutator(const SearchSpace& space,
                                                 const StrategyOptions& options);

}  // namespace renas::search
