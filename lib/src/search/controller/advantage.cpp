#include "search/controller/advantage.h"

#include <algorithm>
#include <cmath>
#include <numbers>

#include "renas/error.h"

namespace renas::search {

double AdvantageRule::reward(double fitness) {
  return std::tan(std::min(fitness, 0.99) * std::numbers::pi / 2);
}

void AdvantageRule::add(double fitness) {
  const double r = reward(fitness);
  average_ = started_ ? next_ : r;
  next_ = started_ ? options_.decay * next_ + (1 - options_.decay) * r : r;
  started_ = true;
  if (options_.advantage != ControllerOptions::Advantage::kStandardised) {
    return;
  }
  if (std::ssize(window_) < options_.window) {
    window_.push_back(r);
  } else {
    window_[position_ % window_.size()] = r;
  }
  ++position_;
  measure();
}

void AdvantageRule::measure() {
  if (window_.empty()) {
    return;
  }
  double sum = 0;
  for (const double r : window_) {
    sum += r;
  }
  mean_ = sum / static_cast<double>(window_.size());
  double squares = 0;
  for (const double r : window_) {
    squares += (r - mean_) * (r - mean_);
  }
  deviation_ = std::sqrt(squares / static_cast<double>(window_.size()));
}

double AdvantageRule::of(double fitness) const {
  const double r = reward(fitness);
  switch (options_.advantage) {
    case ControllerOptions::Advantage::kReward:
      return r;
    case ControllerOptions::Advantage::kMovingAverage:
      return r - average_;
    case ControllerOptions::Advantage::kStandardised:
      break;
  }
  // Equal rewards differ from their mean by rounding, which teaches nothing.
  constexpr double kRounding = 1e-9;
  if (!(deviation_ > kRounding * std::max(1.0, std::abs(mean_)))) {
    return 0;
  }
  return std::clamp((r - mean_) / deviation_, -options_.clip, options_.clip);
}

void AdvantageRule::save(StateWriter& writer) const {
  writer.put("advantage/average", std::vector<double>{average_, next_, started_ ? 1.0 : 0.0});
  writer.put("advantage/window", window_);
  writer.put("advantage/position", std::vector<uint64_t>{position_});
}

void AdvantageRule::load(const StateReader& reader) {
  const auto& average = reader.doubles("advantage/average", 3);
  const auto& window = reader.doubles("advantage/window");
  if (std::ssize(window) > options_.window) {
    throw InvalidInput("search state: array 'advantage/window' is longer than the window");
  }
  position_ = reader.words("advantage/position", 1)[0];
  average_ = average[0];
  next_ = average[1];
  started_ = average[2] != 0;
  window_ = window;
  measure();
}

}  // namespace renas::search
