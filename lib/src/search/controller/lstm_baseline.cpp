#define RENAS_NETWORK_NAMESPACE baseline
#include "search/critic/gaussian_process_impl.h"
#include "search/controller/lstm_impl.h"

namespace renas::search {

Network<float>* new_network_baseline_float(const NetworkShape& shape) {
  return new baseline::EigenNetwork<float>(shape);
}

Network<double>* new_network_baseline_double(const NetworkShape& shape) {
  return new baseline::EigenNetwork<double>(shape);
}

GaussianFactor* new_gaussian_factor_baseline() { return new baseline::EigenGaussianFactor(); }

}  // namespace renas::search
