// renas-prep-voc from the command line: images and masks, and every fault that these can have.

#include <algorithm>
#include <boost/test/unit_test.hpp>
#include <filesystem>
#include <string>
#include <vector>

#include "data_prep/programs.h"
#include "pair_list.h"
#include "renas/dataset.h"
#include "renas/error.h"
#include "renas/image.h"
#include "support/encode.h"
#include "support/files.h"
#include "support/pairs.h"
#include "support/temporary_folder.h"

#ifdef RENAS_WITH_MATIO
#include <matio.h>
#endif

namespace fs = std::filesystem;
using namespace renas;
using renas::test::colourful;
using renas::test::has;
using renas::test::Ran;
using renas::test::run;
using renas::test::TemporaryFolder;
using renas::test::write_bytes;
using renas::test::write_text;

namespace {

/// A mask of `height` x `width` whose values count up to `most` and begin anew.
Image counted(int height, int width, int most) {
  Image mask{{1, height, width}, {}};
  for (int i = 0; i < height * width; ++i) {
    mask.pixels.push_back(static_cast<uint8_t>(i % (most + 1)));
  }
  return mask;
}

/// Four pairs a, b, c, d of three classes, and the lists train (a, b, c) and val (d).
void write_voc(const std::string& folder) {
  const std::vector<uint8_t> palette(3 * 256, 9);
  for (const std::string id : {"a", "b", "c", "d"}) {
    const int side = 20 + id[0] - 'a';
    write_bytes(folder + "/JPEGImages/" + id + ".jpg", encode_jpeg(colourful(side, 30)));
    Image mask = counted(side, 30, 2);
    mask.pixels[3] = 255;
    write_bytes(folder + "/SegmentationClass/" + id + ".png",
                id == "b" ? encode_lossless(mask) : encode_with_palette(mask, palette));
  }
  write_text(folder + "/ImageSets/Segmentation/train.txt", "a\nb\n\nc\r\n");
  write_text(folder + "/ImageSets/Segmentation/val.txt", "d\n");
  write_text(folder + "/classes.txt", "sky\nroad\ntree\n");
}

std::string list_failure(const std::vector<std::string>& lines) {
  try {
    prep::parse_pair_list(lines, "list");
  } catch (const InvalidInput& error) {
    return error.what();
  }
  return "read";
}

}  // namespace

BOOST_AUTO_TEST_SUITE(voc)

BOOST_AUTO_TEST_CASE(lists_have_ids_or_pairs) {
  const auto ids = prep::parse_pair_list({"\xef\xbb\xbf"
                                          "2007_1",
                                          "", "  2007_2.jpg "},
                                         "list");
  BOOST_TEST(ids.size() == 2u);
  BOOST_TEST(ids[0].id == "2007_1");
  BOOST_TEST(ids[1].id == "2007_2");
  const auto pairs = prep::parse_pair_list({"/JPEGImages/x.jpg /Masks/x.png"}, "list");
  BOOST_TEST(pairs[0].id.empty());
  BOOST_TEST(pairs[0].image == "JPEGImages/x.jpg");
  BOOST_TEST(pairs[0].mask == "Masks/x.png");
  BOOST_TEST(has(list_failure({"", " "}), "list: no line names an image"));
  BOOST_TEST(has(list_failure({"a", "b", "a"}), "list:3: a is in line 1 already"));
  BOOST_TEST(has(list_failure({"a", "b c"}), "list:2: expected an id as in the lines before"));
  BOOST_TEST(has(list_failure({"a b c"}), "found 3 words"));
  BOOST_TEST(has(list_failure({"2007_1 -1"}), "a list of one class's images"));
  BOOST_TEST(has(list_failure({"../../etc/passwd"}), "leads out of the folder"));
  BOOST_TEST(has(list_failure({"...jpg"}), "leads out of the folder"));  // ".." and an ending
  BOOST_TEST(has(list_failure({"train/.jpg"}), "expected the name of a file, found train/"));
  BOOST_TEST(has(list_failure({"//"}), "expected the name of a file, found //"));
  BOOST_TEST(has(list_failure({"./"}), "expected the name of a file, found ./"));
  BOOST_TEST(has(list_failure({"x.jpg x.png", ".//x.jpg y.png"}), "x.jpg is in line 1 already"));
}

BOOST_AUTO_TEST_CASE(pairs_become_a_data_set_that_gives_back_every_value) {
  const TemporaryFolder scratch;
  write_voc(scratch / "in");
  const std::string out = scratch / "out.h5";
  const Ran ran =
      run("renas-prep-voc " + (scratch / "in") + " " + out + " --train train --val val");
  BOOST_TEST(ran.code == 0, ran.output);
  BOOST_TEST(has(ran.output, "train: 3 pairs of 20x30 to 22x30 pixels, 0.16 % void"), ran.output);
  const DataSet data = DataSet::open(out, "train");
  BOOST_TEST(data.size() == 3);
  BOOST_TEST(data.has_masks());
  BOOST_TEST(data.info().class_names[1] == "road");
  std::vector<uint8_t> buffer;
  for (int i = 0; i < 3; ++i) {
    Image expected = counted(20 + i, 30, 2);
    expected.pixels[3] = 255;
    const Image mask = decode_index_map(data.mask(i, buffer));
    BOOST_TEST((mask.shape == expected.shape));
    BOOST_TEST((mask.pixels == expected.pixels));
    const std::string id(1, static_cast<char>('a' + i));
    BOOST_TEST((renas::test::stored(data, i) ==
                renas::test::bytes_of((scratch / "in/JPEGImages/") + id + ".jpg")));
  }
  // Pairs of paths, another void value.
  write_text(scratch / "pairs.txt", "/JPEGImages/a.jpg /SegmentationClass/a.png\n");
  const std::string other = scratch / "other.h5";
  const Ran again = run("renas-prep-voc " + (scratch / "in") + " " + other + " --void 2 --train " +
                        (scratch / "pairs.txt"));
  BOOST_TEST(again.code == 0, again.output);
  const Image mask = decode_index_map(DataSet::open(other, "train").mask(0, buffer));
  BOOST_TEST(mask.pixels[2] == 255);
  BOOST_TEST(mask.pixels[3] == 255);
  BOOST_TEST(mask.pixels[4] == 1);
}

BOOST_AUTO_TEST_CASE(a_fault_is_named_and_skip_bad_leaves_the_pair_out) {
  struct Fault {
    std::string file;
    std::vector<uint8_t> bytes;
    std::string said;
  };
  const std::vector<uint8_t> good = encode_lossless(counted(21, 30, 2));
  const std::vector<Fault> faults{
      {"SegmentationClass/b.png", encode_lossless(counted(20, 30, 2)),
       "21 rows, 30 columns, but its mask"},
      {"SegmentationClass/b.png", encode_lossless(counted(21, 30, 3)),
       "value 3 at row 0, column 3: expected a class, 0 to 2, or 255 (void)"},
      {"SegmentationClass/b.png", encode_lossless(colourful(21, 30)), "is in colour"},
      {"SegmentationClass/b.png", encode_jpeg(colourful(21, 30)), "a mask is a PNG file"},
      {"SegmentationClass/b.png", {good.begin(), good.end() - 30}, "b.png: PNG"},
      {"SegmentationClass/b.png", {}, "an empty file"},
      {"JPEGImages/b.jpg", {1, 2, 3}, "b.jpg: neither JPEG nor PNG"},
  };
  for (const Fault& fault : faults) {
    BOOST_TEST_CONTEXT(fault.said) {
      const TemporaryFolder scratch;
      write_voc(scratch / "in");
      write_bytes((scratch / "in/") + fault.file, fault.bytes);
      const std::string out = scratch / "out.h5";
      const std::string command =
          "renas-prep-voc " + (scratch / "in") + " " + out + " --train train --val val";
      const Ran ran = run(command);
      BOOST_TEST(ran.code == 2, ran.output);
      BOOST_TEST(has(ran.output, fault.said), ran.output);
      BOOST_TEST(has(ran.output, "--skip-bad"), ran.output);
      BOOST_TEST(!fs::exists(out));
      BOOST_TEST(renas::test::partial_files(scratch.path()) == 0);
      const Ran skipped = run(command + " --skip-bad");
      BOOST_TEST(skipped.code == 0, skipped.output);
      BOOST_TEST(has(skipped.output, "left out, cannot be used: 1"), skipped.output);
      BOOST_TEST(DataSet::open(out, "train").size() == 2);
    }
  }
}

BOOST_AUTO_TEST_CASE(missing_files_lists_and_images_in_two_splits_are_refused) {
  const TemporaryFolder scratch;
  write_voc(scratch / "in");
  const std::string command = "renas-prep-voc " + (scratch / "in") + " " + (scratch / "out.h5");
  const auto said = [&](const std::string& options, const std::string& what) {
    const Ran ran = run(command + " " + options);
    BOOST_TEST(ran.code == 2, ran.output);
    BOOST_TEST(has(ran.output, what), ran.output);
  };
  said("--train none", "there is no such list");
  said("--train train --val train", "is in the list of train too");
  write_text(scratch / "dotted.txt", "./JPEGImages//a.jpg SegmentationClass/a.png\n");
  said("--train train --val " + (scratch / "dotted.txt"), "is in the list of train too");
  said("--images ./JPEGImages --train train --val " + (scratch / "dotted.txt"),
       "is in the list of train too");
  said("--train train --masks Elsewhere", "Elsewhere/a.png");
  write_text(scratch / "one.txt", "sky\n");
  said("--train train --classes " + (scratch / "one.txt"), "expected 2 to 255 classes");
  write_text(scratch / "equal.txt", "sky\nroad\n\nsky\n");
  said("--train train --classes " + (scratch / "equal.txt"),
       "equal.txt: classes 0 and 2, counted from 0, are both called 'sky'");
}

BOOST_AUTO_TEST_CASE(a_folder_is_no_list) {
  const TemporaryFolder scratch;
  write_voc(scratch / "in");
  fs::create_directory(scratch / "train");
  const Ran ran = run("renas-prep-voc in out.h5 --train train", "cd " + scratch.path() + " && ");
  BOOST_TEST(ran.code == 0, ran.output);
  BOOST_TEST(DataSet::open(scratch / "out.h5", "train").size() == 3);
}

BOOST_AUTO_TEST_CASE(equal_images_are_counted) {
  const TemporaryFolder scratch;
  write_voc(scratch / "in");
  const auto copy = [&](const std::string& id, const std::string& to) {
    const std::string images = scratch / "in/JPEGImages/";
    const std::string masks = scratch / "in/SegmentationClass/";
    fs::copy(images + id + ".jpg", images + to + ".jpg");
    fs::copy(masks + id + ".png", masks + to + ".png");
  };
  copy("a", "again");
  copy("b", "leak");
  copy("c", "other");
  // counted() alone lacks the void pixel that c's mask has.
  write_bytes(scratch / "in/SegmentationClass/other.png", encode_lossless(counted(22, 30, 2)));
  write_text(scratch / "train.txt", "a\nb\nc\nagain\nother\n");
  write_text(scratch / "val.txt", "d\nleak\n");
  const Ran ran = run("renas-prep-voc " + (scratch / "in") + " " + (scratch / "out.h5") +
                      " --train " + (scratch / "train.txt") + " --val " + (scratch / "val.txt"));
  BOOST_TEST(ran.code == 0, ran.output);
  const auto pair = [&](const std::string& one, const std::string& other) {
    return (scratch / "in/JPEGImages/") + one + ".jpg is " + (scratch / "in/JPEGImages/") + other +
           ".jpg\n";
  };
  BOOST_TEST(has(ran.output, "duplicates, kept: 3, the first: " + pair("again", "a")), ran.output);
  BOOST_TEST(
      has(ran.output, "repeats (in one split and mask): 1, the first: " + pair("again", "a")));
  BOOST_TEST(has(ran.output, "too good by them): 1, the first: " + pair("leak", "b")));
  BOOST_TEST(has(ran.output,
                 "contradictions (one image, two masks): 1, the first: " + pair("other", "c")));
}

#ifdef RENAS_WITH_MATIO
namespace {

/// Writes an annotation as SBD has them: GTcls with the field Segmentation.
void write_sbd(const std::string& path, const Image& mask) {
  fs::create_directories(fs::path(path).parent_path());
  std::size_t dims[] = {static_cast<std::size_t>(mask.shape.height),
                        static_cast<std::size_t>(mask.shape.width)};
  std::vector<uint8_t> columns;
  for (int x = 0; x < mask.shape.width; ++x) {
    for (int y = 0; y < mask.shape.height; ++y) {
      columns.push_back(mask.pixels[static_cast<std::size_t>(y * mask.shape.width + x)]);
    }
  }
  std::size_t one[] = {1, 1};
  const char* names[] = {"Segmentation"};
  mat_t* mat = Mat_CreateVer(path.c_str(), nullptr, MAT_FT_MAT5);
  BOOST_REQUIRE(mat != nullptr);
  matvar_t* variable = Mat_VarCreateStruct("GTcls", 2, one, names, 1);
  matvar_t* field = Mat_VarCreate(nullptr, MAT_C_UINT8, MAT_T_UINT8, 2, dims, columns.data(), 0);
  Mat_VarSetStructFieldByName(variable, "Segmentation", 0, field);
  BOOST_TEST(Mat_VarWrite(mat, variable, MAT_COMPRESSION_ZLIB) == 0);
  Mat_VarFree(variable);
  Mat_Close(mat);
}

}  // namespace

BOOST_AUTO_TEST_CASE(sbd_is_added_to_train_without_the_images_of_val) {
  const TemporaryFolder scratch;
  write_voc(scratch / "in");
  const std::string sbd = scratch / "sbd";
  // a is of train and d of val; e and f are new.
  for (const std::string id : {"a", "d", "e", "f"}) {
    const int side = 20 + id[0] - 'a';
    write_bytes(sbd + "/img/" + id + ".jpg", encode_jpeg(colourful(side, 30)));
    write_sbd(sbd + "/cls/" + id + ".mat", counted(side, 30, 2));
  }
  write_text(sbd + "/train.txt", "a\ne\n");
  write_text(sbd + "/val.txt", "d\nf\n");
  const std::string command = "renas-prep-voc " + (scratch / "in") + " " + (scratch / "out.h5") +
                              " --train train --sbd " + sbd;
  const Ran without = run(command);
  BOOST_TEST(without.code == 2, without.output);
  BOOST_TEST(has(without.output, "--sbd and no --val"), without.output);
  const Ran ran = run(command + " --val val");
  BOOST_TEST(ran.code == 0, ran.output);
  BOOST_TEST(has(ran.output, "train: 3 of the list and 2 of SBD, 5 in all"), ran.output);
  BOOST_TEST(has(ran.output, "10582 in all (trainaug)"), ran.output);
  const DataSet data = DataSet::open(scratch / "out.h5", "train");
  BOOST_TEST(data.size() == 5);
  std::vector<uint8_t> buffer;
  const Image mask = decode_index_map(data.mask(4, buffer));
  BOOST_TEST((mask.pixels == counted(25, 30, 2).pixels));

  write_text(sbd + "/cls/f.mat", "MATLAB 7.3 MAT-file, and more");
  const Ran newer = run(command + " --val val --force");
  BOOST_TEST(newer.code == 2, newer.output);
  BOOST_TEST(has(newer.output, "f.mat: no MATLAB 5 file"), newer.output);
  write_text(sbd + "/cls/f.mat", "MATLAB 5.0 MAT-file, and nothing more");
  const Ran damaged = run(command + " --val val --force");
  BOOST_TEST(damaged.code == 2, damaged.output);
  BOOST_TEST(has(damaged.output, "f.mat: "), damaged.output);
}
#endif

BOOST_AUTO_TEST_CASE(a_damaged_mask_is_found_when_it_is_read) {
  const TemporaryFolder scratch;
  write_voc(scratch / "in");
  const std::string out = scratch / "out.h5";
  BOOST_TEST(run("renas-prep-voc " + (scratch / "in") + " " + out + " --train train").code == 0);
  std::vector<uint8_t> buffer;
  std::vector<uint8_t> mask;
  {
    const DataSet data = DataSet::open(out, "train");
    const auto bytes = data.mask(1, buffer);
    mask.assign(bytes.begin(), bytes.end());
  }
  std::vector<uint8_t> file = renas::test::bytes_of(out);
  const auto place = std::search(file.begin(), file.end(), mask.begin(), mask.end());
  BOOST_REQUIRE(place != file.end());
  place[static_cast<std::ptrdiff_t>(mask.size() / 2)] ^= 1;
  write_bytes(out, file);
  const DataSet data = DataSet::open(out, "train");
  data.mask(0, buffer);
  BOOST_CHECK_EXCEPTION(data.mask(1, buffer), IoError, [](const IoError& error) {
    return has(error.what(), "mask 1 of train is damaged");
  });
}

BOOST_AUTO_TEST_CASE(a_full_disk_leaves_nothing_of_pairs) {
  const TemporaryFolder scratch;
  write_voc(scratch / "in");
  const std::string out = scratch / "out.h5";
  for (const char* bytes : {"0", "3000"}) {
    const Ran ran = run("renas-prep-voc " + (scratch / "in") + " " + out + " --train train",
                        std::string("ASAN_OPTIONS=verify_asan_link_order=0 RENAS_DISK_BYTES=") +
                            bytes + " LD_PRELOAD=" RENAS_FULL_DISK " ");
    BOOST_TEST(ran.code == 2, ran.output);
    BOOST_TEST(has(ran.output, "No space left on device"), ran.output);
    BOOST_TEST(!fs::exists(out));
    BOOST_TEST(renas::test::partial_files(scratch.path()) == 0);
  }
}

BOOST_AUTO_TEST_SUITE_END()
