// renas-train --network deeplab: a network that segments, begun from one that classifies.
#include <boost/test/unit_test.hpp>
#include <filesystem>

#include "renas/model.h"
#include "support/pairs.h"
#include "support/toy_search.h"

using namespace renas::test;

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

BOOST_AUTO_TEST_SUITE_END()
