// Every backend trains the published networks as the reference does.

#include <boost/test/unit_test.hpp>
#include <cmath>

#include "renas/backend.h"
#include "renas/network.h"
#include "renas/zoo.h"

using namespace renas;

namespace {

/// Loss and gradients of one step on images that are a function of `seed`.
std::pair<double, Weights> step(const std::string& backend, const Graph& graph,
                                const Weights& weights) {
  const auto program = make_backend({backend})->compile(graph, {.batch = 3});
  program->load(weights);
  HostBatch& batch = program->staging();
  batch.count = 3;
  Random random(11);
  for (float& value : batch.images) value = static_cast<float>(random.normal());
  for (int i = 0; i < 3; ++i) batch.labels[static_cast<std::size_t>(i)] = i;
  program->gradients({});
  return {program->metrics().loss, program->gradients_by_name()};
}

void expect_equal(const std::string& genome, const NetworkOptions& options) {
  const Graph graph = build_network(genome, options);
  Random random(5);
  const Weights weights = initialize(graph, random);
  const auto [loss, expected] = step("reference", graph, weights);
  BOOST_TEST(std::isfinite(loss));
  for (const std::string& backend : backend_names()) {
    if (backend == "reference") continue;
    BOOST_TEST_CONTEXT(genome << " on " << backend) {
      const auto [other_loss, found] = step(backend, graph, weights);
      BOOST_TEST(std::abs(loss - other_loss) < 1e-3 * loss);
      double difference = 0;
      double size = 0;
      for (const auto& [name, tensor] : expected) {
        const Tensor& other = found.at(name);
        for (std::size_t i = 0; i < tensor.values.size(); ++i) {
          const double d = double{tensor.values[i]} - double{other.values[i]};
          difference += d * d;
          size += double{tensor.values[i]} * double{tensor.values[i]};
        }
      }
      BOOST_TEST(std::sqrt(difference) < 0.02 * std::sqrt(size));
    }
  }
}

}  // namespace

BOOST_AUTO_TEST_SUITE(zoo_training)

BOOST_AUTO_TEST_CASE(published_cells_have_the_gradients_of_the_reference) {
  for (const std::string& name : zoo_names()) {
    if (is_zoo_name(zoo_text(name)) && name != "resnet-20") continue;
    NetworkOptions options{.cells = 1, .filters = 8, .image = {3, 16, 16}, .classes = 5};
    options.auxiliary = name != "resnet-20";
    expect_equal(name, options);
    if (name == "resnet-20") continue;
    options.kind = NetworkKind::kImageNet;
    options.filters = 16;
    options.image = {3, 45, 41};
    expect_equal(name, options);
  }
}

BOOST_AUTO_TEST_SUITE_END()
