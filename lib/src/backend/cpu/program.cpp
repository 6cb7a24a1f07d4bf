#include "backend/cpu/program.h"

#include <algorithm>
#include <chrono>
#include <utility>

#include "backend/contract.h"
#include "backend/cpu/kernels/args.h"
#include "backend/cpu/lower.h"
#include "backend/cpu/onednn/tile_product.h"
#include "backend/cpu/roofline.h"
#include "renas/error.h"

namespace renas::cpu {

namespace {

/// Times a scope by the clock and keeps the shortest time in `seconds`, since other work on the
/// machine can only lengthen it. (The processor time of other threads is known only to a tick.)
class Stopwatch {
  using Clock = std::chrono::steady_clock;

 public:
  Stopwatch(bool on, double& seconds) : seconds_(on ? &seconds : nullptr) {
    if (on) start_ = Clock::now();
  }
  ~Stopwatch() {
    if (seconds_ == nullptr) return;
    const double seconds = std::chrono::duration<double>(Clock::now() - start_).count();
    *seconds_ = *seconds_ == 0 ? seconds : std::min(*seconds_, seconds);
  }
  Stopwatch(const Stopwatch&) = delete;
  Stopwatch& operator=(const Stopwatch&) = delete;

 private:
  double* seconds_;
  Clock::time_point start_;
};

/// Calls task(first, last) for pieces of [0, count), one a thread.
template <class Task>
void in_pieces(Threads& threads, std::size_t count, const Task& task) {
  constexpr std::size_t kFew = 2048;  // less is not worth waking a thread
  if (count == 0) return;
  const std::size_t pieces = count < kFew ? 1 : threads.count();
  threads.run(static_cast<int>(pieces), [&](int piece, int) {
    const std::size_t i = piece;
    task(i * count / pieces, (i + 1) * count / pieces);
  });
}

/// Checks before anything is allocated.
const Graph& checked(const Graph& graph, const ProgramOptions& options) {
  contract::check_program(graph, options);
  return graph;
}

int classes_of(const Graph& graph) { return graph.node(graph.scores()).shape.channels; }

}  // namespace

CpuProgram::CpuProgram(const Graph& graph, const ProgramOptions& options,
                       std::shared_ptr<ArenaCache> cache)
    : arena_cache_(std::move(cache)),
      graph_(checked(graph, options)),
      per_image_(contract::labels_per_image(graph_)),
      options_(options),
      plan_(plan::make_plan(graph_, plan_options(options))),
      parameters_(graph_, options.training),
      norms_(graph_, plan_, parameters_, options.batch, options.frozen_statistics),
      // Every kernel writes whole maps, padding included, before anyone reads them.
      arena_(arena_cache_->take(plan_.arena)),
      views_(plan_, arena_.data(), norms_.coefficients()),
      groups_(lower({graph_, plan_, views_, parameters_, options_})),
      times_(groups_.size()),
      threads_(options.threads) {
  for (const Node& node : graph_.nodes()) {
    if (node.kind != NodeKind::kInput) continue;
    images_ = Buffer(node.shape.size() * options_.batch);
  }
  labels_.resize(options_.batch * per_image_);
  staging_ = {{images_.data(), images_.size()}, labels_, 0};
  allocate_step_memory();
}

CpuProgram::~CpuProgram() { arena_cache_->put_back(std::move(arena_)); }

void CpuProgram::allocate_step_memory() {
  std::size_t packed = 0;
  for (const auto& group : groups_) {
    packed += group->packed_floats();
    partial_size_ = std::max(partial_size_, aligned(group->partial_floats()));
    scratch_size_ = std::max(scratch_size_, aligned(group->scratch_floats()));
  }
  packed_ = Buffer(packed);
  float* next = packed_.data();
  for (const auto& group : groups_) {
    group->place_weights(next);
    next += group->packed_floats();
  }
  const std::size_t ranges = std::min(kImageRanges, options_.batch);
  // The first of the partial sums is where the others are added up.
  if (options_.training) partials_ = Buffer(partial_size_ * (ranges + 1));
  scratch_ = Buffer(scratch_size_ * options_.threads);
}

StepContext CpuProgram::context(bool training, const StepScalars& step) {
  return {training, step, staging_.count, images_.data(), labels_.data(), &metrics_};
}

void CpuProgram::gradients(const StepScalars& scalars) {
  if (!options_.training) {
    throw InvalidInput("cpu backend: gradients() of a program compiled for inference");
  }
  contract::check_batch(staging_, options_.batch, classes_of(graph_), true, per_image_);
  const StepContext step = context(true, scalars);
  forward(step);
  for (std::size_t i = groups_.size(); i-- > 0;) {
    FusedGroup& group = *groups_[i];
    const Stopwatch watch(profiling_, times_[i].backward);
    if (group.norm() >= 0 && plan_.norms[group.norm()].has_gradient) {
      norms_.backward(group.norm(), group.out(), views_, step.count, threads_);
    }
    if (group.group().backward) run_backward(group, step);
  }
}

void CpuProgram::infer(std::span<float> scores) {
  const int classes = classes_of(graph_);
  contract::check_batch(staging_, options_.batch, classes, false);
  contract::check_scores(scores, staging_.count, classes, per_image_);
  forward(context(false, {}));
  const plan::Stored& stored = plan_.stored[plan_.scores];
  const float* from = arena_.data() + stored.offset;
  const std::size_t pixels = staging_.count * per_image_;
  for (std::size_t p = 0; p < pixels; ++p, from += stored.map.channels) {
    std::copy_n(from, classes, scores.data() + p * classes);
  }
}

void CpuProgram::forward(const StepContext& step) {
  pack_weights();
  norms_.prepare(step.training);
  for (std::size_t i = 0; i < groups_.size(); ++i) {
    if (!step.training && !groups_[i]->group().scores) continue;
    const Stopwatch watch(profiling_, times_[i].forward);
    run_forward(*groups_[i], step);
  }
}

void CpuProgram::run_forward(FusedGroup& group, const StepContext& step) {
  if (group.on_whole_batch()) {
    return group.run_forward({0, step.count, 0, 0}, step, scratch(0), nullptr);
  }
  const bool statistics_wanted = group.norm() >= 0 && step.training;
  const int ranges = for_each_image_range(threads_, step.count, [&](const ImageRange& range) {
    float* sums = statistics_wanted ? norms_.clear_sums(group.norm(), range) : nullptr;
    group.run_forward(range, step, scratch(range.thread), sums);
  });
  if (statistics_wanted) norms_.finish_statistics(group.norm(), ranges, step.count);
}

void CpuProgram::run_backward(FusedGroup& group, const StepContext& step) {
  if (group.on_whole_batch()) {
    return group.backward({0, step.count, 0, 0}, step, scratch(0), nullptr);
  }
  const int ranges = for_each_image_range(threads_, step.count, [&](const ImageRange& range) {
    float* partial = partials_.data() + (range.index + 1) * partial_size_;
    std::fill_n(partial, group.partial_floats(), 0.0F);
    group.backward(range, step, scratch(range.thread), partial);
  });
  reduce_weight_gradients(group, ranges);
  for (const NormSums& sums : group.norm_sums()) {
    norms_.reduce_sums(sums.norm, partials_.data() + partial_size_ + sums.offset, partial_size_,
                       ranges);
  }
  group.finish_backward(step);
}

void CpuProgram::reduce_weight_gradients(const FusedGroup& group, int ranges) {
  float* total = partials_.data();
  for (const plan::WeightMap& map : group.weights().maps) {
    float* gradient = parameters_.gradient(map.parameter);
    in_pieces(threads_, map.element.size(), [&](std::size_t first, std::size_t last) {
      const std::size_t begin = map.forward[first];
      const std::size_t size = map.forward[last - 1] + 1 - begin;
      std::fill_n(total + begin, size, 0.0F);
      add_partials(total + partial_size_ + begin, partial_size_, ranges, size, total + begin);
      for (std::size_t i = first; i < last; ++i) {
        gradient[map.element[i]] += total[map.forward[i]];
      }
    });
  }
}

void CpuProgram::pack_weights() {
  if (packed_is_current_) return;
  threads_.run(static_cast<int>(groups_.size()), [&](int g, int) { groups_[g]->pack_weights(); });
  for (const auto& group : groups_) group->set_product_weights();
  packed_is_current_ = true;
}

void CpuProgram::update(const SgdStep& step) {
  parameters_.update(step, contract::parameter_rates(graph_, options_, step), threads_);
  packed_is_current_ = false;
}

StepMetrics CpuProgram::metrics() { return std::exchange(metrics_, StepMetrics{}); }

void CpuProgram::load(const Weights& host) {
  parameters_.load(host);
  packed_is_current_ = false;
}

std::optional<Roofline> CpuProgram::roofline(int images) const {
  const MachinePeaks machine(options_.threads);
  return Roofline{step_seconds(graph_, groups_, images, machine), machine.peak_flops(),
                  machine.peak_bf16_flops()};
}

namespace {

/// What a plan's convolutions need besides maps and parameters, in floats: copies of the weights
/// that oneDNN multiplies by, and the partial sums of the widest group.
std::size_t product_floats(const Graph& graph, const plan::Plan& plan,
                           const ProgramOptions& options) {
  std::size_t products = 0;
  std::size_t widest = 0;
  for (const plan::Group& group : plan.groups) {
    if (group.kind != plan::Group::Kind::kConv) continue;
    const int columns = plan.stored[group.out].map.channels;
    std::size_t weights = 0;
    for (std::size_t k = 0; k < group.terms.size(); ++k) {
      const Node& conv = graph.node(group.terms[k].conv);
      const WindowArgs w = plan::window_of(conv, graph.node(conv.inputs[0]).shape);
      const int channels = plan.stored[plan.values[group.parts[k].value].stored].map.channels;
      const int depth = w.height * w.width * channels;
      weights += static_cast<std::size_t>(depth) * columns;
      if (TileProduct::pays(depth, columns)) {
        products += (options.training ? 2 : 1) * static_cast<std::size_t>(depth) * columns;
      }
    }
    widest = std::max(widest, weights);
  }
  const std::size_t ranges = std::min(kImageRanges, options.batch);
  return products + (options.training ? (ranges + 1) * widest : 0);
}

}  // namespace

int64_t CpuProgram::bytes(const Graph& graph, const ProgramOptions& options) {
  const plan::Plan plan = plan::make_plan(graph, plan_options(options));
  std::size_t floats = plan.arena + product_floats(graph, plan, options);
  for (const Parameter& p : graph.parameters()) {
    // Weights, gradients, momenta, and two packed copies; with bfloat16 kernels two more at half
    // size. Three indices say where each weight is packed.
    floats += (options.training ? 8 : 5) * p.size();
    if (options.precision == Precision::kBfloat16) floats += p.size();
  }
  for (const Node& node : graph.nodes()) {
    if (node.kind == NodeKind::kInput) {
      floats += node.shape.size() * options.batch;
    }
  }
  floats += contract::labels_per_image(graph) * options.batch;
  return static_cast<int64_t>(floats * sizeof(float));
}

}  // namespace renas::cpu
