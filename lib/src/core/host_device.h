#pragma once

/// Marks functions that run on the host and in CUDA kernels alike.
#ifdef __CUDACC__
#define RENAS_HOST_DEVICE __host__ __device__
#else
#define RENAS_HOST_DEVICE
#endif
