// The one suite that binds the backends: every backend of this build computes every case as the
// reference does in double, each case as a test of its own:
//
//   --run_test=conformance/cpu/NAME        in float32
//   --run_test=conformance/cpu_bf16/NAME   in bfloat16, where the backend has it
//
// NAME is the case's name with underscores, as --list_content prints it. To add a case, add it to a
// list in cases.cpp.

#include "backend/conformance/cases.h"

#include <algorithm>
#include <bit>
#include <boost/make_shared.hpp>
#include <boost/test/unit_test.hpp>
#include <cctype>
#include <cmath>
#include <functional>
#include <set>

#include "backend/conformance/checks.h"
#include "backend/reference/program.h"

using namespace renas;
using conformance::all_cases;
using conformance::Case;
using conformance::check_close;
using conformance::options_of;
using conformance::scores_of;
using Exact = reference::ReferenceProgram<double>;

namespace {

/// Compares one training step: metrics, gradients, parameters after it, and scores.
void check_step(Backend& backend, const Case& c) {
  const Weights weights = conformance::ramp_weights(c.graph, 1);
  Exact exact(c.graph, options_of(c));
  const auto program = backend.compile(c.graph, options_of(c, 2));
  for (Program* p : {static_cast<Program*>(&exact), program.get()}) {
    p->load(weights);
    conformance::stage(*p, c.graph, c.count, 2);
    p->gradients(c.step);
  }
  check_close(program->metrics(), exact.metrics());
  check_close("gradient of ", program->gradients_by_name(), exact.gradients_by_name());
  check_close("after one step: ", program->save(false), exact.save(false));
  check_close("scores", scores_of(*program, c.graph), scores_of(exact, c.graph));
}

/// Compares a step of a whole network, whose errors are judged by the median of five seeds.
void check_network(Backend& backend, const Case& c) {
  std::vector<double> errors;
  for (const uint64_t seed : {1, 2, 3, 4, 5}) {
    Exact exact(c.graph, options_of(c));
    const auto program = backend.compile(c.graph, options_of(c, 2));
    for (Program* p : {static_cast<Program*>(&exact), program.get()}) {
      p->load(conformance::ramp_weights(c.graph, 1000 * seed));
      conformance::stage(*p, c.graph, c.count, seed);
      p->gradients(c.step);
    }
    errors.push_back(std::max(
        conformance::largest_error(program->gradients_by_name(), exact.gradients_by_name()),
        conformance::largest_error(program->save(false), exact.save(false))));
  }
  std::sort(errors.begin(), errors.end());
  BOOST_TEST(errors[2] <= 1e-4, errors[1] << ", " << errors[2] << ", " << errors[3]);
}

/// The weights of every convolution and linear layer to the nearest bfloat16.
Weights rounded(Weights weights) {
  for (auto& [name, tensor] : weights) {
    if (tensor.shape.size() < 2) continue;
    for (float& v : tensor.values) {
      const auto bits = std::bit_cast<uint32_t>(v);
      v = std::bit_cast<float>((bits + 0x7fff + (bits >> 16 & 1)) & 0xffff0000U);
    }
  }
  return weights;
}

/// Compares a step in bfloat16, by the median of five seeds. Rounding decides some ReLUs and
/// maxima, and each decision moves every gradient before it. How much shows in the reference
/// itself, in double, when only its weights are rounded. A backend also rounds maps and, where it
/// multiplies bfloat16, operands. It may be off by twice as much, or by 0.08 where a case has so
/// few values that a single decision weighs heavily.
void check_bfloat16(Backend& backend, const Case& c) {
  // Two cells have so many decisions, and batch norms of a few values amplify them so much, that
  // only all tensors together tell right from wrong.
  const bool deep = c.name.find("cells") != std::string::npos;
  const auto distance = deep ? conformance::distance : conformance::largest_distance;
  std::vector<double> gradients;
  std::vector<double> due;
  std::vector<double> scores;
  for (const uint64_t seed : {1, 2, 3, 4, 5}) {
    Exact exact(c.graph, options_of(c));
    Exact of_rounded(c.graph, options_of(c));
    const auto program = backend.compile(c.graph, options_of(c, 2, Precision::kBfloat16));
    const Weights weights = conformance::ramp_weights(c.graph, 1000 * seed);
    for (Program* p :
         {static_cast<Program*>(&exact), static_cast<Program*>(&of_rounded), program.get()}) {
      p->load(p == &of_rounded ? rounded(weights) : weights);
      conformance::stage(*p, c.graph, c.count, seed);
      p->gradients(c.step);
    }
    gradients.push_back(distance(program->gradients_by_name(), exact.gradients_by_name()));
    due.push_back(distance(of_rounded.gradients_by_name(), exact.gradients_by_name()));
    const auto named = [](std::vector<float> values) {
      const auto size = static_cast<int64_t>(values.size());
      return Weights{{"scores", {{size}, std::move(values)}}};
    };
    scores.push_back(conformance::distance(named(scores_of(*program, c.graph)),
                                           named(scores_of(exact, c.graph))));
  }
  for (auto* values : {&gradients, &due, &scores}) std::sort(values->begin(), values->end());
  BOOST_TEST(gradients[2] <= std::max(deep ? 0.3 : 0.08, 2 * due[2]),
             "gradients " << gradients[1] << ", " << gradients[2] << ", " << gradients[3]
                          << "; weights rounded in double: " << due[2]);
  BOOST_TEST(scores[2] <= 0.01, "scores " << scores[1] << ", " << scores[2] << ", " << scores[3]);
}

using Check = std::function<void(Backend&, const Case&)>;

/// The case's name with an underscore for everything that is no letter or digit.
std::string test_name(const Case& c) {
  std::string name;
  for (const char letter : c.name) {
    const bool plain = std::isalnum(static_cast<unsigned char>(letter)) != 0;
    if (plain || name.empty() || name.back() != '_') name += plain ? letter : '_';
  }
  return name;
}

boost::unit_test::test_suite* make_suite(const std::string& name) {
  return new boost::unit_test::test_suite(name, __FILE__, __LINE__);
}

/// Adds one test for each case, which calls `check` on a backend of its own.
void add_tests(boost::unit_test::test_suite& suite, const std::string& backend,
               std::vector<Case> cases, const Check& check) {
  for (Case& c : cases) {
    const std::string name = test_name(c);
    suite.add(boost::unit_test::make_test_case(
        [backend, check, c = std::move(c)] {
          const auto made = make_backend({backend});
          check(*made, c);
        },
        name, __FILE__, __LINE__));
  }
}

/// Makes the suites of all backends when Boost asks for them, which is after static initialisation.
class Suites final : public boost::unit_test::test_unit_generator {
 public:
  boost::unit_test::test_unit* next() const override {
    if (!made_) make();
    if (suites_.empty()) return nullptr;
    boost::unit_test::test_unit* const suite = suites_.front();
    suites_.erase(suites_.begin());
    return suite;
  }

 private:
  void make() const {
    made_ = true;
    for (const std::string& backend : backend_names()) {
      suites_.push_back(make_suite(backend));
      add_tests(*suites_.back(), backend, all_cases(), check_step);
      add_tests(*suites_.back(), backend, conformance::network_cases(), check_network);
      if (make_backend({backend})->precision(Precision::kBfloat16) != Precision::kBfloat16) {
        continue;
      }
      suites_.push_back(make_suite(backend + "_bf16"));
      add_tests(*suites_.back(), backend, all_cases(), check_bfloat16);
    }
  }

  mutable bool made_ = false;
  mutable std::vector<boost::unit_test::test_suite*> suites_;
};

}  // namespace

BOOST_AUTO_TEST_SUITE(conformance)

const boost::unit_test::ut_detail::auto_test_unit_registrar kSuites(
    boost::make_shared<Suites>(), boost::unit_test::decorator::collector_t::instance());

BOOST_AUTO_TEST_CASE(every_case_has_a_name_of_its_own) {
  std::vector<Case> cases = all_cases();
  for (Case& c : conformance::network_cases()) cases.push_back(std::move(c));
  std::set<std::string> names;
  for (const Case& c : cases) BOOST_TEST(names.insert(test_name(c)).second, c.name);
  BOOST_TEST(names.size() > 100u);
}

BOOST_AUTO_TEST_SUITE_END()
