// What renas-predict makes of folders, names and models: a picture counts as what it is in the data
// set that renas-prep-images makes of the same folder.

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <boost/test/unit_test.hpp>
#include <filesystem>
#include <limits>
#include <nlohmann/json.hpp>

#include "renas/dataset_writer.h"
#include "renas/image.h"
#include "renas/model.h"
#include "support/files.h"
#include "support/sample_model.h"
#include "support/toy_search.h"

using namespace renas::test;
namespace fs = std::filesystem;
using Json = nlohmann::json;

namespace {

constexpr const char* kLatin1 =
    "K\xe4"
    "fer";

/// A network of random weights for grey images of 8 x 8.
renas::Model model_of(const std::vector<std::string>& class_names) {
  renas::Model model = sample_model();
  model.network.image = {1, 8, 8};
  model.network.classes = static_cast<int>(class_names.size());
  model.class_names = class_names;
  model.preparation = renas::Augmentation::none();
  model.range_16.reset();
  renas::Random random(3);
  model.weights = renas::initialize(graph_of(model), random);
  return model;
}

renas::Image noise(uint64_t seed) {
  renas::Random random(seed);
  renas::Image image{{1, 8, 8}, {}};
  for (int i = 0; i < 64; ++i) image.pixels.push_back(static_cast<uint8_t>(random.below(256)));
  return image;
}

struct Fixture {
  TemporaryFolder folder;
  uint64_t pictures = 0;

  Fixture() { save("model.h5", {"Käfer", "cat", "dog"}); }

  void save(const std::string& name, const std::vector<std::string>& class_names) {
    renas::save_model(folder / name, model_of(class_names));
  }
  /// A new picture.
  void draw(const std::string& name) {
    write_bytes(folder / name, renas::encode_lossless(noise(++pictures)));
  }
  void draw(const std::string& where, int count) {
    for (int i = 0; i < count; ++i) draw(where + "/" + std::to_string(i) + ".png");
  }
  void write_set(const std::string& name, const std::vector<std::string>& class_names) {
    renas::DataSetWriter writer(folder / name);
    renas::ChannelStatistics statistics(1);
    for (const char* split : {"train", "test"}) {
      writer.begin_split(split, {1, 8, 8});
      for (int i = 0; i < static_cast<int>(class_names.size()); ++i) {
        const renas::Image image = noise(static_cast<uint64_t>(i));
        writer.add(image.pixels, i);
        statistics.add(image.pixels);
      }
    }
    renas::DataSetInfo info;
    info.class_names = class_names;
    info.classes = static_cast<int>(class_names.size());
    info.mean = statistics.mean();
    info.sd = statistics.sd();
    writer.finish(info);
  }

  /// Makes folders in each other until their path is longer than the system lets anyone read.
  void make_deep(const std::string& where) {
    const std::string name(250, 'd');
    int at = ::open((folder / where).c_str(), O_RDONLY | O_DIRECTORY);
    for (int i = 0; i < 17; ++i) {
      BOOST_REQUIRE(::mkdirat(at, name.c_str(), 0700) == 0);
      const int inner = ::openat(at, name.c_str(), O_RDONLY | O_DIRECTORY);
      ::close(at);
      at = inner;
    }
    ::close(at);
  }

  std::string predict(const std::string& what, const std::string& model = "model.h5") const {
    return kPrograms + "renas-predict '" + (folder / model) + "' '" + (folder / what) + "' ";
  }
  Json json_of(const std::string& what, const std::string& options = "",
               const std::string& model = "model.h5") const {
    const Ran ran = run_command("{ " + predict(what, model) + "--json " + options + " 2> '" +
                                (folder / "messages") + "'; }");
    return Json::parse(ran.output);  // throws where it is cut off
  }
  /// How many pictures of each class there are.
  static std::vector<int64_t> classes_in(const Json& found) {
    std::vector<int64_t> counts;
    for (const auto& row : found.at("evaluation").at("confusion_matrix")) {
      counts.push_back(0);
      for (const int64_t n : row) counts.back() += n;
    }
    return counts;
  }
};

using Counts = std::vector<int64_t>;

}  // namespace

BOOST_FIXTURE_TEST_SUITE(predict, Fixture)

BOOST_AUTO_TEST_CASE(a_folder_means_what_the_data_set_made_of_it_means) {
  for (const char* split : {"tree/train/", "tree/valid/"}) {
    draw(split + std::string(kLatin1), 2);
    draw(split + std::string("cat"), 3);
  }
  draw("tree/train/dog", 1);
  draw("elsewhere/dogs", 4);
  fs::create_directory_symlink(folder / "elsewhere/dogs", folder / "tree/valid/dog");
  draw("tree/valid/cat/asleep/dog", 1);  // a cat
  draw("tree/valid/cat/asleep/0.JPE");
  fs::create_directory_symlink(folder / "tree/valid", folder / "tree/valid/cat/asleep/up");
  fs::create_directory_symlink(folder / "tree", folder / "tree/valid/cat/top");
  for (const char* hidden : {".thumbs/0.png", "._0.png", "__MACOSX/0.png"}) {
    write_text(folder / ("tree/valid/cat/" + std::string(hidden)), "no picture");
  }
  done(kPrograms + "renas-prep-images " + (folder / "tree") + " " + (folder / "set.h5") +
       " --size 8x8 --channels 1");

  const Json of_folder = json_of("tree");
  const Json of_set = json_of("set.h5");
  BOOST_TEST(classes_in(of_folder) == (Counts{2, 5, 4}), boost::test_tools::per_element());
  for (const char* what : {"pictures", "correct", "confusion_matrix"}) {
    BOOST_TEST(of_folder["evaluation"][what] == of_set["evaluation"][what], what);
  }
  BOOST_TEST(of_folder["no_class"].empty());
  BOOST_TEST(of_folder["unreadable"].empty());
  BOOST_TEST(json_of("tree", "--split val")["pictures"] == of_folder["pictures"]);
  fs::remove_all(folder / "tree/train");  // splits are known without it
  BOOST_TEST(json_of("tree")["pictures"] == of_folder["pictures"]);
  // The folder of a class alone, from which no link leads away.
  fs::remove(folder / "tree/valid/cat/asleep/up");
  fs::remove(folder / "tree/valid/cat/top");
  BOOST_TEST(classes_in(json_of("tree/valid/cat/")) == (Counts{0, 5, 0}),
             boost::test_tools::per_element());
}

BOOST_AUTO_TEST_CASE(pictures_in_folders_that_are_no_class_are_counted) {
  draw("tree/cat", 2);
  draw("tree/bird/far", 2);
  draw("tree/bird", 1);
  draw("tree/fish", 1);
  draw("tree/0.png");
  const std::string message =
      "4 pictures lie in folders that are no class of the model: bird, fish\n";
  for (const char* form : {"", "--csv", "--json"}) {
    const Ran ran = done(predict("tree") + form);
    BOOST_TEST(ran.output.find(message) != std::string::npos, ran.output);
  }
  const Json json = json_of("tree");
  BOOST_TEST(json["no_class"] == (Json{{"bird", 3}, {"fish", 1}}));
  BOOST_TEST(classes_in(json) == (Counts{0, 2, 0}), boost::test_tools::per_element());
  // A class may be called as a split is.
  save("vehicles.h5", {"bus", "train"});
  draw("test/train", 2);
  draw("test/bus", 1);
  BOOST_TEST(classes_in(json_of("test", "", "vehicles.h5")) == (Counts{1, 2}),
             boost::test_tools::per_element());
}

BOOST_AUTO_TEST_CASE(json_is_whole_whatever_the_bytes_of_names) {
  const std::string tree = "tree/" + std::string(kLatin1);
  draw(tree, 3);
  write_text(folder / (tree + "/\xff.jpg"), "no picture");
  fs::rename(folder / "model.h5", folder / "\xfc.h5");
  const Json json = json_of("tree", "", "\xfc.h5");
  BOOST_TEST(json["unreadable"].size() == 1);
  BOOST_TEST(json["pictures"].size() == 3);
  BOOST_TEST(classes_in(json) == (Counts{3, 0, 0}), boost::test_tools::per_element());
  draw("strange/\xfe", 1);
  BOOST_TEST(json_of("strange", "", "\xfc.h5")["no_class"] == (Json{{"þ", 1}}));
}

BOOST_AUTO_TEST_CASE(classes_of_one_name_are_told_apart_by_their_order_or_not_at_all) {
  save("twins.h5", {"cat", "cat", "dog"});
  write_set("twins_set.h5", {"cat", "cat", "dog"});
  BOOST_TEST(classes_in(json_of("twins_set.h5", "", "twins.h5")) == (Counts{1, 1, 1}),
             boost::test_tools::per_element());
  write_set("set.h5", {"dog", "cat"});
  refused(predict("set.h5", "twins.h5"), "the model: several classes are called 'cat'");
  write_set("dogs.h5", {"dog", "dog"});
  refused(predict("dogs.h5"), "dogs.h5: several classes are called 'dog'");
  draw("tree/cat", 1);
  draw("other/dog", 1);
  refused(predict("tree", "twins.h5"), "the model: several classes are called 'cat'");
  BOOST_TEST(classes_in(json_of("other", "", "twins.h5")) == (Counts{0, 0, 1}),
             boost::test_tools::per_element());
}

BOOST_AUTO_TEST_CASE(a_model_that_diverged_names_no_class) {
  renas::Model model = model_of({"cat", "dog"});
  for (auto& [name, tensor] : model.weights) {
    for (float& value : tensor.values) value = std::numeric_limits<float>::quiet_NaN();
  }
  renas::save_model(folder / "diverged.h5", model);
  draw("tree/cat", 1);
  const Ran ran = run_command(predict("tree", "diverged.h5") + "--each");
  BOOST_TEST(ran.code == 1);
  BOOST_TEST(
      ran.output.find("scores are not finite numbers: the model has diverged") != std::string::npos,
      ran.output);
  BOOST_TEST(ran.output.find("%") == std::string::npos, ran.output);
}

BOOST_AUTO_TEST_CASE(what_the_system_refuses_is_named) {
  const std::string longest(300, 'x');
  refused(predict(longest), longest + ": File name too long");
  refused(predict("model.h5", longest), longest);
  draw("tree/cat", 2);
  refused(predict("tree") + "--split " + longest, longest + ": File name too long");
  make_deep("tree/cat");
  refused(predict("tree"), "the folder cannot be read: File name too long");
  refused(predict("tree"), "1 of 3 pictures could not be read");
  const Ran ran = done(predict("tree") + "--skip-bad");
  BOOST_TEST(ran.output.find(" of 2)") != std::string::npos, ran.output);
  done("rm -r '" + (folder / "tree") + "'");
}

BOOST_AUTO_TEST_SUITE_END()
