// DeepLabv3 on a cell: its size, and how the body of a classifier becomes it.

#include "graph/deeplab.h"

#include <boost/test/unit_test.hpp>
#include <cmath>
#include <map>
#include <string>

#include "renas/error.h"
#include "renas/network.h"

using namespace renas;

namespace {

NetworkOptions options_of(NetworkKind kind, bool concat_c2) {
  NetworkOptions options;
  options.kind = kind;
  options.cells = 4;
  options.filters = 44;
  options.image = {3, 513, 513};
  options.classes = 21;
  options.concat_c2 = concat_c2;
  return options;
}

Graph network(const NetworkOptions& options) {
  const SearchSpace space = SearchSpace::renas();
  return build_network(space, parse_genome(space, "renasnet"), options);
}

const Node& node_of(const Graph& graph, const std::string& name) {
  for (const Node& node : graph.nodes()) {
    if (node.name == name) return node;
  }
  throw InvalidInput("no node " + name);
}

}  // namespace

BOOST_AUTO_TEST_SUITE(deeplab)

BOOST_AUTO_TEST_CASE(has_the_sizes_of_the_published_networks_at_any_output_stride) {
  for (const int stride : {8, 16}) {
    NetworkOptions options = options_of(NetworkKind::kDeepLab, true);
    options.output_stride = stride;
    BOOST_TEST(count(network(options)).parameters == 11665537);
    options.concat_c2 = false;
    BOOST_TEST(count(network(options)).parameters == 10097553);
  }
}

BOOST_AUTO_TEST_CASE(published_bodies_have_the_sizes_that_were_published_or_counted) {
  const auto expect = [](const std::string& genome, int cells, int filters, int64_t parameters) {
    NetworkOptions options = options_of(NetworkKind::kDeepLab, false);
    options.cells = cells;
    options.filters = filters;
    const Graph graph = build_network(genome, options);
    BOOST_TEST(count(graph).parameters == parameters, genome);
    BOOST_TEST((node_of(graph, "aspp/1x1/conv").shape == Shape{256, 33, 33}), genome);
    return count(graph).mult_adds;
  };
  const int64_t v1 = expect("mobilenet-v1", 1, 4, 11145301);
  BOOST_TEST(std::llround(static_cast<double>(v1) / 1e7) == 1276);
  const int64_t v2 = expect("mobilenet-v2", 1, 4, 4523541);
  BOOST_TEST(std::llround(static_cast<double>(v2) / 1e7) == 536);
  expect("nasnet-a", 4, 44, 12408871);
  expect("amoebanet-a", 4, 50, 10561279);
  expect("pnasnet-5", 3, 54, 12337556);
  expect("darts-v2", 4, 48, 9987533);
}

BOOST_AUTO_TEST_CASE(every_published_cell_becomes_a_body) {
  for (const std::string genome :
       {"amoebanet-b", "amoebanet-c", "amoebanet-d", "enas", "darts-v1", "resnet-50"}) {
    for (const int side : {241, 260}) {
      NetworkOptions options = options_of(NetworkKind::kDeepLab, false);
      options.cells = 2;
      options.filters = 16;
      options.image = {3, side, side};
      const Graph graph = build_network(genome, options);
      BOOST_TEST((graph.node(graph.scores()).shape == Shape{21, side, side}), genome);
      BOOST_TEST(node_of(graph, "aspp/1x1/conv").shape.height == (side + 15) / 16, genome);
    }
  }
}

BOOST_AUTO_TEST_CASE(the_classifier_s_weights_fit_the_body) {
  const Graph classifier = network(options_of(NetworkKind::kImageNet, false));
  const Graph segmenter = network(options_of(NetworkKind::kDeepLab, false));
  std::map<std::string, std::vector<int64_t>> shapes;
  for (const Parameter& p : classifier.parameters()) shapes[p.name] = p.shape;
  std::size_t fitting = 0;
  for (const Parameter& p : segmenter.parameters()) {
    const auto found = shapes.find(p.name);
    if (found == shapes.end()) {
      const bool of_head = p.name.rfind("aspp/", 0) == 0 || p.name.rfind("segmentation/", 0) == 0;
      BOOST_TEST(of_head, p.name);
      continue;
    }
    BOOST_TEST((found->second == p.shape), p.name);
    ++fitting;
  }
  BOOST_TEST(fitting + 2 == shapes.size());  // all but the classifier's weight and bias
  Random random(1);
  const Weights weights = initialize(classifier, random);
  const Inheritance taken = inherit(segmenter, classifier, weights, random);
  BOOST_TEST((taken.weights.at("stem/conv/weight") == weights.at("stem/conv/weight")));
  BOOST_TEST(taken.share > 0.4);
}

BOOST_AUTO_TEST_CASE(the_last_reduction_keeps_its_map_and_what_is_behind_it_is_atrous) {
  const Graph g = network(options_of(NetworkKind::kDeepLab, false));
  // Cells: two of the stem, four, a reduction (7), four, a reduction (12), four.
  const auto depthwise = [&](const std::string& name) { return node_of(g, name).window; };
  const Window before = depthwise("cell11/block1/1.sep5x5/depthwise1");
  BOOST_TEST((before == Window::same(5)));
  const Window at_stride = depthwise("cell12/block1/1.sep5x5/depthwise1");
  BOOST_TEST((at_stride == Window::same(5)));
  const Window behind = depthwise("cell12/block1/1.sep5x5/depthwise2");
  BOOST_TEST((behind == Window::same(5, 1, 2)));
  BOOST_TEST((depthwise("cell13/block1/1.sep5x5/depthwise1") == Window::same(5, 1, 2)));
  // Both halves of the factorized reduction behind it read the same pixels.
  const Node& even = node_of(g, "cell13/c-2/even");
  const Node& odd = node_of(g, "cell13/c-2/odd");
  BOOST_TEST(even.inputs[0] == odd.inputs[0]);
  BOOST_TEST(even.window.stride_height == 1);
  BOOST_TEST(node_of(g, "cell8/c-2/odd").window.stride_height == 2);
  BOOST_TEST((node_of(g, "aspp/1x1/conv").shape == Shape{256, 33, 33}));
  BOOST_TEST((node_of(g, "aspp/rate18/conv").window == Window::same(3, 1, 18)));
  BOOST_TEST((g.node(g.scores()).shape == Shape{21, 513, 513}));
  BOOST_TEST(g.node(g.scores()).align_corners);

  NetworkOptions options = options_of(NetworkKind::kDeepLab, false);
  options.output_stride = 8;
  const Graph at_8 = network(options);
  BOOST_TEST((node_of(at_8, "aspp/1x1/conv").shape == Shape{256, 65, 65}));
  BOOST_TEST((node_of(at_8, "aspp/rate18/conv").window == Window::same(3, 1, 36)));
  BOOST_TEST((node_of(at_8, "cell13/block1/1.sep5x5/depthwise1").window == Window::same(5, 1, 4)));
}

BOOST_AUTO_TEST_CASE(refuses_what_it_cannot_be_made_of) {
  NetworkOptions options = options_of(NetworkKind::kDeepLab, false);
  options.output_stride = 4;
  BOOST_CHECK_THROW(network(options), InvalidInput);
  options.output_stride = 16;
  options.auxiliary = true;
  BOOST_CHECK_THROW(network(options), InvalidInput);
  options.auxiliary = false;
  Graph without_pool;
  without_pool.set_scores(without_pool.linear("linear", without_pool.input({3, 8, 8}), 4));
  BOOST_CHECK_THROW(make_deeplab(without_pool, options), InvalidInput);
}

BOOST_AUTO_TEST_SUITE_END()
