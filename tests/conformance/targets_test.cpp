// The vector kernels on every instruction set that this processor and this build share, not only on
// the best one.

#include <hwy/highway.h>

#include <boost/test/unit_test.hpp>

#include "backend/reference/program.h"
#include "conformance/cases.h"

using namespace renas;

BOOST_AUTO_TEST_SUITE(vector_kernels)

BOOST_AUTO_TEST_CASE(compute_every_case_alike_on_every_instruction_set) {
  std::vector<conformance::Case> cases = conformance::small_cases();
  for (auto& c : conformance::large_cases()) {
    if (c.name != "stem of 224x224x3") cases.push_back(std::move(c));
  }
  int sets = 0;
  for (const int64_t target : hwy::SupportedAndGeneratedTargets()) {
    hwy::SetSupportedTargetsForTest(target);
    BOOST_TEST_CONTEXT(hwy::TargetName(target)) {
      for (const auto& c : cases) {
        BOOST_TEST_CONTEXT(c.name) {
          reference::ReferenceProgram<double> exact(c.graph, {.batch = c.batch});
          const auto program = make_backend("onednn")->compile(c.graph, {.batch = c.batch});
          for (Program* p : {static_cast<Program*>(&exact), program.get()}) {
            p->load(conformance::ramp_weights(c.graph, 1));
            conformance::stage(*p, c.graph, c.count, 2);
            p->gradients(c.step);
          }
          BOOST_TEST(conformance::largest_error(program->gradients_by_name(),
                                                exact.gradients_by_name()) <= 5e-4);
        }
      }
    }
    ++sets;
  }
  hwy::SetSupportedTargetsForTest(0);
  BOOST_TEST(sets >= 2, "only " << sets << " instruction sets were there to test");
}

BOOST_AUTO_TEST_SUITE_END()
