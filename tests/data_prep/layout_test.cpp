// Folders and files in the layouts that people have: what is in which split and class, and what
// stops the program.

#include <boost/test/unit_test.hpp>
#include <filesystem>
#include <map>
#include <string>
#include <vector>

#include "data_prep/programs.h"
#include "renas/dataset.h"
#include "renas/image.h"
#include "support/encode.h"
#include "support/files.h"
#include "support/temporary_folder.h"

namespace fs = std::filesystem;
using renas::DataSet;
using renas::test::counting;
using renas::test::has;
using renas::test::idx_of;
using renas::test::Ran;
using renas::test::run;
using renas::test::stored;
using renas::test::TemporaryFolder;
using renas::test::write_bytes;
using renas::test::write_text;

namespace {

/// A PNG file of 8x8, a different one for each number.
std::vector<uint8_t> picture(int number) {
  renas::Image image = renas::test::colourful(8, 8);
  for (int i = 0; i < 4; ++i) image.pixels[i] = static_cast<uint8_t>(number >> (8 * i));
  return renas::encode_lossless(image);
}

/// A folder with pictures that are all different.
class Tree {
 public:
  void add(const std::string& path) { write_bytes(root() + "/" + path, picture(++count_)); }
  void add_class(const std::string& folder, int count) {
    for (int i = 0; i < count; ++i) add(folder + "/p" + std::to_string(i) + ".png");
  }
  void add_cats_and_dogs(const std::string& split, int count = 3) {
    for (const char* name : {"/cat", "/dog"}) add_class(split + name, count);
  }
  std::string root() const { return folder_ / "in"; }
  std::string out() const { return folder_ / "out.h5"; }
  std::string operator/(const std::string& name) const { return root() + "/" + name; }

  Ran prepare(const std::string& options = "") const {
    fs::remove(out());
    return run("renas-prep-images " + root() + " " + out() + " " + options);
  }
  /// The message of a run that has to be refused and to leave nothing.
  std::string refused(const std::string& options = "") const {
    const Ran ran = prepare(options);
    BOOST_TEST(ran.code == 2, ran.output);
    BOOST_TEST(!fs::exists(out()));
    BOOST_TEST(renas::test::partial_files(folder_.path()) == 0);
    return ran.output;
  }
  /// The report of a run that has to succeed.
  std::string prepared(const std::string& options = "") const {
    const Ran ran = prepare(options);
    BOOST_TEST(ran.code == 0, ran.output);
    return ran.output;
  }
  /// Labels of a split, by the file's names: "cat cat dog".
  std::string classes(const std::string& split) const {
    const DataSet data = DataSet::open(out(), split);
    std::string text;
    for (const int32_t label : data.labels()) {
      text += (text.empty() ? "" : " ") + data.info().class_names[label];
    }
    return text;
  }
  int64_t size(const std::string& split) const { return DataSet::open(out(), split).size(); }
  std::vector<std::string> splits() const { return DataSet::splits(out()); }

 private:
  TemporaryFolder folder_;
  int count_ = 0;
};

using Names = std::vector<std::string>;

}  // namespace

BOOST_AUTO_TEST_SUITE(layouts)

BOOST_AUTO_TEST_CASE(other_names_of_val_are_taken_as_val) {
  for (const std::string name : {"val", "valid", "validation", "dev"}) {
    Tree tree;
    tree.add_cats_and_dogs("train");
    tree.add_cats_and_dogs(name, 2);
    std::string report = tree.prepared();
    BOOST_TEST(has(report, "the folder " + name + " is the split test"), report);
    BOOST_TEST((tree.splits() == Names{"train", "test"}));
    tree.prepared("--keep-val");
    BOOST_TEST((tree.splits() == Names{"train", "val"}));
    tree.add_cats_and_dogs("test", 1);
    report = tree.prepared();
    BOOST_TEST((tree.splits() == Names{"train", "val", "test"}));
    BOOST_TEST(tree.size("val") == 4);
    BOOST_TEST(has(report, "the folder " + name + " is the split val") == (name != "val"));
  }
  Tree tree;
  tree.add_cats_and_dogs("train");
  tree.add_cats_and_dogs("val");
  tree.add_cats_and_dogs("dev");
  BOOST_TEST(has(tree.refused(), "both dev and val are names of the split val; --ignore val"));
  tree.prepared("--ignore dev");
}

BOOST_AUTO_TEST_CASE(any_other_folder_beside_train_is_named) {
  Tree tree;
  tree.add_cats_and_dogs("train");
  tree.add_cats_and_dogs("test");
  tree.add_cats_and_dogs("Testing");
  tree.add(".cache/a.png");
  tree.add("__MACOSX/a.png");
  tree.add("cover.png");
  write_text(tree / "README", "hello");
  BOOST_TEST(has(tree.refused(),
                 "in/Testing: a folder beside train that is neither val (valid, validation, dev) "
                 "nor test; --ignore Testing goes on without it"));
  const std::string report = tree.prepared("--ignore Testing");
  BOOST_TEST(has(report, "left out, a folder to be ignored: 1"));
  BOOST_TEST(has(report, "left out, beside the splits: 1"));
  BOOST_TEST(tree.size("test") == 6);
  BOOST_TEST(has(tree.prepared("--skip-bad"), "left out, a folder beside train that is neither"));
  BOOST_TEST(has(tree.refused("--ignore Testing,nothing"), "--ignore nothing: there is no such"));
}

BOOST_AUTO_TEST_CASE(a_class_that_one_split_lacks_stops_the_program) {
  Tree tree;
  tree.add_cats_and_dogs("train");
  tree.add_cats_and_dogs("test");
  tree.add("test/zebra/z.png");
  BOOST_TEST(has(tree.refused(),
                 "in: classes without training images: zebra. Mend the files, or go on by "
                 "--allow-class-differences"));
  tree.prepared("--allow-class-differences");
  BOOST_TEST(DataSet::open(tree.out(), "train").classes() == 3);
  BOOST_TEST(has(tree.refused("--skip-bad"), "classes without training images: zebra"));
  fs::remove_all(tree / "test/zebra");
  tree.add("train/yak/y.png");
  BOOST_TEST(has(tree.refused(), "in: classes that only train has: yak. Mend"));
  tree.prepared("--allow-class-differences");
  // Two other splits: one of them is enough.
  tree.add_cats_and_dogs("val");
  tree.add("val/yak/y.png");
  tree.prepared();
}

BOOST_AUTO_TEST_CASE(classes_whose_names_differ_in_case_alone_stop_the_program) {
  Tree tree;
  for (const char* name : {"train/Cat", "train/Dog", "test/cat", "test/dog"})
    tree.add_class(name, 2);
  BOOST_TEST(has(tree.refused(),
                 "in: classes without training images: cat, dog; classes that only train has: Cat, "
                 "Dog; names that differ in case alone: Cat and cat, Dog and dog. Mend"));
  tree.prepared("--allow-class-differences");
  Tree letters;
  for (const char* split : {"train", "test"}) {
    for (const char* name : {"/a", "/A", "/Ä", "/ä"})
      letters.add_class(split + std::string(name), 1);
  }
  BOOST_TEST(has(letters.refused(), "in: names that differ in case alone: A and a, Ä and ä. Mend"));
  letters.prepared("--allow-class-differences");
  BOOST_TEST(letters.classes("train") == "A a Ä ä");
}

BOOST_AUTO_TEST_CASE(a_class_that_skip_bad_leaves_empty_stops_the_program) {
  Tree tree;
  tree.add_cats_and_dogs("train");
  tree.add_cats_and_dogs("test");
  write_text(tree / "train/zebra/z.png", "no picture");
  tree.add("test/zebra/z.png");
  BOOST_TEST(has(tree.refused(), "train/zebra/z.png: neither JPEG nor PNG"));
  BOOST_TEST(has(tree.refused("--skip-bad"), "in: classes without training images: zebra"));
  tree.prepared("--skip-bad --allow-class-differences");
  // By duplicates too: the only zebra is a cat.
  fs::remove_all(tree / "train/zebra");
  fs::create_directories(tree / "train/zebra");
  fs::copy(tree / "train/cat/p0.png", tree / "train/zebra/z.png");
  tree.prepared();
  BOOST_TEST(has(tree.refused("--drop-duplicates"), "classes without training images: zebra"));
}

BOOST_AUTO_TEST_CASE(sub_folders_of_a_class_belong_to_it) {
  Tree tree;
  tree.add_cats_and_dogs("train");
  tree.add_cats_and_dogs("test");
  tree.add_class("train/cat/persian", 5);
  tree.add_class("train/cat/persian/white", 1);
  fs::create_directory(tree / "train/dog/empty");
  fs::create_directory_symlink(".", tree / "train/dog/loop");
  fs::create_directory_symlink("../..", tree / "train/cat/up");
  const std::string report = tree.prepared();
  BOOST_TEST(tree.size("train") == 12);
  BOOST_TEST(has(report, "taken from sub-folders of classes: 6"), report);
  BOOST_TEST(has(report, "left out, a link to a folder that it lies in: 2"), report);
  BOOST_TEST(tree.classes("train") == "cat cat cat cat cat cat cat cat cat dog dog dog");
}

BOOST_AUTO_TEST_CASE(tiny_imagenet_works_as_it_is_unpacked) {
  Tree tree;
  std::string notes;
  for (const std::string id : {"n01", "n02"}) {
    tree.add_class("train/" + id + "/images", 3);
    write_text(tree / ("train/" + id + "/" + id + "_boxes.txt"), "p0.png\t0\t0\t7\t7\n");
  }
  for (int i = 0; i < 4; ++i) {
    notes += "val_" + std::to_string(i) + ".png\tn0" + std::to_string(i % 2 + 1) + "\t0\t0\t7\t7\n";
    tree.add("val/images/val_" + std::to_string(i) + ".png");
    tree.add("test/images/test_" + std::to_string(i) + ".png");
  }
  write_text(tree / "val/val_annotations.txt", notes);
  BOOST_TEST(has(tree.refused(), "val: no images in folders of classes"));
  BOOST_TEST(has(tree.refused(), "--val-labels FILE says the class of each (perhaps " +
                                     (tree / "val/val_annotations.txt)")));
  const std::string report = tree.prepared("--val-labels " + (tree / "val/val_annotations.txt"));
  BOOST_TEST(has(report, "the folder test was left out: its 4 images have no labels"), report);
  BOOST_TEST(tree.classes("train") == "n01 n01 n01 n02 n02 n02");
  BOOST_TEST(tree.classes("test") == "n01 n01 n02 n02");
  BOOST_TEST((stored(DataSet::open(tree.out(), "test"), 1) ==
              renas::test::bytes_of(tree / "val/images/val_2.png")));
}

BOOST_AUTO_TEST_CASE(imagenet_works_as_it_is_unpacked) {
  Tree tree;
  std::string table = "ImageId,PredictionString\n";
  for (const std::string id : {"n10", "n20", "n30"}) tree.add_class("train/" + id, 2);
  for (int i = 1; i <= 6; ++i) {
    const std::string number = std::to_string(i);
    const std::string id = "n" + std::to_string(i % 3 + 1) + "0";
    tree.add("val/ILSVRC2012_val_" + number + ".png");
    tree.add("test/ILSVRC2012_test_" + number + ".png");
    table += "ILSVRC2012_val_" + number + "," + id + " 1 2 3 4 " + id + " 5 6 7 8 \n";
  }
  write_text(tree / "LOC_val_solution.csv", table);
  BOOST_TEST(has(tree.refused(), "LOC_val_solution.csv)"));
  const std::string report = tree.prepared("--val-labels " + (tree / "LOC_val_solution.csv"));
  BOOST_TEST(
      has(report, "the folder test was left out: its 6 images have no labels (--test-labels"));
  BOOST_TEST(has(report, "the folder val is the split test"));
  BOOST_TEST(tree.classes("test") == "n10 n10 n20 n20 n30 n30");
  BOOST_TEST((stored(DataSet::open(tree.out(), "test"), 0) ==
              renas::test::bytes_of(tree / "val/ILSVRC2012_val_3.png")));
}

BOOST_AUTO_TEST_CASE(every_split_may_have_a_table_of_labels) {
  Tree tree;
  std::map<std::string, std::string> tables;
  for (const std::string split : {"train", "val", "test"}) {
    tables[split] =
        "\xef\xbb\xbf"
        "filename;label\r\n";
    for (int i = 0; i < 6; ++i) {
      const std::string name = split + " " + std::to_string(i) + ".png";
      tree.add(split + "/" + name);
      tables[split] += split + "/" + name + ";" + (i % 2 == 0 ? "a dog" : "cat") + "\r\n";
    }
    write_text(tree / (split + ".csv"), tables[split]);
  }
  const std::string options = "--train-labels " + (tree / "train.csv") + " --val-labels " +
                              (tree / "val.csv") + " --test-labels " + (tree / "test.csv");
  tree.prepared(options);
  for (const std::string split : {"train", "val", "test"}) {
    BOOST_TEST(tree.classes(split) == "a dog a dog a dog cat cat cat");
    BOOST_TEST((stored(DataSet::open(tree.out(), split), 3) ==
                renas::test::bytes_of(tree / (split + "/" + split + " 1.png"))));
  }
  BOOST_TEST(has(tree.refused(), "--train-labels FILE says the class of each"));
  // Numbers are classes in the order of numbers; of several images of one name, which is meant?
  Tree numbers;
  numbers.add("train/a/x.png");
  numbers.add("train/b/x.png");
  numbers.add("train/y.png");
  const std::string table = numbers / "t.csv";
  write_text(table, "a/x,10\nb/x.png,9\ny,10\n");
  numbers.prepared("--train-labels " + table);
  BOOST_TEST(numbers.classes("train") == "9 10 10");
  write_text(table, "x,1\n");
  BOOST_TEST(has(numbers.refused("--train-labels " + table),
                 "t.csv: 'x' may be a/x.png or b/x.png; name it with its folder"));
  BOOST_TEST(has(numbers.refused("--train-labels " + table + " --test-labels " + table),
                 "--test-labels: there is no folder"));
}

BOOST_AUTO_TEST_CASE(a_number_is_a_name_where_names_are_numbers) {
  Tree tree;
  for (const std::string name : {"0", "1", "3"}) tree.add_class("train/" + name, 2);
  for (int i = 0; i < 3; ++i) tree.add("val/v" + std::to_string(i) + ".png");
  const std::string table = tree / "val.csv";
  write_text(table, "v0,3\nv1,0\nv2,1\n");
  tree.prepared("--val-labels " + table);
  BOOST_TEST(tree.classes("test") == "0 1 3");
  // The third class is not meant, but one that train lacks.
  for (const std::string others : {"v1,0\nv0,1\n", "v1,2\nv0,2\n"}) {
    write_text(table, others + "v2,2\n");
    const std::string said = tree.refused("--val-labels " + table);
    BOOST_TEST(has(said, "class '2' is no"), said);
    BOOST_TEST(has(said, table + ", line "), said);
  }
}

BOOST_AUTO_TEST_CASE(a_test_set_is_drawn_out_of_a_tree_without_splits) {
  Tree tree;
  tree.add_class("rose", 20);
  tree.add_class("tulip", 10);
  tree.add_class("lonely", 1);
  BOOST_TEST(has(tree.refused(), "--split 0.1 makes a tenth of each the test set"));
  const std::string report = tree.prepared("--split 0.2");
  BOOST_TEST(has(report, "test was drawn out of " + tree.root() + ": 6 of 31 images, seed 0"),
             report);
  BOOST_TEST(tree.classes("test") == "rose rose rose rose tulip tulip");
  BOOST_TEST(tree.size("train") == 25);
  BOOST_TEST(tree.classes("train").rfind("lonely rose", 0) == 0U);
  std::map<std::vector<uint8_t>, int> seen;
  for (const std::string split : {"train", "test"}) {
    const DataSet data = DataSet::open(tree.out(), split);
    for (int64_t i = 0; i < data.size(); ++i) ++seen[stored(data, i)];
  }
  BOOST_TEST(seen.size() == 31U);
  const auto first = stored(DataSet::open(tree.out(), "test"), 0);
  const auto all = renas::test::bytes_of(tree.out());
  tree.prepared("--split 0.2");
  BOOST_TEST((renas::test::bytes_of(tree.out()) == all));
  bool other = false;
  for (const std::string seed : {"1", "2", "3"}) {
    tree.prepared("--split 0.2 --seed " + seed);
    other = other || stored(DataSet::open(tree.out(), "test"), 0) != first;
  }
  BOOST_TEST(other);
  BOOST_TEST(has(tree.refused("--split 0.001"), "--split 0.001: of 31 images that leaves 31 for"));

  // Out of train, too; not where there is a test set.
  Tree with_train;
  with_train.add_cats_and_dogs("train", 10);
  with_train.prepared("--split 0.1");
  BOOST_TEST(with_train.size("test") == 2);
  with_train.add_cats_and_dogs("val", 2);
  with_train.prepared("--split 0.1");
  BOOST_TEST((with_train.splits() == Names{"train", "val", "test"}));
  with_train.add_cats_and_dogs("test", 2);
  BOOST_TEST(has(with_train.refused("--split 0.1"), "has a folder test already"));
  with_train.prepared("--split 0.1 --ignore test");
}

BOOST_AUTO_TEST_CASE(all_that_was_left_out_is_listed_in_a_file) {
  Tree tree;
  tree.add_cats_and_dogs("train");
  tree.add_cats_and_dogs("test");
  std::string expected;
  for (int i = 10; i < 25; ++i) {
    const std::string name = tree / ("train/cat/bad" + std::to_string(i) + ".png");
    write_text(name, "bad");
    expected += "cannot be used\t" + name + ": neither JPEG nor PNG (it begins 62 61 64)\n";
  }
  write_text(tree / "train/cat/a.webp", "picture");
  write_text(tree / "train/cat/notes.txt", "hello");
  expected += "not named .jpg, .jpeg or .png\t" + (tree / "train/cat/notes.txt\n");
  expected +=
      "pictures of other formats (convert them to PNG or JPEG)\t" + (tree / "train/cat/a.webp\n");
  const std::string list = tree / "list.txt";
  tree.refused("--left-out " + list);
  BOOST_TEST(!fs::exists(list));
  const std::string report = tree.prepared("--skip-bad --left-out " + list);
  BOOST_TEST(has(report, "  and 5 more\n"));
  BOOST_TEST(renas::test::content_of(list) == expected);
  BOOST_TEST(has(tree.refused("--skip-bad --left-out " + list), "exists already; --force"));
  tree.prepared("--force --skip-bad --left-out " + list);
  BOOST_TEST(has(tree.refused("--skip-bad --left-out " + (tree / "no/such/list")), "cannot write"));
}

BOOST_AUTO_TEST_CASE(repeats_leaks_and_contradictions_are_told_apart) {
  Tree tree;
  tree.add_cats_and_dogs("train");
  tree.add_cats_and_dogs("test");
  const auto copy = [&](const std::string& from, const std::string& to) {
    fs::copy(tree / from, tree / to);
  };
  copy("train/cat/p0.png", "train/cat/p0_again.png");
  copy("train/cat/p0.png", "train/dog/q.png");
  copy("train/cat/p1.png", "test/cat/q.png");
  copy("train/cat/p2.png", "test/dog/q.png");  // both
  const std::string report = tree.prepared();
  BOOST_TEST(has(report, "duplicates, kept (--drop-duplicates leaves them out): 4, the first: " +
                             (tree / "train/cat/p0_again.png is ") + (tree / "train/cat/p0.png")),
             report);
  BOOST_TEST(has(report, "  repeats (in one split and class): 1, the first"));
  BOOST_TEST(
      has(report, "  leaks (in two splits; test accuracy is too good by them): 2, the first: " +
                      (tree / "test/cat/q.png is ") + (tree / "train/cat/p1.png")));
  BOOST_TEST(has(report, "  contradictions (one image, two classes): 2, the first: " +
                             (tree / "train/dog/q.png is ") + (tree / "train/cat/p0.png")));
  BOOST_TEST(has(tree.prepared("--drop-duplicates"), "left out, duplicate: 4"));
}

BOOST_AUTO_TEST_CASE(class_names_become_utf_8) {
  Tree tree;
  for (const std::string split : {"train/", "test/"}) {
    tree.add(split + "K\xe4se/p\xfc.png");
    tree.add(split + "plain/p.png");
  }
  const std::string report = tree.prepared();
  BOOST_TEST(has(report, "class names that are not UTF-8, taken as Latin-1: Käse"));
  BOOST_TEST(tree.classes("train") == "Käse plain");
  // The same class, whose name another system wrote.
  fs::rename(tree / "test/K\xe4se", tree / "test/Käse");
  tree.prepared();
  BOOST_TEST(tree.classes("test") == "Käse plain");
}

BOOST_AUTO_TEST_CASE(a_size_is_told_how_to_write_it) {
  Tree tree;
  tree.add_cats_and_dogs("train");
  BOOST_TEST(has(tree.refused("--size 224"),
                 "--size 224: expected HEIGHTxWIDTH; write --size "
                 "224x224\n"));
  BOOST_TEST(has(tree.refused("--size 8x8x3"), "write --size 8x8\n"));
  BOOST_TEST(has(tree.refused("--size big"), "write --size 64x64\n"));
  BOOST_TEST(has(tree.prepared(), "all images are 8x8: --size 8x8 makes a set of one size"));
  BOOST_TEST(!has(tree.prepared("--size 8x8"), "all images are"));
}

BOOST_AUTO_TEST_CASE(idx_files_have_several_names_and_first_labels) {
  const auto prepared = [](const TemporaryFolder& scratch, const std::string& options = "") {
    return run("renas-prep-idx " + (scratch / "in") + " " + (scratch / "out.h5") + " --force " +
               options);
  };
  const auto write = [](const TemporaryFolder& scratch, const std::string& prefix,
                        const std::string& test, char dot, int first_label) {
    const auto name = [&](const std::string& split, const std::string& what) {
      return scratch /
             ("in/" + prefix + split + "-" + what.substr(0, 6) + dot + what.substr(7) + "-ubyte");
    };
    const auto label = [&](int i) { return static_cast<uint8_t>(first_label + i); };
    write_bytes(name("train", "images-idx3"), idx_of({4, 3, 2}, counting(24)));
    write_bytes(name("train", "labels-idx1"),
                idx_of({4}, {label(0), label(1), label(2), label(0)}));
    write_bytes(name(test, "images-idx3"), idx_of({2, 3, 2}, counting(12, 100)));
    write_bytes(name(test, "labels-idx1"), idx_of({2}, {label(2), label(1)}));
  };
  const TemporaryFolder dots;
  write(dots, "", "t10k", '.', 0);
  BOOST_TEST(prepared(dots).code == 0);
  BOOST_TEST(DataSet::open(dots / "out.h5", "train").size() == 4);

  const TemporaryFolder emnist;
  write(emnist, "emnist-letters-", "test", '-', 1);
  Ran ran = prepared(emnist);
  BOOST_TEST(ran.code == 0, ran.output);
  BOOST_TEST(has(ran.output, "labels 1 to 3 of the files are stored as 0 to 2"));
  BOOST_TEST(has(ran.output, "--transpose turns them upright"));
  const DataSet letters = DataSet::open(emnist / "out.h5", "test");
  BOOST_TEST(letters.classes() == 3);
  BOOST_TEST(letters.labels()[0] == 2);
  ran = prepared(emnist, "--labels-from 0");
  BOOST_TEST(DataSet::open(emnist / "out.h5", "test").classes() == 4);
  ran = prepared(emnist, "--transpose");
  const DataSet turned = DataSet::open(emnist / "out.h5", "train");
  BOOST_TEST((turned.shape() == renas::Shape{1, 2, 3}));
  BOOST_TEST((stored(turned, 1) == std::vector<uint8_t>{6, 8, 10, 7, 9, 11}));

  // Several sets in one folder.
  write(emnist, "emnist-digits-", "test", '-', 0);
  ran = prepared(emnist);
  BOOST_TEST(ran.code == 2);
  BOOST_TEST(has(ran.output, "--prefix names one of: emnist-digits-, emnist-letters-"));
  ran = prepared(emnist, "--prefix emnist-digits");
  BOOST_TEST(ran.code == 0, ran.output);
  BOOST_TEST(!has(ran.output, "stored as 0 to"));
  BOOST_TEST(prepared(emnist, "--prefix emnist-digits --labels-from 1").code == 2);
  BOOST_TEST(has(prepared(emnist, "--prefix mnist").output, "has no file mnist-train-images"));
}

BOOST_AUTO_TEST_CASE(a_class_of_idx_files_that_only_test_has_stops_the_program) {
  const TemporaryFolder scratch;
  const std::string in = scratch / "in";
  write_bytes(in + "/train-images-idx3-ubyte", idx_of({4, 3, 2}, counting(24)));
  write_bytes(in + "/train-labels-idx1-ubyte", idx_of({4}, {0, 1, 5, 0}));
  write_bytes(in + "/t10k-images-idx3-ubyte", idx_of({2, 3, 2}, counting(12, 100)));
  write_bytes(in + "/t10k-labels-idx1-ubyte", idx_of({2}, {1, 0}));
  const std::string command = "renas-prep-idx " + in + " " + (scratch / "out.h5");
  BOOST_TEST(run(command).code == 0);  // 2, 3 and 4 are nobody's
  write_bytes(in + "/t10k-labels-idx1-ubyte", idx_of({2}, {1, 3}));
  const Ran ran = run(command + " --force");
  BOOST_TEST(ran.code == 2);
  BOOST_TEST(has(ran.output, "in: classes without training images: 3. Mend the files"), ran.output);
  BOOST_TEST(run(command + " --force --allow-class-differences").code == 0);
}

BOOST_AUTO_TEST_CASE(idx_and_cifar_files_are_searched_for_leaks_too) {
  const TemporaryFolder scratch;
  const std::string in = scratch / "in";
  auto pixels = counting(24);
  std::copy_n(pixels.begin(), 6, pixels.begin() + 18);  // image 3 is image 0
  write_bytes(in + "/train-images-idx3-ubyte", idx_of({4, 3, 2}, pixels));
  write_bytes(in + "/train-labels-idx1-ubyte", idx_of({4}, {0, 1, 2, 0}));
  write_bytes(in + "/t10k-images-idx3-ubyte", idx_of({2, 3, 2}, counting(12, 6)));  // images 1, 2
  write_bytes(in + "/t10k-labels-idx1-ubyte", idx_of({2}, {1, 0}));
  Ran ran = run("renas-prep-idx " + in + " " + (scratch / "out.h5"));
  BOOST_TEST(ran.code == 0);
  BOOST_TEST(has(ran.output, "duplicates, kept: 3, the first: train 3 is train 0\n"), ran.output);
  BOOST_TEST(has(ran.output, "repeats (in one split and class): 1, the first: train 3 is train 0"));
  BOOST_TEST(has(ran.output, "too good by them): 2, the first: test 0 is train 1"));
  BOOST_TEST(has(ran.output, "two classes): 1, the first: test 1 is train 2"));

  const std::string cifar = scratch / "cifar";
  std::string names;
  for (int i = 0; i < 10; ++i) names += i == 3 ? "K\xe4se\n" : "name" + std::to_string(i) + "\n";
  write_text(cifar + "/batches.meta.txt", names + "\n");
  const auto record = [](uint8_t label, int start) {
    auto bytes = counting(3073, start - 1);
    bytes[0] = label;
    return bytes;
  };
  for (int i = 1; i <= 5; ++i) {
    write_bytes(cifar + "/data_batch_" + std::to_string(i) + ".bin", record(3, i));
  }
  write_bytes(cifar + "/test_batch.bin", record(3, 2));
  ran = run("renas-prep-cifar " + cifar + " " + (scratch / "c.h5"));
  BOOST_TEST(has(ran.output, "too good by them): 1, the first: test 0 is train 1"), ran.output);
  BOOST_TEST(has(ran.output, "not UTF-8 was taken as Latin-1: Käse"));
  BOOST_TEST(DataSet::open(scratch / "c.h5", "test").info().class_names[3] == "Käse");
}

BOOST_AUTO_TEST_SUITE_END()
