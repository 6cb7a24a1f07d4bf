// renas-export writes a trained network in forms that others read: ONNX, PyTorch.

#include <fmt/format.h>

#include <filesystem>

#include "cli/frame.h"
#include "cli/outputs.h"
#include "renas/error.h"
#include "renas/export.h"

using namespace renas;

namespace {

constexpr const char* kDescription =
    "Writes a trained network (best.h5) in forms that other programs read: ONNX for any runtime, "
    "a\n"
    "Python module with its weights for PyTorch.";

constexpr const char* kFooter =
    "Examples:\n"
    "  renas-export runs/first/best.h5 flowers.onnx\n"
    "  renas-export runs/first/best.h5 flowers.onnx --normalise bytes --softmax\n"
    "  renas-export runs/first/best.h5 --pytorch flowers.py     and flowers.safetensors beside "
    "it\n\n"
    "The ONNX file is of opset 13 and IR version 7, reads `images` [N, channels, height, width] "
    "and\n"
    "gives `logits` or `probabilities` [N, classes]. Its metadata name the classes, mean and "
    "standard\n"
    "deviation, and how pictures are scaled and cut.";

struct Settings {
  std::string model;
  std::string onnx;
  std::string pytorch;
  std::string normalise = "no";
  OnnxOptions options;
  bool force = false;
};

void check_unused(const std::string& path, bool force) {
  if (force || !std::filesystem::exists(path)) return;
  throw InvalidInput(fmt::format("{}: exists; --force replaces it", path));
}

int write(Settings& s) {
  if (s.onnx.empty() && s.pytorch.empty()) {
    throw InvalidInput("expected OUT.onnx, --pytorch OUT.py, or both");
  }
  if (s.normalise == "unit") s.options.input = ExportInput::kUnit;
  if (s.normalise == "bytes") s.options.input = ExportInput::kBytes;
#ifndef RENAS_WITH_ONNX
  if (!s.onnx.empty()) {
    throw Unsupported(
        "this build writes no ONNX files: install ONNX (Debian: libonnx-dev) and configure it with "
        "-DRENAS_WITH_ONNX=ON");
  }
#endif
  const std::string weights =
      s.pytorch.empty()
          ? ""
          : std::filesystem::path(s.pytorch).replace_extension(".safetensors").string();
  cli::check_outputs({{"MODEL", s.model}},
                     {{"OUT.onnx", s.onnx}, {"--pytorch", s.pytorch}, {"the weights", weights}});
  for (const std::string& path : {s.onnx, s.pytorch, weights}) {
    if (!path.empty()) check_unused(path, s.force);
  }
  const Model model = load_model(s.model);
#ifdef RENAS_WITH_ONNX
  if (!s.onnx.empty()) {
    export_onnx(s.onnx, model, s.options);
    fmt::print("{}: ONNX, {} of {} classes\n", s.onnx,
               s.options.softmax ? "probabilities" : "logits", model.network.classes);
  }
#endif
  if (!s.pytorch.empty()) {
    export_pytorch(s.pytorch, model);
    fmt::print("{}: PyTorch, weights beside it\n", s.pytorch);
  }
  return cli::kDone;
}

}  // namespace

int main(int argc, char** argv) {
  CLI::App app(kDescription, "renas-export");
  cli::prepare(app);
  app.footer(kFooter);
  Settings s;
  app.add_option("model", s.model, "Model file that renas-search or renas-train wrote")->required();
  app.add_option("out", s.onnx, "ONNX file to write");
  app.add_option("--pytorch", s.pytorch,
                 "Python module to write, OUT.py; the weights become OUT.safetensors beside it");
  app.add_option("--normalise", s.normalise,
                 "Normalisation inside the ONNX graph: bytes (the input is uint8, 0 to 255), unit "
                 "(float32, 0 to 1), or no (the input is (value / 255 - mean) / std)")
      ->check(CLI::IsMember({"no", "unit", "bytes"}));
  app.add_flag("--softmax", s.options.softmax, "Probabilities in place of scores");
  app.add_flag("--keep-batch-norm", s.options.keep_batch_norm,
               "BatchNormalization nodes stay; otherwise convolutions take them in");
  app.add_flag("--plain", s.options.plain,
               "Padding of convolutions equal on all sides, for older runtimes");
  app.add_flag("--force", s.force, "Replace files that exist");
  return cli::run(app, argc, argv, [&] { return write(s); });
}
