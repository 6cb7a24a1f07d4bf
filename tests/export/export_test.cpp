// Exported networks give the scores that ours give, in ONNX Runtime and in PyTorch, where a Python
// has these (RENAS_PYTHON names it).

#include "renas/export.h"

#include <zlib.h>

#include <boost/test/unit_test.hpp>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <nlohmann/json.hpp>

#include "renas/error.h"
#include "renas/predictor.h"
#include "support/files.h"
#include "support/process.h"
#include "support/sample_model.h"
#include "support/temporary_folder.h"

using namespace renas;

namespace {

constexpr int kImages = 6;

/// Pixels [kImages, H, W, C] in every value.
std::vector<uint8_t> random_pixels(const Shape& shape) {
  Random random(7);
  std::vector<uint8_t> pixels;
  for (int64_t i = 0; i < kImages * shape.size(); ++i) {
    pixels.push_back(static_cast<uint8_t>(random.below(256)));
  }
  return pixels;
}

/// Pixels of the first test images of Fashion-MNIST; empty where it is not installed.
std::vector<uint8_t> fashion_pixels() {
  const char* named = std::getenv("FASHION_MNIST");
  const std::string folder = named != nullptr ? named : "/usr/share/datasets/fashion-mnist";
  std::vector<uint8_t> pixels(std::size_t{kImages} * 28 * 28);
  gzFile file = gzopen((folder + "/t10k-images-idx3-ubyte.gz").c_str(), "rb");
  if (file == nullptr) return {};
  uint8_t header[16];
  const bool read = gzread(file, header, sizeof header) == sizeof header &&
                    gzread(file, pixels.data(), static_cast<unsigned>(pixels.size())) ==
                        static_cast<int>(pixels.size());
  gzclose(file);
  return read ? pixels : std::vector<uint8_t>{};
}

/// A model whose weights and running statistics are those of some steps of training, on noise.
Model trained_model(const std::string& genome, const NetworkOptions& network) {
  Model model;
  model.genome = genome;
  model.network = network;
  for (int i = 0; i < network.classes; ++i)
    model.class_names.push_back("Käfer " + std::to_string(i));
  for (int c = 0; c < network.image.channels; ++c) {
    model.mean.push_back(0.3 + 0.1 * c);
    model.sd.push_back(0.2 + 0.05 * c);
  }
  const Graph graph = build_network(genome, network);
  const auto backend = make_backend();
  const auto program = backend->compile(graph, {.batch = 8});
  Random random(3);
  program->load(initialize(graph, random));
  for (uint64_t step = 0; step < 30; ++step) {
    HostBatch& batch = program->staging();
    batch.count = 8;
    for (float& value : batch.images) value = static_cast<float>(random.normal());
    for (int32_t& label : batch.labels) {
      label = static_cast<int32_t>(random.below(static_cast<uint64_t>(network.classes)));
    }
    program->gradients({.seed = 1, .step = step});
    program->update({.learning_rates = {0.005F}});
  }
  model.weights = program->save();
  return model;
}

void write_bytes(const std::string& path, const void* data, std::size_t size) {
  std::ofstream(path, std::ios::binary)
      .write(static_cast<const char*>(data), static_cast<std::streamsize>(size));
}

/// Scores of pictures, [kImages, classes].
std::vector<float> scores_of(const Model& model, const std::vector<uint8_t>& pixels) {
  Predictor predictor(model);
  const Shape& shape = model.network.image;
  std::vector<float> scores;
  for (int64_t i = 0; i < kImages; ++i) {
    const auto first = pixels.begin() + i * shape.size();
    const auto found = predictor.scores(Image{shape, {first, first + shape.size()}});
    scores.insert(scores.end(), found.begin(), found.end());
  }
  return scores;
}

/// Maps of scores of a network that segments, [kImages, H, W, classes].
std::vector<float> maps_of_scores(const Model& model, const std::vector<uint8_t>& pixels) {
  const auto backend = make_backend();
  const auto program = backend->compile(build_network(model.genome, model.network),
                                        {.batch = kImages, .training = false});
  program->load(model.weights);
  HostBatch& batch = program->staging();
  batch.count = kImages;
  const std::size_t channels = model.mean.size();
  for (std::size_t i = 0; i < pixels.size(); ++i) {
    const std::size_t c = i % channels;
    batch.images[i] = static_cast<float>((pixels[i] / 255.0 - model.mean[c]) / model.sd[c]);
  }
  std::vector<float> scores(pixels.size() / channels *
                            static_cast<std::size_t>(model.network.classes));
  program->infer(scores);
  return scores;
}

/// Writes a network in all forms, with pictures and our scores of them.
void write_case(const std::string& folder, const Model& model, const std::vector<uint8_t>& pixels) {
  std::filesystem::create_directory(folder);
  const Shape& shape = model.network.image;
  const bool segments = model.network.kind == NetworkKind::kDeepLab;
  const std::vector<float> scores =
      segments ? maps_of_scores(model, pixels) : scores_of(model, pixels);
  write_bytes(folder + "/pixels.bin", pixels.data(), pixels.size());
  write_bytes(folder + "/scores.bin", scores.data(), scores.size() * sizeof(float));
  std::ofstream(folder + "/case.json")
      << nlohmann::json{{"shape", {kImages, shape.height, shape.width, shape.channels}},
                        {"segments", segments},
                        {"mean", model.mean},
                        {"std", model.sd},
                        {"class_names", model.class_names},
                        {"genome", model.genome}};
  export_pytorch(folder + "/network.py", model);
#ifdef RENAS_WITH_ONNX
  export_onnx(folder + "/default.onnx", model);
  export_onnx(folder + "/keep.onnx", model, {.keep_batch_norm = true});
  export_onnx(folder + "/softmax.onnx", model, {.softmax = true});
  export_onnx(folder + "/unit.onnx", model, {.input = ExportInput::kUnit});
  export_onnx(folder + "/bytes.onnx", model, {.input = ExportInput::kBytes});
  export_onnx(folder + "/plain.onnx", model, {.plain = true});
#endif
}

constexpr const char* kEveryOperator =
    "c-2:sep3x3+c-1:sep5x5,c-2:avg3x3+c-1:max3x3,1:sep7x7+c-1:identity,2:identity+3:avg3x3,"
    "c-2:identity+1:max3x3";

}  // namespace

BOOST_AUTO_TEST_SUITE(exports)

BOOST_AUTO_TEST_CASE(other_runtimes_give_our_scores) {
  const test::TemporaryFolder folder;
  // Odd maps, on which the factorized reduction reads beyond the edge; even ones; both frames.
  const NetworkOptions odd{
      .cells = 1, .filters = 4, .image = {1, 13, 11}, .classes = 3, .concat_c2 = true};
  write_case(folder / "odd", trained_model(kEveryOperator, odd), random_pixels(odd.image));
  const NetworkOptions even{.cells = 2, .filters = 6, .image = {3, 16, 16}, .classes = 10};
  write_case(folder / "even", trained_model("renasnet", even), random_pixels(even.image));
  const NetworkOptions large{.kind = NetworkKind::kImageNet,
                             .cells = 1,
                             .filters = 12,
                             .image = {3, 75, 66},
                             .classes = 5};
  write_case(folder / "large", trained_model(kEveryOperator, large), random_pixels(large.image));
  // Published cells have operators that searched ones lack: bottlenecks, 1x7, dilation, 2x2 pools,
  // a classifier without bias.
  const NetworkOptions published{.cells = 1, .filters = 8, .image = {3, 16, 16}, .classes = 4};
  for (const char* name :
       {"amoebanet-b", "amoebanet-d", "darts-v2", "enas", "nasnet-a", "resnet-20"}) {
    write_case(folder / name, trained_model(name, published), random_pixels(published.image));
  }
  // Channels that are shuffled and split. No batch norm stands before the classifier of v1, so a
  // few steps of this rate leave it with scores in the hundreds.
  const NetworkOptions shuffled{.image = {3, 80, 72}, .classes = 4};
  for (const auto& [name, scale] :
       {std::pair{"shufflenet-v1-1.5", 0.01F}, {"shufflenet-v2-1.5", 1}}) {
    Model model = trained_model(name, shuffled);
    for (float& weight : model.weights.at("head/linear/weight").values) weight *= scale;
    write_case(folder / name, model, random_pixels(shuffled.image));
  }
  // Atrous convolutions, maps of one pixel spread out, bias, bilinear resizing.
  const NetworkOptions segments{
      .kind = NetworkKind::kDeepLab, .cells = 1, .filters = 4, .image = {3, 49, 33}, .classes = 3};
  write_case(folder / "deeplab", trained_model("renasnet", segments),
             random_pixels(segments.image));
  const NetworkOptions fashion{.cells = 1, .filters = 8, .image = {1, 28, 28}, .classes = 10};
  const std::vector<uint8_t> real = fashion_pixels();
  if (real.empty()) {
    BOOST_TEST_MESSAGE("Fashion-MNIST is not installed: no real pictures were compared");
  } else {
    write_case(folder / "fashion", trained_model("renasnet", fashion), real);
  }

  const char* python = std::getenv("RENAS_PYTHON");
  const test::Ran ran =
      test::run_command(std::string(python != nullptr ? python : "python3") + " '" +
                        RENAS_SOURCE_DIR "/tests/export/compare.py' '" + folder.path() + "'");
  if (ran.code == 77 || ran.code == 127) {
    std::cout
        << "SKIPPED, the comparison with ONNX Runtime and PyTorch: " << ran.output
        << "RENAS_PYTHON names a Python that has onnxruntime (pip install onnxruntime onnx)\n";
    return;
  }
  std::cout << ran.output;
  BOOST_TEST(ran.code == 0);
}

BOOST_AUTO_TEST_CASE(files_appear_whole_or_not_at_all) {
  const test::TemporaryFolder folder;
  const Model model = test::sample_model();
  BOOST_CHECK_THROW(export_pytorch(folder / "network.txt", model), InvalidInput);
  BOOST_CHECK_THROW(export_pytorch("/nowhere/network.py", model), IoError);
#ifdef RENAS_WITH_ONNX
  BOOST_CHECK_THROW(export_onnx("/nowhere/network.onnx", model), IoError);
  export_onnx(folder / "a.onnx", model);
  export_onnx(folder / "b.onnx", model);
  BOOST_TEST(test::content_of(folder / "a.onnx") == test::content_of(folder / "b.onnx"));
#endif
  for (const auto& entry : std::filesystem::directory_iterator(folder.path())) {
    BOOST_TEST(entry.path().extension() == ".onnx");
  }
}

BOOST_AUTO_TEST_SUITE_END()
