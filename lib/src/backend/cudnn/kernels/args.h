#pragma once

#include <cuda_runtime_api.h>
#include <cudnn_graph.h>

#include <cstddef>
#include <cstdint>

#include "backend/cudnn/kernels/step_state.h"
#include "backend/plan/maps.h"

/// The kernels of the cuDNN backend: their arguments, and functions that launch them on a stream.
///
/// Kernels compute in float32 on maps of float32 or bfloat16. Every one writes whole maps of the
/// images in the batch, padding included. Sums over pixels are taken in a fixed order: each block
/// writes a partial sum of its own, and a second kernel adds these up in order. No kernel adds to
/// floating-point numbers atomically, so equal inputs give equal bits.
namespace renas::cudnn {

using plan::InputView;
using plan::Map;
using plan::MapData;
using plan::OutputMap;
using plan::WindowArgs;

/// Where a launch goes, and what it may know of the step.
struct Launch {
  cudaStream_t stream = nullptr;
  cudnnHandle_t cudnn = nullptr;
  const StepState* state = nullptr;  // device memory
  int batch = 0;                     // images that grids cover
  bool tensor_cores = false;         // the device has those that multiply bfloat16
};

/// Partial sums are taken over at most this many slices of the batch's pixels.
constexpr int kSlices = 64;

/// A depthwise convolution.
struct DepthwiseArgs {
  InputView in;
  WindowArgs window;
  OutputMap out;
  const float* weight = nullptr;  // [kh kw][channels, padded]
};

/// One term of a dense convolution: the part of its input that lies in one map.
struct TermArgs {
  InputView in;
  WindowArgs window;
  int depth = 0;                             // rows of the matrix: kh * kw * padded channels
  int first_column = 0;                      // the output columns that the term computes begin here
  int last_column = 0;                       // and end before this one; multiples of 8
  const float* weight = nullptr;             // [depth][columns]
  const float* weight_transposed = nullptr;  // [columns][depth]
};

/// Whether a term's product for `out` may be taken of bfloat16, on tensor cores: it is a 1x1
/// convolution between maps of bfloat16. Weights, and what a norm makes of the numbers, are
/// rounded.
inline bool may_multiply_bf16(const TermArgs& term, const OutputMap& out) {
  return term.window.height == 1 && term.window.width == 1 && term.in.data.is_bf16() &&
         out.data.is_bf16();
}

/// A dense convolution, or a linear layer, as a sum of matrix products.
struct ProductArgs {
  const TermArgs* terms = nullptr;  // device memory
  int term_count = 0;
  bool may_multiply_bf16 = false;  // holds for all terms
  const float* bias = nullptr;     // [channels]; nullptr: none
  int channels = 0;                // of the output, unpadded
  OutputMap out;
};
/// How many slices of the output's pixels, of a batch, the statistics of a product are summed in.
int product_slices(const Map& out, int batch);

/// A maximum or average pool. Averages do not count the padding.
struct PoolArgs {
  InputView in;
  WindowArgs window;
  bool max = false;
  OutputMap out;
};

/// One input of a concatenation.
struct PartArgs {
  InputView in;
  int channels = 0;  // unpadded
  int first = 0;     // where its channels begin in the result
  bool shifted = false;
};

/// The concatenation of its parts, some of them pixel-shifted.
struct ConcatArgs {
  const PartArgs* parts = nullptr;  // device memory
  int part_count = 0;
  OutputMap out;
};

struct AddArgs {
  const InputView* in = nullptr;  // device memory
  int count = 0;
  OutputMap out;
};

struct DropoutArgs {
  InputView in;
  OutputMap out;
  int node = 0;  // in the graph: see mask_factor()
  int channels = 0;
  float probability = 0;
  bool path = false;  // drop path: whole images
};

/// What an output row (or column) of a resize reads: (1 - weight) of `first`, weight of `second`.
struct ResizeTap {
  int first = 0;
  int second = 0;
  float weight = 0;
};
/// The output rows (or columns) that read an input row: `first` to before `last`.
struct ResizeReaders {
  int first = 0;
  int last = 0;
};

/// A bilinear resize. Arrays are in device memory.
struct ResizeArgs {
  InputView in;                               // a raw map: no batch norm or ReLU in between
  const ResizeTap* rows = nullptr;            // by output row
  const ResizeTap* columns = nullptr;         // by output column
  const ResizeReaders* of_rows = nullptr;     // by input row
  const ResizeReaders* of_columns = nullptr;  // by input column
  OutputMap out;
};

/// Some of the input's channels in another order. Arrays are in device memory.
struct SelectChannelsArgs {
  InputView in;                   // a raw map: no batch norm or ReLU in between
  const int32_t* from = nullptr;  // of the input, by output channel, padded; -1: none
  const int32_t* to = nullptr;    // of the output, by input channel, padded; -1: none
  OutputMap out;
};

/// Softmax and cross-entropy. Each pixel of the scores has a label; those of classification have
/// one pixel.
struct LossArgs {
  InputView in;                     // scores, float32
  const int32_t* labels = nullptr;  // [batch, height, width]
  int classes = 0;
  float loss_weight = 1;
  float label_smoothing = 0;
  const float* class_weights = nullptr;  // [classes]; null: all 1
  MetricSums* partials = nullptr;        // [kLossBlocks]
};
/// A loss is summed by at most this many blocks.
constexpr int kLossBlocks = 256;

/// A batch norm of the program, in device memory. Arrays of coefficients are [padded channels];
/// those of parameters [channels].
struct NormArgs {
  int channels = 0;
  Map map;
  bool frozen = false;     // statistics are the running ones, also in training
  float* scale = nullptr;  // coefficients, see BatchNorms
  float* shift = nullptr;
  float* mean = nullptr;
  float* centre = nullptr;
  float* dy_scale = nullptr;
  float* x_scale = nullptr;
  float* offset = nullptr;
  double* inverse = nullptr;     // 1 / standard deviation
  const float* gamma = nullptr;  // parameters: scale
  const float* beta = nullptr;   // shift
  float* running_mean = nullptr;
  float* running_variance = nullptr;
  float* gamma_gradient = nullptr;
  float* beta_gradient = nullptr;
};

/// A run of elements of one parameter, for SGD. `begin` counts floats in the parameters' memory.
struct SgdRun {
  uint32_t begin = 0;
  uint32_t size = 0;
  int32_t group = 0;  // of learning rates
  float decay = 0;    // 1: weight decay applies; 0: it does not
};
constexpr int kSgdRun = 1024;  // the longest run

// Elementwise kernels. Forward functions write out.data, backward functions the inputs' gradients.

void copy_images(const Launch& launch, const float* images, int channels, const OutputMap& out);
void add_forward(const Launch& launch, const AddArgs& args);
/// Stores the gradient of a sum as that of one summand.
void add_backward(const Launch& launch, const InputView& in, const OutputMap& out);
void concat_forward(const Launch& launch, const ConcatArgs& args);
void concat_backward(const Launch& launch, const PartArgs& part, const OutputMap& out);
void global_average_forward(const Launch& launch, const ConcatArgs& args);
void global_average_backward(const Launch& launch, const PartArgs& part, const OutputMap& out);
void dropout_forward(const Launch& launch, const DropoutArgs& args, bool training);
void dropout_backward(const Launch& launch, const DropoutArgs& args);
void pool_forward(const Launch& launch, const PoolArgs& args);
void pool_backward(const Launch& launch, const PoolArgs& args);
void resize_forward(const Launch& launch, const ResizeArgs& args);
void resize_backward(const Launch& launch, const ResizeArgs& args);
void select_channels_forward(const Launch& launch, const SelectChannelsArgs& args);
void select_channels_backward(const Launch& launch, const SelectChannelsArgs& args);

// Convolutions. The weight gradients of a slice of pixels go to partials[slice][size of weight];
// add_weight_gradients() adds them up.

void depthwise_forward(const Launch& launch, const DepthwiseArgs& args);
void depthwise_data_gradient(const Launch& launch, const DepthwiseArgs& args);
void depthwise_weight_gradient(const Launch& launch, const DepthwiseArgs& args, int slices,
                               float* partials);
void product_forward(const Launch& launch, const ProductArgs& args);
/// The same, and sums x - centre and its square over the pixels of the output x, as
/// norm_statistics() does, in product_slices() slices.
void product_forward_with_statistics(const Launch& launch, const ProductArgs& args,
                                     double* partials);
void product_data_gradient(const Launch& launch, const TermArgs& term, const OutputMap& out);
/// `partials` is [slices][depth][columns].
void product_weight_gradient(const Launch& launch, const TermArgs& term, const OutputMap& out,
                             int slices, float* partials);
/// Adds a bias, [channels], to a map that is there.
void add_bias(const Launch& launch, const OutputMap& out, const float* bias, int channels);
/// Adds to the bias's gradient the sum over pixels. `partials` is [slices][padded channels].
void bias_gradient(const Launch& launch, const OutputMap& out, int channels, int slices,
                   double* partials, float* gradient);

// What cuDNN reads and writes. It knows no views and computes whole batches, so its inputs are
// copied first, with zeros for the images that are not there.

/// What the reader of the view sees, to a map of the same shape.
void copy_input(const Launch& launch, const InputView& in, const MapData& to);
/// The gradient with respect to the raw output, to a map of the same shape.
void copy_gradient(const Launch& launch, const OutputMap& out, const MapData& to);
void copy_to_bf16(const Launch& launch, const float* from, std::size_t size, uint16_t* to);

// Batch norms.

/// Before a forward pass: sets the centres or, for inference, the coefficients of all norms.
void prepare_norms(const Launch& launch, const NormArgs* norms, int count, bool training);
/// Sums x - centre and its square over pixels: partials[slice][2][padded channels].
void norm_statistics(const Launch& launch, const NormArgs& norm, const MapData& x, int slices,
                     double* partials);
/// Turns the sums into mean, variance, coefficients, and running statistics.
void finish_statistics(const Launch& launch, const NormArgs& norm, int slices,
                       const double* partials);
/// Sums dy and dy * (x - mean) over pixels: partials[slice][2][padded channels].
void norm_gradient_sums(const Launch& launch, const NormArgs& norm, const MapData& x,
                        const MapData& dy, int slices, double* partials);
/// Turns the sums into the parameters' gradients and the coefficients of dx.
void finish_norm_gradient(const Launch& launch, const NormArgs& norm, int slices,
                          const double* partials);
/// Computes dx from dy, as OutputMap says, and stores it in `gradient` or adds it.
void norm_input_gradient(const Launch& launch, const OutputMap& out, const MapData& gradient,
                         bool accumulate);

// Loss and parameters.

void loss_forward(const Launch& launch, const LossArgs& args, MetricSums* sums);
void loss_backward(const Launch& launch, const LossArgs& args);
/// packed[to[i]] = values[from[i]] for i < size.
void pack_weights(const Launch& launch, const float* values, const uint32_t* from,
                  const uint32_t* to, std::size_t size, float* packed);
/// gradient[to[i]] += the sum over slices of partials[slice * stride + from[i]], for i < size.
void add_weight_gradients(const Launch& launch, const float* partials, std::size_t stride,
                          int slices, const uint32_t* from, const uint32_t* to, std::size_t size,
                          float* gradient);
/// One step of SGD, as SgdStep says; clears the gradients. `rates` is in device memory, by group.
void sgd(const Launch& launch, const SgdRun* runs, int count, const float* rates, float momentum,
         float decay, bool nesterov, bool decay_norms, float* values, float* gradients,
         float* momenta);
void scale(const Launch& launch, float* values, std::size_t size, float factor);
void fill(const Launch& launch, float* values, std::size_t size, float value);

/// Loads every kernel, so that a launch allocates nothing and can be recorded.
void preload_kernels();

}  // namespace renas::cudnn
