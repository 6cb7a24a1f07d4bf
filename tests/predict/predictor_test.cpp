// Pictures are prepared as the training's images were, and scored as the data set's.

#include "renas/predictor.h"

#include <boost/test/unit_test.hpp>
#include <cmath>
#include <limits>
#include <thread>

#include "renas/error.h"
#include "renas/loader.h"
#include "renas/renas.h"
#include "support/encode.h"
#include "support/sample_model.h"
#include "support/temporary_folder.h"

using namespace renas;

namespace {

Image noise(const Shape& shape, uint64_t seed) {
  Random random(seed);
  Image image{shape, {}};
  for (int64_t i = 0; i < shape.size(); ++i) {
    image.pixels.push_back(static_cast<uint8_t>(random.below(256)));
  }
  return image;
}

Model model_of(const Shape& image, const Augmentation& preparation) {
  Model model = test::sample_model();
  model.network.image = image;
  model.preparation = preparation;
  model.range_16.reset();
  model.mean.assign(static_cast<std::size_t>(image.channels), 0.4);
  model.sd.assign(static_cast<std::size_t>(image.channels), 0.3);
  Random random(2);
  model.weights = initialize(graph_of(model), random);
  return model;
}

/// The scores that the training's own way of looking at a data set gives.
std::vector<float> scores_by_loader(const Model& model, const DataSet& data) {
  const auto backend = make_backend();
  const auto program = backend->compile(graph_of(model), {.batch = 1, .training = false});
  program->load(model.weights);
  Loader loader(data, {0}, {.batch = 1, .shuffle = false, .augmentation = model.preparation});
  loader.start(0);
  HostBatch& batch = program->staging();
  batch.count = loader.next(batch.images, batch.labels);
  std::vector<float> scores(static_cast<std::size_t>(model.network.classes));
  program->infer(scores);
  return scores;
}

DataSetInfo info_of(const Model& model) {
  DataSetInfo info;
  info.classes = model.network.classes;
  info.mean = model.mean;
  info.sd = model.sd;
  return info;
}

}  // namespace

BOOST_AUTO_TEST_SUITE(predictors)

BOOST_AUTO_TEST_CASE(images_of_one_size_are_scored_as_the_data_set_s) {
  const Shape shape{3, 12, 10};
  const Model model = model_of(shape, Augmentation::none());
  const Image image = noise(shape, 1);
  const std::vector<float> expected =
      scores_by_loader(model, DataSet(shape, image.pixels, {0}, info_of(model)));
  Predictor predictor(model);
  BOOST_TEST(predictor.scores(image) == expected, boost::test_tools::per_element());
  BOOST_TEST(predictor.scores(encode_lossless(image)) == expected,
             boost::test_tools::per_element());
  const std::vector<float> probabilities = predictor.predict(image);
  double sum = 0;
  for (std::size_t i = 0; i < probabilities.size(); ++i) {
    sum += probabilities[i];
    BOOST_TEST(probabilities[i] / probabilities[0] == std::exp(expected[i] - expected[0]),
               boost::test_tools::tolerance(1e-5F));
  }
  BOOST_TEST(sum == 1, boost::test_tools::tolerance(1e-6));
  BOOST_TEST(predictor.class_name(2) == "Käfer");
  BOOST_CHECK_THROW(predictor.class_name(3), InvalidInput);
}

BOOST_AUTO_TEST_CASE(pictures_of_other_sizes_are_made_as_the_preparing_program_makes_them) {
  const Shape shape{3, 12, 10};
  Predictor predictor(model_of(shape, Augmentation::none()));
  const Image picture = noise({3, 40, 31}, 2);
  const Image covered = cover_image(picture, 12, 10);
  BOOST_TEST(covered.shape.height == 12);
  BOOST_TEST(covered.shape.width == 10);
  BOOST_TEST(predictor.scores(encode_lossless(picture)) == predictor.scores(covered),
             boost::test_tools::per_element());
}

BOOST_AUTO_TEST_CASE(encoded_pictures_are_cut_as_the_loader_cuts_them) {
  Augmentation preparation;
  preparation.crop = 16;
  preparation.shorter_side = 20;
  const Model model = model_of({3, 16, 16}, preparation);
  Predictor predictor(model);
  for (const Shape& shape : {Shape{3, 90, 61}, Shape{3, 17, 33}, Shape{1, 20, 20}}) {
    const Image picture = noise(shape, 3);
    for (const auto& file : {encode_jpeg(picture), encode_lossless(picture)}) {
      const DataSet data = DataSet::from_encoded(3, {file}, {0}, info_of(model));
      BOOST_TEST(predictor.scores(file) == scores_by_loader(model, data),
                 boost::test_tools::per_element());
    }
  }
}

BOOST_AUTO_TEST_CASE(pictures_as_they_are_stored_are_cut_as_the_loader_cuts_them) {
  Augmentation preparation;
  preparation.crop = 16;
  preparation.shorter_side = 20;
  const Model model = model_of({3, 16, 16}, preparation);
  Predictor predictor(model, {.device = {}, .upright = false});
  const Image picture = noise({3, 90, 61}, 8);  // JPEG of this size is decoded at a quarter of it
  for (const auto& file : {encode_jpeg(picture), encode_lossless(picture)}) {
    BOOST_TEST(predictor.scores(file) == Predictor(model).scores(file),
               boost::test_tools::per_element());
    const std::vector<uint8_t> turned = test::with_exif(file, test::exif_of(6, true));
    BOOST_TEST(Predictor(model).scores(turned) != Predictor(model).scores(file));
    std::vector<uint8_t> in_data_set = turned;
    clear_orientation(in_data_set);
    const DataSet data = DataSet::from_encoded(3, {in_data_set}, {0}, info_of(model));
    BOOST_TEST(predictor.scores(turned) == scores_by_loader(model, data),
               boost::test_tools::per_element());
  }
}

BOOST_AUTO_TEST_CASE(scores_that_are_no_finite_numbers_are_no_answer) {
  const Shape shape{3, 12, 10};
  const float nan = std::numeric_limits<float>::quiet_NaN();
  const float infinity = std::numeric_limits<float>::infinity();
  Model model = model_of(shape, Augmentation::none());
  for (auto& [name, tensor] : model.weights) {
    for (float& value : tensor.values) value = nan;
  }
  Predictor predictor(model);
  BOOST_CHECK_EXCEPTION(predictor.scores(noise(shape, 9)), Error, [](const Error& e) {
    return std::string(e.what()).find("the model has diverged") != std::string::npos;
  });
  for (const float bad : {nan, infinity, -infinity}) {
    BOOST_CHECK_THROW(softmax(std::vector{1.0F, bad}), Error);
  }
  BOOST_TEST(largest(std::vector{nan, 1.0F, nan, 3.0F, 2.0F}, 5) == (std::vector{3, 4, 1, 0, 2}),
             boost::test_tools::per_element());
}

BOOST_AUTO_TEST_CASE(what_is_no_picture_is_refused) {
  const Shape shape{3, 12, 10};
  Predictor predictor(model_of(shape, Augmentation::none()));
  std::vector<uint8_t> file = encode_jpeg(noise({3, 64, 64}, 4));
  file.resize(file.size() / 2);
  BOOST_CHECK_THROW(predictor.scores(file), InvalidInput);
  BOOST_CHECK_THROW(predictor.scores(std::vector<uint8_t>{'a', 'b'}), InvalidInput);
  BOOST_CHECK_THROW(predictor.scores(noise({1, 12, 10}, 5)), InvalidShape);
  BOOST_CHECK_THROW(predictor.scores(Image{shape, {1, 2, 3}}), InvalidShape);
  Augmentation preparation;
  preparation.crop = 16;
  Predictor cutting(model_of({3, 16, 16}, preparation));
  BOOST_CHECK_THROW(cutting.scores(file), InvalidInput);
}

BOOST_AUTO_TEST_CASE(threads_with_a_predictor_each_give_one_answer) {
  const Shape shape{3, 12, 10};
  const Model model = model_of(shape, Augmentation::none());
  const Image image = noise(shape, 6);
  const std::vector<float> expected = Predictor(model).scores(image);
  std::vector<int> equal(4, 0);
  std::vector<std::thread> threads;
  for (int& mine : equal) {
    threads.emplace_back([&] {
      Predictor predictor(model);
      for (int i = 0; i < 20; ++i) mine += predictor.scores(image) == expected ? 1 : 0;
    });
  }
  for (std::thread& thread : threads) thread.join();
  for (const int n : equal) BOOST_TEST(n == 20);
}

BOOST_AUTO_TEST_CASE(c_programs_get_the_same) {
  const test::TemporaryFolder folder;
  const Shape shape{3, 12, 10};
  const Model model = model_of(shape, Augmentation::none());
  save_model(folder / "m.h5", model);
  const Image image = noise(shape, 7);
  const std::vector<float> expected = Predictor(folder / "m.h5").predict(image);

  char error[200] = "";
  BOOST_TEST(renas_predictor_open((folder / "none.h5").c_str(), error, sizeof error) == nullptr);
  BOOST_TEST(std::string(error).find("none.h5") != std::string::npos, error);
  renas_predictor* predictor = renas_predictor_open((folder / "m.h5").c_str(), error, sizeof error);
  BOOST_REQUIRE_MESSAGE(predictor != nullptr, error);
  BOOST_TEST(renas_predictor_classes(predictor) == 3);
  BOOST_TEST(renas_predictor_class_name(predictor, 1) == std::string("dog"));
  BOOST_TEST(renas_predictor_class_name(predictor, 3) == nullptr);
  std::vector<float> found(3);
  const std::vector<uint8_t> file = encode_lossless(image);
  BOOST_TEST(renas_predictor_predict(predictor, file.data(), file.size(), found.data(), 3) == 0);
  BOOST_TEST(found == expected, boost::test_tools::per_element());
  found.assign(3, 0);
  BOOST_TEST(renas_predictor_predict_pixels(predictor, image.pixels.data(), 12, 10, 3, found.data(),
                                            3) == 0);
  BOOST_TEST(found == expected, boost::test_tools::per_element());
  BOOST_TEST(renas_predictor_predict(predictor, file.data(), 10, found.data(), 3) == -1);
  BOOST_TEST(std::string(renas_predictor_last_error(predictor)) != "");
  BOOST_TEST(renas_predictor_predict(predictor, file.data(), file.size(), found.data(), 2) == -1);
  BOOST_TEST(std::string(renas_predictor_last_error(predictor)).find("expected 3") !=
             std::string::npos);
  renas_predictor_close(predictor);
  renas_predictor_close(nullptr);
}

BOOST_AUTO_TEST_SUITE_END()
