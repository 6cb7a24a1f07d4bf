#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <limits>
#include <utility>
#include <vector>

#include "backend/contract.h"
#include "backend/interpolation.h"
#include "renas/graph.h"

/// Each node kind as plain loops over dense NCHW arrays, forward and backward. This is the meaning
/// that every backend must reproduce. The loops are slow on purpose; sums run in double whatever T
/// is.
///
/// Backward functions add to the gradients they are given, since a tensor may have several readers.
namespace renas::reference {

/// The sliding window of a convolution or pool. `node` has kernel, stride, padding, dilation and
/// groups; the maps are of shapes `in` and `node.shape`.
struct Window {
  const Node& node;
  Shape in;

  /// Calls visit(input row, input column, kernel row, kernel column) for each kernel position of
  /// output (y, x) that lies on the map.
  template <class Visit>
  void at(int y, int x, Visit visit) const {
    const renas::Window& w = node.window;
    for (int r = 0; r < w.kernel_height; ++r) {
      const int iy = y * w.stride_height - w.padding_top + r * w.dilation;
      if (iy < 0 || iy >= in.height) continue;
      for (int s = 0; s < w.kernel_width; ++s) {
        const int ix = x * w.stride_width - w.padding_left + s * w.dilation;
        if (ix < 0 || ix >= in.width) continue;
        visit(iy, ix, r, s);
      }
    }
  }
};

/// The offset of image n, channel c, row y, column x in an NCHW array.
inline std::size_t offset(const Shape& shape, int n, int c, int y, int x) {
  return ((int64_t{n} * shape.channels + c) * shape.height + y) * shape.width + x;
}

/// Calls visit(from, to) for each element of the output of kSelectChannels: its place in the input,
/// a map of shape `in`, and its own.
template <class Visit>
void for_each_selected(const Node& node, const Shape& in, int count, const Visit& visit) {
  for (int n = 0; n < count; ++n) {
    for (int c = 0; c < node.shape.channels; ++c) {
      const std::size_t from = offset(in, n, node.channels[c], 0, 0);
      const std::size_t to = offset(node.shape, n, c, 0, 0);
      const auto pixels = static_cast<std::size_t>(in.height) * in.width;
      for (std::size_t p = 0; p < pixels; ++p) visit(from + p, to + p);
    }
  }
}

/// The offset of an element in a weight [out, in / groups, kh, kw].
inline std::size_t weight_offset(const Node& node, int per_group, int k, int c, int r, int s) {
  const renas::Window& w = node.window;
  return ((int64_t{k} * per_group + c) * w.kernel_height + r) * w.kernel_width + s;
}

template <class T>
void conv_forward(const Window& w, int count, const T* in, const T* weight, T* out) {
  const int per_group = w.in.channels / w.node.groups;
  const int out_per_group = w.node.shape.channels / w.node.groups;
  for (int n = 0; n < count; ++n) {
    for (int k = 0; k < w.node.shape.channels; ++k) {
      const int first = k / out_per_group * per_group;
      for (int y = 0; y < w.node.shape.height; ++y) {
        for (int x = 0; x < w.node.shape.width; ++x) {
          double sum = 0;
          w.at(y, x, [&](int iy, int ix, int r, int s) {
            for (int c = 0; c < per_group; ++c) {
              sum += double{in[offset(w.in, n, first + c, iy, ix)]} *
                     weight[weight_offset(w.node, per_group, k, c, r, s)];
            }
          });
          out[offset(w.node.shape, n, k, y, x)] = static_cast<T>(sum);
        }
      }
    }
  }
}

template <class T>
void conv_backward(const Window& w, int count, const T* in, const T* weight, const T* out_gradient,
                   T* in_gradient, T* weight_gradient) {
  const int per_group = w.in.channels / w.node.groups;
  const int out_per_group = w.node.shape.channels / w.node.groups;
  std::vector<double> in_sum(count * w.in.size());
  std::vector<double> weight_sum(int64_t{w.node.shape.channels} * per_group *
                                 w.node.window.kernel_height * w.node.window.kernel_width);
  for (int n = 0; n < count; ++n) {
    for (int k = 0; k < w.node.shape.channels; ++k) {
      const int first = k / out_per_group * per_group;
      for (int y = 0; y < w.node.shape.height; ++y) {
        for (int x = 0; x < w.node.shape.width; ++x) {
          const double gradient = out_gradient[offset(w.node.shape, n, k, y, x)];
          w.at(y, x, [&](int iy, int ix, int r, int s) {
            for (int c = 0; c < per_group; ++c) {
              const std::size_t from = offset(w.in, n, first + c, iy, ix);
              const std::size_t by = weight_offset(w.node, per_group, k, c, r, s);
              in_sum[from] += gradient * weight[by];
              weight_sum[by] += gradient * in[from];
            }
          });
        }
      }
    }
  }
  for (std::size_t i = 0; i < in_sum.size(); ++i) in_gradient[i] += static_cast<T>(in_sum[i]);
  for (std::size_t i = 0; i < weight_sum.size(); ++i) {
    weight_gradient[i] += static_cast<T>(weight_sum[i]);
  }
}

/// The statistics of one channel over the batch. The variance is the biased one.
struct Moments {
  double mean = 0;
  double variance = 0;
  int64_t count = 0;
  double inverse_deviation() const {
    return 1.0 / std::sqrt(variance + contract::kBatchNormEpsilon);
  }
};

template <class T>
Moments batch_moments(const Shape& shape, int count, int c, const T* in) {
  Moments moments;
  moments.count = int64_t{count} * shape.height * shape.width;
  for (int n = 0; n < count; ++n) {
    for (int y = 0; y < shape.height; ++y) {
      for (int x = 0; x < shape.width; ++x) moments.mean += in[offset(shape, n, c, y, x)];
    }
  }
  moments.mean /= static_cast<double>(moments.count);
  for (int n = 0; n < count; ++n) {
    for (int y = 0; y < shape.height; ++y) {
      for (int x = 0; x < shape.width; ++x) {
        const double d = in[offset(shape, n, c, y, x)] - moments.mean;
        moments.variance += d * d;
      }
    }
  }
  moments.variance /= static_cast<double>(moments.count);
  return moments;
}

template <class T>
void batch_norm_apply(const Shape& shape, int count, int c, const Moments& moments, double scale,
                      double shift, const T* in, T* out) {
  const double factor = scale * moments.inverse_deviation();
  for (int n = 0; n < count; ++n) {
    for (int y = 0; y < shape.height; ++y) {
      for (int x = 0; x < shape.width; ++x) {
        const std::size_t i = offset(shape, n, c, y, x);
        out[i] = static_cast<T>((in[i] - moments.mean) * factor + shift);
      }
    }
  }
}

/// Where the moments are of no values (count 0), they are given and owe nothing to the batch.
template <class T>
void batch_norm_backward(const Shape& shape, int count, int c, const Moments& moments, double scale,
                         const T* in, const T* out_gradient, T* in_gradient, T* scale_gradient,
                         T* shift_gradient) {
  const double inverse = moments.inverse_deviation();
  double sum = 0;
  double dot = 0;
  for (int pass = 0; pass < 2; ++pass) {
    for (int n = 0; n < count; ++n) {
      for (int y = 0; y < shape.height; ++y) {
        for (int x = 0; x < shape.width; ++x) {
          const std::size_t i = offset(shape, n, c, y, x);
          const double normalised = (in[i] - moments.mean) * inverse;
          if (pass == 0) {
            sum += out_gradient[i];
            dot += out_gradient[i] * normalised;
          } else {
            const auto m = static_cast<double>(moments.count);
            const double of_moments = moments.count > 0 ? (sum + normalised * dot) / m : 0;
            in_gradient[i] += static_cast<T>(scale * inverse * (out_gradient[i] - of_moments));
          }
        }
      }
    }
  }
  *scale_gradient += static_cast<T>(dot);
  *shift_gradient += static_cast<T>(sum);
}

/// The offset of the maximum of the window of output (y, x): the first in row order among equals.
template <class T>
std::size_t argmax(const Window& w, int n, int c, int y, int x, const T* in) {
  std::size_t best = 0;
  T value = -std::numeric_limits<T>::infinity();
  bool any = false;
  w.at(y, x, [&](int iy, int ix, int, int) {
    const std::size_t i = offset(w.in, n, c, iy, ix);
    if (!any || in[i] > value) {
      any = true;
      value = in[i];
      best = i;
    }
  });
  return best;
}

template <class T>
void max_pool(const Window& w, int count, const T* in, T* out, const T* out_gradient,
              T* in_gradient) {
  const Shape& shape = w.node.shape;
  for (int n = 0; n < count; ++n) {
    for (int c = 0; c < shape.channels; ++c) {
      for (int y = 0; y < shape.height; ++y) {
        for (int x = 0; x < shape.width; ++x) {
          const std::size_t i = offset(shape, n, c, y, x);
          const std::size_t from = argmax(w, n, c, y, x, in);
          if (out != nullptr) out[i] = in[from];
          if (in_gradient != nullptr) in_gradient[from] += out_gradient[i];
        }
      }
    }
  }
}

template <class T>
void average_pool(const Window& w, int count, const T* in, T* out, const T* out_gradient,
                  T* in_gradient) {
  const Shape& shape = w.node.shape;
  for (int n = 0; n < count; ++n) {
    for (int c = 0; c < shape.channels; ++c) {
      for (int y = 0; y < shape.height; ++y) {
        for (int x = 0; x < shape.width; ++x) {
          const std::size_t i = offset(shape, n, c, y, x);
          double sum = 0;
          int covered = 0;
          w.at(y, x, [&](int iy, int ix, int, int) {
            if (out != nullptr) sum += in[offset(w.in, n, c, iy, ix)];
            ++covered;
          });
          if (out != nullptr) out[i] = static_cast<T>(sum / covered);
          if (in_gradient == nullptr) continue;
          const T share = static_cast<T>(double{out_gradient[i]} / covered);
          w.at(y, x,
               [&](int iy, int ix, int, int) { in_gradient[offset(w.in, n, c, iy, ix)] += share; });
        }
      }
    }
  }
}

/// Adds `bias` to every pixel of its channel.
template <class T>
void add_bias(const Shape& shape, int count, const T* bias, T* out) {
  const int64_t pixels = int64_t{shape.height} * shape.width;
  for (int64_t i = 0; i < count * shape.size(); ++i) out[i] += bias[i / pixels % shape.channels];
}

template <class T>
void bias_backward(const Shape& shape, int count, const T* out_gradient, T* bias_gradient) {
  const int64_t pixels = int64_t{shape.height} * shape.width;
  std::vector<double> sum(static_cast<std::size_t>(shape.channels));
  for (int64_t i = 0; i < count * shape.size(); ++i) {
    sum[static_cast<std::size_t>(i / pixels % shape.channels)] += out_gradient[i];
  }
  for (std::size_t c = 0; c < sum.size(); ++c) bias_gradient[c] += static_cast<T>(sum[c]);
}

/// Bilinear resize of a map of shape `in`, forward where `out` is given and backward where
/// `in_gradient` is. A broadcast is that of a map of one pixel.
template <class T>
void resize(const Node& node, const Shape& in, int count, const T* from, T* out,
            const T* out_gradient, T* in_gradient) {
  const Shape& shape = node.shape;
  for (int n = 0; n < count; ++n) {
    for (int c = 0; c < shape.channels; ++c) {
      for (int y = 0; y < shape.height; ++y) {
        const LinearTap rows = linear_tap(y, shape.height, in.height, node.align_corners);
        for (int x = 0; x < shape.width; ++x) {
          const LinearTap columns = linear_tap(x, shape.width, in.width, node.align_corners);
          const std::size_t i = offset(shape, n, c, y, x);
          double sum = 0;
          for (const auto& [row, by_row] :
               {std::pair{rows.first, 1 - rows.weight}, std::pair{rows.second, rows.weight}}) {
            for (const auto& [column, by_column] : {std::pair{columns.first, 1 - columns.weight},
                                                    std::pair{columns.second, columns.weight}}) {
              const std::size_t at = offset(in, n, c, row, column);
              if (out != nullptr) sum += by_row * by_column * from[at];
              if (in_gradient != nullptr) {
                in_gradient[at] += static_cast<T>(by_row * by_column * out_gradient[i]);
              }
            }
          }
          if (out != nullptr) out[i] = static_cast<T>(sum);
        }
      }
    }
  }
}

/// Softmax cross-entropy of one label with label smoothing s: the target is (1 - s) on the label
/// plus s / classes everywhere. Adds d loss / d scores times `factor` where `gradient` is given.
/// Returns the loss in nats. Scores and gradient are [classes].
template <class T>
double cross_entropy(int classes, const T* scores, int label, double smoothing, double factor,
                     T* gradient) {
  const double top = *std::max_element(scores, scores + classes);
  double total = 0;
  for (int k = 0; k < classes; ++k) total += std::exp(scores[k] - top);
  const double log_total = std::log(total) + top;
  double loss = 0;
  for (int k = 0; k < classes; ++k) {
    const double target = smoothing / classes + (k == label ? 1 - smoothing : 0);
    loss -= target * (scores[k] - log_total);
    if (gradient != nullptr) {
      gradient[k] += static_cast<T>(factor * (std::exp(scores[k] - log_total) - target));
    }
  }
  return loss;
}

}  // namespace renas::reference
