// A search of a space of one's own, with an evaluator of one's own: librenas.a and nothing else.
//
// The space is a small image filter: what to read, which kernel, how to join. The evaluator is any
// function of a genome that gives a fitness in [0, 1]; here, how near a hidden recipe it comes.
#include <cstdio>
#include <string>

#include "renas/strategy.h"

namespace {

const char* const kSpace = R"(
  name filter
  inputs image edges
  block
    input    from image edges
    operator kernel box gauss median
    operator size 3 5 7 9
  block
    input    left image edges 1
    input    right edges 1
    operator join add multiply maximum
)";

double evaluate(const renas::Genome& genome, const renas::Genome& hidden) {
  double score = 0;
  for (std::size_t i = 0; i < genome.size(); ++i) {
    score += genome[i] == hidden[i] ? 1.0 : 0.0;
  }
  return score / static_cast<double>(genome.size());
}

}  // namespace

int main() {
  const renas::SearchSpace space = renas::SearchSpace::parse(kSpace);
  const renas::Genome hidden = renas::parse_genome(space, "edges+median+7,1+edges+maximum");
  const auto strategy = renas::make_strategy(space, {.population = 10, .sample = 5, .seed = 1});
  while (!strategy->best() || strategy->best()->fitness < 1) {
    const renas::Candidate candidate = strategy->ask();
    strategy->tell(candidate.id, {.fitness = evaluate(candidate.genome, hidden)});
    if (candidate.id > 2000) {
      return 1;  // of 864 genomes
    }
  }
  std::printf("found %s after %llu candidates\n",
              renas::to_string(space, strategy->best()->genome).c_str(),
              static_cast<unsigned long long>(strategy->counts().asked));
}
