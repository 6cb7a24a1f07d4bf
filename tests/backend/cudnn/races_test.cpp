// What ThreadSanitizer is to see (.ci/emulated_gpu_races): the kernels of small networks, alone and
// recorded, and two programs of one backend that two host threads train at once.
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

BOOST_AUTO_TEST_CASE(small_networks_train_without_a_race) {
  const auto backend = make_backend({"cudnn"});
  std::vector<Case> cases = conformance::small_cases();
  for (Case& c : conformance::segmentation_cases()) cases.push_back(std::move(c));
  for (const std::string name : {"two cells with an auxiliary head", "head of segmentation",
                                 "channels shuffled between a 1x1 of groups and a depthwise"}) {
    int found = 0;
    for (const Case& c : cases) {
      if (!c.name.starts_with(name)) continue;
      ++found;
      BOOST_TEST(train(*backend, c, Precision::kFloat32).count > 0);
      BOOST_TEST(train(*backend, c, Precision::kBfloat16).count > 0);
    }
    BOOST_TEST(found > 0, "no case begins with " << name);
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
