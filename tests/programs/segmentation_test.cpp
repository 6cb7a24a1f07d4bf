// renas-train --network deeplab: a network that segments, begun from one that classifies.
#include <boost/test/unit_test.hpp>
#include <filesystem>
#include <limits>

#include "renas/image.h"
#include "renas/model.h"
#include "support/encode.h"
#include "support/files.h"
#include "support/pairs.h"
#include "support/toy_search.h"

using namespace renas::test;

namespace {

/// A network of random weights that tells two kinds of stripes apart.
renas::Model segmenter() {
  renas::Model model;
  model.genome = "c-1:sep3x3+c-2:identity";
  model.network = {.kind = renas::NetworkKind::kDeepLab,
                   .cells = 1,
                   .filters = 4,
                   .image = {3, 33, 33},
                   .classes = 2};
  model.mean = {0.5, 0.5, 0.5};
  model.sd = {0.3, 0.3, 0.3};
  renas::Random random(1);
  model.weights = renas::initialize(graph_of(model), random);
  return model;
}

}  // namespace

BOOST_AUTO_TEST_SUITE(segmentation)

BOOST_AUTO_TEST_CASE(a_body_gives_its_weights_and_frozen_statistics_stay_its_own) {
  const TemporaryFolder folder;
  write_toy_file(folder / "pictures.h5");
  write_stripes(folder / "masks.h5", 12, 2, 20);
  const std::string train =
      kPrograms +
      "renas-train --genome c-1:sep3x3+c-2:identity --cells 1 --filters 4 --batch 4 "
      "--threads 1 --seed 3 ";
  const std::string body = folder / "body.h5";
  done(train + "--network imagenet --data " + (folder / "pictures.h5") + " --epochs 1 --out " +
       body);
  const std::string segment = train + "--network deeplab --crop 33 --scales 1 1 --data " +
                              (folder / "masks.h5") + " --validation 4 --learning-rate 0.01 ";
  const Ran ran = done(segment + "--epochs 1 --frozen-norms --body " + body + " --out " +
                       (folder / "model.h5"));
  BOOST_TEST(ran.output.find("body: ") != std::string::npos, ran.output);

  const renas::Weights before = renas::load_model(body).weights;
  const renas::Weights after = renas::load_model(folder / "model.h5").weights;
  int statistics = 0;
  int learnt = 0;
  for (const auto& [name, tensor] : before) {
    const auto found = after.find(name);
    if (found == after.end()) continue;  // the classifier's
    const bool is_statistic = name.ends_with("/mean") || name.ends_with("/variance");
    const bool equal = found->second == tensor;
    if (is_statistic) BOOST_TEST(equal, name);
    (is_statistic ? statistics : learnt) += is_statistic == equal ? 1 : 0;
  }
  BOOST_TEST(statistics > 10);
  BOOST_TEST(learnt > 20);

  refused(segment + "--epochs 1 --frozen-norms --out " + (folder / "x.h5"), "expected --body");
  BOOST_TEST(!std::filesystem::exists(folder / "x.h5"));
}

BOOST_AUTO_TEST_CASE(pictures_that_cannot_be_written_beside_each_other_are_refused_first) {
  const TemporaryFolder folder;
  renas::save_model(folder / "model.h5", segmenter());
  const auto file = renas::encode_lossless(stripes(33, 20, 2, 10, 0).image);
  for (const char* name : {"s1/a.png", "s2/a.png", "s2/b.png"}) write_bytes(folder / name, file);
  const std::string out = " --threads 1 --out " + (folder / "seen");
  const auto segment = [&](const std::string& pictures) {
    return kPrograms + "renas-inspect segment " + (folder / "model.h5") + pictures + out;
  };
  const std::string one = " " + (folder / "s1/a.png");
  const std::string two = " " + (folder / "s2/a.png");
  const std::string other = " " + (folder / "s2/b.png");
  for (const char* force : {"", " --force"}) {
    refused(segment(one + two) + force, "s1/a.png and " + (folder / "s2/a.png") + ": both would");
    refused(segment(one + " " + (folder / "s2")) + force, "s2: is a folder; expected JPEG and PNG");
  }
  const std::string longest(300, 'x');
  refused(segment(one + " " + longest), longest + ": File name too long");
  BOOST_TEST(!std::filesystem::exists(folder / "seen"));
  refused(segment(" " + (folder / "none.png")), "none.png: No such file");

  done(segment(one));
  refused(segment(other + one), "a-picture.png: exists; --force");
  BOOST_TEST(!std::filesystem::exists(folder / "seen/b-picture.png"));
  done(segment(other + one) + " --force");
  write_text(folder / "file", "no folder");
  refused(segment(one) + "/../file", "file");
}

BOOST_AUTO_TEST_CASE(pictures_are_turned_unless_they_are_wanted_as_stored) {
  const TemporaryFolder folder;
  renas::save_model(folder / "model.h5", segmenter());
  const auto file = renas::encode_lossless(stripes(33, 20, 2, 10, 0).image);
  write_bytes(folder / "a.png", with_exif(file, exif_of(6, false)));
  const std::string segment = kPrograms + "renas-inspect segment " + (folder / "model.h5") + " " +
                              (folder / "a.png") + " --threads 1 --out ";
  done(segment + (folder / "upright"));
  done(segment + (folder / "stored") + " --as-stored");
  for (const char* part : {"picture", "mask", "overlay"}) {
    const std::string name = std::string("/a-") + part + ".png";
    BOOST_TEST(renas::inspect_image(bytes_of((folder / "upright") + name)).shape.height == 20);
    BOOST_TEST(renas::inspect_image(bytes_of((folder / "stored") + name)).shape.height == 33);
  }
}

BOOST_AUTO_TEST_CASE(a_model_that_diverged_sees_nothing) {
  const TemporaryFolder folder;
  renas::Model model = segmenter();
  for (auto& [name, tensor] : model.weights) {
    for (float& value : tensor.values) value = std::numeric_limits<float>::quiet_NaN();
  }
  renas::save_model(folder / "model.h5", model);
  write_bytes(folder / "a.png", renas::encode_lossless(stripes(33, 20, 2, 10, 0).image));
  const Ran ran = run_command(kPrograms + "renas-inspect segment " + (folder / "model.h5") + " " +
                              (folder / "a.png") + " --threads 1 --out " + (folder / "seen"));
  BOOST_TEST(ran.code == 1);
  BOOST_TEST(ran.output.find("the model has diverged") != std::string::npos, ran.output);
  BOOST_TEST(!std::filesystem::exists(folder / "seen/a-mask.png"));
}

BOOST_AUTO_TEST_SUITE_END()
