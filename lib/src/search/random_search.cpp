#include "search/random_search.h"

namespace renas::search {

Genome RandomSearch::draw() { return random_genome(space(), random_); }

}  // namespace renas::search
