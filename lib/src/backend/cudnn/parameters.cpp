#include "backend/cudnn/parameters.h"

#include <algorithm>

#include "backend/contract.h"

namespace renas::cudnn {

Parameters::Parameters(const Graph& graph, const ProgramOptions& options)
    : graph_(graph), training_(options.training) {
  constexpr std::size_t kAlignment = 8;  // floats: kernels load eight at a time
  for (int i = 0; i < static_cast<int>(graph.parameters().size()); ++i) {
    const Parameter& p = graph.parameter(i);
    const auto size = static_cast<std::size_t>(p.size());
    offsets_.push_back(size_);
    const int group = options.parameter_groups.empty()
                          ? 0
                          : options.parameter_groups[static_cast<std::size_t>(i)];
    rate_groups_ = std::max(rate_groups_, group + 1);
    for (std::size_t first = 0; p.trainable() && first < size; first += kSgdRun) {
      runs_.push_back({static_cast<uint32_t>(size_ + first),
                       static_cast<uint32_t>(std::min<std::size_t>(kSgdRun, size - first)), group,
                       p.decays() ? 1.0F : 0.0F});
    }
    size_ += (size + kAlignment - 1) / kAlignment * kAlignment;
  }
}

void Parameters::bind(Layout& layout) {
  values_ = layout.take<float>(size_);
  if (!training_) return;
  gradients_ = layout.take<float>(size_);
  momenta_ = layout.take<float>(size_);
  rates_ = layout.take<float>(static_cast<std::size_t>(rate_groups_));
  device_runs_ = layout.constant(runs_);
}

void Parameters::clear(const Stream& stream) {
  for (float* array : {values_, gradients_, momenta_}) {
    if (array == nullptr) continue;
    check(cudaMemsetAsync(array, 0, size_ * sizeof(float), stream.get()), "clearing parameters");
  }
}

void Parameters::update(const Launch& launch, const SgdStep& step) {
  // The rates travel with a launch each: there are one or two.
  for (int group = 0; group < rate_groups_; ++group) {
    fill(launch, rates_ + group, 1, step.learning_rates[static_cast<std::size_t>(group)]);
  }
  sgd(launch, device_runs_, static_cast<int>(runs_.size()), rates_, step.momentum,
      step.weight_decay, step.nesterov, step.decay_norms, values_, gradients_, momenta_);
}

void Parameters::reduce(const Launch& launch, const Stream& stream, Reducer& reducer, int ranks) {
  if (!reducer.sum_on_device(gradients_, size_, stream.get())) {
    std::vector<float> gradients = fetch(gradients_, stream);
    reducer.sum(gradients);
    copy_to_device(gradients_, gradients.data(), size_ * sizeof(float),
                   "copying gradients to the GPU");
  }
  scale(launch, gradients_, size_, 1.0F / static_cast<float>(ranks));
}

void Parameters::load(const Weights& host, const Stream& stream) {
  std::vector<float> values(size_);
  std::vector<float> momenta(size_);
  contract::load_parameters(
      graph_, host,
      [&](int i, std::span<const float> loaded, std::span<const float> loaded_momenta) {
        const auto to = static_cast<std::ptrdiff_t>(at(i));
        std::copy(loaded.begin(), loaded.end(), values.begin() + to);
        std::copy(loaded_momenta.begin(), loaded_momenta.end(), momenta.begin() + to);
      });
  stream.wait();
  const auto copy = [&](float* to, const std::vector<float>& from) {
    copy_to_device(to, from.data(), size_ * sizeof(float), "copying weights to the GPU");
  };
  copy(values_, values);
  if (training_) copy(momenta_, momenta);
}

std::vector<float> Parameters::fetch(const float* from, const Stream& stream) const {
  std::vector<float> array(size_);
  stream.wait();
  check(cudaMemcpy(array.data(), from, size_ * sizeof(float), cudaMemcpyDeviceToHost),
        "copying weights from the GPU");
  return array;
}

Weights Parameters::save(bool momenta, const Stream& stream) const {
  Weights weights;
  const auto add = [&](const std::vector<float>& array, int i, const char* suffix) {
    contract::save_parameter(graph_, i, suffix, weights, [&](std::span<float> to) {
      std::copy_n(array.begin() + static_cast<std::ptrdiff_t>(at(i)), to.size(), to.begin());
    });
  };
  const std::vector<float> values = fetch(values_, stream);
  std::vector<float> moved;
  if (momenta && training_) moved = fetch(momenta_, stream);
  for (int i = 0; i < static_cast<int>(offsets_.size()); ++i) {
    add(values, i, "");
    if (!moved.empty() && graph_.parameter(i).trainable()) add(moved, i, kMomentumSuffix);
  }
  return weights;
}

Weights Parameters::gradients_by_name(const Stream& stream) const {
  Weights weights;
  if (!training_) return weights;
  const std::vector<float> gradients = fetch(gradients_, stream);
  for (int i = 0; i < static_cast<int>(offsets_.size()); ++i) {
    if (!graph_.parameter(i).trainable()) continue;
    contract::save_parameter(graph_, i, "", weights, [&](std::span<float> to) {
      std::copy_n(gradients.begin() + static_cast<std::ptrdiff_t>(at(i)), to.size(), to.begin());
    });
  }
  return weights;
}

}  // namespace renas::cudnn
