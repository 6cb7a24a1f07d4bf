#pragma once

#include <cstddef>
#include <memory>
#include <span>

namespace renas {
class Random;
}

namespace renas::search {

/// What an Lstm is made of.
struct LstmShape {
  int steps = 0;       ///< T, length of every sequence
  int vocabulary = 0;  ///< V, number of distinct tokens
  int embedding = 0;
  int hidden = 0;   ///< of one direction
  int outputs = 0;  ///< K, linear outputs read from the hidden state of every step
  bool bidirectional = true;
};

struct AdamOptions {
  double learning_rate = 0.001;
  double beta1 = 0.9;
  double beta2 = 0.999;
  double epsilon = 1e-8;
};

/// Embedding, LSTM (one way or both, hidden states concatenated), one linear layer on every step.
///
///   x_t = E[token_t];  [i f o] = sigmoid, g = tanh of Wx x_t + b + Wh h_(t-1)
///   c_t = f c_(t-1) + i g;  h_t = o tanh(c_t);  y_t = Q [h_t forward ; h_t backward] + q
///
/// All parameters lie in one array in the order E, then Wx, Wh, b of each direction, then Q, q; so
/// do the gradient and Adam's two moments. Products with a token's embedding are made once a token,
/// not once a step, because sequences are much longer in sum than the vocabulary. Reference:
/// Hochreiter & Schmidhuber 1997 with Gers' forget gate; Kingma & Ba 2015.
template <class T>
class Lstm {
 public:
  virtual ~Lstm() = default;
  virtual const LstmShape& shape() const = 0;

  virtual std::span<T> parameters() = 0;  ///< call changed() after writing
  virtual std::span<const T> parameters() const = 0;
  virtual std::span<T> gradient() = 0;
  virtual std::span<T> first_moment() = 0;
  virtual std::span<T> second_moment() = 0;
  virtual void changed() = 0;

  /// tokens   [batch, T], each below V
  /// outputs  [batch, T, K]
  virtual void forward(const int* tokens, int batch, T* outputs) = 0;
  /// Adds to gradient() what `d_outputs` [batch, T, K] gives for the last forward.
  virtual void backward(const T* d_outputs) = 0;
  /// One step of one sequence, for writing it token by token: feeds `token` as step `t` (t = 0
  /// starts anew) and gives its outputs [K]. One-directional networks only.
  virtual void step(int t, int token, T* outputs) = 0;
  /// One Adam step against the gradient, number `count` (from 1); clears the gradient.
  virtual void adam(const AdamOptions& options, long count) = 0;
};

/// Picks the instructions this processor has: equal inputs give equal bits on one machine.
template <class T>
std::unique_ptr<Lstm<T>> make_lstm(const LstmShape& shape);

std::size_t parameter_count(const LstmShape& shape);

/// Fills parameters with normal numbers of the given standard deviation.
template <class T>
void initialize(Lstm<T>& lstm, double sd, Random& random);

}  // namespace renas::search
