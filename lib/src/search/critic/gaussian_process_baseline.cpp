#define RENAS_CPU_NAMESPACE baseline
#include "search/critic/gaussian_process_impl.h"

namespace renas::search {

GaussianProcess* new_gaussian_process_baseline() { return new baseline::EigenGaussianProcess(); }

}  // namespace renas::search
