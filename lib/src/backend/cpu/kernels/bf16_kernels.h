#pragma once

#include <cstddef>
#include <cstdint>

#include "backend/cpu/kernels/args.h"

/// Convolution kernels that multiply bfloat16. A processor with AVX512-BF16 multiplies two vectors
/// of bfloat16 pairs and adds both products of each lane to a float: two multiply-adds where
/// float32 has one. One with AMX multiplies whole matrices on tile registers. These kernels compute
/// what their namesakes in args.h compute. Their operands (activated inputs, weights, gradients
/// behind a batch norm) are rounded to bfloat16 once more; all sums are float32.
namespace renas::cpu::bf16 {

/// True if the processor has AVX512-BF16 and the instruction sets allowed at run time include it.
bool available();

/// True if matrix products run on the tile registers of AMX: the processor has AMX-BF16, Linux lets
/// this process use it, and the instruction sets allowed at run time include AVX3_DL of Highway.
///
/// The first call asks for that permission, for the whole process and for good. Linux refuses where
/// a thread has a signal stack (sigaltstack) that is too small for the tile registers, some 11 KB,
/// and refuses such stacks from then on. Products by vectors add up in another order, so that
/// results differ in their last bits.
bool has_amx();

/// True if has_amx() will be, unless Linux refuses the permission, which this does not ask for.
bool offers_amx();

// The functions behind SeparableArgs::bf16_kernels and ConvArgs::bf16_kernels. They read weights
// only from args.bf16_weights, packed() floats, where pack() puts them once a step. pack() leaves
// out the backward pass's copy unless `backward`.
struct SeparableKernels {
  bool amx;  // products on tile registers, and depthwise convolutions in float32
  std::size_t (*packed)(const SeparableArgs& args);
  void (*pack)(const SeparableArgs& args, bool backward, float* to);
  std::size_t (*scratch)(const SeparableArgs& args);
  void (*forward)(const SeparableArgs& args, int first, int last, float* scratch, float* sums);
  void (*backward)(const SeparableArgs& args, int first, int last, float* scratch, float* partial);

  constexpr SeparableKernels with_amx() const {
    SeparableKernels kernels = *this;
    kernels.amx = true;
    return kernels;
  }
};
struct ConvKernels {
  bool amx;  // products on tile registers
  std::size_t (*packed)(const ConvArgs& args);
  void (*pack)(const ConvArgs& args, bool backward, float* to);
  std::size_t (*scratch)(const ConvArgs& args);
  void (*forward)(const ConvArgs& args, int first, int last, float* scratch, float* sums);
  void (*backward)(const ConvArgs& args, int first, int last, float* scratch, float* partial);

  constexpr ConvKernels with_amx() const {
    ConvKernels kernels = *this;
    kernels.amx = true;
    return kernels;
  }
};

/// The kernels for a group, if its maps are bfloat16 and its shapes are among those that networks
/// have. nullptr: the group is left to the float32 kernels.
const SeparableKernels* kernels_for(const SeparableArgs& args);
const ConvKernels* kernels_for(const ConvArgs& args);

/// Runs dot products that wait for nothing, to measure the processor's peak. Returns the number of
/// floating-point operations, 0 without AVX512-BF16.
double peak_loop(int64_t steps);
/// The same on tile registers. Only if has_amx().
double amx_peak_loop(int64_t steps);

}  // namespace renas::cpu::bf16
