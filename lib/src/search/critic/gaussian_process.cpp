#include "search/critic/gaussian_process.h"

#include "search/has_avx2.h"

namespace renas::search {

GaussianProcess* new_gaussian_process_baseline();
#ifdef RENAS_SEARCH_AVX2
GaussianProcess* new_gaussian_process_avx2();
#endif

std::unique_ptr<GaussianProcess> make_gaussian_process() {
#ifdef RENAS_SEARCH_AVX2
  if (has_avx2()) {
    return std::unique_ptr<GaussianProcess>(new_gaussian_process_avx2());
  }
#endif
  return std::unique_ptr<GaussianProcess>(new_gaussian_process_baseline());
}

}  // namespace renas::search
