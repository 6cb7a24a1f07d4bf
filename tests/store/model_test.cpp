#include "renas/model.h"

#include <hdf5.h>

#include <boost/test/unit_test.hpp>
#include <fstream>

#include "renas/error.h"
#include "support/files.h"
#include "support/sample_model.h"
#include "support/temporary_folder.h"

using namespace renas;

namespace {

bool says(const std::exception& e, const std::string& part) {
  const bool holds = std::string(e.what()).find(part) != std::string::npos;
  BOOST_TEST(holds, "'" << e.what() << "' does not say '" << part << "'");
  return holds;
}

void copy_with(const std::string& from, const std::string& to, std::size_t keep, int flip_at) {
  std::string bytes = test::content_of(from);
  bytes.resize(std::min(keep, bytes.size()));
  if (flip_at >= 0) bytes[flip_at] ^= 0x10;
  std::ofstream(to, std::ios::binary) << bytes;
}

}  // namespace

BOOST_AUTO_TEST_SUITE(models)

BOOST_AUTO_TEST_CASE(a_model_comes_back_as_it_was) {
  const test::TemporaryFolder folder;
  const Model model = test::sample_model();
  save_model(folder / "m.h5", model);
  const Model back = load_model(folder / "m.h5");
  BOOST_TEST(back.genome == model.genome);
  BOOST_TEST((back.network.image == model.network.image));
  BOOST_TEST(back.network.concat_c2);
  BOOST_TEST(back.class_names == model.class_names, boost::test_tools::per_element());
  BOOST_TEST(back.mean == model.mean, boost::test_tools::per_element());
  BOOST_TEST(back.validation_accuracy == model.validation_accuracy);
  BOOST_TEST(back.validation_balanced_accuracy.value() == 0.5);
  BOOST_TEST(back.preparation.crop == 10);
  BOOST_TEST(back.preparation.shorter_side == 12);
  BOOST_TEST((back.range_16 == model.range_16));
  BOOST_TEST((back.weights == model.weights));
  for (const auto& entry : std::filesystem::directory_iterator(folder / "")) {
    BOOST_TEST(entry.path().extension() != ".partial");
  }
}

BOOST_AUTO_TEST_CASE(weights_of_another_member_are_refused) {
  const test::TemporaryFolder folder;
  const Model model = test::sample_model();
  save_member(folder / "w.h5", 5, {model.genome, model.weights});
  BOOST_TEST((load_member(folder / "w.h5", 5).weights == model.weights));
  BOOST_TEST(load_member(folder / "w.h5", 5).genome == model.genome);
  BOOST_CHECK_EXCEPTION(load_member(folder / "w.h5", 6), IoError, [](const IoError& e) {
    return says(e, "expected the weights of member 6");
  });
  BOOST_CHECK_EXCEPTION(load_model(folder / "w.h5"), IoError,
                        [](const IoError& e) { return says(e, "'renas-model'"); });
}

BOOST_AUTO_TEST_CASE(damaged_files_are_refused_with_their_name) {
  const test::TemporaryFolder folder;
  const Model model = test::sample_model();
  const std::string file = folder / "w.h5";
  save_member(file, 5, {model.genome, model.weights});
  const auto size = std::filesystem::file_size(file);
  const auto refused = [&](const std::string& path) {
    BOOST_CHECK_EXCEPTION(load_member(path, 5), IoError,
                          [&](const IoError& e) { return says(e, path); });
  };
  refused(folder / "missing.h5");
  copy_with(file, folder / "short.h5", size / 2, -1);
  refused(folder / "short.h5");
  copy_with(file, folder / "empty.h5", 0, -1);
  refused(folder / "empty.h5");

  // A flipped bit in the values: find them by content, so the test knows it hits them.
  const std::string bytes = test::content_of(file);
  const float* first = model.weights.begin()->second.values.data();
  const std::string needle(reinterpret_cast<const char*>(first), 4 * sizeof(float));
  const std::size_t at = bytes.find(needle);
  BOOST_REQUIRE(at != std::string::npos);
  copy_with(file, folder / "flipped.h5", size, static_cast<int>(at));
  refused(folder / "flipped.h5");
}

BOOST_AUTO_TEST_CASE(a_model_of_a_later_format_is_refused) {
  const test::TemporaryFolder folder;
  const std::string path = folder / "m.h5";
  save_model(path, test::sample_model());
  const hid_t file = H5Fopen(path.c_str(), H5F_ACC_RDWR, H5P_DEFAULT);
  const hid_t version = H5Aopen(file, "format_version", H5P_DEFAULT);
  const int later = 99;
  BOOST_REQUIRE(H5Awrite(version, H5T_NATIVE_INT, &later) >= 0);
  H5Aclose(version);
  H5Fclose(file);
  BOOST_CHECK_EXCEPTION(load_model(path), IoError, [](const IoError& e) {
    return says(e, "format version 99") && says(e, "or a later one");
  });
}

BOOST_AUTO_TEST_CASE(a_folder_that_is_not_there_is_named) {
  BOOST_CHECK_EXCEPTION(save_model("/nowhere/m.h5", test::sample_model()), IoError,
                        [](const IoError& e) { return says(e, "/nowhere"); });
}

BOOST_AUTO_TEST_CASE(a_checkpoint_goes_only_to_its_own_training) {
  const test::TemporaryFolder folder;
  FinalState state;
  state.training.seed = 18446744073709551615ULL;
  state.training.epoch = 2;
  state.training.history = {{1.5, 0.25}, {1.25, 0.5}};
  const Model model = test::sample_model();
  state.weights = model.weights;
  BOOST_CHECK_NO_THROW(save_checkpoint(folder / "bare.h5", "training of a", state));
  BOOST_CHECK_EXCEPTION(load_checkpoint(folder / "bare.h5", "training of a"), IoError,
                        [](const IoError& e) { return says(e, "momentum"); });
  const Graph graph = graph_of(model);
  for (const Parameter& p : graph.parameters()) {
    if (p.trainable()) state.weights[p.name + kMomentumSuffix] = model.weights.at(p.name);
  }
  save_checkpoint(folder / "c.h5", "training of a", state);
  const FinalState back = load_checkpoint(folder / "c.h5", "training of a");
  BOOST_TEST(back.training.seed == state.training.seed);
  BOOST_TEST(back.training.epoch == 2);
  BOOST_TEST(back.training.history.at(1).accuracy == 0.5);
  BOOST_TEST((back.weights == state.weights));
  BOOST_CHECK_EXCEPTION(load_checkpoint(folder / "c.h5", "training of b"), InvalidInput,
                        [](const InvalidInput& e) { return says(e, "training of b"); });
}

BOOST_AUTO_TEST_SUITE_END()
