#pragma once

#include <memory>

#include "search/strategy_base.h"

namespace renas::search {

/// `random`: every genome uniform, from scratch, no population.
std::unique_ptr<Strategy> make_random(const SearchSpace& space, const StrategyOptions& options);

/// `reinforce`: an LSTM policy writes whole genomes token by token (Zoph and Le, ICLR 2017), from
/// scratch, no population. Logits, reward, baseline, entropy bonus and Adam as in the controller.
std::unique_ptr<Strategy> make_reinforce(const SearchSpace& space, const StrategyOptions& options);

}  // namespace renas::search
