// renas-bench predict: how long a trained network takes to name the class of a picture.

#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <chrono>
#include <cstdio>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <thread>
#include <vector>

#include "bench/bench.h"
#include "renas/model.h"
#include "renas/predictor.h"

namespace {

using Clock = std::chrono::steady_clock;

struct Options {
  std::string model;
  double seconds = 2;
  int threads = 2;
  bool json = false;
};

double seconds_since(Clock::time_point start) {
  return std::chrono::duration<double>(Clock::now() - start).count();
}

renas::Image picture_for(const renas::Model& model) {
  renas::Image image;
  image.shape = model.network.image;
  uint32_t x = 1;
  for (int64_t i = 0; i < image.shape.size(); ++i) {
    image.pixels.push_back(static_cast<uint8_t>((x = x * 1664525 + 1013904223) >> 24));
  }
  return image;
}

/// The seconds of single predictions, one after the other for so many seconds.
std::vector<double> latencies(renas::Predictor& predictor, const renas::Image& picture,
                              double seconds) {
  std::vector<double> all;
  for (const auto begin = Clock::now(); seconds_since(begin) < seconds;) {
    const auto one = Clock::now();
    predictor.scores(picture);
    all.push_back(seconds_since(one));
  }
  std::sort(all.begin(), all.end());
  return all;
}

/// Predictions a second of so many threads, each with a Predictor of its own.
double throughput(const renas::Model& model, const renas::Image& picture, const Options& options) {
  std::vector<renas::Predictor> predictors;
  for (int i = 0; i < options.threads; ++i) predictors.emplace_back(model);
  std::vector<std::size_t> done(predictors.size());
  const auto begin = Clock::now();
  {
    std::vector<std::jthread> threads;
    for (std::size_t i = 0; i < predictors.size(); ++i) {
      threads.emplace_back(
          [&, i] { done[i] = latencies(predictors[i], picture, options.seconds).size(); });
    }
  }
  std::size_t sum = 0;
  for (const std::size_t count : done) sum += count;
  return static_cast<double>(sum) / seconds_since(begin);
}

void bench(const Options& options) {
  const auto begin = Clock::now();
  const renas::Model model = renas::load_model(options.model);
  renas::Predictor predictor(model);
  const renas::Image picture = picture_for(model);
  const double ready = seconds_since(begin);
  predictor.scores(picture);
  const double first = seconds_since(begin);
  const std::vector<double> times = latencies(predictor, picture, options.seconds);
  const double median = times[times.size() / 2];
  const double most = times[times.size() * 99 / 100];
  const double rate = throughput(model, picture, options);
  if (options.json) {
    const nlohmann::json result = {{"ready_seconds", ready},     {"first_seconds", first},
                                   {"latency_seconds", median},  {"latency_99_seconds", most},
                                   {"threads", options.threads}, {"images_per_second", rate}};
    fmt::print("{}\n", result.dump());
    return;
  }
  fmt::print("{}: pictures of {}, one at a time\n", options.model, to_string(picture.shape));
  fmt::print("model read and compiled after {:.3f} s, first prediction after {:.3f} s\n", ready,
             first);
  fmt::print("{:.3f} ms a prediction on one thread (median of {}; 99 of 100 within {:.3f} ms)\n",
             1e3 * median, times.size(), 1e3 * most);
  fmt::print("{:.0f} predictions a second on {} threads, each by itself\n", rate, options.threads);
}

}  // namespace

void add_predict_bench(CLI::App& app) {
  auto options = std::make_shared<Options>();
  CLI::App* sub = app.add_subcommand(
      "predict", "How long a trained network takes to name the class of a picture");
  sub->add_option("model", options->model, "A model as of renas-search or renas-train")
      ->required()
      ->check(CLI::ExistingFile);
  sub->add_option("--seconds", options->seconds, "How long each figure is measured")
      ->check(CLI::Range(0.01, 1e4));
  sub->add_option("--threads", options->threads, "Threads of the last figure")
      ->check(CLI::Range(1, 1024));
  sub->add_flag("--json", options->json, "Print JSON");
  sub->callback([options] { bench(*options); });
}
