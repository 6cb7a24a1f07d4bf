#include "backend/cpu/batch_norms.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "backend/contract.h"
#include "backend/cpu/kernels/args.h"

namespace renas::cpu {

using contract::kBatchNormEpsilon;
using contract::kBatchNormMomentum;

BatchNorms::BatchNorms(const Graph& graph, const plan::Plan& plan, const Parameters& parameters,
                       int batch, bool frozen)
    : graph_(graph),
      plan_(plan),
      parameters_(parameters),
      frozen_(frozen),
      states_(plan.norms.size()) {
  constexpr std::size_t kCoefficients = 7;
  const std::vector<int> twins = plan::twin_norms(plan);
  std::size_t total = 0;
  for (int i = 0; i < static_cast<int>(states_.size()); ++i) {
    State& s = state(i);
    s.channels = stored_of(i).shape.channels;
    s.stride = stored_of(i).map.channels;
    s.twin = twins[i];
    for (std::vector<double>* numbers : {&s.inverse, &s.sum_dy, &s.sum_dy_xmu}) {
      numbers->resize(s.channels);
    }
    total += kCoefficients * s.stride;
    // Two sums for the statistics, three for the backward sums of twins.
    sums_size_ = std::max(sums_size_, aligned(std::size_t{3} * s.stride));
  }
  coefficients_ = Buffer(total);
  float* next = coefficients_.data();
  for (State& s : states_) {
    plan::NormCoefficients& c = s.coefficients;
    for (float** p : {&c.scale, &c.shift, &c.mean, &c.centre, &c.dy_scale, &c.x_scale, &c.offset}) {
      *p = next;
      next += s.stride;
    }
  }
  sums_ = Buffer(sums_size_ * std::min(kImageRanges, batch));
}

std::vector<plan::NormCoefficients> BatchNorms::coefficients() const {
  std::vector<plan::NormCoefficients> all;
  for (const State& s : states_) all.push_back(s.coefficients);
  return all;
}

void BatchNorms::prepare(bool training) {
  for (int i = 0; i < static_cast<int>(states_.size()); ++i) {
    const State& s = state(i);
    const Node& node = graph_.node(norm_at(i).node);
    const float* mean = parameters_.values(node.parameters[2]);
    std::copy_n(mean, s.channels, s.coefficients.centre);
    if (training) continue;
    for (int c = 0; c < s.channels; ++c) {
      const double inverse =
          1 / std::sqrt(parameters_.values(node.parameters[3])[c] + kBatchNormEpsilon);
      const double scale = parameters_.values(node.parameters[0])[c] * inverse;
      s.coefficients.scale[c] = static_cast<float>(scale);
      s.coefficients.shift[c] =
          static_cast<float>(parameters_.values(node.parameters[1])[c] - mean[c] * scale);
    }
  }
}

float* BatchNorms::clear_sums(int norm, const ImageRange& range) {
  float* sums = sums_at(range.index);
  std::fill_n(sums, 2 * state(norm).stride, 0.0F);
  return sums;
}

void BatchNorms::finish_statistics(int norm, int ranges, int images) {
  State& s = state(norm);
  s.has_sums = false;
  const Node& node = graph_.node(norm_at(norm).node);
  const double count = static_cast<double>(stored_of(norm).map.pixels()) * images;
  for (int c = 0; c < s.channels; ++c) {
    float& running_mean = parameters_.values(node.parameters[2])[c];
    float& running_variance = parameters_.values(node.parameters[3])[c];
    double mean = running_mean;
    double variance = running_variance;
    if (!frozen_) {
      double sum = 0;
      double square = 0;
      for (int range = 0; range < ranges; ++range) {
        const float* sums = sums_at(range);
        sum += sums[c];
        square += sums[s.stride + c];
      }
      const double from_centre = sum / count;
      mean = s.coefficients.centre[c] + from_centre;
      // A zero or an infinite variance would hide that the training diverged.
      variance = std::isfinite(square) ? std::max(square / count - from_centre * from_centre, 0.0)
                                       : std::numeric_limits<double>::quiet_NaN();
      running_mean =
          static_cast<float>(kBatchNormMomentum * running_mean + (1 - kBatchNormMomentum) * mean);
      running_variance = static_cast<float>(kBatchNormMomentum * running_variance +
                                            (1 - kBatchNormMomentum) * variance * count /
                                                std::max(count - 1, 1.0));
    }
    const double inverse = 1 / std::sqrt(variance + kBatchNormEpsilon);
    const double scale = parameters_.values(node.parameters[0])[c] * inverse;
    s.inverse[c] = inverse;
    s.coefficients.mean[c] = static_cast<float>(mean);
    s.coefficients.scale[c] = static_cast<float>(scale);
    s.coefficients.shift[c] =
        static_cast<float>(parameters_.values(node.parameters[1])[c] - mean * scale);
  }
}

void BatchNorms::reduce_sums(int norm, const float* sums, std::size_t step, int ranges) {
  State& s = state(norm);
  reduce(s, sums, sums + s.stride, step, ranges);
}

void BatchNorms::reduce(State& s, const float* dy, const float* dy_xmu, std::size_t step,
                        int ranges) {
  for (int c = 0; c < s.channels; ++c) {
    double sum_dy = 0;
    double sum_dy_xmu = 0;
    for (int range = 0; range < ranges; ++range) {
      const std::size_t at = range * step + c;
      sum_dy += dy[at];
      sum_dy_xmu += dy_xmu[at];
    }
    s.sum_dy[c] = sum_dy;
    s.sum_dy_xmu[c] = sum_dy_xmu;
  }
  s.has_sums = true;
}

/// Takes the backward sums of a norm, and of its twin, in a pass of its own.
void BatchNorms::sum_gradients(int norm, const plan::Views& views, int images, Threads& threads) {
  const int twin = state(norm).twin;
  const int both[] = {norm, twin};
  NormSumsArgs args;
  args.map = stored_of(norm).map;
  args.gradient = views.gradient(stored_of(norm).normalised);
  args.count = twin < 0 ? 1 : 2;
  for (int k = 0; k < args.count; ++k) {
    args.data[k] = views.map(norm_at(both[k]).stored);
    args.mean[k] = state(both[k]).coefficients.mean;
  }
  const std::size_t stride = state(norm).stride;
  const int ranges = for_each_image_range(threads, images, [&](const ImageRange& range) {
    float* sums = sums_at(range.index);
    std::fill_n(sums, (1 + args.count) * stride, 0.0F);
    norm_sums(args, range.first, range.last, sums);
  });
  for (int k = 0; k < args.count; ++k) {
    reduce(state(both[k]), sums_at(0), sums_at(0) + (k + 1) * stride, sums_size_, ranges);
  }
}

void BatchNorms::backward(int norm, const OutputMap& out, const plan::Views& views, int images,
                          Threads& threads) {
  State& s = state(norm);
  const Node& node = graph_.node(norm_at(norm).node);
  const plan::Stored& stored = stored_of(norm);
  if (!s.has_sums) sum_gradients(norm, views, images, threads);
  const plan::NormCoefficients& coefficients = s.coefficients;
  const double count = static_cast<double>(stored.map.pixels()) * images;
  for (int c = 0; c < s.channels; ++c) {
    const double sum_dy = s.sum_dy[c];
    const double sum_dy_xmu = s.sum_dy_xmu[c];
    const double inverse = s.inverse[c];
    parameters_.gradient(node.parameters[0])[c] += static_cast<float>(sum_dy_xmu * inverse);
    parameters_.gradient(node.parameters[1])[c] += static_cast<float>(sum_dy);
    // A single value is normalised to a constant, so its gradient is zero. What rounding leaves of
    // it would be multiplied by 1 / sqrt(epsilon).
    const bool constant = count <= 1 && !frozen_;
    const double factor = constant ? 0 : parameters_.values(node.parameters[0])[c] * inverse;
    // Frozen statistics do not move with x.
    const double x_scale = frozen_ ? 0 : -factor * inverse * inverse * sum_dy_xmu / count;
    coefficients.dy_scale[c] = static_cast<float>(factor);
    coefficients.x_scale[c] = static_cast<float>(x_scale);
    coefficients.offset[c] =
        frozen_ ? 0 : static_cast<float>(-factor * sum_dy / count - x_scale * coefficients.mean[c]);
  }
  if (norm_at(norm).fused || !plan_.values[stored.raw].needs_gradient) {
    return;
  }
  OutputMap normalised = out;
  normalised.gradient = views.gradient(stored.normalised);
  normalised.dy_scale = coefficients.dy_scale;
  normalised.x_scale = coefficients.x_scale;
  normalised.offset = coefficients.offset;
  // Readers of the raw map may have written its gradient before.
  const bool accumulate = norm_at(norm).adds;
  for_each_image_range(threads, images, [&](const ImageRange& range) {
    norm_input_gradient(normalised, views.gradient(stored.raw), accumulate, range.first,
                        range.last);
  });
}

}  // namespace renas::cpu
