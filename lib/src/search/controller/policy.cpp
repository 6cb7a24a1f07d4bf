#include "search/controller/policy.h"

#include <algorithm>
#include <cmath>
#include <utility>

namespace renas::search {

namespace {

// Outputs of the LSTM. Behind the source's part of the input mutator follows, from the hidden state
// of the slot to change, a part of as many units.
constexpr int kRouter = 0;
constexpr int kSource = 1;

}  // namespace

template <class T>
MutationPolicy<T>::MutationPolicy(const SearchSpace& space, int embedding, int hidden,
                                  bool bidirectional, int attention)
    : space_(space), layout_(space), attention_(attention) {
  int outputs = kSource + 2 * units();
  for (int kind = 0; kind < layout_.kinds(); ++kind) {
    first_output_.push_back(outputs);
    outputs += layout_.kind_size(kind);
  }
  lstm_ = make_lstm<T>({layout_.steps(), layout_.vocabulary(), embedding, hidden, outputs,
                        bidirectional, attention});
}

template <class T>
void MutationPolicy<T>::initialize(double deviation, Random& random) {
  search::initialize(*lstm_, deviation, random);
  if (attention_ == 0) {
    return;
  }
  const LstmShape& shape = lstm_->shape();
  const std::size_t outputs = shape.outputs;
  const std::size_t columns = (shape.bidirectional ? 2 : 1) * shape.hidden + 1;  // of Q and q
  const std::span<T> linear = lstm_->parameters().last(outputs * columns + attention_);
  for (std::size_t i = 0; i < outputs * columns; ++i) {
    const int output = static_cast<int>(i % outputs);
    if (output >= kSource && output < kSource + 2 * units()) {
      linear[i] = static_cast<T>(random.normal());
    }
  }
  for (T& v : lstm_->parameters().last(attention_)) {
    v = static_cast<T>(random.normal() / std::sqrt(attention_));
  }
  lstm_->changed();
}

template <class T>
void MutationPolicy<T>::encode(std::span<const Genome* const> parents) {
  const std::size_t steps = layout_.steps();
  tokens_.resize(parents.size() * steps);
  outputs_.resize(tokens_.size() * lstm_->shape().outputs);
  for (std::size_t i = 0; i < parents.size(); ++i) {
    layout_.encode(*parents[i], tokens_.data() + i * steps);
  }
  lstm_->forward(tokens_.data(), static_cast<int>(parents.size()), outputs_.data());
}

template <class T>
const T* MutationPolicy<T>::row(int index, int step) const {
  return outputs_.data() + (index * layout_.steps() + step) * lstm_->shape().outputs;
}

template <class T>
void MutationPolicy<T>::decide_router(int index, int block) {
  decision_.clear();
  for (int slot = space_.first_slot(block); slot < space_.first_slot(block + 1); ++slot) {
    decision_.add(row(index, layout_.slot_step(slot))[kRouter]);
  }
  decision_.finish();
}

template <class T>
T MutationPolicy<T>::input_score(const T* source, const T* chosen) const {
  const T* w = source + kSource;
  const T* u = chosen + kSource + units();
  if (attention_ == 0) {
    return w[0] + u[0];
  }
  const std::span<const T> v = std::as_const(*lstm_).parameters().last(attention_);
  T sum = 0;
  for (int j = 0; j < attention_; ++j) {
    sum += v[j] * std::tanh(w[j] + u[j]);
  }
  return sum;
}

template <class T>
void MutationPolicy<T>::input_gradient(const T* source, const T* chosen, T d, T* d_source,
                                       T* d_chosen) {
  T* d_w = d_source + kSource;
  T* d_u = d_chosen + kSource + units();
  if (attention_ == 0) {
    d_w[0] += d;
    d_u[0] += d;
    return;
  }
  const T* w = source + kSource;
  const T* u = chosen + kSource + units();
  const std::span<const T> v = std::as_const(*lstm_).parameters().last(attention_);
  const std::span<T> d_v = lstm_->gradient().last(attention_);
  for (int j = 0; j < attention_; ++j) {
    const T z = std::tanh(w[j] + u[j]);
    d_v[j] += d * z;
    const T inner = d * v[j] * (1 - z * z);
    d_w[j] += inner;
    d_u[j] += inner;
  }
}

template <class T>
void MutationPolicy<T>::decide_choice(int index, int slot) {
  const T* chosen = row(index, layout_.slot_step(slot));
  const int count = static_cast<int>(space_.slot(slot).choices.size());
  const int kind = layout_.kind(slot);
  decision_.clear();
  for (int c = 0; c < count; ++c) {
    decision_.add(kind < 0 ? input_score(row(index, layout_.source_step(slot, c)), chosen)
                           : chosen[first_output_[kind] + c]);
  }
  decision_.finish();
}

template <class T>
std::vector<Mutation> MutationPolicy<T>::sample(int index, const Genome& parent, Random& random,
                                                LogProbability* result) {
  std::vector<Mutation> mutations;
  LogProbability sum;
  for (int b = 0; b < space_.block_count(); ++b) {
    decide_router(index, b);
    const int picked = decision_.sample(random);
    sum.value += static_cast<double>(decision_.log_probability(picked));
    sum.entropy += static_cast<double>(decision_.entropy());
    const int slot = space_.first_slot(b) + picked;
    decide_choice(index, slot);
    const int to = decision_.sample(random);
    sum.value += static_cast<double>(decision_.log_probability(to));
    sum.entropy += static_cast<double>(decision_.entropy());
    mutations.push_back({b, slot, parent[slot], to});
  }
  if (result) {
    *result = sum;
  }
  return mutations;
}

template <class T>
LogProbability MutationPolicy<T>::score(int index, const std::vector<Mutation>& actions) {
  LogProbability sum;
  for (const Mutation& action : actions) {
    decide_router(index, action.block);
    sum.value += static_cast<double>(
        decision_.log_probability(action.slot - space_.first_slot(action.block)));
    sum.entropy += static_cast<double>(decision_.entropy());
    decide_choice(index, action.slot);
    sum.value += static_cast<double>(decision_.log_probability(action.to));
    sum.entropy += static_cast<double>(decision_.entropy());
  }
  return sum;
}

template <class T>
void MutationPolicy<T>::gradient(std::span<const PolicyTerm> terms, double entropy_weight) {
  d_outputs_.assign(outputs_.size(), T(0));
  const int outputs = lstm_->shape().outputs;
  const T entropy = static_cast<T>(-entropy_weight);  // negative because Adam descends
  for (int i = 0; i < static_cast<int>(terms.size()); ++i) {
    const PolicyTerm& term = terms[i];
    const T weight = static_cast<T>(-term.weight);
    const auto d_row = [&](int step) {
      return d_outputs_.data() + (i * layout_.steps() + step) * outputs;
    };
    for (const Mutation& action : *term.actions) {
      const int first = space_.first_slot(action.block);
      decide_router(i, action.block);
      for (int s = 0; s < decision_.size(); ++s) {
        d_row(layout_.slot_step(first + s))[kRouter] +=
            decision_.gradient(s, action.slot - first, weight, entropy);
      }
      decide_choice(i, action.slot);
      const int step = layout_.slot_step(action.slot);
      const int kind = layout_.kind(action.slot);
      for (int c = 0; c < decision_.size(); ++c) {
        const T d = decision_.gradient(c, action.to, weight, entropy);
        if (kind < 0) {
          const int source = layout_.source_step(action.slot, c);
          input_gradient(row(i, source), row(i, step), d, d_row(source), d_row(step));
        } else {
          d_row(step)[first_output_[kind] + c] += d;
        }
      }
    }
  }
  lstm_->backward(d_outputs_.data());
  // A unit of the input mutator has one bias, that of the slot's part. The bias of the source's
  // part would be redundant, so it is never changed.
  const std::span<T> biases = lstm_->gradient().last(outputs + attention_).first(outputs);
  std::fill_n(biases.begin() + kSource, units(), T(0));
}

template <class T>
std::vector<double> MutationPolicy<T>::router(int index, int block) {
  decide_router(index, block);
  return {decision_.probabilities().begin(), decision_.probabilities().end()};
}

template <class T>
std::vector<double> MutationPolicy<T>::choices(int index, int slot) {
  decide_choice(index, slot);
  return {decision_.probabilities().begin(), decision_.probabilities().end()};
}

template class MutationPolicy<float>;
template class MutationPolicy<double>;

}  // namespace renas::search
