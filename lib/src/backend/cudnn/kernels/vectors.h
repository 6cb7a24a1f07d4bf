#pragma once

// What kernels read and write: eight neighbouring channels of a pixel at a time, as float32
// whatever the map holds. A map's channels are padded to a multiple of eight with zeros.

#include <math.h>

#include <cstddef>
#include <cstdint>
#include <cstring>

#include "backend/cudnn/kernels/launch.h"
#include "backend/plan/maps.h"

namespace renas::cudnn {

using plan::InputView;
using plan::Map;
using plan::MapData;
using plan::OutputMap;
using plan::WindowArgs;

/// Channels that a thread handles at a time: the channel block of this backend's plans.
constexpr int kBlock = 8;

struct Float8 {
  float v[kBlock];
};

__device__ inline float float_of_bits(uint32_t bits) {
  float value;
  memcpy(&value, &bits, sizeof(value));
  return value;
}
__device__ inline uint32_t bits_of_float(float value) {
  uint32_t bits;
  memcpy(&bits, &value, sizeof(bits));
  return bits;
}

/// The bits of the nearest bfloat16, ties to even; a NaN stays a NaN.
__device__ inline uint32_t to_bf16_bits(float value) {
  const uint32_t bits = bits_of_float(value);
  if (value != value) return bits >> 16 | 0x40;
  return (bits + 0x7fff + (bits >> 16 & 1)) >> 16;
}

/// Number i of a map.
__device__ inline float load(const MapData& map, std::size_t i) {
  if (map.is_bf16()) return float_of_bits(uint32_t{map.as<uint16_t>()[i]} << 16);
  return map.as<float>()[i];
}
__device__ inline void store(const MapData& map, std::size_t i, float value) {
  if (map.is_bf16()) {
    map.as<uint16_t>()[i] = static_cast<uint16_t>(to_bf16_bits(value));
  } else {
    map.as<float>()[i] = value;
  }
}

/// Numbers i to i + 7 of a map; i is a multiple of 8.
__device__ inline Float8 load8(const MapData& map, std::size_t i) {
  Float8 r;
  if (map.is_bf16()) {
    const uint4 packed = map.as<const uint4>()[i / kBlock];
    const uint32_t pairs[4] = {packed.x, packed.y, packed.z, packed.w};
#pragma unroll
    for (int k = 0; k < 4; ++k) {
      r.v[2 * k] = float_of_bits(pairs[k] << 16);
      r.v[2 * k + 1] = float_of_bits(pairs[k] & 0xffff0000U);
    }
    return r;
  }
  const float4* from = map.as<const float4>() + i / 4;
  const float4 low = from[0];
  const float4 high = from[1];
  r = {{low.x, low.y, low.z, low.w, high.x, high.y, high.z, high.w}};
  return r;
}
__device__ inline void store8(const MapData& map, std::size_t i, const Float8& value) {
  if (map.is_bf16()) {
    uint32_t pairs[4];
#pragma unroll
    for (int k = 0; k < 4; ++k) {
      pairs[k] = to_bf16_bits(value.v[2 * k]) | to_bf16_bits(value.v[2 * k + 1]) << 16;
    }
    map.as<uint4>()[i / kBlock] = make_uint4(pairs[0], pairs[1], pairs[2], pairs[3]);
    return;
  }
  const float* v = value.v;
  float4* to = map.as<float4>() + i / 4;
  to[0] = make_float4(v[0], v[1], v[2], v[3]);
  to[1] = make_float4(v[4], v[5], v[6], v[7]);
}

/// Numbers as a map holds them once they are stored.
__device__ inline Float8 as_stored8(const MapData& map, Float8 value) {
  if (!map.is_bf16()) return value;
#pragma unroll
  for (int k = 0; k < kBlock; ++k) value.v[k] = float_of_bits(to_bf16_bits(value.v[k]) << 16);
  return value;
}

__device__ inline Float8 zeros8() { return {{0, 0, 0, 0, 0, 0, 0, 0}}; }
/// Numbers c to c + 7 of an array of floats; c is a multiple of 8.
__device__ inline Float8 load8(const float* from, int c) {
  return load8(MapData(const_cast<float*>(from), false), static_cast<std::size_t>(c));
}

/// The input's numbers i to i + 7, which are channels c to c + 7, behind the batch norm of the view
/// but before its ReLU.
__device__ inline Float8 normalised8(const InputView& in, std::size_t i, int c) {
  Float8 x = load8(in.data, i);
  if (in.scale != nullptr) {
    const Float8 scale = load8(in.scale, c);
    const Float8 shift = load8(in.shift, c);
#pragma unroll
    for (int k = 0; k < kBlock; ++k) x.v[k] = fmaf(x.v[k], scale.v[k], shift.v[k]);
  }
  return x;
}

/// The same behind the view's ReLU: what the reader of the view sees. A NaN stays a NaN.
__device__ inline Float8 input8(const InputView& in, std::size_t i, int c) {
  Float8 x = normalised8(in, i, c);
  if (in.relu) {
#pragma unroll
    for (int k = 0; k < kBlock; ++k) x.v[k] = x.v[k] < 0 ? 0 : x.v[k];
  }
  return x;
}

/// Stores the gradient with respect to what the reader of the view sees: masked by the ReLU, and
/// added where the view accumulates.
__device__ inline void store_gradient8(const InputView& in, std::size_t i, int c, Float8 gradient) {
  if (in.relu) {
    const Float8 x = normalised8(in, i, c);
#pragma unroll
    for (int k = 0; k < kBlock; ++k) gradient.v[k] = x.v[k] > 0 ? gradient.v[k] : 0;
  }
  if (in.accumulate) {
    const Float8 before = load8(in.gradient, i);
#pragma unroll
    for (int k = 0; k < kBlock; ++k) gradient.v[k] += before.v[k];
  }
  store8(in.gradient, i, gradient);
}

/// The gradient with respect to the raw output at numbers i to i + 7, channels c to c + 7; where a
/// batch norm reads it, computed from the gradient behind the norm (see OutputMap).
__device__ inline Float8 output_gradient8(const OutputMap& out, std::size_t i, int c) {
  Float8 g = load8(out.gradient, i);
  if (out.dy_scale != nullptr) {
    const Float8 x = load8(out.data, i);
    const Float8 dy_scale = load8(out.dy_scale, c);
    const Float8 x_scale = load8(out.x_scale, c);
    const Float8 offset = load8(out.offset, c);
#pragma unroll
    for (int k = 0; k < kBlock; ++k) {
      g.v[k] = fmaf(dy_scale.v[k], g.v[k], fmaf(x_scale.v[k], x.v[k], offset.v[k]));
    }
  }
  return g;
}

/// A thread's eight channels of one pixel of a batch of maps.
struct Place {
  int n, y, x, c;
  std::size_t i;  // of the first number
  bool exists;    // false: the thread is one too many
};

/// The place of thread number `thread` among those of `images` maps.
__device__ inline Place place_of(const Map& map, int images, std::size_t thread) {
  const auto blocks = static_cast<std::size_t>(map.channels / kBlock);
  const auto width = static_cast<std::size_t>(map.width);
  const auto height = static_cast<std::size_t>(map.height);
  const std::size_t pixel = thread / blocks;
  const std::size_t row = pixel / width;
  Place p;
  p.c = static_cast<int>(thread % blocks) * kBlock;
  p.x = static_cast<int>(pixel % width);
  p.y = static_cast<int>(row % height);
  p.n = static_cast<int>(row / height);
  p.i = thread * kBlock;
  p.exists = row / height < static_cast<std::size_t>(images);
  return p;
}

/// The first number of pixel (y, x) of image n, or of channel c of it.
__device__ inline std::size_t pixel_at(const Map& map, int n, int y, int x, int c = 0) {
  const std::size_t row = static_cast<std::size_t>(n) * map.height + y;
  return (row * map.width + x) * map.channels + c;
}

__device__ inline std::size_t thread_index() {
  return static_cast<std::size_t>(blockIdx.x) * blockDim.x + threadIdx.x;
}

}  // namespace renas::cudnn
