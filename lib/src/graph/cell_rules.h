#pragma once

#include <string>
#include <vector>

namespace renas {

/// What families of published cells do differently with the same kind of cell. Sources: the paper
/// and its authors' released graph (renas); tensorflow/models research/slim/nets/nasnet (nasnet,
/// pnasnet); tensorflow/tpu models/official/amoeba_net (amoebanet); melodyguan/enas (enas);
/// quark0/darts (darts).
struct CellRules {
  /// When c-2 of the right size is left alone and not adapted by ReLU, 1x1 and batch norm.
  enum class KeepC2 {
    kNever,
    kFirstCell,  ///< in the first cell, if it has F channels
    kAlways,     ///< wherever it has F channels
  };
  /// What an identity with stride 2 is.
  enum class StridedIdentity { kMaxPool, kConvolution, kReduction, kReluReduction };
  /// The cell whose output the auxiliary head reads.
  enum class AuxiliaryCell { kBeforeSecondReduction, kSecondReduction, kAfterSecondReduction };

  const char* family;
  KeepC2 keep_c2 = KeepC2::kAlways;
  /// The first cell reads the stem as c-2 as it is, whatever its channels; operators adapt them.
  bool raw_stem = false;
  /// c-1 is adapted where its channels differ, and then passes another ReLU, 1x1 and batch norm.
  bool adapts_c1_twice = false;
  StridedIdentity strided_identity = StridedIdentity::kConvolution;
  /// The first cell of the second and the third stage has stride 2; else a cell of its own has.
  bool reduces_in_place = false;
  /// The ImageNet stem are three convolutions with stride 2, two for c-2 and the third for c-1;
  /// else one, followed by two cells with stride 2.
  bool stem_of_three = false;
  bool final_relu = true;
  bool classifier_bias = true;
  AuxiliaryCell auxiliary_cell = AuxiliaryCell::kBeforeSecondReduction;
  /// The auxiliary head ends in a 2x2 convolution and a global mean; else in one of the whole map.
  bool auxiliary_mean = false;
};

/// The rules of a family. Throws InvalidInput, with the names of those there are.
const CellRules& cell_rules(const std::string& family);

}  // namespace renas
