#pragma once

namespace renas::search {

#ifdef RENAS_SEARCH_AVX2
/// Whether this processor can run the files that were compiled with AVX2 and FMA.
inline bool has_avx2() { return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma"); }
#endif

}  // namespace renas::search
