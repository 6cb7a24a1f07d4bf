// The archive inside a shared object: what a plug-in of another program is.
#include "renas/network.h"

extern "C" long long renasnet_parameters() {
  const renas::SearchSpace space = renas::SearchSpace::renas(5);
  const renas::Genome genome = renas::parse_genome(space, "renasnet");
  return renas::count(renas::build_network(space, genome, {.cells = 2, .filters = 24})).parameters;
}
