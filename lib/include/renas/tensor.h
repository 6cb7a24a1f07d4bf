#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

namespace renas {

/// The shape of one image or feature map: channels, rows, columns.
struct Shape {
  int channels = 0;
  int height = 0;
  int width = 0;
  int64_t size() const { return int64_t{channels} * height * width; }
  bool operator==(const Shape&) const = default;
};

/// Formats a shape as "HxWxC", its form in options and messages.
std::string to_string(const Shape& shape);
/// Parses "HxWxC". Throws InvalidInput where the text is not of this form or a number is not from 1
/// to 65536.
Shape parse_shape(const std::string& text);

/// A dense row-major float32 array on the host.
struct Tensor {
  std::vector<int64_t> shape;
  std::vector<float> values;  // product(shape) of them
  bool operator==(const Tensor&) const = default;
};

/// The tensors of a network by name: parameters, batch-norm statistics and, where training goes on,
/// the momenta of SGD under the parameter's name + kMomentumSuffix. Conv weights are
/// [out, in / groups, kernel_h, kernel_w], linear weights [out, in].
using Weights = std::map<std::string, Tensor>;
inline constexpr const char* kMomentumSuffix = "/momentum";

}  // namespace renas
