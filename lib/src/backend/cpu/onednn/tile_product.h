#pragma once

#include <memory>
#include <string>

namespace renas::cpu {

/// A matrix product over one tile of pixels, C [pixels x columns] = or += A [pixels x depth] B, all
/// rows dense, by oneDNN: its 1x1 convolution, which on wide layers comes closer to the peak than
/// our own kernels (`renas-bench kernels`). On one tile at a time, since what lies around the
/// product (batch norm, ReLU, sums) is ours and wants the tile in cache.
class TileProduct {
 public:
  /// The version of the oneDNN that this process runs, such as "2.6.3".
  static std::string library_version();

  /// Whether it is faster than our own kernel at this size.
  static bool pays(int depth, int columns);

  /// Throws Error if oneDNN refuses.
  TileProduct(int pixels, int depth, int columns, int threads);
  ~TileProduct();
  TileProduct(const TileProduct&) = delete;
  TileProduct& operator=(const TileProduct&) = delete;

  /// Takes B [depth][columns] into oneDNN's layout.
  void set_weights(const float* b);
  /// Threads 0 .. threads - 1 may run at once, each under its own number.
  void run(const float* a, float* c, bool add, int thread) const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace renas::cpu
