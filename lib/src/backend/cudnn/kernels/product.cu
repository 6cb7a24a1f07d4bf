#include <algorithm>

#include "backend/cudnn/kernels/args.h"
#include "backend/cudnn/kernels/launcher.h"
#include "backend/cudnn/kernels/slices.h"
#include "backend/cudnn/kernels/tiles.h"
#include "backend/cudnn/kernels/vectors.h"

// Dense convolutions as matrix products. A block of 128 threads computes a tile (tiles.h) of 64
// rows and 32 columns of the result, in float32 or on tensor cores. It brings 16 steps of the inner
// sum at a time to shared memory.
namespace renas::cudnn {

/// Copies rows `first` to `first` + 15, below `end`, of columns `column` on of a matrix to the
/// right side; zeros beyond.
template <class T>
__device__ inline void copy_right(const float* matrix, int first, int end, int column,
                                  int columns) {
  for (int i = threadIdx.x; i < kDepth * kColumns; i += kTileThreads) {
    const int row = first + i / kColumns;
    const int c = column + i % kColumns;
    const bool inside = row < end && c < columns;
    const float value = inside ? matrix[static_cast<std::size_t>(row) * columns + c] : 0;
    T::put_right(i / kColumns, i % kColumns, value);
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

/// Adds the product of an output tile whose first row is pixel `first_pixel` and whose first column
/// is channel `column`. The inner sum goes over terms, taps and input channels.
template <class T>
__device__ inline void add_terms(const ProductArgs& a, int images, std::size_t first_pixel,
                                 int column, T& tile) {
  const Map& out = a.out.map;
  const int row = static_cast<int>(threadIdx.x) % kRows;
  const int half = static_cast<int>(threadIdx.x) / kRows * kBlock;
  const Pixel p = pixel_of(out, images, first_pixel + row);
  for (int t = 0; t < a.term_count; ++t) {
    const TermArgs& term = a.terms[t];
    if (term.last_column <= column || term.first_column >= column + kColumns) continue;
    const int channels = term.in.map.channels;
    for (int r = 0; r < term.window.height; ++r) {
      for (int s = 0; s < term.window.width; ++s) {
        const int first = (r * term.window.width + s) * channels;
        for (int c = 0; c < channels; c += kDepth) {
          T::put_steps(half, row, tap8(term, p, r, s, c + half));
          copy_right<T>(term.weight, first + c, first + channels, column, out.channels);
          tile.multiply();
        }
      }
    }
  }
}

/// Channel blocks of a tile.
constexpr int kColumnBlocks = kColumns / kBlock;

/// Rows are output pixels, columns output channels. blockIdx.x is the first tile of rows, of which
/// every gridDim.x-th is the block's; blockIdx.y is the tile of columns. The statistics of the
/// block's tiles are partial sums number blockIdx.x, [2][padded channels].
template <class T, bool kStatistics>
__global__ void __launch_bounds__(kTileThreads, 1)
    product_forward_kernel(const StepState* state, ProductArgs a, double* partials) {
  const Map& out = a.out.map;
  const std::size_t pixels = static_cast<std::size_t>(state->count) * out.height * out.width;
  const int column = static_cast<int>(blockIdx.y) * kColumns;
  // In what follows the tile's product a thread has channels c to c + 7 of every 32nd row.
  const int own = static_cast<int>(threadIdx.x) % kColumnBlocks * kBlock;
  const int c = column + own;
  const bool exists = c < out.channels;
  Double8 sum = {};
  Double8 square = {};
  Float8 centre = {};
  if (kStatistics && exists) centre = load8(a.out.centre, c);
  for (std::size_t first_pixel = static_cast<std::size_t>(blockIdx.x) * kRows; first_pixel < pixels;
       first_pixel += static_cast<std::size_t>(gridDim.x) * kRows) {
    T tile;
    add_terms(a, state->count, first_pixel, column, tile);
    tile.to_shared();
    for (int row = static_cast<int>(threadIdx.x) / kColumnBlocks; row < kRows;
         row += kTileThreads / kColumnBlocks) {
      const std::size_t pixel = first_pixel + row;
      if (!exists || pixel >= pixels) continue;
      Float8 y = tile_results8(row, own);
#pragma unroll
      for (int k = 0; k < kBlock; ++k) {
        if (a.bias != nullptr && c + k < a.channels) y.v[k] += a.bias[c + k];
      }
      store8(a.out.data, pixel * out.channels + c, y);
      if (kStatistics) add_statistics(as_stored8(a.out.data, y), centre, sum, square);
    }
    __syncthreads();  // the results have been read
  }
  if (!kStatistics) return;
  static_assert(kTileBytes<T> >= kTileThreads * sizeof(Double8));
  const int rest = (out.channels - column) / kBlock;
  const SumShape shape = {kColumnBlocks, kTileThreads / kColumnBlocks};
  const int blocks_here = rest < shape.blocks ? rest : shape.blocks;
  double* to = partials + static_cast<std::size_t>(blockIdx.x) * 2 * out.channels + column;
  add_lanes(sum, shape, blocks_here, to);
  add_lanes(square, shape, blocks_here, to + out.channels);
}

/// Rows are input pixels of the term, columns its channels, the inner sum goes over taps and output
/// channels.
template <class T>
__global__ void __launch_bounds__(kTileThreads, 1)
    product_data_gradient_kernel(const StepState* state, TermArgs term, OutputMap out) {
  const InputView& in = term.in;
  const int row = static_cast<int>(threadIdx.x) % kRows;
  const int half = static_cast<int>(threadIdx.x) / kRows * kBlock;
  const int column = static_cast<int>(blockIdx.y) * kColumns;
  const std::size_t first_pixel = static_cast<std::size_t>(blockIdx.x) * kRows;
  const Pixel p = pixel_of(in.map, state->count, first_pixel + row);
  const int positions = term.window.height * term.window.width;
  T tile;
  for (int position = 0; position < positions; ++position) {
    const int r = position / term.window.width;
    const int s = position % term.window.width;
    for (int o = term.first_column; o < term.last_column; o += kDepth) {
      T::put_steps(half, row, covering_gradient8(term, out, p, r, s, o + half));
      for (int i = threadIdx.x; i < kDepth * kColumns; i += kTileThreads) {
        const int from = o + i / kColumns;
        const int c = column + i % kColumns;
        const bool inside = from < term.last_column && c < in.map.channels;
        const std::size_t at =
            static_cast<std::size_t>(from) * term.depth + position * in.map.channels + c;
        T::put_right(i / kColumns, i % kColumns, inside ? term.weight_transposed[at] : 0);
      }
      tile.multiply();
    }
  }
  tile.to_shared();
  for (int i = threadIdx.x; i < kRows * kColumns / kBlock; i += kTileThreads) {
    const std::size_t pixel = first_pixel + i / (kColumns / kBlock);
    const int own = i % (kColumns / kBlock) * kBlock;
    const int c = column + own;
    if (c >= in.map.channels || !pixel_of(in.map, state->count, pixel).exists) continue;
    store_gradient8(in, pixel * in.map.channels + c, c,
                    tile_results8(i / (kColumns / kBlock), own));
  }
}

/// Rows are taps and input channels, columns output channels, the inner sum goes over a slice of
/// the output's pixels. blockIdx.x is the tile of rows, blockIdx.y that of columns, blockIdx.z the
/// slice.
template <class T>
__global__ void __launch_bounds__(kTileThreads, 1)
    product_weight_gradient_kernel(const StepState* state, TermArgs term, OutputMap out, int slices,
                                   float* partials) {
  const int column = static_cast<int>(blockIdx.y) * kColumns;
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
    for (int k = 0; k < kBlock; ++k) T::put_left(own_step, own_rows + k, x.v[k]);
    for (int i = threadIdx.x; i < kDepth * kColumns / kBlock; i += kTileThreads) {
      const int step = i / (kColumns / kBlock);
      const std::size_t from = pixel + step;
      const int own = i % (kColumns / kBlock) * kBlock;
      const int c = column + own;
      Float8 dy = zeros8();
      if (from < slice.last && c < out.map.channels) {
        dy = output_gradient8(out, from * out.map.channels + c, c);
      }
#pragma unroll
      for (int k = 0; k < kBlock; ++k) T::put_right(step, own + k, dy.v[k]);
    }
    tile.multiply();
  }
  float* to = partials + static_cast<std::size_t>(slice_index) * term.depth * out.map.channels;
  tile.to_shared();
  for (int i = threadIdx.x; i < kRows * kColumns; i += kTileThreads) {
    const int to_row = first_row + i / kColumns;
    const int c = column + i % kColumns;
    if (to_row >= term.depth || c >= out.map.channels) continue;
    to[static_cast<std::size_t>(to_row) * out.map.channels + c] = shared_memory<float>()[i];
  }
}

namespace {

unsigned tiles(std::size_t size, int tile) {
  return static_cast<unsigned>((size + static_cast<std::size_t>(tile) - 1) /
                               static_cast<std::size_t>(tile));
}

unsigned column_tiles(const Map& map) {
  return tiles(static_cast<std::size_t>(map.channels), kColumns);
}

unsigned pixel_tiles(int batch, const Map& map) {
  return tiles(static_cast<std::size_t>(batch) * map.pixels(), kRows);
}

}  // namespace

int product_slices(const Map& out, int batch) {
  constexpr unsigned kBlocks = 512;  // of a grid: some for each multiprocessor
  return static_cast<int>(
      std::min(pixel_tiles(batch, out), std::max(1U, kBlocks / column_tiles(out))));
}

namespace {

template <bool kStatistics>
void launch_forward(const Launch& to, const ProductArgs& args, unsigned row_blocks,
                    double* partials) {
  const auto launch_with = [&](auto tile) {
    using T = decltype(tile);
    launch_grid(to,
                {dim3(row_blocks, column_tiles(args.out.map)), dim3(kTileThreads), kTileBytes<T>},
                product_forward_kernel<T, kStatistics>, to.state, args, partials);
  };
  to.tensor_cores&& args.may_multiply_bf16 ? launch_with(TensorTile()) : launch_with(Tile());
}

}  // namespace

void product_forward(const Launch& to, const ProductArgs& args) {
  launch_forward<false>(to, args, pixel_tiles(to.batch, args.out.map), nullptr);
}

void product_forward_with_statistics(const Launch& to, const ProductArgs& args, double* partials) {
  const auto slices = static_cast<unsigned>(product_slices(args.out.map, to.batch));
  launch_forward<true>(to, args, slices, partials);
}

void product_data_gradient(const Launch& to, const TermArgs& term, const OutputMap& out) {
  const auto launch_with = [&](auto tile) {
    using T = decltype(tile);
    launch_grid(to,
                {dim3(pixel_tiles(to.batch, term.in.map), column_tiles(term.in.map)),
                 dim3(kTileThreads), kTileBytes<T>},
                product_data_gradient_kernel<T>, to.state, term, out);
  };
  to.tensor_cores&& may_multiply_bf16(term, out) ? launch_with(TensorTile()) : launch_with(Tile());
}

void product_weight_gradient(const Launch& to, const TermArgs& term, const OutputMap& out,
                             int slices, float* partials) {
  const auto launch_with = [&](auto tile) {
    using T = decltype(tile);
    launch_grid(to,
                {dim3(tiles(static_cast<std::size_t>(term.depth), kRows), column_tiles(out.map),
                      static_cast<unsigned>(slices)),
                 dim3(kTileThreads), kTileBytes<T>},
                product_weight_gradient_kernel<T>, to.state, term, out, slices, partials);
  };
  to.tensor_cores&& may_multiply_bf16(term, out) ? launch_with(TensorTile()) : launch_with(Tile());
}

void preload_product() {
  preload_all(product_forward_kernel<Tile, false>, product_forward_kernel<Tile, true>,
              product_data_gradient_kernel<Tile>, product_weight_gradient_kernel<Tile>,
              product_forward_kernel<TensorTile, false>, product_forward_kernel<TensorTile, true>,
              product_data_gradient_kernel<TensorTile>, product_weight_gradient_kernel<TensorTile>);
}

}  // namespace renas::cudnn
