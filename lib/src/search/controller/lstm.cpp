#include "search/controller/lstm.h"

#define EIGEN_DONT_PARALLELIZE
#define EIGEN_NO_DEBUG
#include <Eigen/Core>

#include "renas/random.h"

namespace renas::search {

namespace {

template <class T>
class EigenLstm final : public Lstm<T> {
  using Matrix = Eigen::Matrix<T, Eigen::Dynamic, Eigen::Dynamic>;
  using Vector = Eigen::Matrix<T, Eigen::Dynamic, 1>;
  using MatrixMap = Eigen::Map<Matrix>;
  using VectorMap = Eigen::Map<Vector>;

 public:
  explicit EigenLstm(const LstmShape& shape)
      : shape_(shape), h_(shape.hidden), directions_(shape.bidirectional ? 2 : 1) {
    const auto n = static_cast<Eigen::Index>(parameter_count(shape));
    theta_ = Vector::Zero(n);
    gradient_ = Vector::Zero(n);
    m_ = Vector::Zero(n);
    v_ = Vector::Zero(n);
    for (int d = 0; d < directions_; ++d) {
      table_[d].resize(4 * h_, shape.vocabulary);
      d_table_[d].resize(4 * h_, shape.vocabulary);
    }
    step_h_ = Vector::Zero(h_);
    step_c_ = Vector::Zero(h_);
  }

  const LstmShape& shape() const override { return shape_; }
  std::span<T> parameters() override { return as_span(theta_); }
  std::span<const T> parameters() const override {
    return {theta_.data(), static_cast<std::size_t>(theta_.size())};
  }
  std::span<T> gradient() override { return as_span(gradient_); }
  std::span<T> first_moment() override { return as_span(m_); }
  std::span<T> second_moment() override { return as_span(v_); }
  void changed() override { table_fresh_ = false; }

  void forward(const int* tokens, int batch, T* outputs) override {
    refresh_table();
    reserve(batch);
    batch_ = batch;
    const int steps = shape_.steps;
    for (int b = 0; b < batch; ++b) {
      for (int t = 0; t < steps; ++t) {
        tokens_[t * batch + b] = tokens[b * steps + t];
      }
    }

    const Eigen::Index columns = Eigen::Index{steps} * batch;
    auto y = y_.leftCols(columns);
    y.colwise() = bias_out(theta_);
    for (int d = 0; d < directions_; ++d) {
      run(d);
      y.noalias() += readout(theta_, d) * hidden_[d].leftCols(columns);
    }
    // Transposes [T, batch, K] to [batch, T, K].
    for (int b = 0; b < batch; ++b) {
      for (int t = 0; t < steps; ++t) {
        VectorMap(outputs + (b * steps + t) * shape_.outputs, shape_.outputs) =
            y.col(Eigen::Index{t} * batch + b);
      }
    }
  }

  void backward(const T* d_outputs) override {
    const int steps = shape_.steps;
    const int batch = batch_;
    const Eigen::Index columns = Eigen::Index{steps} * batch;
    auto dy = y_.leftCols(columns);  // reuses y_, which is no longer needed
    for (int b = 0; b < batch; ++b) {
      for (int t = 0; t < steps; ++t) {
        dy.col(Eigen::Index{t} * batch + b) =
            Eigen::Map<const Vector>(d_outputs + (b * steps + t) * shape_.outputs, shape_.outputs);
      }
    }

    bias_out(gradient_) += dy.rowwise().sum();
    MatrixMap embedding = embeddings(theta_);
    MatrixMap d_embedding = embeddings(gradient_);
    for (int d = 0; d < directions_; ++d) {
      readout(gradient_, d).noalias() += dy * hidden_[d].leftCols(columns).transpose();
      d_hidden_.leftCols(columns).noalias() = readout(theta_, d).transpose() * dy;
      run_back(d);
      const auto d_gates = d_gates_.leftCols(columns);
      const auto hidden = hidden_[d].leftCols(columns);
      const Eigen::Index inner = columns - batch;
      // The state before step t is that of step t-1 forward in time, of t+1 backward.
      if (d == 0) {
        recurrent(gradient_, d).noalias() +=
            d_gates.rightCols(inner) * hidden.leftCols(inner).transpose();
      } else {
        recurrent(gradient_, d).noalias() +=
            d_gates.leftCols(inner) * hidden.rightCols(inner).transpose();
      }
      Matrix& d_table = d_table_[d];
      d_table.setZero();
      for (Eigen::Index i = 0; i < columns; ++i) {
        d_table.col(tokens_[i]) += d_gates.col(i);
      }
      bias(gradient_, d) += d_table.rowwise().sum();
      input(gradient_, d).noalias() += d_table * embedding.transpose();
      d_embedding.noalias() += input(theta_, d).transpose() * d_table;
    }
  }

  void step(int t, int token, T* outputs) override {
    refresh_table();
    gates_step_ = table_[0].col(token);
    if (t > 0) {
      gates_step_.noalias() += recurrent(theta_, 0) * step_h_;
    } else {
      step_c_.setZero();
    }
    activate(gates_step_);
    auto i = gates_step_.segment(0, h_).array();
    auto f = gates_step_.segment(h_, h_).array();
    auto o = gates_step_.segment(2 * h_, h_).array();
    auto g = gates_step_.segment(3 * h_, h_).array();
    step_c_ = f * step_c_.array() + i * g;
    step_h_ = o * step_c_.array().tanh();
    VectorMap y(outputs, shape_.outputs);
    y = bias_out(theta_);
    y.noalias() += readout(theta_, 0) * step_h_;
  }

  void adam(const AdamOptions& options, long count) override {
    const T b1 = static_cast<T>(options.beta1);
    const T b2 = static_cast<T>(options.beta2);
    const double correction1 = 1 - std::pow(options.beta1, static_cast<double>(count));
    const double correction2 = 1 - std::pow(options.beta2, static_cast<double>(count));
    const T rate = static_cast<T>(options.learning_rate / correction1);
    const T scale = static_cast<T>(1 / std::sqrt(correction2));
    const T epsilon = static_cast<T>(options.epsilon);
    m_ = b1 * m_ + (1 - b1) * gradient_;
    v_ = b2 * v_ + (1 - b2) * gradient_.cwiseAbs2();
    theta_.array() -= rate * m_.array() / (v_.array().sqrt() * scale + epsilon);
    gradient_.setZero();
    changed();
  }

 private:
  static std::span<T> as_span(Vector& vector) {
    return {vector.data(), static_cast<std::size_t>(vector.size())};
  }

  // Views into one flat array of parameters, in the order that the comment of Lstm gives.
  Eigen::Index per_direction() const { return Eigen::Index{4} * h_ * (shape_.embedding + h_ + 1); }
  Eigen::Index direction_start(int d) const {
    return Eigen::Index{shape_.embedding} * shape_.vocabulary + d * per_direction();
  }
  MatrixMap embeddings(Vector& flat) const {
    return {flat.data(), shape_.embedding, shape_.vocabulary};
  }
  MatrixMap input(Vector& flat, int d) const {
    return {flat.data() + direction_start(d), 4 * h_, shape_.embedding};
  }
  MatrixMap recurrent(Vector& flat, int d) const {
    return {flat.data() + direction_start(d) + Eigen::Index{4} * h_ * shape_.embedding, 4 * h_, h_};
  }
  VectorMap bias(Vector& flat, int d) const {
    return {flat.data() + direction_start(d) + Eigen::Index{4} * h_ * (shape_.embedding + h_),
            4 * h_};
  }
  MatrixMap readout(Vector& flat, int d) const {
    return {flat.data() + direction_start(directions_) + Eigen::Index{d} * shape_.outputs * h_,
            shape_.outputs, h_};
  }
  VectorMap bias_out(Vector& flat) const {
    return {flat.data() + direction_start(directions_) +
                Eigen::Index{directions_} * shape_.outputs * h_,
            shape_.outputs};
  }

  // Makes room for the activations of `batch` sequences.
  void reserve(int batch) {
    if (batch <= capacity_) {
      return;
    }
    capacity_ = batch;
    const Eigen::Index columns = Eigen::Index{shape_.steps} * batch;
    tokens_.resize(columns);
    y_.resize(shape_.outputs, columns);
    for (int d = 0; d < directions_; ++d) {
      gates_[d].resize(4 * h_, columns);
      cell_[d].resize(h_, columns);
      cell_tanh_[d].resize(h_, columns);
      hidden_[d].resize(h_, columns);
    }
    d_hidden_.resize(h_, columns);
    d_gates_.resize(4 * h_, columns);
    d_cell_.resize(h_, batch);
  }

  // Computes Wx E + b of every token, if parameters have changed.
  void refresh_table() {
    if (table_fresh_) {
      return;
    }
    for (int d = 0; d < directions_; ++d) {
      table_[d].noalias() = input(theta_, d) * embeddings(theta_);
      table_[d].colwise() += bias(theta_, d);
    }
    table_fresh_ = true;
  }

  template <class Gates>
  void activate(Gates&& gates) const {
    gates.topRows(3 * h_) = gates.topRows(3 * h_).array().logistic();
    gates.bottomRows(h_) = gates.bottomRows(h_).array().tanh();
  }

  // The time at which direction d takes its step number k.
  int time(int d, int k) const { return d == 0 ? k : shape_.steps - 1 - k; }

  // The forward pass of direction d.
  void run(int d) {
    const int batch = batch_;
    const MatrixMap wh = recurrent(theta_, d);
    for (int k = 0; k < shape_.steps; ++k) {
      const Eigen::Index at = Eigen::Index{time(d, k)} * batch;
      auto gates = gates_[d].middleCols(at, batch);
      for (int b = 0; b < batch; ++b) {
        gates.col(b) = table_[d].col(tokens_[at + b]);
      }
      if (k > 0) {
        const Eigen::Index before = Eigen::Index{time(d, k - 1)} * batch;
        if (batch == 1) {
          gates.col(0).noalias() += wh * hidden_[d].col(before);
        } else {
          gates.noalias() += wh * hidden_[d].middleCols(before, batch);
        }
      }
      activate(gates);
      auto cell = cell_[d].middleCols(at, batch).array();
      cell = gates.topRows(h_).array() * gates.bottomRows(h_).array();
      if (k > 0) {
        cell += gates.middleRows(h_, h_).array() *
                cell_[d].middleCols(Eigen::Index{time(d, k - 1)} * batch, batch).array();
      }
      auto cell_tanh = cell_tanh_[d].middleCols(at, batch).array();
      cell_tanh = cell.tanh();
      hidden_[d].middleCols(at, batch) = gates.middleRows(2 * h_, h_).array() * cell_tanh;
    }
  }

  // The backward pass of direction d: from d_hidden_, which holds the gradient by the hidden states
  // through the outputs, to d_gates_, both in order of time.
  void run_back(int d) {
    const int batch = batch_;
    const MatrixMap wh = recurrent(theta_, d);
    auto d_cell = d_cell_.leftCols(batch).array();
    d_cell.setZero();
    for (int k = shape_.steps - 1; k >= 0; --k) {
      const Eigen::Index at = Eigen::Index{time(d, k)} * batch;
      const auto gates = gates_[d].middleCols(at, batch).array();
      const auto i = gates.topRows(h_);
      const auto f = gates.middleRows(h_, h_);
      const auto o = gates.middleRows(2 * h_, h_);
      const auto g = gates.bottomRows(h_);
      const auto cell_tanh = cell_tanh_[d].middleCols(at, batch).array();
      const auto dh = d_hidden_.middleCols(at, batch).array();
      auto dg = d_gates_.middleCols(at, batch).array();
      d_cell += dh * o * (1 - cell_tanh.square());
      dg.topRows(h_) = d_cell * g * i * (1 - i);
      dg.middleRows(2 * h_, h_) = dh * cell_tanh * o * (1 - o);
      dg.bottomRows(h_) = d_cell * i * (1 - g.square());
      if (k == 0) {
        dg.middleRows(h_, h_).setZero();
        break;
      }
      const Eigen::Index before = Eigen::Index{time(d, k - 1)} * batch;
      dg.middleRows(h_, h_) = d_cell * cell_[d].middleCols(before, batch).array() * f * (1 - f);
      d_cell *= f;
      if (batch == 1) {
        d_hidden_.col(before).noalias() += wh.transpose() * d_gates_.col(at);
      } else {
        d_hidden_.middleCols(before, batch).noalias() +=
            wh.transpose() * d_gates_.middleCols(at, batch);
      }
    }
  }

  LstmShape shape_;
  int h_;
  int directions_;
  int batch_ = 0;
  int capacity_ = 0;
  bool table_fresh_ = false;
  Vector theta_, gradient_, m_, v_;
  Eigen::Matrix<int, Eigen::Dynamic, 1> tokens_;  // [T, batch]
  Matrix table_[2], d_table_[2];                  // Wx E + b of every token; its gradient
  // Columns are in order of time, then of the batch. Gates are kept after their non-linearity.
  Matrix gates_[2], cell_[2], cell_tanh_[2], hidden_[2];
  Matrix y_, d_hidden_, d_gates_, d_cell_;
  Vector step_h_, step_c_, gates_step_;
};

}  // namespace

template <class T>
std::unique_ptr<Lstm<T>> make_lstm(const LstmShape& shape) {
  return std::make_unique<EigenLstm<T>>(shape);
}

template std::unique_ptr<Lstm<float>> make_lstm(const LstmShape& shape);
template std::unique_ptr<Lstm<double>> make_lstm(const LstmShape& shape);

std::size_t parameter_count(const LstmShape& shape) {
  const std::size_t directions = shape.bidirectional ? 2 : 1;
  const std::size_t hidden = shape.hidden;
  const std::size_t embedding = shape.embedding;
  const std::size_t outputs = shape.outputs;
  return embedding * shape.vocabulary + directions * 4 * hidden * (embedding + hidden + 1) +
         outputs * (directions * hidden + 1) + shape.more;
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
