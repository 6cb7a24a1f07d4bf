// Convolutions by cuDNN's graph interface, run on the emulated cuDNN against plain loops.
#include "backend/cudnn/conv_plan.h"

#include <bit>
#include <boost/test/unit_test.hpp>
#include <cmath>

#include "backend/cuda_emulation/device_array.h"
#include "backend/cudnn/plan_cache.h"
#include "cuda_emulation/control.h"
#include "renas/error.h"

using namespace renas;
using namespace renas::cudnn;
using renas::test::DeviceArray;
using renas::test::must;
using renas::test::TestStream;

namespace {

struct Machine {
  Machine() { emulation::restart(); }
};

using Values = std::vector<float>;

std::size_t size_of_map(int batch, const Shape& shape, int pitch) {
  return static_cast<std::size_t>(batch) *
         static_cast<std::size_t>(shape.height * shape.width * pitch);
}

Values ramp(std::size_t size, std::size_t step) {
  Values values(size);
  for (std::size_t i = 0; i < size; ++i)
    values[i] = static_cast<float>(i * step % 31) / 8 - 2;  // exact in bfloat16
  return values;
}

std::vector<std::uint16_t> to_bf16(const Values& values) {
  std::vector<std::uint16_t> bits;
  for (const float v : values)
    bits.push_back(static_cast<std::uint16_t>(std::bit_cast<std::uint32_t>(v) >> 16));
  return bits;
}
Values from_bf16(const std::vector<std::uint16_t>& bits) {
  Values values;
  for (const std::uint16_t b : bits) values.push_back(std::bit_cast<float>(std::uint32_t{b} << 16));
  return values;
}

struct Operands {
  Values x, w, y;
  Values& result(ConvDirection d) {
    return d == ConvDirection::kForward ? y : d == ConvDirection::kDataGradient ? x : w;
  }
};

Operands operands(const ConvShape& s) {
  const Shape in{s.in_channels, s.height, s.width};
  const Window& window = s.window;
  return {ramp(size_of_map(s.batch, in, s.in_pitch), 7),
          ramp(static_cast<std::size_t>(s.out_channels * window.kernel_height *
                                        window.kernel_width * s.in_channels),
               5),
          ramp(size_of_map(s.batch, window.output(in), s.out_pitch), 11)};
}

/// What the convolution means.
Values expected(const ConvShape& s, Operands o) {
  const Window& window = s.window;
  const Shape out = window.output({s.in_channels, s.height, s.width});
  Values& result = o.result(s.direction);
  Values sums(result.size(), 0);
  for (int n = 0; n < s.batch; ++n) {
    for (int i = 0; i < out.height; ++i) {
      for (int j = 0; j < out.width; ++j) {
        for (int u = 0; u < window.kernel_height; ++u) {
          for (int v = 0; v < window.kernel_width; ++v) {
            const int row = i * window.stride_height + u * window.dilation - window.padding_top;
            const int column = j * window.stride_width + v * window.dilation - window.padding_left;
            if (row < 0 || row >= s.height || column < 0 || column >= s.width) continue;
            for (int k = 0; k < s.out_channels; ++k) {
              for (int c = 0; c < s.in_channels; ++c) {
                const int x = ((n * s.height + row) * s.width + column) * s.in_pitch + c;
                const int w =
                    ((k * window.kernel_height + u) * window.kernel_width + v) * s.in_channels + c;
                const int y = ((n * out.height + i) * out.width + j) * s.out_pitch + k;
                if (s.direction == ConvDirection::kForward) sums[y] += o.x[x] * o.w[w];
                if (s.direction == ConvDirection::kDataGradient) sums[x] += o.y[y] * o.w[w];
                if (s.direction == ConvDirection::kWeightGradient) sums[w] += o.x[x] * o.y[y];
              }
            }
          }
        }
      }
    }
  }
  // Numbers between the pitches are nobody's.
  const bool is_map = s.direction != ConvDirection::kWeightGradient;
  const int pitch = s.direction == ConvDirection::kForward ? s.out_pitch : s.in_pitch;
  const int channels = s.direction == ConvDirection::kForward ? s.out_channels : s.in_channels;
  for (std::size_t i = 0; i < sums.size(); ++i) {
    if (is_map && static_cast<int>(i) % pitch >= channels) continue;
    result[i] = s.adds ? result[i] + sums[i] : sums[i];
  }
  return result;
}

template <class T, class To, class From>
Values run(const ConvShape& s, const ConvPlan& plan, const CudnnHandle& handle, cudaStream_t stream,
           Operands o, const To& to, const From& from) {
  const DeviceArray<T> x(to(o.x)), w(to(o.w)), y(to(o.y));
  const DeviceArray<char> workspace(
      static_cast<std::size_t>(std::max<std::int64_t>(plan.workspace_bytes(), 1)));
  plan.execute(handle.get(), stream, x.data(), w.data(), y.data(), workspace.data());
  must(cudaStreamSynchronize(stream));
  return from((s.direction == ConvDirection::kForward        ? y
               : s.direction == ConvDirection::kDataGradient ? x
                                                             : w)
                  .read());
}

Values run(const ConvShape& s) {
  const TestStream stream;
  const CudnnHandle handle;
  const ConvPlan plan(s, {handle.get(), ""}, "test");
  const auto same = [](const Values& v) { return v; };
  if (s.precision == Precision::kFloat32)
    return run<float>(s, plan, handle, stream, operands(s), same, same);
  return run<std::uint16_t>(s, plan, handle, stream, operands(s), to_bf16, from_bf16);
}

std::vector<ConvShape> shapes() {
  Window uneven;
  uneven.kernel_height = 2;
  uneven.kernel_width = 5;
  uneven.stride_height = 1;
  uneven.stride_width = 2;
  uneven.padding_top = 1;
  uneven.padding_left = 3;
  uneven.padding_right = 1;
  std::vector<ConvShape> all;
  for (const auto direction :
       {ConvDirection::kForward, ConvDirection::kDataGradient, ConvDirection::kWeightGradient}) {
    for (const Window& window :
         {Window::same(3), Window::same(3, 2), Window::same(3, 1, 2), Window::same(1), uneven}) {
      for (const bool adds : {false, true}) {
        all.push_back({direction, Precision::kFloat32, adds, 2, 5, 7, 3, 8, 4, 16, window});
        all.push_back({direction, Precision::kBfloat16, adds, 2, 5, 7, 8, 8, 8, 8, window});
      }
    }
  }
  return all;
}

}  // namespace

BOOST_FIXTURE_TEST_SUITE(cudnn_plans, Machine)

BOOST_AUTO_TEST_CASE(convolutions_are_what_plain_loops_say) {
  for (const ConvShape& shape : shapes()) {
    BOOST_TEST_CONTEXT(to_string(shape) << (shape.adds ? ", adds" : "")) {
      const Values found = run(shape);
      const Values right = expected(shape, operands(shape));
      BOOST_REQUIRE(found.size() == right.size());
      const float tolerance = shape.precision == Precision::kFloat32 ? 1e-5F : 0.005F;
      for (std::size_t i = 0; i < found.size(); ++i) {
        BOOST_REQUIRE(std::abs(found[i] - right[i]) <=
                      tolerance * std::max(1.0F, std::abs(right[i])));
      }
    }
  }
}

BOOST_AUTO_TEST_CASE(engines_that_break_a_rule_are_passed_over) {
  const CudnnHandle handle;
  ConvShape shape{ConvDirection::kForward, Precision::kFloat32, false, 2, 5, 7, 8, 8, 8, 8,
                  Window::same(3)};
  BOOST_TEST(ConvPlan(shape, {handle.get(), ""}).engine().index ==
             11);  // 15 to 12 compile, vary, need room or round
  shape.precision = Precision::kBfloat16;
  BOOST_TEST(ConvPlan(shape, {handle.get(), ""}).engine().index == 12);
  shape.precision = Precision::kFloat32;
  shape.window = Window::same(3, 1, 2);
  BOOST_TEST(ConvPlan(shape, {handle.get(), ""}).engine().index ==
             0);  // which mode A does not list
  BOOST_CHECK_THROW(ConvPlan(shape, {handle.get(), "", 100}, "a layer"), Unsupported);
}

BOOST_AUTO_TEST_CASE(a_convolution_is_captured_and_replayed) {
  const TestStream stream;
  const CudnnHandle handle;
  const ConvShape shape{ConvDirection::kForward, Precision::kFloat32, true, 1, 1, 1, 8, 8, 8, 8,
                        Window::same(1)};
  PlanCache plans({handle.get(), ""});
  const auto plan = plans.get(shape, "test");
  BOOST_TEST(plans.get(shape, "test") == plan);
  const DeviceArray<float> x(Values(8, 1)), w(Values(64, 1)), y(Values(8, 0));
  const DeviceArray<char> workspace(static_cast<std::size_t>(plan->workspace_bytes()));
  must(cudaStreamBeginCapture(stream, cudaStreamCaptureModeThreadLocal));
  plan->execute(handle.get(), stream, x.data(), w.data(), y.data(), workspace.data());
  cudaGraph_t graph = nullptr;
  must(cudaStreamEndCapture(stream, &graph));
  cudaGraphExec_t instance = nullptr;
  must(cudaGraphInstantiate(&instance, graph, 0));
  must(cudaGraphDestroy(graph));
  for (int i = 0; i < 3; ++i) must(cudaGraphLaunch(instance, stream));
  stream.wait();
  BOOST_TEST(y.read() == Values(8, 24), boost::test_tools::per_element());
  must(cudaGraphExecDestroy(instance));
}

BOOST_AUTO_TEST_CASE(addresses_must_be_aligned) {
  const TestStream stream;
  const CudnnHandle handle;
  const ConvShape shape{ConvDirection::kForward, Precision::kFloat32, false, 1, 1, 1, 8, 8, 8, 8,
                        Window::same(1)};
  const ConvPlan plan(shape, {handle.get(), ""});
  const DeviceArray<float> x(9), w(64), y(8);
  const DeviceArray<char> workspace(static_cast<std::size_t>(plan.workspace_bytes()));
  BOOST_CHECK_THROW(
      plan.execute(handle.get(), stream, x.data() + 1, w.data(), y.data(), workspace.data()),
      Error);
}

BOOST_AUTO_TEST_SUITE_END()
