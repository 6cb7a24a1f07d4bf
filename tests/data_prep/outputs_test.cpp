// What the preparing programs write takes the place of nothing that they read, and of nothing at
// all where it was not asked for.

#include <sys/stat.h>

#include <boost/test/unit_test.hpp>
#include <filesystem>
#include <string>
#include <vector>

#include "data_prep/programs.h"
#include "renas/image.h"
#include "support/encode.h"
#include "support/files.h"
#include "support/temporary_folder.h"

namespace fs = std::filesystem;
using renas::test::content_of;
using renas::test::counting;
using renas::test::has;
using renas::test::idx_of;
using renas::test::Ran;
using renas::test::run;
using renas::test::TemporaryFolder;
using renas::test::write_bytes;
using renas::test::write_text;

namespace {

/// A program that has something to prepare.
struct Preparation {
  std::string begin;  ///< of the command, up to DIR
  std::string end;    ///< options
  std::string input;  ///< a file that it reads

  Ran into(const std::string& out, const std::string& options = "") const {
    return run(begin + " " + out + " " + end + " " + options);
  }
};

Preparation of_idx(const std::string& folder) {
  for (const std::string split : {"/train", "/t10k"}) {
    write_bytes(folder + split + "-images-idx3-ubyte", idx_of({2, 3, 2}, counting(12)));
    write_bytes(folder + split + "-labels-idx1-ubyte", idx_of({2}, {0, 1}));
  }
  return {"renas-prep-idx " + folder, "", folder + "/t10k-labels-idx1-ubyte"};
}

Preparation of_cifar(const std::string& folder) {
  std::string names;
  for (int i = 0; i < 10; ++i) names += "name" + std::to_string(i) + "\n";
  write_text(folder + "/batches.meta.txt", names);
  for (const std::string file : {"data_batch_1", "data_batch_2", "data_batch_3", "data_batch_4",
                                 "data_batch_5", "test_batch"}) {
    std::vector<uint8_t> record(3073, file.back());
    record[0] = 3;
    write_bytes(folder + "/" + file + ".bin", record);
  }
  return {"renas-prep-cifar " + folder, "", folder + "/test_batch.bin"};
}

Preparation of_images(const std::string& folder) {
  for (const std::string split : {"train", "test"}) {
    write_bytes(folder + "/" + split + "/a/0.png",
                renas::encode_lossless(renas::test::colourful(8, split == "train" ? 8 : 9)));
  }
  return {"renas-prep-images " + folder, "", folder + "/test/a/0.png"};
}

Preparation of_pairs(const std::string& folder) {
  write_bytes(folder + "/JPEGImages/i.jpg", renas::encode_jpeg(renas::test::colourful(8, 8)));
  write_bytes(folder + "/SegmentationClass/i.png",
              renas::encode_lossless({{1, 8, 8}, std::vector<uint8_t>(64, 1)}));
  write_text(folder + "/ImageSets/Segmentation/train.txt", "i\n");
  return {"renas-prep-voc " + folder, "--train train",
          folder + "/ImageSets/Segmentation/train.txt"};
}

std::vector<Preparation> all_of(const TemporaryFolder& scratch) {
  return {of_idx(scratch / "idx"), of_cifar(scratch / "cifar"), of_images(scratch / "images"),
          of_pairs(scratch / "pairs")};
}

void expect_refused(const Ran& ran, const std::string& part) {
  BOOST_TEST(ran.code == 2, ran.output);
  BOOST_TEST(has(ran.output, part), ran.output);
}

}  // namespace

BOOST_AUTO_TEST_SUITE(outputs)

BOOST_AUTO_TEST_CASE(a_folder_or_a_pipe_is_no_name_for_a_data_set) {
  const TemporaryFolder scratch;
  const std::string pipe = scratch / "pipe";
  BOOST_TEST(::mkfifo(pipe.c_str(), 0600) == 0);
  fs::create_directory(scratch / "folder");
  for (const Preparation& preparation : all_of(scratch)) {
    BOOST_TEST_CONTEXT(preparation.begin) {
      for (const char* force : {"", "--force"}) {
        expect_refused(preparation.into(scratch / "folder", force),
                       "folder: is a folder; expected the name of a file");
      }
      expect_refused(preparation.into(pipe, "--force"), "expected the name of a file to write");
      BOOST_TEST(preparation.into(scratch / "out.h5", "--force").code == 0);
    }
  }
  BOOST_TEST(renas::test::partial_files(scratch.path()) == 0);
}

BOOST_AUTO_TEST_CASE(no_program_overwrites_what_it_reads) {
  const TemporaryFolder scratch;
  for (const Preparation& preparation : all_of(scratch)) {
    BOOST_TEST_CONTEXT(preparation.begin) {
      const std::string before = content_of(preparation.input);
      const std::string link = scratch / "link";
      fs::create_symlink(preparation.input, link);
      for (const std::string& out : {preparation.input, link}) {
        expect_refused(preparation.into(out, "--force"),
                       out + ": would be overwritten, but is read as");
      }
      BOOST_TEST(fs::is_symlink(link));
      BOOST_TEST(content_of(preparation.input) == before);
      fs::remove(link);
    }
  }
}

BOOST_AUTO_TEST_CASE(nor_does_the_list_of_what_was_left_out) {
  const TemporaryFolder scratch;
  const std::string out = scratch / "out.h5";
  const std::string list = scratch / "list.txt";
  for (const Preparation& preparation :
       {of_images(scratch / "images"), of_pairs(scratch / "pairs")}) {
    BOOST_TEST_CONTEXT(preparation.begin) {
      const auto refused = [&](const std::string& name, const std::string& force,
                               const std::string& part) {
        expect_refused(preparation.into(out, "--left-out " + name + " " + force), part);
        BOOST_TEST(!fs::exists(out));
        BOOST_TEST(renas::test::partial_files(scratch.path()) == 0);
      };
      const std::string before = content_of(preparation.input);
      refused(preparation.input, "", "exists already; --force overwrites it");
      refused(preparation.input, "--force", "would be overwritten, but is read as");
      BOOST_TEST(content_of(preparation.input) == before);
      refused(out, "", "is the same file as OUT");
      refused(scratch / "images/../out.h5", "", "is the same file as OUT");
      refused(fs::relative(out).string(), "", "is the same file as OUT");
      refused(scratch / "images", "--force", "is a folder");
      write_text(list, "what a person wrote");
      refused(list, "", "exists already; --force overwrites it");
      BOOST_TEST(content_of(list) == "what a person wrote");
      BOOST_TEST(preparation.into(out, "--force --left-out " + list).code == 0);
      BOOST_TEST(content_of(list).empty());
      fs::remove(out);
      fs::remove(list);
    }
  }
}

BOOST_AUTO_TEST_CASE(a_full_disk_leaves_the_list_of_before) {
  const TemporaryFolder scratch;
  const Preparation preparation = of_images(scratch / "images");
  // Long names make the list longer than the data set.
  std::string folder = scratch / "images/train/a";
  for (int i = 0; i < 8; ++i) folder += "/" + std::string(200, 'x');
  for (int i = 0; i < 600; ++i) write_text(folder + "/" + std::to_string(i), "no image");
  const std::string list = scratch / "list.txt";
  write_text(list, "of before");
  const std::string command =
      preparation.begin + " " + (scratch / "out.h5") + " --size 8x8 --force --left-out " + list;
  const Ran ran = run(command,
                      "ASAN_OPTIONS=verify_asan_link_order=0 RENAS_DISK_BYTES=900000 "
                      "LD_PRELOAD=" RENAS_FULL_DISK " ");
  expect_refused(ran, "No space left on device");
  BOOST_TEST(has(ran.output, "list.txt"), ran.output);
  BOOST_TEST(content_of(list) == "of before");
  BOOST_TEST(!fs::exists(scratch / "out.h5"));
  BOOST_TEST(renas::test::partial_files(scratch.path()) == 0);
  BOOST_TEST(run(command).code == 0);
  BOOST_TEST(fs::file_size(list) > 900000U);
  BOOST_TEST(fs::file_size(scratch / "out.h5") < 900000U);
}

BOOST_AUTO_TEST_SUITE_END()
