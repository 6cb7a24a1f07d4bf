// The part of cuDNN's graph interface that computes one convolution, against cuDNN's own headers.
// Attributes are kept as they are set and read back when the convolution runs, so that a wrong
// stride, a swapped dimension or a missing beta shows in the result. Unlike the rest of the
// emulation this file is instrumented for ThreadSanitizer: what it reads and writes is what the
// device does.
#include <cudnn_graph.h>

#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "cuda_emulation/control.h"
#include "cuda_emulation/stream_work.h"
#include "fail.h"

struct cudnnContext {
  cudaStream_t stream = nullptr;
};

namespace {

/// The engines that the emulation pretends to have, in the order of its heuristics: all but the
/// last two break a rule that a backend may have.
struct Engine {
  std::int64_t index;
  std::vector<cudnnBackendNumericalNote_t> numerical;
  std::vector<cudnnBackendBehaviorNote_t> behavior;
  std::int64_t workspace;
  bool dilates;
  bool fallback;
};
const std::vector<Engine>& engines() {
  static const std::vector<Engine> all{
      {15, {}, {CUDNN_BEHAVIOR_NOTE_RUNTIME_COMPILATION}, 0, true, false},
      {14, {CUDNN_NUMERICAL_NOTE_NONDETERMINISTIC}, {}, 0, true, false},
      {13, {}, {}, std::int64_t{1} << 40, true, false},
      {12,
       {CUDNN_NUMERICAL_NOTE_TENSOR_CORE, CUDNN_NUMERICAL_NOTE_DOWN_CONVERT_INPUTS},
       {},
       0,
       true,
       false},
      {11, {}, {}, 4096, false, false},
      {0, {}, {}, 512, true, true},
  };
  return all;
}

struct Attribute {
  cudnnBackendAttributeType_t type{};
  std::int64_t count = 0;
  std::vector<unsigned char> bytes;
};

struct Descriptor {
  cudnnBackendDescriptorType_t type{};
  bool finalized = false;
  bool destroyed = false;
  std::map<int, Attribute> attributes;
  const Engine* engine = nullptr;  // of an engine or its configuration
  std::shared_ptr<int> alive = std::make_shared<int>(0);
};

/// All descriptors that ever were. Those that are destroyed keep their addresses, so that whoever
/// still uses one is seen.
struct Registry {
  std::mutex mutex;
  std::map<const void*, std::unique_ptr<Descriptor>> all;
};
Registry& registry() {
  static Registry& r = *new Registry;
  return r;
}

Descriptor& live(void* descriptor, const char* what) {
  Registry& r = registry();
  const std::lock_guard lock(r.mutex);
  const auto found = r.all.find(descriptor);
  if (found == r.all.end()) emulation::fail(std::string("cuDNN: ") + what + " does not exist");
  if (found->second->destroyed) {
    emulation::fail(std::string("cuDNN: ") + what + " was destroyed before its last use");
  }
  return *found->second;
}

template <class T>
T value_of(const Descriptor& d, int name, std::size_t index = 0) {
  T value{};
  std::memcpy(&value, d.attributes.at(name).bytes.data() + index * sizeof(T), sizeof(T));
  return value;
}
Descriptor& part_of(const Descriptor& d, int name, const char* what) {
  return live(value_of<void*>(d, name), what);
}

std::string& last_words() {
  thread_local std::string words;
  return words;
}
cudnnStatus_t refuse(cudnnStatus_t status, const std::string& words) {
  last_words() = words;
  return status;
}

std::size_t size_of(cudnnBackendAttributeType_t type) {
  switch (type) {
    case CUDNN_TYPE_INT64:
    case CUDNN_TYPE_DOUBLE:
    case CUDNN_TYPE_HANDLE:
    case CUDNN_TYPE_VOID_PTR:
    case CUDNN_TYPE_BACKEND_DESCRIPTOR:
      return 8;
    case CUDNN_TYPE_CHAR:
    case CUDNN_TYPE_BOOLEAN:
      return 1;
    default:
      return 4;
  }
}

/// What the three operations call their parts.
struct Names {
  int alpha, beta, window, x, w, y;
};
const Names kForward{CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_ALPHA,
                     CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_BETA,
                     CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_CONV_DESC,
                     CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_X,
                     CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_W,
                     CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_Y};
const Names kData{CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_ALPHA,
                  CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_BETA,
                  CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_CONV_DESC,
                  CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_DX,
                  CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_W,
                  CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_DY};
const Names kWeights{CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_ALPHA,
                     CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_BETA,
                     CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_CONV_DESC,
                     CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_X,
                     CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_DW,
                     CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_DY};
const Names* names_of(cudnnBackendDescriptorType_t type) {
  switch (type) {
    case CUDNN_BACKEND_OPERATION_CONVOLUTION_FORWARD_DESCRIPTOR:
      return &kForward;
    case CUDNN_BACKEND_OPERATION_CONVOLUTION_BACKWARD_DATA_DESCRIPTOR:
      return &kData;
    case CUDNN_BACKEND_OPERATION_CONVOLUTION_BACKWARD_FILTER_DESCRIPTOR:
      return &kWeights;
    default:
      return nullptr;
  }
}

std::vector<int> required(cudnnBackendDescriptorType_t type) {
  if (const Names* n = names_of(type)) return {n->alpha, n->beta, n->window, n->x, n->w, n->y};
  switch (type) {
    case CUDNN_BACKEND_TENSOR_DESCRIPTOR:
      return {CUDNN_ATTR_TENSOR_UNIQUE_ID, CUDNN_ATTR_TENSOR_DATA_TYPE,
              CUDNN_ATTR_TENSOR_BYTE_ALIGNMENT, CUDNN_ATTR_TENSOR_DIMENSIONS,
              CUDNN_ATTR_TENSOR_STRIDES};
    case CUDNN_BACKEND_CONVOLUTION_DESCRIPTOR:
      return {CUDNN_ATTR_CONVOLUTION_SPATIAL_DIMS,  CUDNN_ATTR_CONVOLUTION_COMP_TYPE,
              CUDNN_ATTR_CONVOLUTION_CONV_MODE,     CUDNN_ATTR_CONVOLUTION_PRE_PADDINGS,
              CUDNN_ATTR_CONVOLUTION_POST_PADDINGS, CUDNN_ATTR_CONVOLUTION_DILATIONS,
              CUDNN_ATTR_CONVOLUTION_FILTER_STRIDES};
    case CUDNN_BACKEND_OPERATIONGRAPH_DESCRIPTOR:
      return {CUDNN_ATTR_OPERATIONGRAPH_OPS};
    case CUDNN_BACKEND_ENGINEHEUR_DESCRIPTOR:
      return {CUDNN_ATTR_ENGINEHEUR_OPERATION_GRAPH, CUDNN_ATTR_ENGINEHEUR_MODE};
    case CUDNN_BACKEND_EXECUTION_PLAN_DESCRIPTOR:
      return {CUDNN_ATTR_EXECUTION_PLAN_ENGINE_CONFIG, CUDNN_ATTR_EXECUTION_PLAN_HANDLE};
    case CUDNN_BACKEND_VARIANT_PACK_DESCRIPTOR:
      return {CUDNN_ATTR_VARIANT_PACK_UNIQUE_IDS, CUDNN_ATTR_VARIANT_PACK_DATA_POINTERS,
              CUDNN_ATTR_VARIANT_PACK_WORKSPACE};
    default:
      return {};
  }
}

struct Tensor {
  bool bf16 = false;
  std::int64_t size[4] = {};
  std::int64_t stride[4] = {};
  char* data = nullptr;

  std::int64_t offset(std::int64_t a, std::int64_t b, std::int64_t c, std::int64_t d) const {
    return a * stride[0] + b * stride[1] + c * stride[2] + d * stride[3];
  }
  float get(std::int64_t i) const {
    if (!bf16) return reinterpret_cast<const float*>(data)[i];
    const std::uint32_t bits =
        static_cast<std::uint32_t>(reinterpret_cast<const std::uint16_t*>(data)[i]) << 16;
    return __builtin_bit_cast(float, bits);
  }
  void set(std::int64_t i, float value) const {
    if (!bf16) {
      reinterpret_cast<float*>(data)[i] = value;
      return;
    }
    const auto bits = __builtin_bit_cast(std::uint32_t, value);
    reinterpret_cast<std::uint16_t*>(data)[i] =
        value != value ? std::uint16_t{0x7fff}
                       : static_cast<std::uint16_t>((bits + 0x7fffU + (bits >> 16 & 1U)) >> 16);
  }
};

struct Convolution {
  cudnnBackendDescriptorType_t type{};
  Tensor x, w, y;
  std::int64_t stride[2], dilation[2], before[2], after[2];
  float alpha = 1, beta = 0;
  bool tensor_cores = false;

  float operand(float value) const {
    if (!tensor_cores || x.bf16) return value;
    return __builtin_bit_cast(
        float, (__builtin_bit_cast(std::uint32_t, value) + 0x1000U) & ~0x1fffU);  // TF32
  }
  void run() const;
};

/// Calls visit(image, output row, output column, kernel row, kernel column, row, column) for all
/// that meet.
template <class Visit>
void for_each_tap(const Convolution& c, const Visit& visit) {
  for (std::int64_t n = 0; n < c.y.size[0]; ++n) {
    for (std::int64_t i = 0; i < c.y.size[2]; ++i) {
      for (std::int64_t j = 0; j < c.y.size[3]; ++j) {
        for (std::int64_t u = 0; u < c.w.size[2]; ++u) {
          for (std::int64_t v = 0; v < c.w.size[3]; ++v) {
            const std::int64_t row = i * c.stride[0] + u * c.dilation[0] - c.before[0];
            const std::int64_t column = j * c.stride[1] + v * c.dilation[1] - c.before[1];
            if (row < 0 || row >= c.x.size[2] || column < 0 || column >= c.x.size[3]) continue;
            visit(n, i, j, u, v, row, column);
          }
        }
      }
    }
  }
}

void Convolution::run() const {
  const bool forward = type == CUDNN_BACKEND_OPERATION_CONVOLUTION_FORWARD_DESCRIPTOR;
  const bool to_data = type == CUDNN_BACKEND_OPERATION_CONVOLUTION_BACKWARD_DATA_DESCRIPTOR;
  const Tensor& result = forward ? y : to_data ? x : w;
  // Sums in float32 of all the result's numbers, [a][c][d][b].
  const std::int64_t* size = result.size;
  std::vector<float> sums(static_cast<std::size_t>(size[0] * size[1] * size[2] * size[3]));
  const auto place = [&](std::int64_t a, std::int64_t b, std::int64_t c, std::int64_t d) {
    return static_cast<std::size_t>(((a * size[2] + c) * size[3] + d) * size[1] + b);
  };
  for_each_tap(*this, [&](auto n, auto i, auto j, auto u, auto v, auto row, auto column) {
    for (std::int64_t o = 0; o < w.size[0]; ++o) {
      for (std::int64_t c = 0; c < w.size[1]; ++c) {
        const auto of_x = [&] { return operand(x.get(x.offset(n, c, row, column))); };
        const auto of_w = [&] { return operand(w.get(w.offset(o, c, u, v))); };
        const auto of_y = [&] { return operand(y.get(y.offset(n, o, i, j))); };
        if (forward) {
          sums[place(n, o, i, j)] += of_x() * of_w();
        } else if (to_data) {
          sums[place(n, c, row, column)] += of_y() * of_w();
        } else {
          sums[place(o, c, u, v)] += of_x() * of_y();
        }
      }
    }
  });
  for (std::int64_t a = 0; a < size[0]; ++a) {
    for (std::int64_t b = 0; b < size[1]; ++b) {
      for (std::int64_t c = 0; c < size[2]; ++c) {
        for (std::int64_t d = 0; d < size[3]; ++d) {
          const std::int64_t at = result.offset(a, b, c, d);
          const float sum = alpha * sums[place(a, b, c, d)];
          result.set(at, beta == 0 ? sum : sum + beta * result.get(at));
        }
      }
    }
  }
}

Tensor read_tensor(const Descriptor& d) {
  Tensor t;
  t.bf16 = value_of<cudnnDataType_t>(d, CUDNN_ATTR_TENSOR_DATA_TYPE) == CUDNN_DATA_BFLOAT16;
  for (std::size_t i = 0; i < 4; ++i) {
    t.size[i] = value_of<std::int64_t>(d, CUDNN_ATTR_TENSOR_DIMENSIONS, i);
    t.stride[i] = value_of<std::int64_t>(d, CUDNN_ATTR_TENSOR_STRIDES, i);
  }
  return t;
}

Convolution read_convolution(const Descriptor& operation) {
  const Names& n = *names_of(operation.type);
  Convolution c;
  c.type = operation.type;
  c.alpha = value_of<float>(operation, n.alpha);
  c.beta = value_of<float>(operation, n.beta);
  c.x = read_tensor(part_of(operation, n.x, "a tensor"));
  c.w = read_tensor(part_of(operation, n.w, "a tensor"));
  c.y = read_tensor(part_of(operation, n.y, "a tensor"));
  const Descriptor& window = part_of(operation, n.window, "a convolution");
  for (std::size_t i = 0; i < 2; ++i) {
    c.stride[i] = value_of<std::int64_t>(window, CUDNN_ATTR_CONVOLUTION_FILTER_STRIDES, i);
    c.dilation[i] = value_of<std::int64_t>(window, CUDNN_ATTR_CONVOLUTION_DILATIONS, i);
    c.before[i] = value_of<std::int64_t>(window, CUDNN_ATTR_CONVOLUTION_PRE_PADDINGS, i);
    c.after[i] = value_of<std::int64_t>(window, CUDNN_ATTR_CONVOLUTION_POST_PADDINGS, i);
  }
  return c;
}

/// Empty if the tensors fit together.
std::string find_mismatch(const Convolution& c) {
  if (c.x.bf16 != c.w.bf16 || c.x.bf16 != c.y.bf16) return "no engine for tensors of several types";
  if (c.x.size[0] != c.y.size[0] || c.x.size[1] != c.w.size[1] || c.y.size[1] != c.w.size[0]) {
    return "the tensors' images or channels differ";
  }
  for (std::size_t i = 0; i < 2; ++i) {
    const std::int64_t room =
        c.x.size[2 + i] + c.before[i] + c.after[i] - c.dilation[i] * (c.w.size[2 + i] - 1) - 1;
    if (room < 0 || c.y.size[2 + i] != room / c.stride[i] + 1)
      return "the output's size is not that of the convolution";
  }
  for (const Tensor* t : {&c.x, &c.w, &c.y}) {
    if (t->stride[1] != 1 || t->stride[3] < t->size[1])
      return "no engine for tensors that are not NHWC";
  }
  return "";
}

}  // namespace

extern "C" {

size_t cudnnGetVersion() {
  const std::size_t version = emulation::planned().cudnn;
  return version == 0 ? CUDNN_VERSION : version;
}
size_t cudnnGetCudartVersion() { return 0; }

cudnnStatus_t cudnnCreate(cudnnHandle_t* handle) {
  if (emulation::refuse_in_capture("cudnnCreate") != cudaSuccess) {
    return refuse(CUDNN_STATUS_INTERNAL_ERROR, "cudnnCreate while a stream is captured");
  }
  *handle = new cudnnContext;
  return CUDNN_STATUS_SUCCESS;
}
cudnnStatus_t cudnnDestroy(cudnnHandle_t handle) {
  delete handle;
  return CUDNN_STATUS_SUCCESS;
}
cudnnStatus_t cudnnSetStream(cudnnHandle_t handle, cudaStream_t stream) {
  handle->stream = stream;
  return CUDNN_STATUS_SUCCESS;
}
cudnnStatus_t cudnnGetStream(cudnnHandle_t handle, cudaStream_t* stream) {
  *stream = handle->stream;
  return CUDNN_STATUS_SUCCESS;
}
const char* cudnnGetErrorString(cudnnStatus_t status) {
  switch (status) {
    case CUDNN_STATUS_SUCCESS:
      return "CUDNN_STATUS_SUCCESS";
    case CUDNN_STATUS_BAD_PARAM:
      return "CUDNN_STATUS_BAD_PARAM";
    case CUDNN_STATUS_NOT_SUPPORTED:
      return "CUDNN_STATUS_NOT_SUPPORTED";
    case CUDNN_STATUS_EXECUTION_FAILED:
      return "CUDNN_STATUS_EXECUTION_FAILED";
    default:
      return "CUDNN_STATUS_INTERNAL_ERROR";
  }
}
void cudnnGetLastErrorString(char* to, size_t size) {
  std::snprintf(to, size, "%s", last_words().c_str());
}

cudnnStatus_t cudnnBackendCreateDescriptor(cudnnBackendDescriptorType_t type,
                                           cudnnBackendDescriptor_t* to) {
  auto d = std::make_unique<Descriptor>();
  d->type = type;
  d->finalized =
      type == CUDNN_BACKEND_ENGINE_DESCRIPTOR || type == CUDNN_BACKEND_ENGINECFG_DESCRIPTOR;
  Registry& r = registry();
  const std::lock_guard lock(r.mutex);
  *to = d.get();
  r.all[*to] = std::move(d);
  return CUDNN_STATUS_SUCCESS;
}

cudnnStatus_t cudnnBackendDestroyDescriptor(cudnnBackendDescriptor_t descriptor) {
  Descriptor& d = live(descriptor, "a descriptor");
  d.destroyed = true;
  d.attributes.clear();
  d.alive.reset();
  return CUDNN_STATUS_SUCCESS;
}

cudnnStatus_t cudnnBackendSetAttribute(cudnnBackendDescriptor_t descriptor,
                                       cudnnBackendAttributeName_t name,
                                       cudnnBackendAttributeType_t type, int64_t count,
                                       const void* values) {
  Descriptor& d = live(descriptor, "a descriptor");
  if (d.finalized)
    return refuse(CUDNN_STATUS_NOT_INITIALIZED,
                  "an attribute is set after its descriptor was finalised");
  if (type == CUDNN_TYPE_BACKEND_DESCRIPTOR) {
    for (int64_t i = 0; i < count; ++i) {
      if (!live(static_cast<void* const*>(values)[i], "a descriptor").finalized) {
        return refuse(CUDNN_STATUS_BAD_PARAM, "a descriptor that is not finalised");
      }
    }
  }
  const auto* bytes = static_cast<const unsigned char*>(values);
  d.attributes[name] = {
      type, count, {bytes, bytes + static_cast<std::size_t>(count) * size_of(type)}};
  return CUDNN_STATUS_SUCCESS;
}

cudnnStatus_t cudnnBackendFinalize(cudnnBackendDescriptor_t descriptor) {
  Descriptor& d = live(descriptor, "a descriptor");
  const std::vector<int> wanted = required(d.type);
  if (wanted.empty())
    return refuse(CUDNN_STATUS_NOT_SUPPORTED,
                  "a descriptor of a kind that the emulation does not know");
  for (const int name : wanted) {
    if (d.attributes.count(name) == 0) {
      return refuse(CUDNN_STATUS_BAD_PARAM, "attribute " + std::to_string(name) + " is missing");
    }
  }
  if (names_of(d.type) != nullptr) {
    const std::string mismatch = find_mismatch(read_convolution(d));
    if (!mismatch.empty()) return refuse(CUDNN_STATUS_BAD_PARAM, mismatch);
  }
  if (d.type == CUDNN_BACKEND_EXECUTION_PLAN_DESCRIPTOR) {
    const Descriptor& config =
        part_of(d, CUDNN_ATTR_EXECUTION_PLAN_ENGINE_CONFIG, "an engine's configuration");
    const Descriptor& graph =
        part_of(config, CUDNN_ATTR_ENGINEHEUR_OPERATION_GRAPH, "an operation graph");
    const Convolution c =
        read_convolution(part_of(graph, CUDNN_ATTR_OPERATIONGRAPH_OPS, "an operation"));
    if (!config.engine->dilates && (c.dilation[0] > 1 || c.dilation[1] > 1)) {
      return refuse(CUDNN_STATUS_NOT_SUPPORTED, "engine 11 does not dilate");
    }
  }
  d.finalized = true;
  return CUDNN_STATUS_SUCCESS;
}

cudnnStatus_t cudnnBackendGetAttribute(cudnnBackendDescriptor_t descriptor,
                                       cudnnBackendAttributeName_t name,
                                       cudnnBackendAttributeType_t, int64_t room, int64_t* count,
                                       void* values) {
  Descriptor& d = live(descriptor, "a descriptor");
  if (!d.finalized)
    return refuse(CUDNN_STATUS_NOT_INITIALIZED,
                  "an attribute is read before its descriptor was finalised");
  *count = 1;
  switch (name) {
    case CUDNN_ATTR_ENGINEHEUR_RESULTS: {
      const bool fallback = value_of<cudnnBackendHeurMode_t>(d, CUDNN_ATTR_ENGINEHEUR_MODE) ==
                            CUDNN_HEUR_MODE_FALLBACK;
      *count = 0;
      for (const Engine& engine : engines()) {
        if (engine.fallback != fallback) continue;
        if (*count < room) {
          Descriptor& config = live(static_cast<void**>(values)[*count], "a configuration");
          config.engine = &engine;
          config.attributes[CUDNN_ATTR_ENGINEHEUR_OPERATION_GRAPH] =
              d.attributes.at(CUDNN_ATTR_ENGINEHEUR_OPERATION_GRAPH);
        }
        ++*count;
      }
      return CUDNN_STATUS_SUCCESS;
    }
    case CUDNN_ATTR_ENGINECFG_ENGINE:
      live(*static_cast<void**>(values), "an engine").engine = d.engine;
      return CUDNN_STATUS_SUCCESS;
    case CUDNN_ATTR_ENGINE_GLOBAL_INDEX:
      *static_cast<int64_t*>(values) = d.engine->index;
      return CUDNN_STATUS_SUCCESS;
    case CUDNN_ATTR_ENGINE_NUMERICAL_NOTE:
      *count = static_cast<int64_t>(d.engine->numerical.size());
      std::copy(d.engine->numerical.begin(), d.engine->numerical.end(),
                static_cast<cudnnBackendNumericalNote_t*>(values));
      return CUDNN_STATUS_SUCCESS;
    case CUDNN_ATTR_ENGINE_BEHAVIOR_NOTE:
      *count = static_cast<int64_t>(d.engine->behavior.size());
      std::copy(d.engine->behavior.begin(), d.engine->behavior.end(),
                static_cast<cudnnBackendBehaviorNote_t*>(values));
      return CUDNN_STATUS_SUCCESS;
    case CUDNN_ATTR_EXECUTION_PLAN_WORKSPACE_SIZE:
      *static_cast<int64_t*>(values) =
          part_of(d, CUDNN_ATTR_EXECUTION_PLAN_ENGINE_CONFIG, "an engine's configuration")
              .engine->workspace;
      return CUDNN_STATUS_SUCCESS;
    default:
      return refuse(CUDNN_STATUS_NOT_SUPPORTED, "an attribute that the emulation does not know");
  }
}

cudnnStatus_t cudnnBackendExecute(cudnnHandle_t handle, cudnnBackendDescriptor_t of_plan,
                                  cudnnBackendDescriptor_t of_pack) {
  if (handle == nullptr) return refuse(CUDNN_STATUS_NOT_INITIALIZED, "no handle");
  const Descriptor& plan = live(of_plan, "a plan");
  const Descriptor& pack = live(of_pack, "a variant pack");
  if (!plan.finalized || !pack.finalized)
    return refuse(CUDNN_STATUS_NOT_INITIALIZED, "a plan or a pack that is not finalised");
  const Descriptor& config =
      part_of(plan, CUDNN_ATTR_EXECUTION_PLAN_ENGINE_CONFIG, "an engine's configuration");
  const Descriptor& graph =
      part_of(config, CUDNN_ATTR_ENGINEHEUR_OPERATION_GRAPH, "an operation graph");
  const Descriptor& operation = part_of(graph, CUDNN_ATTR_OPERATIONGRAPH_OPS, "an operation");
  Convolution c = read_convolution(operation);
  c.tensor_cores = !config.engine->numerical.empty() &&
                   config.engine->numerical[0] == CUDNN_NUMERICAL_NOTE_TENSOR_CORE;
  const Names& names = *names_of(operation.type);
  const auto ids =
      static_cast<std::size_t>(pack.attributes.at(CUDNN_ATTR_VARIANT_PACK_UNIQUE_IDS).count);
  const std::pair<int, Tensor*> tensors[] = {{names.x, &c.x}, {names.w, &c.w}, {names.y, &c.y}};
  for (const auto& [name, tensor] : tensors) {
    const Descriptor& of_tensor = part_of(operation, name, "a tensor");
    const auto id = value_of<int64_t>(of_tensor, CUDNN_ATTR_TENSOR_UNIQUE_ID);
    for (std::size_t i = 0; i < ids; ++i) {
      if (value_of<int64_t>(pack, CUDNN_ATTR_VARIANT_PACK_UNIQUE_IDS, i) != id) continue;
      tensor->data = value_of<char*>(pack, CUDNN_ATTR_VARIANT_PACK_DATA_POINTERS, i);
    }
    const auto alignment = value_of<int64_t>(of_tensor, CUDNN_ATTR_TENSOR_BYTE_ALIGNMENT);
    if (tensor->data == nullptr)
      return refuse(CUDNN_STATUS_BAD_PARAM, "a tensor without an address");
    if (reinterpret_cast<std::uintptr_t>(tensor->data) % static_cast<std::uintptr_t>(alignment) !=
        0) {
      return refuse(CUDNN_STATUS_BAD_PARAM, "an address that is not aligned as its tensor says");
    }
  }
  auto* workspace = value_of<unsigned char*>(pack, CUDNN_ATTR_VARIANT_PACK_WORKSPACE);
  const auto bytes = static_cast<std::size_t>(config.engine->workspace);
  if (workspace == nullptr && bytes > 0) return refuse(CUDNN_STATUS_BAD_PARAM, "no workspace");
  const cudaError_t e = emulation::enqueue(
      handle->stream, [c, workspace, bytes, alive = std::weak_ptr<int>(plan.alive)] {
        if (alive.expired())
          emulation::fail("cuDNN: a plan was destroyed before the work or the graph that runs it");
        for (std::size_t i = 0; i < bytes; ++i) workspace[i] = 0xff;
        c.run();
      });
  return e == cudaSuccess ? CUDNN_STATUS_SUCCESS
                          : refuse(CUDNN_STATUS_EXECUTION_FAILED, "the stream took no work");
}

}  // extern "C"
