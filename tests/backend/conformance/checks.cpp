#include "backend/conformance/checks.h"

#include <algorithm>
#include <boost/test/unit_test.hpp>
#include <cmath>

namespace conformance {

using namespace renas;

void check_close(const std::string& what, std::span<const float> found,
                 std::span<const float> expected, double tolerance) {
  BOOST_REQUIRE_MESSAGE(found.size() == expected.size(), what);
  double largest = 0;
  double error = 0;
  std::size_t worst = 0;
  for (std::size_t i = 0; i < found.size(); ++i) {
    largest = std::max(largest, std::abs(double{expected[i]}));
    const double e = std::abs(double{found[i]} - expected[i]);
    if (!(e <= error)) {  // a NaN must not pass
      error = e;
      worst = i;
    }
  }
  BOOST_TEST(error <= tolerance * (largest + 0.1), what << "[" << worst << "]: " << found[worst]
                                                        << " instead of " << expected[worst]
                                                        << ", largest " << largest);
}

void check_close(const std::string& what, const Weights& found, const Weights& expected,
                 double tolerance) {
  BOOST_TEST(found.size() == expected.size());
  for (const auto& [name, tensor] : expected) {
    BOOST_REQUIRE_MESSAGE(found.count(name) == 1, what << name << " is missing");
    BOOST_TEST(found.at(name).shape == tensor.shape, boost::test_tools::per_element());
    check_close(what + name, found.at(name).values, tensor.values, tolerance);
  }
}

void check_close(const StepMetrics& found, const StepMetrics& expected) {
  BOOST_TEST(found.loss == expected.loss, boost::test_tools::tolerance(kTolerance));
  BOOST_TEST(found.correct == expected.correct);
  BOOST_TEST(found.count == expected.count);
}

std::vector<float> scores_of(Program& program, const Graph& graph) {
  std::vector<float> scores(static_cast<std::size_t>(program.staging().count) *
                            graph.node(graph.scores()).shape.size());
  program.infer(scores);
  return scores;
}

}  // namespace conformance
