#pragma once

#include <memory>
#include <string>

namespace renas::cpu {

/// A matrix product by oneDNN over one tile of pixels: C [pixels x columns] = A [pixels x depth] B,
/// or C += A B; all rows are dense. It is oneDNN's 1x1 convolution, which on wide layers comes
/// closer to the peak than our own kernels (see `renas-bench kernels`). It multiplies one tile at a
/// time, because our kernels apply batch norm and ReLU and take sums while the tile is in cache.
class TileProduct {
 public:
  /// The version of the oneDNN that this process runs, such as "2.6.3".
  static std::string library_version();

  /// True if oneDNN is faster than our own kernel at this size.
  static bool pays(int depth, int columns);

  /// Makes the product for up to `threads` callers at once. Throws Error if oneDNN refuses.
  TileProduct(int pixels, int depth, int columns, int threads);
  ~TileProduct();
  TileProduct(const TileProduct&) = delete;
  TileProduct& operator=(const TileProduct&) = delete;

  /// Copies B [depth][columns] into oneDNN's layout.
  void set_weights(const float* b);
  /// Multiplies one tile; with `add`, to what is in `c`. Threads 0 .. threads - 1 may call at once,
  /// each with its own number.
  void run(const float* a, float* c, bool add, int thread) const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace renas::cpu
