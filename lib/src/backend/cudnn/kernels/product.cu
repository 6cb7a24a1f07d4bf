#include <algorithm>

#include "backend/cudnn/kernels/args.h"
#include "backend/cudnn/kernels/launcher.h"
#include "backend/cudnn/kernels/slices.h"
#include "backend/cudnn/kernels/vectors.h"

// Dense convolutions as matrix products in float32. A block of 128 threads computes a tile of 64
// rows and COLUMNS columns of the result. It brings 16 steps of the inner sum at a time to shared
// memory, left [16][64] and right [16][COLUMNS], and each thread then adds 4 rows times COLUMNS / 8
// columns.
namespace renas::cudnn {

constexpr int kRows = 64;
constexpr int kDepth = 16;
constexpr int kTileThreads = 128;
constexpr int kThreadRows = 4;

template <int COLUMNS>
struct Tile {
  static constexpr int kThreadColumns = COLUMNS / 8;
  float sums[kThreadRows][kThreadColumns] = {};

  __device__ static float* left() { return shared_memory<float>(); }
  __device__ static float* right() { return left() + kDepth * kRows; }
  __device__ static int first_row() { return static_cast<int>(threadIdx.x) / 8 * kThreadRows; }
  __device__ static int first_column() {
    return static_cast<int>(threadIdx.x) % 8 * kThreadColumns;
  }

  /// Adds the product of what lies in shared memory. All threads of the block call it.
  __device__ void multiply() {
    __syncthreads();
    const float* l = left() + first_row();
    const float* r = right() + first_column();
    for (int k = 0; k < kDepth; ++k) {
#pragma unroll
      for (int i = 0; i < kThreadRows; ++i) {
#pragma unroll
        for (int j = 0; j < kThreadColumns; ++j) {
          sums[i][j] += l[k * kRows + i] * r[k * COLUMNS + j];
        }
      }
    }
    __syncthreads();
  }
};

constexpr std::size_t tile_bytes(int columns) {
  return static_cast<std::size_t>(kDepth) * (kRows + columns) * sizeof(float);
}

/// Puts eight numbers of one row of the left matrix, or of one column, at steps k to k + 7.
__device__ inline void put_steps(float* left, int k, int row, const Float8& v) {
#pragma unroll
  for (int i = 0; i < kBlock; ++i) left[(k + i) * kRows + row] = v.v[i];
}

/// Copies rows `first` to `first` + 15, below `end`, of columns `column` on of a matrix to the
/// right side; zeros beyond.
template <int COLUMNS>
__device__ inline void copy_right(const float* matrix, int first, int end, int column,
                                  int columns) {
  float* right = Tile<COLUMNS>::right();
  for (int i = threadIdx.x; i < kDepth * COLUMNS; i += kTileThreads) {
    const int row = first + i / COLUMNS;
    const int c = column + i % COLUMNS;
    const bool inside = row < end && c < columns;
    right[i] = inside ? matrix[static_cast<std::size_t>(row) * columns + c] : 0;
  }
}

/// A pixel of a batch of maps, or none.
struct Pixel {
  int n = 0, y = 0, x = 0;
  bool exists = false;
};
__device__ inline Pixel pixel_of(const Map& map, int images, std::size_t index) {
  const std::size_t row = index / map.width;
  Pixel p;
  p.x = static_cast<int>(index % map.width);
  p.y = static_cast<int>(row % map.height);
  p.n = static_cast<int>(row / map.height);
  p.exists = row / map.height < static_cast<std::size_t>(images);
  return p;
}

/// Channels c to c + 7 of the input pixel under tap (r, s) of an output pixel; zeros outside.
__device__ inline Float8 tap8(const TermArgs& term, const Pixel& p, int r, int s, int c) {
  const WindowArgs& w = term.window;
  const int y = p.y * w.stride_height - w.top + r * w.dilation;
  const int x = p.x * w.stride_width - w.left + s * w.dilation;
  if (!p.exists || c >= term.in.map.channels || y < 0 || y >= term.in.map.height || x < 0 ||
      x >= term.in.map.width) {
    return zeros8();
  }
  return input8(term.in, pixel_at(term.in.map, p.n, y, x, c), c);
}

/// The gradient of output channels c to c + 7 at the pixel whose tap (r, s) is an input pixel;
/// zeros where there is none.
__device__ inline Float8 covering_gradient8(const TermArgs& term, const OutputMap& out,
                                            const Pixel& p, int r, int s, int c) {
  const WindowArgs& w = term.window;
  const int y = p.y + w.top - r * w.dilation;
  const int x = p.x + w.left - s * w.dilation;
  if (!p.exists || c >= term.last_column || y < 0 || y % w.stride_height != 0 ||
      y / w.stride_height >= out.map.height || x < 0 || x % w.stride_width != 0 ||
      x / w.stride_width >= out.map.width) {
    return zeros8();
  }
  const std::size_t at = pixel_at(out.map, p.n, y / w.stride_height, x / w.stride_width, c);
  return output_gradient8(out, at, c);
}

/// Rows are output pixels, columns output channels, the inner sum goes over terms, taps and input
/// channels. blockIdx.x is the tile of rows, blockIdx.y that of columns.
template <int COLUMNS>
__global__ void __launch_bounds__(kTileThreads, 1)
    product_forward_kernel(const StepState* state, ProductArgs a) {
  using T = Tile<COLUMNS>;
  const Map& out = a.out.map;
  const int row = static_cast<int>(threadIdx.x) % kRows;
  const int half = static_cast<int>(threadIdx.x) / kRows * kBlock;
  const int column = static_cast<int>(blockIdx.y) * COLUMNS;
  const std::size_t first_pixel = static_cast<std::size_t>(blockIdx.x) * kRows;
  const Pixel p = pixel_of(out, state->count, first_pixel + row);
  T tile;
  for (int t = 0; t < a.term_count; ++t) {
    const TermArgs& term = a.terms[t];
    if (term.last_column <= column || term.first_column >= column + COLUMNS) continue;
    const int channels = term.in.map.channels;
    for (int r = 0; r < term.window.height; ++r) {
      for (int s = 0; s < term.window.width; ++s) {
        const int first = (r * term.window.width + s) * channels;
        for (int c = 0; c < channels; c += kDepth) {
          put_steps(T::left(), half, row, tap8(term, p, r, s, c + half));
          copy_right<COLUMNS>(term.weight, first + c, first + channels, column, out.channels);
          tile.multiply();
        }
      }
    }
  }
  for (int i = 0; i < kThreadRows; ++i) {
    const std::size_t pixel = first_pixel + T::first_row() + i;
    if (!pixel_of(out, state->count, pixel).exists) return;
    for (int j = 0; j < T::kThreadColumns; ++j) {
      const int c = column + T::first_column() + j;
      if (c >= out.channels) break;
      const float bias = a.bias != nullptr && c < a.channels ? a.bias[c] : 0;
      store(a.out.data, pixel * out.channels + c, tile.sums[i][j] + bias);
    }
  }
}

/// Rows are input pixels of the term, columns its channels, the inner sum goes over taps and output
/// channels.
template <int COLUMNS>
__global__ void __launch_bounds__(kTileThreads, 1)
    product_data_gradient_kernel(const StepState* state, TermArgs term, OutputMap out) {
  using T = Tile<COLUMNS>;
  const InputView& in = term.in;
  const int row = static_cast<int>(threadIdx.x) % kRows;
  const int half = static_cast<int>(threadIdx.x) / kRows * kBlock;
  const int column = static_cast<int>(blockIdx.y) * COLUMNS;
  const std::size_t first_pixel = static_cast<std::size_t>(blockIdx.x) * kRows;
  const Pixel p = pixel_of(in.map, state->count, first_pixel + row);
  const int positions = term.window.height * term.window.width;
  T tile;
  for (int position = 0; position < positions; ++position) {
    const int r = position / term.window.width;
    const int s = position % term.window.width;
    float* right = T::right();
    for (int o = term.first_column; o < term.last_column; o += kDepth) {
      put_steps(T::left(), half, row, covering_gradient8(term, out, p, r, s, o + half));
      for (int i = threadIdx.x; i < kDepth * COLUMNS; i += kTileThreads) {
        const int from = o + i / COLUMNS;
        const int c = column + i % COLUMNS;
        const bool inside = from < term.last_column && c < in.map.channels;
        const std::size_t at =
            static_cast<std::size_t>(from) * term.depth + position * in.map.channels + c;
        right[i] = inside ? term.weight_transposed[at] : 0;
      }
      tile.multiply();
    }
  }
  // The results go through shared memory, so that a thread stores eight channels at once.
  float* results = shared_memory<float>();
  for (int i = 0; i < kThreadRows; ++i) {
    for (int j = 0; j < T::kThreadColumns; ++j) {
      results[(T::first_row() + i) * COLUMNS + T::first_column() + j] = tile.sums[i][j];
    }
  }
  __syncthreads();
  for (int i = threadIdx.x; i < kRows * COLUMNS / kBlock; i += kTileThreads) {
    const std::size_t pixel = first_pixel + i / (COLUMNS / kBlock);
    const int own = i % (COLUMNS / kBlock) * kBlock;
    const int c = column + own;
    if (c >= in.map.channels || !pixel_of(in.map, state->count, pixel).exists) continue;
    Float8 g;
#pragma unroll
    for (int k = 0; k < kBlock; ++k) g.v[k] = results[i / (COLUMNS / kBlock) * COLUMNS + own + k];
    store_gradient8(in, pixel * in.map.channels + c, c, g);
  }
}

/// Rows are taps and input channels, columns output channels, the inner sum goes over a slice of
/// the output's pixels. blockIdx.x is the tile of rows, blockIdx.y that of columns, blockIdx.z the
/// slice.
template <int COLUMNS>
__global__ void __launch_bounds__(kTileThreads, 1)
    product_weight_gradient_kernel(const StepState* state, TermArgs term, OutputMap out, int slices,
                                   float* partials) {
  using T = Tile<COLUMNS>;
  const int column = static_cast<int>(blockIdx.y) * COLUMNS;
  const int first_row = static_cast<int>(blockIdx.x) * kRows;
  const int slice_index = static_cast<int>(blockIdx.z);
  const PixelSlice slice = slice_of(out.map, state->count, slice_index, slices);
  // Thread t brings eight rows of one pixel.
  const int own_rows = static_cast<int>(threadIdx.x) % (kRows / kBlock) * kBlock;
  const int own_step = static_cast<int>(threadIdx.x) / (kRows / kBlock);
  const int row = first_row + own_rows;
  const int channels = term.in.map.channels;
  const int position = row / channels;
  const int r = position / term.window.width;
  const int s = position % term.window.width;
  T tile;
  for (std::size_t pixel = slice.first; pixel < slice.last; pixel += kDepth) {
    Pixel p = pixel_of(out.map, state->count, pixel + own_step);
    p.exists = p.exists && pixel + own_step < slice.last && row < term.depth;
    const Float8 x = tap8(term, p, r, s, row % channels);
#pragma unroll
    for (int k = 0; k < kBlock; ++k) T::left()[own_step * kRows + own_rows + k] = x.v[k];
    for (int i = threadIdx.x; i < kDepth * COLUMNS / kBlock; i += kTileThreads) {
      const std::size_t from = pixel + i / (COLUMNS / kBlock);
      const int own = i % (COLUMNS / kBlock) * kBlock;
      const int c = column + own;
      Float8 dy = zeros8();
      if (from < slice.last && c < out.map.channels) {
        dy = output_gradient8(out, from * out.map.channels + c, c);
      }
#pragma unroll
      for (int k = 0; k < kBlock; ++k) {
        T::right()[i / (COLUMNS / kBlock) * COLUMNS + own + k] = dy.v[k];
      }
    }
    tile.multiply();
  }
  float* to = partials + static_cast<std::size_t>(slice_index) * term.depth * out.map.channels;
  for (int i = 0; i < kThreadRows; ++i) {
    const int to_row = first_row + T::first_row() + i;
    if (to_row >= term.depth) return;
    for (int j = 0; j < T::kThreadColumns; ++j) {
      const int c = column + T::first_column() + j;
      if (c < out.map.channels) {
        to[static_cast<std::size_t>(to_row) * out.map.channels + c] = tile.sums[i][j];
      }
    }
  }
}

namespace {

constexpr int kColumns = 32;

unsigned tiles(std::size_t size, int tile) {
  return static_cast<unsigned>((size + static_cast<std::size_t>(tile) - 1) /
                               static_cast<std::size_t>(tile));
}

unsigned column_tiles(const Map& map) {
  return tiles(static_cast<std::size_t>(map.channels), kColumns);
}

unsigned pixel_tiles(const Launch& to, const Map& map) {
  return tiles(static_cast<std::size_t>(to.batch) * map.pixels(), kRows);
}

}  // namespace

void product_forward(const Launch& to, const ProductArgs& args) {
  launch_grid(to,
              {dim3(pixel_tiles(to, args.out.map), column_tiles(args.out.map)), dim3(kTileThreads),
               tile_bytes(kColumns)},
              product_forward_kernel<kColumns>, to.state, args);
}

void product_data_gradient(const Launch& to, const TermArgs& term, const OutputMap& out) {
  launch_grid(to,
              {dim3(pixel_tiles(to, term.in.map), column_tiles(term.in.map)), dim3(kTileThreads),
               std::max(tile_bytes(kColumns), kRows * kColumns * sizeof(float))},
              product_data_gradient_kernel<kColumns>, to.state, term, out);
}

void product_weight_gradient(const Launch& to, const TermArgs& term, const OutputMap& out,
                             int slices, float* partials) {
  launch_grid(to,
              {dim3(tiles(static_cast<std::size_t>(term.depth), kRows), column_tiles(out.map),
                    static_cast<unsigned>(slices)),
               dim3(kTileThreads), tile_bytes(kColumns)},
              product_weight_gradient_kernel<kColumns>, to.state, term, out, slices, partials);
}

void preload_product() {
  preload_all(product_forward_kernel<kColumns>, product_data_gradient_kernel<kColumns>,
              product_weight_gradient_kernel<kColumns>);
}

}  // namespace renas::cudnn
