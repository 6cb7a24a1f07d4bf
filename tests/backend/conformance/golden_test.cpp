// The reference backend in double against one training step computed by PyTorch in float64.
// tests/golden/make_network_golden.py makes the numbers.

#include <boost/test/unit_test.hpp>
#include <cmath>
#include <fstream>
#include <map>
#include <sstream>
#include <string>
#include <vector>

#include "backend/conformance/cases.h"
#include "backend/reference/program.h"

using namespace renas;

namespace {

struct Array {
  std::vector<int64_t> shape;
  std::vector<double> values;
};

using Golden = std::map<std::string, std::map<std::string, Array>>;  // by kind and name

Golden read_golden() {
  std::ifstream file(RENAS_GOLDEN_DIR "/network.txt");
  BOOST_REQUIRE_MESSAGE(file.good(), "tests/golden/network.txt cannot be read");
  Golden golden;
  for (std::string text; std::getline(file, text);) {
    std::istringstream line(text);
    std::string kind;
    std::string name;
    std::string shape;
    line >> kind >> name >> shape;
    Array& array = golden[kind][name];
    std::istringstream sizes(shape);
    for (std::string n; std::getline(sizes, n, 'x');) array.shape.push_back(std::stoll(n));
    for (double v = 0; line >> v;) array.values.push_back(v);
  }
  return golden;
}

int separable(Graph& g, const std::string& name, int in, int channels, int kernel, int stride) {
  for (int layer = 0; layer < 2; ++layer) {
    const std::string prefix = name + std::to_string(layer);
    const int from = g.node(in).shape.channels;
    in = g.relu(prefix + "/relu", in);
    in = g.conv(prefix + "/depthwise", in,
                {.out_channels = from,
                 .window = Window::same(kernel, layer == 0 ? stride : 1),
                 .groups = from});
    in =
        g.batch_norm(prefix + "/bn", g.conv(prefix + "/pointwise", in, {.out_channels = channels}));
  }
  return in;
}

Graph golden_network() {
  Graph g;
  const int stem = g.batch_norm("stem/bn", g.conv("stem", g.input({2, 9, 8}),
                                                  {.out_channels = 6, .window = Window::same(3)}));
  const Window pool = Window::same(3, 2);
  const Window every_other = Window::valid(1, 1, 2);
  const int one = g.add("one", {separable(g, "a", stem, 6, 5, 2), g.max_pool("b", stem, pool)});
  const int two = g.add("two", {g.average_pool("c", stem, pool), separable(g, "d", stem, 6, 7, 2)});
  const int relu = g.relu("relu", stem);
  const int half0 = g.conv("half0", relu, {.out_channels = 3, .window = every_other});
  const int half1 =
      g.conv("half1", g.pixel_shift("shift", relu), {.out_channels = 3, .window = every_other});
  const int reduced = g.batch_norm("reduced/bn", g.concat("reduced", {half0, half1}));
  const int three = g.add("three", {reduced, separable(g, "e", one, 6, 3, 1)});
  int out = g.relu("relu1", g.concat("out", {two, three}));
  out = g.conv("atrous", out, {.out_channels = 8, .window = Window::same(3, 1, 2)});
  out = g.relu("relu2", g.batch_norm("atrous/bn", out));
  out = g.conv("grouped", out, {.out_channels = 8, .window = Window::same(3), .groups = 4});
  out = g.linear("classifier", g.global_average_pool("mean", g.relu("relu3", out)), 5);
  g.set_scores(out);
  g.cross_entropy("loss", out, 1, 0.1F);
  return g;
}

void check(const std::string& what, std::span<const double> found, const Array& expected,
           double tolerance) {
  BOOST_REQUIRE_MESSAGE(found.size() == expected.values.size(), what);
  for (std::size_t i = 0; i < found.size(); ++i) {
    BOOST_TEST(std::abs(found[i] - expected.values[i]) <= tolerance,
               what << "[" << i << "]: " << found[i] << " instead of " << expected.values[i]);
  }
}

}  // namespace

BOOST_AUTO_TEST_SUITE(reference_backend)

BOOST_AUTO_TEST_CASE(computes_a_training_step_as_pytorch_in_float64) {
  const Golden golden = read_golden();
  const Graph graph = golden_network();
  reference::ReferenceProgram<double> program(graph, {.batch = 3});
  Weights weights;
  for (const auto& [name, array] : golden.at("weight")) {
    weights[name] = {array.shape, std::vector<float>(array.values.begin(), array.values.end())};
  }
  BOOST_TEST(weights.size() == graph.parameters().size());
  program.load(weights);
  HostBatch& batch = program.staging();
  batch.count = 3;
  // PyTorch has its images as [batch, C, H, W].
  const auto& images = golden.at("input").at("images");
  const Shape shape{static_cast<int>(images.shape[1]), static_cast<int>(images.shape[2]),
                    static_cast<int>(images.shape[3])};
  const std::vector<float> planar(images.values.begin(), images.values.end());
  conformance::stage_planar(batch, shape, planar);
  const auto& labels = golden.at("label").at("labels").values;
  std::copy(labels.begin(), labels.end(), batch.labels.begin());
  program.gradients({});
  BOOST_TEST(program.metrics().loss / 3 == golden.at("value").at("loss").values[0],
             boost::test_tools::tolerance(1e-12));
  std::size_t gradients = 0;
  for (std::size_t i = 0; i < graph.parameters().size(); ++i) {
    const Parameter& p = graph.parameters()[i];
    const int at = static_cast<int>(i);
    if (p.trainable()) {
      check("gradient of " + p.name, program.parameter_gradient(at),
            golden.at("gradient").at(p.name), 1e-11);
      ++gradients;
    } else {
      check("after the step: " + p.name, program.parameter(at), golden.at("after").at(p.name),
            1e-13);
    }
  }
  BOOST_TEST(gradients == golden.at("gradient").size());
  std::vector<float> scores(15);
  program.infer(scores);
  const auto exact = program.value(graph.scores());
  check("scores", exact, golden.at("value").at("scores"), 1e-11);
}

BOOST_AUTO_TEST_SUITE_END()
