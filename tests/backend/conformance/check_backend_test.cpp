// "check:SUBJECT,WITNESS" must pass what agrees and stop at what does not.
#include <boost/test/unit_test.hpp>
#include <cmath>
#include <memory>
#include <string>
#include <utility>

#include "backend/check/backend.h"
#include "backend/conformance/cases.h"
#include "backend/conformance/checks.h"
#include "backend/reference/program.h"
#include "renas/error.h"

using namespace renas;
using conformance::Case;

namespace {

/// What a faulty backend gets wrong.
enum class Fault { kGradient, kUpdate, kScores, kLoss, kNotANumber, kSmall, kSmallNowAndThen };

/// The reference with one fault.
class FaultyProgram final : public Program {
 public:
  FaultyProgram(std::unique_ptr<Program> right, Fault fault)
      : right_(std::move(right)), fault_(fault) {}
  HostBatch& staging() override { return right_->staging(); }
  void gradients(const StepScalars& step) override {
    right_->gradients(step);
    step_ = step.step;
  }
  void reduce(Reducer& reducer, int ranks) override { right_->reduce(reducer, ranks); }
  void update(const SgdStep& step) override {
    SgdStep changed = step;
    if (fault_ == Fault::kUpdate) changed.momentum *= 0.5F;
    right_->update(changed);
  }
  StepMetrics metrics() override {
    StepMetrics metrics = right_->metrics();
    if (fault_ == Fault::kLoss) metrics.loss *= 1.1;
    return metrics;
  }
  void infer(std::span<float> scores) override {
    right_->infer(scores);
    if (fault_ == Fault::kScores) scores[1] += 1;
  }
  void load(const Weights& host) override { right_->load(host); }
  Weights save(bool momenta) const override { return right_->save(momenta); }
  Weights gradients_by_name() const override {
    Weights gradients = right_->gradients_by_name();
    if (fault_ == Fault::kSmall || (fault_ == Fault::kSmallNowAndThen && step_ % 5 != 4)) {
      for (auto& [name, tensor] : gradients) {
        for (float& value : tensor.values) value *= 1.01F;
      }
    }
    float& value = gradients.begin()->second.values[0];
    if (fault_ == Fault::kGradient) value += 1;
    if (fault_ == Fault::kNotANumber) value = NAN;
    return gradients;
  }

 private:
  std::unique_ptr<Program> right_;
  Fault fault_;
  uint64_t step_ = 0;
};

class FaultyBackend final : public Backend {
 public:
  explicit FaultyBackend(Fault fault) : fault_(fault) {}
  std::string name() const override { return "faulty"; }
  Precision precision(Precision) const override { return Precision::kFloat32; }
  std::unique_ptr<Program> compile(const Graph& graph, const ProgramOptions& options) override {
    return std::make_unique<FaultyProgram>(right_->compile(graph, options), fault_);
  }
  MemoryEstimate estimate(const Graph& graph, const ProgramOptions& options) const override {
    return right_->estimate(graph, options);
  }

 private:
  std::unique_ptr<Backend> right_ = reference::make_reference();
  Fault fault_;
};

/// Takes three steps of two batches each, and infers.
void train(Program& program, const Case& c) {
  program.load(conformance::ramp_weights(c.graph, 1));
  for (uint64_t step = 0; step < 3; ++step) {
    for (uint64_t part = 0; part < 2; ++part) {
      conformance::stage(program, c.graph, c.batch - static_cast<int>(step), 2 * step + part);
      program.gradients({.seed = 3, .step = step});
    }
    program.update({.learning_rates = {0.005F}});
  }
  conformance::stage(program, c.graph, c.batch, 9);
  conformance::scores_of(program, c.graph);
}

std::string complaint_about(Fault fault) {
  const Case c = conformance::training_case();
  const auto backend =
      check::make_check(std::make_unique<FaultyBackend>(fault), reference::make_reference());
  try {
    train(*backend->compile(c.graph, {.batch = c.batch}), c);
  } catch (const Error& error) {
    return error.what();
  }
  return "no complaint";
}

bool says(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

}  // namespace

BOOST_AUTO_TEST_SUITE(check_backend)

BOOST_AUTO_TEST_CASE(every_backend_trains_beside_the_reference_with_the_results_it_has_alone) {
  const Case c = conformance::training_case();
  for (const std::string& name : backend_names()) {
    for (const Precision precision : {Precision::kFloat32, Precision::kBfloat16}) {
      BOOST_TEST_CONTEXT(name << " " << to_string(precision)) {
        const auto alone = make_backend({name});
        const auto checked = make_backend({"check:" + name + ",reference"});
        BOOST_TEST(checked->name() == "check:" + name + ",reference");
        const ProgramOptions options = {.batch = c.batch, .precision = precision};
        const auto a = alone->compile(c.graph, options);
        const auto b = checked->compile(c.graph, options);
        train(*a, c);
        train(*b, c);
        const StepMetrics metrics = a->metrics();
        BOOST_TEST(b->metrics().loss == metrics.loss, boost::test_tools::tolerance(1e-9));
        BOOST_TEST(b->metrics().count == 0);  // the first call cleared them
        const Weights found = b->save(true);
        for (const auto& [parameter, tensor] : a->save(true)) {
          BOOST_TEST(found.at(parameter).values == tensor.values, parameter);
        }
      }
    }
  }
}

BOOST_AUTO_TEST_CASE(a_wrong_gradient_update_loss_or_score_is_named) {
  BOOST_TEST(says(complaint_about(Fault::kGradient), "the gradient at step 0 of '"));
  BOOST_TEST(says(complaint_about(Fault::kNotANumber), "the gradient at step 0 of '"));
  BOOST_TEST(says(complaint_about(Fault::kUpdate), "the new value of '"));
  BOOST_TEST(says(complaint_about(Fault::kLoss), "the loss at step 0"));
  BOOST_TEST(says(complaint_about(Fault::kScores), "the scores"));
  BOOST_TEST(says(complaint_about(Fault::kScores), "backends faulty and reference disagree"));
}

BOOST_AUTO_TEST_CASE(gradients_may_differ_as_a_relu_does_that_rounding_decides_but_not_always) {
  const Case c = conformance::training_case();
  const auto steps_until_it_complains = [&](Fault fault) {
    const auto program =
        check::make_check(std::make_unique<FaultyBackend>(fault), reference::make_reference())
            ->compile(c.graph, {.batch = c.batch});
    program->load(conformance::ramp_weights(c.graph, 1));
    uint64_t step = 0;
    for (; step < 12; ++step) {
      conformance::stage(*program, c.graph, c.batch, step);
      try {
        program->gradients({.seed = 3, .step = step});
      } catch (const Error& error) {
        BOOST_TEST(says(error.what(), "the gradient at step 4, as at the 4 steps before, of '"));
        break;
      }
      program->update({.learning_rates = {0.005F}});
    }
    return step;
  };
  BOOST_TEST(steps_until_it_complains(Fault::kSmall) == 4U);
  BOOST_TEST(steps_until_it_complains(Fault::kSmallNowAndThen) == 12U);
}

BOOST_AUTO_TEST_CASE(two_names_are_needed) {
  for (const char* name : {"check:", "check:cpu", "check:,cpu", "check:cpu,"}) {
    BOOST_CHECK_EXCEPTION(make_backend({name}), InvalidInput,
                          [](const InvalidInput& e) { return says(e.what(), "check:cudnn,cpu"); });
  }
  BOOST_CHECK_THROW(make_backend({"check:reference,nothing"}), InvalidInput);
}

BOOST_AUTO_TEST_SUITE_END()
