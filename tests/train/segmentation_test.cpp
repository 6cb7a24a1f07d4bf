#include "renas/segmentation.h"

#include <boost/test/unit_test.hpp>
#include <cmath>
#include <set>
#include <vector>

#include "renas/random.h"
#include "support/pairs.h"
#include "support/temporary_folder.h"

using namespace renas;

namespace {

/// The mean IOU as it is defined, over sets of pixels, without a matrix.
double plain_mean_iou(const std::vector<int>& truth, const std::vector<int>& found, int classes) {
  double sum = 0;
  int present = 0;
  for (int k = 0; k < classes; ++k) {
    std::set<std::size_t> of_truth;
    std::set<std::size_t> of_found;
    for (std::size_t p = 0; p < truth.size(); ++p) {
      if (truth[p] == 255) continue;
      if (truth[p] == k) of_truth.insert(p);
      if (found[p] == k) of_found.insert(p);
    }
    if (of_truth.empty()) continue;
    ++present;
    std::size_t both = 0;
    for (const std::size_t p : of_truth) both += of_found.count(p);
    std::set<std::size_t> either = of_truth;
    either.insert(of_found.begin(), of_found.end());
    sum += static_cast<double>(both) / static_cast<double>(either.size());
  }
  return present == 0 ? 0 : sum / present;
}

}  // namespace

BOOST_AUTO_TEST_SUITE(segmentation)

BOOST_AUTO_TEST_CASE(the_mean_iou_of_random_masks_is_that_of_its_definition) {
  Random random(7);
  for (int trial = 0; trial < 40; ++trial) {
    const int classes = 2 + static_cast<int>(random.below(20));
    const auto of_truth = 1 + random.below(static_cast<uint64_t>(classes));  // others are absent
    std::vector<int> truth;
    std::vector<int> found;
    ConfusionMatrix matrix(classes);
    for (int p = 0; p < 500; ++p) {
      truth.push_back(random.below(8) == 0 ? 255 : static_cast<int>(random.below(of_truth)));
      const bool right = random.below(2) == 0 && truth.back() != 255;
      found.push_back(right ? truth.back()
                            : static_cast<int>(random.below(static_cast<uint64_t>(classes))));
      if (truth.back() != 255) matrix.add(truth.back(), found.back());
    }
    BOOST_TEST(std::abs(matrix.mean_iou() - plain_mean_iou(truth, found, classes)) <= 1e-12);
    for (int k = static_cast<int>(of_truth); k < classes; ++k) BOOST_TEST(!matrix.iou(k));
  }
  BOOST_TEST(ConfusionMatrix(3).mean_iou() == 0);
  BOOST_TEST(ConfusionMatrix(3).accuracy() == 0);
}

BOOST_AUTO_TEST_CASE(images_are_padded_to_16_m_and_1_pixels) {
  NetworkOptions options;
  for (const auto& [length, padded] :
       {std::pair{1, 17}, {17, 17}, {18, 33}, {360, 369}, {480, 481}, {500, 513}, {513, 513}}) {
    BOOST_TEST((padded_for_segmentation(options, length, 17) == Shape{3, padded, 17}));
  }
}

BOOST_AUTO_TEST_CASE(the_palette_is_that_of_pascal_voc) {
  const std::vector<uint8_t> palette = voc_palette();
  const auto colour = [&](std::size_t k) {
    return std::vector<int>(palette.begin() + static_cast<std::ptrdiff_t>(3 * k),
                            palette.begin() + static_cast<std::ptrdiff_t>(3 * k + 3));
  };
  BOOST_TEST((colour(0) == std::vector<int>{0, 0, 0}));
  BOOST_TEST((colour(1) == std::vector<int>{128, 0, 0}));       // aeroplane
  BOOST_TEST((colour(15) == std::vector<int>{192, 128, 128}));  // person
  BOOST_TEST((colour(20) == std::vector<int>{0, 64, 128}));     // tvmonitor
  BOOST_TEST((colour(255) == std::vector<int>{224, 224, 192}));
}

BOOST_AUTO_TEST_CASE(a_small_network_learns_stripes) {
  const renas::test::TemporaryFolder folder;
  const std::string path = folder.path() + "/stripes.h5";
  renas::test::write_stripes(path, 20, 2, 20);
  const SearchData data = open_search_data(path, 4, 0, 1);
  SegmentationOptions options;
  NetworkOptions& network = options.final.network;
  network.kind = NetworkKind::kDeepLab;
  network.cells = 1;
  network.filters = 4;
  network.classes = 2;
  network.image = {3, 33, 33};
  options.final.batch = 4;
  options.final.recipe.epochs = 30;
  options.final.recipe.schedule = Schedule::kPolynomial;
  options.final.recipe.power = 0.9;
  options.least_scale = 1;
  options.most_scale = 1;
  const std::string genome = "c-1:sep3x3+c-2:identity";
  const auto backend = make_backend();
  int epochs = 0;
  FinalState start;
  start.training.seed = 1;
  FinalState middle;
  const auto result =
      train_segmentation(*backend, genome, start, data, options, {}, [&](const FinalState& state) {
        if (++epochs == 5) middle = state;
      });
  BOOST_TEST(epochs == 30);
  BOOST_REQUIRE(result.validation);
  BOOST_TEST(result.evaluation.fitness == result.validation->mean_iou());
  BOOST_TEST(result.evaluation.fitness > 0.7, "mean IOU " << result.evaluation.fitness);
  // A training that goes on from a checkpoint ends as one that was not interrupted.
  const auto resumed = train_segmentation(*backend, genome, middle, data, options, {}, nullptr);
  BOOST_TEST((resumed.evaluation.weights == result.evaluation.weights));
  // Frozen batch norms learn scale and shift, and keep their statistics.
  options.final.frozen_statistics = true;
  const auto frozen = train_segmentation(*backend, genome, middle, data, options, {}, nullptr);
  int kept = 0;
  const Graph graph = build_network(genome, network);
  for (const Parameter& p : graph.parameters()) {
    const bool equal = frozen.evaluation.weights.at(p.name) == middle.weights.at(p.name);
    BOOST_TEST(equal == !p.trainable(), p.name);
    kept += equal ? 1 : 0;
  }
  BOOST_TEST(kept > 10);
  // The result of a training with a moving average is the average.
  options.final.frozen_statistics = false;
  options.final.recipe.epochs = 6;
  options.final.recipe.average_decay = 0.99;
  Weights average;
  const auto averaged =
      train_segmentation(*backend, genome, middle, data, options, {},
                         [&](const FinalState& state) { average = state.training.average; });
  BOOST_REQUIRE(!average.empty());
  for (const Parameter& p : graph.parameters()) {
    BOOST_TEST((averaged.evaluation.weights.at(p.name) == average.at(p.name)), p.name);
  }
  // One that has diverged has no weights and no score.
  options.final.recipe.average_decay = 0;
  options.final.recipe.learning_rates = {1e25};
  const auto diverged = train_segmentation(*backend, genome, start, data, options, {}, nullptr);
  BOOST_TEST((diverged.evaluation.status == Status::kDiverged));
  BOOST_TEST(diverged.evaluation.weights.empty());
}

BOOST_AUTO_TEST_SUITE_END()
