#include "data/orientation.h"

#include <algorithm>
#include <cstddef>
#include <utility>

namespace renas {

Orientation::Orientation(int tag)
    : transpose_(tag >= 5),
      flip_rows_(tag == 3 || tag == 4 || tag == 6 || tag == 7),
      flip_columns_(tag == 2 || tag == 3 || tag == 7 || tag == 8) {}

Window Orientation::stored(const Window& window, int height, int width) const {
  Window result = window;
  if (transpose_) {
    std::swap(result.top, result.left);
    std::swap(result.height, result.width);
  }
  if (flip_rows_) result.top = height - result.top - result.height;
  if (flip_columns_) result.left = width - result.left - result.width;
  return result;
}

Window Orientation::turned(const Window& window, int height, int width) const {
  Window result = window;
  if (flip_rows_) result.top = height - result.top - result.height;
  if (flip_columns_) result.left = width - result.left - result.width;
  if (transpose_) {
    std::swap(result.top, result.left);
    std::swap(result.height, result.width);
  }
  return result;
}

void Orientation::turn(const uint8_t* pixels, int height, int width, int channels,
                       std::vector<uint8_t>& to) const {
  const auto count = static_cast<std::size_t>(channels);
  to.resize(static_cast<std::size_t>(height) * width * count);
  const int rows = transpose_ ? width : height;
  const int columns = transpose_ ? height : width;
  uint8_t* out = to.data();
  for (int y = 0; y < rows; ++y) {
    for (int x = 0; x < columns; ++x) {
      const Window from = stored({y, x, 1, 1}, height, width);
      std::copy_n(pixels + (static_cast<std::size_t>(from.top) * width + from.left) * count, count,
                  out);
      out += count;
    }
  }
}

}  // namespace renas
