// What every backend of this build must do besides computing the cases of cases_test.cpp.
// RENAS_REQUIRE_BACKENDS="reference,cpu,..." makes a missing backend an error.

#include <fmt/format.h>

#include <algorithm>
#include <boost/test/unit_test.hpp>
#include <cmath>
#include <cstdlib>
#include <fstream>
#include <functional>
#include <limits>

#include "backend/conformance/cases.h"
#include "backend/conformance/checks.h"
#include "backend/reference/program.h"
#include "renas/error.h"

using namespace renas;
using conformance::all_cases;
using conformance::Case;
using conformance::check_close;
using conformance::scores_of;
using Exact = reference::ReferenceProgram<double>;

namespace {

/// Runs `test` on each backend of this build.
void on_each_backend(const std::function<void(Backend&)>& test) {
  for (const std::string& name : backend_names()) {
    BOOST_TEST_CONTEXT(name) {
      const auto backend = make_backend({name});
      BOOST_TEST(backend->name() == name);
      test(*backend);
    }
  }
}

}  // namespace

BOOST_AUTO_TEST_SUITE(every_backend)

BOOST_AUTO_TEST_CASE(required_backends_are_in_this_build) {
  const char* required = std::getenv("RENAS_REQUIRE_BACKENDS");
  const std::string list = fmt::format(",{},", required == nullptr ? "reference" : required);
  std::size_t found = 0;
  for (const std::string& name : backend_names()) {
    found += list.find("," + name + ",") == std::string::npos ? 0 : 1;
  }
  const auto wanted = static_cast<std::size_t>(std::count(list.begin(), list.end(), ',')) - 1;
  BOOST_TEST(found == wanted, "required: " << list << " found " << found << " of them");
}

BOOST_AUTO_TEST_CASE(labels_of_minus_one_do_not_count) {
  Graph g;
  g.set_scores(g.linear("linear", g.input({3, 2, 2}), 4));
  g.cross_entropy("loss", g.scores(), 1, 0.1F);
  const Weights weights = conformance::ramp_weights(g, 1);
  on_each_backend([&](Backend& backend) {
    const auto program = backend.compile(g, {.batch = 3});
    const auto gradients_with = [&](int32_t second) {
      program->load(weights);
      conformance::stage(*program, g, 3, 2);
      program->staging().labels[1] = second;
      program->gradients({});
      Weights gradients = program->gradients_by_name();
      program->update({.learning_rates = {0}});  // only clears the gradients
      return gradients;
    };
    // A batch whose second label is ignored is averaged over the images that remain.
    gradients_with(1);
    program->metrics();
    const Weights ignored = gradients_with(kIgnored);
    const StepMetrics metrics = program->metrics();
    BOOST_TEST(metrics.count == 2);
    Exact exact(g, {.batch = 3});
    exact.load(weights);
    conformance::stage(exact, g, 3, 2);
    exact.staging().labels[1] = kIgnored;
    exact.gradients({});
    const StepMetrics right = exact.metrics();
    BOOST_TEST(metrics.loss == right.loss, boost::test_tools::tolerance(1e-5));
    BOOST_TEST(metrics.correct == right.correct);
    const auto& values = ignored.at("linear/weight").values;
    for (std::size_t i = 0; i < values.size(); ++i) {
      BOOST_TEST(std::abs(values[i] - exact.parameter_gradient(0)[i]) < 1e-5);
    }
    // A batch without any counted label changes nothing.
    program->load(weights);
    conformance::stage(*program, g, 3, 2);
    std::fill(program->staging().labels.begin(), program->staging().labels.end(), kIgnored);
    program->gradients({});
    for (const auto& [name, gradient] : program->gradients_by_name()) {
      for (const float value : gradient.values) BOOST_TEST(value == 0, name);
    }
    const StepMetrics none = program->metrics();
    BOOST_TEST(none.loss == 0);
    BOOST_TEST(none.count == 0);
  });
}

BOOST_AUTO_TEST_CASE(trains_in_bfloat16_as_in_double_and_in_half_the_memory) {
  on_each_backend([](Backend& backend) {
    if (backend.precision(Precision::kBfloat16) != Precision::kBfloat16) return;
    const Case c = conformance::training_case();
    const ProgramOptions in_bf16 = {.batch = c.batch, .precision = Precision::kBfloat16};
    Exact exact(c.graph, {.batch = c.batch});
    const auto program = backend.compile(c.graph, in_bf16);
    const Weights start = conformance::ramp_weights(c.graph, 1);
    for (Program* p : {static_cast<Program*>(&exact), program.get()}) {
      p->load(start);
      for (uint64_t i = 0; i < 20; ++i) {
        conformance::stage(*p, c.graph, c.batch - static_cast<int>(i % 3), i);
        p->gradients({.seed = 3, .step = i});
        p->update({.learning_rates = {0.005F}});
      }
    }
    // The error is measured relative to the distance that the steps moved the parameters.
    double distance = 0;
    double way = 0;
    const Weights found = program->save(false);
    const Weights expected = exact.save(false);
    for (const Parameter& p : c.graph.parameters()) {
      if (!p.trainable()) continue;
      for (std::size_t i = 0; i < static_cast<std::size_t>(p.size()); ++i) {
        const double end = expected.at(p.name).values[i];
        distance += std::pow(found.at(p.name).values[i] - end, 2);
        way += std::pow(start.at(p.name).values[i] - end, 2);
      }
    }
    const double part = std::sqrt(distance / way);
    BOOST_TEST(part <= 0.15);
    BOOST_TEST(part >= 1e-4, "not rounded at all");
    const ProgramOptions many = {.batch = 64};
    ProgramOptions many_in_bf16 = many;
    many_in_bf16.precision = Precision::kBfloat16;
    const auto bytes = [&](const ProgramOptions& options) {
      return static_cast<double>(backend.estimate(c.graph, options).bytes);
    };
    BOOST_TEST(bytes(many_in_bf16) < 0.65 * bytes(many));
  });
}

BOOST_AUTO_TEST_CASE(takes_twenty_steps_over_batches_of_every_size_as_the_reference) {
  on_each_backend([](Backend& backend) {
    const Case c = conformance::training_case();
    std::vector<int> groups(c.graph.parameters().size());
    for (std::size_t i = 0; i < groups.size(); ++i) groups[i] = static_cast<int>(i % 2);
    Exact exact(c.graph, {.batch = c.batch, .parameter_groups = groups});
    const auto program =
        backend.compile(c.graph, {.batch = c.batch, .threads = 2, .parameter_groups = groups});
    for (Program* p : {static_cast<Program*>(&exact), program.get()}) {
      p->load(conformance::ramp_weights(c.graph, 1));
      for (uint64_t i = 0; i < 20; ++i) {
        conformance::stage(*p, c.graph, c.batch - static_cast<int>(i % 3), i);
        p->gradients({.seed = 3, .step = i});
        p->update({.learning_rates = {0.005F, 0.001F}});
      }
    }
    check_close(program->metrics(), exact.metrics());
    // Errors grow from step to step.
    check_close("after twenty steps: ", program->save(true), exact.save(true), 1e-3);
    check_close("scores", scores_of(*program, c.graph), scores_of(exact, c.graph), 1e-3);
  });
}

BOOST_AUTO_TEST_CASE(takes_each_of_twenty_steps_from_the_reference_s_state_as_the_reference) {
  on_each_backend([](Backend& backend) {
    for (const Case& c : conformance::small_cases()) {
      if (c.name != "two cells with an auxiliary head") continue;
      Exact exact(c.graph, {.batch = c.batch});
      const auto program = backend.compile(c.graph, {.batch = c.batch, .threads = 2});
      exact.load(conformance::ramp_weights(c.graph, 1));
      for (uint64_t i = 0; i < 20; ++i) {
        const Weights state = exact.save(true);
        exact.load(state);  // save() rounded its parameters to float
        program->load(state);
        for (Program* p : {static_cast<Program*>(&exact), program.get()}) {
          conformance::stage(*p, c.graph, c.batch - static_cast<int>(i % 3), i);
          p->gradients({.seed = 3, .step = i});
          p->update({});
        }
        check_close(fmt::format("step {}: ", i), program->save(true), exact.save(true), 2e-4);
      }
    }
  });
}

BOOST_AUTO_TEST_CASE(adds_gradients_until_the_update_and_divides_them_by_the_ranks) {
  struct Doubling final : Reducer {
    void sum(std::span<float> values) override {
      for (float& v : values) v *= 2;
    }
  };
  on_each_backend([](Backend& backend) {
    const Case c = conformance::small_cases().back();
    Exact exact(c.graph, {.batch = c.batch});
    const auto program = backend.compile(c.graph, {.batch = c.batch});
    Doubling reducer;
    for (Program* p : {static_cast<Program*>(&exact), program.get()}) {
      p->load(conformance::ramp_weights(c.graph, 1));
      for (const int count : {2, 3}) {
        conformance::stage(*p, c.graph, count, 4);
        p->gradients(c.step);
      }
      p->reduce(reducer, 4);
    }
    const Weights halved = exact.gradients_by_name();
    check_close("halved gradient of ", program->gradients_by_name(), halved);
    program->update({});
    for (const auto& [name, tensor] : program->gradients_by_name()) {
      BOOST_TEST(std::count(tensor.values.begin(), tensor.values.end(), 0.0F) ==
                     static_cast<int64_t>(tensor.values.size()),
                 name << " is not cleared by update");
    }
  });
}

BOOST_AUTO_TEST_CASE(a_batch_of_ignored_pixels_has_neither_loss_nor_gradient) {
  on_each_backend([](Backend& backend) {
    for (const Case& c : conformance::segmentation_cases()) {
      if (c.name.find("pixels") == std::string::npos) continue;
      const auto program = backend.compile(c.graph, {.batch = c.batch});
      program->load(conformance::ramp_weights(c.graph, 1));
      conformance::stage(*program, c.graph, c.count, 2);
      std::fill(program->staging().labels.begin(), program->staging().labels.end(), kIgnored);
      program->gradients(c.step);
      for (const auto& [name, gradient] : program->gradients_by_name()) {
        for (const float value : gradient.values) BOOST_TEST(value == 0, c.name << " " << name);
      }
      const StepMetrics metrics = program->metrics();
      BOOST_TEST(metrics.loss == 0);
      BOOST_TEST(metrics.count == 0);
    }
  });
}

BOOST_AUTO_TEST_CASE(a_pixel_without_a_finite_score_makes_the_loss_no_number) {
  Graph g;
  g.set_scores(g.conv("conv", g.input({1, 2, 3}), {.out_channels = 11, .bias = true}));
  g.cross_entropy("loss", g.scores(), 1, 0);
  on_each_backend([&](Backend& backend) {
    for (const float wild :
         {std::numeric_limits<float>::quiet_NaN(), std::numeric_limits<float>::infinity()}) {
      const auto program = backend.compile(g, {.batch = 1});
      Weights weights = conformance::ramp_weights(g, 1);
      weights.at("conv/bias").values[9] = wild;
      program->load(weights);
      conformance::stage(*program, g, 1, 2);
      program->gradients({});
      BOOST_TEST(!std::isfinite(program->metrics().loss), wild);
    }
  });
}

BOOST_AUTO_TEST_CASE(saves_what_was_loaded_bit_for_bit) {
  on_each_backend([](Backend& backend) {
    for (const Case& c : all_cases()) {
      Weights weights = conformance::ramp_weights(c.graph, 1);
      for (const Parameter& p : c.graph.parameters()) {
        if (!p.trainable()) continue;
        weights[p.name + kMomentumSuffix] = {p.shape, conformance::ramp(p.size(), -1, 1, 9)};
      }
      const auto program = backend.compile(c.graph, {.batch = 2});
      program->load(weights);
      BOOST_TEST((program->save(true) == weights), c.name);
      for (auto it = weights.begin(); it != weights.end();) {
        it = it->first.ends_with(kMomentumSuffix) ? weights.erase(it) : std::next(it);
      }
      program->load(weights);  // without momenta: they start at zero
      BOOST_TEST((program->save(false) == weights), c.name);
      for (const auto& [name, tensor] : program->save(true)) {
        if (!name.ends_with(kMomentumSuffix)) continue;
        BOOST_TEST(std::count(tensor.values.begin(), tensor.values.end(), 0.0F) ==
                       static_cast<int64_t>(tensor.values.size()),
                   name);
      }
    }
  });
}

BOOST_AUTO_TEST_CASE(equal_inputs_give_equal_bits) {
  on_each_backend([](Backend& backend) {
    std::vector<Case> cases = conformance::large_cases();
    for (Case& c : conformance::large_segmentation_cases()) cases.push_back(std::move(c));
    for (const Case& c : cases) {
      if (c.name.find("28x28x1") == std::string::npos && !c.segmentation) continue;
      for (const Precision precision : {Precision::kFloat32, Precision::kBfloat16}) {
        Weights alone;
        for (const int threads : {1, 2, 3}) {
          Weights results[2];
          for (Weights& result : results) {
            const auto program = backend.compile(
                c.graph, {.batch = c.batch, .threads = threads, .precision = precision});
            program->load(conformance::ramp_weights(c.graph, 1));
            for (uint64_t i = 0; i < 3; ++i) {
              conformance::stage(*program, c.graph, c.batch - static_cast<int>(i), i);
              program->gradients({.seed = 3, .step = i});
              program->update({});
            }
            result = program->save(true);
          }
          BOOST_TEST((results[0] == results[1]), threads << " threads");
          if (threads == 1) alone = results[0];
          BOOST_TEST((results[0] == alone), threads << " threads against one");
        }
      }
    }
  });
}

BOOST_AUTO_TEST_CASE(what_another_program_left_in_memory_is_not_read) {
  on_each_backend([](Backend& backend) {
    for (const Case& c : all_cases()) {
      for (const Precision precision : {Precision::kFloat32, Precision::kBfloat16}) {
        const auto train = [&](Backend& by, float factor) {
          const auto program = by.compile(c.graph, {.batch = c.batch, .precision = precision});
          Weights weights = conformance::ramp_weights(c.graph, 1);
          for (auto& [name, tensor] : weights) {
            for (float& v : tensor.values) v *= factor;
          }
          program->load(weights);
          conformance::stage(*program, c.graph, c.count, 1);
          program->gradients(c.step);
          program->update({});
          return program->save(true);
        };
        train(backend, std::numeric_limits<float>::quiet_NaN());
        const Weights after = train(backend, 1);
        const Weights alone = train(*make_backend({backend.name()}), 1);
        BOOST_TEST((after == alone), c.name);
      }
    }
  });
}

BOOST_AUTO_TEST_CASE(divergence_reaches_the_loss) {
  on_each_backend([](Backend& backend) {
    const Case c = conformance::training_case();
    for (const Precision precision : {Precision::kFloat32, Precision::kBfloat16}) {
      for (const float wild : {std::numeric_limits<float>::quiet_NaN(), 3e38F}) {
        const auto program = backend.compile(c.graph, {.batch = c.batch, .precision = precision});
        Weights weights = conformance::ramp_weights(c.graph, 1);
        for (const Parameter& p : c.graph.parameters()) {
          if (p.role != ParameterRole::kConvWeight) continue;
          for (float& v : weights.at(p.name).values) v *= wild;
          break;
        }
        program->load(weights);
        conformance::stage(*program, c.graph, c.count, 1);
        program->gradients({});
        BOOST_TEST(!std::isfinite(program->metrics().loss), wild);
      }
    }
  });
}

BOOST_AUTO_TEST_CASE(a_variance_beyond_float32_gives_the_right_loss_or_none) {
  on_each_backend([](Backend& backend) {
    const std::vector<Case> cases = conformance::small_cases();
    const Case& c = *std::find_if(cases.begin(), cases.end(),
                                  [](const Case& one) { return one.name == "batch norm"; });
    Weights weights = conformance::ramp_weights(c.graph, 1);
    for (const Parameter& p : c.graph.parameters()) {
      if (p.role != ParameterRole::kConvWeight) continue;
      for (float& v : weights.at(p.name).values) v *= 1e20F;
    }
    Exact exact(c.graph, {.batch = c.batch});
    const auto program = backend.compile(c.graph, {.batch = c.batch});
    for (Program* p : {static_cast<Program*>(&exact), program.get()}) {
      p->load(weights);
      conformance::stage(*p, c.graph, c.count, 1);
      p->gradients({});
    }
    const double found = program->metrics().loss;
    const double expected = exact.metrics().loss;
    BOOST_TEST((!std::isfinite(found) || std::abs(found - expected) < 1e-3),
               found << " instead of " << expected);
  });
}

BOOST_AUTO_TEST_CASE(a_program_for_inference_gives_the_scores_of_one_for_training) {
  on_each_backend([](Backend& backend) {
    std::vector<Case> cases = conformance::small_cases();
    for (Case& c : conformance::segmentation_cases()) cases.push_back(std::move(c));
    for (const Case& c : cases) {
      const Weights weights = conformance::ramp_weights(c.graph, 1);
      const Graph pruned = c.graph.pruned(false);
      Exact exact(c.graph, {.batch = c.batch});
      const auto program = backend.compile(pruned, {.batch = c.batch, .training = false});
      for (Program* p : {static_cast<Program*>(&exact), program.get()}) {
        p->load(weights);
        conformance::stage(*p, c.graph, c.count, 2);
      }
      BOOST_TEST_CONTEXT(c.name) {
        check_close("scores", scores_of(*program, pruned), scores_of(exact, c.graph));
        BOOST_CHECK_THROW(program->gradients({}), InvalidInput);
      }
    }
  });
}

BOOST_AUTO_TEST_CASE(says_what_is_wrong_with_weights_batches_and_rates) {
  const auto message = [](const std::string& part) {
    return [part](const Error& e) {
      BOOST_TEST_MESSAGE(e.what());
      return std::string(e.what()).find(part) != std::string::npos;
    };
  };
  on_each_backend([&](Backend& backend) {
    const Case c = conformance::small_cases().front();
    const auto program = backend.compile(c.graph, {.batch = 2});
    const Weights good = conformance::ramp_weights(c.graph, 1);
    Weights weights = good;
    weights.erase("last/bias");
    BOOST_CHECK_EXCEPTION(program->load(weights), InvalidShape,
                          message("tensor 'last/bias' [4] is missing"));
    weights = good;
    weights["last/bias"] = {{5}, std::vector<float>(5)};
    BOOST_CHECK_EXCEPTION(
        program->load(weights), InvalidShape,
        message("'last/bias' has shape [5] and 5 values, the network expects [4]"));
    program->load(good);
    conformance::stage(*program, c.graph, 2, 1);
    program->staging().count = 3;
    BOOST_CHECK_EXCEPTION(program->gradients({}), InvalidInput, message("1 to 2 images, got 3"));
    program->staging().count = 2;
    program->staging().labels[1] = 4;
    BOOST_CHECK_EXCEPTION(program->gradients({}), InvalidInput,
                          message("label 4 of image 1 is not one of 0 to 3"));
    program->staging().labels[1] = 1;
    BOOST_CHECK_EXCEPTION(program->update({.learning_rates = {}}), InvalidInput,
                          message("0 learning rates"));
    std::vector<float> scores(7);
    BOOST_CHECK_EXCEPTION(program->infer(scores), InvalidInput, message("need 8 scores"));
    Graph without;
    without.set_scores(without.input({1, 1, 1}));
    BOOST_CHECK_EXCEPTION(backend.compile(without, {}), InvalidInput, message("cross-entropy"));
  });
  BOOST_CHECK_EXCEPTION(make_backend({"cuda"}), InvalidInput, message("got 'cuda'"));
}

BOOST_AUTO_TEST_CASE(the_cpu_backend_is_also_called_onednn) {
  const std::vector<std::string> names = backend_names();
  if (std::find(names.begin(), names.end(), "cpu") == names.end()) return;
  const auto backend = make_backend({"onednn"});
  BOOST_TEST(backend->name() == "cpu");
  BOOST_TEST(backend->description().find("oneDNN") != std::string::npos);
}

BOOST_AUTO_TEST_CASE(three_hundred_children_leave_no_memory_behind) {
  const auto resident = [] {
    std::ifstream file("/proc/self/statm");
    int64_t pages = 0;
    file >> pages >> pages;
    return pages * 4096;
  };
  on_each_backend([&](Backend& backend) {
    const Case c = conformance::training_case();
    const Weights weights = conformance::ramp_weights(c.graph, 1);
    int64_t before = 0;
    for (int child = 0; child < 300; ++child) {
      const auto program = backend.compile(c.graph, {.batch = c.batch, .threads = 2});
      program->load(weights);
      conformance::stage(*program, c.graph, 2, 1);
      program->gradients({});
      program->update({});
      if (child == 30) before = resident();
    }
#ifdef __SANITIZE_ADDRESS__  // it holds back up to 256 MB of freed memory
    constexpr int64_t kRoom = 300'000'000;
#else
    constexpr int64_t kRoom = 4'000'000;
#endif
    BOOST_TEST(resident() - before < kRoom);
  });
}

BOOST_AUTO_TEST_SUITE_END()
