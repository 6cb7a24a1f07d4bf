#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <charconv>
#include <cmath>
#include <functional>

#include "renas/controller.h"
#include "renas/error.h"
#include "renas/strategy.h"

namespace renas {

namespace {

using Advantage = ControllerOptions::Advantage;

/// A numeric field of ControllerOptions, read and written by name.
struct Field {
  const char* name;
  std::function<void(ControllerOptions&, double)> set;
  std::function<double(const ControllerOptions&)> get;
  double low;
  double high;
  bool whole;
};

template <class T>
Field field(const char* name, T ControllerOptions::*member, double low, double high) {
  return {name,
          [member](ControllerOptions& o, double value) { o.*member = static_cast<T>(value); },
          [member](const ControllerOptions& o) { return static_cast<double>(o.*member); },
          low,
          high,
          !std::is_same_v<T, double>};
}

/// The table of all numeric fields of ControllerOptions, with their ranges.
std::vector<Field> fields() {
  using O = ControllerOptions;
  return {field("embedding", &O::embedding, 1, 4096),
          field("hidden", &O::hidden, 1, 4096),
          field("attention", &O::attention, 0, 4096),
          field("bidirectional", &O::bidirectional, 0, 1),
          field("learn", &O::learn, 0, 1),
          field("initial_sd", &O::initial_sd, 0, 10),
          field("learning_rate", &O::learning_rate, 0, 10),
          field("entropy", &O::entropy, 0, 1000),
          field("decay", &O::decay, 0, 0.999999),
          field("window", &O::window, 2, 1e6),
          field("clip", &O::clip, 0, 1e6),
          field("updates", &O::updates, 0, 1000),
          field("batch", &O::batch, 1, 1000),
          field("replay", &O::replay, 0, 1e6),
          field("ratio_clip", &O::ratio_clip, 0, 1e6),
          field("critic", &O::critic, 0, 10000),
          field("critic_share", &O::critic_share, 0, 1),
          field("critic_optimism", &O::critic_optimism, 0, 100),
          field("critic_in_flight", &O::critic_in_flight, 0, 10000),
          field("exploration", &O::exploration, 0, 1),
          field("redraw_exact", &O::redraw_exact, 0, 10000),
          field("learn_failures", &O::learn_failures, 0, 1),
          field("learn_refusals", &O::learn_refusals, 0, 1000)};
}

constexpr std::pair<const char*, Advantage> kAdvantages[]{
    {"none", Advantage::kReward},
    {"moving", Advantage::kMovingAverage},
    {"standardised", Advantage::kStandardised}};

}  // namespace

std::vector<std::string> controller_names() { return {"paper", "default"}; }

ControllerOptions controller_options(const std::string& name) {
  ControllerOptions options;
  if (name == "paper") {
    return options;
  }
  if (name == "default") {
    options.embedding = 48;
    options.hidden = 64;
    options.learning_rate = 0.003;
    options.advantage = Advantage::kStandardised;
    options.batch = 8;
    options.replay = 20;
    options.redraw_exact = 20;
    options.critic = 20;
    return options;
  }
  throw InvalidInput(fmt::format("controller: expected one of {}; got '{}'",
                                 fmt::join(controller_names(), ", "), name));
}

void set_controller_option(ControllerOptions& options, const std::string& name,
                           const std::string& value) {
  if (name == "baseline") {
    for (const auto& [text, advantage] : kAdvantages) {
      if (value != text) {
        continue;
      }
      options.advantage = advantage;
      return;
    }
    throw InvalidInput(
        fmt::format("baseline: expected none, moving or standardised; got '{}'", value));
  }
  const auto all = fields();
  const auto found =
      std::find_if(all.begin(), all.end(), [&](const Field& f) { return name == f.name; });
  if (found == all.end()) {
    std::vector<std::string> names{"baseline"};
    for (const Field& f : all) {
      names.push_back(f.name);
    }
    throw InvalidInput(fmt::format("controller option: expected one of {}; got '{}'",
                                   fmt::join(names, ", "), name));
  }
  double number = 0;
  const auto [end, error] = std::from_chars(value.data(), value.data() + value.size(), number);
  if (error != std::errc() || end != value.data() + value.size() || !(number >= found->low) ||
      !(number <= found->high) || (found->whole && number != std::floor(number))) {
    throw InvalidInput(fmt::format("controller {}: expected a{} number from {} to {}, got '{}'",
                                   name, found->whole ? " whole" : "", found->low, found->high,
                                   value));
  }
  found->set(options, number);
}

std::vector<std::pair<std::string, std::string>> describe(const ControllerOptions& options) {
  std::vector<std::pair<std::string, std::string>> text;
  for (const auto& [name, advantage] : kAdvantages) {
    if (options.advantage == advantage) {
      text.emplace_back("baseline", name);
    }
  }
  for (const Field& f : fields()) {
    text.emplace_back(f.name, fmt::format("{}", f.get(options)));
  }
  return text;
}

ControllerOptions controller_options(const StrategyOptions& options) {
  ControllerOptions form = controller_options(options.controller);
  if (!options.baseline.empty()) {
    set_controller_option(form, "baseline", options.baseline);
  }
  if (options.critic < -1) {
    throw InvalidInput(fmt::format("critic: expected 0 or more, got {}", options.critic));
  }
  if (options.critic >= 0) {
    form.critic = options.critic;
  }
  if (options.controller_form) {
    form = *options.controller_form;
  }
  if (options.name == "renas-frozen") {
    form.learn = false;
    form.critic = 0;
  }
  if (options.name == "renas-unidirectional") {
    form.bidirectional = false;
  }
  for (const auto& [name, value] : describe(form)) {
    set_controller_option(form, name, value);
  }
  return form;
}

}  // namespace renas
