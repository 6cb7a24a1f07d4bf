#include "backend/cudnn/batch_norms.h"

#include <algorithm>

#include "backend/cudnn/slice_count.h"

namespace renas::cudnn {

BatchNorms::BatchNorms(const Graph& graph, const plan::Plan& plan, int batch, bool frozen)
    : graph_(graph), plan_(plan), batch_(batch) {
  for (const plan::Norm& norm : plan.norms) {
    const plan::Stored& stored = plan.stored[static_cast<std::size_t>(norm.stored)];
    NormArgs args;
    args.channels = stored.shape.channels;
    args.map = stored.map;
    args.frozen = frozen;
    norms_.push_back(args);
    coefficient_floats_ += 7 * static_cast<std::size_t>(args.map.channels);
  }
}

void BatchNorms::bind(Layout& layout, const Parameters& parameters) {
  coefficients_ = layout.take<float>(coefficient_floats_);
  float* next = coefficients_;
  for (std::size_t i = 0; i < norms_.size(); ++i) {
    NormArgs& n = norms_[i];
    for (float** p : {&n.scale, &n.shift, &n.mean, &n.centre, &n.dy_scale, &n.x_scale, &n.offset}) {
      *p = next;
      next += n.map.channels;
    }
    n.inverse = layout.take<double>(static_cast<std::size_t>(n.channels));
    const std::vector<int>& p = graph_.node(plan_.norms[i].node).parameters;
    n.gamma = parameters.values(p[0]);
    n.beta = parameters.values(p[1]);
    n.running_mean = parameters.values(p[2]);
    n.running_variance = parameters.values(p[3]);
    if (parameters.all_gradients() == nullptr) continue;
    n.gamma_gradient = parameters.gradient(p[0]);
    n.beta_gradient = parameters.gradient(p[1]);
  }
  device_norms_ = layout.constant(norms_);
}

int BatchNorms::own_slices(int norm) const {
  const Map& map = norms_[static_cast<std::size_t>(norm)].map;
  return slices_for(static_cast<std::size_t>(batch_) * map.pixels(),
                    2 * static_cast<std::size_t>(map.channels));
}

std::size_t BatchNorms::partial_doubles() const {
  std::size_t most = 0;
  for (int i = 0; i < static_cast<int>(norms_.size()); ++i) {
    const int channels = norms_[static_cast<std::size_t>(i)].map.channels;
    most = std::max(most, static_cast<std::size_t>(own_slices(i) * 2 * channels));
  }
  return most;
}

std::vector<plan::NormCoefficients> BatchNorms::coefficients() const {
  std::vector<plan::NormCoefficients> all;
  for (const NormArgs& n : norms_) {
    all.push_back({n.scale, n.shift, n.mean, n.centre, n.dy_scale, n.x_scale, n.offset});
  }
  return all;
}

void BatchNorms::clear(const Stream& stream) {
  if (norms_.empty()) return;
  check(cudaMemsetAsync(coefficients_, 0, coefficient_floats_ * sizeof(float), stream.get()),
        "clearing coefficients");
}

void BatchNorms::prepare(const Launch& launch, bool training) const {
  prepare_norms(launch, device_norms_, static_cast<int>(norms_.size()), training);
}

void BatchNorms::finish_statistics(const Launch& launch, int norm, const MapData& x, int slices,
                                   double* partials) const {
  const NormArgs& args = norms_[static_cast<std::size_t>(norm)];
  if (slices == 0 && !args.frozen) {
    slices = own_slices(norm);
    norm_statistics(launch, args, x, slices, partials);
  }
  cudnn::finish_statistics(launch, args, slices, partials);
}

void BatchNorms::backward(const Launch& launch, int norm, const OutputMap& out,
                          const plan::Views& views, double* partials) const {
  const NormArgs& args = norms_[static_cast<std::size_t>(norm)];
  const plan::Norm& planned = plan_.norms[static_cast<std::size_t>(norm)];
  const plan::Stored& stored = plan_.stored[static_cast<std::size_t>(planned.stored)];
  const MapData dy = views.gradient(stored.normalised);
  norm_gradient_sums(launch, args, out.data, dy, own_slices(norm), partials);
  finish_norm_gradient(launch, args, own_slices(norm), partials);
  if (planned.fused || !plan_.values[static_cast<std::size_t>(stored.raw)].needs_gradient) return;
  OutputMap normalised = out;
  normalised.gradient = dy;
  normalised.dy_scale = args.dy_scale;
  normalised.x_scale = args.x_scale;
  normalised.offset = args.offset;
  // Readers of the raw map may have written its gradient before.
  norm_input_gradient(launch, normalised, views.gradient(stored.raw), planned.adds);
}

}  // namespace renas::cudnn
