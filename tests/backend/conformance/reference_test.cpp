// The reference backend alone: finite differences in double, and numbers worked by hand. Whatever
// else computes a network is compared with it in backend_test.cpp.

#include <fmt/format.h>

#include <boost/test/unit_test.hpp>
#include <cmath>

#include "backend/conformance/cases.h"
#include "backend/reference/program.h"
#include "renas/error.h"

using namespace renas;
using conformance::Case;
using Exact = reference::ReferenceProgram<double>;

namespace {

/// Central difference of the loss along `direction` from `values`.
double slope(Exact& program, const StepScalars& step, std::span<double> values,
             const std::vector<double>& direction) {
  const std::vector<double> kept(values.begin(), values.end());
  const double h = 1e-6;
  double loss[2];
  for (int side = 0; side < 2; ++side) {
    for (std::size_t i = 0; i < values.size(); ++i) {
      values[i] = kept[i] + (side == 0 ? h : -h) * direction[i];
    }
    loss[side] = program.loss(step);
  }
  std::copy(kept.begin(), kept.end(), values.begin());
  return (loss[0] - loss[1]) / (2 * h);
}

/// Compares `gradient` with the slope along a direction that moves every element, and along single
/// elements.
void check_gradient(Exact& program, const StepScalars& step, std::span<double> values,
                    const std::vector<double>& gradient, const std::string& what) {
  std::vector<std::vector<double>> directions;
  const std::vector<float> all = conformance::ramp(values.size(), -1, 1.1F, 3);
  directions.emplace_back(all.begin(), all.end());
  for (const std::size_t i : {std::size_t{0}, values.size() / 2, values.size() - 1}) {
    directions.emplace_back(values.size(), 0.0);
    directions.back()[i] = 1;
  }
  for (const auto& direction : directions) {
    double expected = 0;
    for (std::size_t i = 0; i < values.size(); ++i) expected += gradient[i] * direction[i];
    const double found = slope(program, step, values, direction);
    BOOST_TEST(std::abs(found - expected) <= 1e-7 + 1e-6 * std::abs(expected),
               what << ": gradient " << expected << ", finite difference " << found);
  }
}

}  // namespace

BOOST_AUTO_TEST_SUITE(reference_backend)

BOOST_AUTO_TEST_CASE(gradients_of_every_case_agree_with_finite_differences_in_double) {
  std::vector<Case> cases = conformance::small_cases();
  for (Case& c : conformance::segmentation_cases()) cases.push_back(std::move(c));
  for (const Case& c : cases) {
    BOOST_TEST_CONTEXT(c.name) {
      Exact program(c.graph, conformance::options_of(c));
      program.load(conformance::ramp_weights(c.graph, 1));
      conformance::stage(program, c.graph, c.count, 2);
      auto& images = program.exact_images();
      const std::vector<float> planar = conformance::planar_images(c.graph, c.count, 2);
      images.assign(planar.begin(), planar.end());
      program.gradients(c.step);
      std::vector<std::vector<double>> gradients;
      for (std::size_t i = 0; i < c.graph.parameters().size(); ++i) {
        const auto g = program.parameter_gradient(static_cast<int>(i));
        gradients.emplace_back(g.begin(), g.end());
      }
      const auto image_gradient = program.value_gradient(0);
      std::vector<double> kept(image_gradient.begin(), image_gradient.end());
      kept.resize(images.size());
      check_gradient(program, c.step, images, kept, "images");
      for (std::size_t i = 0; i < gradients.size(); ++i) {
        const Parameter& p = c.graph.parameters()[i];
        if (!p.trainable()) continue;
        check_gradient(program, c.step, program.parameter(static_cast<int>(i)), gradients[i],
                       p.name);
      }
    }
  }
}

BOOST_AUTO_TEST_CASE(a_convolution_worked_by_hand) {
  Graph g;
  const int conv =
      g.conv("conv", g.input({1, 2, 2}), {.out_channels = 1, .window = Window::same(3)});
  g.set_scores(g.linear("linear", conv, 4));
  g.cross_entropy("loss", g.scores(), 1, 0);
  Exact program(g, {.batch = 1});
  Weights w = program.save(false);
  w["conv/weight"].values = {1, 2, 3, 4, 5, 6, 7, 8, 9};
  program.load(w);
  auto& batch = program.staging();
  batch.count = 1;
  const float images[] = {1, 10, 100, 1000};
  std::copy(std::begin(images), std::end(images), batch.images.begin());
  program.gradients({});
  // Convolutions are cross-correlations: the middle weight multiplies the pixel itself, the last
  // one its neighbour below and to the right.
  const double expected[] = {5 + 60 + 800 + 9000, 4 + 50 + 700 + 8000, 2 + 30 + 500 + 6000,
                             1 + 20 + 400 + 5000};
  BOOST_TEST(program.value(conv) == std::span<const double>(expected),
             boost::test_tools::per_element());
}

BOOST_AUTO_TEST_CASE(batch_norm_normalises_by_the_biased_variance_and_keeps_the_unbiased_one) {
  Graph g;
  const int bn = g.batch_norm("bn", g.input({1, 1, 2}));
  g.set_scores(g.linear("linear", bn, 2));
  g.cross_entropy("loss", g.scores(), 1, 0);
  Exact program(g, {.batch = 3});
  Weights w = program.save(false);
  w["bn/scale"].values = {2};
  w["bn/shift"].values = {1};
  w["bn/mean"].values = {10};
  w["bn/variance"].values = {4};
  program.load(w);
  auto& batch = program.staging();
  batch.count = 2;
  const float images[] = {1, 2, 3, 6};  // mean 3, squares 4 1 0 9: variance 3.5, unbiased 14 / 3
  std::copy(std::begin(images), std::end(images), batch.images.begin());
  program.gradients({});
  BOOST_TEST(program.value(bn)[3] == 1 + 2 * 3 / std::sqrt(3.5 + 1e-5),
             boost::test_tools::tolerance(1e-12));
  const Weights after = program.save(false);
  BOOST_TEST(after.at("bn/mean").values[0] == 9.3F);
  BOOST_TEST(after.at("bn/variance").values[0] == 3.6F + 1.4F / 3,
             boost::test_tools::tolerance(1e-6F));
  // Inference uses the running statistics.
  std::vector<float> scores(4);
  program.infer(scores);
  BOOST_TEST(program.value(bn)[3] == 1 + 2 * (6 - 9.3) / std::sqrt(3.6 + 1.4 / 3 + 1e-5),
             boost::test_tools::tolerance(1e-6));
}

BOOST_AUTO_TEST_CASE(a_mean_pool_does_not_count_padding_and_padding_never_wins_a_maximum) {
  Graph g;
  const int in = g.input({1, 2, 2});
  const int mean = g.average_pool("mean", in, Window::same(3));
  const int max = g.max_pool("max", in, Window::same(3));
  g.set_scores(g.linear("linear", g.add("add", {mean, max}), 2));
  g.cross_entropy("loss", g.scores(), 1, 0);
  Exact program(g, {.batch = 1});
  auto& batch = program.staging();
  batch.count = 1;
  const float images[] = {-1, -2, -4, -9};
  std::copy(std::begin(images), std::end(images), batch.images.begin());
  program.gradients({});
  for (int i = 0; i < 4; ++i) {
    BOOST_TEST(program.value(mean)[i] == -4);
    BOOST_TEST(program.value(max)[i] == -1);
  }
}

BOOST_AUTO_TEST_CASE(cross_entropy_of_equal_scores_is_the_logarithm_of_the_classes) {
  Graph g;
  g.set_scores(g.linear("linear", g.input({1, 1, 1}), 4));
  g.cross_entropy("loss", g.scores(), 1, 0.2F);
  Exact program(g, {.batch = 2});
  auto& batch = program.staging();
  batch.count = 2;
  batch.labels[0] = 0;
  batch.labels[1] = 3;
  program.gradients({});
  const StepMetrics m = program.metrics();
  BOOST_TEST(m.loss == 2 * std::log(4.0), boost::test_tools::tolerance(1e-12));
  BOOST_TEST(m.correct == 1);  // among equal scores the first class wins
  BOOST_TEST(m.count == 2);
  // d loss / d bias = (softmax - target) / 2 summed: 1/4 - (0.8 + 0.05 + 0.05) / 2 for the labels.
  BOOST_TEST(program.parameter_gradient(1)[0] == 0.25 - 0.45, boost::test_tools::tolerance(1e-6));
  BOOST_TEST(program.parameter_gradient(1)[1] == 0.25 - 0.05, boost::test_tools::tolerance(1e-6));
  BOOST_TEST(program.metrics().count == 0);  // metrics() resets the counts
}

BOOST_AUTO_TEST_CASE(class_weights_scale_loss_and_gradient_of_their_images) {
  Graph g;
  g.set_scores(g.linear("linear", g.input({1, 1, 1}), 4));
  g.cross_entropy("loss", g.scores(), 1, 0, {3, 1, 1, 0.5F});
  Exact program(g, {.batch = 3});
  auto& batch = program.staging();
  batch.count = 3;
  batch.labels[0] = 0;
  batch.labels[1] = 3;
  batch.labels[2] = kIgnored;
  program.gradients({});
  const StepMetrics m = program.metrics();
  BOOST_TEST(m.loss == 3.5 * std::log(4.0), boost::test_tools::tolerance(1e-12));
  BOOST_TEST(m.count == 2);
  // d loss / d bias of class 0: (3 (1/4 - 1) + 0.5 / 4) / 2.
  BOOST_TEST(program.parameter_gradient(1)[0] == (3 * -0.75 + 0.125) / 2,
             boost::test_tools::tolerance(1e-6));
  BOOST_TEST(program.parameter_gradient(1)[1] == (3 * 0.25 + 0.125) / 2,
             boost::test_tools::tolerance(1e-6));
  BOOST_CHECK_THROW(g.cross_entropy("few", g.scores(), 1, 0, {1, 2}), InvalidShape);
  BOOST_CHECK_THROW(g.cross_entropy("negative", g.scores(), 1, 0, {1, 1, 1, -1}), InvalidInput);
}

BOOST_AUTO_TEST_CASE(a_resize_worked_by_hand) {
  Graph g;
  const int in = g.input({1, 1, 2});
  const int half = g.resize("half", in, 1, 4);
  const int corners = g.resize("corners", in, 1, 4, true);
  const int up = g.resize("up", in, 3, 1);
  g.set_scores(g.linear("linear", g.concat("both", {half, corners}), 2));
  g.cross_entropy("loss", g.scores(), 1, 0);
  Exact program(g, {.batch = 1});
  program.staging().count = 1;
  program.staging().images[0] = 3;
  program.staging().images[1] = 6;
  program.gradients({});
  // Half-pixel: columns at -0.25, 0.25, 0.75, 1.25, not beyond the edge. Corners: 0, 1/3, 2/3, 1.
  const double at_halves[] = {3, 3.75, 5.25, 6};
  const double at_thirds[] = {3, 4, 5, 6};
  for (int i = 0; i < 4; ++i) {
    BOOST_TEST(program.value(half)[i] == at_halves[i], boost::test_tools::tolerance(1e-12));
    BOOST_TEST(program.value(corners)[i] == at_thirds[i], boost::test_tools::tolerance(1e-12));
  }
  for (int i = 0; i < 3; ++i) BOOST_TEST(program.value(up)[i] == 4.5);
  BOOST_CHECK_THROW(g.resize("empty", in, 0, 4), InvalidShape);
  BOOST_CHECK_THROW(g.broadcast("of two pixels", in, 3, 3), InvalidShape);
}

BOOST_AUTO_TEST_CASE(a_selection_of_channels_worked_by_hand) {
  Graph g;
  const int in = g.input({4, 1, 2});
  const int selected = g.select_channels("selected", in, {2, 0, 3});
  g.set_scores(g.linear("linear", selected, 2));
  g.cross_entropy("loss", g.scores(), 1, 0);
  Exact program(g, {.batch = 1});
  program.staging().count = 1;
  // Staged pixel by pixel: the first pixel's channels are 1 to 4, the second's 11 to 14.
  for (int c = 0; c < 4; ++c) {
    program.staging().images[static_cast<std::size_t>(c)] = static_cast<float>(1 + c);
    program.staging().images[static_cast<std::size_t>(4 + c)] = static_cast<float>(11 + c);
  }
  program.gradients({});
  const double expected[] = {3, 13, 1, 11, 4, 14};
  for (int i = 0; i < 6; ++i) BOOST_TEST(program.value(selected)[i] == expected[i]);
  BOOST_CHECK_THROW(g.select_channels("none", in, {}), InvalidShape);
  BOOST_CHECK_THROW(g.select_channels("beyond", in, {4}), InvalidShape);
  BOOST_CHECK_THROW(g.select_channels("twice", in, {1, 1}), InvalidShape);
}

BOOST_AUTO_TEST_CASE(a_loss_of_pixels_is_the_mean_over_those_that_count) {
  Graph g;
  g.set_scores(g.conv("conv", g.input({1, 1, 3}), {.out_channels = 2, .bias = true}));
  g.cross_entropy("loss", g.scores(), 1, 0);
  Exact program(g, {.batch = 2});
  Weights w = program.save(false);
  w["conv/weight"].values = {0, 1};
  w["conv/bias"].values = {0, 0.5F};
  program.load(w);
  auto& batch = program.staging();
  BOOST_TEST(batch.labels.size() == 6u);
  batch.count = 2;
  const float images[] = {1, 2, 3, 4, 5, 6};
  const int32_t labels[] = {0, kIgnored, 1, kIgnored, kIgnored, 0};
  std::copy(std::begin(images), std::end(images), batch.images.begin());
  std::copy(std::begin(labels), std::end(labels), batch.labels.begin());
  program.gradients({});
  const auto loss = [](double score, int label) {
    return std::log(1 + std::exp(label == 1 ? -score : score));
  };
  const double sum = loss(1.5, 0) + loss(3.5, 1) + loss(6.5, 0);
  const StepMetrics m = program.metrics();
  BOOST_TEST(m.loss == sum, boost::test_tools::tolerance(1e-12));
  BOOST_TEST(m.count == 3);
  BOOST_TEST(m.correct == 1);
  const auto p = [](double score) { return 1 / (1 + std::exp(-score)); };
  BOOST_TEST(program.parameter_gradient(1)[1] == (p(1.5) + p(3.5) - 1 + p(6.5)) / 3,
             boost::test_tools::tolerance(1e-12));
  std::vector<float> scores(12);
  program.infer(scores);  // [count, H, W, classes]
  for (int i = 0; i < 6; ++i) BOOST_TEST(scores[2 * i + 1] == images[i] + 0.5F);
}

BOOST_AUTO_TEST_CASE(sgd_worked_by_hand_over_two_steps_and_two_groups) {
  Graph g;
  g.set_scores(g.linear("linear", g.input({1, 1, 1}), 1));
  g.cross_entropy("loss", g.scores(), 1,
                  0);  // with one class there is no gradient, only decay and momentum
  Exact program(g, {.batch = 1, .parameter_groups = {0, 1}});
  Weights w = program.save(true);
  w["linear/weight"].values = {2};
  w["linear/bias"].values = {3};
  w["linear/bias/momentum"].values = {0.5F};
  program.load(w);
  program.staging().count = 1;
  const SgdStep step{.learning_rates = {0.1F, 0.2F}, .momentum = 0.5F, .weight_decay = 0.25F};
  for (int i = 0; i < 2; ++i) {
    program.gradients({});
    program.update(step);
  }
  // weight: v = 0.5, w = 1.95; v = 0.25 + 0.4875, w = 1.87625. bias has no decay: v = 0.25, 0.125.
  const Weights after = program.save(true);
  BOOST_TEST(after.at("linear/weight").values[0] == 1.87625F, boost::test_tools::tolerance(1e-6F));
  BOOST_TEST(after.at("linear/weight/momentum").values[0] == 0.7375F,
             boost::test_tools::tolerance(1e-6F));
  BOOST_TEST(after.at("linear/bias").values[0] == 3 - 0.2F * 0.375F,
             boost::test_tools::tolerance(1e-6F));
  BOOST_TEST(after.at("linear/bias/momentum").values[0] == 0.125F,
             boost::test_tools::tolerance(1e-6F));
}

BOOST_AUTO_TEST_SUITE_END()
