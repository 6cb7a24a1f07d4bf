#include "renas/network.h"

#include <boost/test/unit_test.hpp>

#include "renas/error.h"

using namespace renas;

namespace {

Counts counts_of(const std::string& genome, const NetworkOptions& options, int blocks = 5) {
  const SearchSpace space = SearchSpace::renas(blocks);
  return count(build_network(space, parse_genome(space, genome), options));
}

}  // namespace

BOOST_AUTO_TEST_SUITE(network)

BOOST_AUTO_TEST_CASE(the_search_network_has_its_known_size) {
  BOOST_TEST((counts_of("renasnet", {.cells = 2, .filters = 24}) == Counts{827314, 130957056}));
}

BOOST_AUTO_TEST_CASE(the_cifar_network_has_its_known_size) {
  BOOST_TEST((counts_of("renasnet", {.cells = 6, .filters = 32}) == Counts{3512042, 543511552}));
}

BOOST_AUTO_TEST_CASE(the_imagenet_network_has_its_known_size) {
  NetworkOptions options{.kind = NetworkKind::kImageNet,
                         .cells = 4,
                         .filters = 44,
                         .image = {3, 224, 224},
                         .classes = 1000};
  BOOST_TEST((counts_of("renasnet", options) == Counts{5239908, 571597120}));
  options.concat_c2 = true;
  BOOST_TEST((counts_of("renasnet", options) == Counts{5677268, 608200896}));
}

BOOST_AUTO_TEST_CASE(images_of_odd_size_have_their_known_size) {
  BOOST_TEST((counts_of("renasnet", {.cells = 1, .filters = 8, .image = {3, 31, 31}}) ==
              Counts{74866, 12015608}));
}

BOOST_AUTO_TEST_CASE(cells_that_nothing_reads_are_not_built) {
  BOOST_TEST((counts_of("c-2:sep3x3+c-2:identity,1:max3x3+1:identity", {.cells = 2, .filters = 24},
                        2) == Counts{68722, 11428800}));
}

BOOST_AUTO_TEST_CASE(the_auxiliary_head_is_trained_but_not_counted) {
  NetworkOptions options{.cells = 2, .filters = 24, .auxiliary = true};
  BOOST_TEST((counts_of("renasnet", options) == Counts{827314, 130957056}));
  const SearchSpace space = SearchSpace::renas();
  const Graph graph = build_network(space, parse_genome(space, "renasnet"), options);
  const Graph inference = graph.pruned(false);
  int auxiliary = 0;
  for (const Parameter& p : graph.parameters()) {
    auxiliary += p.auxiliary;
  }
  BOOST_TEST(auxiliary > 0);
  for (const Parameter& p : inference.parameters()) {
    BOOST_TEST(!p.auxiliary);
  }
  BOOST_TEST((count(inference) == Counts{827314, 130957056}));
}

BOOST_AUTO_TEST_SUITE_END()
