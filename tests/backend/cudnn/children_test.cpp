// What a child costs the GPU after its first of a process: no allocation, and nothing stays behind.
#include <boost/test/unit_test.hpp>

#include "backend/conformance/cases.h"
#include "cuda_emulation/control.h"
#include "renas/backend.h"

using namespace renas;

BOOST_AUTO_TEST_CASE(a_second_child_compiles_records_and_trains_without_an_allocation) {
  emulation::restart(1);
  {
    const auto backend = make_backend({"cudnn"});
    const conformance::Case c = conformance::training_case();
    const auto train = [&](Precision precision) {
      const auto program = backend->compile(c.graph, {.batch = c.batch, .precision = precision});
      program->load(conformance::ramp_weights(c.graph, 1));
      // The first step runs kernel by kernel, the second is recorded, the third is launched as a
      // whole.
      for (uint64_t step = 0; step < 3; ++step) {
        conformance::stage(*program, c.graph, c.batch, step);
        program->gradients({.seed = 1, .step = step});
        program->update({});
      }
      program->metrics();
    };
    train(Precision::kFloat32);
    const emulation::Counts first = emulation::counts();
    BOOST_TEST(first.allocations > 0U);
    train(Precision::kFloat32);
    train(Precision::kBfloat16);  // takes less than the block that is there
    const emulation::Counts after = emulation::counts();
    BOOST_TEST(after.allocations == first.allocations);
    BOOST_TEST(after.device_blocks == first.device_blocks);
    BOOST_TEST(after.pinned_blocks == first.pinned_blocks);
    BOOST_TEST(after.graphs == first.graphs);
    BOOST_TEST(after.streams == first.streams);
    BOOST_TEST(after.events == first.events);
    BOOST_TEST(after.kernels > 2 * first.kernels);
  }
  const emulation::Counts end = emulation::counts();
  BOOST_TEST(end.device_blocks == 0U);
  BOOST_TEST(end.pinned_blocks == 0U);
}
