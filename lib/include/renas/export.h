#pragma once

#include <string>

#include "renas/model.h"

namespace renas {

/// What an exported network is given.
enum class ExportInput {
  kNormalised,  ///< (value / 255 - mean) / sd of each channel: what the network itself takes
  kUnit,        ///< values in [0, 1]; normalisation is part of the file
  kBytes,       ///< values 0 to 255 of type uint8; normalisation is part of the file
};

struct OnnxOptions {
  ExportInput input = ExportInput::kNormalised;
  bool softmax = false;  ///< probabilities in place of scores
  bool keep_batch_norm =
      false;  ///< BatchNormalization nodes stay; otherwise convolutions take them in
  /// Convolutions have equal padding on all sides. A Pad node takes what else would be padding at
  /// the bottom and right of some; older versions of OpenCV refuse that.
  bool plain = false;
};

/// Writes a model's network as an ONNX file of opset 13 and IR version 7, which ONNX's own checker
/// has seen.
///
/// input "images"             [N, C, H, W], any N; float32, or uint8 where the input is kBytes
/// output "logits"            [N, classes] float32; with softmax it is "probabilities"
/// metadata                   class_names, input_mean, input_std (JSON lists), input_layout,
///                            input_values, normalised_inside, preparation, output, genome,
///                            network, validation_accuracy, producer
/// The file appears whole or not at all. Throws IoError where it cannot be written. The function is
/// there where the library was built with ONNX (CMake: RENAS_WITH_ONNX).
void export_onnx(const std::string& path, const Model& model, const OnnxOptions& options = {});

/// Writes a model's network as a Python module for PyTorch, `path`, which ends in ".py", and its
/// weights beside it: the same name with ".safetensors". The module needs nothing but PyTorch, and
/// has batch norms as they were trained, so that training can go on. Both files appear whole or not
/// at all, the weights first. Throws IoError where they cannot be written, InvalidInput where
/// `path` ends otherwise.
void export_pytorch(const std::string& path, const Model& model);

}  // namespace renas
