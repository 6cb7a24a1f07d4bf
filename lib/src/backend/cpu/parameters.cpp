#include "backend/cpu/parameters.h"

#include <algorithm>

#include "backend/contract.h"
#include "backend/cpu/kernels/args.h"

namespace renas::cpu {

Parameters::Parameters(const Graph& graph, bool training) : graph_(graph) {
  std::size_t total = 0;
  for (const Parameter& p : graph.parameters()) {
    offsets_.push_back(total);
    total += aligned(p.size());
  }
  values_ = Buffer(total);
  if (!training) return;
  gradients_ = Buffer(total);
  momenta_ = Buffer(total);
}

void Parameters::update(const SgdStep& step, const std::vector<float>& rates, Threads& threads) {
  threads.run(static_cast<int>(rates.size()), [&](int i, int) {
    const Parameter& p = graph_.parameter(i);
    if (!p.trainable()) return;
    sgd(values(i), gradient(i), momenta_.data() + at(i), p.size(), rates[i], step.momentum,
        step.decay_of(p), step.nesterov);
  });
}

void Parameters::reduce(Reducer& reducer, int ranks) {
  reducer.sum({gradients_.data(), gradients_.size()});
  for (std::size_t i = 0; i < gradients_.size(); ++i) {
    gradients_.data()[i] /= static_cast<float>(ranks);
  }
}

void Parameters::load(const Weights& host) {
  contract::load_parameters(
      graph_, host,
      [&](int i, std::span<const float> loaded, std::span<const float> loaded_momenta) {
        std::copy(loaded.begin(), loaded.end(), values(i));
        if (momenta_.data() == nullptr) return;
        float* momentum = momenta_.data() + at(i);
        std::fill_n(momentum, loaded.size(), 0.0F);
        std::copy(loaded_momenta.begin(), loaded_momenta.end(), momentum);
      });
}

std::span<const float> Parameters::tensor(const Buffer& buffer, int i) const {
  return {buffer.data() + at(i), static_cast<std::size_t>(graph_.parameter(i).size())};
}

Weights Parameters::save(bool momenta) const {
  Weights weights;
  const auto copy = [](std::span<const float> from) {
    return [from](std::span<float> to) { std::copy(from.begin(), from.end(), to.begin()); };
  };
  for (int i = 0; i < static_cast<int>(offsets_.size()); ++i) {
    contract::save_parameter(graph_, i, "", weights, copy(tensor(values_, i)));
    if (momenta && momenta_.data() != nullptr && graph_.parameter(i).trainable()) {
      contract::save_parameter(graph_, i, kMomentumSuffix, weights, copy(tensor(momenta_, i)));
    }
  }
  return weights;
}

Weights Parameters::gradients_by_name() const {
  Weights weights;
  for (int i = 0; gradients_.data() != nullptr && i < static_cast<int>(offsets_.size()); ++i) {
    if (!graph_.parameter(i).trainable()) continue;
    contract::save_parameter(graph_, i, "", weights, [&](std::span<float> to) {
      const auto from = tensor(gradients_, i);
      std::copy(from.begin(), from.end(), to.begin());
    });
  }
  return weights;
}

}  // namespace renas::cpu
