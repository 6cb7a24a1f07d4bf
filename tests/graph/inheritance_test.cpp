#include <boost/test/unit_test.hpp>

#include "renas/network.h"

using namespace renas;

namespace {

const SearchSpace kSpace = SearchSpace::renas();

Graph network(const std::string& genome) {
  return build_network(kSpace, parse_genome(kSpace, genome),
                       {.cells = 1, .filters = 4, .image = {3, 16, 16}});
}

}  // namespace

BOOST_AUTO_TEST_SUITE(inheritance)

BOOST_AUTO_TEST_CASE(a_child_that_changes_nothing_takes_everything) {
  const Graph parent = network("renasnet");
  Random random(1);
  const Weights weights = initialize(parent, random);
  const Inheritance child = inherit(parent, parent, weights, random);
  BOOST_TEST((child.weights == weights));
  BOOST_TEST(child.share == 1.0);
  for (const bool taken : child.inherited) {
    BOOST_TEST(taken);
  }
}

BOOST_AUTO_TEST_CASE(a_changed_operator_leaves_every_other_tensor) {
  const Graph parent = network("renasnet");
  // The second operator of block 3, avg3x3, becomes sep3x3.
  const Graph child = network(
      "c-2:sep5x5+c-1:sep3x3,c-1:identity+c-1:sep3x3,c-2:sep3x3+c-2:sep3x3,"
      "c-1:sep5x5+c-2:sep3x3,1:identity+1:sep3x3");
  Random random(1);
  const Weights weights = initialize(parent, random);
  const Inheritance result = inherit(child, parent, weights, random);
  int fresh = 0;
  for (std::size_t i = 0; i < child.parameters().size(); ++i) {
    const Parameter& p = child.parameters()[i];
    const bool changed = p.name.find("block3/2.sep3x3") != std::string::npos;
    BOOST_TEST(result.inherited[i] == !changed, p.name);
    if (changed) {
      ++fresh;
    } else {
      BOOST_TEST((result.weights.at(p.name) == weights.at(p.name)), p.name);
    }
  }
  BOOST_TEST(fresh == 5 * 12);  // 5 cells of 2 x (depthwise, pointwise, 4 of BN)
  BOOST_TEST(result.share < 1.0);
}

BOOST_AUTO_TEST_CASE(a_change_of_the_reduction_cell_leaves_every_normal_cell) {
  const SearchSpace space = SearchSpace::pair(kSpace, SearchSpace::renas(2));
  const std::string normal = "renas/" + std::string(kRenasNet) + "/";
  const auto of = [&](const std::string& reduction) {
    return build_network(space, parse_genome(space, normal + reduction),
                         {.cells = 1, .filters = 4, .image = {3, 16, 16}});
  };
  const Graph parent = of("c-2:sep3x3+c-1:max3x3,1:sep5x5+c-1:identity");
  const Graph child = of("c-2:sep3x3+c-1:sep7x7,1:sep5x5+c-1:identity");
  Random random(1);
  const Weights weights = initialize(parent, random);
  const Inheritance result = inherit(child, parent, weights, random);
  int fresh = 0;
  for (std::size_t i = 0; i < child.parameters().size(); ++i) {
    const Parameter& p = child.parameters()[i];
    // Cells 2 and 4 of 5 are the reduction cells.
    const bool changed =
        p.name.starts_with("cell2/block1/2.sep7x7") || p.name.starts_with("cell4/block1/2.sep7x7");
    BOOST_TEST(result.inherited[i] == !changed, p.name);
    if (changed) {
      ++fresh;
    } else {
      BOOST_TEST((result.weights.at(p.name) == weights.at(p.name)), p.name);
    }
  }
  BOOST_TEST(fresh == 2 * 12);

  // Two equal cells are the network of one.
  const std::string cell = kRenasNet;
  const SearchSpace equal = SearchSpace::pair(kSpace, kSpace);
  const NetworkOptions options{.cells = 1, .filters = 4, .image = {3, 16, 16}};
  const Graph both =
      build_network(equal, parse_genome(equal, "renas/" + cell + "/" + cell), options);
  const Inheritance whole = inherit(both, network(cell), initialize(network(cell), random), random);
  BOOST_TEST(whole.share == 1.0);
}

BOOST_AUTO_TEST_CASE(a_changed_concatenation_is_inherited_by_column) {
  const Graph parent = network("renasnet");  // concatenates blocks 2, 3, 4, 5
  // Block 5 now reads block 3 in its first half: blocks 2, 4, 5 remain.
  const Graph child = network(
      "c-2:sep5x5+c-1:sep3x3,c-1:identity+c-1:sep3x3,c-2:sep3x3+c-2:avg3x3,"
      "c-1:sep5x5+c-2:sep3x3,3:identity+3:sep3x3");  // concatenates blocks 1, 2, 4, 5
  Random random(1);
  const Weights weights = initialize(parent, random);
  const Inheritance result = inherit(child, parent, weights, random);
  const Tensor& before = weights.at("head/linear/weight");
  const Tensor& after = result.weights.at("head/linear/weight");
  BOOST_REQUIRE(before.shape == after.shape);
  const int f = 16;  // 4F
  const int width = 4 * f;
  for (int out = 0; out < 10; ++out) {
    for (int c = 0; c < f; ++c) {
      const auto at = [&](const Tensor& t, int group) {
        return t.values[out * width + group * f + c];
      };
      BOOST_TEST(at(after, 1) == at(before, 0));  // block 2
      BOOST_TEST(at(after, 2) == at(before, 2));  // block 4
      BOOST_TEST(at(after, 3) == at(before, 3));  // block 5
      BOOST_TEST(at(after, 0) != at(before, 1));  // block 1 is new
    }
  }
  for (std::size_t i = 0; i < child.parameters().size(); ++i) {
    if (child.parameters()[i].name == "head/linear/weight") {
      BOOST_TEST(!result.inherited[i]);
    }
  }
}

BOOST_AUTO_TEST_SUITE_END()
