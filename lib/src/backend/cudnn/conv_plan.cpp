#include "backend/cudnn/conv_plan.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "renas/error.h"

namespace renas::cudnn {

namespace {

std::string last_words() {
  char words[1024] = "";
  cudnnGetLastErrorString(words, sizeof words);
  return words;
}

// Who is who in a plan.
constexpr std::int64_t kX = 1;
constexpr std::int64_t kW = 2;
constexpr std::int64_t kY = 3;
constexpr std::int64_t kAlignment = 16;

cudnnDataType_t type_of(Precision precision) {
  return precision == Precision::kBfloat16 ? CUDNN_DATA_BFLOAT16 : CUDNN_DATA_FLOAT;
}

/// A tensor whose dimensions are named [n, c, h, w] and lie in memory as [n, h, w, c].
CudnnDescriptor tensor(std::int64_t id, cudnnDataType_t type, std::int64_t n, std::int64_t c,
                       std::int64_t h, std::int64_t w, std::int64_t pitch) {
  CudnnDescriptor d(CUDNN_BACKEND_TENSOR_DESCRIPTOR);
  d.set(CUDNN_ATTR_TENSOR_UNIQUE_ID, {id})
      .set(CUDNN_ATTR_TENSOR_DATA_TYPE, CUDNN_TYPE_DATA_TYPE, 1, &type)
      .set(CUDNN_ATTR_TENSOR_BYTE_ALIGNMENT, {kAlignment})
      .set(CUDNN_ATTR_TENSOR_DIMENSIONS, {n, c, h, w})
      .set(CUDNN_ATTR_TENSOR_STRIDES, {h * w * pitch, 1, w * pitch, pitch})
      .finalize();
  return d;
}

CudnnDescriptor window_of(const Window& window) {
  CudnnDescriptor d(CUDNN_BACKEND_CONVOLUTION_DESCRIPTOR);
  const cudnnDataType_t sums = CUDNN_DATA_FLOAT;
  const cudnnConvolutionMode_t mode = CUDNN_CROSS_CORRELATION;
  d.set(CUDNN_ATTR_CONVOLUTION_SPATIAL_DIMS, {2})
      .set(CUDNN_ATTR_CONVOLUTION_COMP_TYPE, CUDNN_TYPE_DATA_TYPE, 1, &sums)
      .set(CUDNN_ATTR_CONVOLUTION_CONV_MODE, CUDNN_TYPE_CONVOLUTION_MODE, 1, &mode)
      .set(CUDNN_ATTR_CONVOLUTION_PRE_PADDINGS, {window.padding_top, window.padding_left})
      .set(CUDNN_ATTR_CONVOLUTION_POST_PADDINGS, {window.padding_bottom, window.padding_right})
      .set(CUDNN_ATTR_CONVOLUTION_DILATIONS, {window.dilation, window.dilation})
      .set(CUDNN_ATTR_CONVOLUTION_FILTER_STRIDES, {window.stride_height, window.stride_width})
      .finalize();
  return d;
}

/// The names that a direction's operation has for its parts.
struct OperationNames {
  cudnnBackendDescriptorType_t type;
  cudnnBackendAttributeName_t alpha, beta, window, x, w, y;
};

const OperationNames& names_of(ConvDirection direction) {
  static constexpr OperationNames kForward{CUDNN_BACKEND_OPERATION_CONVOLUTION_FORWARD_DESCRIPTOR,
                                           CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_ALPHA,
                                           CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_BETA,
                                           CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_CONV_DESC,
                                           CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_X,
                                           CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_W,
                                           CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_Y};
  static constexpr OperationNames kDataGradient{
      CUDNN_BACKEND_OPERATION_CONVOLUTION_BACKWARD_DATA_DESCRIPTOR,
      CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_ALPHA,
      CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_BETA,
      CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_CONV_DESC,
      CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_DX,
      CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_W,
      CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_DY};
  static constexpr OperationNames kWeightGradient{
      CUDNN_BACKEND_OPERATION_CONVOLUTION_BACKWARD_FILTER_DESCRIPTOR,
      CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_ALPHA,
      CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_BETA,
      CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_CONV_DESC,
      CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_X,
      CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_DW,
      CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_DY};
  switch (direction) {
    case ConvDirection::kDataGradient:
      return kDataGradient;
    case ConvDirection::kWeightGradient:
      return kWeightGradient;
    default:
      return kForward;
  }
}

template <class Note>
std::vector<Note> notes_of(cudnnBackendDescriptor_t engine, cudnnBackendAttributeName_t name,
                           cudnnBackendAttributeType_t type, std::size_t most) {
  std::vector<Note> notes(most);
  std::int64_t count = 0;
  check(cudnnBackendGetAttribute(engine, name, type, static_cast<std::int64_t>(most), &count,
                                 notes.data()),
        "reading an engine's notes");
  notes.resize(static_cast<std::size_t>(count));
  return notes;
}

}  // namespace

void check(cudnnStatus_t status, const char* what) {
  if (status == CUDNN_STATUS_SUCCESS) return;
  throw Error(
      fmt::format("cuDNN: {} failed: {} ({})", what, cudnnGetErrorString(status), last_words()));
}

CudnnHandle::CudnnHandle() {
  cudnnHandle_t handle = nullptr;
  check(cudnnCreate(&handle), "making a handle");
  handle_.reset(handle);
}

std::string to_string(const ConvShape& s) {
  const char* const direction = s.direction == ConvDirection::kForward ? ""
                                : s.direction == ConvDirection::kDataGradient
                                    ? "data gradient of "
                                    : "weight gradient of ";
  const Window& w = s.window;
  return fmt::format(
      "{}{}x{}, {} > {}, {}x{}x{}, stride {}x{}, dilation {}, padding {},{},{},{}, {}", direction,
      w.kernel_height, w.kernel_width, s.in_channels, s.out_channels, s.batch, s.height, s.width,
      w.stride_height, w.stride_width, w.dilation, w.padding_top, w.padding_bottom, w.padding_left,
      w.padding_right, renas::to_string(s.precision));
}

CudnnDescriptor::CudnnDescriptor(cudnnBackendDescriptorType_t type) {
  cudnnBackendDescriptor_t descriptor = nullptr;
  check(cudnnBackendCreateDescriptor(type, &descriptor), "making a descriptor");
  descriptor_.reset(descriptor);
}

CudnnDescriptor& CudnnDescriptor::set(cudnnBackendAttributeName_t name,
                                      cudnnBackendAttributeType_t type, std::int64_t count,
                                      const void* values) {
  check(cudnnBackendSetAttribute(get(), name, type, count, values), "setting an attribute");
  return *this;
}

CudnnDescriptor& CudnnDescriptor::set(cudnnBackendAttributeName_t name,
                                      const CudnnDescriptor& value) {
  cudnnBackendDescriptor_t descriptor = value.get();
  return set(name, CUDNN_TYPE_BACKEND_DESCRIPTOR, 1, &descriptor);
}

CudnnDescriptor& CudnnDescriptor::set(cudnnBackendAttributeName_t name,
                                      const std::vector<std::int64_t>& values) {
  return set(name, CUDNN_TYPE_INT64, static_cast<std::int64_t>(values.size()), values.data());
}

CudnnDescriptor& CudnnDescriptor::finalize() {
  check(cudnnBackendFinalize(get()), "finalising a descriptor");
  return *this;
}

bool is_allowed(const ConvEngine& engine, Precision precision) {
  const auto numerical = [&](cudnnBackendNumericalNote_t note) {
    return std::find(engine.numerical_notes.begin(), engine.numerical_notes.end(), note) !=
           engine.numerical_notes.end();
  };
  const auto& behavior = engine.behavior_notes;
  if (std::find(behavior.begin(), behavior.end(), CUDNN_BEHAVIOR_NOTE_RUNTIME_COMPILATION) !=
      behavior.end())
    return false;
  if (numerical(CUDNN_NUMERICAL_NOTE_NONDETERMINISTIC)) return false;
  if (precision != Precision::kFloat32) return true;
  return !numerical(CUDNN_NUMERICAL_NOTE_TENSOR_CORE) &&
         !numerical(CUDNN_NUMERICAL_NOTE_DOWN_CONVERT_INPUTS) &&
         !numerical(CUDNN_NUMERICAL_NOTE_REDUCED_PRECISION_REDUCTION) &&
         !numerical(CUDNN_NUMERICAL_NOTE_FFT) && !numerical(CUDNN_NUMERICAL_NOTE_WINOGRAD) &&
         !numerical(CUDNN_NUMERICAL_NOTE_WINOGRAD_TILE_4x4) &&
         !numerical(CUDNN_NUMERICAL_NOTE_WINOGRAD_TILE_6x6) &&
         !numerical(CUDNN_NUMERICAL_NOTE_WINOGRAD_TILE_13x13);
}

/// An engine with its settings, as the heuristics rank it.
struct ConvPlan::Candidate {
  CudnnDescriptor config{CUDNN_BACKEND_ENGINECFG_DESCRIPTOR};
  ConvEngine engine;
};

std::vector<ConvPlan::Candidate> ConvPlan::candidates(const CudnnDescriptor& graph,
                                                      cudnnBackendHeurMode_t mode) const {
  CudnnDescriptor heuristics(CUDNN_BACKEND_ENGINEHEUR_DESCRIPTOR);
  heuristics.set(CUDNN_ATTR_ENGINEHEUR_OPERATION_GRAPH, graph)
      .set(CUDNN_ATTR_ENGINEHEUR_MODE, CUDNN_TYPE_HEUR_MODE, 1, &mode);
#if CUDNN_VERSION >= 90800
  if (card_) heuristics.set(CUDNN_ATTR_ENGINEHEUR_DEVICEPROP, *card_);
#endif
  heuristics.finalize();
  std::int64_t count = 0;
  check(cudnnBackendGetAttribute(heuristics.get(), CUDNN_ATTR_ENGINEHEUR_RESULTS,
                                 CUDNN_TYPE_BACKEND_DESCRIPTOR, 0, &count, nullptr),
        "counting engines");
  std::vector<Candidate> all(static_cast<std::size_t>(count));
  std::vector<cudnnBackendDescriptor_t> configs;
  for (const Candidate& candidate : all) configs.push_back(candidate.config.get());
  check(cudnnBackendGetAttribute(heuristics.get(), CUDNN_ATTR_ENGINEHEUR_RESULTS,
                                 CUDNN_TYPE_BACKEND_DESCRIPTOR, count, &count, configs.data()),
        "listing engines");
  all.resize(static_cast<std::size_t>(count));
  for (Candidate& candidate : all) {
    const CudnnDescriptor engine(CUDNN_BACKEND_ENGINE_DESCRIPTOR);
    cudnnBackendDescriptor_t found = engine.get();
    check(cudnnBackendGetAttribute(candidate.config.get(), CUDNN_ATTR_ENGINECFG_ENGINE,
                                   CUDNN_TYPE_BACKEND_DESCRIPTOR, 1, &count, &found),
          "reading an engine");
    check(cudnnBackendGetAttribute(found, CUDNN_ATTR_ENGINE_GLOBAL_INDEX, CUDNN_TYPE_INT64, 1,
                                   &count, &candidate.engine.index),
          "reading an engine's index");
    candidate.engine.numerical_notes = notes_of<cudnnBackendNumericalNote_t>(
        found, CUDNN_ATTR_ENGINE_NUMERICAL_NOTE, CUDNN_TYPE_NUMERICAL_NOTE,
        CUDNN_NUMERICAL_NOTE_TYPE_COUNT);
    candidate.engine.behavior_notes = notes_of<cudnnBackendBehaviorNote_t>(
        found, CUDNN_ATTR_ENGINE_BEHAVIOR_NOTE, CUDNN_TYPE_BEHAVIOR_NOTE,
        CUDNN_BEHAVIOR_NOTE_TYPE_COUNT);
  }
  return all;
}

ConvPlan::ConvPlan(const ConvShape& s, const ConvTarget& target, const std::string& layer) {
  std::string words;  // cuDNN's, about the last engine that was refused
  try {
    if (target.handle == nullptr) {
#if CUDNN_VERSION >= 90800
      card_ = std::make_unique<CudnnDescriptor>(CUDNN_BACKEND_DEVICEPROP_DESCRIPTOR);
      card_->set(CUDNN_ATTR_DEVICEPROP_JSON_REPRESENTATION, CUDNN_TYPE_CHAR,
                 static_cast<std::int64_t>(target.described_card.size()),
                 target.described_card.data());
      card_->finalize();
#else
      throw Error("a card can be described to cuDNN 9.8 and newer only");
#endif
    }
    const renas::Shape out = s.window.output({s.in_channels, s.height, s.width});
    const cudnnDataType_t type = type_of(s.precision);
    const Window& window = s.window;
    parts_.push_back(window_of(window));
    parts_.push_back(tensor(kX, type, s.batch, s.in_channels, s.height, s.width, s.in_pitch));
    parts_.push_back(tensor(kW, type, s.out_channels, s.in_channels, window.kernel_height,
                            window.kernel_width, s.in_channels));
    parts_.push_back(tensor(kY, type, s.batch, s.out_channels, out.height, out.width, s.out_pitch));
    const OperationNames& names = names_of(s.direction);
    const float alpha = 1;
    const float beta = s.adds ? 1 : 0;
    parts_.emplace_back(names.type);
    parts_.back()
        .set(names.window, parts_[0])
        .set(names.x, parts_[1])
        .set(names.w, parts_[2])
        .set(names.y, parts_[3])
        .set(names.alpha, CUDNN_TYPE_FLOAT, 1, &alpha)
        .set(names.beta, CUDNN_TYPE_FLOAT, 1, &beta)
        .finalize();
    CudnnDescriptor graph(CUDNN_BACKEND_OPERATIONGRAPH_DESCRIPTOR);
    graph.set(CUDNN_ATTR_OPERATIONGRAPH_OPS, parts_.back());
#if CUDNN_VERSION < 90800
    graph.set(CUDNN_ATTR_OPERATIONGRAPH_HANDLE, CUDNN_TYPE_HANDLE, 1, &target.handle);
#endif
    graph.finalize();
    parts_.push_back(std::move(graph));

    for (const cudnnBackendHeurMode_t mode : {CUDNN_HEUR_MODE_A, CUDNN_HEUR_MODE_FALLBACK}) {
      for (Candidate& candidate : candidates(parts_.back(), mode)) {
        if (!is_allowed(candidate.engine, s.precision)) continue;
        auto plan = std::make_unique<CudnnDescriptor>(CUDNN_BACKEND_EXECUTION_PLAN_DESCRIPTOR);
        plan->set(CUDNN_ATTR_EXECUTION_PLAN_ENGINE_CONFIG, candidate.config);
        if (target.handle != nullptr) {
          plan->set(CUDNN_ATTR_EXECUTION_PLAN_HANDLE, CUDNN_TYPE_HANDLE, 1, &target.handle);
        }
#if CUDNN_VERSION >= 90800
        if (card_) plan->set(CUDNN_ATTR_EXECUTION_PLAN_DEVICEPROP, *card_);
#endif
        if (cudnnBackendFinalize(plan->get()) != CUDNN_STATUS_SUCCESS) {
          words = last_words();
          continue;
        }
        std::int64_t bytes = 0;
        std::int64_t count = 0;
        check(cudnnBackendGetAttribute(plan->get(), CUDNN_ATTR_EXECUTION_PLAN_WORKSPACE_SIZE,
                                       CUDNN_TYPE_INT64, 1, &count, &bytes),
              "reading a plan's workspace");
        if (bytes > target.max_workspace_bytes) {
          words =
              fmt::format("engine {} needs {} bytes of workspace", candidate.engine.index, bytes);
          continue;
        }
        engine_ = std::move(candidate.engine);
        workspace_bytes_ = bytes;
        parts_.push_back(std::move(candidate.config));
        plan_ = std::move(plan);
        return;
      }
    }
  } catch (const Error& e) {
    throw Unsupported(fmt::format("{}: cuDNN has no {}: {}", layer, to_string(s), e.what()));
  }
  throw Unsupported(
      fmt::format("{}: cuDNN has no {} that is deterministic, keeps the precision, is not compiled "
                  "at run time and needs at most "
                  "{} bytes of workspace. Its last words: {}",
                  layer, to_string(s), target.max_workspace_bytes, words.empty() ? "none" : words));
}

void ConvPlan::execute(cudnnHandle_t handle, cudaStream_t stream, const void* x, const void* w,
                       const void* y, void* workspace) const {
  check(cudnnSetStream(handle, stream), "choosing cuDNN's stream");
  const void* const pointers[] = {x, w, y};
  CudnnDescriptor pack(CUDNN_BACKEND_VARIANT_PACK_DESCRIPTOR);
  pack.set(CUDNN_ATTR_VARIANT_PACK_UNIQUE_IDS, {kX, kW, kY})
      .set(CUDNN_ATTR_VARIANT_PACK_DATA_POINTERS, CUDNN_TYPE_VOID_PTR, 3, pointers)
      .set(CUDNN_ATTR_VARIANT_PACK_WORKSPACE, CUDNN_TYPE_VOID_PTR, 1, &workspace)
      .finalize();
  check(cudnnBackendExecute(handle, plan_->get(), pack.get()), "running a convolution");
}

}  // namespace renas::cudnn
