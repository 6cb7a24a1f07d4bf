#pragma once

#include <cstdint>

namespace renas::cudnn {

/// What changes from step to step, in device memory: one recorded graph of kernels serves every
/// step. Kernels skip images beyond `count`.
struct StepState {
  uint64_t seed;
  uint64_t step;
  float drop_path;
  int32_t count;    // images in the batch
  int32_t counted;  // labels that count, at least 1
};

/// Metrics summed up over steps, in device memory.
struct MetricSums {
  double loss;
  int64_t correct;
  int64_t count;
};

}  // namespace renas::cudnn
