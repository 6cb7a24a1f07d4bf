#include "backend/reference/program.h"

#include <fmt/format.h>

#include <algorithm>
#include <memory>
#include <utility>

#include "backend/contract.h"
#include "backend/mask.h"
#include "backend/reference/kernels.h"
#include "renas/error.h"

namespace renas::reference {

namespace {

std::size_t elements(int count, const Node& node) { return count * node.shape.size(); }

/// Calls visit(place in [count, C, H, W], place in [count, H, W, C]) for each value of the images.
template <class Visit>
void for_each_image_value(const Shape& shape, int count, const Visit& visit) {
  const std::size_t pixels = static_cast<std::size_t>(shape.height) * shape.width;
  const std::size_t channels = shape.channels;
  for (std::size_t n = 0; n < static_cast<std::size_t>(count); ++n) {
    for (std::size_t c = 0; c < channels; ++c) {
      for (std::size_t p = 0; p < pixels; ++p) {
        visit((n * channels + c) * pixels + p, (n * pixels + p) * channels + c);
      }
    }
  }
}

}  // namespace

template <class T>
ReferenceProgram<T>::ReferenceProgram(const Graph& graph, const ProgramOptions& options)
    : graph_(graph), options_(options) {
  contract::check_program(graph_, options_);
  classes_ = graph_.node(graph_.scores()).shape.channels;
  per_image_ = contract::labels_per_image(graph_);
  needed_for_scores_ = contract::needed_for_scores(graph_);
  for (const Node& node : graph_.nodes()) {
    if (node.kind == NodeKind::kInput) images_.resize(elements(options_.batch, node));
  }
  labels_.resize(options_.batch * per_image_);
  staging_ = {images_, labels_, 0};
  values_.resize(graph_.nodes().size());
  value_gradients_.resize(graph_.nodes().size());
  for (const Parameter& parameter : graph_.parameters()) {
    parameters_.emplace_back(parameter.size());
  }
  gradients_ = parameters_;
  momenta_ = parameters_;
}

template <class T>
void ReferenceProgram<T>::gradients(const StepScalars& step) {
  if (!options_.training) {
    throw InvalidInput("reference backend: gradients() of a program compiled for inference");
  }
  contract::check_batch(staging_, options_.batch, classes_, true, per_image_);
  forward(Mode::kTraining, step);
  for (std::size_t i = 0; i < values_.size(); ++i) {
    value_gradients_[i].assign(values_[i].size(), T{0});
  }
  for (int i = static_cast<int>(values_.size()); i-- > 0;) backward_node(i, step);
}

template <class T>
double ReferenceProgram<T>::loss(const StepScalars& step) {
  contract::check_batch(staging_, options_.batch, classes_, true, per_image_);
  forward(Mode::kLossOnly, step);
  return loss_;
}

template <class T>
void ReferenceProgram<T>::infer(std::span<float> scores) {
  contract::check_batch(staging_, options_.batch, classes_, false);
  contract::check_scores(scores, staging_.count, classes_, per_image_);
  forward(Mode::kInference, {});
  const auto& values = values_[graph_.scores()];
  for_each_image_value(graph_.node(graph_.scores()).shape, staging_.count,
                       [&](std::size_t planar, std::size_t interleaved) {
                         scores[interleaved] = static_cast<float>(values[planar]);
                       });
}

template <class T>
void ReferenceProgram<T>::forward(Mode mode, const StepScalars& step) {
  loss_ = 0;
  for (int i = 0; i < static_cast<int>(values_.size()); ++i) {
    if (mode == Mode::kInference && !needed_for_scores_[i]) continue;
    forward_node(i, mode, step);
  }
}

template <class T>
void ReferenceProgram<T>::forward_node(int i, Mode mode, const StepScalars& step) {
  const Node& node = graph_.node(i);
  const int count = staging_.count;
  auto& out = values_[i];
  out.assign(elements(count, node), T{0});
  switch (node.kind) {
    case NodeKind::kInput:
      for_each_image_value(node.shape, count, [&](std::size_t planar, std::size_t interleaved) {
        out[planar] =
            exact_images_.empty() ? static_cast<T>(images_[interleaved]) : exact_images_[planar];
      });
      return;
    case NodeKind::kConv:
      conv_forward({node, in_shape(node)}, count, in(node), of(node, 0, parameters_).data(),
                   out.data());
      if (node.parameters.size() > 1) {
        add_bias(node.shape, count, of(node, 1, parameters_).data(), out.data());
      }
      return;
    case NodeKind::kBatchNorm:
      return normalise(node, mode);
    case NodeKind::kRelu:
      for (std::size_t e = 0; e < out.size(); ++e) out[e] = std::max(in(node)[e], T{0});
      return;
    case NodeKind::kMaxPool:
      return max_pool<T>({node, in_shape(node)}, count, in(node), out.data(), nullptr, nullptr);
    case NodeKind::kAveragePool:
      return average_pool<T>({node, in_shape(node)}, count, in(node), out.data(), nullptr, nullptr);
    case NodeKind::kAdd:
      for (std::size_t k = 0; k < node.inputs.size(); ++k) {
        for (std::size_t e = 0; e < out.size(); ++e) out[e] += in(node, k)[e];
      }
      return;
    case NodeKind::kConcat:
      for (int n = 0; n < count; ++n) {
        T* to = out.data() + n * node.shape.size();
        for (std::size_t k = 0; k < node.inputs.size(); ++k) {
          const int64_t size = in_shape(node, k).size();
          to = std::copy_n(in(node, k) + n * size, size, to);
        }
      }
      return;
    case NodeKind::kSelectChannels:
      for_each_selected(node, in_shape(node), count,
                        [&](std::size_t from, std::size_t to) { out[to] = in(node)[from]; });
      return;
    case NodeKind::kPixelShift:
      for (int n = 0; n < count; ++n) {
        for (int c = 0; c < node.shape.channels; ++c) {
          for (int y = 0; y + 1 < node.shape.height; ++y) {
            for (int x = 0; x + 1 < node.shape.width; ++x) {
              out[offset(node.shape, n, c, y, x)] =
                  in(node)[offset(node.shape, n, c, y + 1, x + 1)];
            }
          }
        }
      }
      return;
    case NodeKind::kGlobalAveragePool: {
      const int64_t pixels = int64_t{in_shape(node).height} * in_shape(node).width;
      for (std::size_t e = 0; e < out.size(); ++e) {
        double sum = 0;
        for (int64_t p = 0; p < pixels; ++p) sum += in(node)[static_cast<int64_t>(e) * pixels + p];
        out[e] = static_cast<T>(sum / static_cast<double>(pixels));
      }
      return;
    }
    case NodeKind::kLinear: {
      const int64_t width = in_shape(node).size();
      const auto& weight = of(node, 0, parameters_);
      const auto& bias = of(node, 1, parameters_);
      for (int n = 0; n < count; ++n) {
        for (int k = 0; k < node.shape.channels; ++k) {
          double sum = bias[k];
          for (int64_t c = 0; c < width; ++c) {
            sum += double{in(node)[n * width + c]} * weight[k * width + c];
          }
          out[n * node.shape.channels + k] = static_cast<T>(sum);
        }
      }
      return;
    }
    case NodeKind::kDropout:
    case NodeKind::kDropPath:
      for (std::size_t e = 0; e < out.size(); ++e) {
        T factor{1};
        if (mode != Mode::kInference) {
          const bool path = node.kind == NodeKind::kDropPath;
          const std::size_t size = node.shape.size();
          factor = mask_factor(step.seed, step.step, i, path ? e / size : e,
                               path ? node.probability * step.drop_path : node.probability);
        }
        out[e] = in(node)[e] * factor;
      }
      return;
    case NodeKind::kResize:
    case NodeKind::kBroadcast:
      return resize<T>(node, in_shape(node), count, in(node), out.data(), nullptr, nullptr);
    case NodeKind::kCrossEntropy:
      return entropy(node, mode);
  }
}

template <class T>
void ReferenceProgram<T>::normalise(const Node& node, Mode mode) {
  auto& out = values_[&node - graph_.nodes().data()];
  for (int c = 0; c < node.shape.channels; ++c) {
    const std::size_t at = c;
    T& mean = of(node, 2, parameters_)[at];
    T& variance = of(node, 3, parameters_)[at];
    Moments moments{mean, variance, 0};
    const bool of_batch = mode != Mode::kInference && !options_.frozen_statistics;
    if (of_batch) {
      moments = batch_moments(node.shape, staging_.count, c, in(node));
    }
    if (of_batch && mode == Mode::kTraining) {
      const auto m = static_cast<double>(moments.count);
      const double unbiased = moments.variance * m / std::max(m - 1, 1.0);
      mean = static_cast<T>(contract::kBatchNormMomentum * mean +
                            (1 - contract::kBatchNormMomentum) * moments.mean);
      variance = static_cast<T>(contract::kBatchNormMomentum * variance +
                                (1 - contract::kBatchNormMomentum) * unbiased);
    }
    batch_norm_apply(node.shape, staging_.count, c, moments, of(node, 0, parameters_)[at],
                     of(node, 1, parameters_)[at], in(node), out.data());
  }
}

template <class T>
void ReferenceProgram<T>::entropy(const Node& node, Mode mode) {
  const int classes = in_shape(node).channels;
  double total = 0;
  int64_t correct = 0;
  std::vector<T> scores(static_cast<std::size_t>(classes));
  for (int64_t i = 0; i < label_count(); ++i) {
    const int label = labels_[static_cast<std::size_t>(i)];
    if (label == kIgnored) continue;
    read_pixel(in(node), i, scores);
    total += contract::class_weight(node, label) *
             cross_entropy<T>(classes, scores.data(), label, node.label_smoothing, 0, nullptr);
    correct += contract::correct(scores.data(), classes, label) ? 1 : 0;
  }
  const int64_t counted = contract::counted_labels(labels_, label_count());
  loss_ += node.loss_weight * total / static_cast<double>(std::max<int64_t>(1, counted));
  if (mode != Mode::kTraining || node.auxiliary) return;
  metrics_.loss += total;
  metrics_.correct += correct;
  metrics_.count += counted;
}

template <class T>
void ReferenceProgram<T>::entropy_backward(const Node& node) {
  const int classes = in_shape(node).channels;
  const auto counted = static_cast<double>(contract::counted_labels(labels_, label_count()));
  std::vector<T> scores(static_cast<std::size_t>(classes));
  std::vector<T> gradient(scores.size());
  for (int64_t i = 0; i < label_count(); ++i) {
    const int label = labels_[static_cast<std::size_t>(i)];
    if (label == kIgnored) continue;
    read_pixel(in(node), i, scores);
    std::fill(gradient.begin(), gradient.end(), T{0});
    cross_entropy<T>(classes, scores.data(), label, node.label_smoothing,
                     contract::class_weight(node, label) * node.loss_weight / counted,
                     gradient.data());
    for (int k = 0; k < classes; ++k) {
      in_gradient(node)[pixel_offset(i, classes, k)] += gradient[static_cast<std::size_t>(k)];
    }
  }
}

template <class T>
void ReferenceProgram<T>::backward_node(int i, const StepScalars& step) {
  const Node& node = graph_.node(i);
  const int count = staging_.count;
  const auto& gradient = value_gradients_[i];
  switch (node.kind) {
    case NodeKind::kInput:
      return;
    case NodeKind::kConv:
      conv_backward({node, in_shape(node)}, count, in(node), of(node, 0, parameters_).data(),
                    gradient.data(), in_gradient(node), of(node, 0, gradients_).data());
      if (node.parameters.size() > 1) {
        bias_backward(node.shape, count, gradient.data(), of(node, 1, gradients_).data());
      }
      return;
    case NodeKind::kBatchNorm:
      for (int c = 0; c < node.shape.channels; ++c) {
        const std::size_t at = c;
        const Moments moments =
            options_.frozen_statistics
                ? Moments{of(node, 2, parameters_)[at], of(node, 3, parameters_)[at], 0}
                : batch_moments(node.shape, count, c, in(node));
        batch_norm_backward(node.shape, count, c, moments, of(node, 0, parameters_)[at], in(node),
                            gradient.data(), in_gradient(node), &of(node, 0, gradients_)[at],
                            &of(node, 1, gradients_)[at]);
      }
      return;
    case NodeKind::kRelu:
      for (std::size_t e = 0; e < gradient.size(); ++e) {
        if (in(node)[e] > 0) in_gradient(node)[e] += gradient[e];
      }
      return;
    case NodeKind::kMaxPool:
      return max_pool<T>({node, in_shape(node)}, count, in(node), nullptr, gradient.data(),
                         in_gradient(node));
    case NodeKind::kAveragePool:
      return average_pool<T>({node, in_shape(node)}, count, in(node), nullptr, gradient.data(),
                             in_gradient(node));
    case NodeKind::kAdd:
      for (std::size_t k = 0; k < node.inputs.size(); ++k) {
        for (std::size_t e = 0; e < gradient.size(); ++e) in_gradient(node, k)[e] += gradient[e];
      }
      return;
    case NodeKind::kConcat:
      for (int n = 0; n < count; ++n) {
        const T* from = gradient.data() + n * node.shape.size();
        for (std::size_t k = 0; k < node.inputs.size(); ++k) {
          const int64_t size = in_shape(node, k).size();
          T* to = in_gradient(node, k) + n * size;
          for (int64_t e = 0; e < size; ++e) to[e] += from[e];
          from += size;
        }
      }
      return;
    case NodeKind::kSelectChannels:
      for_each_selected(node, in_shape(node), count, [&](std::size_t from, std::size_t to) {
        in_gradient(node)[from] += gradient[to];
      });
      return;
    case NodeKind::kPixelShift:
      for (int n = 0; n < count; ++n) {
        for (int c = 0; c < node.shape.channels; ++c) {
          for (int y = 0; y + 1 < node.shape.height; ++y) {
            for (int x = 0; x + 1 < node.shape.width; ++x) {
              in_gradient(node)[offset(node.shape, n, c, y + 1, x + 1)] +=
                  gradient[offset(node.shape, n, c, y, x)];
            }
          }
        }
      }
      return;
    case NodeKind::kGlobalAveragePool: {
      const std::size_t pixels =
          static_cast<std::size_t>(in_shape(node).height) * in_shape(node).width;
      for (std::size_t e = 0; e < gradient.size(); ++e) {
        for (std::size_t p = 0; p < pixels; ++p) {
          in_gradient(node)[e * pixels + p] += gradient[e] / static_cast<T>(pixels);
        }
      }
      return;
    }
    case NodeKind::kLinear: {
      const int64_t width = in_shape(node).size();
      const auto& weight = of(node, 0, parameters_);
      for (int n = 0; n < count; ++n) {
        for (int k = 0; k < node.shape.channels; ++k) {
          const T g = gradient[n * node.shape.channels + k];
          of(node, 1, gradients_)[k] += g;
          for (int64_t c = 0; c < width; ++c) {
            const std::size_t w = k * width + c;
            in_gradient(node)[n * width + c] += g * weight[w];
            of(node, 0, gradients_)[w] += g * in(node)[n * width + c];
          }
        }
      }
      return;
    }
    case NodeKind::kDropout:
    case NodeKind::kDropPath:
      for (std::size_t e = 0; e < gradient.size(); ++e) {
        const bool path = node.kind == NodeKind::kDropPath;
        const std::size_t size = node.shape.size();
        in_gradient(node)[e] +=
            gradient[e] * mask_factor(step.seed, step.step, i, path ? e / size : e,
                                      path ? node.probability * step.drop_path : node.probability);
      }
      return;
    case NodeKind::kResize:
    case NodeKind::kBroadcast:
      return resize<T>(node, in_shape(node), count, in(node), nullptr, gradient.data(),
                       in_gradient(node));
    case NodeKind::kCrossEntropy:
      return entropy_backward(node);
  }
}

template <class T>
void ReferenceProgram<T>::reduce(Reducer& reducer, int ranks) {
  for (auto& gradient : gradients_) {
    std::vector<float> values(gradient.begin(), gradient.end());
    reducer.sum(values);
    std::transform(values.begin(), values.end(), gradient.begin(),
                   [&](float value) { return static_cast<T>(value / static_cast<float>(ranks)); });
  }
}

template <class T>
void ReferenceProgram<T>::update(const SgdStep& step) {
  const std::vector<float> rates = contract::parameter_rates(graph_, options_, step);
  for (std::size_t i = 0; i < parameters_.size(); ++i) {
    if (!graph_.parameters()[i].trainable()) continue;
    const T decay{step.decay_of(graph_.parameters()[i])};
    for (std::size_t e = 0; e < parameters_[i].size(); ++e) {
      T& weight = parameters_[i][e];
      const T gradient = gradients_[i][e] + decay * weight;
      momenta_[i][e] = T{step.momentum} * momenta_[i][e] + gradient;
      weight -= T{rates[i]} *
                (step.nesterov ? gradient + T{step.momentum} * momenta_[i][e] : momenta_[i][e]);
    }
    std::fill(gradients_[i].begin(), gradients_[i].end(), T{0});
  }
}

template <class T>
StepMetrics ReferenceProgram<T>::metrics() {
  return std::exchange(metrics_, StepMetrics{});
}

template <class T>
void ReferenceProgram<T>::load(const Weights& host) {
  contract::load_parameters(
      graph_, host, [&](int i, std::span<const float> values, std::span<const float> momenta) {
        const std::size_t at = i;
        std::copy(values.begin(), values.end(), parameters_[at].begin());
        std::fill(momenta_[at].begin(), momenta_[at].end(), T{0});
        std::copy(momenta.begin(), momenta.end(), momenta_[at].begin());
      });
}

template <class T>
Weights ReferenceProgram<T>::save(bool momenta) const {
  Weights weights;
  const auto copy = [](const std::vector<T>& from) {
    return [&from](std::span<float> to) {
      std::transform(from.begin(), from.end(), to.begin(),
                     [](T value) { return static_cast<float>(value); });
    };
  };
  for (std::size_t i = 0; i < parameters_.size(); ++i) {
    const int at = static_cast<int>(i);
    contract::save_parameter(graph_, at, "", weights, copy(parameters_[i]));
    if (momenta && graph_.parameter(at).trainable()) {
      contract::save_parameter(graph_, at, kMomentumSuffix, weights, copy(momenta_[i]));
    }
  }
  return weights;
}

template <class T>
Weights ReferenceProgram<T>::gradients_by_name() const {
  Weights weights;
  for (std::size_t i = 0; i < gradients_.size(); ++i) {
    if (!graph_.parameters()[i].trainable()) continue;
    contract::save_parameter(graph_, static_cast<int>(i), "", weights, [&](std::span<float> to) {
      std::transform(gradients_[i].begin(), gradients_[i].end(), to.begin(),
                     [](T value) { return static_cast<float>(value); });
    });
  }
  return weights;
}

template class ReferenceProgram<float>;
template class ReferenceProgram<double>;

namespace {

class ReferenceBackend final : public Backend {
 public:
  std::string name() const override { return "reference"; }
  Precision precision(Precision) const override { return Precision::kFloat32; }

  std::unique_ptr<Program> compile(const Graph& graph, const ProgramOptions& options) override {
    return std::make_unique<ReferenceProgram<float>>(graph, options);
  }

  MemoryEstimate estimate(const Graph& graph, const ProgramOptions& options) const override {
    int64_t values = 0;
    for (const Node& node : graph.nodes()) values += node.shape.size() * options.batch;
    int64_t parameters = 0;
    for (const Parameter& parameter : graph.parameters()) parameters += parameter.size();
    const int64_t copies = options.training ? 2 : 1;
    return {static_cast<int64_t>(sizeof(float)) * (copies * values + 3 * parameters)};
  }
};

}  // namespace

std::unique_ptr<Backend> make_reference() { return std::make_unique<ReferenceBackend>(); }

}  // namespace renas::reference
