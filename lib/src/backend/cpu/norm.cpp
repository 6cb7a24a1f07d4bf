#include <algorithm>
#include <cmath>
#include <limits>

#include "backend/cpu/image_ranges.h"
#include "backend/cpu/program.h"

namespace renas::cpu {

namespace {

constexpr double kEpsilon = 1e-5;
constexpr double kMomentum = 0.9;

}  // namespace

/// Inference: coefficients from the running statistics. Training: the pilots, values near the mean
/// that the sums of squares are taken around, since a mean far from zero would drown the variance.
void CpuProgram::prepare_norms(Mode mode) {
  for (NormState& norm : norms_) {
    const Node& node = graph_.node(norm.norm.node);
    const float* mean = parameter(node.parameters[2]);
    std::copy_n(mean, norm.channels, norm.centre);
    if (mode == Mode::kTraining) continue;
    for (int c = 0; c < norm.channels; ++c) {
      const double inverse = 1 / std::sqrt(parameter(node.parameters[3])[c] + kEpsilon);
      const double scale = parameter(node.parameters[0])[c] * inverse;
      norm.scale[c] = static_cast<float>(scale);
      norm.shift[c] = static_cast<float>(parameter(node.parameters[1])[c] - mean[c] * scale);
    }
  }
}

void CpuProgram::finish_statistics(NormState& norm, int areas) {
  norm.has_sums = false;
  const Node& node = graph_.node(norm.norm.node);
  const Map& map = plan_.stored[static_cast<std::size_t>(norm.norm.stored)].map;
  const double count = static_cast<double>(map.pixels()) * staging_.count;
  const std::size_t step =
      sums_.size() / static_cast<std::size_t>(std::min(kImageRanges, options_.batch));
  for (int c = 0; c < norm.channels; ++c) {
    double sum = 0;
    double square = 0;
    for (int a = 0; a < areas; ++a) {
      const float* partial = sums_.data() + static_cast<std::size_t>(a) * step;
      sum += partial[c];
      square += partial[norm.stride + c];
    }
    const double offset = sum / count;
    const double mean = norm.centre[c] + offset;
    const double variance = std::max(square / count - offset * offset, 0.0);
    // A zero or an infinite variance would hide that the training diverged.
    const double honest =
        std::isfinite(square) ? variance : std::numeric_limits<double>::quiet_NaN();
    const double inverse = 1 / std::sqrt(honest + kEpsilon);
    const double scale = parameter(node.parameters[0])[c] * inverse;
    norm.inverse[static_cast<std::size_t>(c)] = inverse;
    norm.mean[c] = static_cast<float>(mean);
    norm.scale[c] = static_cast<float>(scale);
    norm.shift[c] = static_cast<float>(parameter(node.parameters[1])[c] - mean * scale);
    float& running_mean = parameter(node.parameters[2])[c];
    float& running_variance = parameter(node.parameters[3])[c];
    running_mean = static_cast<float>(kMomentum * running_mean + (1 - kMomentum) * mean);
    running_variance = static_cast<float>(
        kMomentum * running_variance + (1 - kMomentum) * honest * count / std::max(count - 1, 1.0));
  }
}

void CpuProgram::reduce_sums(NormState& norm, const float* sum, const float* dot, std::size_t step,
                             int areas) {
  for (int c = 0; c < norm.channels; ++c) {
    double sums = 0;
    double dots = 0;
    for (int a = 0; a < areas; ++a) {
      sums += sum[static_cast<std::size_t>(a) * step + static_cast<std::size_t>(c)];
      dots += dot[static_cast<std::size_t>(a) * step + static_cast<std::size_t>(c)];
    }
    norm.sum[static_cast<std::size_t>(c)] = sums;
    norm.sum_dy_xmu[static_cast<std::size_t>(c)] = dots;
  }
  norm.has_sums = true;
}

/// The sums of the gradient, where its last writer could not take them.
void CpuProgram::sum_gradients(NormState& norm) {
  const Stored& stored = plan_.stored[static_cast<std::size_t>(norm.norm.stored)];
  const Value& value = plan_.values[static_cast<std::size_t>(stored.normalised)];
  NormState* const both[] = {
      &norm, norm.twin < 0 ? nullptr : &norms_[static_cast<std::size_t>(norm.twin)]};
  NormSumsArgs args;
  args.map = stored.map;
  args.gradient = map_data(stored, value.offset);
  args.count = norm.twin < 0 ? 1 : 2;
  for (int k = 0; k < args.count; ++k) {
    const Stored& map = plan_.stored[static_cast<std::size_t>(both[k]->norm.stored)];
    args.data[k] = map_data(map, map.offset);
    args.mean[k] = both[k]->mean;
  }
  const std::size_t step =
      sums_.size() / static_cast<std::size_t>(std::min(kImageRanges, options_.batch));
  const int areas = for_each_image_range([&](int first, int last, int partial, int) {
    float* sums = sums_.data() + static_cast<std::size_t>(partial) * step;
    std::fill_n(sums, (1 + args.count) * norm.stride, 0.0F);
    norm_sums(args, first, last, sums);
  });
  for (int k = 0; k < args.count; ++k) {
    reduce_sums(*both[k], sums_.data(), sums_.data() + (k + 1) * norm.stride, step, areas);
  }
}

/// From the gradient behind the batch norm to the coefficients of the raw map's:
///   scale * inverse * (g - sum g / m - (v - mean) inverse^2 sum g (v - mean) / m)
void CpuProgram::norm_backward(const Bound& bound) {
  NormState& norm = norms_[static_cast<std::size_t>(bound.norm)];
  const Node& node = graph_.node(norm.norm.node);
  const Stored& stored = plan_.stored[static_cast<std::size_t>(norm.norm.stored)];
  const Value& value = plan_.values[static_cast<std::size_t>(stored.normalised)];
  const Value& raw = plan_.values[static_cast<std::size_t>(stored.raw)];
  if (!norm.has_sums) sum_gradients(norm);
  const double count = static_cast<double>(stored.map.pixels()) * staging_.count;
  for (int c = 0; c < norm.channels; ++c) {
    const double sum = norm.sum[static_cast<std::size_t>(c)];
    const double dot = norm.sum_dy_xmu[static_cast<std::size_t>(c)];
    const double inverse = norm.inverse[static_cast<std::size_t>(c)];
    parameter_gradient(node.parameters[0])[c] += static_cast<float>(dot * inverse);
    parameter_gradient(node.parameters[1])[c] += static_cast<float>(sum);
    // A single value is normalised to a offset; what rounding leaves of its gradient would be
    // multiplied by 1 / sqrt(epsilon).
    const double factor = count > 1 ? parameter(node.parameters[0])[c] * inverse : 0;
    const double x_scale = -factor * inverse * inverse * dot / count;
    norm.dy_scale[c] = static_cast<float>(factor);
    norm.x_scale[c] = static_cast<float>(x_scale);
    norm.offset[c] = static_cast<float>(-factor * sum / count - x_scale * norm.mean[c]);
  }
  if (norm.norm.fused || !raw.wanted) return;
  OutputMap out = bound.out;
  out.gradient = map_data(stored, value.offset);
  out.dy_scale = norm.dy_scale;
  out.x_scale = norm.x_scale;
  out.offset = norm.offset;
  // Where readers of the raw map wrote before, add to theirs.
  const bool accumulate = norm.norm.adds;
  for_each_image_range([&](int first, int last, int, int) {
    norm_input_gradient(out, map_data(stored, raw.offset), accumulate, first, last);
  });
}

}  // namespace renas::cpu
