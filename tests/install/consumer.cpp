// A search of your own, with your own measure of fitness.
#include <iostream>
#include <string>

#include "renas/strategy.h"

/// How good a cell is, in [0, 1]. This measure counts its 5x5 convolutions.
double my_fitness(const std::string& cell) {
  double found = 0;
  for (auto at = cell.find("sep5x5"); at != cell.npos; at = cell.find("sep5x5", at + 1)) ++found;
  return found / 10;
}

int main() {
  const renas::SearchSpace space = renas::SearchSpace::renas(5);
  const auto strategy = renas::make_strategy(space, {.population = 8, .sample = 4, .seed = 1});
  for (int i = 0; i < 100; ++i) {
    const renas::Candidate candidate = strategy->ask();
    const std::string cell = renas::to_string(space, candidate.genome);
    strategy->tell(candidate.id, {.fitness = my_fitness(cell)});
  }
  const renas::Member best = *strategy->best();
  std::cout << best.fitness << ' ' << renas::to_string(space, best.genome) << '\n';
}
