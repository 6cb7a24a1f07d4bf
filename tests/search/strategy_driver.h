#pragma once

#include <functional>
#include <numeric>
#include <string>
#include <vector>

#include "renas/error.h"
#include "renas/strategy.h"

namespace renas::test {

/// A fitness for tests: the share of slots that hold their last choice.
inline double fitness_of(const SearchSpace& space, const Genome& genome) {
  double sum = 0;
  for (int i = 0; i < space.slot_count(); ++i) {
    sum += genome[i] + 1 == static_cast<int>(space.slot(i).choices.size()) ? 1 : 0;
  }
  return sum / space.slot_count();
}

/// A size for tests that is at odds with the fitness: the sum of all choices.
inline double size_of(const Genome& genome) {
  return std::accumulate(genome.begin(), genome.end(), 0.0);
}

inline StrategyOptions options_of(const std::string& name,
                                  const std::string& controller = "default") {
  StrategyOptions options;
  options.name = name;
  options.controller = controller;
  options.seed = 3;
  return options;
}

/// Drives a strategy as a cluster would: several candidates are in flight at once, they are told in
/// random order, and some fail or are never told. Where children inherit, most of their fitness is
/// lost.
class Driver {
 public:
  Driver(Strategy& strategy, uint64_t seed, bool inherits = false)
      : strategy_(strategy), random_(seed), inherits_(inherits) {}

  std::vector<Candidate> run(int steps) {
    std::vector<Candidate> asked;
    for (int i = 0; i < steps; ++i) {
      while (out_.size() < 7) {
        asked.push_back(strategy_.ask());
        out_.push_back(asked.back());
      }
      const std::size_t k = random_.below(out_.size());
      const Candidate candidate = out_[k];
      out_.erase(out_.begin() + static_cast<std::ptrdiff_t>(k));
      const double u = random_.uniform();
      if (u < 0.1) {
        strategy_.tell(candidate.id, {Status::kDiverged, 0});
      } else {
        const double fitness = fitness_of(strategy_.space(), candidate.genome);
        const bool inherits = inherits_ && candidate.parent;
        strategy_.tell(candidate.id, {Status::kOk, inherits ? 0.3 * fitness : fitness,
                                      inherits ? 1 - 0.3 * random_.uniform() : 0});
      }
    }
    return asked;
  }
  Driver on(Strategy& other) const {
    Driver copy(other, 0, inherits_);
    copy.random_ = Random(random_.state());
    copy.out_ = out_;
    return copy;
  }

 private:
  Strategy& strategy_;
  Random random_;
  bool inherits_;
  std::vector<Candidate> out_;
};

inline std::vector<StrategyOptions> all_options() {
  std::vector<StrategyOptions> all;
  for (const std::string& name : strategy_names()) {
    all.push_back(options_of(name));
  }
  all.push_back(options_of("renas", "paper"));
  all.push_back(options_of("renas"));
  all.back().critic = 5;
  all.back().redraw_repeats = 20;
  all.push_back(options_of("renas"));
  all.back().controller_form = controller_options("default");
  all.back().controller_form->learn_failures = !all.back().controller_form->learn_failures;
  all.push_back(options_of("renas"));
  all.back().controller_form = controller_options("default");
  all.back().controller_form->attention = 4;
  all.back().controller_form->learn_refusals = 8;
  all.back().admits = [](const Genome& genome) { return genome[2] != 0; };
  all.push_back(options_of("evolution"));
  all.back().changes_per_child = {3, 2, 1};
  for (const char* name : {"evolution", "renas"}) {
    all.push_back(options_of(name));
    all.back().judge = "effect";
  }
  for (const char* name : {"regularized", "renas"}) {
    all.push_back(options_of(name));
    all.back().size = size_of;
    all.push_back(options_of(name));
    all.back().finalists = "posterior-mean";
  }
  return all;
}

inline std::string message_of(const std::function<void()>& call) {
  try {
    call();
  } catch (const InvalidInput& error) {
    return error.what();
  }
  return "no error";
}

inline bool holds(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

}  // namespace renas::test
