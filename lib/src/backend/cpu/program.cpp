#include "backend/cpu/program.h"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstring>
#include <utility>

#include "backend/contract.h"
#include "backend/cpu/backend.h"
#include "backend/cpu/image_ranges.h"
#include "backend/cpu/kernels/bf16_kernels.h"
#include "backend/mask.h"
#include "renas/error.h"

namespace renas::cpu {

namespace {

/// Keeps the shortest of its lifetimes in `seconds`, by the clock: other work on the machine only
/// lengthens some of them. (Processor time will not do: that of other threads is known to a tick.)
class Stopwatch {
  using Clock = std::chrono::steady_clock;

 public:
  Stopwatch(bool on, double& seconds) : seconds_(on ? &seconds : nullptr) {
    if (on) start_ = Clock::now();
  }
  ~Stopwatch() {
    if (seconds_ == nullptr) return;
    const double seconds = std::chrono::duration<double>(Clock::now() - start_).count();
    *seconds_ = *seconds_ == 0 ? seconds : std::min(*seconds_, seconds);
  }
  Stopwatch(const Stopwatch&) = delete;
  Stopwatch& operator=(const Stopwatch&) = delete;

 private:
  double* seconds_;
  Clock::time_point start_;
};

}  // namespace

void CpuProgram::gradients(const StepScalars& step) {
  if (!options_.training) {
    throw InvalidInput("cpu backend: gradients() of a program compiled for inference");
  }
  contract::check_batch(staging_, options_.batch, classes_, true);
  forward(Mode::kTraining, step);
  for (auto bound = groups_.rbegin(); bound != groups_.rend(); ++bound) {
    const Stopwatch watch(profiling_, bound->backward_seconds);
    if (bound->norm >= 0 && norms_[static_cast<std::size_t>(bound->norm)].norm.has_gradient) {
      norm_backward(*bound);
    }
    if (bound->group.backward) backward_group(*bound, step);
  }
}

void CpuProgram::infer(std::span<float> scores) {
  contract::check_batch(staging_, options_.batch, classes_, false);
  contract::check_scores(scores, staging_.count, classes_);
  forward(Mode::kInference, {});
  const Stored& stored = plan_.stored[static_cast<std::size_t>(plan_.scores)];
  for (int n = 0; n < staging_.count; ++n) {
    std::copy_n(arena_.data() + stored.offset + static_cast<std::size_t>(n) * stored.map.size(),
                classes_, scores.data() + static_cast<std::ptrdiff_t>(n) * classes_);
  }
}

void CpuProgram::forward(Mode mode, const StepScalars& step) {
  pack_weights();
  prepare_norms(mode);
  for (Bound& bound : groups_) {
    if (mode == Mode::kInference && !bound.group.scores) continue;
    const Stopwatch watch(profiling_, bound.forward_seconds);
    forward_group(bound, mode, step);
  }
}

void CpuProgram::forward_group(Bound& bound, Mode mode, const StepScalars& step) {
  const Group::Kind kind = bound.group.kind;
  if (kind == Group::Kind::kLoss) return run_loss(bound, mode == Mode::kTraining);
  const bool statistics_wanted = bound.norm >= 0 && mode == Mode::kTraining;
  const std::size_t step_floats =
      sums_.size() / static_cast<std::size_t>(std::min(kImageRanges, options_.batch));
  const int areas = for_each_image_range([&](int first, int last, int partial, int thread) {
    float* scratch = scratch_.data() + static_cast<std::size_t>(thread) * scratch_size_;
    float* sums = nullptr;
    if (statistics_wanted) {
      sums = sums_.data() + static_cast<std::size_t>(partial) * step_floats;
      std::fill_n(sums, 2 * bound.out.map.channels, 0.0F);
    }
    switch (kind) {
      case Group::Kind::kInput:
        run_input(bound, first, last);
        break;
      case Group::Kind::kConv:
        if (bound.bias < 0) return conv_forward(bound.conv, first, last, scratch, sums, thread);
        conv_forward(bound.conv, first, last, scratch, nullptr, thread);
        add_bias(bound, first, last);
        break;
      case Group::Kind::kSeparable:
        separable_forward(bound.separable, first, last, scratch, sums);
        return;
      case Group::Kind::kPool:
        pool_forward(bound.pool, first, last, scratch);
        break;
      case Group::Kind::kAdd:
        add_forward(bound.add, first, last);
        break;
      case Group::Kind::kMaterialise:
        materialise_forward(bound.join, first, last);
        break;
      case Group::Kind::kGlobalAverage:
        global_average_forward(bound.join, first, last);
        break;
      case Group::Kind::kDropout:
        run_drop(bound, false, mode == Mode::kTraining, step, first, last);
        break;
      case Group::Kind::kLoss:
        break;
    }
    if (statistics_wanted) statistics(bound.out, first, last, sums);
  });
  if (statistics_wanted) finish_statistics(norms_[static_cast<std::size_t>(bound.norm)], areas);
}

void CpuProgram::backward_group(Bound& bound, const StepScalars& step) {
  const Group::Kind kind = bound.group.kind;
  if (kind == Group::Kind::kLoss) return backward_loss(bound);
  const int areas = for_each_image_range([&](int first, int last, int index, int thread) {
    float* scratch = scratch_.data() + static_cast<std::size_t>(thread) * scratch_size_;
    float* partial = partials_.data() + static_cast<std::size_t>(index + 1) * partial_size_;
    std::fill_n(partial, bound.partial_floats, 0.0F);
    switch (kind) {
      case Group::Kind::kConv:
        return conv_backward(bound.conv, first, last, scratch, partial, thread);
      case Group::Kind::kSeparable:
        return separable_backward(bound.separable, first, last, scratch, partial);
      case Group::Kind::kPool:
        return pool_backward(bound.pool, first, last, scratch);
      case Group::Kind::kAdd:
        for (const InputView& in : bound.add.in) {
          if (in.gradient) store_gradient_map(in, bound.out.gradient, first, last);
        }
        return;
      case Group::Kind::kMaterialise:
        return materialise_backward(bound.join, first, last);
      case Group::Kind::kGlobalAverage:
        return global_average_backward(bound.join, first, last);
      case Group::Kind::kDropout:
        return run_drop(bound, true, true, step, first, last);
      case Group::Kind::kInput:
      case Group::Kind::kLoss:
        return;
    }
  });
  if (!bound.weights.maps.empty()) reduce_weight_gradients(bound, areas);
  for (const NormSums& sums : bound.sums) {
    NormState& norm = norms_[static_cast<std::size_t>(sums.norm)];
    const float* sum = partials_.data() + partial_size_ + sums.offset;
    reduce_sums(norm, sum, sum + norm.stride, partial_size_, areas);
  }
  if (bound.bias >= 0) {
    const int channels = graph_.node(bound.group.node).shape.channels;
    for (int n = 0; n < staging_.count; ++n) {
      const float* row =
          bound.out.gradient.as<float>() + static_cast<std::size_t>(n) * bound.out.map.size();
      for (int c = 0; c < channels; ++c) parameter_gradient(bound.bias)[c] += row[c];
    }
  }
}

template <class Task>
void CpuProgram::in_pieces(std::size_t count, const Task& task) {
  constexpr std::size_t kFew = 2048;  // not worth waking a thread
  if (count == 0) return;
  const std::size_t pieces = count < kFew ? 1 : static_cast<std::size_t>(threads_.count());
  threads_.run(static_cast<int>(pieces), [&](int piece, int) {
    const auto i = static_cast<std::size_t>(piece);
    task(i * count / pieces, (i + 1) * count / pieces);
  });
}

void CpuProgram::reduce_weight_gradients(Bound& bound, int areas) {
  float* total = partials_.data();
  for (const WeightMap& map : bound.weights.maps) {
    float* gradient = parameter_gradient(map.parameter);
    in_pieces(map.element.size(), [&](std::size_t first, std::size_t last) {
      const std::size_t begin = map.forward[first];
      const std::size_t size = map.forward[last - 1] + 1 - begin;
      std::fill_n(total + begin, size, 0.0F);
      add_partials(total + partial_size_ + begin, partial_size_, areas, size, total + begin);
      for (std::size_t i = first; i < last; ++i) {
        gradient[map.element[i]] += total[map.forward[i]];
      }
    });
  }
}

void CpuProgram::pack_weights() {
  if (packed_is_current_) return;
  threads_.run(static_cast<int>(groups_.size()), [&](int g, int) {
    const Bound& bound = groups_[static_cast<std::size_t>(g)];
    float* forward = packed_.data() + bound.packed_forward;
    float* backward = packed_.data() + bound.packed_backward;
    for (const WeightMap& map : bound.weights.maps) {
      const float* weight = parameter(map.parameter);
      for (std::size_t i = 0; i < map.element.size(); ++i) {
        forward[map.forward[i]] = weight[map.element[i]];
        if (options_.training) backward[map.backward[i]] = weight[map.element[i]];
      }
    }
    float* bf16_weights = packed_.data() + bound.bf16_weights;
    if (bound.conv.bf16_kernels != nullptr) {
      bound.conv.bf16_kernels->pack(bound.conv, options_.training, bf16_weights);
    }
    if (bound.separable.bf16_kernels != nullptr) {
      bound.separable.bf16_kernels->pack(bound.separable, options_.training, bf16_weights);
    }
  });
  for (const Packed& p : products_) p.product->set_weights(p.weights);
  packed_is_current_ = true;
}

void CpuProgram::add_bias(const Bound& bound, int first, int last) {
  const int channels = graph_.node(bound.group.node).shape.channels;
  const float* bias = parameter(bound.bias);
  for (int n = first; n < last; ++n) {
    float* row = bound.out.data.as<float>() + static_cast<std::size_t>(n) * bound.out.map.size();
    for (int c = 0; c < channels; ++c) row[c] += bias[c];
  }
}

void CpuProgram::run_input(const Bound& bound, int first, int last) const {
  const Shape& shape = graph_.node(bound.group.node).shape;
  const std::size_t pixels = bound.out.map.pixels();
  for (int n = first; n < last; ++n) {
    const float* from = images_.data() + static_cast<std::size_t>(n * shape.size());
    float* to = bound.out.data.as<float>() + static_cast<std::size_t>(n) * bound.out.map.size();
    for (std::size_t p = 0; p < pixels; ++p) {
      for (int c = 0; c < bound.out.map.channels; ++c) {
        *to++ = c < shape.channels ? from[static_cast<std::size_t>(c) * pixels + p] : 0.0F;
      }
    }
  }
}

void CpuProgram::run_drop(const Bound& bound, bool backward, bool masks, const StepScalars& step,
                          int first, int last) const {
  const InputView& in = bound.join.in[0];
  if (backward && !in.gradient) return;
  const int index = bound.group.node;
  const Node& node = graph_.node(index);
  const bool path = node.kind == NodeKind::kDropPath;
  const float probability = path ? node.probability * step.drop_path : node.probability;
  const std::size_t pixels = in.map.pixels();
  for (int n = first; n < last; ++n) {
    const auto picture = static_cast<uint64_t>(n);
    for (std::size_t p = 0; p < pixels; ++p) {
      for (int c = 0; c < in.map.channels; ++c) {
        const std::size_t at =
            (static_cast<std::size_t>(n) * pixels + p) * static_cast<std::size_t>(in.map.channels) +
            static_cast<std::size_t>(c);
        const uint64_t element = path ? picture
                                      : picture * static_cast<uint64_t>(node.shape.size()) +
                                            static_cast<uint64_t>(c) * pixels + p;
        float factor = c < node.shape.channels ? 1.0F : 0.0F;
        if (masks && c < node.shape.channels) {
          factor = mask_factor(step.seed, step.step, index, element, probability);
        }
        float value = in.data.get(at);
        if (in.scale != nullptr) value = value * in.scale[c] + in.shift[c];
        if (in.relu && value < 0) value = 0;
        if (!backward) {
          bound.out.data.set(at, value * factor);
          continue;
        }
        const float gradient = in.relu && !(value > 0) ? 0.0F : bound.out.gradient.get(at) * factor;
        in.gradient.set(at, in.accumulate ? in.gradient.get(at) + gradient : gradient);
      }
    }
  }
}

namespace {

/// log of the sum of exponentials.
double log_total(const float* scores, int classes) {
  const double top = *std::max_element(scores, scores + classes);
  double total = 0;
  for (int k = 0; k < classes; ++k) total += std::exp(scores[k] - top);
  return std::log(total) + top;
}

double target(const Node& node, int classes, int k, int label) {
  return double{node.label_smoothing} / classes +
         (k == label ? 1 - double{node.label_smoothing} : 0);
}

}  // namespace

void CpuProgram::run_loss(const Bound& bound, bool training) {
  const Node& node = graph_.node(bound.group.node);
  if (!training || node.auxiliary) return;
  const InputView& in = bound.join.in[0];
  const int classes = bound.join.channels[0];
  for (int n = 0; n < staging_.count; ++n) {
    const float* scores = in.data.as<float>() + static_cast<std::size_t>(n) * in.map.size();
    const int label = labels_[static_cast<std::size_t>(n)];
    const double total = log_total(scores, classes);
    for (int k = 0; k < classes; ++k) {
      metrics_.loss -= target(node, classes, k, label) * (scores[k] - total);
    }
    metrics_.correct += std::max_element(scores, scores + classes) - scores == label ? 1 : 0;
  }
  metrics_.count += staging_.count;
}

void CpuProgram::backward_loss(const Bound& bound) {
  const Node& node = graph_.node(bound.group.node);
  const InputView& in = bound.join.in[0];
  if (!in.gradient) return;
  const int classes = bound.join.channels[0];
  for (int n = 0; n < staging_.count; ++n) {
    const std::size_t at = static_cast<std::size_t>(n) * in.map.size();
    const float* scores = in.data.as<float>() + at;
    const double total = log_total(scores, classes);
    for (int k = 0; k < in.map.channels; ++k) {
      double gradient = 0;
      if (k < classes) {
        gradient = std::exp(scores[k] - total) -
                   target(node, classes, k, labels_[static_cast<std::size_t>(n)]);
      }
      const auto g = static_cast<float>(gradient * node.loss_weight / staging_.count);
      float& to = in.gradient.as<float>()[at + static_cast<std::size_t>(k)];
      to = in.accumulate ? to + g : g;
    }
  }
}

void CpuProgram::reduce(Reducer& reducer, int ranks) {
  reducer.sum({gradients_.data(), gradients_.size()});
  for (std::size_t i = 0; i < gradients_.size(); ++i) {
    gradients_.data()[i] /= static_cast<float>(ranks);
  }
}

void CpuProgram::update(const SgdStep& step) {
  const std::vector<float> rates = contract::parameter_rates(graph_, options_, step);
  threads_.run(static_cast<int>(rates.size()), [&](int i, int) {
    const Parameter& p = graph_.parameter(i);
    if (!p.trainable()) return;
    const std::size_t at = offsets_[static_cast<std::size_t>(i)];
    sgd(weights_.data() + at, gradients_.data() + at, momenta_.data() + at,
        static_cast<std::size_t>(p.size()), rates[static_cast<std::size_t>(i)], step.momentum,
        p.decays() ? step.weight_decay : 0.0F);
  });
  packed_is_current_ = false;
}

StepMetrics CpuProgram::metrics() { return std::exchange(metrics_, StepMetrics{}); }

void CpuProgram::load(const Weights& host) {
  contract::load_parameters(
      graph_, host, [&](int i, std::span<const float> values, std::span<const float> momenta) {
        std::copy(values.begin(), values.end(), parameter(i));
        if (momenta_.data() == nullptr) return;
        float* momentum = momenta_.data() + offsets_[static_cast<std::size_t>(i)];
        std::fill_n(momentum, values.size(), 0.0F);
        std::copy(momenta.begin(), momenta.end(), momentum);
      });
  packed_is_current_ = false;
}

std::span<const float> CpuProgram::values(const Buffer& buffer, int i) const {
  return {buffer.data() + offsets_[static_cast<std::size_t>(i)],
          static_cast<std::size_t>(graph_.parameter(i).size())};
}

Weights CpuProgram::save(bool momenta) const {
  Weights weights;
  const auto copy = [](std::span<const float> from) {
    return [from](std::span<float> to) { std::copy(from.begin(), from.end(), to.begin()); };
  };
  for (int i = 0; i < static_cast<int>(offsets_.size()); ++i) {
    contract::save_parameter(graph_, i, "", weights, copy(values(weights_, i)));
    if (momenta && momenta_.data() != nullptr && graph_.parameter(i).trainable()) {
      contract::save_parameter(graph_, i, kMomentumSuffix, weights, copy(values(momenta_, i)));
    }
  }
  return weights;
}

Weights CpuProgram::gradients_by_name() const {
  Weights weights;
  for (int i = 0; gradients_.data() != nullptr && i < static_cast<int>(offsets_.size()); ++i) {
    if (!graph_.parameter(i).trainable()) continue;
    contract::save_parameter(graph_, i, "", weights, [&](std::span<float> to) {
      const auto from = values(gradients_, i);
      std::copy(from.begin(), from.end(), to.begin());
    });
  }
  return weights;
}

namespace {

class CpuBackend final : public Backend {
 public:
  std::string name() const override { return "cpu"; }
  std::string description() const override {
    return fmt::format("cpu (oneDNN {} for wide products)", TileProduct::library_version());
  }
  Precision precision(Precision wanted) const override { return wanted; }
  std::unique_ptr<Program> compile(const Graph& graph, const ProgramOptions& options) override {
    return std::make_unique<CpuProgram>(graph, options, arena_cache_);
  }
  MemoryEstimate estimate(const Graph& graph, const ProgramOptions& options) const override {
    return {CpuProgram::bytes(graph, options)};
  }

 private:
  const std::shared_ptr<ArenaCache> arena_cache_ = std::make_shared<ArenaCache>();
};

}  // namespace

std::unique_ptr<Backend> make_cpu() { return std::make_unique<CpuBackend>(); }

}  // namespace renas::cpu
