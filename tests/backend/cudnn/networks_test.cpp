// Whole networks beyond the search's: those that segment, and those that shuffle channels.
#include <algorithm>
#include <boost/test/unit_test.hpp>

#include "backend/conformance/cases.h"
#include "backend/reference/program.h"
#include "cuda_emulation/control.h"
#include "renas/network.h"
#include "renas/random.h"

using namespace renas;

namespace {

constexpr int kBatch = 4;
constexpr uint64_t kSteps = 2;

/// Takes steps from the reference's state, and compares gradients and scores. Now and then rounding
/// decides a ReLU, which moves every gradient before it, so the median of the steps is judged.
void trains_as_the_reference(const std::string& genome, const NetworkOptions& options) {
  const Graph graph = build_network(genome, options);
  std::vector<double> gradients;
  std::vector<double> scores;
  for (const uint64_t seed : {1, 2, 3}) {
    reference::ReferenceProgram<double> exact(graph, {.batch = kBatch});
    const auto program = make_backend({"cudnn"})->compile(graph, {.batch = kBatch});
    Random random(seed);
    exact.load(initialize(graph, random));
    double first = 0;
    double last = 0;
    for (uint64_t step = 0; step < kSteps; ++step) {
      const Weights state = exact.save(true);
      Weights found[2];
      std::vector<float> inferred[2];
      int who = 0;
      for (Program* p : {static_cast<Program*>(&exact), program.get()}) {
        p->load(state);
        conformance::stage(*p, graph, kBatch, seed);
        p->gradients({.seed = seed, .step = step});
        found[who] = p->gradients_by_name();
        p->update({.learning_rates = {0.01F}});
        inferred[who].resize(static_cast<std::size_t>(graph.node(graph.scores()).shape.size()) *
                             kBatch);
        p->infer(inferred[who++]);
      }
      const double loss = exact.metrics().loss;
      BOOST_TEST(program->metrics().loss == loss, boost::test_tools::tolerance(1e-4));
      (step == 0 ? first : last) = loss;
      gradients.push_back(conformance::distance(found[1], found[0]));
      const auto size = static_cast<int64_t>(inferred[0].size());
      scores.push_back(conformance::distance({{"scores", {{size}, inferred[1]}}},
                                             {{"scores", {{size}, inferred[0]}}}));
    }
    BOOST_TEST(last < first);
  }
  for (auto* distances : {&gradients, &scores}) std::sort(distances->begin(), distances->end());
  BOOST_TEST_MESSAGE(genome << ": gradients differ by " << gradients.front() << " to "
                            << gradients.back() << ", scores by up to " << scores.back());
  BOOST_TEST(gradients[gradients.size() / 2] <= 1e-3);
  BOOST_TEST(scores[scores.size() / 2] <= 1e-3);
}

}  // namespace

BOOST_AUTO_TEST_SUITE(networks)

BOOST_AUTO_TEST_CASE(deeplab_trains_as_the_reference) {
  NetworkOptions options;
  options.kind = NetworkKind::kDeepLab;
  options.cells = 1;
  options.filters = 4;
  options.image = {3, 33, 33};
  options.classes = 5;
  options.dropout = 0.1F;
  trains_as_the_reference("renasnet", options);
}

BOOST_AUTO_TEST_CASE(shufflenet_trains_as_the_reference) {
  NetworkOptions options;
  options.kind = NetworkKind::kImageNet;
  options.image = {3, 64, 64};
  options.classes = 5;
  trains_as_the_reference("shufflenet-v2-1.5", options);
}

BOOST_AUTO_TEST_CASE(streams_change_no_bit) {
  NetworkOptions options;
  options.cells = 1;
  options.filters = 4;
  options.image = {3, 16, 16};
  options.auxiliary = true;
  const Graph graph = build_network("renasnet", options);
  Random random(1);
  const Weights begin = initialize(graph, random);
  const auto train = [&](int streams, uint64_t order) {
    emulation::restart(2, std::size_t{4} << 30, order);
    const auto program = make_backend({.backend = "cudnn", .streams = streams})
                             ->compile(graph, {.batch = kBatch, .precision = Precision::kBfloat16});
    program->load(begin);
    for (uint64_t step = 0; step < 3; ++step) {
      conformance::stage(*program, graph, kBatch, step);
      program->gradients({.seed = 1, .step = step});
      program->update({});
    }
    return std::pair(program->save(true), program->metrics().loss);
  };
  const auto alone = train(1, 1);
  for (const uint64_t order : {2, 3}) {
    const auto together = train(4, order);
    BOOST_TEST(together.second == alone.second);
    for (const auto& [name, tensor] : alone.first) {
      BOOST_TEST((together.first.at(name).values == tensor.values), name);
    }
  }
}

BOOST_AUTO_TEST_SUITE_END()
