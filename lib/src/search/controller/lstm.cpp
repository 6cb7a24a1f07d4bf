#include "search/controller/lstm.h"

#include "renas/random.h"
#include "search/has_avx2.h"

namespace renas::search {

Lstm<float>* new_lstm_baseline_float(const LstmShape& shape);
Lstm<double>* new_lstm_baseline_double(const LstmShape& shape);
#ifdef RENAS_SEARCH_AVX2
Lstm<float>* new_lstm_avx2_float(const LstmShape& shape);
#endif

template <>
std::unique_ptr<Lstm<float>> make_lstm(const LstmShape& shape) {
#ifdef RENAS_SEARCH_AVX2
  if (has_avx2()) {
    return std::unique_ptr<Lstm<float>>(new_lstm_avx2_float(shape));
  }
#endif
  return std::unique_ptr<Lstm<float>>(new_lstm_baseline_float(shape));
}

template <>
std::unique_ptr<Lstm<double>> make_lstm(const LstmShape& shape) {
  return std::unique_ptr<Lstm<double>>(new_lstm_baseline_double(shape));
}

std::size_t parameter_count(const LstmShape& shape) {
  const std::size_t directions = shape.bidirectional ? 2 : 1;
  const std::size_t hidden = shape.hidden;
  const std::size_t embedding = shape.embedding;
  const std::size_t outputs = shape.outputs;
  return embedding * shape.vocabulary + directions * 4 * hidden * (embedding + hidden + 1) +
         outputs * (directions * hidden + 1);
}

template <class T>
void initialize(Lstm<T>& lstm, double deviation, Random& random) {
  for (T& value : lstm.parameters()) {
    value = static_cast<T>(deviation * random.normal());
  }
  lstm.changed();
}

template void initialize(Lstm<float>& lstm, double deviation, Random& random);
template void initialize(Lstm<double>& lstm, double deviation, Random& random);

}  // namespace renas::search
