// Compiled with -mavx2 -mfma; called only where the processor has both.
#define Eigen EigenAvx2
#define RENAS_CPU_NAMESPACE avx2
#include "search/critic/gaussian_process_impl.h"

namespace renas::search {

GaussianProcess* new_gaussian_process_avx2() { return new avx2::EigenGaussianProcess(); }

}  // namespace renas::search
