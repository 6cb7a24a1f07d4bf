#include "search/controller/policy.h"

#include <algorithm>

namespace renas::search {

namespace {

// Outputs of the LSTM.
constexpr int kRouter = 0;
constexpr int kSource = 1;  // input mutator, from the source's hidden state
constexpr int kChosen = 2;  // input mutator, from the hidden state of the slot to change
constexpr int kFirstOperator = 3;

}  // namespace

template <class T>
MutationPolicy<T>::MutationPolicy(const SearchSpace& space, int embedding, int hidden,
                                  bool bidirectional)
    : space_(space), layout_(space) {
  int outputs = kFirstOperator;
  for (int kind = 0; kind < layout_.kinds(); ++kind) {
    first_output_.push_back(outputs);
    outputs += layout_.kind_size(kind);
  }
  lstm_ = make_lstm<T>(
      {layout_.steps(), layout_.vocabulary(), embedding, hidden, outputs, bidirectional});
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
void MutationPolicy<T>::decide_choice(int index, int slot) {
  const T* chosen = row(index, layout_.slot_step(slot));
  const int count = static_cast<int>(space_.slot(slot).choices.size());
  const int kind = layout_.kind(slot);
  decision_.clear();
  for (int c = 0; c < count; ++c) {
    decision_.add(kind < 0 ? row(index, layout_.source_step(slot, c))[kSource] + chosen[kChosen]
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
      T* chosen = d_row(layout_.slot_step(action.slot));
      const int kind = layout_.kind(action.slot);
      for (int c = 0; c < decision_.size(); ++c) {
        const T d = decision_.gradient(c, action.to, weight, entropy);
        if (kind < 0) {
          d_row(layout_.source_step(action.slot, c))[kSource] += d;
          chosen[kChosen] += d;
        } else {
          chosen[first_output_[kind] + c] += d;
        }
      }
    }
  }
  lstm_->backward(d_outputs_.data());
  // The input mutator is one linear unit and has one bias, that of kChosen. The bias of kSource
  // would be redundant, so it is never changed.
  std::span<T> gradient = lstm_->gradient();
  gradient[gradient.size() - outputs + kSource] = 0;
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
