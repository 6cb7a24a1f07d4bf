// Faults in the use of cuDNN, as planted.cu: `planted-cudnn-TOOL NAME`, or `none`.
#include <cstdio>
#include <string>
#include <utility>

#include "backend/cudnn/conv_plan.h"
#include "device_array.h"

namespace renas {
// The registry of backends, which has this, is not linked.
const char* to_string(Precision precision) {
  return precision == Precision::kBfloat16 ? "bf16" : "f32";
}
}  // namespace renas

using namespace renas;
using namespace renas::cudnn;
using renas::test::DeviceArray;
using renas::test::must;
using renas::test::TestStream;

namespace {

void set(CudnnDescriptor& d, cudnnBackendAttributeName_t name, void* value) {
  d.set(name, CUDNN_TYPE_BACKEND_DESCRIPTOR, 1, &value);
}

/// An engine's configuration that is gone before the plan that was made of it is used.
void free_configuration_early(cudnnHandle_t handle) {
  const cudnnDataType_t type = CUDNN_DATA_FLOAT;
  CudnnDescriptor graph(CUDNN_BACKEND_OPERATIONGRAPH_DESCRIPTOR);
  {
    CudnnDescriptor tensor(CUDNN_BACKEND_TENSOR_DESCRIPTOR);
    tensor.set(CUDNN_ATTR_TENSOR_UNIQUE_ID, {1})
        .set(CUDNN_ATTR_TENSOR_DATA_TYPE, CUDNN_TYPE_DATA_TYPE, 1, &type)
        .set(CUDNN_ATTR_TENSOR_BYTE_ALIGNMENT, {16})
        .set(CUDNN_ATTR_TENSOR_DIMENSIONS, {1, 8, 1, 1})
        .set(CUDNN_ATTR_TENSOR_STRIDES, {8, 1, 8, 8})
        .finalize();
    set(graph, CUDNN_ATTR_OPERATIONGRAPH_OPS, tensor.get());
    graph.finalize();
  }
  const cudnnBackendHeurMode_t mode = CUDNN_HEUR_MODE_A;
  CudnnDescriptor heuristics(CUDNN_BACKEND_ENGINEHEUR_DESCRIPTOR);
  heuristics.set(CUDNN_ATTR_ENGINEHEUR_OPERATION_GRAPH, graph)
      .set(CUDNN_ATTR_ENGINEHEUR_MODE, CUDNN_TYPE_HEUR_MODE, 1, &mode)
      .finalize();
  const CudnnDescriptor configuration(CUDNN_BACKEND_ENGINECFG_DESCRIPTOR);
  cudnnBackendDescriptor_t found = configuration.get();
  std::int64_t count = 0;
  check(cudnnBackendGetAttribute(heuristics.get(), CUDNN_ATTR_ENGINEHEUR_RESULTS,
                                 CUDNN_TYPE_BACKEND_DESCRIPTOR, 1, &count, &found),
        "listing engines");
  CudnnDescriptor plan(CUDNN_BACKEND_EXECUTION_PLAN_DESCRIPTOR);
  plan.set(CUDNN_ATTR_EXECUTION_PLAN_ENGINE_CONFIG, configuration)
      .set(CUDNN_ATTR_EXECUTION_PLAN_HANDLE, CUDNN_TYPE_HANDLE, 1, &handle)
      .finalize();
}

void run(const std::string& fault) {
  const TestStream stream;
  const CudnnHandle handle;
  if (fault == "descriptor-freed-early") free_configuration_early(handle.get());
  const ConvShape shape{ConvDirection::kForward, Precision::kFloat32, false, 1, 4, 4, 8, 8, 8, 8,
                        Window::same(3)};
  auto plan = std::make_unique<ConvPlan>(shape, ConvTarget{handle.get(), ""});
  const auto bytes = static_cast<std::size_t>(plan->workspace_bytes());
  const DeviceArray<float> x(std::vector<float>(128, 1)), w(std::vector<float>(576, 1)), y(128);
  const DeviceArray<char> workspace(fault == "workspace-too-small" ? bytes - 8 : bytes);
  plan->execute(handle.get(), stream, x.data(), w.data(), y.data(), workspace.data());
  if (fault == "plan-freed-early") plan.reset();
  const TestStream other;
  if (fault == "convolution-not-waited-for") {
    must(cudaMemsetAsync(y.data(), 0, y.bytes(), other));
    other.wait();
  }
  stream.wait();
  if (y.read()[0] != 32) std::printf("wrong values\n");
}

}  // namespace

int main(int argc, char** argv) {
  const std::string fault = argc == 2 ? argv[1] : "";
  run(fault);
  if (fault == "none") std::printf("right\n");
}
