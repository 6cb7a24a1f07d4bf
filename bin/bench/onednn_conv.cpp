#include "bench/onednn_conv.h"

#include <fmt/format.h>
#include <omp.h>

#include <algorithm>
#include <chrono>
#include <oneapi/dnnl/dnnl.hpp>
#include <unordered_map>
#include <vector>

#include "backend/cpu/onednn/convolution_desc.h"

namespace {

using dnnl::memory;

using renas::cpu::backward_desc;
using renas::cpu::Descriptors;
using renas::cpu::forward_desc;

/// Memory filled with ones: zeros and denormals have speeds of their own.
memory filled(const memory::desc& desc, const dnnl::engine& engine) {
  memory m(desc, engine);
  auto* data = static_cast<float*>(m.get_data_handle());
  std::fill_n(data, desc.get_size() / sizeof(float), 1.0F);
  return m;
}

double best_seconds(const dnnl::primitive& primitive, dnnl::stream& stream,
                    const std::unordered_map<int, memory>& arguments) {
  double best = 1e9;
  for (int i = 0; i < 6; ++i) {
    const auto start = std::chrono::steady_clock::now();
    primitive.execute(stream, arguments);
    stream.wait();
    const std::chrono::duration<double> taken = std::chrono::steady_clock::now() - start;
    best = std::min(best, taken.count());
  }
  return best;
}

}  // namespace

std::string onednn_version() {
  const dnnl_version_t* v = dnnl_version();
  return fmt::format("{}.{}.{}", v->major, v->minor, v->patch);
}

OneDnnTimes time_onednn(const OneDnnConv& c, int threads) {
  omp_set_num_threads(threads);
  const dnnl::engine engine(dnnl::engine::kind::cpu, 0);
  dnnl::stream stream(engine);
  const renas::Window& w = c.window;
  const renas::Shape out = w.output({c.in, c.height, c.width});
  const auto desc = [](const memory::dims& dims) {
    return memory::desc(dims, memory::data_type::f32, memory::format_tag::any);
  };
  Descriptors d;
  d.in = desc({c.batch, c.in, c.height, c.width});
  d.out = desc({c.batch, c.out, out.height, out.width});
  d.weights =
      c.groups == 1
          ? desc({c.out, c.in, w.kernel_height, w.kernel_width})
          : desc({c.groups, c.out / c.groups, c.in / c.groups, w.kernel_height, w.kernel_width});
  d.strides = {w.stride_height, w.stride_width};
  d.dilation = {w.dilation - 1, w.dilation - 1};  // oneDNN counts from 0
  d.padding = {w.padding_top, w.padding_left};
  d.padding_after = {w.padding_bottom, w.padding_right};

  OneDnnTimes times;
  const auto forward = forward_desc(engine, d);
  times.forward = best_seconds(dnnl::convolution_forward(forward), stream,
                               {{DNNL_ARG_SRC, filled(forward.src_desc(), engine)},
                                {DNNL_ARG_WEIGHTS, filled(forward.weights_desc(), engine)},
                                {DNNL_ARG_DST, filled(forward.dst_desc(), engine)}});
  const auto data = backward_desc<dnnl::convolution_backward_data>(engine, d, forward);
  times.backward_data = best_seconds(dnnl::convolution_backward_data(data), stream,
                                     {{DNNL_ARG_DIFF_SRC, filled(data.diff_src_desc(), engine)},
                                      {DNNL_ARG_WEIGHTS, filled(data.weights_desc(), engine)},
                                      {DNNL_ARG_DIFF_DST, filled(data.diff_dst_desc(), engine)}});
  const auto weights = backward_desc<dnnl::convolution_backward_weights>(engine, d, forward);
  times.backward_weights =
      best_seconds(dnnl::convolution_backward_weights(weights), stream,
                   {{DNNL_ARG_SRC, filled(weights.src_desc(), engine)},
                    {DNNL_ARG_DIFF_WEIGHTS, filled(weights.diff_weights_desc(), engine)},
                    {DNNL_ARG_DIFF_DST, filled(weights.diff_dst_desc(), engine)}});
  times.implementations = fmt::format("{}, {}, {}", forward.impl_info_str(), data.impl_info_str(),
                                      weights.impl_info_str());
  return times;
}
