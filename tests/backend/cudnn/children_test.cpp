// What a child costs the GPU after its first of a process: no allocation, and nothing stays behind.
#include <cuda_runtime_api.h>

#include <boost/test/unit_test.hpp>
#include <set>
#include <string>

#include "backend/conformance/cases.h"
#include "backend/cudnn/backend.h"
#include "cuda_emulation/control.h"
#include "renas/backend.h"
#include "renas/error.h"
#include "renas/network.h"

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
    // A kernel that is loaded when it is first launched would allocate then, and no stream of the
    // backend waits for what others give to the default stream.
    BOOST_TEST(after.late_loads == 0U);
    BOOST_TEST(after.blocking_streams == 0U);
  }
  const emulation::Counts end = emulation::counts();
  BOOST_TEST(end.device_blocks == 0U);
  BOOST_TEST(end.pinned_blocks == 0U);
}

BOOST_AUTO_TEST_CASE(a_child_that_does_not_fit_leaves_no_error_behind) {
  emulation::restart(1);
  const auto backend = make_backend({"cudnn"});
  const conformance::Case c = conformance::training_case();
  emulation::plan({.out_of_memory_at = 1});
  BOOST_CHECK_EXCEPTION(backend->compile(c.graph, {.batch = c.batch}), OutOfMemory,
                        [](const OutOfMemory& e) {
                          return std::string(e.what()).find("MiB are needed") != std::string::npos;
                        });
  BOOST_TEST(cudaPeekAtLastError() == cudaSuccess);
  const auto next = backend->compile(c.graph, {.batch = c.batch});
  next->load(conformance::ramp_weights(c.graph, 1));
  conformance::stage(*next, c.graph, c.batch, 0);
  next->gradients({.seed = 1});
  BOOST_TEST(next->metrics().count == c.batch);
}

BOOST_AUTO_TEST_CASE(recorded_steps_read_what_changes_from_step_to_step) {
  emulation::restart(1);
  NetworkOptions options;
  options.cells = 1;
  options.filters = 4;
  options.image = {3, 8, 8};
  options.dropout = 0.5F;
  options.drop_path = 0.5F;
  options.drop_path_flat = true;
  const Graph graph = build_network("c-2:sep3x3+c-1:identity,1:avg3x3+c-1:sep5x5", options);
  constexpr int kBatch = 4;
  const std::unique_ptr<Backend> backends[2] = {cudnn::make_cudnn(0, 0, true),
                                                cudnn::make_cudnn(0, 0, false)};
  std::unique_ptr<Program> programs[2];
  for (int i : {0, 1}) {
    programs[i] = backends[i]->compile(graph, {.batch = kBatch});
    programs[i]->load(conformance::ramp_weights(graph, 1));
  }
  std::set<float> seen;
  for (uint64_t step = 0; step < 5; ++step) {
    Weights gradients[2];
    for (int i : {0, 1}) {
      conformance::stage(*programs[i], graph, kBatch - static_cast<int>(step % 2), 1);
      programs[i]->gradients(
          {.seed = 1 + step, .step = step, .drop_path = 0.2F * static_cast<float>(step)});
      gradients[i] = programs[i]->gradients_by_name();
      programs[i]->update({.learning_rates = {0.01F * static_cast<float>(1 + step)}});
    }
    for (const auto& [name, tensor] : gradients[1]) {
      BOOST_TEST((gradients[0].at(name).values == tensor.values), name << " in step " << step);
    }
    seen.insert(gradients[1].begin()->second.values.front());
  }
  BOOST_TEST(seen.size() == 5U);
}

BOOST_AUTO_TEST_CASE(a_program_reads_what_was_loaded_at_once) {
  emulation::restart(1);
  const auto backend = make_backend({"cudnn"});
  const conformance::Case c = conformance::training_case();
  std::vector<float> scores[2];
  for (const bool training : {false, true}) {
    const auto program = backend->compile(c.graph, {.batch = c.batch, .training = training});
    program->load(conformance::ramp_weights(c.graph, 1));
    conformance::stage(*program, c.graph, c.batch, 0);
    scores[training].resize(
        static_cast<std::size_t>(c.batch * c.graph.node(c.graph.scores()).shape.size()));
    program->infer(scores[training]);
  }
  BOOST_TEST(scores[0] == scores[1], boost::test_tools::per_element());
}
