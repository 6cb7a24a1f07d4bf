// What ThreadSanitizer is to see (.ci/emulated_gpu_races): every kernel, alone and recorded, and
// two programs of one backend that two host threads train at once.
#include <boost/test/unit_test.hpp>
#include <thread>

#include "backend/conformance/cases.h"
#include "renas/backend.h"

using namespace renas;
using conformance::Case;

namespace {

/// The first step runs kernel by kernel, the second is recorded, the third is launched as a whole.
StepMetrics train(Backend& backend, const Case& c, Precision precision) {
  const auto program = backend.compile(c.graph, {.batch = c.batch, .precision = precision});
  program->load(conformance::ramp_weights(c.graph, 1));
  for (uint64_t step = 0; step < 3; ++step) {
    conformance::stage(*program, c.graph, c.count, step);
    program->gradients({.seed = 1, .step = step});
    program->update({});
  }
  std::vector<float> scores(static_cast<std::size_t>(c.count) *
                            static_cast<std::size_t>(c.graph.node(c.graph.scores()).shape.size()));
  program->infer(scores);
  return program->metrics();
}

}  // namespace

BOOST_AUTO_TEST_SUITE(races)

BOOST_AUTO_TEST_CASE(every_node_kind_trains_without_a_race) {
  const auto backend = make_backend({"cudnn"});
  for (const Case& c : conformance::segmentation_cases()) {
    if (c.name.find("head of segmentation") == std::string::npos) continue;
    BOOST_TEST(train(*backend, c, Precision::kFloat32).count > 0);
    BOOST_TEST(train(*backend, c, Precision::kBfloat16).count > 0);
  }
  for (const Case& c : conformance::small_cases()) {
    if (c.name != "two cells with an auxiliary head") continue;
    BOOST_TEST(train(*backend, c, Precision::kFloat32).count > 0);
    BOOST_TEST(train(*backend, c, Precision::kBfloat16).count > 0);
  }
}

BOOST_AUTO_TEST_CASE(two_host_threads_train_on_one_backend) {
  const auto backend = make_backend({"cudnn"});
  const Case c = conformance::training_case();
  StepMetrics metrics[2];
  std::thread other([&] { metrics[1] = train(*backend, c, Precision::kFloat32); });
  metrics[0] = train(*backend, c, Precision::kFloat32);
  other.join();
  BOOST_TEST(metrics[0].loss == metrics[1].loss);
}

BOOST_AUTO_TEST_SUITE_END()
