#include "search/controller/lstm.h"

#include "search/critic/gaussian_process.h"

namespace renas::search {

Network<float>* new_network_baseline_float(const NetworkShape& shape);
Network<double>* new_network_baseline_double(const NetworkShape& shape);
GaussianFactor* new_gaussian_factor_baseline();
#ifdef RENAS_NETWORK_AVX2
Network<float>* new_network_avx2_float(const NetworkShape& shape);
GaussianFactor* new_gaussian_factor_avx2();
#endif

namespace {

#ifdef RENAS_NETWORK_AVX2
bool has_avx2() { return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma"); }
#endif

}  // namespace

template <>
std::unique_ptr<Network<float>> make_network(const NetworkShape& shape) {
#ifdef RENAS_NETWORK_AVX2
  if (has_avx2()) return std::unique_ptr<Network<float>>(new_network_avx2_float(shape));
#endif
  return std::unique_ptr<Network<float>>(new_network_baseline_float(shape));
}

template <>
std::unique_ptr<Network<double>> make_network(const NetworkShape& shape) {
  return std::unique_ptr<Network<double>>(new_network_baseline_double(shape));
}

std::unique_ptr<GaussianFactor> make_gaussian_factor() {
#ifdef RENAS_NETWORK_AVX2
  if (has_avx2()) return std::unique_ptr<GaussianFactor>(new_gaussian_factor_avx2());
#endif
  return std::unique_ptr<GaussianFactor>(new_gaussian_factor_baseline());
}

std::size_t parameter_count(const NetworkShape& shape) {
  const std::size_t directions = shape.bidirectional ? 2 : 1;
  const std::size_t hidden = static_cast<std::size_t>(shape.hidden);
  const std::size_t embedding = static_cast<std::size_t>(shape.embedding);
  const std::size_t outputs = static_cast<std::size_t>(shape.outputs);
  return embedding * static_cast<std::size_t>(shape.vocabulary) +
         directions * 4 * hidden * (embedding + hidden + 1) + outputs * (directions * hidden + 1);
}

}  // namespace renas::search
