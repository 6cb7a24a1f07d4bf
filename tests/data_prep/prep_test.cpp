// The preparing programs: their parsers, and the programs themselves from the command line.

#include <algorithm>
#include <boost/test/unit_test.hpp>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <string>
#include <vector>

#include "cifar.h"
#include "data_prep/programs.h"
#include "idx.h"
#include "renas/dataset.h"
#include "renas/error.h"
#include "renas/image.h"
#include "support/encode.h"
#include "support/files.h"
#include "support/made_up_images.h"
#include "support/temporary_folder.h"
#include "tree.h"

namespace fs = std::filesystem;
namespace prep = renas::prep;
using renas::DataSet;
using renas::InvalidInput;
using renas::test::bytes_of;
using renas::test::colourful;
using renas::test::counting;
using renas::test::encode_png;
using renas::test::has;
using renas::test::idx_of;
using renas::test::Ran;
using renas::test::run;
using renas::test::stored;
using renas::test::TemporaryFolder;
using renas::test::write_bytes;
using renas::test::write_text;

namespace {

std::string idx_failure(const std::vector<uint8_t>& bytes) {
  std::size_t at = 0;
  try {
    prep::parse_idx(
        [&](uint8_t* to, std::size_t wanted) {
          const std::size_t n = std::min(wanted, bytes.size() - at);
          std::copy_n(bytes.begin() + static_cast<std::ptrdiff_t>(at), n, to);
          at += n;
          return n;
        },
        "x");
  } catch (const InvalidInput& error) {
    return error.what();
  }
  return "read";
}

void write_idx_folder(const std::string& folder) {
  write_bytes(folder + "/train-images-idx3-ubyte", idx_of({4, 3, 2}, counting(24)));
  write_bytes(folder + "/train-labels-idx1-ubyte", idx_of({4}, {0, 1, 2, 0}));
  write_bytes(folder + "/t10k-images-idx3-ubyte", idx_of({2, 3, 2}, counting(12, 100)));
  write_bytes(folder + "/t10k-labels-idx1-ubyte", idx_of({2}, {2, 1}));
}

std::vector<uint8_t> cifar_record(std::vector<uint8_t> labels, int start) {
  const auto planes = counting(3072, start);
  labels.insert(labels.end(), planes.begin(), planes.end());
  return labels;
}

// train: two classes with two images each; test: one image each. Of different sizes and kinds.
void write_tree(const std::string& folder) {
  const auto jpeg = [](int height, int width) {
    return renas::encode_jpeg(colourful(height, width));
  };
  write_bytes(folder + "/train/ant/a.jpg", jpeg(40, 60));
  write_bytes(folder + "/train/ant/b.JPEG", jpeg(61, 50));
  write_bytes(folder + "/train/bee/é ü.png", encode_png(colourful(33, 45)));
  write_bytes(folder + "/train/bee/grey.jpeg", renas::encode_jpeg(colourful(44, 35, 1)));
  write_bytes(folder + "/test/ant/x.jpg", jpeg(50, 50));
  write_bytes(folder + "/test/bee/y.png", encode_png(colourful(32, 32)));
}

}  // namespace

BOOST_AUTO_TEST_SUITE(preparing)

BOOST_AUTO_TEST_CASE(idx_files_that_lie_are_refused) {
  BOOST_TEST(idx_failure(idx_of({2, 2}, {1, 2, 3, 4})) == "read");
  BOOST_TEST(
      idx_failure({}) ==
      "x: not an IDX file of unsigned bytes (it begins 00 00 00 00; expected 00 00 08 and the "
      "number of dimensions, 1 to 4)");
  BOOST_TEST(has(idx_failure({0, 0, 13, 1, 0, 0, 0, 0}), "it begins 00 00 0d 01"));
  BOOST_TEST(idx_failure({0, 0, 8, 2, 0, 0}) == "x: the file ends within its header");
  BOOST_TEST(idx_failure(idx_of({2, 2}, {1, 2, 3})) ==
             "x: the header speaks of 4 values (2 x 2), the file has 3");
  BOOST_TEST(has(idx_failure(idx_of({2}, {1, 2, 3})), "x: bytes behind the 2 values"));
  // 4 GiB by its header; must not be taken at its word.
  BOOST_TEST(has(idx_failure(idx_of({65536, 65536}, {1})), "the file has 1"));
  BOOST_TEST(has(idx_failure(idx_of({2000000000, 2000000000, 2000000000}, {1})), "more than 2^40"));
}

BOOST_AUTO_TEST_CASE(cifar_files_that_lie_are_refused) {
  const auto failure = [](const std::vector<uint8_t>& bytes, const prep::CifarLayout& layout) {
    prep::CifarImages images;
    try {
      prep::parse_cifar(bytes, layout, "x", images);
    } catch (const InvalidInput& error) {
      return std::string(error.what());
    }
    return std::string("read");
  };
  auto bytes = cifar_record({9}, 0);
  BOOST_TEST(failure(bytes, {1, 0, 10}) == "read");
  bytes[0] = 10;
  BOOST_TEST(failure(bytes, {1, 0, 10}) == "x: label 10 of record 0 is not one of the 10 classes");
  bytes.pop_back();
  BOOST_TEST(failure(bytes, {1, 0, 10}) ==
             "x: 3072 bytes are not whole records of 3073 (is it truncated?)");
  BOOST_TEST(has(failure({}, {1, 0, 10}), "x: 0 bytes"));
  BOOST_TEST(failure(cifar_record({3, 99}, 0), {2, 1, 100}) == "read");
  BOOST_TEST(has(failure(cifar_record({20, 99}, 0), {2, 0, 20}), "label 20 of record 0"));
}

BOOST_AUTO_TEST_CASE(label_files_come_in_three_forms) {
  const auto lines = prep::parse_labels({"a.JPEG n01", "b\t7", "c,n02 1 2 3 4"}, "x");
  BOOST_TEST(lines.size() == 3U);
  BOOST_TEST(lines[0].name == "a.JPEG");
  BOOST_TEST(lines[0].label == "n01");
  BOOST_TEST(lines[1].label == "7");
  BOOST_TEST(lines[2].name == "c");
  BOOST_TEST(lines[2].label == "n02");
  BOOST_TEST(prep::parse_labels({"ImageId,PredictionString", "a,n01 5"}, "x").size() == 1U);
  BOOST_CHECK_EXCEPTION(prep::parse_labels({"a b", "lonely"}, "x"), InvalidInput,
                        [](const auto& error) {
                          return std::string(error.what()) ==
                                 "x, line 2: expected an image's name and its class, got 'lonely'";
                        });
}

BOOST_AUTO_TEST_CASE(renas_prep_idx_stores_what_the_files_hold) {
  const TemporaryFolder scratch;
  write_idx_folder(scratch / "in");
  const std::string out = scratch / "out.h5";
  Ran ran = run("renas-prep-idx " + (scratch / "in") + " " + out + " --class-names a,b,c");
  BOOST_TEST(ran.code == 0, ran.output);
  BOOST_TEST(has(ran.output, "train: 4 images, 1 to 2 of a class"));
  const DataSet train = DataSet::open(out, "train");
  BOOST_TEST((train.shape() == renas::Shape{1, 3, 2}));
  BOOST_TEST((stored(train, 3) == counting(6, 18)));
  BOOST_TEST(train.info().class_names[2] == "c");
  BOOST_TEST(DataSet::open(out, "test").labels()[0] == 2);
  ran = run("renas-prep-idx " + (scratch / "in") + " " + out);
  BOOST_TEST(ran.code == 2);
  BOOST_TEST(ran.output ==
             "renas-prep-idx: " + out + ": exists already, and is overwritten only by force\n");
  BOOST_TEST(run("renas-prep-idx " + (scratch / "in") + " " + out + " --force").code == 0);
}

BOOST_AUTO_TEST_CASE(renas_prep_idx_reads_gzip_and_refuses_what_is_wrong) {
  const TemporaryFolder scratch;
  const std::string in = scratch / "in";
  write_idx_folder(in);
  BOOST_TEST(std::system(("gzip " + in + "/train-images-idx3-ubyte").c_str()) == 0);
  const std::string command = "renas-prep-idx " + in + " " + (scratch / "out.h5");
  BOOST_TEST(run(command).code == 0);
  const std::string images = in + "/train-images-idx3-ubyte.gz";
  fs::resize_file(images, fs::file_size(images) - 10);
  Ran ran = run(command + " --force");
  BOOST_TEST(ran.code == 2);
  BOOST_TEST(has(ran.output, "train-images-idx3-ubyte.gz: the gzip data is truncated"));
  auto damaged = bytes_of(images);
  damaged[damaged.size() / 2] ^= 0xff;
  damaged.insert(damaged.end(), 10, 0);
  write_bytes(images, damaged);
  ran = run(command + " --force");
  BOOST_TEST(ran.code == 2);
  BOOST_TEST(has(ran.output, "train-images-idx3-ubyte.gz: the gzip data is damaged"), ran.output);
  fs::remove(images);
  ran = run(command + " --force");
  BOOST_TEST(ran.code == 2);
  BOOST_TEST(
      has(ran.output, "neither train-images-idx3-ubyte nor train-images-idx3-ubyte.gz is there"));
  write_bytes(in + "/train-images-idx3-ubyte", idx_of({3, 3, 2}, counting(18)));
  BOOST_TEST(has(run(command + " --force").output, "train-labels-idx1-ubyte: 4 labels, but"));
  write_bytes(in + "/train-images-idx3-ubyte", idx_of({4, 6}, counting(24)));
  BOOST_TEST(has(run(command + " --force").output,
                 "expected images x rows x columns, one or more of each; found 4 x 6"));
  write_bytes(in + "/train-images-idx3-ubyte", idx_of({4, 2, 3}, counting(24)));
  BOOST_TEST(has(run(command + " --force").output, "training images are 2x3x1, test images 3x2x1"));
  write_bytes(in + "/train-images-idx3-ubyte", idx_of({4, 3, 2}, counting(24)));
  BOOST_TEST(has(run(command + " --force --class-names a,b").output,
                 "--class-names: 2 names, but the labels go from 0 to 2"));
  BOOST_TEST(has(run(command + " --force --class-names a,b,a").output,
                 "--class-names: classes 0 and 2, counted from 0, are both called 'a'"));
  BOOST_TEST(run("renas-prep-idx").code == 2);
  BOOST_TEST(run("renas-prep-idx --help").code == 0);
  write_bytes(in + "/train-images-idx3-ubyte", idx_of({0, 3, 2}, {}));
  write_bytes(in + "/train-labels-idx1-ubyte", idx_of({0}, {}));
  ran = run(command + " --force");
  BOOST_TEST(ran.code == 2);
  BOOST_TEST(has(ran.output, "one or more of each; found 0 x 3 x 2"), ran.output);
  // The file that was there is as it was.
  BOOST_TEST(DataSet::open(scratch / "out.h5", "train").size() == 4);
}

BOOST_AUTO_TEST_CASE(renas_prep_cifar_turns_planes_into_pixels) {
  const TemporaryFolder scratch;
  const std::string in = scratch / "in/cifar-10-batches-bin";
  std::string names;
  for (int i = 0; i < 10; ++i) names += "name" + std::to_string(i) + "\n";
  write_text(in + "/batches.meta.txt", names + "\n");
  for (int i = 1; i <= 5; ++i) {
    write_bytes(in + "/data_batch_" + std::to_string(i) + ".bin",
                cifar_record({static_cast<uint8_t>(i)}, i));
  }
  write_bytes(in + "/test_batch.bin", cifar_record({7}, 77));
  const Ran ran = run("renas-prep-cifar " + (scratch / "in") + " " + (scratch / "out.h5"));
  BOOST_TEST(ran.code == 0, ran.output);
  BOOST_TEST(has(ran.output,
                 "data_batch_2.bin: expected 10000 images, as the official file has; "
                 "found 1: is it cut off?"));
  const DataSet train = DataSet::open(scratch / "out.h5", "train");
  BOOST_TEST(train.size() == 5);
  BOOST_TEST(train.labels()[4] == 5);
  BOOST_TEST(train.info().class_names[9] == "name9");
  const auto image = stored(train, 2);
  for (std::size_t p = 0; p < 1024; ++p) {
    for (std::size_t c = 0; c < 3; ++c) {
      BOOST_REQUIRE(image[p * 3 + c] == static_cast<uint8_t>(3 + c * 1024 + p));
    }
  }
  const std::string again = "renas-prep-cifar " + in + " " + (scratch / "b.h5");
  BOOST_TEST(has(run(again + " --coarse").output, "CIFAR-10 has no coarse labels"));
  names.replace(names.find("name9"), 5, "name3");
  write_text(in + "/batches.meta.txt", names);
  BOOST_TEST(has(run(again).output,
                 "batches.meta.txt: classes 3 and 9, counted from 0, are both called 'name3'"));
  write_text(in + "/batches.meta.txt", "one\ntwo\n");
  BOOST_TEST(has(run(again).output, "batches.meta.txt: 2 names for 10 classes"));
  fs::remove(in + "/data_batch_3.bin");
  const Ran missing = run(again);
  BOOST_TEST(missing.code == 2);
  BOOST_TEST(has(missing.output, "data_batch_3.bin: cannot open: No such file or directory"));
  fs::remove(in + "/data_batch_1.bin");
  BOOST_TEST(
      has(run(again).output, "neither data_batch_1.bin (CIFAR-10, binary version) nor train.bin"));
}

BOOST_AUTO_TEST_CASE(renas_prep_cifar_knows_both_labels_of_cifar_100) {
  const TemporaryFolder scratch;
  const std::string in = scratch / "in";
  std::string coarse;
  std::string fine;
  for (int i = 0; i < 20; ++i) coarse += "coarse" + std::to_string(i) + "\n";
  for (int i = 0; i < 100; ++i) fine += "fine" + std::to_string(i) + "\n";
  write_text(in + "/coarse_label_names.txt", coarse);
  write_text(in + "/fine_label_names.txt", fine);
  write_bytes(in + "/train.bin", cifar_record({4, 44}, 1));
  write_bytes(in + "/test.bin", cifar_record({5, 55}, 2));
  BOOST_TEST(run("renas-prep-cifar " + in + " " + (scratch / "f.h5")).code == 0);
  BOOST_TEST(run("renas-prep-cifar " + in + " " + (scratch / "c.h5") + " --coarse").code == 0);
  BOOST_TEST(DataSet::open(scratch / "f.h5", "train").labels()[0] == 44);
  BOOST_TEST(DataSet::open(scratch / "c.h5", "train").labels()[0] == 4);
  BOOST_TEST(DataSet::open(scratch / "c.h5", "test").info().class_names[5] == "coarse5");
}

BOOST_AUTO_TEST_CASE(renas_prep_images_keeps_the_bytes_of_images_that_are_not_scaled) {
  const TemporaryFolder scratch;
  write_tree(scratch / "in");
  const std::string out = scratch / "out.h5";
  const Ran ran = run("renas-prep-images " + (scratch / "in") + " " + out + " --threads 3");
  BOOST_TEST(ran.code == 0, ran.output);
  const DataSet train = DataSet::open(out, "train");
  BOOST_TEST(train.encoded());
  BOOST_TEST((std::vector<int32_t>(train.labels().begin(), train.labels().end()) ==
              std::vector<int32_t>{0, 0, 1, 1}));
  BOOST_TEST((train.info().class_names == std::vector<std::string>{"ant", "bee"}));
  const std::vector<std::string> files{"ant/a.jpg", "ant/b.JPEG", "bee/grey.jpeg", "bee/é ü.png"};
  renas::DecodeOptions decoding;
  decoding.channels = 3;
  double sum = 0;
  double count = 0;
  for (std::size_t i = 0; i < files.size(); ++i) {
    const auto bytes = stored(train, static_cast<int64_t>(i));
    BOOST_TEST((bytes == bytes_of((scratch / "in/train/") + files[i])));
    const auto image = renas::decode_image(bytes, decoding);
    for (std::size_t p = 0; p < image.pixels.size(); p += 3) sum += image.pixels[p];
    count += static_cast<double>(image.pixels.size()) / 3;
  }
  BOOST_TEST(std::abs(train.info().mean[0] - sum / count / 255) < 1e-12);
}

BOOST_AUTO_TEST_CASE(renas_prep_images_scales_and_cuts_to_order) {
  const TemporaryFolder scratch;
  write_tree(scratch / "in");
  const std::string in = scratch / "in";
  BOOST_TEST(
      run("renas-prep-images " + in + " " + (scratch / "a.h5") + " --shorter-side 36").code == 0);
  const DataSet scaled = DataSet::open(scratch / "a.h5", "train");
  BOOST_TEST((renas::inspect_image(stored(scaled, 0)).shape == renas::Shape{3, 36, 54}));
  BOOST_TEST((renas::inspect_image(stored(scaled, 1)).shape == renas::Shape{3, 44, 36}));
  BOOST_TEST((stored(scaled, 2) == bytes_of(in + "/train/bee/grey.jpeg")));  // 35: as it is

  BOOST_TEST(run("renas-prep-images " + in + " " + (scratch / "b.h5") + " --size 32x32").code == 0);
  const DataSet fixed = DataSet::open(scratch / "b.h5", "train");
  BOOST_TEST((fixed.shape() == renas::Shape{3, 32, 32}));
  const auto image = renas::decode_image(bytes_of(in + "/train/ant/a.jpg"));
  const auto expected = renas::crop_image(renas::resize_image(image, 32, 48), 0, 8, 32, 32);
  BOOST_TEST((stored(fixed, 0) == expected.pixels));
  BOOST_TEST((stored(DataSet::open(scratch / "b.h5", "test"), 1) == colourful(32, 32).pixels));
  BOOST_TEST(run("renas-prep-images " + in + " " + (scratch / "c.h5") + " --size 32").code == 2);
}

BOOST_AUTO_TEST_CASE(renas_prep_images_reads_a_flat_validation_folder) {
  const TemporaryFolder scratch;
  const std::string in = scratch / "in";
  write_tree(in);
  fs::remove_all(in + "/test");
  write_bytes(in + "/val/v1.JPEG", renas::encode_jpeg(colourful(40, 41)));
  write_bytes(in + "/val/v2.JPEG", renas::encode_jpeg(colourful(42, 43)));
  const std::string out = scratch / "out.h5";
  const std::string command = "renas-prep-images " + in + " " + out + " --force";
  Ran ran = run(command);
  BOOST_TEST(ran.code == 2);
  BOOST_TEST(has(ran.output, "--val-labels FILE says the class of each"));
  for (const std::string labels : {"v2.JPEG ant\nv1.JPEG bee\n", "v1 1\nv2 0\n",
                                   "ImageId,PredictionString\nv1,bee 1 2 3\nv2,ant 1 2\n"}) {
    write_text(scratch / "labels.txt", labels);
    ran = run(command + " --val-labels " + (scratch / "labels.txt"));
    BOOST_TEST(ran.code == 0, ran.output);
    const DataSet test = DataSet::open(out, "test");
    BOOST_TEST(test.labels()[0] == 0);
    BOOST_TEST((stored(test, 0) == bytes_of(in + "/val/v2.JPEG")));
    BOOST_TEST((stored(test, 1) == bytes_of(in + "/val/v1.JPEG")));
  }
  BOOST_TEST(run(command + " --keep-val --val-labels " + (scratch / "labels.txt")).code == 0);
  BOOST_TEST(DataSet::open(out, "val").size() == 2);

  const auto with = [&](const std::string& labels, const std::string& more = "") {
    write_text(scratch / "labels.txt", labels);
    return run(command + more + " --val-labels " + (scratch / "labels.txt"));
  };
  ran = with("v1 1\nv2 0\nv3 0\n");
  BOOST_TEST(ran.code == 2);
  BOOST_TEST(has(ran.output, "in/val/v3: named in the label file, but not there"));
  BOOST_TEST(has(with("v1 1\n").output, "in/val/v2.JPEG: not named in the label file"));
  const std::string table = scratch / "labels.txt";
  const std::string neither =
      " is neither the name of a class of " + in + " nor a number from 0 to 1";
  BOOST_TEST(has(with("v1 1\nv2 wasp\n").output, table + ", line 2: class 'wasp'" + neither));
  BOOST_TEST(has(with("v1 1\n\nv2 2\n").output, table + ", line 3: class '2'" + neither));
  // Of a table that has both, either may be meant.
  const std::string no_name = ": class '0' is not the name of a class of " + in + ", as 'ant' in ";
  BOOST_TEST(has(with("v1 0\nv2 ant\n").output, table + ", line 1" + no_name + "line 2 is"));
  BOOST_TEST(has(with("v2 ant\nv1 0\n").output, table + ", line 2" + no_name + "line 1 is"));
  BOOST_TEST(has(with("v1 1\nv1 1\nv2 0\n").output, "names v1 twice"));
  ran = with("v1 1\nv3 0\n", " --skip-bad");
  BOOST_TEST(ran.code == 0);
  BOOST_TEST(has(ran.output, "left out, named in the label file, but not there: 1"));
  BOOST_TEST(has(ran.output, "left out, not named in the label file: 1"));
}

BOOST_AUTO_TEST_CASE(every_kind_of_bad_image_has_its_answer) {
  const TemporaryFolder scratch;
  const std::string in = scratch / "in";
  write_tree(in);
  const auto png = encode_png(colourful(20, 30));
  const auto jpeg = renas::encode_jpeg(colourful(30, 30));
  const std::string command = "renas-prep-images " + in + " " + (scratch / "out.h5") + " --force";
  const std::string spot = in + "/train/ant/zzz.jpg";

  // These are used as they are.
  write_bytes(spot, png);  // PNG by another name
  Ran ran = run(command);
  BOOST_TEST(ran.code == 0, ran.output);
  BOOST_TEST(has(ran.output, "JPEG named as PNG or PNG named as JPEG: 1"));
  write_bytes(spot, encode_png(colourful(20, 30), {16, true, false, false}));
  BOOST_TEST(run(command).code == 0);
  renas::test::JpegForm cmyk;
  cmyk.cmyk = true;
  write_bytes(spot, encode_jpeg_as({4, 16, 16}, counting(1024), cmyk));
  BOOST_TEST(run(command).code == 0);
  write_bytes(spot, bytes_of(in + "/train/ant/a.jpg"));
  ran = run(command);
  BOOST_TEST(
      has(ran.output, "duplicates, kept (--drop-duplicates leaves them out): 1, the first: "));
  ran = run(command + " --drop-duplicates");
  BOOST_TEST(has(ran.output, "left out, duplicate: 1"));
  BOOST_TEST(DataSet::open(scratch / "out.h5", "train").size() == 4);

  // These stop the program, or are left out and counted with --skip-bad.
  const auto refused = [&](const std::string& reason) {
    const Ran strict = run(command);
    BOOST_TEST(strict.code == 2);
    BOOST_TEST(has(strict.output, "zzz.jpg: " + reason), strict.output);
    const Ran lenient = run(command + " --skip-bad");
    BOOST_TEST(lenient.code == 0, lenient.output);
    BOOST_TEST(has(lenient.output, "left out, cannot be used: 1"));
    BOOST_TEST(has(lenient.output, reason));
    BOOST_TEST(DataSet::open(scratch / "out.h5", "train").size() == 4);
  };
  write_bytes(spot, {jpeg.begin(), jpeg.begin() + static_cast<std::ptrdiff_t>(jpeg.size() / 2)});
  refused("JPEG: Premature end of JPEG file");
  write_bytes(spot, {png.begin(), png.begin() + static_cast<std::ptrdiff_t>(png.size() / 2)});
  refused("PNG: the file is truncated");
  write_bytes(spot, {});
  refused("an empty file");
  write_text(spot, "<html>not found</html>");
  refused("neither JPEG nor PNG (it begins 3c 68 74 6d)");
  auto bomb = png;
  bomb[16] = bomb[20] = 0x10;
  write_bytes(spot, bomb);
  refused("PNG of 268435486 x 268435476 pixels, more than the limit of 100000000");
  fs::remove(spot);
  fs::create_symlink("nowhere", spot);
  refused("cannot open: No such file or directory");
  fs::remove(spot);

  fs::create_directory(in + "/train/wasp");
  ran = run(command);
  BOOST_TEST(ran.code == 2);
  BOOST_TEST(has(ran.output, "in/train/wasp: a class without images"));
  ran = run(command + " --skip-bad");
  BOOST_TEST(ran.code == 0);
  BOOST_TEST(has(ran.output, "left out, a class without images: 1"));
  BOOST_TEST(DataSet::open(scratch / "out.h5", "train").classes() == 2);
  fs::remove(in + "/train/wasp");
  write_text(in + "/train/ant/notes.txt", "hello");
  ran = run(command);
  BOOST_TEST(ran.code == 0);
  BOOST_TEST(has(ran.output, "left out, not named .jpg, .jpeg or .png: 1"));
  fs::remove_all(in + "/train");
  BOOST_TEST(has(run(command).output, "no folder train in it"));
}

BOOST_AUTO_TEST_CASE(a_folder_of_images_of_any_size_can_be_trained_on) {
  const TemporaryFolder scratch;
  write_tree(scratch / "in");
  BOOST_TEST(run("renas-prep-images " + (scratch / "in") + " " + (scratch / "data.h5")).code == 0);
  const std::string command = "renas-train --data " + (scratch / "data.h5") + " --out " +
                              (scratch / "model.h5") +
                              " --cells 1 --filters 4 --epochs 1 --batch 2 --threads 1 --quiet";
  Ran ran = run(command);
  BOOST_TEST(ran.code == 2);
  BOOST_TEST(has(ran.output, "may vary in size; --crop says what to cut out of each"));
  ran = run(command + " --crop 16 --shorter-side 18,24 --lighting 0.1");
  BOOST_TEST(ran.code == 0, ran.output);
  BOOST_TEST(has(ran.output, "test accuracy"));
  ran = run(command +
            " --force --recipe imagenet-renas --crop 64 --shorter-side 64,72 --last-epochs 0");
  BOOST_TEST(ran.code == 0, ran.output);
  BOOST_TEST(has(ran.output, "test accuracy"));
}

BOOST_AUTO_TEST_CASE(a_folder_val_of_ones_own_is_scored_on_request) {
  const TemporaryFolder scratch;
  const std::string in = scratch / "in";
  write_tree(in);
  fs::copy(in + "/test", in + "/valid", fs::copy_options::recursive);
  BOOST_TEST(run("renas-prep-images " + in + " " + (scratch / "data.h5") + " --size 16x16").code ==
             0);
  const std::string command = "renas-train --data " + (scratch / "data.h5") + " --out " +
                              (scratch / "model.h5") +
                              " --cells 1 --filters 4 --epochs 1 --batch 2 --threads 1 --quiet";
  const Ran ran = run(command + " --validation-group val");
  BOOST_TEST(ran.code == 0, ran.output);
  // Val and test are equal here.
  const auto accuracy = [&](const std::string& of) {
    const auto at = ran.output.find(of + " accuracy ");
    return at == std::string::npos ? "none of " + of : ran.output.substr(at + of.size(), 16);
  };
  BOOST_TEST(accuracy("validation") == accuracy("test"));
  const Ran search =
      run("renas-search --data " + (scratch / "data.h5") + " --run " + (scratch / "run") +
          " --validation-group val --blocks 2 --population 2 --sample 2 "
          "--children 0 --cells 1 --filters 4 --batch 4 --initial-epochs 1 "
          "--retrain-epochs 1 --threads 1");
  BOOST_TEST(search.code == 0, search.output);
  BOOST_TEST(has(search.output, "4 images of D_train and 2 of D_val"), search.output);
}

BOOST_AUTO_TEST_CASE(a_full_disk_is_said_and_leaves_nothing) {
  const TemporaryFolder scratch;
  write_tree(scratch / "in");
  const std::string out = scratch / "out.h5";
  // Full at once, in the middle of the images (1.2 MB), and only when the file is closed.
  for (const char* bytes : {"0", "5000", "500000", "1182000"}) {
    const Ran ran = run("renas-prep-images " + (scratch / "in") + " " + out + " --size 256x256",
                        std::string("ASAN_OPTIONS=verify_asan_link_order=0 RENAS_DISK_BYTES=") +
                            bytes + " LD_PRELOAD=" RENAS_FULL_DISK " ");
    BOOST_TEST(ran.code == 2, ran.output);
    BOOST_TEST(has(ran.output, "out.h5: cannot write"), ran.output);
    BOOST_TEST(has(ran.output, "No space left on device"), ran.output);
    BOOST_TEST(!fs::exists(out));
    BOOST_TEST(renas::test::partial_files(scratch.path()) == 0);
  }
}

BOOST_AUTO_TEST_SUITE_END()
