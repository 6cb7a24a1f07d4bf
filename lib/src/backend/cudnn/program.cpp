#include "backend/cudnn/program.h"

#include <algorithm>

#include "backend/contract.h"
#include "renas/error.h"

namespace renas::cudnn {

namespace {

/// Scores of pixels are many: of as many images as 4 MiB hold, and of one at least.
int images_at_a_time(const plan::Map& scores, int batch) {
  constexpr std::size_t kFloats = std::size_t{1} << 20;
  return static_cast<int>(
      std::clamp(kFloats / scores.size(), std::size_t{1}, static_cast<std::size_t>(batch)));
}

}  // namespace

GpuProgram::GpuProgram(const Graph& graph, const ProgramOptions& options,
                       std::shared_ptr<GpuContext> context)
    : options_(options),
      context_((use_device(context->device), std::move(context))),
      network_(graph, options, context_->streams, &context_->plans),
      labels_per_image_(contract::labels_per_image(network_.graph())),
      score_images_(images_at_a_time(stored_scores().map, options.batch)),
      streams_(network_.make_streams()),
      stream_(streams_.first()) {
  Layout measured;
  network_.bind(measured);
  block_ = context_->device_blocks.take(measured.bytes());
  Layout layout(block_.data(), measured);
  network_.bind(layout);
  layout.upload();
  Layout host_measured;
  lay_out_host(host_measured);
  pinned_ = context_->pinned_blocks.take(host_measured.bytes());
  Layout host(pinned_.data(), host_measured);
  lay_out_host(host);
  launch_ = {stream_.get(), context_->cudnn.get(), network_.state(), options_.batch,
             context_->tensor_cores};
  network_.clear(stream_);
}

GpuProgram::~GpuProgram() {
  // Work that still runs uses the block. An error here has been or will be reported elsewhere.
  cudaSetDevice(context_->device);
  cudaStreamSynchronize(stream_.get());
  context_->device_blocks.put_back(std::move(block_));
  context_->pinned_blocks.put_back(std::move(pinned_));
}

int GpuProgram::classes() const {
  return network_.graph().node(network_.graph().scores()).shape.channels;
}

const plan::Stored& GpuProgram::stored_scores() const {
  return network_.plan().stored[static_cast<std::size_t>(network_.plan().scores)];
}

void GpuProgram::lay_out_host(Layout& layout) {
  const auto batch = static_cast<std::size_t>(options_.batch);
  for (const Node& node : network_.graph().nodes()) {
    if (node.kind != NodeKind::kInput) continue;
    const auto size = static_cast<std::size_t>(node.shape.size()) * batch;
    host_.batch.images = {layout.take<float>(size), size};
  }
  const std::size_t labels = batch * labels_per_image_;
  host_.batch.labels = {layout.take<int32_t>(labels), labels};
  host_.state = layout.take<StepState>(1);
  host_.metrics = layout.take<MetricSums>(1);
  host_.scores =
      layout.take<float>(static_cast<std::size_t>(score_images_) * stored_scores().map.size());
}

HostBatch& GpuProgram::staging() {
  copied_.wait();
  return host_.batch;
}

void GpuProgram::copy_batch(const StepScalars& step) {
  copied_.wait();
  const HostBatch& batch = host_.batch;
  const auto images = static_cast<std::size_t>(batch.count);
  const std::size_t labels = images * labels_per_image_;
  const int64_t counted = contract::counted_labels(batch.labels, static_cast<int64_t>(labels));
  *host_.state = {step.seed, step.step, step.drop_path, batch.count,
                  std::max(1, static_cast<int>(counted))};
  const auto copy = [&](void* to, const void* from, std::size_t bytes) {
    check(cudaMemcpyAsync(to, from, bytes, cudaMemcpyHostToDevice, stream_.get()),
          "copying a batch to the GPU");
  };
  const std::size_t image = batch.images.size_bytes() / static_cast<std::size_t>(options_.batch);
  copy(network_.images(), batch.images.data(), images * image);
  copy(network_.labels(), batch.labels.data(), labels * sizeof(int32_t));
  copy(network_.state(), host_.state, sizeof(StepState));
  copied_.record(stream_);
}

void GpuProgram::run(bool training) {
  const std::lock_guard lock(context_->launching);
  if (!packed_is_current_) network_.pack_weights(launch_);
  packed_is_current_ = true;
  const auto work = [&] { network_.run(launch_, streams_, training); };
  const int kind = training ? 1 : 0;
  if (context_->graphs && ran_[kind]) {
    if (!recordings_[kind]) recordings_[kind] = Recording::record(stream_, work);
    return recordings_[kind].launch(stream_);
  }
  work();
  ran_[kind] = true;
}

void GpuProgram::gradients(const StepScalars& step) {
  if (!options_.training) {
    throw InvalidInput("cudnn backend: gradients() of a program compiled for inference");
  }
  use_device(context_->device);
  contract::check_batch(host_.batch, options_.batch, classes(), true, labels_per_image_);
  copy_batch(step);
  run(true);
}

void GpuProgram::infer(std::span<float> scores) {
  use_device(context_->device);
  contract::check_batch(host_.batch, options_.batch, classes(), false);
  contract::check_scores(scores, host_.batch.count, classes(), labels_per_image_);
  // Inference needs no labels, so they may be anything.
  copy_batch({});
  run(false);
  float* to = scores.data();
  for (int first = 0; first < host_.batch.count; first += score_images_) {
    to = fetch_scores(first, std::min(score_images_, host_.batch.count - first), to);
  }
}

float* GpuProgram::fetch_scores(int first, int images, float* to) {
  const plan::Map& map = stored_scores().map;
  const std::size_t numbers = static_cast<std::size_t>(images) * map.size();
  check(cudaMemcpyAsync(host_.scores,
                        network_.scores() + static_cast<std::size_t>(first) * map.size(),
                        numbers * sizeof(float), cudaMemcpyDeviceToHost, stream_.get()),
        "copying scores from the GPU");
  stream_.wait();
  for (std::size_t at = 0; at < numbers; at += static_cast<std::size_t>(map.channels)) {
    to = std::copy_n(host_.scores + at, classes(), to);
  }
  return to;
}

void GpuProgram::update(const SgdStep& step) {
  use_device(context_->device);
  contract::parameter_rates(network_.graph(), options_, step);  // which checks them
  network_.parameters().update(launch_, step);
  packed_is_current_ = false;
}

void GpuProgram::reduce(Reducer& reducer, int ranks) {
  use_device(context_->device);
  network_.parameters().reduce(launch_, stream_, reducer, ranks);
}

StepMetrics GpuProgram::metrics() {
  use_device(context_->device);
  const StepMemory& step = network_.step();
  check(cudaMemcpyAsync(host_.metrics, step.metrics, sizeof(MetricSums), cudaMemcpyDeviceToHost,
                        stream_.get()),
        "copying metrics from the GPU");
  check(cudaMemsetAsync(step.metrics, 0, sizeof(MetricSums), stream_.get()), "clearing metrics");
  stream_.wait();
  return {host_.metrics->loss, host_.metrics->correct, host_.metrics->count};
}

void GpuProgram::load(const Weights& host) {
  use_device(context_->device);
  network_.parameters().load(host, stream_);
  packed_is_current_ = false;
}

Weights GpuProgram::save(bool momenta) const {
  use_device(context_->device);
  return network_.parameters().save(momenta, stream_);
}

Weights GpuProgram::gradients_by_name() const {
  use_device(context_->device);
  return network_.parameters().gradients_by_name(stream_);
}

int64_t GpuProgram::bytes(const Graph& graph, const ProgramOptions& options, int streams) {
  GpuNetwork network(graph, options, streams);
  Layout measured;
  network.bind(measured);
  return static_cast<int64_t>(measured.bytes());
}

}  // namespace renas::cudnn
