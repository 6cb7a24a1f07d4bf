#include "backend/check/backend.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "renas/error.h"

namespace renas::check {

namespace {

/// How far two backends may differ: the norm of the difference as a part of the witness's norm. In
/// bfloat16, gradients in which much cancels keep one or two bits; a fault of a kernel shows there
/// by a difference as large as the gradient itself.
double tolerance(Precision precision) { return precision == Precision::kBfloat16 ? 0.5 : 5e-3; }

/// Rounding now and then decides whether a ReLU lets a number pass, which changes all gradients
/// before it by about a hundredth where batches are small. A fault of a kernel is there at every
/// step. So float32 gradients may differ by kRounding times the tolerance, but not at
/// kStepsInARow steps one after the other.
constexpr double kRounding = 10;
constexpr int kStepsInARow = 5;

double norm(std::span<const float> values) {
  double sum = 0;
  for (const float v : values) sum += double{v} * v;
  return std::sqrt(sum);
}

double distance(std::span<const float> a, std::span<const float> b) {
  double sum = 0;
  for (std::size_t i = 0; i < a.size(); ++i) {
    // Where both are infinite or no numbers, they agree: the network diverged.
    if (!std::isfinite(a[i]) && !std::isfinite(b[i])) continue;
    sum += (double{a[i]} - b[i]) * (double{a[i]} - b[i]);
  }
  return std::sqrt(sum);
}

/// Compares what two backends computed.
class Comparison {
 public:
  Comparison(std::string subject, std::string witness, Precision precision)
      : subject_(std::move(subject)),
        witness_(std::move(witness)),
        tolerance_(tolerance(precision)),
        rounding_(precision == Precision::kBfloat16 ? 1 : kRounding) {}

  /// Throws Error unless |found - expected| <= tolerance * `scale`.
  void near(double distance, double scale, const std::string& what) const {
    if (!(distance <= tolerance_ * scale)) disagree(distance, scale, what);
  }

  /// Compares tensors by name. A tensor that is small beside the others, as the gradient of a
  /// weight before a batch norm may be, is held to their size. Returns false where they differ by
  /// no more than rounding may explain; with `strictly` that throws too.
  bool tensors(const Weights& found, const Weights& expected, const std::string& what,
               bool strictly) const {
    bool agree = true;
    double sum = 0;
    std::size_t count = 0;
    for (const auto& [name, tensor] : expected) {
      const double size = norm(tensor.values);
      if (std::isfinite(size)) sum += size * size;
      count += tensor.values.size();
    }
    const double typical = std::sqrt(sum / static_cast<double>(std::max<std::size_t>(count, 1)));
    for (const auto& [name, tensor] : expected) {
      const auto same = found.find(name);
      if (same == found.end() || same->second.values.size() != tensor.values.size()) {
        throw Error(
            fmt::format("backend {} has no {} of '{}' as {} has", subject_, what, name, witness_));
      }
      const double floor = typical * std::sqrt(static_cast<double>(tensor.values.size()));
      const double own = norm(tensor.values);
      const double scale = std::max(std::isfinite(own) ? own : 0, floor);
      const double apart = distance(same->second.values, tensor.values);
      if (apart <= tolerance_ * scale) continue;
      agree = false;
      if (strictly || !(apart <= rounding_ * tolerance_ * scale)) {
        disagree(apart, scale, fmt::format("{} of '{}'", what, name));
      }
    }
    return agree;
  }

 private:
  [[noreturn]] void disagree(double distance, double scale, const std::string& what) const {
    throw Error(fmt::format(
        "backends {} and {} disagree on {}: they differ by {:.3g}, and {:.3g} is allowed "
        "({:.3g} of the size {:.3g}). One of them computes wrongly: please report it "
        "with the genome and the options",
        subject_, witness_, what, distance, tolerance_ * scale, tolerance_, scale));
  }

  std::string subject_;
  std::string witness_;
  double tolerance_;
  double rounding_;
};

class CheckProgram final : public Program {
 public:
  CheckProgram(std::unique_ptr<Program> subject, std::unique_ptr<Program> witness,
               Comparison comparison)
      : subject_(std::move(subject)),
        witness_(std::move(witness)),
        compare_(std::move(comparison)) {}

  HostBatch& staging() override { return subject_->staging(); }
  void gradients(const StepScalars& step) override {
    follow();
    stage_witness();
    subject_->gradients(step);
    witness_->gradients(step);
    std::string when = fmt::format(" at step {}", step.step);
    const StepMetrics found = subject_->metrics();
    const StepMetrics expected = witness_->metrics();
    if (found.count != expected.count) {
      throw Error(fmt::format("backends disagree on the labels that count{}: {} and {}", when,
                              found.count, expected.count));
    }
    if (std::isfinite(found.loss) || std::isfinite(expected.loss)) {
      compare_.near(std::abs(found.loss - expected.loss),
                    std::abs(expected.loss) + static_cast<double>(expected.count),
                    "the loss" + when);
    }
    sums_.loss += found.loss;
    sums_.correct += found.correct;
    sums_.count += found.count;
    const bool last_chance = doubtful_ + 1 == kStepsInARow;
    if (last_chance) when += fmt::format(", as at the {} steps before,", doubtful_);
    const bool agree =
        compare_.tensors(subject_->gradients_by_name(), witness_->gradients_by_name(),
                         "the gradient" + when, last_chance);
    doubtful_ = agree ? 0 : doubtful_ + 1;
    agreed_ = agreed_ && agree;
  }
  void reduce(Reducer& reducer, int ranks) override {
    subject_->reduce(reducer, ranks);
    reduced_ = true;  // the witness has this rank's gradients alone
  }
  void update(const SgdStep& step) override {
    subject_->update(step);
    witness_->update(step);
    if (!reduced_ && agreed_) {
      compare_.tensors(subject_->save(true), witness_->save(true), "the new value", true);
    }
    reduced_ = false;
    agreed_ = true;
    updated_ = true;
  }
  StepMetrics metrics() override { return std::exchange(sums_, {}); }
  void infer(std::span<float> scores) override {
    follow();
    stage_witness();
    subject_->infer(scores);
    std::vector<float> expected(scores.size());
    witness_->infer(expected);
    compare_.near(distance(scores, expected),
                  norm(expected) + std::sqrt(static_cast<double>(expected.size())), "the scores");
  }
  void load(const Weights& host) override {
    subject_->load(host);
    witness_->load(host);
    updated_ = false;
  }
  Weights save(bool momenta) const override { return subject_->save(momenta); }
  Weights gradients_by_name() const override { return subject_->gradients_by_name(); }

 private:
  /// Gives the witness the subject's state, once after each update: in between it would clear the
  /// witness's gradients, and running statistics of both have seen the same batches.
  void follow() {
    if (updated_) witness_->load(subject_->save(true));
    updated_ = false;
  }
  void stage_witness() {
    const HostBatch& from = subject_->staging();
    HostBatch& to = witness_->staging();
    std::copy(from.images.begin(), from.images.end(), to.images.begin());
    std::copy(from.labels.begin(), from.labels.end(), to.labels.begin());
    to.count = from.count;
  }

  std::unique_ptr<Program> subject_;
  std::unique_ptr<Program> witness_;
  Comparison compare_;
  StepMetrics sums_;
  bool updated_ = false;
  bool reduced_ = false;
  bool agreed_ = true;  // the gradients since the last update
  int doubtful_ = 0;    // steps in a row whose gradients did not
};

class CheckBackend final : public Backend {
 public:
  CheckBackend(std::unique_ptr<Backend> subject, std::unique_ptr<Backend> witness)
      : subject_(std::move(subject)), witness_(std::move(witness)) {}
  std::string name() const override {
    return fmt::format("check:{},{}", subject_->name(), witness_->name());
  }
  std::string description() const override {
    return fmt::format("{}, each step compared with {}", subject_->description(),
                       witness_->description());
  }
  Precision precision(Precision wanted) const override { return subject_->precision(wanted); }
  std::unique_ptr<Program> compile(const Graph& graph, const ProgramOptions& options) override {
    return std::make_unique<CheckProgram>(
        subject_->compile(graph, options), witness_->compile(graph, options),
        Comparison(subject_->name(), witness_->name(), precision(options.precision)));
  }
  MemoryEstimate estimate(const Graph& graph, const ProgramOptions& options) const override {
    return subject_->estimate(graph, options);
  }

 private:
  std::unique_ptr<Backend> subject_;
  std::unique_ptr<Backend> witness_;
};

}  // namespace

std::unique_ptr<Backend> make_check(std::unique_ptr<Backend> subject,
                                    std::unique_ptr<Backend> witness) {
  return std::make_unique<CheckBackend>(std::move(subject), std::move(witness));
}

}  // namespace renas::check
