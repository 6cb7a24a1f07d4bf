#pragma once

#include <cstddef>
#include <memory>
#include <span>

namespace renas {
class Random;
}

namespace renas::search {

/// The dimensions of an Lstm.
struct LstmShape {
  int steps = 0;       ///< T, the length of every sequence
  int vocabulary = 0;  ///< V, the number of distinct tokens
  int embedding = 0;   ///< size of a token's embedding
  int hidden = 0;      ///< hidden units of one direction
  int outputs = 0;     ///< K, linear outputs computed from the hidden state of every step
  bool bidirectional = true;
  /// Parameters behind all others that the LSTM itself does not use. They belong to what is
  /// computed from the outputs, and are saved and trained with the rest.
  int more = 0;
};

/// The hyper-parameters of Adam (Kingma & Ba 2015).
struct AdamOptions {
  double learning_rate = 0.001;
  double beta1 = 0.9;
  double beta2 = 0.999;
  double epsilon = 1e-8;
};

/// A recurrent network: token embedding, LSTM, and one linear layer on the hidden state of every
/// step. A bidirectional LSTM concatenates the hidden states of both directions.
///
///   x_t = E[token_t];  [i f o] = sigmoid, g = tanh of Wx x_t + b + Wh h_(t-1)
///   c_t = f c_(t-1) + i g;  h_t = o tanh(c_t);  y_t = Q [h_t forward ; h_t backward] + q
///
/// All parameters lie in one array, in the order E, then Wx, Wh, b of each direction, then Q, q,
/// then LstmShape::more others. Matrices lie there column by column.
/// The gradient and Adam's two moments have the same order. Wx E + b is computed once for each
/// token of the vocabulary, not at every step, because a batch has many more steps than the
/// vocabulary has tokens. Reference: Hochreiter & Schmidhuber 1997, with the forget gate of Gers et
/// al. 2000.
template <class T>
class Lstm {
 public:
  virtual ~Lstm() = default;
  virtual const LstmShape& shape() const = 0;

  virtual std::span<T> parameters() = 0;  ///< after writing to them, call changed()
  virtual std::span<const T> parameters() const = 0;
  virtual std::span<T> gradient() = 0;
  virtual std::span<T> first_moment() = 0;
  virtual std::span<T> second_moment() = 0;
  /// Says that parameters were written, so that values computed from them are computed anew.
  virtual void changed() = 0;

  /// The forward pass over a batch of sequences.
  ///
  /// tokens   [batch, T], each below V
  /// outputs  [batch, T, K]
  virtual void forward(const int* tokens, int batch, T* outputs) = 0;
  /// The backward pass of the last forward(): adds to gradient() the gradient of a loss whose
  /// gradient by the outputs is `d_outputs` [batch, T, K].
  virtual void backward(const T* d_outputs) = 0;
  /// One step of one sequence, for generating it token by token: feeds `token` as step `t` and
  /// computes the outputs [K] of that step. t = 0 starts a new sequence. The LSTM must be
  /// one-directional.
  virtual void step(int t, int token, T* outputs) = 0;
  /// Step number `count` (from 1) of Adam down the gradient; then the gradient is set to zero.
  virtual void adam(const AdamOptions& options, long count) = 0;
};

/// Makes an LSTM with all parameters zero.
template <class T>
std::unique_ptr<Lstm<T>> make_lstm(const LstmShape& shape);

/// The number of parameters of an LSTM.
std::size_t parameter_count(const LstmShape& shape);

/// Draws initial parameters: normal numbers of the given standard deviation.
template <class T>
void initialize(Lstm<T>& lstm, double deviation, Random& random);

}  // namespace renas::search
