// What a user can get wrong, and the answer: what was expected, what was found, where; exit code 2;
// nothing changed.

#include <boost/test/unit_test.hpp>
#include <filesystem>
#include <fstream>
#include <regex>

#include "support/toy_search.h"

using namespace renas::test;

namespace {

std::string inspect(const std::string& genome) {
  return kPrograms + "renas-inspect genome '" + genome + "'";
}

}  // namespace

BOOST_AUTO_TEST_SUITE(bad_input)

BOOST_AUTO_TEST_CASE(every_program_explains_itself) {
  for (const char* program :
       {"renas-search", "renas-train", "renas-inspect", "renas-predict", "renas-export",
        "renas-report", "renas-bench", "renas-prep-cifar", "renas-prep-idx"}) {
    const Ran help = run_command(kPrograms + program + " --help");
    BOOST_TEST(help.code == 0);
    BOOST_TEST(help.output.find("Usage") != std::string::npos);
    // An example is a line of its own, and says more than the program's name.
    const std::regex example("(^|\n)  (mpirun -np [0-9]+ )?" + std::string(program) + " .+\n");
    BOOST_TEST(std::regex_search(help.output, example), program << " --help has no example");
    const Ran version = run_command(kPrograms + program + " --version");
    BOOST_TEST(version.code == 0);
    BOOST_TEST(version.output.find("renas ") != std::string::npos);
    refused(kPrograms + program + " --no-such-option", "--help");
  }
}

BOOST_AUTO_TEST_CASE(malformed_and_impossible_genomes) {
  refused(inspect("c-2:sep3x3+c-1:sep3x3,3:sep3x3+c-1:sep3x3"), "block 2: input '3'");
  refused(inspect("c-2:sep9x9+c-1:sep3x3"), "operator 'sep9x9'");
  refused(inspect("c-2:sep3x3"), "input:operator+input:operator");
  refused(inspect(""), "expected");
  refused(inspect("renasnet") + " --image 32x32", "HxWxC");
  refused(inspect("renasnet") + " --network imagenet --filters 30", "divisible by 4");
}

BOOST_AUTO_TEST_CASE(options_and_configuration_files) {
  const TemporaryFolder folder;
  write_toy_file(folder / "data.h5");
  const std::string search = toy_search(folder, "run");
  refused(search + "--strategy magic", "magic");
  refused(search + "--cells 0", "--cells");
  refused(search + "--cells two", "--cells");
  refused(search + "--sample 9", "sample");
  refused(search + "--validation 96", "validation 96");
  refused(search + "--validation 500", "96 training images");
  refused(search + "--subset 90", "subset 90");
  refused(search + "--retrain-subset 90", "retrain_subset 90");
  refused(search + "--backend abacus", "abacus");
  refused(search + "--operators sep3x3,conv", "'conv'");
  refused(kPrograms + "renas-search --run " + (folder / "run"), "--data");
  std::ofstream(folder / "bad.toml") << "poplation = 4\n";
  refused(search + "--config " + (folder / "bad.toml"), "poplation");
  refused(search + "--config " + (folder / "none.toml"), "none.toml");
  BOOST_TEST(!std::filesystem::exists(folder / "run"));
  std::ofstream(folder / "good.toml") << "children = 1\n";
  const Ran ran = run_command(kPrograms + "renas-search --config " + (folder / "good.toml") +
                              " --data " + (folder / "data.h5") + " --run " + (folder / "run") +
                              " --blocks 1 --population 2 --sample 1 --cells 1 --filters 2 "
                              "--initial-epochs 1 --retrain-epochs 1 --batch 32 --threads 1");
  BOOST_TEST(ran.code == 0, ran.output);
  BOOST_TEST(renas::RunDirectory::open(folder / "run").history().size() == 3);
}

BOOST_AUTO_TEST_CASE(numbers_that_are_none_and_names_that_are_taken) {
  const TemporaryFolder folder;
  write_toy_file(folder / "data.h5");
  const std::string search = toy_search(folder, "run");
  for (const char* option : {"--initial-rate", "--new-rate", "--retrain-rate", "--momentum",
                             "--weight-decay", "--time-budget", "--worker-timeout"}) {
    refused(search + option + " nan", option);
    refused(search + option + " inf", option);
  }
  // `search` has a seed already, and an option that is given twice would be refused for that.
  const std::string other = kPrograms + "renas-search --data " + (folder / "data.h5") + " --run " +
                            (folder / "run") + " ";
  for (const char* seed : {"-1", "100000000000000000000000"}) {
    refused(other + "--seed " + seed, "--seed");
  }
  refused(other + "--population 1", "--population");
  refused(
      kPrograms + "renas-search --data " + (folder / "data.h5") + " --run " + (folder / "data.h5"),
      "expected a folder");
  refused(kPrograms + "renas-search --resume --run " + (folder / "data.h5"), "is not a run");
  refused(kPrograms + "renas-bench search --table " + (folder / "none.csv"), "none.csv");
  BOOST_TEST(!std::filesystem::exists(folder / "run"));
}

BOOST_AUTO_TEST_CASE(a_result_that_cannot_be_written_is_no_success) {
  const std::string genome = kPrograms + "renas-inspect genome renasnet ";
  const Ran full = run_command("{ " + genome + "> /dev/full; }");
  BOOST_TEST(full.code == 2, full.output);
  BOOST_TEST(full.output.find("No space left") != std::string::npos, full.output);
  // A reader that closes the pipe early is not a failure.
  const Ran read = run_command("bash -c 'set -o pipefail; " + genome + "| head -1'");
  BOOST_TEST(read.code == 0, read.output);
}

BOOST_AUTO_TEST_CASE(data_files) {
  const TemporaryFolder folder;
  write_toy_file(folder / "data.h5");
  const auto with = [&](const std::string& file) {
    return kPrograms + "renas-search --data " + (folder / file) + " --run " + (folder / "run");
  };
  refused(with("missing.h5"), "missing.h5");
  std::ofstream(folder / "text.h5") << "not HDF5";
  refused(with("text.h5"), "text.h5");
  std::filesystem::copy(folder / "data.h5", folder / "short.h5");
  std::filesystem::resize_file(folder / "short.h5", 3000);
  refused(with("short.h5"), "short.h5");
  const std::string train = kPrograms + "renas-train --out " + (folder / "model.h5") + " --data ";
  refused(train + (folder / "missing.h5"), "missing.h5");
  refused(train + (folder / "data.h5") + " --validation 96", "validation 96");
  BOOST_TEST(!std::filesystem::exists(folder / "run"));
  BOOST_TEST(!std::filesystem::exists(folder / "model.h5"));
}

BOOST_AUTO_TEST_CASE(options_that_a_training_would_not_heed) {
  const TemporaryFolder folder;
  write_toy_file(folder / "data.h5");
  std::ofstream(folder / "cells.txt") << "c-2:sep3x3+c-1:identity\n";
  const std::string train =
      kPrograms + "renas-train --data " + (folder / "data.h5") + " --out " + (folder / "model.h5");
  for (const std::string& more : {std::string(), " --list " + (folder / "cells.txt")}) {
    refused(train + more + " --body " + (folder / "nothere.h5"), "only --network deeplab heeds it");
    refused(train + more + " --frozen-norms", "--frozen-norms: only --network deeplab");
    refused(train + more + " --scales 1,2", "--scales: only --network deeplab");
    refused(train + more + " --shorter-side 8", "--shorter-side: expected --crop beside it");
    refused(train + more + " --crop-area 0.5", "--crop-area: expected --crop beside it");
  }
  for (const char* option : {"--cutout 4", "--pad 2", "--shorter-side 40", "--crop-area 0.5",
                             "--colour-jitter 0.1,0.1,0.1", "--lighting 0.1", "--last-epochs 1"}) {
    refused(train + " --network deeplab " + option, "--network deeplab does not heed it");
  }
  refused(train + " --average 1", "expected 0 or more and less than 1, got 1");
  refused(train + " --class-weights 0,0,0", "a class weight above 0");
  BOOST_TEST(!std::filesystem::exists(folder / "model.h5"));
}

BOOST_AUTO_TEST_CASE(no_output_takes_the_place_of_an_input_or_of_another_output) {
  const TemporaryFolder folder;
  write_toy_file(folder / "data.h5");
  const std::string data = folder / "data.h5";
  const std::string train = kPrograms +
                            "renas-train --cells 1 --filters 4 --epochs 1 --batch 16 --threads 1 "
                            "--genome c-2:sep3x3+c-1:identity --quiet --data " +
                            data + " --out ";
  done(train + (folder / "model.h5"));
  const std::string model = folder / "model.h5";
  const auto content = [](const std::string& file) {
    std::ifstream in(file, std::ios::binary);
    return std::string(std::istreambuf_iterator<char>(in), {});
  };
  const std::string data_before = content(data);
  const std::string model_before = content(model);
  std::filesystem::create_symlink(data, folder / "link.h5");
  refused(train + data + " --force", "is the same file as --data");
  refused(train + (folder / "link.h5") + " --force", "is the same file as --data");
  refused(train + folder.path() + " --force", "is a folder");
  const std::string exporting = kPrograms + "renas-export " + model + " ";
  refused(exporting + model + " --force", "is the same file as MODEL");
  refused(exporting + (folder / "w.py") + " --pytorch " + (folder / "w.py"),
          "is the same file as OUT.onnx");
  refused(exporting + (folder / "w.safetensors") + " --pytorch " + (folder / "w.py"),
          "is the same file as OUT.onnx");
  BOOST_TEST((content(data) == data_before));
  BOOST_TEST((content(model) == model_before));
  BOOST_TEST(!std::filesystem::exists(folder / "w.safetensors"));
}

BOOST_AUTO_TEST_CASE(one_process_at_a_time_makes_a_model) {
  const TemporaryFolder folder;
  write_toy_file(folder / "data.h5");
  const std::string train = kPrograms +
                            "renas-train --cells 1 --filters 4 --batch 16 --threads 1 --quiet "
                            "--genome c-2:sep3x3+c-1:identity --data " +
                            (folder / "data.h5") + " --out " + (folder / "model.h5");
  const Ran both = run_command("{ " + train + " --epochs 100000 & first=$!; while [ ! -e " +
                               (folder / "model.h5.checkpoint") + " ]; do sleep 0.05; done; " +
                               train + " --epochs 1 --force; echo second $?; kill $first; " +
                               "wait $first; echo first $?; }");
  BOOST_TEST(both.output.find("another process is making this file") != std::string::npos,
             both.output);
  BOOST_TEST(both.output.find("second 2") != std::string::npos, both.output);
  BOOST_TEST(both.output.find("first 3") != std::string::npos, both.output);
  BOOST_TEST(!std::filesystem::exists(folder / "model.h5.lock"));
  done(train + " --epochs 1 --force");
  BOOST_TEST(!std::filesystem::exists(folder / "model.h5.lock"));
}

BOOST_AUTO_TEST_CASE(runs_that_exist_and_resumes_that_contradict) {
  const TemporaryFolder folder;
  write_toy_file(folder / "data.h5");
  BOOST_REQUIRE(run_command(toy_search(folder, "run")).code == 0);
  const std::string before = history_of(folder / "run");
  refused(toy_search(folder, "run"), "exists and is not empty");
  refused(kPrograms + "renas-search --resume --filters 5 --run " + (folder / "run"),
          "started with 4");
  refused(toy_search(folder, "other") + "--resume", "is not a run");
  refused(kPrograms + "renas-inspect run " + (folder / "other"), "is not a run");
  BOOST_TEST(history_of(folder / "run") == before);
  // A finished run resumes to its own result.
  const Ran again = run_command(kPrograms + "renas-search --resume --run " + (folder / "run"));
  BOOST_TEST(again.code == 0, again.output);
  BOOST_TEST(history_of(folder / "run") == before);
}

BOOST_AUTO_TEST_CASE(a_model_is_not_overwritten_by_accident_and_training_resumes) {
  const TemporaryFolder folder;
  write_toy_file(folder / "data.h5");
  const std::string train = kPrograms +
                            "renas-train --cells 1 --filters 4 --epochs 2 --batch 16 "
                            "--threads 1 --genome c-2:sep3x3+c-1:identity --data " +
                            (folder / "data.h5") + " --out " + (folder / "model.h5");
  const Ran first = run_command(train);
  BOOST_TEST(first.code == 0, first.output);
  BOOST_TEST(first.output.find("test accuracy") != std::string::npos);
  refused(train, "--force");
  // What is finished says again what it said, and is no other training's model.
  const Ran again = run_command(train + " --resume");
  BOOST_TEST(again.code == 0, again.output);
  const auto scores = [](const std::string& output) {
    return output.substr(output.find("test accuracy"));
  };
  BOOST_TEST(again.output.find("finished before") != std::string::npos, again.output);
  BOOST_TEST(scores(again.output) == scores(first.output));
  refused(train + " --resume --momentum 0.8",
          "model.h5: is of another training: --momentum 0.9 then, "
          "0.8 now. Give");
  std::string other = train;
  other.replace(other.find("identity"), 8, "sep3x3");
  refused(other + " --resume",
          "is of another training: cell training of c-2:sep3x3+c-1:identity then");
  refused(kPrograms + "renas-train --resume --data " + (folder / "data.h5") + " --out " +
              (folder / "other.h5"),
          "other.h5.checkpoint");
  BOOST_TEST(run_command(train + " --force").code == 0);
  refused(kPrograms + "renas-inspect model " + (folder / "data.h5"), "renas-model");
}

BOOST_AUTO_TEST_SUITE_END()
