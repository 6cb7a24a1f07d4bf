// The ten lines a user starts from: a search of their own, with their own measure of fitness.
#include <cstdio>

#include "renas/strategy.h"

int main() {
  const renas::SearchSpace space = renas::SearchSpace::renas(5);
  const auto strategy = renas::make_strategy(space, {.population = 8, .sample = 4, .seed = 1});
  for (int i = 0; i < 100; ++i) {
    const renas::Candidate candidate = strategy->ask();
    double score = 0;  // this evaluator likes operator 1, sep5x5
    for (int b = 0; b < space.block_count(); ++b) {
      score += candidate.genome[4 * b + 2] == 1;
    }
    strategy->tell(candidate.id, {.fitness = score / space.block_count()});
  }
  std::printf("best %.2f %s\n", strategy->best()->fitness,
              renas::to_string(space, strategy->best()->genome).c_str());
}
