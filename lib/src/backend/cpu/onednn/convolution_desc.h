#pragma once

#include <oneapi/dnnl/dnnl.hpp>

/// Descriptions of convolutions for oneDNN 2 and 3 alike.
namespace renas::cpu {

struct Descriptors {
  dnnl::memory::desc in, weights, out;
  dnnl::memory::dims strides, dilation, padding, padding_after;
};

// The interfaces of oneDNN 2 and 3 differ in one point: an operation's description is an object of
// its own in 2, the arguments of its primitive description in 3.
inline dnnl::convolution_forward::primitive_desc forward_desc(
    const dnnl::engine& engine, const Descriptors& d, const dnnl::primitive_attr& attr = {}) {
  const auto kind = dnnl::prop_kind::forward_training;
  const auto algorithm = dnnl::algorithm::convolution_direct;
#if DNNL_VERSION_MAJOR < 3
  return {
      {kind, algorithm, d.in, d.weights, d.out, d.strides, d.dilation, d.padding, d.padding_after},
      attr,
      engine};
#else
  return {engine,     kind,      algorithm,       d.in, d.weights, d.out, d.strides,
          d.dilation, d.padding, d.padding_after, attr};
#endif
}

/// The backward pass; Backward is dnnl::convolution_backward_data or convolution_backward_weights.
template <class Backward>
typename Backward::primitive_desc backward_desc(
    const dnnl::engine& engine, const Descriptors& d,
    const dnnl::convolution_forward::primitive_desc& hint) {
  const auto algorithm = dnnl::algorithm::convolution_direct;
#if DNNL_VERSION_MAJOR < 3
  return {{algorithm, d.in, d.weights, d.out, d.strides, d.dilation, d.padding, d.padding_after},
          engine,
          hint};
#else
  return {engine,    algorithm,  d.in,      d.weights,       d.out,
          d.strides, d.dilation, d.padding, d.padding_after, hint};
#endif
}

}  // namespace renas::cpu
