#include "renas/tensor.h"

#include <fmt/format.h>

#include <charconv>

#include "renas/error.h"

namespace renas {

std::string to_string(const Shape& shape) {
  return fmt::format("{}x{}x{}", shape.height, shape.width, shape.channels);
}

Shape parse_shape(const std::string& text) {
  int values[3] = {0, 0, 0};
  const char* at = text.data();
  const char* const end = at + text.size();
  for (int i = 0; i < 3; ++i) {
    const auto [next, failure] = std::from_chars(at, end, values[i]);
    const bool separated = i == 2 ? next == end : next != end && *next == 'x';
    if (failure != std::errc{} || !separated || values[i] < 1 || values[i] > 65536) {
      throw InvalidInput(fmt::format(
          "image size: expected HxWxC, such as 32x32x3, each from 1 to 65536; got '{}'", text));
    }
    at = next + 1;
  }
  return {values[2], values[0], values[1]};
}

}  // namespace renas
