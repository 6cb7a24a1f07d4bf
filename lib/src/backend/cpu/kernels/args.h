#pragma once

#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <vector>

/// What the vector kernels are told. Plain structs of pointers: a kernel is compiled once for each
/// instruction set (Highway's foreach_target) and chosen at run time.
///
/// Activations are [picture, row, column, channel] with channels padded to a multiple of kBlock;
/// the padding holds zeros, and every kernel keeps it so: coefficients and weights are
/// padded with zeros too. "Blocked" scratch is [channel / kBlock][pixel][kBlock].
///
/// Kernels run on pictures [first, last) of a batch, on one thread, and write sums over pictures
/// (statistics, weight gradients) to an area of their own, so that the order of every addition is
/// fixed by the batch alone and not by the number of threads.
namespace renas::cpu {

class TileProduct;
namespace pairs {
struct SeparableKernels;
struct ConvKernels;
}  // namespace pairs

inline constexpr int kBlock = 8;
inline constexpr int kTilePixels = 64;  // of a matrix product's tile, which stays in cache

inline int padded(int channels) { return (channels + kBlock - 1) / kBlock * kBlock; }

/// The upper half of a float: its sign, its exponent, and seven bits of what it says within it.
struct Bfloat16 {
  uint16_t bits;
};

inline float value_of(float v) { return v; }
inline float value_of(Bfloat16 v) { return std::bit_cast<float>(uint32_t{v.bits} << 16); }

/// To the nearest, ties to even.
inline Bfloat16 nearest(float v) {
  const auto bits = std::bit_cast<uint32_t>(v);
  if (v != v) return {static_cast<uint16_t>(bits >> 16 | 0x40)};
  return {static_cast<uint16_t>((bits + 0x7fff + (bits >> 16 & 1)) >> 16)};
}

/// The numbers of a map in memory: floats or, for half the traffic, bfloat16. Kernels compute in
/// floats either way, but for those of pairs.h. Null: there is no such map.
class Cells {
 public:
  Cells() = default;
  Cells(void* data, bool half) : data_(static_cast<std::byte*>(data)), half_(half) {}

  explicit operator bool() const { return data_ != nullptr; }
  bool half() const { return half_; }
  std::size_t bytes(std::size_t count) const { return count * (half_ ? 2 : 4); }
  /// From number `first` on.
  Cells from(std::size_t first) const { return {data_ + bytes(first), half_}; }
  /// T: float, or Bfloat16 if half().
  template <class T>
  T* as() const {
    return reinterpret_cast<T*>(data_);
  }

  float get(std::size_t i) const { return half_ ? value_of(as<Bfloat16>()[i]) : as<float>()[i]; }
  void set(std::size_t i, float v) const {
    if (half_) {
      as<Bfloat16>()[i] = nearest(v);
    } else {
      as<float>()[i] = v;
    }
  }
  void clear(std::size_t first, std::size_t count) const {
    std::memset(data_ + bytes(first), 0, bytes(count));
  }

 private:
  std::byte* data_ = nullptr;
  bool half_ = false;
};

/// A map of the batch: rows, columns, padded channels.
struct Map {
  int height = 0;
  int width = 0;
  int channels = 0;
  std::size_t pixels() const {
    return static_cast<std::size_t>(height) * static_cast<std::size_t>(width);
  }
  std::size_t size() const { return pixels() * static_cast<std::size_t>(channels); }
};

/// What a reader sees of a stored map: max(0, scale * value + shift), the normalisation and ReLU
/// that lie between; and where the reader's share of the gradient goes: with respect to
/// scale * value + shift.
struct Source {
  Map map;
  Cells data;
  const float* scale = nullptr;  // [channels]; nullptr: no normalisation
  const float* shift = nullptr;
  bool relu = false;
  Cells gradient;           // null: nobody wants it
  bool accumulate = false;  // adds to what is there; else overwrites
  // Of the last who writes the gradient, if a normalisation lies between: it also takes the sums of
  // NormSumsArgs, around mean [channels], to its picture range's own area, at offset `sums`.
  const float* mean = nullptr;  // nullptr: no sums
  std::size_t sums = 0;
};

/// A map that a kernel computes. Backward, the gradient of the loss with respect to it is
/// by_gradient * gradient + by_value * data + constant where it is normalised next (the three
/// come from the batch sums), else `gradient` itself.
struct Output {
  Map map;
  Cells data;
  const float* pilot = nullptr;  // [channels] near the mean, for statistics; nullptr: none wanted
  Cells gradient;
  const float* by_gradient = nullptr;
  const float* by_value = nullptr;
  const float* constant = nullptr;
};

/// A k x k window of a convolution or pool.
struct WindowArgs {
  int height = 1;
  int width = 1;
  int stride = 1;
  int top = 0;  // padding; negative: the window starts inside the map
  int left = 0;
  int dilation = 1;
};

/// Depthwise convolution, then (unless `pointwise` is nullptr) a 1x1 one.
struct SeparableArgs {
  Source in;
  WindowArgs window;
  const float* depthwise = nullptr;          // blocked: [channels / 8][kh][kw][8]
  const float* depthwise_flipped = nullptr;  // the same, rows and columns reversed
  const float* pointwise = nullptr;          // [in channels, padded][out channels, padded]
  const float* pointwise_transposed = nullptr;
  Output out;
  // Weight gradients, offsets into a picture range's own area.
  std::size_t depthwise_gradient = 0;
  std::size_t pointwise_gradient = 0;
  const pairs::SeparableKernels* pairs = nullptr;  // that take it, if any do
  const float* paired = nullptr;                   // the weights as they packed them
};

/// One summand of a dense convolution: its source, window, and weights as a matrix.
struct TermArgs {
  Source in;
  WindowArgs window;
  int k_channels = 0;  // rows of the matrix a window position takes: padded channels, or fewer
                       // than kBlock where the map has so few
  int depth = 0;       // rows of the matrix: kh * kw * k_channels, padded
  const float* weight = nullptr;             // [depth][out channels, padded]
  const float* weight_transposed = nullptr;  // [out channels, padded][depth]
  std::size_t weight_gradient = 0;
  // By oneDNN, for tiles of kTilePixels; nullptr: by our own kernel.
  const TileProduct* product = nullptr;
  const TileProduct* product_transposed = nullptr;
};

/// Dense convolution as a matrix product: the sum of its terms.
struct ConvArgs {
  std::vector<TermArgs> terms;
  Output out;
  const pairs::ConvKernels* pairs = nullptr;  // that take it, if any do
  const float* paired = nullptr;              // the weights as they packed them
};

struct PoolArgs {
  Source in;
  WindowArgs window;
  bool max = false;
  Output out;
};

/// out = sum of what the sources show.
struct AddArgs {
  std::vector<Source> in;
  Output out;
};

/// Reads parts side by side.
struct JoinArgs {
  std::vector<Source> in;
  std::vector<int> channels;  // of each, unpadded: the result has them without gaps
  std::vector<int> shifted;   // of each: reads (y + 1, x + 1)
  Output out;
};

/// Sums of one or two normalisations behind which lies the same gradient g: with values v and
/// means m, sum g and each one's sum g (v - m).
struct NormSumsArgs {
  Map map;
  Cells gradient;
  Cells data[2];
  const float* mean[2] = {};
  int count = 1;
};

// Scratch floats a thread needs.
std::size_t separable_scratch(const SeparableArgs& args);
std::size_t conv_scratch(const ConvArgs& args);
std::size_t pool_scratch(const PoolArgs& args);

/// `sums`: [2][out channels], sum and square sum of value - pilot, added to; nullptr: not wanted.
void separable_forward(const SeparableArgs& args, int first, int last, float* scratch, float* sums);
/// `area` is added to at the gradients' offsets.
void separable_backward(const SeparableArgs& args, int first, int last, float* scratch,
                        float* area);
void conv_forward(const ConvArgs& args, int first, int last, float* scratch, float* sums,
                  int thread);
void conv_backward(const ConvArgs& args, int first, int last, float* scratch, float* area,
                   int thread);
void pool_forward(const PoolArgs& args, int first, int last, float* scratch);
void pool_backward(const PoolArgs& args, int first, int last, float* scratch);
void add_forward(const AddArgs& args, int first, int last);
/// Gives `gradient`, of the source's shape, to the source: masks it by the source's ReLU.
void give_gradient(const Source& to, const Cells& gradient, int first, int last);
void join_forward(const JoinArgs& args, int first, int last);
void join_backward(const JoinArgs& args, int first, int last);
/// Mean over the map, to dense [picture][sum of channels, padded].
void mean_forward(const JoinArgs& args, int first, int last);
void mean_backward(const JoinArgs& args, int first, int last);
void statistics(const Output& out, int first, int last, float* sums);
/// `sums`: [1 + count][channels], sum g, then the others, added to.
void norm_sums(const NormSumsArgs& args, int first, int last, float* sums);
/// gradient[i] = or += by_gradient * out.gradient + by_value * out.data + constant.
void fold_norm(const Output& out, const Cells& gradient, bool accumulate, int first, int last);
/// target[i] += the sum over `areas` of areas[k * stride + i], in order.
void sum_areas(const float* areas, std::size_t stride, int count, std::size_t size, float* target);
void sgd(float* weight, float* gradient, float* momentum, std::size_t size, float rate,
         float momentum_factor, float decay);

/// For measuring the machine: fused multiply-adds that nothing holds up. Returns their flops.
double peak_loop(int64_t steps);
/// c = a + 3 b.
void triad(const float* a, const float* b, float* c, std::size_t size);

}  // namespace renas::cpu
