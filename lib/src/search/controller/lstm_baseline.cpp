#define RENAS_CPU_NAMESPACE baseline
#include "search/controller/lstm_impl.h"

namespace renas::search {

Lstm<float>* new_lstm_baseline_float(const LstmShape& shape) {
  return new baseline::EigenLstm<float>(shape);
}

Lstm<double>* new_lstm_baseline_double(const LstmShape& shape) {
  return new baseline::EigenLstm<double>(shape);
}

}  // namespace renas::search
