// Compiled with -mavx2 -mfma; called only where the processor has both.
#define Eigen EigenAvx2
#define RENAS_CPU_NAMESPACE avx2
#include "search/controller/lstm_impl.h"

namespace renas::search {

Lstm<float>* new_lstm_avx2_float(const LstmShape& shape) {
  return new avx2::EigenLstm<float>(shape);
}

}  // namespace renas::search
