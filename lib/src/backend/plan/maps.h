#pragma once

#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>

#include "core/host_device.h"

/// The maps between layers as a fast backend keeps them in memory, and the structs of pointers that
/// describe them to kernels.
///
/// A map is [image, row, column, channel] with channels padded to a multiple of the backend's
/// channel block. The padding holds zeros and every kernel keeps it so: coefficients and weights
/// are padded with zeros too.
namespace renas::plan {

/// A bfloat16 number: the upper half of a float, that is its sign, its exponent and the first seven
/// bits of its fraction.
struct Bfloat16 {
  uint16_t bits;
};

inline float to_float(float v) { return v; }
inline float to_float(Bfloat16 v) { return std::bit_cast<float>(uint32_t{v.bits} << 16); }

/// Rounds to the nearest bfloat16, ties to even. A NaN stays a NaN.
inline Bfloat16 to_bf16(float v) {
  const auto bits = std::bit_cast<uint32_t>(v);
  if (v != v) return {static_cast<uint16_t>(bits >> 16 | 0x40)};
  return {static_cast<uint16_t>((bits + 0x7fff + (bits >> 16 & 1)) >> 16)};
}

/// A pointer to the numbers of a map, which are float or bfloat16. It does not own them; a null
/// MapData says that there is no such map. Kernels compute in float32 either way, except those of
/// bf16_kernels.h, which multiply in bfloat16.
class MapData {
 public:
  MapData() = default;
  RENAS_HOST_DEVICE MapData(void* data, bool is_bf16)
      : data_(static_cast<std::byte*>(data)), is_bf16_(is_bf16) {}

  RENAS_HOST_DEVICE explicit operator bool() const { return data_ != nullptr; }
  RENAS_HOST_DEVICE bool is_bf16() const { return is_bf16_; }
  /// The size of `count` numbers.
  std::size_t bytes(std::size_t count) const { return count * (is_bf16_ ? 2 : 4); }
  /// The same map from number `first` on.
  MapData from(std::size_t first) const { return {data_ + bytes(first), is_bf16_}; }
  /// The numbers as T, which must be Bfloat16 if is_bf16() and float otherwise.
  template <class T>
  RENAS_HOST_DEVICE T* as() const {
    return reinterpret_cast<T*>(data_);
  }

  float get(std::size_t i) const { return is_bf16_ ? to_float(as<Bfloat16>()[i]) : as<float>()[i]; }
  void set(std::size_t i, float v) const {
    if (is_bf16_) {
      as<Bfloat16>()[i] = to_bf16(v);
    } else {
      as<float>()[i] = v;
    }
  }
  /// Sets `count` numbers from number `first` on to zero.
  void clear(std::size_t first, std::size_t count) const {
    std::memset(data_ + bytes(first), 0, bytes(count));
  }

 private:
  std::byte* data_ = nullptr;
  bool is_bf16_ = false;
};

/// The shape of one image's map: rows, columns, padded channels.
struct Map {
  int height = 0;
  int width = 0;
  int channels = 0;
  std::size_t pixels() const { return static_cast<std::size_t>(height) * width; }
  /// Numbers of one row.
  std::size_t row() const { return static_cast<std::size_t>(width) * channels; }
  /// Numbers of one image.
  std::size_t size() const { return pixels() * channels; }
};

/// An input of a group as the group reads it: the stored map x with the batch norm and the ReLU
/// that lie in between applied while loading, y = max(0, scale * x + shift). Backward, the group
/// writes the gradient with respect to scale * x + shift.
struct InputView {
  Map map;
  MapData data;
  const float* scale = nullptr;  // [channels]; nullptr: no batch norm in between
  const float* shift = nullptr;  // [channels]
  bool relu = false;
  MapData gradient;         // null: no gradient is needed
  bool accumulate = false;  // the gradient is added to what is there; otherwise it overwrites it
  // Set if this reader writes the gradient last and a batch norm lies in between. It then also
  // accumulates that norm's two backward sums, sum(dy) and sum(dy * (x - mean)), per channel, at
  // offset `sums` of its image range's partial sums.
  const float* mean = nullptr;  // [channels]; nullptr: no sums are wanted
  std::size_t sums = 0;         // floats
};

/// The map x that a group computes. Backward, the gradient of the loss with respect to it is
/// `gradient` itself or, where a batch norm reads the map next, dy_scale * dy + x_scale * x +
/// offset with dy = `gradient`, the gradient behind that norm. The three coefficients follow from
/// the norm's backward sums.
struct OutputMap {
  Map map;
  MapData data;
  const float* centre = nullptr;  // [channels] near the mean: statistics are taken around it, see
                                  // BatchNorms; nullptr: no statistics are wanted
  MapData gradient;
  const float* dy_scale = nullptr;  // [channels]; nullptr: the gradient is `gradient`
  const float* x_scale = nullptr;   // [channels]
  const float* offset = nullptr;    // [channels]
};

/// The sliding window of a convolution or a pool.
struct WindowArgs {
  int height = 1;
  int width = 1;
  int stride_height = 1;
  int stride_width = 1;
  int top = 0;  // padding; negative: the window starts inside the map
  int left = 0;
  int dilation = 1;  // 1 is dense
};

}  // namespace renas::plan
