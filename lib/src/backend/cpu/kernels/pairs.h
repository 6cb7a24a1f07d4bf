#pragma once

#include <cstddef>
#include <cstdint>

#include "backend/cpu/kernels/args.h"

/// Kernels that multiply bfloat16 pairs. A processor with AVX512-BF16 multiplies two vectors of
/// pairs and adds both products of each lane to a float: two multiply-adds where float32 has one.
/// They compute what the kernels of args.h compute, from operands that are rounded once more (what
/// a reader sees of a map, weights, gradients behind a batch norm); sums are float32 as everywhere.
namespace renas::cpu::pairs {

/// The processor has the instruction, and the instruction sets allowed at run time include it.
bool available();

// As their namesakes in args.h, but that they read weights only where pack() has put them, once a
// step: at args.paired, packed() floats; those of the backward pass only if `backward`.
struct SeparableKernels {
  std::size_t (*packed)(const SeparableArgs& args);
  void (*pack)(const SeparableArgs& args, bool backward, float* to);
  std::size_t (*scratch)(const SeparableArgs& args);
  void (*forward)(const SeparableArgs& args, int first, int last, float* scratch, float* sums);
  void (*backward)(const SeparableArgs& args, int first, int last, float* scratch, float* area);
};
struct ConvKernels {
  std::size_t (*packed)(const ConvArgs& args);
  void (*pack)(const ConvArgs& args, bool backward, float* to);
  std::size_t (*scratch)(const ConvArgs& args);
  void (*forward)(const ConvArgs& args, int first, int last, float* scratch, float* sums);
  void (*backward)(const ConvArgs& args, int first, int last, float* scratch, float* area);
};

/// Those that take the group, if both its maps are in bfloat16 and its shapes such as networks
/// have; nullptr: it is left to the kernels that compute in float32.
const SeparableKernels* kernels_for(const SeparableArgs& args);
const ConvKernels* kernels_for(const ConvArgs& args);

/// Flops of `steps` products that nothing holds up; 0 where there is no such instruction.
double peak_loop(int64_t steps);

}  // namespace renas::cpu::pairs
