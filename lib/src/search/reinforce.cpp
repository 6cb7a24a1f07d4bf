#include "search/reinforce.h"

#include <algorithm>

namespace renas::search {

Reinforce::Reinforce(const SearchSpace& space, const StrategyOptions& options)
    : IndependentSampling(space, options),
      options_(controller_options(options)),
      layout_(space),
      advantage_(options_) {
  // The outputs are the choices of every kind of operator slot, then the sources of input slots.
  int outputs = 0;
  for (int kind = 0; kind < layout_.kinds(); ++kind) {
    first_output_.push_back(outputs);
    outputs += layout_.kind_size(kind);
  }
  first_output_.push_back(outputs);
  outputs += layout_.sources();
  lstm_ = make_lstm<float>({space.slot_count(), layout_.vocabulary(), options_.embedding,
                            options_.hidden, outputs, false});
  Random initial(options.seed, Purpose::kController);
  initialize(*lstm_, options_.initial_sd, initial);
  logits_.resize(outputs);
}

int Reinforce::output(int slot, int choice) const {
  const int kind = layout_.kind(slot) < 0 ? layout_.kinds() : layout_.kind(slot);
  return first_output_[kind] + layout_.value(slot, choice);
}

void Reinforce::decide(int slot, const float* logits) {
  const int count = static_cast<int>(space().slot(slot).choices.size());
  decision_.clear();
  for (int c = 0; c < count; ++c) {
    decision_.add(logits[output(slot, c)]);
  }
  decision_.finish();
}

Genome Reinforce::draw() {
  Genome genome;
  int token = layout_.begin_token(0);
  for (int slot = 0; slot < space().slot_count(); ++slot) {
    lstm_->step(slot, token, logits_.data());
    decide(slot, logits_.data());
    genome.push_back(decision_.sample(random_));
    token = layout_.token(slot, genome.back());
  }
  return genome;
}

void Reinforce::learn(const Genome& genome, double fitness) {
  advantage_.add(fitness);
  const int slots = space().slot_count();
  const std::ptrdiff_t outputs = lstm_->shape().outputs;
  std::vector<int> tokens{layout_.begin_token(0)};
  for (int slot = 0; slot + 1 < slots; ++slot) {
    tokens.push_back(layout_.token(slot, genome[slot]));
  }
  std::vector<float> y(slots * outputs);
  std::vector<float> dy(y.size());
  lstm_->forward(tokens.data(), 1, y.data());
  const float weight = static_cast<float>(-advantage_.of(fitness));
  const float entropy = static_cast<float>(-options_.entropy);
  for (int slot = 0; slot < slots; ++slot) {
    decide(slot, y.data() + slot * outputs);
    for (int c = 0; c < decision_.size(); ++c) {
      dy[slot * outputs + output(slot, c)] = decision_.gradient(c, genome[slot], weight, entropy);
    }
  }
  lstm_->backward(dy.data());
  lstm_->adam({.learning_rate = options_.learning_rate}, ++steps_);
}

void Reinforce::save_more(StateWriter& writer) const {
  IndependentSampling::save_more(writer);
  advantage_.save(writer);
  writer.put("controller/steps", std::vector<int64_t>{steps_});
  writer.floats("controller/parameters", lstm_->parameters());
  writer.floats("controller/first_moment", lstm_->first_moment());
  writer.floats("controller/second_moment", lstm_->second_moment());
}

void Reinforce::load_more(const StateReader& reader) {
  const std::size_t size = lstm_->parameters().size();
  const auto& parameters = reader.floats("controller/parameters", size);
  const auto& first = reader.floats("controller/first_moment", size);
  const auto& second = reader.floats("controller/second_moment", size);
  steps_ = static_cast<long>(reader.ints("controller/steps", 1)[0]);
  advantage_.load(reader);
  IndependentSampling::load_more(reader);
  std::copy(parameters.begin(), parameters.end(), lstm_->parameters().begin());
  std::copy(first.begin(), first.end(), lstm_->first_moment().begin());
  std::copy(second.begin(), second.end(), lstm_->second_moment().begin());
  lstm_->changed();
}

}  // namespace renas::search
