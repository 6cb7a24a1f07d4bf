#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "backend/interpolation.h"
#include "backend/plan/maps.h"

/// The arguments of the vector kernels and the kernels themselves. Arguments are plain structs of
/// pointers, since each kernel is compiled once for every instruction set (Highway's
/// foreach_target) and the best one is chosen at run time.
///
/// A kernel runs on images [first, last) of a batch, on one thread. Sums over images (statistics,
/// weight gradients) go to the partial sums of that image range. The order of every addition is
/// therefore fixed by the batch alone and not by the number of threads.
///
/// "Blocked" memory is [channel / kBlock][pixel][kBlock]: a vector of channels of one pixel lies
/// beside the same channels of the next pixel.
namespace renas::cpu {

using plan::Bfloat16;
using plan::InputView;
using plan::Map;
using plan::MapData;
using plan::OutputMap;
using plan::to_bf16;
using plan::to_float;
using plan::WindowArgs;

class TileProduct;
namespace bf16 {
struct SeparableKernels;
struct ConvKernels;
}  // namespace bf16

inline constexpr int kBlock = 8;        // channels of a block
inline constexpr int kTilePixels = 64;  // pixels of a matrix product's tile, which stays in cache

/// Channels as maps have them: a multiple of kBlock.
inline int padded(int channels) { return (channels + kBlock - 1) / kBlock * kBlock; }

/// A depthwise convolution, followed by a 1x1 convolution unless `pointwise` is nullptr.
struct SeparableArgs {
  InputView in;
  WindowArgs window;
  const float* depthwise = nullptr;             // blocked: [channels / 8][kh][kw][8]
  const float* depthwise_flipped = nullptr;     // the same with rows and columns reversed
  const float* pointwise = nullptr;             // [in channels, padded][out channels, padded]
  const float* pointwise_transposed = nullptr;  // [out channels, padded][in channels, padded]
  OutputMap out;
  // Where the weight gradients lie in an image range's partial sums, in floats.
  std::size_t depthwise_gradient = 0;
  std::size_t pointwise_gradient = 0;
  const bf16::SeparableKernels* bf16_kernels = nullptr;  // nullptr: computed in float32
  const float* bf16_weights = nullptr;                   // as bf16_kernels->pack() left them
};

/// One term of a dense convolution that reads a concatenation: one part of the concatenation, its
/// window, and its block of the weights as a matrix. The convolution is the sum of its terms:
///
///   y = conv(concat(a, b), [Wa Wb]) = a Wa + b Wb
struct TermArgs {
  InputView in;
  WindowArgs window;
  int k_channels = 0;  // matrix rows of one window position: the padded channels, or the true
                       // ones if the input has fewer than kBlock
  int depth = 0;       // matrix rows: kh * kw * k_channels, padded
  const float* weight = nullptr;             // [depth][out channels, padded]
  const float* weight_transposed = nullptr;  // [out channels, padded][depth]
  std::size_t weight_gradient = 0;           // where it lies in the partial sums, in floats
  // Products by oneDNN, for whole tiles of kTilePixels; nullptr: by our own kernel.
  const TileProduct* product = nullptr;
  const TileProduct* product_transposed = nullptr;
};

/// A dense convolution as a matrix product: the sum of its terms.
struct ConvArgs {
  std::vector<TermArgs> terms;
  OutputMap out;
  const bf16::ConvKernels* bf16_kernels = nullptr;  // nullptr: computed in float32
  const float* bf16_weights = nullptr;              // as bf16_kernels->pack() left them
};

/// A maximum or average pool. Averages do not count the padding.
struct PoolArgs {
  InputView in;
  WindowArgs window;
  bool max = false;
  OutputMap out;
};

/// The sum of its inputs.
struct AddArgs {
  std::vector<InputView> in;
  OutputMap out;
};

/// The concatenation of its inputs, some of them pixel-shifted.
struct ConcatArgs {
  std::vector<InputView> in;
  std::vector<int> channels;  // of each input, unpadded: the result has them without gaps
  std::vector<int> shifted;   // of each input; not 0: (y, x) reads (y + 1, x + 1)
  OutputMap out;
};

/// A bilinear resize, by the input rows and columns that each output row and column reads.
struct ResizeArgs {
  InputView in;                    ///< a raw map: no batch norm or ReLU in between
  std::vector<LinearTap> rows;     ///< by output row
  std::vector<LinearTap> columns;  ///< by output column
  OutputMap out;
};

/// Some of the input's channels in another order.
struct SelectChannelsArgs {
  InputView in;               ///< a raw map: no batch norm or ReLU in between
  std::vector<int> channels;  ///< of the input, by output channel
  OutputMap out;
};

/// Softmax and cross-entropy of one image's pixels.
struct PixelLossArgs {
  const float* scores = nullptr;    ///< [pixels][channels], padded
  float* gradient = nullptr;        ///< likewise; nullptr: none is wanted
  bool accumulate = false;          ///< the gradient is added to what is there
  const int32_t* labels = nullptr;  ///< [pixels]
  std::size_t pixels = 0;
  int channels = 0;  ///< of the map, padded
  int classes = 0;
  float smoothing = 0;
  const float* class_weights = nullptr;  ///< [classes]; nullptr: 1 for all
  float gradient_factor = 0;             ///< of a pixel's gradient, besides its class's weight
};

/// What the pixels of one image add to a loss.
struct PixelLossSums {
  double loss = 0;
  int64_t correct = 0;
  int64_t count = 0;
};

/// The backward sums of one batch norm, or of two whose output has the same gradient dy: for maps
/// x with means m, sum(dy) and each norm's sum(dy * (x - m)).
struct NormSumsArgs {
  Map map;
  MapData gradient;
  MapData data[2];
  const float* mean[2] = {};  // [channels]
  int count = 1;
};

// Scratch memory that a thread needs, in floats.
std::size_t separable_scratch(const SeparableArgs& args);
std::size_t conv_scratch(const ConvArgs& args);
std::size_t pool_scratch(const PoolArgs& args);
std::size_t resize_scratch(const ResizeArgs& args);
std::size_t select_channels_scratch(const SelectChannelsArgs& args);

/// Computes the output. `sums` is [2][out channels]: the sum of x - centre and of its square are
/// added to it; nullptr: no statistics are wanted.
void separable_forward(const SeparableArgs& args, int first, int last, float* scratch, float* sums);
/// Writes the input's gradient and adds the weight gradients and the batch norm's backward sums to
/// `partial`, this image range's partial sums.
void separable_backward(const SeparableArgs& args, int first, int last, float* scratch,
                        float* partial);
/// As separable_forward(). `thread` numbers the callers that run at once, from 0.
void conv_forward(const ConvArgs& args, int first, int last, float* scratch, float* sums,
                  int thread);
/// As separable_backward().
void conv_backward(const ConvArgs& args, int first, int last, float* scratch, float* partial,
                   int thread);
void pool_forward(const PoolArgs& args, int first, int last, float* scratch);
void pool_backward(const PoolArgs& args, int first, int last, float* scratch);
void resize_forward(const ResizeArgs& args, int first, int last, float* scratch);
void resize_backward(const ResizeArgs& args, int first, int last, float* scratch);
void select_channels_forward(const SelectChannelsArgs& args, int first, int last, float* scratch);
void select_channels_backward(const SelectChannelsArgs& args, int first, int last, float* scratch);
/// Computes loss and gradient of one image. A score that is no finite number makes both NaN.
PixelLossSums pixel_loss(const PixelLossArgs& args);
void add_forward(const AddArgs& args, int first, int last);
/// Stores `gradient`, a map of the input's shape, as the input's gradient: masked by the input's
/// ReLU, and added if the input accumulates.
void store_gradient_map(const InputView& to, const MapData& gradient, int first, int last);
void materialise_forward(const ConcatArgs& args, int first, int last);
void materialise_backward(const ConcatArgs& args, int first, int last);
/// Averages each channel over the map; the result is [image][sum of the inputs' channels, padded].
void global_average_forward(const ConcatArgs& args, int first, int last);
void global_average_backward(const ConcatArgs& args, int first, int last);
/// Adds the statistics of a finished output to `sums`, as separable_forward() does.
void statistics(const OutputMap& out, int first, int last, float* sums);
/// Adds backward sums to `sums`, [1 + count][channels]: sum(dy), then each norm's other sum.
void norm_sums(const NormSumsArgs& args, int first, int last, float* sums);
/// Computes the gradient with respect to `out` itself from the one behind its batch norm, as
/// OutputMap says, and stores it in `gradient` or adds it to what is there.
void norm_input_gradient(const OutputMap& out, const MapData& gradient, bool accumulate, int first,
                         int last);
/// Adds up partial sums in order: target[i] += the sum over k < count of partials[k * stride + i],
/// for i < size.
void add_partials(const float* partials, std::size_t stride, int count, std::size_t size,
                  float* target);
/// One step of SGD over `size` parameters, as SgdStep says; clears the gradient.
void sgd(float* weight, float* gradient, float* momentum, std::size_t size, float rate,
         float momentum_factor, float decay, bool nesterov);

/// Runs fused multiply-adds that wait for nothing, to measure the processor's peak. Returns the
/// number of floating-point operations.
double peak_loop(int64_t steps);
/// c = a + 3 b, to measure the memory's bandwidth.
void triad(const float* a, const float* b, float* c, std::size_t size);

}  // namespace renas::cpu
