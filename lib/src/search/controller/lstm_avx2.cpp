// Compiled with -mavx2 -mfma; called only where the processor has both.
#define Eigen EigenAvx2
#define RENAS_NETWORK_NAMESPACE avx2
#include "search/critic/gaussian_process_impl.h"
#include "search/controller/lstm_impl.h"

namespace renas::search {

Network<float>* new_network_avx2_float(const NetworkShape& shape) {
  return new avx2::EigenNetwork<float>(shape);
}

GaussianFactor* new_gaussian_factor_avx2() { return new avx2::EigenGaussianFactor(); }

}  // namespace renas::search
